"""Everything the ledger can refuse, in one tree.

    LedgerError                            ledger.error
    ├── MalformedError                     the bytes are not what they claim to be (canonical form, entry, note, key)
    ├── ChainError                         well-formed entries that do not follow one another
    ├── AuthenticityError                  who signed, with which key, and whether that key may
    ├── TreeError                          Merkle roots, proofs, checkpoints, what was left out
    ├── AttachmentError                    payloads, salts, commitments, policy sources
    ├── CustodyError                       who owned the packet, and whether they could
    └── UsageError                         our own caller asked for something that makes no sense

Each concrete class below names one attack or one mistake and carries one stable ``code``.
Messages are for people and may change in any release; a code never changes its meaning.
``position`` is the ``seq`` of the first entry that disagrees (for notes and proofs: the tree
size), ``expected`` and ``found`` are the two texts an auditor wants to see side by side.

This module knows no cryptography and no format.
"""

from typing import ClassVar


class LedgerError(Exception):
    """Anything this package refuses; see the module for the tree."""

    code: ClassVar[str] = "ledger.error"
    """Stable and unique to the class."""

    def __init_subclass__(cls, *, code: str | None = None) -> None:
        super().__init_subclass__()
        if code is not None:
            cls.code = code

    def __init__(
        self,
        message: str = "",
        *,
        position: int | None = None,
        expected: str | None = None,
        found: str | None = None,
    ) -> None:
        super().__init__(message or (type(self).__doc__ or self.code).split("\n", 1)[0])
        self.position = position
        self.expected = expected
        self.found = found

    def at(self, position: int) -> "LedgerError":
        """This error, said of the entry at *position*; a position already known is kept."""
        if self.position is None:
            self.position = position
        return self

    def __str__(self) -> str:
        text = super().__str__()
        if self.position is not None:
            text = f"at {self.position}: {text}"
        if self.expected is not None or self.found is not None:
            text = f"{text} (expected {self.expected}, found {self.found})"
        return text


# --- malformed ---------------------------------------------------------------------------------


class MalformedError(LedgerError, code="ledger.malformed"):
    """The bytes are not what they claim to be."""


class NotJsonError(MalformedError, code="ledger.not_json"):
    """The bytes are not JSON."""


class NotUtf8Error(MalformedError, code="ledger.not_utf8"):
    """The bytes are not UTF-8."""


class ByteOrderMarkError(MalformedError, code="ledger.byte_order_mark"):
    """The bytes begin with a byte order mark."""


class DuplicateKeyError(MalformedError, code="ledger.duplicate_key"):
    """An object names one key twice."""


class KeyNameError(MalformedError, code="ledger.key_name"):
    """An object key is not ``[a-z][a-z0-9_]*``."""


class FloatError(MalformedError, code="ledger.float"):
    """A number has a fraction or an exponent."""


class NegativeZeroError(MalformedError, code="ledger.negative_zero"):
    """A number is minus zero."""


class NotANumberError(MalformedError, code="ledger.not_a_number"):
    """NaN or an infinity stands where a value should."""


class IntegerRangeError(MalformedError, code="ledger.integer_range"):
    """An integer lies outside +-(2^53 - 1)."""


class SurrogateError(MalformedError, code="ledger.lone_surrogate"):
    """A string holds half of a surrogate pair."""


class CharacterError(MalformedError, code="ledger.forbidden_character"):
    """A string holds U+0000 or a noncharacter."""


class DepthError(MalformedError, code="ledger.too_deep"):
    """Values are nested too deeply."""


class NonCanonicalError(MalformedError, code="ledger.non_canonical"):
    """Valid JSON, but not the one canonical encoding of it."""


class OversizeError(MalformedError, code="ledger.oversize"):
    """More bytes than the format allows."""


class PairsError(MalformedError, code="ledger.pairs_unsorted"):
    """A map's ``[name, value]`` pairs are not unique and in byte order."""


class EntryShapeError(MalformedError, code="ledger.entry_shape"):
    """An entry lacks a member, has one too many, or one of the wrong type."""


class VersionError(MalformedError, code="ledger.version_unknown"):
    """A version this code does not know."""


class EventUnknownError(MalformedError, code="ledger.event_unknown"):
    """An event type outside the closed vocabulary."""


class Base64Error(MalformedError, code="ledger.base64"):
    """Base64 that is not in its one canonical form."""


class NoteError(MalformedError, code="ledger.note_malformed"):
    """Not a C2SP signed note."""


class CheckpointError(MalformedError, code="ledger.checkpoint_malformed"):
    """Not a C2SP checkpoint."""


class CheckpointExtensionError(CheckpointError, code="ledger.checkpoint_extension"):
    """A checkpoint carries extension lines, which no one can audit."""


class ProofShapeError(MalformedError, code="ledger.proof_malformed"):
    """Not a proof in the format it claims."""


class KeyTextError(MalformedError, code="ledger.key_malformed"):
    """Not a key, a verifier key or an anchor in the format it claims."""


class NotAnExportError(MalformedError, code="ledger.not_an_export"):
    """The file is not a lineage export, a receipt or a proof."""


class LineError(MalformedError, code="ledger.line_malformed"):
    """A line is none of the kinds that an export has, or stands where it must not."""


class LineOversizeError(MalformedError, code="ledger.line_oversize"):
    """A line is longer than an export's lines may be."""


class LineEndingError(MalformedError, code="ledger.line_ending"):
    """Lines end in carriage return and line feed."""


class GzipError(MalformedError, code="ledger.gzip_malformed"):
    """The compression is damaged, or not of the one form that is allowed."""


class GzipTrailingError(MalformedError, code="ledger.gzip_trailing"):
    """Bytes follow the one gzip member."""


class TrailerError(MalformedError, code="ledger.trailer_mismatch"):
    """The counts or the digest at the end do not fit the file."""


class AfterTrailerError(MalformedError, code="ledger.after_trailer"):
    """Lines follow the trailer."""


class ViaMissingError(MalformedError, code="ledger.via_missing"):
    """The file shows no path through a root: it is no tlog-proof whose extra line carries another one."""


class ViaMalformedError(MalformedError, code="ledger.via_malformed"):
    """The root's part of a path is not a proof under a checkpoint."""


# --- chain -------------------------------------------------------------------------------------


class ChainError(LedgerError, code="ledger.chain"):
    """Entries that do not follow one another."""


class SequenceError(ChainError, code="ledger.sequence"):
    """An entry's ``seq`` is not the next one: deleted, inserted, repeated or reordered."""


class HeadMissingError(ChainError, code="ledger.head_missing"):
    """The first entry is not the genesis entry."""


class EmptyError(ChainError, code="ledger.empty"):
    """There is no entry at all."""


class ChainBrokenError(ChainError, code="ledger.chain_broken"):
    """An entry's ``prev`` is not the leaf hash of the entry before it."""


class SubjectSequenceError(ChainError, code="ledger.subject_sequence"):
    """An entry's ``subject_seq`` is not the next one of its subject."""


class SubjectChainBrokenError(ChainError, code="ledger.subject_chain_broken"):
    """An entry's ``subject_prev`` is not the leaf hash of the subject's entry before it."""


class SubjectMismatchError(ChainError, code="ledger.subject_mismatch"):
    """An entry's ``subject`` is not the one its type and body name."""


class OriginMismatchError(ChainError, code="ledger.origin_mismatch"):
    """An entry or a checkpoint belongs to another log."""


class TermError(ChainError, code="ledger.term_decreased"):
    """The term went back."""


class TimeError(ChainError, code="ledger.time_decreased"):
    """The asserted time went back."""


class CommandReferenceError(ChainError, code="ledger.command_reference"):
    """An entry's ``command`` does not name the entry its index says."""


class GenesisError(ChainError, code="ledger.genesis_mismatch"):
    """The genesis entry is not the anchored one, or not a genesis entry."""


class EntryUnexpectedError(ChainError, code="ledger.entry_unexpected"):
    """An entry that an export of this kind does not carry."""


class HeaderError(ChainError, code="ledger.header_mismatch"):
    """The header, or a receipt's position, says something else than the entries."""


# --- authenticity ------------------------------------------------------------------------------


class AuthenticityError(LedgerError, code="ledger.unauthentic"):
    """Who signed, with which key."""


class SignatureMissingError(AuthenticityError, code="ledger.signature_missing"):
    """A signature that must be there is not."""


class SignatureFormError(AuthenticityError, code="ledger.signature_non_canonical"):
    """A signature is not 64 bytes in canonical form (S >= L, or R small-order or non-canonical)."""


class SignatureInvalidError(AuthenticityError, code="ledger.signature_invalid"):
    """A signature does not fit the bytes and the key."""


class WeakKeyError(AuthenticityError, code="ledger.key_weak"):
    """A public key is of small order, not canonical, or not a point of the curve."""


class KeyUnknownError(AuthenticityError, code="ledger.key_unknown"):
    """Signed by a key that nobody introduced."""


class KeyRetiredError(AuthenticityError, code="ledger.key_retired"):
    """Signed by a key that had been rotated out."""


class KeyRevokedError(AuthenticityError, code="ledger.key_revoked"):
    """Signed by a key that had been revoked."""


class KeyRoleError(AuthenticityError, code="ledger.key_role"):
    """A key is used for a role that is not its own, or stands in two roles."""


class KeyLimitError(AuthenticityError, code="ledger.key_limit"):
    """A log introduces more keys than a log may have."""


class RotationError(AuthenticityError, code="ledger.rotation_unauthorised"):
    """A key change lacks the signatures that authorise it."""


class CheckpointUnsignedError(AuthenticityError, code="ledger.checkpoint_unsigned"):
    """No known key signed the checkpoint."""


class CheckpointSignatureError(AuthenticityError, code="ledger.checkpoint_signature"):
    """A known key's signature on a checkpoint is wrong."""


class ViaUnsignedError(AuthenticityError, code="ledger.via_unsigned"):
    """The root's key did not sign the root's checkpoint."""


class ViaSignatureError(AuthenticityError, code="ledger.via_signature"):
    """The signature of the root, or of a known witness, on the root's checkpoint is wrong."""


class ViaOriginError(AuthenticityError, code="ledger.via_origin"):
    """The root is another one than was named, or the ledger itself."""


# --- tree --------------------------------------------------------------------------------------


class TreeError(LedgerError, code="ledger.tree"):
    """The tree, its proofs, and what they say was left out."""


class RootMismatchError(TreeError, code="ledger.root_mismatch"):
    """The entries' Merkle root is not the one that was signed."""


class TailMissingError(TreeError, code="ledger.tail_missing"):
    """There are fewer entries than the checkpoint counts."""


class InclusionError(TreeError, code="ledger.inclusion_invalid"):
    """An inclusion proof does not lead to the root."""


class ConsistencyError(TreeError, code="ledger.fork"):
    """A later tree is not an extension of the earlier one."""


class SameSizeForkError(TreeError, code="ledger.fork_same_size"):
    """Two checkpoints of one size have different roots."""


class RollbackError(TreeError, code="ledger.rollback"):
    """The log is shorter than a checkpoint that was seen before."""


class StaleError(TreeError, code="ledger.stale"):
    """The checkpoint is older than the reader accepts."""


class SubjectEntryMissingError(TreeError, code="ledger.subject_entry_missing"):
    """An entry of the subject lies between two that are shown."""


class SubjectTailError(TreeError, code="ledger.subject_tail_missing"):
    """The subject's last entry is not shown."""


class SubjectMapError(TreeError, code="ledger.subject_map_proof"):
    """A subject map proof does not lead to the committed root."""


class IndexMismatchError(TreeError, code="ledger.index_mismatch"):
    """A committed subject map is not the one the entries give."""


class QuestionError(TreeError, code="ledger.other_question"):
    """The export or receipt answers another question than the one asked."""


class CheckpointMissingError(TreeError, code="ledger.checkpoint_missing"):
    """A finished export without a checkpoint."""


class BeyondCheckpointError(TreeError, code="ledger.beyond_checkpoint"):
    """There are more entries than the checkpoint counts."""


class PolicyMissingError(TreeError, code="ledger.policy_missing"):
    """A policy set that was activated does not travel with the export."""


class ViaInclusionError(TreeError, code="ledger.via_inclusion"):
    """The ledger's checkpoint is not under the root's."""


# --- attachments -------------------------------------------------------------------------------


class AttachmentError(LedgerError, code="ledger.attachment"):
    """Payloads that lie beside the entries."""


class CommitmentError(AttachmentError, code="ledger.commitment_mismatch"):
    """A payload and salt do not open the commitment."""


class ErasedPayloadError(AttachmentError, code="ledger.payload_after_erasure"):
    """A payload is present although its erasure is recorded."""


class PolicyBytesError(AttachmentError, code="ledger.policy_bytes"):
    """A policy set's bytes do not have the digest the entries name."""


class AttachmentUnnamedError(AttachmentError, code="ledger.attachment_unnamed"):
    """A payload that the entry before it does not name."""


# --- custody -----------------------------------------------------------------------------------


class CustodyError(LedgerError, code="ledger.custody"):
    """Who owned the packet, and whether they could."""


class TwoOwnersError(CustodyError, code="ledger.two_owners"):
    """A packet that is owned was given to another owner."""


class EpochError(CustodyError, code="ledger.epoch_skipped"):
    """A change of owner did not raise the epoch by exactly one."""


class AfterTerminalError(CustodyError, code="ledger.after_terminal"):
    """Something happened to a packet after its end."""


class OwnerUnregisteredError(CustodyError, code="ledger.owner_unregistered"):
    """An owner that was never registered, or no longer is."""


class HandoffSourceError(CustodyError, code="ledger.handoff_source"):
    """A handoff's source did not own the packet."""


class HandoffTargetError(CustodyError, code="ledger.handoff_target"):
    """A handoff was completed or aborted for another target than the pending one."""


class NotOwnerError(CustodyError, code="ledger.not_owner"):
    """A write under the name of a member that does not own the packet."""


class CustodyOrderError(CustodyError, code="ledger.custody_order"):
    """An event that cannot follow the ones before it."""


# --- usage -------------------------------------------------------------------------------------


class UsageError(LedgerError, code="ledger.usage"):
    """A caller asked for something that makes no sense."""


class KeyFileError(UsageError, code="ledger.key_file"):
    """A private key cannot be read, or others can read it too."""


class SchemeError(UsageError, code="ledger.key_scheme"):
    """No signer is registered for the URI's scheme."""


class RememberError(UsageError, code="ledger.remember_file"):
    """The file of the remembered checkpoint cannot be used."""


class IndexNeededError(UsageError, code="ledger.index_needed"):
    """A partial export needs a committed subject map that covers what it shows."""
