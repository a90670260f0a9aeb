"""Making a report of impact again for ``pfgov-verify --replay``: the policy engine as its plug-in.

The verifier holds the report's signature and the export to what it knows, and asks here for the bytes.  The proposed
set is the one in the export, or the one in a folder or bundle that the reader named; its digest says whether it is it.
"""

from pathlib import Path

from pfgov.app.change import bundling
from pfgov.engine.reading import ImpactReplay, Span
from pfgov.engine.reading.impact import encode
from pfgov.errors import PfgovError
from pfgov.policy import PolicySet, from_document, load_directory
from pfgov_ledger.impact import About, ImpactSetError
from pfgov_ledger.replaying import ReplayUnavailableError


class _Again(ImpactReplay):
    """Asks a policy set, and gives the report's bytes."""

    def encoded(self) -> bytes:
        """The canonical bytes of the report."""
        return encode(self.report())


def recomputer(about: About, document: bytes | None, source: Path | None) -> _Again:
    """Return what makes the report *about* a history again; see ``pfgov_ledger.impact.RecomputerFactory``.

    Raises:
        ReplayUnavailableError: there is no proposed set, or none that this version can read.
        ImpactSetError: what was named is another set.
    """
    try:
        policies = _policies(document, source)
    except PfgovError as error:
        raise ReplayUnavailableError(error.code, error.message) from None
    if policies.digest != about.proposed:
        raise ImpactSetError(
            "what was named is another set", expected=about.proposed, found=policies.digest
        )
    span = Span(since=about.first, size=about.size, sample=about.sample)
    return _Again(policies, span)


def _policies(document: bytes | None, source: Path | None) -> PolicySet:
    if source is None:
        if document is None:
            raise ReplayUnavailableError("set_missing")
        return from_document(document)
    if source.is_dir():
        return load_directory(source)
    return bundling.compiled(bundling.opened(bundling.read_file(source)))
