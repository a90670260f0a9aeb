"""One entry alone: a receipt that a server gave, or a C2SP tlog-proof.

A receipt is a JSON object ``{entry, signature, position?, issuer?, proof?}`` (``FORMAT.md`` section
"Receipts"): the entry's bytes and issuer signature in base64, the entry's place, the issuer's public
key and a tlog-proof.  Without a proof nothing anchors the issuer's key, so authenticity stays open;
with one, the log's key vouches for the entry and thereby for the issuer that it names, whose
signature must then hold.  A reader who trusts witnesses of a root is shown the way there, too
(:mod:`pfgov_ledger.via`).  What the reader asks and remembers is held against it as against an export
(:mod:`pfgov_ledger.conclusions`).
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn, cast

from pfgov_ledger import (
    canonical,
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
    via,
)
from pfgov_ledger.chain import check_body
from pfgov_ledger.checkpoint import Checkpoint, Opened
from pfgov_ledger.conclusions import NO_GROWTH, Asked, check_elsewhere, check_question
from pfgov_ledger.entry import Entry
from pfgov_ledger.note import Vkey
from pfgov_ledger.reader import Readable
from pfgov_ledger.report import Report, Shape, Via, signed_of
from pfgov_ledger.verdicts import (
    AUTHENTICITY,
    COMPLETENESS,
    CUSTODY,
    FRESHNESS,
    INTEGRITY,
    NON_EQUIVOCATION,
    Findings,
)

RECEIPT_BYTES_MAX: Final = proof.PROOF_BYTES_MAX + 256 * 1024
DEPTH_MAX: Final = 64
"""How deep the JSON around a receipt may nest: an answer holds bodies, and those nest 16 deep."""

_EXPORT_START: Final = re.compile(rb'\{"kind":"[a-z]+","lineage":')
_RECEIPT_START: Final = re.compile(
    rb'[ \t\n\r]*\{[ \t\n\r]*"(?:entry|issuer|position|proof|signature|receipt)"'
)
_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]', re.DOTALL)
_SPACE: Final = b" \t\n\r"
_NO_POSITION: Final = -1


@dataclass(frozen=True, slots=True)
class Receipt:
    """An entry, its signature, and what comes with it; ``position`` is -1 for what is none."""

    raw: bytes
    signature: bytes | None
    issuer: bytes | None
    position: int | None
    proof: proof.TlogProof | None


def wants_all(head: bytes) -> bool:
    """Whether only the whole of a file that begins with *head* tells if it is a receipt."""
    text = head.lstrip(_SPACE)
    return not text or (text.startswith(b"{") and _EXPORT_START.match(head) is None)


def looks_like(head: bytes) -> bool:
    """Whether a file is a receipt or a proof, not an export.

    Args:
        head: Its beginning, and where :func:`wants_all` says so, as much of it as a receipt may have.
    """
    if head.startswith(proof.START) or _RECEIPT_START.match(head[:RECEIPT_BYTES_MAX]):
        return True
    if not wants_all(head) or len(head) > RECEIPT_BYTES_MAX:
        return False
    try:
        members = _object(head)
    except errors.LedgerError:
        return False
    return "entry" in members or isinstance(members.get("receipt"), dict)


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


def write_extra(raw: bytes, signature: bytes, issuer: bytes | None) -> bytes:
    """What the ``extra`` line of our tlog-proofs carries: a receipt without a proof."""
    return write(raw, signature, issuer=issuer)


def parse(raw: bytes) -> Receipt:
    """Read a receipt or a tlog-proof.

    Raises:
        MalformedError: Neither.
    """
    if len(raw) > RECEIPT_BYTES_MAX:
        raise errors.OversizeError(expected=f"at most {RECEIPT_BYTES_MAX} bytes")
    if raw.startswith(proof.START):
        tlog = proof.parse(raw)
        if tlog.extra is None:
            raise errors.ProofShapeError("the extra line with the entry is missing")
        inner = _object(tlog.extra)
        return _receipt(inner, tlog)
    members = _object(raw)
    if isinstance(members.get("receipt"), dict):
        members = cast("dict[str, object]", members["receipt"])
    return _receipt(members, _proof(members.get("proof")))


def _proof(text: object) -> proof.TlogProof | None:
    if not isinstance(text, str):
        return None
    try:
        return proof.parse(text.encode())
    except UnicodeEncodeError:
        raise errors.ProofShapeError("half of a surrogate pair") from None


def _no_constant(text: str) -> NoReturn:
    raise ValueError(text)


def _object(raw: bytes) -> dict[str, object]:
    """The members of a JSON text; numbers are what they are to every reader of JSON, 64-bit floats."""
    try:
        text = raw.decode()
        _check_depth(text)
        value: Any = json.loads(text, parse_constant=_no_constant, parse_int=float)
    except ValueError:
        raise errors.NotAnExportError("not a receipt") from None
    if not isinstance(value, dict):
        raise errors.NotAnExportError("not a receipt")
    return cast("dict[str, object]", value)


def _check_depth(text: str) -> None:
    depth = 0
    for token in _TOKEN.finditer(text):
        first = token[0][0]
        if first != '"':
            depth += 1 if first in "[{" else -1
            if depth > DEPTH_MAX:
                raise ValueError(f"more than {DEPTH_MAX} deep")


def _receipt(members: dict[str, object], tlog: proof.TlogProof | None) -> Receipt:
    raw, signature, issuer = (members.get(name) for name in ("entry", "signature", "issuer"))
    if not isinstance(raw, str):
        raise errors.NotAnExportError("a receipt carries an entry")
    public: bytes | None = None
    if issuer is not None:
        if not isinstance(issuer, str) or entry.HEX32.fullmatch(issuer) is None:
            raise errors.KeyTextError("issuer is 64 hexadecimal digits")
        public = bytes.fromhex(issuer)
    signed = strict64.decode(signature) if isinstance(signature, str) else None
    position = _position(members["position"]) if "position" in members else None
    return Receipt(strict64.decode(raw), signed, public, position, tlog)


def _position(value: object) -> int:
    if isinstance(value, float) and 0 <= value <= canonical.INTEGER_MAX and value.is_integer():
        return int(value)
    return _NO_POSITION


def examine(stream: Readable, findings: Findings, asked: Asked) -> Report:
    """Check one receipt or proof; what of the report is ``required`` is the caller's business."""
    findings.dismiss(COMPLETENESS)
    findings.dismiss(CUSTODY)
    of: Entry | None = None
    signed: Checkpoint | None = None
    opened: Opened | None = None
    path: via.Path | None = None
    root: Opened | None = None
    note_bytes = b""
    try:
        raw = read_all(stream)
        if asked.via is not None:
            path = via.read(raw)
            raw = path.inner
        found = parse(raw)
        of = entry.parse(found.raw)
        check_question(findings, asked.question, "receipt", None)
        check_body(of)
        _check_position(of, found)
        if found.proof is not None:
            note_bytes = found.proof.checkpoint
            signed = checkpoint.parse_text(note.split(note_bytes)[0])
            _check_included(of, found.proof, signed)
        opened = _authenticate(findings, of, found, signed, asked)
        if path is not None and asked.via is not None:
            root = _open_root(findings, path, asked.via, asked)
            check_elsewhere(findings, path.root, root, asked, NO_GROWTH, [asked.via])
        else:
            log_keys = [] if asked.anchor is None else [asked.anchor.log_vkey]
            check_elsewhere(findings, signed, opened, asked, NO_GROWTH, log_keys)
    except errors.LedgerError as error:
        findings.fail(INTEGRITY, error if of is None else error.at(of.seq))
        for name in (AUTHENTICITY, FRESHNESS, NON_EQUIVOCATION):
            findings.leave(name, "stopped")
    question = asked.question
    return Report(
        verdicts=findings.verdicts(),
        required=(),
        question=("receipt", None)
        if question.kind == "file"
        else (question.kind, question.subject),
        trust="none" if asked.anchor is None else "log_key_only",
        export=None if of is None else _shape(of, signed),
        checkpoint=None if signed is None else signed_of(signed, opened),
        via=None if asked.via is None else _via(path, root),
        note=_kept(path, root) if asked.via is not None else b"" if opened is None else note_bytes,
    )


def _open_root(findings: Findings, path: via.Path, vkey: Vkey, asked: Asked) -> Opened | None:
    """Check who signed the root's checkpoint: the key that was named, which must not be the ledger's own."""
    try:
        if asked.anchor is not None and asked.anchor.log_vkey.public == vkey.public:
            raise errors.ViaOriginError("the root's key is the ledger's", found=str(vkey))
        return via.open_root(path, vkey, asked.witnessing.vkeys)
    except errors.LedgerError as error:
        findings.fail(AUTHENTICITY, error)
        return None


def _via(path: via.Path | None, root: Opened | None) -> Via:
    if path is None:
        return Via()
    return Via(path.root.origin, path.index, signed_of(path.root, root))


def _kept(path: via.Path | None, root: Opened | None) -> bytes:
    return path.note if path is not None and root is not None else b""


def _shape(of: Entry, signed: Checkpoint | None) -> Shape:
    size = 0 if signed is None else signed.size
    return Shape("receipt", of.log, of.subject, size, of.seq, of.seq + 1, 1)


def read_all(stream: Readable) -> bytes:
    """As much of *stream* as a receipt may have, and a little more where there is more."""
    parts: list[bytes] = []
    size = 0
    while size <= RECEIPT_BYTES_MAX and (part := stream.read(1 << 16)):
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def _check_position(of: Entry, found: Receipt) -> None:
    if found.position not in {None, of.seq}:
        given = "no position" if found.position == _NO_POSITION else str(found.position)
        raise errors.HeaderError(position=of.seq, expected=str(of.seq), found=given)


def _check_included(of: Entry, tlog: proof.TlogProof, signed: Checkpoint) -> None:
    if tlog.index != of.seq:
        raise errors.InclusionError(position=of.seq, expected=str(of.seq), found=str(tlog.index))
    if signed.origin != of.log:
        raise errors.OriginMismatchError(position=of.seq, expected=of.log, found=signed.origin)
    merkle.check_inclusion(of.leaf, tlog.index, signed.size, tlog.hashes, signed.root)


def _authenticate(
    findings: Findings, of: Entry, found: Receipt, signed: Checkpoint | None, asked: Asked
) -> Opened | None:
    """Check the checkpoint's signature, then the issuer's own; say what of it could not be checked."""
    opened: Opened | None = None
    anchor = asked.anchor
    try:
        if anchor is not None and anchor.log_vkey.name != of.log:
            raise errors.OriginMismatchError(
                position=of.seq, expected=anchor.log_vkey.name, found=of.log
            )
        if anchor is not None and found.proof is not None and signed is not None:
            witnesses = asked.witnessing.vkeys if asked.via is None else ()
            opened = _opened(found.proof.checkpoint, anchor, witnesses, signed.size)
        _check_signature(of, found)
    except errors.LedgerError as error:
        findings.fail(AUTHENTICITY, error.at(of.seq))
    if anchor is None:
        findings.leave(AUTHENTICITY, "no_key")
    elif found.proof is None:
        findings.leave(AUTHENTICITY, "issuer_unknown")
    elif found.issuer is None:
        findings.leave(AUTHENTICITY, "no_issuer")
    return opened


def _opened(raw: bytes, anchor: keys.Anchor, witnesses: Sequence[Vkey], size: int) -> Opened:
    try:
        return checkpoint.open_checkpoint(raw, [anchor.log_vkey], witnesses)
    except errors.LedgerError as error:
        raise error.at(size) from None


def _check_signature(of: Entry, found: Receipt) -> None:
    if not found.signature:
        raise errors.SignatureMissingError(position=of.seq)
    if found.issuer is None:
        return
    if keys.key_id(found.issuer) != of.issuer.hex():
        raise errors.KeyUnknownError(
            position=of.seq, expected=of.issuer.hex(), found=keys.key_id(found.issuer)
        )
    ed25519.check(found.issuer, dsse.entry_pae(of.raw), found.signature)
