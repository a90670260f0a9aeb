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


class MalformedError(LedgerError):
    """The bytes are not what they claim to be."""

    code = "ledger.malformed"


class NotJsonError(MalformedError):
    """The bytes are not JSON."""

    code = "ledger.not_json"


class NotUtf8Error(MalformedError):
    """The bytes are not UTF-8."""

    code = "ledger.not_utf8"


class ByteOrderMarkError(MalformedError):
    """The bytes begin with a byte order mark."""

    code = "ledger.byte_order_mark"


class DuplicateKeyError(MalformedError):
    """An object names one key twice."""

    code = "ledger.duplicate_key"


class KeyNameError(MalformedError):
    """An object key is not ``[a-z][a-z0-9_]*``."""

    code = "ledger.key_name"


class FloatError(MalformedError):
    """A number has a fraction or an exponent."""

    code = "ledger.float"


class NegativeZeroError(MalformedError):
    """A number is minus zero."""

    code = "ledger.negative_zero"


class NotANumberError(MalformedError):
    """NaN or an infinity stands where a value should."""

    code = "ledger.not_a_number"


class IntegerRangeError(MalformedError):
    """An integer lies outside +-(2^53 - 1)."""

    code = "ledger.integer_range"


class SurrogateError(MalformedError):
    """A string holds half of a surrogate pair."""

    code = "ledger.lone_surrogate"


class CharacterError(MalformedError):
    """A string holds U+0000 or a noncharacter."""

    code = "ledger.forbidden_character"


class DepthError(MalformedError):
    """Values are nested too deeply."""

    code = "ledger.too_deep"


class NonCanonicalError(MalformedError):
    """Valid JSON, but not the one canonical encoding of it."""

    code = "ledger.non_canonical"


class OversizeError(MalformedError):
    """More bytes than the format allows."""

    code = "ledger.oversize"


class PairsError(MalformedError):
    """A map's ``[name, value]`` pairs are not unique and in byte order."""

    code = "ledger.pairs_unsorted"


class DecimalError(MalformedError):
    """A decimal is not written in its one form."""

    code = "ledger.decimal"


class EntryShapeError(MalformedError):
    """An entry lacks a member, has one too many, or one of the wrong type."""

    code = "ledger.entry_shape"


class VersionError(MalformedError):
    """A version this code does not know."""

    code = "ledger.version_unknown"


class EventUnknownError(MalformedError):
    """An event type outside the closed vocabulary."""

    code = "ledger.event_unknown"


class Base64Error(MalformedError):
    """Base64 that is not in its one canonical form."""

    code = "ledger.base64"


class NoteError(MalformedError):
    """Not a C2SP signed note."""

    code = "ledger.note_malformed"


class CheckpointError(MalformedError):
    """Not a C2SP checkpoint."""

    code = "ledger.checkpoint_malformed"


class CheckpointExtensionError(CheckpointError):
    """A checkpoint carries extension lines, which no one can audit."""

    code = "ledger.checkpoint_extension"


class ProofShapeError(MalformedError):
    """Not a proof in the format it claims."""

    code = "ledger.proof_malformed"


class KeyTextError(MalformedError):
    """Not a key, a verifier key or an anchor in the format it claims."""

    code = "ledger.key_malformed"


# --- chain -------------------------------------------------------------------------------------


class ChainError(LedgerError):
    """Entries that do not follow one another."""

    code = "ledger.chain"


class SequenceError(ChainError):
    """An entry's ``seq`` is not the next one: deleted, inserted, repeated or reordered."""

    code = "ledger.sequence"


class HeadMissingError(ChainError):
    """The first entry is not the genesis entry."""

    code = "ledger.head_missing"


class EmptyError(ChainError):
    """There is no entry at all."""

    code = "ledger.empty"


class ChainBrokenError(ChainError):
    """An entry's ``prev`` is not the leaf hash of the entry before it."""

    code = "ledger.chain_broken"


class SubjectSequenceError(ChainError):
    """An entry's ``subject_seq`` is not the next one of its subject."""

    code = "ledger.subject_sequence"


class SubjectChainBrokenError(ChainError):
    """An entry's ``subject_prev`` is not the leaf hash of the subject's entry before it."""

    code = "ledger.subject_chain_broken"


class SubjectMismatchError(ChainError):
    """An entry's ``subject`` is not the one its type and body name."""

    code = "ledger.subject_mismatch"


class OriginMismatchError(ChainError):
    """An entry or a checkpoint belongs to another log."""

    code = "ledger.origin_mismatch"


class TermError(ChainError):
    """The term went back."""

    code = "ledger.term_decreased"


class TimeError(ChainError):
    """The asserted time went back."""

    code = "ledger.time_decreased"


class CommandReferenceError(ChainError):
    """An entry's ``command`` does not name the entry its index says."""

    code = "ledger.command_reference"


class GenesisError(ChainError):
    """The genesis entry is not the anchored one, or not a genesis entry."""

    code = "ledger.genesis_mismatch"


# --- authenticity ------------------------------------------------------------------------------


class AuthenticityError(LedgerError):
    """Who signed, with which key."""

    code = "ledger.unauthentic"


class SignatureMissingError(AuthenticityError):
    """A signature that must be there is not."""

    code = "ledger.signature_missing"


class SignatureFormError(AuthenticityError):
    """A signature is not 64 bytes in canonical form (S >= L, or R small-order or non-canonical)."""

    code = "ledger.signature_non_canonical"


class SignatureInvalidError(AuthenticityError):
    """A signature does not fit the bytes and the key."""

    code = "ledger.signature_invalid"


class WeakKeyError(AuthenticityError):
    """A public key is of small order, not canonical, or not a point of the curve."""

    code = "ledger.key_weak"


class KeyUnknownError(AuthenticityError):
    """Signed by a key that nobody introduced."""

    code = "ledger.key_unknown"


class KeyRetiredError(AuthenticityError):
    """Signed by a key that had been rotated out."""

    code = "ledger.key_retired"


class KeyRevokedError(AuthenticityError):
    """Signed by a key that had been revoked."""

    code = "ledger.key_revoked"


class KeyRoleError(AuthenticityError):
    """A key is used for a role that is not its own, or stands in two roles."""

    code = "ledger.key_role"


class RotationError(AuthenticityError):
    """A key change lacks the signatures that authorise it."""

    code = "ledger.rotation_unauthorised"


class CheckpointUnsignedError(AuthenticityError):
    """No known key signed the checkpoint."""

    code = "ledger.checkpoint_unsigned"


class CheckpointSignatureError(AuthenticityError):
    """A known key's signature on a checkpoint is wrong."""

    code = "ledger.checkpoint_signature"


# --- tree --------------------------------------------------------------------------------------


class TreeError(LedgerError):
    """The tree, its proofs, and what they say was left out."""

    code = "ledger.tree"


class RootMismatchError(TreeError):
    """The entries' Merkle root is not the one that was signed."""

    code = "ledger.root_mismatch"


class TailMissingError(TreeError):
    """There are fewer entries than the checkpoint counts."""

    code = "ledger.tail_missing"


class InclusionError(TreeError):
    """An inclusion proof does not lead to the root."""

    code = "ledger.inclusion_invalid"


class ConsistencyError(TreeError):
    """A later tree is not an extension of the earlier one."""

    code = "ledger.fork"


class SameSizeForkError(TreeError):
    """Two checkpoints of one size have different roots."""

    code = "ledger.fork_same_size"


class RollbackError(TreeError):
    """The log is shorter than a checkpoint that was seen before."""

    code = "ledger.rollback"


class StaleError(TreeError):
    """The checkpoint is older than the reader accepts."""

    code = "ledger.stale"


class SubjectEntryMissingError(TreeError):
    """An entry of the subject lies between two that are shown."""

    code = "ledger.subject_entry_missing"


class SubjectTailError(TreeError):
    """The subject's last entry is not shown."""

    code = "ledger.subject_tail_missing"


class SubjectMapError(TreeError):
    """A subject map proof does not lead to the committed root."""

    code = "ledger.subject_map_proof"


class IndexMismatchError(TreeError):
    """A committed subject map is not the one the entries give."""

    code = "ledger.index_mismatch"


class QuestionError(TreeError):
    """The export answers another question than the one asked."""

    code = "ledger.other_question"


# --- attachments -------------------------------------------------------------------------------


class AttachmentError(LedgerError):
    """Payloads that lie beside the entries."""

    code = "ledger.attachment"


class CommitmentError(AttachmentError):
    """A payload and salt do not open the commitment."""

    code = "ledger.commitment_mismatch"


class ErasedPayloadError(AttachmentError):
    """A payload is present although its erasure is recorded."""

    code = "ledger.payload_after_erasure"


class PolicyBytesError(AttachmentError):
    """A policy set's bytes do not have the digest the entries name."""

    code = "ledger.policy_bytes"


# --- custody -----------------------------------------------------------------------------------


class CustodyError(LedgerError):
    """Who owned the packet, and whether they could."""

    code = "ledger.custody"


class TwoOwnersError(CustodyError):
    """A packet that is owned was given to another owner."""

    code = "ledger.two_owners"


class EpochError(CustodyError):
    """A change of owner did not raise the epoch by exactly one."""

    code = "ledger.epoch_skipped"


class AfterTerminalError(CustodyError):
    """Something happened to a packet after its end."""

    code = "ledger.after_terminal"


class OwnerUnregisteredError(CustodyError):
    """An owner that was never registered, or no longer is."""

    code = "ledger.owner_unregistered"


class HandoffSourceError(CustodyError):
    """A handoff's source did not own the packet."""

    code = "ledger.handoff_source"


# --- usage -------------------------------------------------------------------------------------


class UsageError(LedgerError):
    """A caller asked for something that makes no sense."""

    code = "ledger.usage"


class KeyFileError(UsageError):
    """A private key cannot be read, or others can read it too."""

    code = "ledger.key_file"


class SchemeError(UsageError):
    """No signer is registered for the URI's scheme."""

    code = "ledger.key_scheme"
