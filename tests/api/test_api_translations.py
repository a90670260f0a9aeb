"""Exports in other people's formats over HTTP: the same as on the command line, and no more than a server can do."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.api_server import Api, problem

from pfgov.app import translating
from pfgov.lineage import FORMATS, convert, verified
from pfgov_ledger import keys


def filled(api: Api) -> Api:
    """A ledger with two members and three packets."""
    api.member("m1")
    api.member("m2")
    for number in range(3):
        api.packet(f"p{number}")
    api.post("/api/ledger/index")
    return api


@pytest.fixture
def busy(api: Api) -> Api:
    """A ledger that the test may change."""
    return filled(api)


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A ledger that is only read."""
    with Api(tmp_path_factory.mktemp("translations")) as api:
        yield filled(api)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("path", ["/api/ledger/export", "/api/packets/p1/export"])
def test_a_translation_is_that_of_the_command_line(
    name: str, path: str, read: Api, tmp_path: Path
) -> None:
    """A format is missing over HTTP, or is another one there than `ledger convert` makes of the same export."""
    plain, answer = read.get(path), read.get(f"{path}?as={name}")
    assert answer.status_code == 200, answer.text
    row = FORMATS[name]
    assert answer.headers["content-type"].partition(";")[0] == row.media_type
    assert answer.headers["pfgov-left-out"] == "; ".join(row.lacks)
    assert row.suffix in answer.headers["content-disposition"]
    (tmp_path / "export").write_bytes(plain.content)
    lineage = verified(tmp_path / "export", keys.parse_anchor(read.get("/api/ledger/key").text))
    log = keys.file_signer(read.directory / "keys" / "log.key")
    with (tmp_path / "translated").open("wb") as target:
        convert(lineage, name, target, log)
    assert (tmp_path / "translated").read_bytes() == answer.content


def test_a_receipt_over_http_holds(read: Api) -> None:
    """The server signs a receipt with another key than the one that its anchor names."""
    scitt = pytest.importorskip("scitt_cose")
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    anchor = keys.parse_anchor(read.get("/api/ledger/key").text)
    pem = Ed25519PublicKey.from_public_bytes(anchor.log_vkey.public).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    envelopes = read.get("/api/ledger/export?as=dsse").text.splitlines()
    receipts = read.get("/api/ledger/export?as=cose").text.splitlines()
    assert len(envelopes) == len(receipts) > 5
    for envelope, receipt in zip(envelopes, receipts, strict=True):
        found = scitt.verify_receipt(
            base64.b64decode(json.loads(receipt)["receipt"]),
            leaf_entry_hex=base64.b64decode(json.loads(envelope)["payload"]).hex(),
            log_public_key_pem=pem,
        )
        assert found.ok, found.errors


def test_an_unknown_format_is_refused(read: Api) -> None:
    """A misspelt format gives an export that is none of it."""
    for name in ("openlinage", "DSSE", "", "prov-n,dsse"):
        problem(read.get(f"/api/ledger/export?as={name}"), 400, "input.invalid")


def test_a_long_export_is_not_translated_by_the_server(
    busy: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks has the server work for as long as the ledger is long, or loses its share of exports."""
    whole = len(busy.get("/api/ledger/export?as=dsse").text.splitlines())
    monkeypatch.setattr(translating, "TRANSLATED_ENTRIES_MAX", whole - 1)
    for _ in range(12):
        problem(busy.get("/api/ledger/export?as=dsse"), 413, "export.too_long_to_translate")
    assert busy.get("/api/ledger/export?start=0&stop=4&as=dsse").status_code == 200


def test_a_translation_takes_the_rights_of_an_export(busy: Api) -> None:
    """A key that may not export gets the same in another format."""
    busy.keys()
    for scope, status in (("auditor", 200), ("submitter", 403), ("member:m1", 403)):
        assert busy.get("/api/ledger/export?as=prov-n", scope=scope).status_code == status


def test_what_does_not_verify_is_not_translated(busy: Api) -> None:
    """A server translates what its own anchor does not vouch for."""
    anchor = busy.directory / "anchor.txt"
    other = keys.SeedSigner(
        role="log", name=keys.parse_anchor(anchor.read_text()).log_vkey.name, seed=bytes(32)
    )
    anchor.write_text(f"{keys.vkey_of(other)}\n")
    problem(busy.get("/api/ledger/export?as=dsse"), 409, "ledger.lineage_not_verified")
