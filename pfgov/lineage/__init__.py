"""Lineage in other people's formats, made from a verified export.

Each format is a pure function from the records of an export to lines of text; :data:`FORMATS` is the table of them, and
``docs/reference/lineage-formats.md`` says field by field what goes where.  Nothing is written for an export that did
not verify, and no ledger is opened: the file is all that is known.  One format is signed anew, by whoever has the key
of the log.
"""

from pfgov.lineage.formats import FORMATS, Format, convert, format_of
from pfgov.lineage.records import Lineage, NotVerifiedError, Record, verified

__all__ = [
    "FORMATS",
    "Format",
    "Lineage",
    "NotVerifiedError",
    "Record",
    "convert",
    "format_of",
    "verified",
]
