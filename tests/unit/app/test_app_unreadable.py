"""What lies in a file of ours may be no text, nested beyond what can be followed, or of a time that no calendar has.

msgspec lets the first two through as errors of others.  Each reader says what it says of a file that is no JSON; which
files there are, and that they may be pipes, is :mod:`test_app_files`'.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.shelf import Shelf, run

from pfgov.app.change.bundling import BundleError, opened
from pfgov.app.tenancy.listing import listed
from pfgov.app.tenancy.notes import FILE, Note, read_note
from pfgov.app.views.verdicts import read_table
from pfgov.app.webhook import Delivery, Webhooks
from pfgov.app.webhook import delivering as webhook
from pfgov.app.webhook import endpoints as webhook_file
from pfgov.cli.inputs import moment_of
from pfgov.decoding import Reader
from pfgov.engine.reading import impact
from pfgov.engine.witnessing import keeping
from pfgov.errors import InvalidError, PfgovError, StoreCorruptError, StoreUnavailableError
from pfgov.limits import INTEGER_MAX
from pfgov.model.times import to_moment
from pfgov.storage import open_store
from pfgov_api.keyring import FILE as KEYS
from pfgov_api.keyring import KeyRing
from pfgov_api.oidc.settings import SettingsError, read_settings
from pfgov_ledger import dsse, envelope, keys

DEEP = b"[" * 3_000 + b"]" * 3_000
NO_TEXT = b'"\xff"'


class _Named(msgspec.Struct):
    a: str = ""
    n: int = 0


@pytest.mark.parametrize(
    "raw", [b'{"a":%s}' % NO_TEXT, b'{"b":%s}' % DEEP, b'{"n":1e400}', b"", b"null", b"\xef\xbb\xbf{}"]
)  # fmt: skip
def test_whatever_is_wrong_with_json_is_one_error(raw: bytes) -> None:
    """No UTF-8, or brackets in brackets where nobody looks, is an error that no reader of files expects."""
    with pytest.raises(msgspec.DecodeError):
        Reader[_Named](_Named).decode(raw)
    if b"\xff" in raw or DEEP in raw:
        with pytest.raises(msgspec.DecodeError, match=r"UTF-8|deep"):
            Reader[Any](Any).decode(raw)


def _key(**fields: Any) -> bytes:
    one = {"id": "a", "digest": "d", "scopes": ["operator"], "created_at": 1, **fields}
    return json.dumps({"keys": [one]}).encode()


@pytest.mark.parametrize(
    "raw",
    [
        _key(name="NAME").replace(b'"NAME"', NO_TEXT),
        _key(created_at=10**18),
        _key(created_at=-1),
        _key(revoked_at=2**63 - 1),
        b'{"keys":%s}' % DEEP,
        b'{"keys":[],"more":%s}' % DEEP,
    ],
)  # fmt: skip
def test_a_file_of_keys_that_is_none_lets_nobody_in(tmp_path: Path, raw: bytes) -> None:
    """A damaged file of keys is a mistake of ours for each request, or one key's time breaks the list of all."""
    path = tmp_path / KEYS
    ring = KeyRing(path)
    _, text = ring.create(("operator",), now=1)
    grant = ring.grant(f"Bearer {text}")
    assert grant.holds()
    path.write_bytes(raw)
    for ask in (ring.records, lambda: ring.grant(f"Bearer {text}")):
        with pytest.raises(StoreUnavailableError) as caught:
            ask()
        assert caught.value.code == "key.file"
    assert not grant.holds()


NOTES: dict[str, Callable[[bytes], bytes]] = {
    "no text": lambda raw: raw.replace(b'"one.test/x"', NO_TEXT),
    "far ahead": lambda raw: raw.replace(b'"due":7', b'"due":9000000000000000000'),
    "long ago": lambda raw: raw.replace(b'"due":7', b'"due":-9000000000000000000'),
    "beyond any number": lambda raw: raw.replace(b'"due":7', b'"due":1' + b"0" * 30),
    "deep": lambda raw: raw.replace(b'"one.test/x"', DEEP),
}


@pytest.mark.parametrize("name", NOTES)
def test_the_note_of_one_ledger_keeps_no_other_from_being_found(tmp_path: Path, name: str) -> None:
    """A note beside one ledger of many that pfgov never left: none is found, none is listed."""
    shelf = Shelf(tmp_path, "alpha", "beta")
    alpha = shelf.folder / "alpha"
    note = Note(open_store(alpha).stamp() or "", "one.test/x", 2, "ab", 7)
    (alpha / FILE).write_bytes(NOTES[name](msgspec.json.encode(note)))
    assert read_note(alpha) is None
    assert [(one.name, one.state, one.size) for one in listed(shelf.folder)] == [
        ("alpha", "readable", 2), ("beta", "readable", 2),
    ]  # fmt: skip

    async def story() -> None:
        keeper = shelf.keeper()
        await keeper.scan()
        assert set(keeper.places) == {"alpha", "beta"}
        await keeper.stop()

    run(story())


def test_what_is_kept_beside_a_ledger_is_asked_again_where_it_is_none(tmp_path: Path) -> None:
    """A server does not start because of what it kept of a witness or a receiver."""
    for raw in (b"{%s:1}" % NO_TEXT, b'{"a":%s}' % DEEP):
        (tmp_path / keeping.KNOWN).write_bytes(raw)
        assert keeping.load_known(tmp_path) == {}
        (tmp_path / webhook.FILE).write_bytes(raw)
        nobody = Webhooks((), frozenset())
        told = Delivery(nobody, tmp_path, since=lambda *_: (), size=int, now=int)
        assert told.standings == {}


@pytest.mark.parametrize("raw", [b'issuer = "\xff"', b"a = " + DEEP, b"a = " + b"1" * 5_000])
def test_settings_that_are_none_are_named(tmp_path: Path, raw: bytes) -> None:
    """A file of an issuer's settings, or of receivers, that is no text, or nested, is a mistake of ours."""
    path = tmp_path / "oidc.toml"
    path.write_bytes(raw)
    with pytest.raises(SettingsError, match=r"oidc\.toml"):
        read_settings(path)
    with pytest.raises(PfgovError, match=r"oidc\.toml"):
        webhook_file.read_webhooks(path)


def _bundle(payload: bytes) -> bytes:
    signer = keys.generate(role="publisher", name="one.test/publisher")
    sealed = envelope.seal(signer, dsse.BUNDLE_TYPE, payload)
    made = {"document": "", "envelope": sealed, "files": {}, "format": "pfgov-policy-bundle/1"}
    return envelope.encode(made) + b"\n"


def test_reports_tables_and_bundles_that_are_none_are_named() -> None:
    """What somebody hands over as a report, a table of verdicts or a bundle is a mistake of ours."""
    for raw in (b'{"more":%s}' % DEEP, b'{"binding":%s}' % NO_TEXT, NO_TEXT, DEEP):
        with pytest.raises(InvalidError) as refused:
            impact.decode(raw)
        assert refused.value.code == "impact.report"
        with pytest.raises(StoreCorruptError):
            read_table(raw)
        with pytest.raises(BundleError):
            opened(raw)
        with pytest.raises(BundleError):
            opened(_bundle(raw))


def test_a_moment_that_no_calendar_has_is_an_error_of_ours() -> None:
    """A changed time in a database, or a span of a million years, is a mistake of ours."""
    assert to_moment(INTEGER_MAX).startswith("2255-")
    for beyond in (2**63 - 1, -(2**63), 10**30):
        with pytest.raises(StoreCorruptError):
            to_moment(beyond)
    with pytest.raises(PfgovError):
        moment_of("999999999d", 0)
