"""The one-file verifier and the page as programs that answer line by line: what the package is compared with.

Each is started once and asked often: a JSON object a line goes in ({data, anchor, case, remembered}; base64
for bytes), the report comes out, base64 in a line. The page's own program runs in Node.js, with a
document that holds its tables and nothing else. Knows nothing of what is verified.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from pfgov_ledger import build_pyz

PAGE = Path(__file__).parents[2] / "ledger" / "verify.html"
CORPUS = Path(__file__).parents[1] / "conformance" / "ledger_verify" / "corpus"
NODE_MAJOR_MIN = 20
"""The first Node.js that has Blob, WebCrypto with Ed25519 and the regular expressions that browsers have."""

ASK = """async ({ data, anchor, case: c, remembered }) => {
  const v = pfgovVerify;
  const report = await v.verify(new Blob([v.base64(data)]), {
    anchor: anchor === null ? null : v.parseAnchor(anchor), question: c.question, quick: c.quick,
    remembered: remembered && v.parseRemembered(v.base64(remembered)),
    witnesses: c.witnesses.map(v.parseVkey), quorum: c.quorum, maxAge: c.max_age, now: c.now,
  });
  return v.dumps(report);
}"""
"""JavaScript: a question as a function of what the page offers to other programs."""

_IN_NODE = """
const fs = require("fs"), vm = require("vm"), readline = require("readline");
const page = fs.readFileSync(process.argv[1], "utf8"), tables = {};
const table = /<script type="application\\/json" id="(\\w+)">([^]*?)<\\/script>/g;
for (const [, id, text] of page.matchAll(table)) tables[id] = text;
const nothing = { addEventListener() {} };
globalThis.document = { ...nothing, getElementById: (id) => ({ ...nothing, textContent: tables[id] ?? "" }) };
vm.runInThisContext(/<script>([^]*?)<\\/script>/.exec(page)[1]);
const ask = vm.runInThisContext(`(${process.argv[2]})`);
(async () => {
  for await (const line of readline.createInterface({ input: process.stdin, crlfDelay: Infinity })) {
    let text;
    try { text = await ask(JSON.parse(line)); } catch (error) { text = `!${error.stack ?? error}`; }
    process.stdout.write(Buffer.from(text).toString("base64") + "\\n");
  }
})();
"""

_IN_PYZ = """
import base64, json, sys
sys.path[:0] = sys.argv[1:3]
import run
from pfgov_ledger.report import dumps
for line in sys.stdin:
    try:
        text = dumps(run.ask(**json.loads(line)))
    except Exception as error:
        text = f"!{type(error).__name__}: {error}"
    sys.stdout.write(base64.b64encode(text.encode()).decode() + "\\n")
    sys.stdout.flush()
"""


class Verifier(AbstractContextManager["Verifier"]):
    """A verifier in a process of its own."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"]},
        )

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def report(
        self, data: bytes, anchor: str | None, case: dict[str, Any], remembered: bytes | None = None
    ) -> str:
        """The JSON text of the report; ``!`` and a message if the program broke."""
        asked = {
            "data": base64.b64encode(data).decode(),
            "anchor": anchor,
            "case": case,
            "remembered": None if remembered is None else base64.b64encode(remembered).decode(),
        }
        sent, got = self._process.stdin, self._process.stdout
        assert sent is not None
        assert got is not None
        sent.write(json.dumps(asked).encode() + b"\n")
        sent.flush()
        return base64.b64decode(got.readline()).decode()


def page_in_node(ask: str = ASK) -> Verifier:
    """The page's program in Node.js, asked by *ask*; skips the test where there is no Node.js that can run it."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no Node.js on this machine")
    told = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    if int(told.strip().removeprefix("v").partition(".")[0] or 0) < NODE_MAJOR_MIN:
        pytest.skip(f"Node.js {told.strip()} is older than {NODE_MAJOR_MIN}")
    return Verifier([node, "-e", _IN_NODE, str(PAGE), ask])


def one_file(folder: Path | None = None) -> Verifier:
    """The one-file verifier in a bare interpreter, where no library can be imported."""
    folder = folder or Path(tempfile.mkdtemp())
    built = build_pyz.build(folder / "pfgov-verify.pyz")
    return Verifier([sys.executable, "-I", "-S", "-c", _IN_PYZ, str(built), str(CORPUS)])
