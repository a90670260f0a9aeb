"""A ledger is made over HTTP: by who may, whole or not at all, once, and its key is its owner's alone."""

import asyncio
import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.api_server import SCOPES, problem
from support.named_server import NamedApi, ledger_at

from pfgov.app.tenancy import limits, making
from pfgov.client.first_key import draw_key, named
from pfgov.engine import Engine, LedgerReader
from pfgov.storage import open_store

KEY = draw_key()
NEW: dict[str, Any] = {"name": "gamma", "key": named(KEY)}
DOMAIN = "ledgers.example.org"


@pytest.fixture
def many(tmp_path: Path) -> Iterator[NamedApi]:
    """A default ledger with keys, and two beside it."""
    with NamedApi(tmp_path, check=None, domain=DOMAIN) as found:
        found.keys("")
        yield found


def _make(many: NamedApi, body: Any = NEW, **options: Any) -> Any:
    options.setdefault("key", many.keys("")["admin"])
    return many.post("/api/ledgers", body, **options)


def test_a_ledger_is_made_and_served(many: NamedApi) -> None:
    """A ledger that was made is not served, or by another key, or its key is kept or shown somewhere."""
    answer = _make(many)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["name"], made["path"], made["host"]) == ("gamma", "/l/gamma", f"gamma.{DOMAIN}")
    assert made["key"] == NEW["key"]["id"]
    assert KEY not in answer.text
    for path, headers in (("/l/gamma/api/keys", {}), ("/api/keys", {"host": f"gamma.{DOMAIN}"})):
        keys = many.get(path, key=KEY, headers=headers).json()["keys"]
        assert [(one["id"], one["scopes"]) for one in keys] == [
            (NEW["key"]["id"], ["admin", "assessor", "operator"])
        ]
    many.member("gamma", key=KEY)
    assert many.get("/l/gamma/api/status", key=KEY).json()["origin"] == made["origin"]
    assert many.get("/l/gamma/api/ledger/key", key=KEY).text.strip() in made["anchor"]
    for key in (*many.keys("").values(), *many.keys("alpha").values()):
        problem(many.get("/l/gamma/api/status", key=key), 401, "http.unauthenticated")
    secret = KEY.rpartition("_")[2].encode()
    for place in (many.folder, many.default.directory):
        assert not [one for one in place.rglob("*") if one.is_file() and secret in one.read_bytes()]
    assert (many.folder / "gamma").stat().st_mode & 0o077 == 0
    listed = many.get("/api/ledgers", key=many.keys("")["admin"]).json()["items"]
    assert [one["name"] for one in listed] == ["alpha", "beta", "gamma"]
    assert {one.name for one in many.folder.iterdir()} == {"alpha", "beta", "gamma"}


def test_the_same_request_again_is_the_same_ledger(many: NamedApi) -> None:
    """A request whose answer was lost makes a second ledger, or is refused, or changes the one that it made."""
    first = _make(many)
    before = {one.name: one.read_bytes() for one in (many.folder / "gamma").glob("*.json")}
    again = _make(many)
    assert (again.status_code, again.json()) == (201, first.json())
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    for body in (
        {**NEW, "key": named(draw_key())},
        {**NEW, "key": {**NEW["key"], "id": "aaaaaaaa"}},
    ):
        problem(_make(many, body), 409, "ledger.exists")
    ring = many.default.keyring
    _, other = ring.create(("admin",), now=1)
    problem(_make(many, key=other), 409, "ledger.exists")
    assert before == {one.name: one.read_bytes() for one in (many.folder / "gamma").glob("*.json")}


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../gamma", "a/b", "/tmp/x", "A", "a_b", "a.b", "-a", "a-", "a\n", "a\x00", "\xe4", "a" * 64, " a",
     ".making-0", "a b", "%2e%2e", 7, None, ["a"], {}],
)  # fmt: skip
def test_what_is_no_name_is_refused(many: NamedApi, name: Any) -> None:
    """A name leads out of the folder, or makes a folder that is never served."""
    before = sorted(many.folder.parent.rglob("*"))
    problem(_make(many, {**NEW, "name": name}), 400)
    assert sorted(many.folder.parent.rglob("*")) == before


@pytest.mark.parametrize(
    "name", ["l", "api", "con", "console", "nul", "xn--mnchen-3ya", "0", "a" * 63]
)
def test_odd_names_are_names(many: NamedApi, name: str) -> None:
    """A name that a path or a file system could stumble upon is refused, or not served."""
    assert _make(many, {**NEW, "name": name}).status_code == 201
    assert many.get(f"/l/{name}/api/status", key=KEY).status_code == 200


@pytest.mark.parametrize(
    "key",
    [{"id": "a" * 8}, {"digest": "0" * 64}, {"id": "A" * 8, "digest": "0" * 64}, {"id": "a" * 9, "digest": "0" * 64},
     {"id": "a" * 8, "digest": "0" * 63}, {"id": "a" * 8, "digest": "G" * 64}, {"id": "../../..", "digest": "0" * 64},
     {"id": "a" * 8, "digest": "0" * 64, "scopes": ["emergency"]},
     pytest.param(KEY, id="a-whole-key")],
)  # fmt: skip
def test_what_is_no_first_key_is_refused(many: NamedApi, key: Any) -> None:
    """A key is taken that nobody could have, or one that came whole over the wire."""
    problem(_make(many, {"name": "gamma", "key": key}), 400)
    assert not (many.folder / "gamma").exists()


def test_who_may_not_makes_nothing(many: NamedApi) -> None:
    """A ledger is made for somebody without the right, or for the administrator of another ledger."""
    for scope in SCOPES:
        if scope != "admin":
            problem(_make(many, key=many.keys("")[scope]), 403, "access.forbidden")
    problem(_make(many, key=None), 401)
    problem(_make(many, key=many.keys("alpha")["admin"]), 401)
    for path, headers in (
        ("/l/alpha/api/ledgers", {}),
        ("/api/ledgers", {"host": f"alpha.{DOMAIN}"}),
    ):
        own = many.post(path, NEW, key=many.keys("alpha")["admin"], headers=headers)
        problem(own, 404, "ledger.alone")
    problem(_make(many, headers={"origin": "https://elsewhere.example"}), 403, "http.cross_site")
    assert {one.name for one in many.folder.iterdir()} == {"alpha", "beta"}


def test_a_ledger_without_a_key_would_be_nobodys(many: NamedApi) -> None:
    """A ledger is made that nobody can enter."""
    said = problem(_make(many, {"name": "gamma"}), 400)
    assert said["errors"][0]["pointer"] == "/key"
    assert not (many.folder / "gamma").exists()


def test_with_shared_keys_it_needs_none(tmp_path: Path) -> None:
    """With shared keys a ledger gets one of its own that opens nothing, or the shared ones do not open it."""
    with NamedApi(tmp_path, share=True, check=None) as found:
        problem(_make(found), 400)
        assert _make(found, {"name": "gamma"}).json()["key"] is None
        key = found.keys("")["operator"]
        assert found.get("/l/gamma/api/status", key=key).status_code == 200


def test_without_keys_it_is_everybodys_here(tmp_path: Path) -> None:
    """Where nobody needs a key, a ledger cannot be made without; or a page elsewhere makes one."""
    with NamedApi(tmp_path) as found:
        assert found.post("/api/ledgers", {"name": "gamma"}).json()["key"] is None
        found.member("gamma")
        problem(
            found.post("/api/ledgers", {"name": "delta"}, headers={"host": "evil.example"}), 403
        )
        assert not (found.folder / "delta").exists()


@pytest.mark.parametrize(
    "what", ["a ledger", "an empty folder", "a file", "a link to nothing", "a link"]
)
def test_what_is_there_is_left_alone(many: NamedApi, what: str) -> None:
    """Something by that name is replaced, written to, or followed."""
    place = many.folder / "gamma"
    match what:
        case "a ledger":
            ledger_at(many.folder, "gamma")
        case "an empty folder":
            place.mkdir()
        case "a file":
            place.write_text("x")
        case "a link to nothing":
            place.symlink_to(many.folder / "nothing")
        case _:
            place.symlink_to(many.folder / "alpha")
    before = sorted(many.folder.rglob("*"))
    problem(_make(many), 409, "ledger.exists")
    assert sorted(many.folder.rglob("*")) == before


def test_a_server_of_one_makes_none(many: NamedApi) -> None:
    """A server without a folder of ledgers makes one somewhere."""
    many.default.service.named = None
    problem(_make(many), 404, "ledger.alone")
    many.default.service.named = many.named


def test_there_are_so_many(many: NamedApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder is filled with more ledgers than are served."""
    monkeypatch.setattr(limits, "NAMED_LEDGERS_MAX", 2)
    problem(_make(many), 409, "ledger.too_many")
    assert {one.name for one in many.folder.iterdir()} == {"alpha", "beta"}


def test_two_at_once_are_one(many: NamedApi) -> None:
    """Two requests for one name make two halves, or one of them takes the other's place."""
    headers = {"Authorization": f"Bearer {many.keys('')['admin']}"}

    async def both(*bodies: Any) -> list[Any]:
        asked = [many.client.post("/api/ledgers", json=one, headers=headers) for one in bodies]
        return await asyncio.gather(*asked)

    first, second = many.run(both(NEW, NEW))
    assert [first.status_code, second.status_code] == [201, 201]
    assert first.json() == second.json()
    other = {"name": "delta", "key": named(draw_key())}
    mine, theirs = many.run(both({**NEW, "name": "delta"}, other))
    assert sorted((mine.status_code, theirs.status_code)) == [201, 409]
    works = many.get("/l/delta/api/status", key=KEY).status_code == 200
    assert works is (mine.status_code == 201)
    assert len(list(many.folder.iterdir())) == 4


def test_a_key_that_ended_while_others_were_made_makes_nothing(
    many: NamedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever's key is revoked goes on making ledgers, each with a first key of his own, for as long as his requests
    wait their turn.
    """
    ring, key = many.default.keyring, many.keys("")["admin"]

    class Busy(asyncio.Lock):
        """A turn that comes when the keys are revoked."""

        async def __aenter__(self) -> None:
            """Wait for it."""
            for record in ring.records():
                ring.revoke(record.id, now=1)
            await super().__aenter__()

    monkeypatch.setattr(many.named, "_making", Busy())
    problem(_make(many, key=key), 401, "principal.ended")
    assert {one.name for one in many.folder.iterdir()} == {"alpha", "beta"}


# --- whole or not at all --------------------------------------------------------------------------


def _fails(*_: Any, **__: Any) -> Any:
    raise OSError(errno.ENOSPC, "No space left on device")


STEPS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "the folder": lambda patch: patch.setattr(Path, "mkdir", _fails),
    "the ledger": lambda patch: patch.setattr(
        "pfgov.storage.sqlite.store.SqliteStore.lock_writer", _fails
    ),
    "the policies": lambda patch: patch.setattr(Engine, "activate", _fails),
    "the key": lambda patch: patch.setattr("pfgov_api.keyring.replace_private", _fails),
    "the note": lambda patch: patch.setattr(making, "replace_private", _fails),
    "the move": lambda patch: patch.setattr(Path, "rename", _fails),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_disk_that_is_full_leaves_nothing(
    many: NamedApi, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger that could not be made is there in part, keeps its name, or shows its folder."""
    with monkeypatch.context() as patch:
        STEPS[step](patch)
        answer = _make(many)
    assert answer.status_code in {500, 503}, answer.text
    assert {one.name for one in many.folder.iterdir()} == {"alpha", "beta"}
    problem(many.get("/l/gamma/api/status", key=KEY), 404, "ledger.unknown")
    assert (
        many.get("/api/health/ready").status_code == 200
    )  # it is not the default ledger's trouble
    assert _make(many).status_code == 201
    assert many.get("/l/gamma/api/status", key=KEY).status_code == 200


@pytest.mark.parametrize("step", [one for one in STEPS if one != "the folder"])
def test_a_process_that_ends_between_two_steps_leaves_nothing_that_is_served(
    many: NamedApi, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a crash half a ledger is served, takes the name, or lies there for ever."""
    with monkeypatch.context() as patch:
        STEPS[step](patch)
        patch.setattr(making.shutil, "rmtree", lambda *_, **__: None)
        assert _make(many).status_code in {500, 503}
    left = [one for one in many.folder.iterdir() if one.name.startswith(making.UNFINISHED)]
    assert len(left) == 1
    many.run(many.keeper.scan())
    assert sorted(many.keeper.places) == ["alpha", "beta"]
    assert _make(many).status_code == 201
    assert left[0].exists()  # another process may be at it
    now = many.default.clock.now() / 1_000_000
    os.utime(left[0], (now, now - limits.UNFINISHED_SECONDS - 1))
    assert _make(many, {**NEW, "name": "delta"}).status_code == 201
    assert sorted(one.name for one in many.folder.iterdir()) == ["alpha", "beta", "delta", "gamma"]


def test_what_was_made_verifies(many: NamedApi) -> None:
    """A ledger that was made over HTTP is another than one of ``pfgov init``."""
    assert _make(many).status_code == 201
    with LedgerReader(open_store(many.folder / "gamma")) as reader:
        types = [one.row.type for one in reader.entries()]
    with LedgerReader(open_store(many.folder / "alpha")) as reader:
        assert types[:2] == [one.row.type for one in reader.entries()][:2]
    made = making._MADE.decode((many.folder / "gamma" / making.MADE).read_bytes())
    assert made.by.startswith("key:")
    assert hashlib.sha256(KEY.encode()).hexdigest() == NEW["key"]["digest"]
