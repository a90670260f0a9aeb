"""A scan: which classes of data a context holds, by every detector, within a bound of size and time.

It fails closed: what is too large, cannot be read, takes too long, or breaks a detector is of the class
``pii.unknown``.  A scan returns classes and how often each was found.  What was found, and where, is not returned,
logged or kept, nor is it in an error.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from pfgov.clock import processor_micros
from pfgov.core.spelling import check_class
from pfgov.labelling import patterns
from pfgov.labelling.patterns import PATTERNS, UNKNOWN, Pattern, is_one
from pfgov.labelling.reading import UnreadableError, plain_of_text, plain_text
from pfgov.limits import CONTEXT_BYTES_MAX

SCAN_MICROS: Final = 2_000_000
"""What one scan may take of the processor."""

SCAN_MICROS_MIN: Final = 250_000
"""What the scan of the shortest context may take; each byte adds two microseconds."""

COUNT_MAX: Final = 10_000
"""How often a class is counted; a scan that only asks which classes there are stops at one."""

_LOOKS: Final = 64
"""Refused finds between two steps."""

_CALLS: Final = 8
"""Steps between two looks at the time."""


class Detector(Protocol):
    """What looks for data in a text.  A plug-in is called with the plain text, a name and a value a line."""

    @property
    def name(self) -> str:
        """What it is called in entries and policies."""
        ...

    @property
    def version(self) -> str:
        """Another one whenever it finds something else."""
        ...

    def detect(self, text: str) -> Mapping[str, int]:
        """Return data class -> how often it was found."""
        ...


class OutOfTimeError(Exception):
    """The scan took longer than it may."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What a scan found.

    Attributes:
        detectors: Who looked, each as ``NAME@VERSION``, in order.
        counts: Data class -> how often, in order of the classes.
        why: Why something could not be looked through, in words that are ours; None where all was.
    """

    detectors: tuple[str, ...]
    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    why: str | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """The data classes, in order."""
        return tuple(sorted(self.counts))


def scan(
    payload: bytes | None,
    plug_ins: Sequence[Detector] = (),
    *,
    count_max: int = 1,
    is_json: bool = True,
    micros: int = SCAN_MICROS,
) -> Findings:
    """Return what *payload* holds; nothing where there is none.

    Args:
        payload: The bytes of a context, or of a file.
        plug_ins: Who looks besides the patterns.
        count_max: Up to which number each class is counted.
        is_json: Whether it has to be a JSON document; otherwise it is any text.
        micros: What the scan may take of the processor, in microseconds.
    """
    named = (f"patterns@{patterns.VERSION}", *(f"{one.name}@{one.version}" for one in plug_ins))
    detectors = tuple(sorted(named))
    if payload is None:
        return Findings(detectors)
    counts: dict[str, int] = {}
    why = _look(payload, plug_ins, counts, _patience(micros), count_max, is_json=is_json)
    if why is not None:
        counts[UNKNOWN] = 1
    return Findings(detectors, dict(sorted(counts.items())), why)


def micros_for(payload: bytes | None) -> int:
    """Return what the scan of a context may take of the processor, in microseconds: a short one may be packed."""
    return min(SCAN_MICROS_MIN + 2 * len(payload or b""), SCAN_MICROS)


def _look(
    payload: bytes,
    plug_ins: Sequence[Detector],
    counts: dict[str, int],
    tick: Callable[[], None],
    count_max: int,
    *,
    is_json: bool,
) -> str | None:
    """Put what is found into *counts*; return why not all could be looked through."""
    if len(payload) > CONTEXT_BYTES_MAX:
        return "larger than a context may be"
    try:
        text = plain_text(payload, tick) if is_json else plain_of_text(payload.decode(), tick)
        count(text, counts, tick, count_max)
    except UnreadableError as error:
        return str(error)
    except UnicodeDecodeError:
        return "not UTF-8"
    except OutOfTimeError:
        return "out of time"
    for plug_in in plug_ins:
        try:
            found = _asked(plug_in, text.decode(errors="replace").replace("\x1e", "\n"))
            for name, times in found.items():
                counts[check_class(name)] = counts.get(name, 0) + max(int(times), 1)
            tick()
        except OutOfTimeError:
            return "out of time"
        except Exception:  # noqa: BLE001 - whatever a plug-in raises, and it may quote the text
            return f"the detector {plug_in.name} failed"
    return None


PLUG_IN_SECONDS: Final = 10.0
"""For how long a plug-in is waited for."""

_AT_WORK: Final[dict[int, threading.Thread]] = {}
"""Plug-ins that were given up and have not returned, by identity: they are not asked meanwhile."""


def _asked(plug_in: Detector, text: str) -> Mapping[str, int]:
    """Return what *plug_in* finds, in a thread that nobody waits for longer than is allowed.

    Raises:
        OutOfTimeError: it does not return, or has not returned from an earlier text.
        Exception: whatever it raises.
    """
    before = _AT_WORK.get(id(plug_in))
    if before is not None and before.is_alive():
        raise OutOfTimeError
    found: list[Mapping[str, int]] = []
    failed: list[Exception] = []

    def work() -> None:
        try:
            found.append(plug_in.detect(text))
        except Exception as error:  # noqa: BLE001 - raised again where it was asked
            failed.append(error)

    thread = threading.Thread(target=work, name=f"detector {plug_in.name}", daemon=True)
    thread.start()
    thread.join(PLUG_IN_SECONDS)
    if thread.is_alive():
        _AT_WORK[id(plug_in)] = thread
        raise OutOfTimeError
    _AT_WORK.pop(id(plug_in), None)
    if failed:
        raise failed[0]
    return found[0]


def count(
    text: bytes, counts: dict[str, int], tick: Callable[[], None], count_max: int = COUNT_MAX
) -> None:
    """Count what the patterns find in *text*, which was made plain, into *counts*.

    Raises:
        OutOfTimeError: by way of *tick*.
    """
    is_numbered = patterns.DIGITS.search(text) is not None
    is_spoken_of = patterns.CONTEXTS.search(text) is not None
    has = {
        ("", False): True,
        ("@", False): b"@" in text,
        ("digits", False): is_numbered and patterns.SHAPES.search(text) is not None,
        ("digits", True): is_numbered and is_spoken_of,
        ("", True): is_spoken_of,
    }
    for row in PATTERNS:
        if has[row.needs, row.context is not None] and counts.get(row.data_class, 0) < count_max:
            tick()
            found = _occurrences(row, text, tick, count_max - counts.get(row.data_class, 0))
            if found:
                counts[row.data_class] = counts.get(row.data_class, 0) + found


def _occurrences(row: Pattern, text: bytes, tick: Callable[[], None], count_max: int) -> int:
    at = found = refused = 0
    search = row.expression.search
    while found < count_max:
        if row.context is not None:  # only what comes soon after a word of its context can be one
            word = row.context.search(text, max(0, at - patterns.CONTEXT_BYTES))
            if word is None:
                break
            at = max(at, word.start())
        match = search(text, at)
        if match is None:
            break
        start, end = match.span()
        if is_one(row, match.group(), text, start):
            found, at = found + 1, end
        else:
            at, refused = start + 1, refused + 1
            if refused % _LOOKS == 0:
                tick()
    return found


def _patience(micros: int) -> Callable[[], None]:
    end = processor_micros() + micros
    calls = 0

    def tick() -> None:
        nonlocal calls
        calls += 1
        if calls % _CALLS == 1 and processor_micros() > end:
            raise OutOfTimeError

    return tick
