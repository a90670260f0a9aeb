"""``pfgov policy lsp`` as an editor uses it: a client that speaks JSON-RPC over the pipes of a real process."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest
from support.commandline import environment

pytest.importorskip("pygls", reason="the extra lsp is not installed")

PATIENCE_SECONDS = 60
LABELS = """apiVersion: pfgov/v1
kind: Labels
metadata: {name: labels, version: "1", description: d}
packet:
  risk: {type: string, enum: [low, high], set_by: [submitter], change: narrow}
"""
POLICY = """apiVersion: pfgov/v1
kind: Policy
metadata: {name: placing, version: "1", description: "Über 😀 alles"}
on: [place, retain]
params:
  floor: {type: double, value: 0.5}
rules:
  - id: trust
    require: member.trust_score >= params.floor
    message: "too low"
  - id: risky
    on: [place]
    deny: 'reason == "😀" && packet.labels["risk"] == "high"'
"""


class Editor:
    """An editor with one server: requests are answered in order, what is published is kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pfgov.cli", "policy", "lsp"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env=environment(),
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in: IO[bytes] = self._process.stdin
        self._out: IO[bytes] = self._process.stdout
        self._messages: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self._count = 0
        self.published: dict[str, list[dict[str, Any]]] = {}
        self.logged: list[str] = []

    def _listen(self) -> None:
        while True:
            length = 0
            while line := self._out.readline().strip():
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            if not length:
                self._messages.put(None)
                return
            self._messages.put(json.loads(self._out.read(length)))

    def _send(self, message: dict[str, Any]) -> None:
        raw = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._in.write(b"Content-Length: %d\r\n\r\n%b" % (len(raw), raw))
        self._in.flush()

    def notify(self, method: str, params: Any) -> None:
        """Tell the server something."""
        self._send({"method": method, "params": params})

    def ask(self, method: str, params: Any) -> Any:
        """Return the answer to a request."""
        self._count += 1
        self._send({"id": self._count, "method": method, "params": params})
        while True:
            message = self._next()
            if message.get("id") == self._count and "method" not in message:
                assert "error" not in message, message
                return message["result"]

    def _next(self) -> dict[str, Any]:
        try:
            message = self._messages.get(timeout=PATIENCE_SECONDS)
        except queue.Empty:
            raise AssertionError(f"nothing more came; published: {self.published}") from None
        assert message is not None, "the server left"
        if message.get("method") == "textDocument/publishDiagnostics":
            params = message["params"]
            self.published[params["uri"]] = params["diagnostics"]
        elif message.get("method") == "window/logMessage":
            self.logged.append(message["params"]["message"])
        elif "id" in message and "method" in message:
            self._send({"id": message["id"], "result": None})
        return message

    def wait(self, name: str, codes: set[str]) -> list[dict[str, Any]]:
        """Wait until exactly problems of these codes are published of a file; return them."""
        uri = self.uri(name)
        while {one["code"] for one in self.published.get(uri, [{"code": "untold"}])} != codes:
            self._next()
        return self.published[uri]

    def wait_for_more(self) -> None:
        """Take the next message, whatever it is."""
        self._next()

    def children(self) -> list[int]:
        """Return the ids of the processes that the server started."""
        own = self._process.pid
        found = Path(f"/proc/{own}/task").glob("*/children")
        return [int(one) for listed in found for one in listed.read_text().split()]

    def uri(self, name: str) -> str:
        """Return the address of a file."""
        return (self.folder / name).as_uri()

    def open(self, name: str, text: str) -> None:
        """Open a file with a text that was not saved."""
        document = {"uri": self.uri(name), "languageId": "yaml", "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": document})

    def type(self, name: str, version: int, text: str) -> None:
        """Change the whole text."""
        document = {"uri": self.uri(name), "version": version}
        self.notify(
            "textDocument/didChange", {"textDocument": document, "contentChanges": [{"text": text}]}
        )

    def at(self, method: str, name: str, text: str, place: str, **more: Any) -> Any:
        """Ask about the end of the first *place* in *text*, counted in UTF-16 units."""
        before = text[: text.index(place) + len(place)]
        line = before.count("\n")
        character = len(before.rpartition("\n")[2].encode("utf-16-le")) // 2
        position = {"line": line, "character": character}
        return self.ask(
            method, {"textDocument": {"uri": self.uri(name)}, "position": position} | more
        )

    def leave(self) -> int:
        """Shut the server down; return its exit status."""
        self.ask("shutdown", None)
        self.notify("exit", None)
        return self._process.wait(PATIENCE_SECONDS)

    def stop(self) -> None:
        """End what may still run."""
        self._process.kill()
        self._process.wait(PATIENCE_SECONDS)
        self._listener.join()
        self._in.close()
        self._out.close()


@pytest.fixture
def editor(tmp_path: Path) -> Iterator[Editor]:
    """Give an editor in a workspace whose folder ``policies`` has a policy and labels."""
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "labels.yaml").write_text(LABELS)
    (folder / "p.policy.yaml").write_text(POLICY)
    made = Editor(tmp_path)
    try:
        made.ask(
            "initialize",
            {"processId": None, "rootUri": tmp_path.as_uri(), "capabilities": {}},
        )
        made.notify("initialized", {})
        yield made
    finally:
        made.stop()


def test_an_editor_is_told_what_check_says(editor: Editor) -> None:
    """An editor shows other problems than ``policy check``, at other places, or offers no way out of them."""
    name = "policies/p.policy.yaml"
    editor.open(name, POLICY)
    editor.wait(name, set())

    # hover: type, who sets it, doc; in the units of the protocol, behind a character of two of them
    hover = editor.at("textDocument/hover", name, POLICY, "packet.labels")["contents"]["value"]
    assert "`packet.labels`" in hover
    found = editor.at("textDocument/hover", name, POLICY, 'packet.labels["risk"]')
    assert "optional string" in found["contents"]["value"]
    assert "One of low, high." in found["contents"]["value"]
    assert "Set by submitter." in found["contents"]["value"]
    line = POLICY.split("\n")[found["range"]["start"]["line"]].encode("utf-16-le")
    start, end = (found["range"][side]["character"] * 2 for side in ("start", "end"))
    assert line[start:end].decode("utf-16-le") == 'packet.labels["risk"]'
    trust = editor.at("textDocument/hover", name, POLICY, "member.trust_score")["contents"]["value"]
    assert "double, 0 to 1" in trust
    assert "Set by an assessor" in trust

    # a mistake that was not saved: a diagnostic with its place, and the fix for it
    wrong = POLICY.replace("trust_score", "trust_scor").replace('== "high"', '== "hgh"')
    editor.type(name, 2, wrong)
    problems = editor.wait(name, {"cel.unknown_field", "cel.never_equal"})
    (scored,) = [one for one in problems if one["code"] == "cel.unknown_field"]
    assert (scored["severity"], scored["source"]) == (1, "pfgov")
    assert "did you mean `trust_score`?" in scored["message"]
    for one, meant in ((scored, "trust_score"), (problems[-1], "high")):
        asked = {
            "textDocument": {"uri": editor.uri(name)},
            "range": one["range"],
            "context": {"diagnostics": [one]},
        }
        (action,) = editor.ask("textDocument/codeAction", asked)
        assert action["title"] == f"Change to `{meant}`"
        ((_, (edit,)),) = action["edit"]["changes"].items()
        wrong = _edited(wrong, edit)
    assert wrong == POLICY
    editor.type(name, 3, wrong)
    editor.wait(name, set())

    # completion, in a text that does not parse at that moment
    for typed, wanted in (
        ("    require: member.", {"trust_score", "region", "load"}),
        ("    require: member.load.", {"active", "cpu"}),
        ('    when: packet.labels["', {"risk"}),
        ("    when: packet.labels.", {"risk"}),
        ("    require: params.", {"floor"}),
        ("    require: ", {"member", "packet", "class_within", "params"}),
        ("    on: [", {"place", "retain"}),
    ):
        text = f"{POLICY}  - id: more\n{typed}"
        editor.type(name, 4, text)
        items = editor.at("textDocument/completion", name, text, text)["items"]
        assert wanted <= {item["label"] for item in items}, typed
    editor.wait(name, {"policy.yaml.syntax"})

    # another file that was never opened, and a test whose rule is none
    editor.type(name, 5, POLICY)
    editor.wait(name, set())
    editor.open("policies/p.test.yaml", "apiVersion: pfgov/v1\nkind: PolicyTst\n")
    editor.wait("policies/p.test.yaml", {"policy.kind"})
    (editor.folder / "policies/q.policy.yaml").write_text(POLICY)  # the same name again
    editor.type(name, 6, f"{POLICY}\n")
    editor.wait("policies/q.policy.yaml", {"policy.duplicate_name"})
    (editor.folder / "policies/q.policy.yaml").unlink()
    editor.type(name, 7, POLICY)
    editor.wait("policies/q.policy.yaml", set())
    assert editor.leave() == 0


def test_what_lies_in_a_workspace_keeps_nothing_from_being_told(
    editor: Editor, tmp_path: Path
) -> None:
    """A pipe, a file that never ends or one that is no text silences or holds what is said of the others."""
    os.mkfifo(tmp_path / "a.policy.yaml")
    (tmp_path / "b.policy.yaml").symlink_to("/dev/zero")
    (tmp_path / "c.policy.yaml").write_bytes(b"apiVersion: \xff\n")
    with (tmp_path / "d.policy.yaml").open("wb") as endless:
        endless.truncate(1 << 40)
    editor.open("e.policy.yaml", "apiVersion: pfgov/v1\nkind: Polic\n")
    editor.wait("e.policy.yaml", {"policy.kind"})
    for name, code in (
        ("a.policy.yaml", "policy.unread"),
        ("b.policy.yaml", "policy.unread"),
        ("c.policy.yaml", "policy.yaml.encoding"),
        ("d.policy.yaml", "policy.yaml.too_large"),
    ):
        editor.wait(name, {code})
    assert editor.leave() == 0


def test_a_file_that_was_not_opened_is_read_by_no_question(editor: Editor, tmp_path: Path) -> None:
    """A question about a pipe holds the server for ever, one about what never ends takes all memory."""
    os.mkfifo(tmp_path / "a.policy.yaml")
    (tmp_path / "b.policy.yaml").symlink_to("/dev/zero")
    for name in ("a.policy.yaml", "b.policy.yaml", "c%00d.policy.yaml"):
        assert editor.at("textDocument/hover", name, "", "") is None
        assert editor.at("textDocument/completion", name, "", "")["items"] == []
        at = {"line": 0, "character": 0}
        asked = {"range": {"start": at, "end": at}, "context": {"diagnostics": []}}
        assert editor.at("textDocument/codeAction", name, "", "", **asked) == []
        editor.notify("textDocument/didSave", {"textDocument": {"uri": editor.uri(name)}})
    assert editor.leave() == 0


@pytest.mark.parametrize(
    "head", [b"Content-Length: 1%s\r\n\r\n" % (b"0" * zeros) for zeros in (10, 18, 30, 5_000)]
)
def test_a_message_that_is_longer_than_any_ends_the_server(head: bytes, tmp_path: Path) -> None:
    """A length that no editor states is a mistake of ours, or takes the memory that it says."""
    command = [sys.executable, "-m", "pfgov.cli", "policy", "lsp"]
    done = subprocess.run(
        command, input=head + b"{}", capture_output=True, check=False, cwd=tmp_path,
        env=environment(), timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    assert (done.returncode, b"input.too_large" in done.stderr) == (2, True)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="children are found in /proc")
def test_a_mistake_is_shown_while_the_folder_is_being_checked(editor: Editor) -> None:
    """A keystroke waits for the folder's check, a lost check is not begun again, or one outlives its server."""
    name = "policies/p.policy.yaml"
    editor.open(name, POLICY)
    editor.wait(name, set())
    (child,) = editor.children()
    os.kill(child, signal.SIGSTOP)
    editor.type(name, 2, POLICY.replace("trust_score", "trust_scor"))
    editor.wait(name, {"cel.unknown_field"})
    os.kill(child, signal.SIGKILL)
    while not editor.logged:
        editor.wait_for_more()
    assert str(editor.folder / "policies") in editor.logged[0]
    editor.type(name, 3, POLICY.replace("params.floor", "0.5"))
    editor.wait(name, {"policy.unused_param"})  # which only the folder's check finds
    (other,) = editor.children()
    assert other != child
    os.kill(other, signal.SIGSTOP)
    editor.type(name, 4, POLICY)
    assert editor.leave() == 0
    assert not Path(f"/proc/{other}").exists()


def _edited(text: str, edit: dict[str, Any]) -> str:
    """Return *text* after an edit within one line, given in UTF-16 units."""
    lines = text.split("\n")
    start, end = edit["range"]["start"], edit["range"]["end"]
    assert start["line"] == end["line"]
    raw = lines[start["line"]].encode("utf-16-le")
    before, after = raw[: start["character"] * 2], raw[end["character"] * 2 :]
    lines[start["line"]] = before.decode("utf-16-le") + edit["newText"] + after.decode("utf-16-le")
    return "\n".join(lines)
