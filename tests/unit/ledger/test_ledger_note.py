import base64

import pytest
from unit.ledger import ledger_logs
from unit.ledger.ledger_logs import LOG, LOG_VKEY, ORIGIN, WITNESS, WITNESS_VKEY

from pfgov_ledger import checkpoint, errors, keys, merkle, note, proof, strict64
from pfgov_ledger.checkpoint import Checkpoint

TREE = Checkpoint(ORIGIN, 3, bytes(range(32)))
SIGNED = checkpoint.sign(TREE, LOG)


def _resigned(text: bytes, *signers: keys.SeedSigner) -> bytes:
    return note.sign(text, signers or (LOG,))


# --- notes ------------------------------------------------------------------------------------


def test_a_note_is_text_blank_line_signatures() -> None:
    """The bytes of a note are exactly those of the specification, and the text comes back."""
    text = b"one\n\ntwo \xc3\xa9\n"
    raw = note.sign(text, [LOG])
    line = raw.removeprefix(text + b"\n").decode()
    assert line.startswith(f"\N{EM DASH} {ORIGIN} ")
    assert line.endswith("\n")
    assert base64.b64decode(line.split(" ")[2])[:4] == LOG_VKEY.id
    opened = note.open_note(raw, [LOG_VKEY])
    assert opened.text == text
    assert [item.vkey for item in opened.verified] == [LOG_VKEY]


def test_signatures_of_unknown_keys_are_ignored() -> None:
    """A note stays valid when strangers add lines, whatever those lines say."""
    stranger = keys.SeedSigner(role="log", name=ORIGIN, seed=bytes([9]) * 32)
    odd = note.signature_line(ORIGIN, b"\0\0\0\0", b"x").encode()
    raw = note.sign(b"text\n", [stranger, LOG]) + odd
    opened = note.open_note(raw, [LOG_VKEY])
    assert opened.unknown == (ORIGIN, ORIGIN)


def test_a_wrong_signature_of_a_known_key_rejects_the_note() -> None:
    """Even beside a good one: the note was tampered with, or the key is misused."""
    raw = note.sign(b"text\n", [LOG])
    bad = note.signature_line(ORIGIN, LOG_VKEY.id, LOG.sign(b"other\n")).encode()
    for tampered in (raw + bad, bad.join([b"text\n\n", b""])):
        with pytest.raises(errors.CheckpointSignatureError):
            note.open_note(tampered, [LOG_VKEY])


def test_a_note_signed_by_nobody_known_is_worth_nothing() -> None:
    """No known key, no text."""
    with pytest.raises(errors.CheckpointUnsignedError):
        note.open_note(note.sign(b"text\n", [LOG]), [WITNESS_VKEY])


def test_a_key_of_an_unsupported_type_counts_as_unknown() -> None:
    """A newer witness does not break an older verifier, nor does it vouch for anything there."""
    newer = note.Vkey("w.example", b"abcd", 0x07, bytes(1312))
    assert note.parse_vkey(str(newer)) == newer
    raw = (
        note.sign(b"text\n", [LOG])
        + note.signature_line("w.example", b"abcd", bytes(2420)).encode()
    )
    assert note.open_note(raw, [LOG_VKEY, newer]).unknown == ("w.example",)


_LINE = note.signature_line(ORIGIN, LOG_VKEY.id, LOG.sign(b"text\n")).encode()


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"\n", b"text\n", b"text\n\n", b"text\n" + _LINE, b"text\n\n" + _LINE[:-1], b"text\n\n" + _LINE + b"x\n",
        b"text\n\n" + _LINE.replace(b"\xe2\x80\x94 ", b"- "), b"te\x00xt\n\n" + _LINE, b"te\rxt\n\n" + _LINE,
        b"te\txt\n\n" + _LINE, b"\xff\n\n" + _LINE, b"text\r\n\r\n" + _LINE, b"text\n\n" + _LINE.replace(b"=", b""),
        b"text\n\n\xe2\x80\x94 name AAAA\n", b"text\n\n\xe2\x80\x94  AAAAAAA=\n",
        b"text\n\n\xe2\x80\x94 a+b AAAAAAA=\n",
        b"text\n\n\xe2\x80\x94 a\xc2\xa0b AAAAAAA=\n", b"text\n\n" + _LINE * 65, b"text\n\n" + _LINE + b"\xff\n",
        b"x" * note.NOTE_BYTES_MAX + b"\n\n" + _LINE,
    ],
    ids=lambda raw: repr(raw[:40]),
)  # fmt: skip
def test_what_is_not_a_note(raw: bytes) -> None:
    """Bytes that break a rule of signed-note are refused before any signature is looked at."""
    with pytest.raises(errors.NoteError):
        note.open_note(raw, [LOG_VKEY])


def test_sixteen_signatures_are_accepted() -> None:
    """Signed-note asks verifiers to accept at least sixteen."""
    others = [keys.SeedSigner(role="log", name=f"k{n}", seed=bytes([n]) * 32) for n in range(15)]
    assert len(note.open_note(note.sign(b"t\n", [*others, LOG]), [LOG_VKEY]).unknown) == 15


def test_text_that_a_note_cannot_hold_is_not_signed() -> None:
    """A text without a final newline, or with control characters, gets no signature."""
    for text in (b"x", b"", b"a\tb\n", b"\xff\n"):
        with pytest.raises(errors.NoteError):
            note.sign(text, [LOG])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "ledger.key_malformed"), ("name", "ledger.key_malformed"), ("name+0+AA==", "ledger.key_malformed"),
        (f"other+{LOG_VKEY.id.hex()}+{str(LOG_VKEY).split('+', 2)[2]}", "ledger.key_malformed"),
        (str(LOG_VKEY).upper(), "ledger.key_malformed"), (f"{LOG_VKEY}=", "ledger.key_malformed"),
        ("a b" + str(LOG_VKEY)[len(ORIGIN):], "ledger.key_malformed"), ("n+00000000+AQ==", "ledger.key_malformed"),
        ("n+00000000+" + strict64.encode(b"\x01" + (1).to_bytes(32, "little")), "ledger.key_weak"),
        ("n+00000000+" + strict64.encode(b"\x01" + bytes(31)), "ledger.key_weak"),
    ],
)  # fmt: skip
def test_what_is_not_a_verifier_key(text: str, code: str) -> None:
    """A verifier key whose id, spelling or point is wrong is refused when it is read."""
    with pytest.raises(errors.LedgerError) as caught:
        note.parse_vkey(text)
    assert caught.value.code == code


def test_verifier_keys_are_read_as_written() -> None:
    """Base64 may hold a plus sign; the key comes back."""
    for seed in range(40):
        signer = keys.SeedSigner(role="log", name="n", seed=bytes([seed]) * 32)
        found = keys.vkey_of(signer)
        assert note.parse_vkey(str(found)) == found


# --- checkpoints ------------------------------------------------------------------------------


def test_a_checkpoint_is_three_lines() -> None:
    """Origin, size, base64 of the root; opening gives them back."""
    assert TREE.text() == b"pfgov.example/eu\n3\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
    opened = checkpoint.open_checkpoint(SIGNED, [LOG_VKEY])
    assert (opened.checkpoint, opened.log_keys, opened.witnesses) == (TREE, (LOG_VKEY,), ())


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (TREE.text() + b"extension\n", "ledger.checkpoint_extension"),
        (b"o\n3\n", "ledger.checkpoint_malformed"), (b"o\n\n3\nAAAA\n", "ledger.checkpoint_extension"),
        (TREE.text().replace(b"\n3\n", b"\n03\n"), "ledger.checkpoint_malformed"),
        (TREE.text().replace(b"\n3\n", b"\n-3\n"), "ledger.checkpoint_malformed"),
        (TREE.text().replace(b"\n3\n", b"\n9007199254740992\n"), "ledger.checkpoint_malformed"),
        (TREE.text().replace(b"Hh8=", b"Hh9="), "ledger.checkpoint_malformed"),
        (TREE.text().replace(b"AAEC", b"AAE"), "ledger.checkpoint_malformed"),
        (b"a b" + TREE.text()[len(ORIGIN):], "ledger.checkpoint_malformed"),
        ("\N{SNOWMAN}".encode() + TREE.text()[len(ORIGIN):], "ledger.checkpoint_malformed"),
    ],
)  # fmt: skip
def test_signed_text_that_is_no_checkpoint(text: bytes, code: str) -> None:
    """The log's signature does not make a checkpoint of another text."""
    with pytest.raises(errors.LedgerError) as caught:
        checkpoint.open_checkpoint(_resigned(text), [LOG_VKEY])
    assert caught.value.code == code


def test_an_edited_checkpoint_is_refused() -> None:
    """Size or root changed after signing."""
    for old, new in ((b"\n3\n", b"\n4\n"), (b"AAECAw", b"BBECAw")):
        with pytest.raises(errors.CheckpointSignatureError):
            checkpoint.open_checkpoint(SIGNED.replace(old, new), [LOG_VKEY])


def test_a_log_signs_for_its_own_origin_only() -> None:
    """A known log's checkpoint with another origin line is another log's."""
    text = Checkpoint("other.example", 3, bytes(32)).text()
    with pytest.raises(errors.OriginMismatchError):
        checkpoint.open_checkpoint(_resigned(text), [LOG_VKEY])


def test_a_witness_alone_does_not_make_a_checkpoint() -> None:
    """A cosignature without the log's own signature is not enough."""
    only_witness = TREE.text() + b"\n" + checkpoint.cosign(SIGNED, WITNESS, time=5)[len(SIGNED) :]
    with pytest.raises(errors.CheckpointUnsignedError):
        checkpoint.open_checkpoint(only_witness, [LOG_VKEY], [WITNESS_VKEY])


def test_cosignatures_carry_their_time() -> None:
    """A known witness's time is reported; one that nobody knows is only named."""
    raw = checkpoint.cosign(SIGNED, WITNESS, time=1_679_315_147)
    opened = checkpoint.open_checkpoint(raw, [LOG_VKEY], [WITNESS_VKEY])
    assert [(item.vkey, item.time) for item in opened.witnesses] == [(WITNESS_VKEY, 1_679_315_147)]
    assert checkpoint.open_checkpoint(raw, [LOG_VKEY]).unknown == (WITNESS.name,)


def test_a_tampered_cosignature_rejects_the_checkpoint() -> None:
    """Moving a cosignature in time, or cutting it, is a wrong signature of a known key."""
    line = checkpoint.cosign(SIGNED, WITNESS, time=7)[len(SIGNED) :].decode().split(" ")[2]
    blob = base64.b64decode(line)
    for other in (blob[:11] + b"\x08" + blob[12:], blob[:-1], blob[:4] + b"\xff" + blob[5:]):
        raw = SIGNED + note.signature_line(WITNESS.name, other[:4], other[4:]).encode()
        with pytest.raises(errors.CheckpointSignatureError):
            checkpoint.open_checkpoint(raw, [LOG_VKEY], [WITNESS_VKEY])


def test_a_cosignature_beyond_the_last_second_is_refused() -> None:
    """A properly signed time of 2^63 seconds or more is no time."""
    checkpoint.open_checkpoint(
        checkpoint.cosign(SIGNED, WITNESS, time=2**63 - 1), [LOG_VKEY], [WITNESS_VKEY]
    )
    with pytest.raises(errors.CheckpointSignatureError):
        checkpoint.open_checkpoint(
            checkpoint.cosign(SIGNED, WITNESS, time=2**63), [LOG_VKEY], [WITNESS_VKEY]
        )


def test_during_a_rotation_both_keys_sign() -> None:
    """A checkpoint under the old and the new log key opens with either, and with both names both."""
    new = keys.SeedSigner(role="log", name=ORIGIN, seed=bytes([8]) * 32)
    raw = checkpoint.sign(TREE, LOG, new)
    for trusted in ([LOG_VKEY], [keys.vkey_of(new)], [LOG_VKEY, keys.vkey_of(new)]):
        assert list(checkpoint.open_checkpoint(raw, trusted).log_keys) == trusted


# --- tlog-proof -------------------------------------------------------------------------------


def _proof(index: int, extra: bytes | None = None) -> tuple[proof.TlogProof, bytes]:
    writer = ledger_logs.appender()
    staged = ledger_logs.fill(writer, 11)
    tree = merkle.LeafTree(ledger_logs.leaves(staged))
    return proof.make(tree, index, writer.checkpoint(), extra=extra), staged[index].leaf


def test_proofs_are_read_as_written_and_hold() -> None:
    """Every entry's proof survives its text form and leads to the signed root."""
    for index in range(11):
        for extra in (None, b"", b"anything"):
            made, leaf = _proof(index, extra)
            found = proof.parse(proof.write(made))
            assert found == made
            assert proof.check(found, leaf, [LOG_VKEY]).checkpoint.size == 11


def test_a_proof_of_another_entry_or_index_fails() -> None:
    """The proof binds the leaf to its index."""
    made, leaf = _proof(4)
    other, _ = _proof(5)
    for wrong, about in ((made, bytes(32)), (other, leaf)):
        with pytest.raises(errors.InclusionError):
            proof.check(wrong, about, [LOG_VKEY])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"tlog-proof@v1", b"tlog-proof@v2"), (b"index 4", b"index 04"), (b"index 4", b"indices 4"),
        (b"extra eA==\n", b"extra eB==\n"),
        (b"extra eA==\nindex 4", b"index 4\nextra eA=="), (b"\n\n", b"\n"), (b"index 4\n", b"index 4\nAAAA\n"),
        (b"index 4\n", b"index 4\n\n"), (b"\n", b"\r\n"), (b"index 4\n", b"index 4\n" + (b"A" * 43 + b"=\n") * 64),
    ],
)  # fmt: skip
def test_what_is_not_a_proof(old: bytes, new: bytes) -> None:
    """A file that breaks a rule of tlog-proof is refused."""
    raw = proof.write(_proof(4, b"x")[0])
    changed = (
        raw.replace(old, new) if old in {b"\r\n", b"\n", b"\n\n"} else raw.replace(old, new, 1)
    )
    assert changed != raw
    with pytest.raises(errors.LedgerError):
        checkpoint.open_checkpoint(proof.parse(changed).checkpoint, [LOG_VKEY])


def test_a_proof_too_large_is_not_read() -> None:
    """There is a limit to the size of a proof."""
    with pytest.raises(errors.ProofShapeError):
        proof.parse(b"x" * (proof.PROOF_BYTES_MAX + 1))


@pytest.mark.parametrize("text", ["AA", "AB==", "AAAA\n", "A A=", "-_8=", "AAA", "====", "\u00e9"])
def test_base64_has_one_spelling(text: str) -> None:
    """Missing padding, set unused bits, spaces and other alphabets are refused."""
    with pytest.raises(errors.Base64Error):
        strict64.decode(text)


def test_base64_of_another_size_is_refused() -> None:
    """A hash must decode to exactly its size."""
    assert strict64.decode("AAA=", size=2) == b"\0\0"
    with pytest.raises(errors.Base64Error):
        strict64.decode("AAA=", size=3)
