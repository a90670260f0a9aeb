"""What lies beside a ledger's store: the keys that sign for it, and the anchor.

    DIR/anchor.txt    public: what a verifier pins           DIR/keys/log.key       signs checkpoints
                                                             DIR/keys/issuer.key    signs entries
                                                             DIR/keys/recovery.key  takes back control

Private keys are created readable by their owner only.  This module signs nothing.
"""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from msgspec import Struct

from pfgov.errors import PfgovError, file_errors
from pfgov_ledger import keys
from pfgov_ledger.errors import LedgerError

ROLES: Final = ("log", "issuer", "recovery")


class SigningKeyError(PfgovError):
    """A signing key is missing, damaged, or readable by others."""

    code = "key.unusable"
    exit_status = 4


class Layout(Struct, frozen=True):
    """The files in *directory*, a ledger's folder, that are in no database."""

    directory: Path

    @property
    def anchor(self) -> Path:
        """What a verifier pins."""
        return self.directory / "anchor.txt"

    def key(self, role: str) -> Path:
        """The private key of *role*."""
        return self.directory / "keys" / f"{role}.key"

    def next_key(self, role: str) -> Path:
        """The private key that is to take over *role*, until the ledger says that it did."""
        return self.directory / "keys" / f"{role}.key.next"

    def make(self) -> None:
        """Create the folder and the one for keys, for their owner only.

        Raises:
            StoreUnavailableError: they cannot be created.
        """
        with file_errors(self.directory):
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self.directory / "keys").mkdir(mode=0o700, exist_ok=True)

    def interrupted_origin(self) -> str | None:
        """Return the origin of a creation that was interrupted after it drew the log key."""
        if not self.key("log").exists():
            return None
        with key_errors():
            return keys.file_signer(self.key("log")).name


def make_keys(layout: Layout, origin: str) -> tuple[tuple[str, str], ...]:
    """Draw the three keys of a new ledger; return (role, public key in hex), as genesis records them.

    Keys that a creation left behind when it was interrupted are taken up again.

    Raises:
        SigningKeyError: a key file cannot be written, or belongs to another origin.
    """
    made: list[tuple[str, str]] = []
    for role in ROLES:
        name = origin if role == "log" else f"{origin}/{role}"
        path = layout.key(role)
        with key_errors():
            if path.exists():
                signer = keys.file_signer(path)
            else:
                signer = keys.generate(role=role, name=name)
                keys.write_file(path, signer)
        if signer.name != name or signer.role != role:
            raise SigningKeyError(
                f"{path} is the {signer.role} key {signer.name}, not {name}'s",
                hint="choose an empty folder for a new ledger",
            )
        made.append((role, signer.public.hex()))
    return tuple(made)


KEYS_HINT: Final = "check the files in the ledger's keys folder; they belong to you alone"


@contextmanager
def key_errors(*, hint: str = KEYS_HINT) -> Generator[None]:
    """Turn the ledger package's errors about keys inside the block into :class:`SigningKeyError`."""
    try:
        yield
    except LedgerError as error:
        raise SigningKeyError(str(error), hint=hint) from error
