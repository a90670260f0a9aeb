"""Bundles: a policy set as one signed file that can be carried anywhere.

A bundle is sorted JSON: the set's document, every file that it and its tests were made of, and a manifest, signed
by a publisher, that names the digest of each of them, of the set, what its tests came to and, where it was asked for,
how many mistakes they notice.  No time and no name of a machine is in it: whoever builds it from the same files with
the same key gets the same bytes.  A byte that is changed anywhere is found.  Whether a publisher is trusted is the
ledger's to say.
"""

import hashlib
import re
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import msgspec

from pfgov.app.publishers import NAME_HINT
from pfgov.core.commands import BundleRef
from pfgov.decoding import Reader
from pfgov.errors import PolicyError
from pfgov.files import make_public, public_opener, read_regular
from pfgov.model.fields import ID_PATTERN
from pfgov.policy import PolicyErrors, PolicySet, load_directory
from pfgov.policy.files.folder import POLICY_SUFFIXES
from pfgov_ledger import dsse, envelope
from pfgov_ledger.errors import LedgerError
from pfgov_ledger.keys import Signer

FORMAT: Final = "pfgov.bundle/v1"

BUNDLE_BYTES_MAX: Final = 1_048_576
"""Bytes of one bundle."""

FILES_MAX: Final = 256
"""Files in one bundle."""

VERSION: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,63}", re.ASCII)
"""What a bundle's version may be."""

_STEP: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._ -]{0,127}", re.ASCII)
_STEPS_MAX: Final = 8


class BundleError(PolicyError):
    """A bundle is not what its publisher signed."""

    code = "bundle.altered"


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a bundle is made of: nothing besides, and nothing twice."""


class Tests(_Strict, frozen=True, kw_only=True):
    """What the tests beside the policies came to: outcomes that were seen, of those that a rule can have."""

    checks: int
    seen: int
    outcomes: int


class Mutants(_Strict, frozen=True, kw_only=True):
    """How many of the mistakes that could be in the policies their tests notice."""

    noticed: int
    counted: int
    equivalent: int


class Manifest(_Strict, frozen=True, kw_only=True, omit_defaults=True):
    """What a publisher signs; the digest of every part."""

    format: str
    publisher: str
    version: str
    engine: str
    policy: str
    policies: tuple[tuple[str, str, str], ...]
    points: tuple[str, ...]
    files: dict[str, str]
    tests: Tests | None = None
    mutants: Mutants | None = None
    source: str | None = None


class _File(_Strict, frozen=True, kw_only=True):
    format: str
    document: str
    envelope: msgspec.Raw
    files: dict[str, str]


_FILE: Final = Reader[_File](_File)
_MANIFEST: Final = Reader[Manifest](Manifest)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose signature holds, by whoever has the key.

    Attributes:
        manifest: What was signed.
        key: The public key, in hex.
        signed: The hex SHA-256 of the signed bytes.
        files: Path below the folder -> text.
        document: The set's canonical document.
    """

    manifest: Manifest
    key: str
    signed: str
    files: dict[str, str]
    document: str

    @property
    def ref(self) -> BundleRef:
        """What an entry says of it."""
        said = self.manifest
        return BundleRef(
            publisher=said.publisher, key=self.key, version=said.version, manifest=self.signed
        )


# --- making -------------------------------------------------------------------------------


def build(
    directory: Path,
    signer: Signer,
    *,
    publisher: str,
    version: str,
    source: str | None = None,
    mutants: Mutants | None = None,
) -> bytes:
    """Return the bundle of the policies in *directory*, with their tests, as *publisher*'s *version*.

    Raises:
        PolicyErrors: they do not compile.
        PolicyError: ``bundle.tests``, a test fails; ``bundle.contents``, it cannot be carried.
    """
    import pfgov

    policies = load_directory(directory)
    files = _read(directory)
    if not re.fullmatch(ID_PATTERN, publisher, re.ASCII):
        raise _uncarried(
            f"{publisher[:64]!r} cannot be a publisher's name",
            NAME_HINT,
        )
    if not VERSION.fullmatch(version):
        raise _uncarried(f"{version[:64]!r} cannot be a version", "1.2.0, for example")
    manifest = Manifest(
        format=FORMAT,
        publisher=publisher,
        version=version,
        engine=pfgov.__version__,
        policy=policies.digest,
        policies=policies.policies,
        points=tuple(sorted(map(str, policies.points))),
        files={name: _digest(text) for name, text in files.items()},
        tests=_tested(directory),
        mutants=mutants,
        source=source,
    )
    payload = _encoded(manifest)
    made = {
        "format": FORMAT,
        "document": policies.document.decode(),
        "envelope": envelope.seal(signer, dsse.BUNDLE_TYPE, payload),
        "files": files,
    }
    raw = envelope.encode(made) + b"\n"
    if len(raw) > BUNDLE_BYTES_MAX:
        raise _uncarried(
            f"{len(raw)} bytes are more than the {BUNDLE_BYTES_MAX} of a bundle",
            "take out of the folder what is neither policy nor test",
        )
    opened(raw)  # what is written is what is read
    return raw


def _read(directory: Path) -> dict[str, str]:
    from pfgov.policy.files.folder import list_folder

    found = list_folder(directory)
    if found.problems:
        raise PolicyErrors(found.problems)
    paths = sorted((*found.policies, *found.tests, *found.fixtures))
    if len(paths) > FILES_MAX:
        raise _uncarried(f"{len(paths)} files are more than {FILES_MAX}", "split the set")
    files: dict[str, str] = {}
    for path in paths:
        name = path.relative_to(directory).as_posix()
        if not _is_path(name):
            raise _uncarried(f"{name[:128]!r} cannot be carried everywhere", "rename the file")
        try:
            files[name] = read_regular(path).decode()
        except UnicodeDecodeError:
            raise _uncarried(
                f"{name} holds what cannot be signed as text", "save it in UTF-8"
            ) from None
    return files


def _tested(directory: Path) -> Tests | None:
    from pfgov.policy.authoring.testing.runner import run_directory
    from pfgov.policy.problems import NoTestsError

    try:
        report = run_directory(directory)
    except NoTestsError:
        return None
    if report.failed:
        first = report.failed[0]
        raise PolicyError(
            f"{len(report.failed)} of {len(report.results)} checks fail, the first at {first.file}:{first.line}",
            code="bundle.tests",
            hint=f"pfgov policy test {directory}",
        )
    covered = report.coverage
    return Tests(checks=len(report.results), seen=covered.reached, outcomes=len(covered.wanted))


def _uncarried(message: str, hint: str) -> PolicyError:
    return PolicyError(message, code="bundle.contents", hint=hint)


def _encoded(manifest: Manifest) -> bytes:
    return msgspec.json.encode(manifest, order="sorted")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _is_path(name: str) -> bool:
    steps = PurePosixPath(name).parts
    return (
        0 < len(steps) <= _STEPS_MAX
        and "/".join(steps) == name
        and all(_STEP.fullmatch(step) and not step.endswith((".", " ")) for step in steps)
    )


# --- reading ------------------------------------------------------------------------------


def opened(raw: bytes) -> Bundle:
    """Return the bundle that *raw* is, once its signature and the digest of each part are found to hold.

    Raises:
        BundleError: ``bundle.altered``, one does not, or it is none.
    """
    if len(raw) > BUNDLE_BYTES_MAX:
        raise _altered(f"more than {BUNDLE_BYTES_MAX} bytes")
    try:
        envelope.read(raw)  # one spelling
        found = _FILE.decode(raw)
        payload, public = envelope.unseal_bytes(bytes(found.envelope), dsse.BUNDLE_TYPE)
        manifest = _MANIFEST.decode(payload)
        is_canonical = _encoded(manifest) == payload
    except (LedgerError, msgspec.MsgspecError, ValueError) as error:
        raise _altered(str(error)) from None
    for is_so, what in (
        (found.format == manifest.format == FORMAT, f"it is no {FORMAT}"),
        (is_canonical, "its manifest is not in its one form"),
        (len(found.files) <= FILES_MAX, f"it has more than {FILES_MAX} files"),
        (VERSION.fullmatch(manifest.version) is not None, "its version is none"),
        (all(map(_is_path, found.files)), "a file in it has no plain path"),
        (_digest(found.document) == manifest.policy, "its document is another set's"),
        (
            {name: _digest(text) for name, text in found.files.items()} == manifest.files,
            "its files are not those of the manifest",
        ),
    ):
        if not is_so:
            raise _altered(what)
    signed = hashlib.sha256(payload).hexdigest()
    return Bundle(manifest, public.hex(), signed, found.files, found.document)


def _altered(why: str) -> BundleError:
    return BundleError(
        f"this is not a bundle as its publisher signed it: {why}",
        hint="fetch it again, or ask its publisher",
    )


@contextmanager
def unpacked(bundle: Bundle) -> Generator[Path]:
    """Give a folder with the files of *bundle* that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="pfgov-bundle-") as folder:
        _write(bundle, Path(folder))
        yield Path(folder)


def unpack(bundle: Bundle, folder: Path) -> None:
    """Write the files of *bundle* to a new *folder*.

    Raises:
        PolicyError: ``bundle.unreadable``, it exists, or cannot be made.
    """
    try:
        folder.mkdir(mode=0o755)
    except OSError as error:
        raise PolicyError(
            f"cannot make {folder}: {error.strerror}",
            code="bundle.unreadable",
            hint="name a folder that is not there yet",
        ) from None
    _write(bundle, folder)


def _write(bundle: Bundle, folder: Path) -> None:
    try:
        for name, text in bundle.files.items():
            path = folder / name
            make_public(path.parent)
            with open(path, "xb", opener=public_opener) as file:
                file.write(text.encode())
    except OSError as error:
        raise _altered(f"its files cannot lie in one folder: {error.strerror}") from None


def compiled(bundle: Bundle) -> PolicySet:
    """Return the set of *bundle*, compiled from its files.

    Raises:
        PolicyErrors: they do not compile here.
        BundleError: ``bundle.mismatch``, they make another set here than its publisher said.
    """
    with unpacked(bundle) as folder:
        found = load_directory(folder)
    if found.digest != bundle.manifest.policy:
        raise BundleError(
            f"its files make the policy set {found.digest[:12]} here, not {bundle.manifest.policy[:12]}",
            code="bundle.mismatch",
            hint=f"it was built with pfgov {bundle.manifest.engine}: have it built anew",
        )
    return found


def read_file(path: Path) -> bytes:
    """Return the bytes of a bundle's file.

    Raises:
        BundleError: it is too large to be one.
        PolicyError: it cannot be read; ``policy.no_folder``, it is a policy's file.
    """
    try:
        raw = read_regular(path, BUNDLE_BYTES_MAX + 1)
    except OSError as error:
        raise PolicyError(
            f"cannot read {path}: {error.strerror or error}", code="bundle.unreadable"
        ) from None
    if path.suffix.lower() in POLICY_SUFFIXES and not raw.startswith(b"{"):
        load_directory(path)  # which says how policies are named, for this is no folder
    return raw


def summary(bundle: Bundle) -> Iterator[tuple[str, Any]]:
    """Yield what a person is told of a bundle: names and values."""
    said = bundle.manifest
    yield "publisher", said.publisher
    yield "version", said.version
    yield "key", bundle.key
    yield "policy set", said.policy
    yield "policies", [f"{name} {version} ({mode})" for name, version, mode in said.policies]
    yield "files", len(bundle.files)
    if said.tests is not None:
        tests = said.tests
        yield "tests", f"{tests.checks} checks, {tests.seen} of {tests.outcomes} outcomes seen"
    if said.mutants is not None:
        yield "mutants", f"{said.mutants.noticed} of {said.mutants.counted} noticed"
    if said.source is not None:
        yield "source", said.source
    yield "built with", f"pfgov {said.engine}"
