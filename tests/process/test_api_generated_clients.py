"""Clients that others' generators make of the OpenAPI document: linted, compiled, and used against a real server.

Each tool is looked for on the PATH and skipped where it is not; none is fetched here.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from support.api_process import Server

pytestmark = [pytest.mark.process, pytest.mark.long]

DOCUMENT = Path(__file__).parents[2] / "api" / "openapi.json"
GO = """package main

import (
	"context"
	"fmt"
	"os"
)

func main() {
	c, err := NewClientWithResponses(os.Args[1])
	if err != nil {
		panic(err)
	}
	r, err := c.ShowPacketWithResponse(context.Background(), "p1", nil)
	if err != nil {
		panic(err)
	}
	fmt.Print(r.JSON200.Status, " ", r.JSON200.Epoch)
}
"""
TYPESCRIPT = """import type { components } from "./api.js";
type Packet = components["schemas"]["Packet"];
const answer = await fetch(process.argv[2] + "/api/packets/p1");
const packet = (await answer.json()) as Packet;
const epoch: number = packet.epoch;
console.log(packet.status, epoch);
declare const process: { argv: string[] };
"""
PYTHON = """import sys
from made import Client
from made.api.packets import audit_packet, show_packet
client = Client(base_url=sys.argv[1])
packet = show_packet.sync("p1", client=client)
assert audit_packet.sync("p1", client=client).answers[0].question == "Who registered?"
print(packet.status, packet.epoch)
"""


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def _run(folder: Path, *command: str) -> str:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "GOFLAGS": "-mod=mod"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-3_000:]
    return done.stdout.strip()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with a packet."""
    server = Server(tmp_path_factory.mktemp("clients") / "ledger")
    server.start()
    body = {"packet_id": "p1", "workload_type": "x", "hold": True}
    assert httpx2.post(f"{server.url}/api/packets", json=body).status_code == 201
    yield server.url
    server.stop()


def test_spectral_and_redocly_find_nothing(tmp_path: Path) -> None:
    """Not an error, and not a warning."""
    spectral, redocly = _tool("spectral"), _tool("redocly")
    rules = tmp_path / "rules.yaml"
    rules.write_text('extends: ["spectral:oas"]\n')
    _run(
        tmp_path,
        spectral,
        "lint",
        str(DOCUMENT),
        "--ruleset",
        str(rules),
        "--fail-severity",
        "hint",
    )
    said = json.loads(_run(tmp_path, redocly, "lint", str(DOCUMENT), "--format=json"))
    assert said["totals"] == {"errors": 0, "warnings": 0, "ignored": 0}


def test_oapi_codegen(url: str, tmp_path: Path) -> None:
    """A Go client compiles and asks; its runtime has to be among the modules at hand."""
    maker, go = _tool("oapi-codegen"), _tool("go")
    _run(
        tmp_path,
        maker,
        "-generate",
        "types,client",
        "-package",
        "main",
        "-o",
        "api.gen.go",
        str(DOCUMENT),
    )
    (tmp_path / "main.go").write_text(GO)
    (tmp_path / "go.mod").write_text(
        "module example.test/made\n\ngo 1.24\n\nrequire github.com/oapi-codegen/runtime v1.9.0\n"
    )
    assert _run(tmp_path, go, "run", ".", url) == "PENDING 0"


def test_openapi_typescript(url: str, tmp_path: Path) -> None:
    """Its types compile strictly, and describe what the server answers."""
    maker, compiler, node = _tool("openapi-typescript"), _tool("tsc"), _tool("node")
    _run(tmp_path, maker, str(DOCUMENT), "-o", "api.ts")
    (tmp_path / "use.ts").write_text(TYPESCRIPT)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    _run(
        tmp_path,
        compiler,
        "--strict",
        "--target",
        "es2022",
        "--module",
        "nodenext",
        "--skipLibCheck",
        "use.ts",
    )
    assert _run(tmp_path, node, "use.js", url) == "PENDING 0"


def test_openapi_python_client(url: str, tmp_path: Path) -> None:
    """A Python client is made without leaving an operation out but exports, and asks."""
    maker = _tool("openapi-python-client")
    pytest.importorskip("httpx", reason="the client needs httpx")
    _run(
        tmp_path,
        maker,
        "generate",
        "--path",
        str(DOCUMENT),
        "--output-path",
        "made",
        "--meta",
        "none",
    )
    (tmp_path / "use.py").write_text(PYTHON)
    interpreter = Path(maker).with_name("python")
    python = str(interpreter) if interpreter.exists() else sys.executable
    assert _run(tmp_path, python, "use.py", url) == "PENDING 0"
