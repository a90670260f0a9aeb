"""FORMAT.md and its vectors say what the code does."""

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from conformance.ledger import ledger_primitives

from pfgov_ledger import canonical, dsse, ed25519, entry, errors, vocabulary

FORMAT = (Path(__file__).parents[3] / "ledger" / "FORMAT.md").read_text(encoding="utf-8")
VECTORS: dict[str, Any] = json.loads(ledger_primitives.PATH.read_text(encoding="utf-8"))


def _blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", FORMAT, re.DOTALL)


def test_the_primitive_vectors_are_what_the_code_gives() -> None:
    """ledger/vectors/primitives.json is not what the code gives: run ledger_primitives.py, and say why it changed."""
    assert ledger_primitives.PATH.read_text(encoding="utf-8") == ledger_primitives.text()


def test_the_vectors_hold_by_hashes_alone() -> None:
    """Leaf hashes, chain, tree and signatures recomputed here from the format's words, with none of its code."""
    issuer = bytes.fromhex(VECTORS["keys"][1]["public"])
    previous, leaves = "00" * 32, []
    for seq, item in enumerate(VECTORS["entries"]):
        raw = item["raw"].encode()
        fields = json.loads(raw)
        assert (
            json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
            == raw
        )
        assert (fields["seq"], fields["prev"]) == (seq, previous)
        assert fields["issuer"] == hashlib.sha256(issuer).hexdigest()
        leaf = hashlib.sha256(b"\x00" + raw).digest()
        assert leaf.hex() == item["leaf"]
        kind = "application/vnd.pfgov.entry.v1+json"
        pae = b"DSSEv1 " + f"{len(kind)} {kind} {len(raw)} ".encode() + raw
        assert hashlib.sha256(pae).hexdigest() == item["pae_sha256"]
        assert ed25519.verify_pure(issuer, pae, base64.b64decode(item["signature"]))
        previous = item["leaf"]
        leaves.append(leaf)

    def root(hashes: list[bytes]) -> bytes:
        if len(hashes) < 2:
            return hashes[0] if hashes else hashlib.sha256(b"").digest()
        k = 1 << (len(hashes) - 1).bit_length() - 1
        return hashlib.sha256(b"\x01" + root(hashes[:k]) + root(hashes[k:])).digest()

    assert [root(leaves[:size]).hex() for size in range(len(leaves) + 1)] == VECTORS["roots"]


def test_the_printed_entry_and_checkpoint_are_the_vectors() -> None:
    """The examples at the head of FORMAT.md are entry 4 and the checkpoint of the vectors."""
    (shown,) = _blocks("entry")
    assert shown.strip() == VECTORS["entries"][4]["raw"]
    assert entry.parse(shown.strip().encode()).leaf.hex() == VECTORS["entries"][4]["leaf"]
    assert VECTORS["entries"][4]["leaf"] in FORMAT
    assert _blocks("note") == [VECTORS["checkpoint"]]
    assert _blocks("anchor") == [VECTORS["anchor"]]


@pytest.mark.parametrize(("code", "raw"), VECTORS["canonical"]["refused_base64"].items())
def test_refused_bytes_have_their_codes(code: str, raw: str) -> None:
    """Each refused example of the vectors is refused with its code."""
    with pytest.raises(errors.MalformedError) as caught:
        canonical.decode(base64.b64decode(raw))
    assert caught.value.code == code


def test_every_event_is_in_the_table() -> None:
    """FORMAT.md lists exactly the events of the vocabulary, under the rule that the code applies."""
    table = FORMAT.split("### Event types", 1)[1].split("\n## ", 1)[0]
    listed = {
        name: rule
        for rule, names in re.findall(r"^\| `(\w+)` \|[^|]*\| (.*) \|$", table, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", names)
    }
    assert listed == dict(vocabulary.EVENTS)


def test_the_constants_are_the_printed_ones() -> None:
    """Limits and types that FORMAT.md prints are those that the code holds."""
    for printed in (
        str(entry.ENTRY_BYTES_MAX), f"{entry.ENTRY_BYTES_MAX:,}", dsse.ENTRY_TYPE, dsse.KEY_STATEMENT_TYPE,
        dsse.MEMBER_STATEMENT_TYPE, vocabulary.ID_PATTERN, "pfgov/subject/v1", "pfgov/commit/v1",
    ):  # fmt: skip
        assert printed in FORMAT or printed == str(entry.ENTRY_BYTES_MAX), printed
