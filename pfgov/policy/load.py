"""From folders of policy files to a compiled set, or to every problem in them.

The one way in for the command line, the tests beside policies and the engine: what the test runner
accepts, the engine accepts.  The kernel policy always joins; nothing named like it can.  Files are
found through the installed package first and the checkout second.  Nothing takes effect by being
loaded: that is ``pfgov policy activate``.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Final
from weakref import WeakValueDictionary

from pfgov.errors import PolicyError
from pfgov.files import read_regular
from pfgov.policy import limits
from pfgov.policy.budget import too_costly, too_long, too_many, too_many_patterns
from pfgov.policy.compile import compile_set
from pfgov.policy.files import document
from pfgov.policy.files.documents import read_definitions, read_policy
from pfgov.policy.files.folder import Unread, list_folder
from pfgov.policy.files.label_documents import read_labels
from pfgov.policy.files.model import KERNEL, Bundle, Definitions, Label, Labels, Policy
from pfgov.policy.files.reader import Reader
from pfgov.policy.files.source import Entries, Node, Scalar, SourceError, read
from pfgov.policy.judging.judge import PolicySet
from pfgov.policy.problems import (
    NoPolicyError,
    PolicyErrors,
    PolicyFolderError,
    Problem,
    UnknownPackError,
    did_you_mean,
)
from pfgov.policy.soundness import unsound
from pfgov_ledger import canonical

KERNEL_DIGEST: Final = "ea0db6fd8a80a6d1447f09788270118ca1a3a6c953856529c6bf10e8dda09772"
"""SHA-256 of the kernel policy's canonical form.  Another text on disk is refused."""

OLDER_KERNELS: Final[Mapping[int, str]] = MappingProxyType(
    {
        1: "dc99f5495cbb1b4d32da990f131027c1b03f1485f6159d83ddb94d44f64321ea",
        2: KERNEL_DIGEST,
        3: KERNEL_DIGEST,
    }
)
"""Older semantics of policy sets -> the digest of the kernel policy of that time."""


@dataclass(slots=True)
class Files:
    """Everything that was read from a folder, with what is wrong so far."""

    policies: list[Policy] = field(default_factory=list[Policy])
    definitions: list[Definitions] = field(default_factory=list[Definitions])
    labels: list[Labels] = field(default_factory=list[Labels])
    unread: list[Unread] = field(default_factory=list[Unread])
    broken_labels: set[str] = field(default_factory=set[str])
    problems: list[Problem] = field(default_factory=list[Problem])

    def compiled(self, policies: Sequence[Policy] | None = None, *, generated: bool) -> PolicySet:
        """Return the set of these files with the kernel; with *policies*, of those alone.

        Raises:
            PolicyErrors: they do not compile.
        """
        chosen = [kernel_policy(), *(self.policies if policies is None else policies)]
        return compile_set(chosen, self.definitions, self.labels, generated=generated)


def load_directory(path: str | os.PathLike[str], *, generated: bool = True) -> PolicySet:
    """Load every policy below *path*, with the kernel, as one set.

    Raises:
        PolicyErrors: The files do not make a set; all problems of all files.
        PolicyError: There is no such folder, or no policy in it.
    """
    files = read_directory(path)
    if not files.policies and not files.problems:
        raise NoPolicyError(
            f"there is no policy in {os.fspath(path)}",
            hint="policy files are named NAME.policy.yaml; start with: pfgov policy init DIR",
        )
    compiled, problems = compiled_files(files, generated=generated)
    errors = [problem for problem in problems if problem.severity == "error"]
    if compiled is None or errors:
        raise PolicyErrors(errors)
    return compiled


def compiled_files(
    files: Files, *, generated: bool = True
) -> tuple[PolicySet | None, list[Problem]]:
    """Return the set that *files* make, if they make one, and everything that is wrong or doubtful in it.

    There is a set, and it may still not be used, where one of the problems is an error.
    """
    problems = list(files.problems)
    if not files.policies:
        return None, problems
    if too_much := [
        *too_long(files.policies, files.definitions),
        *too_many_patterns(files.policies, files.definitions),
        *too_many(files.policies),
    ]:
        return None, [*problems, *too_much]
    try:
        made = files.compiled(generated=generated)
    except PolicyErrors as error:
        return None, [*problems, *(one for one in error.problems if not follows(one, files))]
    return made, [*problems, *(too_costly(made) or unsound(made))]


def follows(problem: Problem, files: Files) -> bool:
    """Whether *problem* is only that a label is missing whose declaration is a problem already."""
    said = {f"labels has no field `{name}`" for name in files.broken_labels}
    return problem.code == "cel.unknown_field" and problem.message in said


def load_starter(*, generated: bool = True) -> PolicySet:
    """Return the starter set: what a fresh workspace activates.  It covers every decision point."""
    return load_directory(shipped_directory("starter"), generated=generated)


def kernel_only(*, generated: bool = True) -> PolicySet:
    """Return the set that has nothing but the kernel: every decision is ``pfgov:no_policy``."""
    return compile_set([kernel_policy()], (), generated=generated)


_IN_USE: Final[WeakValueDictionary[tuple[bytes, bool], PolicySet]] = WeakValueDictionary()
"""Sets that somebody holds, by the SHA-256 of their document: a process with many ledgers compiles each once."""


def from_document(raw: bytes, *, generated: bool = False) -> PolicySet:
    """Return the set that the ledger attached, compiled; the caller compares ``digest``.

    With *generated* the fast evaluator is made from it: only for a document that this engine wrote
    itself, never for one from somebody else's export.

    Raises:
        PolicyError: It is no document of a set (``policy.document``), has other semantics
            (``policy.semantics``) or another kernel (``policy.kernel``) than this engine.
        PolicyErrors: It does not compile.
    """
    key = (hashlib.sha256(raw).digest(), generated)
    found = _IN_USE.get(key)
    if found is None:
        found = _IN_USE[key] = _from_document(raw, generated=generated)
    return found


def _from_document(raw: bytes, *, generated: bool) -> PolicySet:
    bundle = document.decode(raw)
    kernels = [policy for policy in bundle.policies if policy.name == KERNEL]
    pinned = KERNEL_DIGEST if bundle.semantics is None else OLDER_KERNELS[bundle.semantics]
    if [kernel_digest(kernel) for kernel in kernels] != [pinned]:
        raise PolicyError(
            "the policy set does not hold this engine's kernel policy", code="policy.kernel"
        )
    compiled = compile_set(
        bundle.policies, bundle.definitions, bundle.labels, generated=generated, older=bundle
    )
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
        if root.is_file():
            raise PolicyFolderError(
                f"{root} is a file, and policies are read by their folder",
                hint=f"name the folder: {root.parent}",
            )
        raise PolicyFolderError(
            f"there is no folder {root}",
            hint="make one with: pfgov policy init DIR",
        )
    folder = list_folder(root)
    files = Files(problems=folder.problems, unread=folder.unread)
    for found in folder.policies:
        _read_file(found, files)
    for others, kind in ((folder.tests, "PolicyTest"), (folder.fixtures, "Fixtures")):
        for found in others:
            _only(found, kind, files)
    _unique(files)
    return files


def _only(path: Path, kind: str, files: Files) -> None:
    """Note a file that stands where it is not read as a policy, though it may be one."""
    reader = Reader(str(path))
    node = parse_file(path, reader.problems)
    if node is not None:
        kind_of(reader, node, (kind,))
    files.problems += reader.problems


def _read_file(path: Path, files: Files) -> None:
    reader = Reader(str(path))
    node = parse_file(path, reader.problems)
    if node is not None:
        kind = kind_of(reader, node, ("Policy", "Definitions", "Labels"))
        if kind == "Policy":
            policy = read_policy(reader, node)
            files.policies += [policy] if policy else []
        elif kind == "Definitions":
            definitions = read_definitions(reader, node)
            files.definitions += [definitions] if definitions else []
        elif kind == "Labels":
            labels = read_labels(reader, node, files.broken_labels)
            files.labels += [labels] if labels else []
    files.problems += reader.problems


def parse_file(path: Path, problems: list[Problem]) -> Node | None:
    """Read and parse one file; a problem is noted and None returned."""
    try:
        raw = read_regular(path, limits.FILE_BYTES_MAX)
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
        before = error.object[: error.start]  # without a byte order mark
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        what = f"byte {error.start} is not UTF-8"
        hint = "save the file as UTF-8"
        problems.append(Problem("policy.yaml.encoding", what, str(path), line, column, hint))
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
    kinds = (
        ("policies", files.policies),
        ("definitions", files.definitions),
        ("files of labels", files.labels),
    )
    for kind, items in kinds:
        first: dict[str, Policy | Definitions | Labels] = {}
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
    declared: dict[tuple[str, str], Label] = {}
    for label in (label for labels in files.labels for label in labels.labels):
        known = declared.setdefault((label.owner, label.name), label)
        if known is not label:
            files.problems.append(
                label.place.problem(
                    "policy.duplicate_name",
                    f"the label `{label.name}` of a {label.owner} is declared twice",
                    f"the other one is in {known.place.file}:{known.place.line}",
                )
            )
