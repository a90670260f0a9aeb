"""From folders of policy files to a compiled set, or to every problem in them.

The one way in for the command line, the tests beside policies and the engine: what the test runner
accepts, the engine accepts.  The kernel policy always joins; nothing named like it can.  Files are
found through the installed package first and the checkout second.  Nothing takes effect by being
loaded: that is ``pfgov policy activate``.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Final

from pfgov.errors import PolicyError
from pfgov.policy import document, limits
from pfgov.policy.compile import compile_set
from pfgov.policy.files import read_definitions, read_policy
from pfgov.policy.model import KERNEL, Bundle, Definitions, Policy
from pfgov.policy.policyset import PolicySet
from pfgov.policy.problems import (
    NoPolicyError,
    PolicyErrors,
    PolicyFolderError,
    Problem,
    UnknownPackError,
    did_you_mean,
)
from pfgov.policy.reader import Reader
from pfgov.policy.source import Entries, Node, Scalar, SourceError, read
from pfgov_ledger import canonical

KERNEL_DIGEST: Final = "dc99f5495cbb1b4d32da990f131027c1b03f1485f6159d83ddb94d44f64321ea"
"""SHA-256 of the kernel policy's canonical form.  Another text on disk is refused."""

TEST_SUFFIX: Final = ".test.yaml"
FIXTURES: Final = "fixtures"
_SUFFIXES: Final = (".yaml", ".yml")


@dataclass(slots=True)
class Files:
    """Everything that was read from a folder, with what is wrong so far."""

    policies: list[Policy] = field(default_factory=list[Policy])
    definitions: list[Definitions] = field(default_factory=list[Definitions])
    problems: list[Problem] = field(default_factory=list[Problem])


def load_directory(path: str | os.PathLike[str], *, generated: bool = True) -> PolicySet:
    """Load every policy below *path*, with the kernel, as one set.

    Raises:
        PolicyErrors: The files do not make a set; all problems of all files.
        PolicyError: There is no such folder, or no policy in it.
    """
    files = read_directory(path)
    if files.problems:
        raise PolicyErrors([*files.problems, *_further(files)])
    if not files.policies:
        raise NoPolicyError(
            f"there is no policy in {os.fspath(path)}",
            hint="policy files are named NAME.policy.yaml; start with: pfgov policy init DIR",
        )
    return compile_set([kernel_policy(), *files.policies], files.definitions, generated=generated)


def _further(files: Files) -> Sequence[Problem]:
    """What the compiler would say of the files that could be read: all errors at once."""
    if not files.policies:
        return ()
    try:
        compile_set([kernel_policy(), *files.policies], files.definitions, generated=False)
    except PolicyErrors as error:
        return error.problems
    return ()


def load_starter(*, generated: bool = True) -> PolicySet:
    """Return the starter set: what a fresh workspace activates.  It covers every decision point."""
    return load_directory(shipped_directory("starter"), generated=generated)


def kernel_only(*, generated: bool = True) -> PolicySet:
    """Return the set that has nothing but the kernel: every decision is ``pfgov:no_policy``."""
    return compile_set([kernel_policy()], (), generated=generated)


def from_document(raw: bytes, *, generated: bool = False) -> PolicySet:
    """Compile the set that the ledger attached; the caller compares ``digest``.

    With *generated* the fast evaluator is made from it: only for a document that this engine wrote
    itself, never for one from somebody else's export.

    Raises:
        PolicyError: It is no document of a set (``policy.document``), has other semantics
            (``policy.semantics``) or another kernel (``policy.kernel``) than this engine.
        PolicyErrors: It does not compile.
    """
    bundle = document.decode(raw)
    kernels = [policy for policy in bundle.policies if policy.name == KERNEL]
    if kernels != [kernel_policy()]:
        raise PolicyError(
            "the policy set does not hold this engine's kernel policy", code="policy.kernel"
        )
    compiled = compile_set(bundle.policies, bundle.definitions, generated=generated)
    if compiled.document != raw:
        raise PolicyError(
            "the policy set holds definitions that nothing imports", code="policy.document"
        )
    return compiled


# --- the files that ship with the package ----------------------------------------------------


def shipped_directory(name: str) -> Path:
    """Return the folder of shipped policies *name* (``kernel``, ``starter`` or a pack).

    Raises:
        UnknownPackError: The installation has no such folder.
    """
    installed = resources.files("pfgov").joinpath("_policies", name)
    checkout = Path(__file__).resolve().parents[2] / "policies" / name
    for candidate in (Path(str(installed)), checkout):
        if candidate.is_dir():
            return candidate
    raise UnknownPackError(
        f"this installation has no policies named {name}",
        hint=did_you_mean(name, shipped_names()) or f"there are {', '.join(shipped_names())}",
    )


def shipped_names() -> tuple[str, ...]:
    """Return the names of every shipped folder of policies that an author may copy."""
    installed = Path(str(resources.files("pfgov").joinpath("_policies")))
    checkout = Path(__file__).resolve().parents[2] / "policies"
    root = installed if installed.is_dir() else checkout
    if not root.is_dir():
        return ()
    return tuple(sorted(p.name for p in root.iterdir() if p.is_dir() and p.name != KERNEL))


@lru_cache(maxsize=1)
def kernel_policy() -> Policy:
    """Return the kernel policy, read from its file and held against its pinned digest.

    Raises:
        PolicyError: The file is missing, broken or altered.
    """
    path = shipped_directory(KERNEL) / "kernel.policy.yaml"
    reader = Reader(str(path))
    node = parse_file(path, reader.problems)
    policy = read_policy(reader, node, kernel=True) if node is not None else None
    if policy is None or reader.problems:
        raise PolicyErrors(reader.problems)
    if kernel_digest(policy) != KERNEL_DIGEST:
        raise PolicyError(
            f"the kernel policy {path} is not the one this release was made with",
            code="policy.kernel",
            hint="install pfgov again; author further rules in a policy of your own",
        )
    return policy


def kernel_digest(policy: Policy) -> str:
    """Return the digest of the kernel policy's canonical form, whatever schema surrounds it."""
    rows = canonical.decode(document.encode(Bundle((policy,))))
    assert isinstance(rows, dict)
    return hashlib.sha256(canonical.encode(rows["policies"])).hexdigest()


# --- reading ---------------------------------------------------------------------------------


def read_directory(path: str | os.PathLike[str]) -> Files:
    """Read every policy and definitions file below *path*.

    Raises:
        PolicyError: There is no such folder, or it cannot be listed.
    """
    root = Path(path)
    if not root.is_dir():
        raise PolicyFolderError(
            f"there is no folder {root}",
            hint="make one with: pfgov policy init DIR",
        )
    files = Files()
    for count, found in enumerate(yaml_files(root)):
        if count >= limits.FILES_MAX:
            files.problems.append(
                Problem("policy.too_many", f"more than {limits.FILES_MAX} files", str(root))
            )
            break
        if not found.name.endswith(TEST_SUFFIX):
            _read_file(found, files)
    _unique(files)
    return files


def yaml_files(root: Path) -> Iterator[Path]:
    """Yield the YAML files below *root* in order, without hidden ones and without fixtures."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(n for n in folders if not n.startswith(".") and n != FIXTURES)
        for name in sorted(names):
            if name.endswith(_SUFFIXES) and not name.startswith("."):
                yield Path(folder) / name


def _read_file(path: Path, files: Files) -> None:
    reader = Reader(str(path))
    node = parse_file(path, reader.problems)
    if node is not None:
        kind = kind_of(reader, node, ("Policy", "Definitions"))
        if kind == "Policy":
            policy = read_policy(reader, node)
            files.policies += [policy] if policy else []
        elif kind == "Definitions":
            definitions = read_definitions(reader, node)
            files.definitions += [definitions] if definitions else []
    files.problems += reader.problems


def parse_file(path: Path, problems: list[Problem]) -> Node | None:
    """Read and parse one file; a problem is noted and None returned."""
    try:
        raw = path.read_bytes()
        if len(raw) > limits.FILE_BYTES_MAX:
            problems.append(
                Problem(
                    "policy.yaml.too_large", f"more than {limits.FILE_BYTES_MAX} bytes", str(path)
                )
            )
            return None
        return read(raw.decode("utf-8-sig"), str(path))
    except OSError as error:
        problems.append(Problem("policy.unreadable", f"{error.strerror}", str(path)))
    except UnicodeDecodeError as error:
        problems.append(
            Problem("policy.yaml.encoding", f"byte {error.start} is not UTF-8", str(path))
        )
    except SourceError as error:
        problems.append(error.problem)
    return None


def kind_of(reader: Reader, node: Node, kinds: Sequence[str]) -> str | None:
    """Return the ``kind`` of a document, one of *kinds*; anything else is noted."""
    if not isinstance(node, Entries):
        reader.wrong_type(node, "a file", "a mapping with apiVersion and kind")
        return None
    found = node.get("kind")
    if found is None:
        reader.error("missing_key", "the file needs the key `kind`", node, f"kind: {kinds[0]}")
        return None
    text = found.text if isinstance(found, Scalar) else ""
    if text not in kinds:
        hint = did_you_mean(text, kinds) or f"one of: {', '.join(kinds)}"
        if text == "PolicyTest":
            hint = "tests stand in files named NAME.test.yaml"
        reader.error("kind", f"`{text}` is no kind of file that is read here", found, hint)
        return None
    return text


def _unique(files: Files) -> None:
    for kind, items in (("policies", files.policies), ("definitions", files.definitions)):
        first: dict[str, Policy | Definitions] = {}
        for item in items:
            if item.name in first:
                where = first[item.name].place.file
                files.problems.append(
                    item.place.problem(
                        "policy.duplicate_name",
                        f"two {kind} have the name `{item.name}`",
                        f"the other one is in {where}",
                    )
                )
            first.setdefault(item.name, item)
