"""The OpenAPI document: it is true, complete, committed, and its every claim survives a fuzzer."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from support.api_process import Server
from support.api_server import Api, path_values
from support.balanced import Balanced

from pfgov_api.app import METHODS
from pfgov_api.problems import STATUSES, TITLES
from pfgov_api.routes import OPERATIONS, document
from pfgov_api.schemas import SCHEMAS

ROOT = Path(__file__).parents[2]


def test_the_committed_document_is_the_servers() -> None:
    """A change of the surface is seen in review."""
    committed = json.loads((ROOT / "api" / "openapi.json").read_text(encoding="utf-8"))
    assert committed == document(), "run `make docs` and commit"


def test_every_operation_is_in_it() -> None:
    """Each has its answer's schema, an own name, and a problem for each status that it may give."""
    assert len({operation.name for operation in OPERATIONS}) == len(OPERATIONS)
    described = document()
    for operation in OPERATIONS:
        found = described["paths"][operation.path][operation.method.lower()]
        assert operation.answer in SCHEMAS
        for status, answer in found["responses"].items():
            if int(status) >= 400:
                assert set(answer["content"]) == {"application/problem+json"}
                assert int(status) in TITLES
    refs = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(described)))
    assert refs <= set(described["components"]["schemas"])
    assert all(status in TITLES for _, status in STATUSES)


def test_every_list_says_what_is_in_it() -> None:
    """A schema names a list and not its items, which linters and generators of clients refuse."""
    bare: list[str] = []

    def walk(tree: object, path: str) -> None:
        if isinstance(tree, dict):
            kinds = tree.get("type")
            if (kinds == "array" or (isinstance(kinds, list) and "array" in kinds)) and not (
                {"items", "prefixItems"} & tree.keys()
            ):
                bare.append(path)
            for name, part in tree.items():
                walk(part, f"{path}/{name}")
        elif isinstance(tree, list):
            for number, part in enumerate(tree):
                walk(part, f"{path}/{number}")

    walk(json.loads((ROOT / "api" / "openapi.json").read_text(encoding="utf-8")), "")
    assert bare == []


def test_options_says_what_is_possible(api: Api) -> None:
    """OPTIONS and 405 name all methods of a path."""
    for path, methods in METHODS.items():
        concrete = path.format(**path_values())
        wanted = {*methods, "OPTIONS"}
        answer = api("OPTIONS", concrete)
        assert answer.status_code == 204
        assert set(answer.headers["allow"].split(", ")) == wanted
        assert set(api("DELETE", concrete).headers["allow"].split(", ")) == wanted


def test_the_specifications_inputs_fit_their_schemas() -> None:
    """What the specification sends is what the document says may be sent."""
    described = document()
    seed = ROOT / "tests" / "data" / "seed"
    script = (seed / "register-member.sh").read_text()
    inputs = {
        "FlightPacket": (seed / "packet.json").read_text(),
        "MemberRegistration": script[script.index("'{") + 1 : script.rindex("'")],
    }
    for name, text in inputs.items():
        schema = {"$ref": f"#/components/schemas/{name}", "components": described["components"]}
        jsonschema.validate(json.loads(text), schema, cls=jsonschema.Draft202012Validator)


@pytest.mark.process
@pytest.mark.long
@pytest.mark.parametrize(
    "count",
    [
        1,
        pytest.param(
            2,
            marks=pytest.mark.skipif(
                "PFGOV_TWO_SERVERS" not in os.environ,
                reason="minutes more: make test-two-servers runs it",
            ),
        ),
    ],
)
def test_schemathesis_finds_nothing(tmp_path: Path, count: int) -> None:
    """All checks, stateful, over every operation: no failure, at one server or at two behind a balancer."""
    two = count == 2
    server = Balanced(Balanced.place(tmp_path)) if two else Server(tmp_path / "ledger")
    try:
        server.start()
        done = subprocess.run(
            [
                str(Path(sys.executable).with_name("schemathesis")),
                "--config-file", str(Path(__file__).with_name("schemathesis.toml")), "run",
                f"{server.url}/api/openapi.json", "--max-examples", "1", "--no-color",
                "--phases", "coverage,fuzzing,stateful",
            ],
            capture_output=True, text=True, cwd=tmp_path, timeout=900, check=False,
        )  # fmt: skip
    finally:
        server.stop()
    assert done.returncode == 0, done.stdout[-6_000:]
