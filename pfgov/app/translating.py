"""An export in somebody else's format, where a ledger is served: verified like any other before it is translated."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, BinaryIO, Final

from pfgov.errors import TooLargeError
from pfgov.lineage import Format, convert, format_of, verified
from pfgov_ledger.export import Written
from pfgov_ledger.keys import Signer, parse_anchor

TRANSLATED_ENTRIES_MAX: Final = 20_000
"""Entries that a server translates at once: verifying and writing them takes seconds of its processor."""


def translated(
    write: Callable[[BinaryIO], Written], name: str, anchor: str, signer: Callable[[], Signer]
) -> tuple[IO[bytes], Written, Format]:
    """Return the export that *write* makes, in the format *name*, as an open temporary file at its beginning.

    Args:
        write: Writes the export and says what is in it.
        name: Of the format.
        anchor: What the ledger's verifiers pin.
        signer: Gives the log's key; asked only by a format that signs.

    Raises:
        TooLargeError: ``export.too_long_to_translate``.
        NotVerifiedError: the export does not verify.
        UnknownFormatError: there is no such format.
    """
    row = format_of(name)
    with tempfile.TemporaryDirectory(prefix="pfgov-export-") as folder:
        path = Path(folder) / "export"
        with path.open("xb") as file:
            written = write(file)
        if written.entries > TRANSLATED_ENTRIES_MAX:
            raise TooLargeError(
                f"the export has {written.entries} entries, and a server translates {TRANSLATED_ENTRIES_MAX}",
                code="export.too_long_to_translate",
                hint="take the export without `as`, then: pfgov ledger convert FILE --as FORMAT",
            )
        target = tempfile.TemporaryFile()  # noqa: SIM115 - whoever sends it closes it
        try:
            lineage = verified(path, parse_anchor(anchor))
            convert(lineage, name, target, signer() if row.is_signed else None)
        except BaseException:
            target.close()
            raise
    target.seek(0)
    return target, written, row
