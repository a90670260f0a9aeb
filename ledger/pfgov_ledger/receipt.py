"""One entry alone: a receipt that a server gave, or a C2SP tlog-proof.

A receipt is a JSON object ``{entry, signature, position, issuer?, proof?}`` (``FORMAT.md`` section
"Receipts"): the entry's bytes and issuer signature in base64, optionally the issuer's public key
and a tlog-proof.  Without a proof nothing anchors the issuer's key, so authenticity stays open;
with one, the log's key vouches for the entry and thereby for the issuer that it names.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, NoReturn, cast

from pfgov_ledger import (
    checkpoint,
    dsse,
    ed25519,
    entry,
    errors,
    keys,
    merkle,
    note,
    proof,
    strict64,
)
from pfgov_ledger.chain import check_body
from pfgov_ledger.checkpoint import Checkpoint, Opened
from pfgov_ledger.conclusions import Witnessing
from pfgov_ledger.entry import Entry
from pfgov_ledger.keys import Anchor
from pfgov_ledger.reader import Readable
from pfgov_ledger.report import Report, Shape, Signed
from pfgov_ledger.verdicts import (
    AUTHENTICITY,
    COMPLETENESS,
    CUSTODY,
    FRESHNESS,
    INTEGRITY,
    NON_EQUIVOCATION,
    REPLAY,
    REQUIRED,
    VERDICTS,
    Findings,
)

RECEIPT_BYTES_MAX: Final = proof.PROOF_BYTES_MAX + 256 * 1024
_PROOF_START: Final = b"c2sp.org/tlog-proof@"


@dataclass(frozen=True, slots=True)
class Receipt:
    """An entry, its signature, and what comes with it."""

    raw: bytes
    signature: bytes | None
    issuer: bytes | None
    proof: proof.TlogProof | None


def looks_like(head: bytes) -> bool:
    """Whether a file that begins with *head* is a receipt or a proof, not an export."""
    if head.startswith(_PROOF_START):
        return True
    text = head.lstrip()
    return text.startswith(b"{") and text[1:].lstrip().startswith(
        (b'"entry"', b'"issuer"', b'"position"', b'"proof"', b'"signature"', b'"receipt"')
    )


def write(
    raw: bytes,
    signature: bytes,
    *,
    issuer: bytes | None = None,
    proof: bytes | None = None,
) -> bytes:
    """A receipt: the entry, its issuer signature, the issuer's public key, a tlog-proof."""
    value = {
        "entry": strict64.encode(raw),
        "position": entry.parse(raw).seq,
        "signature": strict64.encode(signature),
        **({} if issuer is None else {"issuer": issuer.hex()}),
        **({} if proof is None else {"proof": proof.decode()}),
    }
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()


def write_extra(raw: bytes, signature: bytes) -> bytes:
    """What the ``extra`` line of our tlog-proofs carries: a receipt without a proof."""
    return write(raw, signature)


def parse(raw: bytes) -> Receipt:
    """Read a receipt or a tlog-proof.

    Raises:
        MalformedError: Neither.
    """
    if len(raw) > RECEIPT_BYTES_MAX:
        raise errors.OversizeError(expected=f"at most {RECEIPT_BYTES_MAX} bytes")
    if raw.startswith(_PROOF_START):
        tlog = proof.parse(raw)
        if tlog.extra is None:
            raise errors.ProofShapeError("the extra line with the entry is missing")
        inner = _object(tlog.extra)
        return _receipt(inner, tlog)
    members = _object(raw)
    if isinstance(members.get("receipt"), dict):
        members = cast("dict[str, object]", members["receipt"])
    text = members.get("proof")
    return _receipt(members, proof.parse(text.encode()) if isinstance(text, str) else None)


def _no_constant(text: str) -> NoReturn:
    raise ValueError(text)


def _object(raw: bytes) -> dict[str, object]:
    try:
        value: Any = json.loads(raw.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise errors.NotAnExportError("not a receipt") from None
    if not isinstance(value, dict):
        raise errors.NotAnExportError("not a receipt")
    return cast("dict[str, object]", value)


def _receipt(members: dict[str, object], tlog: proof.TlogProof | None) -> Receipt:
    raw, signature, issuer = (members.get(name) for name in ("entry", "signature", "issuer"))
    if not isinstance(raw, str):
        raise errors.NotAnExportError("a receipt carries an entry")
    public: bytes | None = None
    if isinstance(issuer, str):
        if entry.HEX32.fullmatch(issuer) is None:
            raise errors.KeyTextError("issuer is 64 hexadecimal digits")
        public = bytes.fromhex(issuer)
    signed = strict64.decode(signature) if isinstance(signature, str) else None
    return Receipt(strict64.decode(raw), signed, public, tlog)


def examine(
    stream: Readable,
    findings: Findings,
    anchor: Anchor | None,
    witnessing: Witnessing,
    require: Iterable[str] | None,
) -> Report:
    """Check one receipt or proof."""
    for name in (COMPLETENESS, CUSTODY, FRESHNESS, REPLAY):
        findings.dismiss(name)
    findings.leave(NON_EQUIVOCATION, "not_asked")
    of: Entry | None = None
    signed: Checkpoint | None = None
    opened: Opened | None = None
    try:
        found = parse(_read_all(stream))
        of = entry.parse(found.raw)
        check_body(of)
        if found.proof is not None:
            signed = checkpoint.parse_text(note.split(found.proof.checkpoint)[0])
            _check_included(of, found.proof, signed)
        opened = _authenticate(findings, of, found, anchor, witnessing)
    except errors.LedgerError as error:
        findings.fail(INTEGRITY, error if of is None else error.at(of.seq))
        findings.leave(AUTHENTICITY, "stopped")
    required = set(REQUIRED["receipt"] if require is None else require)
    return Report(
        verdicts=findings.verdicts(),
        required=tuple(name for name in VERDICTS if name in required),
        question=("receipt", None),
        trust="none" if anchor is None else "log_key_only",
        export=None
        if of is None
        else Shape(
            "receipt",
            of.log,
            of.subject,
            0 if signed is None else signed.size,
            of.seq,
            of.seq + 1,
            1,
        ),
        checkpoint=None
        if signed is None
        else Signed(signed.size, signed.root.hex(), opened is not None),
    )


def _read_all(stream: Readable) -> bytes:
    parts: list[bytes] = []
    size = 0
    while size <= RECEIPT_BYTES_MAX and (part := stream.read(1 << 16)):
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def _check_included(of: Entry, tlog: proof.TlogProof, signed: Checkpoint) -> None:
    if tlog.index != of.seq:
        raise errors.InclusionError(position=of.seq, expected=str(of.seq), found=str(tlog.index))
    if signed.origin != of.log:
        raise errors.OriginMismatchError(position=of.seq, expected=of.log, found=signed.origin)
    merkle.check_inclusion(of.leaf, tlog.index, signed.size, tlog.hashes, signed.root)


def _authenticate(
    findings: Findings,
    of: Entry,
    found: Receipt,
    anchor: Anchor | None,
    witnessing: Witnessing,
) -> Opened | None:
    opened: Opened | None = None
    try:
        if anchor is not None and anchor.log_vkey.name != of.log:
            raise errors.OriginMismatchError(
                position=of.seq, expected=anchor.log_vkey.name, found=of.log
            )
        if anchor is not None and found.proof is not None:
            opened = checkpoint.open_checkpoint(
                found.proof.checkpoint, [anchor.log_vkey], witnessing.vkeys
            )
        if found.issuer is not None and found.signature is not None:
            if keys.key_id(found.issuer) != of.issuer.hex():
                raise errors.KeyUnknownError(
                    position=of.seq, expected=of.issuer.hex(), found=keys.key_id(found.issuer)
                )
            ed25519.check(found.issuer, dsse.entry_pae(of.raw), found.signature)
    except errors.LedgerError as error:
        findings.fail(AUTHENTICITY, error.at(of.seq))
    if anchor is None:
        findings.leave(AUTHENTICITY, "no_key")
    elif found.proof is None:
        findings.leave(AUTHENTICITY, "issuer_unknown")
    return opened
