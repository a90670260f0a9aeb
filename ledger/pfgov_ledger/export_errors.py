"""What an export can do wrong as a file, and what its packets' histories can do wrong.

A continuation of :mod:`pfgov_ledger.errors` (the same tree, the same rules about codes) for the
parts that read whole exports: lines, compression, order, what must be there, custody.  This module
knows no format.
"""

from pfgov_ledger import errors


class NotAnExportError(errors.MalformedError):
    """The file is not a lineage export, a receipt or a proof."""

    code = "ledger.not_an_export"


class LineError(errors.MalformedError):
    """A line is none of the kinds that an export has, or stands where it must not."""

    code = "ledger.line_malformed"


class LineOversizeError(errors.MalformedError):
    """A line is longer than an export's lines may be."""

    code = "ledger.line_oversize"


class LineEndingError(errors.MalformedError):
    """Lines end in carriage return and line feed."""

    code = "ledger.line_ending"


class GzipError(errors.MalformedError):
    """The compression is damaged, or not of the one form that is allowed."""

    code = "ledger.gzip_malformed"


class GzipTrailingError(errors.MalformedError):
    """Bytes follow the one gzip member."""

    code = "ledger.gzip_trailing"


class TrailerError(errors.MalformedError):
    """The counts or the digest at the end do not fit the file."""

    code = "ledger.trailer_mismatch"


class AfterTrailerError(errors.MalformedError):
    """Lines follow the trailer."""

    code = "ledger.after_trailer"


class EntryUnexpectedError(errors.ChainError):
    """An entry that an export of this kind does not carry."""

    code = "ledger.entry_unexpected"


class HeaderError(errors.ChainError):
    """The header says something else than the entries."""

    code = "ledger.header_mismatch"


class CheckpointMissingError(errors.TreeError):
    """A finished export without a checkpoint."""

    code = "ledger.checkpoint_missing"


class BeyondCheckpointError(errors.TreeError):
    """There are more entries than the checkpoint counts."""

    code = "ledger.beyond_checkpoint"


class PolicyMissingError(errors.TreeError):
    """A policy set that was activated does not travel with the export."""

    code = "ledger.policy_missing"


class AttachmentUnnamedError(errors.AttachmentError):
    """A payload that the entry before it does not name."""

    code = "ledger.attachment_unnamed"


class HandoffTargetError(errors.CustodyError):
    """A handoff was completed or aborted for another target than the pending one."""

    code = "ledger.handoff_target"


class NotOwnerError(errors.CustodyError):
    """A write under the name of a member that does not own the packet."""

    code = "ledger.not_owner"


class CustodyOrderError(errors.CustodyError):
    """An event that cannot follow the ones before it."""

    code = "ledger.custody_order"


class RememberError(errors.UsageError):
    """The file of the remembered checkpoint cannot be used."""

    code = "ledger.remember_file"


class IndexNeededError(errors.UsageError):
    """A partial export needs a committed subject map that covers what it shows."""

    code = "ledger.index_needed"
