"""Approvals of a policy set through every door: whose does not count over HTTP counts through no other door, either.

The doors are HTTP, the command line against the server, and the console; a command line over the folder has one
principal and no keys, so that its cases are its own.
"""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Protocol

import httpx2
import msgspec
import pytest
from support.cli_server import RemoteLine, Served
from support.commandline import CommandLine
from support.console_api import FORM, HERE, fields_of

from pfgov.policy import load_directory

POLICY = """apiVersion: pfgov/v1
kind: Policy
metadata: {name: p, version: "1", description: d}
on: [register, place, retain]
rules:
  - id: eu
    require: member.region == "eu"
"""
FIRST, SECOND = POLICY, POLICY.replace('"eu"', '"us"')
_NUMBERS: Final = itertools.count()
_CODE: Final = re.compile(r'role="alert".*?<p class="small"><code>([a-z_.]+)</code>', re.DOTALL)


class Door(Protocol):
    """Each way to propose, to agree, and to make binding; what is refused is answered with its code."""

    def propose(self, key: str, text: str) -> str: ...
    def approve(self, key: str, digest: str, at: int) -> str: ...
    def activate(self, key: str, text: str) -> str: ...


class Http:
    """Requests."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, method: str, path: str, **more: Any) -> httpx2.Response:
        """Send one request over a connection of its own."""
        return httpx2.request(method, f"{self.url}{path}", trust_env=False, timeout=60, **more)

    def _post(self, key: str, path: str, body: dict[str, Any]) -> str:
        headers = {"Authorization": f"Bearer {key}"}
        answer = self.ask("POST", f"/api/policies/{path}", json=body, headers=headers)
        return "" if answer.is_success else str(answer.json()["code"])

    def propose(self, key: str, text: str) -> str:
        """Post the files."""
        return self._post(key, "proposals", {"files": {"p.policy.yaml": text}})

    def approve(self, key: str, digest: str, at: int) -> str:
        """Post the entry that was looked at."""
        return self._post(key, f"proposals/{digest}/approve", {"proposal": at})

    def activate(self, key: str, text: str) -> str:
        """Post the files again."""
        return self._post(key, "activate", {"files": {"p.policy.yaml": text}})


class Console(Http):
    """The pages, each with the session of a key."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._cookies: dict[str, str] = {}

    def _send(self, key: str, path: str, form: dict[str, str]) -> httpx2.Response:
        if key not in self._cookies:
            signing = {"data": {"key": key}, "headers": {**HERE, **FORM}}
            answer = self.ask("POST", "/console/sign-in", **signing)
            self._cookies[key] = answer.headers["set-cookie"].partition(";")[0]
        headers = {**HERE, **FORM, "Cookie": self._cookies[key]}
        form = {"key": f"form-{next(_NUMBERS)}", **form}
        return self.ask("POST", f"/console/{path}", data=form, headers=headers)

    def _said(self, answer: httpx2.Response) -> str:
        if answer.status_code == 303:
            return ""
        found = _CODE.search(answer.text)
        assert found is not None, answer.text
        return found[1]

    def _try(self, key: str, do: str, text: str, **more: str) -> httpx2.Response:
        form = {"do": do, "text": text, "packet": "{}", "members": "[]", **more}
        return self._send(key, "policies/try", form)

    def propose(self, key: str, text: str) -> str:
        """Press the button of the playground."""
        return self._said(self._try(key, "propose", text))

    def approve(self, key: str, digest: str, at: int) -> str:
        """Send the form of the proposal that was shown."""
        return self._said(self._send(key, f"do/approve_proposal/{digest}", {"proposal": str(at)}))

    def activate(self, key: str, text: str) -> str:
        """Weigh the text, type what is asked, and press the button."""
        weighed = fields_of(self._try(key, "weigh", text).text)["weighed"]
        return self._said(self._try(key, "activate", text, weighed=weighed, typed=weighed[:8]))


class Line:
    """The command line against the server, with the key in its variable."""

    def __init__(self, line: RemoteLine, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._line, self._folder, self._patch = line, folder, monkeypatch

    def _run(self, key: str, *arguments: object) -> str:
        self._patch.setenv("PFGOV_API_KEY", key)
        said = self._line("policy", *arguments, "--json")
        return "" if said.status == 0 else str(said.error["code"])

    def _written(self, text: str) -> Path:
        self._folder.mkdir(exist_ok=True)
        (self._folder / "p.policy.yaml").write_text(text)
        return self._folder

    def propose(self, key: str, text: str) -> str:
        """Run ``policy propose``."""
        return self._run(key, "propose", self._written(text))

    def approve(self, key: str, digest: str, at: int) -> str:
        """Run ``policy approve``."""
        return self._run(key, "approve", digest, "--proposal", at)

    def activate(self, key: str, text: str) -> str:
        """Run ``policy activate --yes``."""
        return self._run(key, "activate", self._written(text), "--yes")


class Office:
    """A served ledger that demands approvals, people with keys, and one door to it."""

    def __init__(self, served: Served, door: Door) -> None:
        self.served, self.door = served, door
        self._ids: dict[str, str] = {}
        self.ann = self.key("ann", "admin", "operator", "auditor")

    def key(self, name: str, *scopes: str) -> str:
        """Make a key."""
        record, key = self.served.keyring.create(scopes, name=name, now=1)
        self._ids[key] = record.id
        return key

    def revoke(self, key: str) -> None:
        """Let a key in no more."""
        self.served.keyring.revoke(self._ids[key], now=2)

    def narrow(self, key: str) -> None:
        """Take ``admin`` from a key, as whoever may write the file of keys can."""
        path = self.served.keyring.path
        kept = msgspec.json.decode(path.read_bytes())
        for one in kept["keys"]:
            if one["id"] == self._ids[key]:
                one["scopes"] = ["auditor"]
        path.write_bytes(msgspec.json.encode(kept))

    def get(self, path: str) -> Any:
        """Read something, as ann."""
        headers = {"Authorization": f"Bearer {self.ann}"}
        answer = Http(self.served.url).ask("GET", path, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    @property
    def binding(self) -> str:
        """The digest of the binding set."""
        return str(self.get("/api/policies")["digest"])

    def proposed(self, text: str, by: str | None = None) -> tuple[str, int]:
        """Propose a set and return its digest and the entry of the proposal."""
        assert self.door.propose(by or self.ann, text) == ""
        (found,) = self.get("/api/policies/proposals")["items"]
        return found["digest"], found["proposal"]

    def refused(self, code: str, said: str) -> None:
        """Require that something was refused with *code*, changed nothing, and is on record."""
        assert said == code
        with self.served.engine.reader.snapshot() as queries:
            *_, row = queries.entries()
        newest = msgspec.json.decode(row.raw)
        assert (newest["type"], newest["body"]["code"]) == ("policy_change_refused", code)

    def goes_on(self, text: str, digest: str, at: int) -> None:
        """Require that it was only the missing approval: with that of somebody else the set becomes binding."""
        assert self.door.approve(self.key("zoe", "admin", "operator", "auditor"), digest, at) == ""
        assert self.door.activate(self.ann, text) == ""
        assert self.binding == digest
        self.served.engine.reader.replay()


DOORS: Final = ("HTTP", "console", "command line")


@pytest.fixture(params=DOORS)
def office(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Office]:
    """Give an office behind each door."""
    directory = tmp_path / "ledger"
    line = CommandLine(directory, capsys)
    line.ok("init")
    line.ok("config", "set", "activation_approvals=1")
    with Served(directory) as served:
        doors: dict[str, Door] = {
            "HTTP": Http(served.url),
            "console": Console(served.url),
            "command line": Line(RemoteLine(served.url, capsys), tmp_path / "set", monkeypatch),
        }
        yield Office(served, doors[request.param])


def test_whoever_proposed_does_not_count(office: Office) -> None:
    """The proposer agrees to its own set, at once or by trying again."""
    before = office.binding
    digest, at = office.proposed(FIRST)
    for _ in range(2):
        office.refused("policy.own_proposal", office.door.approve(office.ann, digest, at))
    office.refused("policy.not_approved", office.door.activate(office.ann, FIRST))
    assert office.binding == before
    office.goes_on(FIRST, digest, at)


def test_keys_of_one_name_are_one_person(office: Office) -> None:
    """A second key of one name is a second person: of who proposed, or of who approved already."""
    office.served.engine.submit(_settings("activation_approvals", "2"), principal=_local())
    before = office.binding
    digest, at = office.proposed(FIRST)
    ben = office.key("ben", "admin", "operator", "auditor")
    assert office.door.approve(ben, digest, at) == ""
    for name, code in (("Ann", "policy.own_proposal"), ("b e n", "policy.approved_already")):
        twin = office.key(name, "admin", "operator", "auditor")
        office.refused(code, office.door.approve(twin, digest, at))
    office.refused("policy.approved_already", office.door.approve(ben, digest, at))
    office.refused("policy.not_approved", office.door.activate(office.ann, FIRST))
    assert office.binding == before
    office.goes_on(FIRST, digest, at)


def test_an_approval_does_not_outlive_a_change_of_the_proposal(office: Office) -> None:
    """What was agreed to goes on counting for another set, or for a proposal that was made anew."""
    before = office.binding
    ben = office.key("ben", "admin", "operator", "auditor")
    digest, at = office.proposed(FIRST)
    assert office.door.approve(ben, digest, at) == ""
    office.refused("policy.not_approved", office.door.activate(office.ann, SECOND))
    withdrawn = Http(office.served.url).ask(
        "POST",
        f"/api/policies/proposals/{digest}/reject",
        json={"proposal": at},
        headers={"Authorization": f"Bearer {office.ann}"},
    )
    assert withdrawn.status_code == 200
    again, later = office.proposed(FIRST)
    assert (again, later > at) == (digest, True)
    office.refused("policy.not_approved", office.door.activate(office.ann, FIRST))
    assert office.door.approve(ben, digest, at) == "policy.proposal_changed"
    office.refused("policy.not_approved", office.door.activate(office.ann, FIRST))
    assert office.binding == before
    office.goes_on(FIRST, digest, later)


@pytest.mark.parametrize("how", ["revoked", "narrowed"])
def test_an_approval_ends_with_the_right_to_give_it(office: Office, how: str) -> None:
    """Who may not approve any more still stands behind a set."""
    before = office.binding
    ben = office.key("ben", "admin", "operator", "auditor")
    digest, at = office.proposed(FIRST)
    assert office.door.approve(ben, digest, at) == ""
    (office.revoke if how == "revoked" else office.narrow)(ben)
    office.refused("policy.not_approved", office.door.activate(office.ann, FIRST))
    assert office.binding == before
    office.goes_on(FIRST, digest, at)


# --- over the folder ------------------------------------------------------------------------------


def _settings(name: str, value: str) -> Any:
    from pfgov.core import commands as c

    return c.Configure(settings=((name, value),))


def _local() -> Any:
    from pfgov.core import commands as c

    return c.LOCAL_OPERATOR


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """Give the command line over the folder of a ledger that demands one approval."""
    line = CommandLine(tmp_path / "ledger", capsys)
    line.ok("init")
    line.ok("config", "set", "activation_approvals=1")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "p.policy.yaml").write_text(FIRST)
    return line


def refused_on_record(desk: CommandLine, code: str, *arguments: object) -> None:
    """Require that a command is refused with *code*, and that this is the newest entry."""
    assert desk.refused(*arguments)["code"] == code
    newest = desk.ok("ledger", "log", "--limit", "1")["entries"][-1]
    assert (newest["type"], newest["body"]["code"]) == ("policy_change_refused", code)


def test_whoever_proposed_over_the_folder_does_not_count(desk: CommandLine, tmp_path: Path) -> None:
    """Whoever has the folder proposes and agrees alone."""
    folder = tmp_path / "set"
    digest = desk.ok("policy", "propose", folder)["digest"]
    for _ in range(2):
        refused_on_record(desk, "policy.own_proposal", "policy", "approve", digest)
    refused_on_record(desk, "policy.not_approved", "policy", "activate", folder, "--yes")
    assert desk.ok("policy", "show")["policy"]["digest"] != digest
    desk.ok("ledger", "replay")


def test_over_the_folder_nobody_answers_for_a_key(desk: CommandLine, tmp_path: Path) -> None:
    """Approvals by keys count where no key can be asked: one of them may be revoked."""
    folder = tmp_path / "set"
    digest = load_directory(folder).digest
    with Served(desk.directory) as served:
        office = Office(served, Http(served.url))
        _, at = office.proposed(FIRST)
        assert office.door.approve(office.key("ben", "admin"), digest, at) == ""
    refused_on_record(desk, "policy.not_approved", "policy", "activate", folder, "--yes")
    desk.ok("policy", "approve", digest)
    refused_on_record(desk, "policy.approved_already", "policy", "approve", digest)
    assert desk.ok("policy", "activate", folder, "--yes")["policy"]["digest"] == digest
    desk.ok("ledger", "replay")


def test_over_the_folder_an_approval_ends_with_its_proposal(
    desk: CommandLine, tmp_path: Path
) -> None:
    """An approval over the folder counts for another set, or for a proposal that was made anew."""
    folder = tmp_path / "set"
    with Served(desk.directory) as served:
        digest, at = Office(served, Http(served.url)).proposed(FIRST)
    desk.ok("policy", "approve", digest)
    (folder / "p.policy.yaml").write_text(SECOND)
    refused_on_record(desk, "policy.not_approved", "policy", "activate", folder, "--yes")
    (folder / "p.policy.yaml").write_text(FIRST)
    desk.ok("policy", "reject", digest)
    with Served(desk.directory) as served:
        Office(served, Http(served.url)).proposed(FIRST)
    refused_on_record(desk, "policy.not_approved", "policy", "activate", folder, "--yes")
    said = desk.refused("policy", "approve", digest, "--proposal", at)
    assert said["code"] == "policy.proposal_changed"
    desk.ok("policy", "approve", digest)
    assert desk.ok("policy", "activate", folder, "--yes")["policy"]["digest"] == digest
