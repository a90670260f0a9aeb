"""The table of formats: name, what it is, its usual file name, what it leaves out, and the function that writes it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, BinaryIO, Final

from pfgov.errors import PfgovError

if TYPE_CHECKING:
    from pfgov.lineage.records import Lineage
    from pfgov_ledger.keys import Signer


class UnknownFormatError(PfgovError):
    """There is no format of that name."""

    code = "lineage.format_unknown"
    exit_status = 2


@dataclass(frozen=True, slots=True)
class Format:
    """One format.

    Attributes:
        name: As it is asked for.
        title: What it is, in a line.
        suffix: Of a file that holds it.
        media_type: Over HTTP.
        writer: What writes it, as ``module:function`` of this package; imported when it is asked for.
        lacks: What an export has and this format has no place for; said wherever it is written.
        is_signed: Whether it takes the log's key.
    """

    name: str
    title: str
    suffix: str
    media_type: str
    writer: str
    lacks: tuple[str, ...]
    is_signed: bool = False

    def write(self, lineage: "Lineage", signer: "Signer | None") -> Iterator[str]:
        """Return the lines of *lineage* without their line feeds; *signer* is the log's key where the format signs."""
        module, _, name = self.writer.partition(":")
        function: Callable[..., Iterator[str]] = getattr(
            import_module(f"pfgov.lineage.{module}"), name
        )
        return function(lineage, signer) if self.is_signed else function(lineage)


_LINES: Final = "application/jsonl"
_PROOFS: Final = ("the checkpoint", "inclusion and completeness proofs")
_PAYLOADS: Final = ("payloads and salts", "policy documents")
_UNSIGNED: Final = (*_PROOFS, "signatures of the entries", "the entries' own bytes", *_PAYLOADS)


FORMATS: Final = {
    row.name: row
    for row in (
        Format(
            "dsse",
            "DSSE envelopes with the entries' own signatures",
            ".dsse.jsonl",
            _LINES,
            "envelopes:to_dsse",
            (*_PROOFS, *_PAYLOADS),
        ),
        Format(
            "in-toto",
            "in-toto Statements v1",
            ".intoto.jsonl",
            _LINES,
            "envelopes:to_in_toto",
            (*_PROOFS, "the entries' own bytes", *_PAYLOADS),
        ),
        Format(
            "cose",
            "COSE receipts of inclusion (RFC 9942), signed by the log's key",
            ".cose.jsonl",
            _LINES,
            "cose:to_receipts",
            (
                "what the entries say",
                "completeness proofs",
                "signatures of the entries",
                *_PAYLOADS,
            ),
            is_signed=True,
        ),
        Format(
            "cloudevents",
            "CloudEvents 1.0",
            ".cloudevents.jsonl",
            _LINES,
            "envelopes:to_cloudevents",
            _UNSIGNED,
        ),
        Format(
            "prov-n",
            "W3C PROV in PROV-N",
            ".provn",
            "text/provenance-notation",
            "prov:to_prov_n",
            _UNSIGNED,
        ),
        Format(
            "prov-json",
            "W3C PROV in PROV-JSON",
            ".prov.json",
            "application/json",
            "prov:to_prov_json",
            _UNSIGNED,
        ),
        Format(
            "openlineage",
            "OpenLineage 2-0-2 run events",
            ".openlineage.jsonl",
            _LINES,
            "runs:to_openlineage",
            _UNSIGNED,
        ),
        Format(
            "ocsf",
            "OCSF 1.5 API Activity",
            ".ocsf.jsonl",
            _LINES,
            "runs:to_ocsf",
            _UNSIGNED,
        ),
        Format(
            "otlp",
            "OpenTelemetry traces, OTLP in JSON",
            ".otlp.jsonl",
            _LINES,
            "traces:to_opentelemetry",
            _UNSIGNED,
        ),
    )
}


def format_of(name: str) -> Format:
    """Return the format of that *name*.

    Raises:
        UnknownFormatError: there is none.
    """
    wanted = FORMATS.get(name)
    if wanted is None:
        raise UnknownFormatError(
            f"there is no lineage format {name!r}", hint=f"one of: {', '.join(FORMATS)}"
        )
    return wanted


def convert(lineage: "Lineage", name: str, target: BinaryIO, signer: "Signer | None" = None) -> int:
    """Write *lineage* to *target* in the format *name*; return the lines written.

    Args:
        lineage: What was verified.
        name: Of the format.
        target: Where to.
        signer: The log's key, for a format that signs.

    Raises:
        UnknownFormatError: there is none of that name.
        CannotSignError: the format signs, and *signer* is not the key of the log.
    """
    count = 0
    for text in format_of(name).write(lineage, signer):
        target.write(text.encode() + b"\n")
        count += 1
    return count
