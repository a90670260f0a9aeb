"""What an activation rests on, read at the border: a bundle and a report become what an entry says of them.

Here their bytes, digests and signatures are held to each other, and a report to the tree that it says it is about.
Whose key signed, and whether it is about the binding set, is decided by the rules, from the state.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from pfgov.app.change import bundling
from pfgov.app.changing import Rests
from pfgov.core.commands import BundleRef, ReportRef
from pfgov.engine.reading import Report
from pfgov.engine.reading.impact import decode, encode
from pfgov.errors import ConflictError, InvalidError, PfgovError
from pfgov.policy import PolicyErrors, PolicySet, load_directory
from pfgov_ledger import dsse, envelope
from pfgov_ledger.errors import LedgerError
from pfgov_ledger.keys import Signer


class ReportAlteredError(InvalidError):
    """A report of impact is not what somebody signed."""

    code = "impact.altered"


class Resolved(NamedTuple):
    """A set, and what it rests on."""

    policies: PolicySet
    bundle: BundleRef | None = None
    report: ReportRef | None = None


def resolve(directory: Path | None, rests: Rests) -> Resolved:
    """Return the set of a bundle, else of *directory*, with what it rests on.

    Raises:
        PfgovError: it does not compile, or what it rests on was not signed so.
    """
    bundle = None if rests.bundle is None else bundling.opened(rests.bundle)
    report = None if rests.report is None else report_ref(rests.report)
    if bundle is not None:
        return Resolved(bundling.compiled(bundle), bundle.ref, report)
    if directory is None:
        raise InvalidError("there is neither a folder nor a bundle")
    return Resolved(load_directory(directory), None, report)


def sign(report: Report, signer: Signer) -> bytes:
    """Return *report* in an envelope that *signer* signed: the bytes of a file."""
    return envelope.encode(envelope.seal(signer, dsse.IMPACT_TYPE, encode(report))) + b"\n"


def signed_report(raw: bytes) -> tuple[Report, str]:
    """Return the report in the envelope *raw*, and the public key that signed it, in hex.

    Raises:
        ReportAlteredError: its signature does not hold, or it is none.
    """
    try:
        payload, public = envelope.unseal_bytes(raw, dsse.IMPACT_TYPE)
        return decode(payload), public.hex()
    except (LedgerError, InvalidError) as error:
        raise ReportAlteredError(
            f"this is not a report of impact as somebody signed it: {error}",
            hint="make it anew: pfgov policy impact DIR --sign KEY --out FILE",
        ) from None


def report_ref(raw: bytes) -> ReportRef:
    """Return what an entry says of the signed report *raw*; errors as of :func:`signed_report`."""
    found, key = signed_report(raw)
    return ReportRef(
        digest=hashlib.sha256(encode(found)).hexdigest(),
        key=key,
        origin=found.ledger.origin,
        size=found.ledger.size,
        root=found.ledger.root,
        first=found.ledger.first,
        sample=found.ledger.sample,
        proposed=found.proposed,
        binding=found.binding,
    )


def check_root(report: ReportRef | None, root_at: Callable[[int], str | None]) -> None:
    """Refuse a report over another history than the one whose roots *root_at* gives.

    Raises:
        ConflictError: ``impact.other_ledger``, its root at that size is another one.
    """
    if report is None:
        return
    root = root_at(report.size)
    if root is not None and root != report.root:
        raise ConflictError(
            f"the report of impact is about another history: at {report.size} entries its root is not this ledger's",
            code="impact.other_ledger",
            hint="make it anew: pfgov policy impact DIR --sign KEY --out FILE",
        )


def is_recorded(error: PfgovError) -> bool:
    """Whether a refusal at this border is to be recorded as of a set that did not load."""
    return isinstance(error, PolicyErrors) or error.code.startswith(("bundle.", "impact."))
