"""Detectors of others: entry points of the group ``pfgov.detectors``, asked only where they are named.

``PFGOV_DETECTORS`` names them, separated by commas, for a command line and for a server alike; nothing that is merely
installed looks at a context.  An entry point is anything that, called without arguments, returns a
:class:`~pfgov.labelling.scanning.Detector`.  The patterns are always asked and cannot be replaced.
"""

import os
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import entry_points
from typing import Final

from pfgov.errors import PfgovError
from pfgov.labelling.scanning import Detector
from pfgov.limits import DETECTORS_MAX, ID_LENGTH_MAX

GROUP: Final = "pfgov.detectors"
VARIABLE: Final = "PFGOV_DETECTORS"
"""The environment variable that names the detectors to be asked besides the patterns."""


class DetectorError(PfgovError):
    """A detector that is named cannot be asked, so that nothing is taken in: less would be found than was asked for."""

    code = "pii.detector"
    exit_status = 2


def chosen(names: Sequence[str] | None = None) -> tuple[Detector, ...]:
    """Return the detectors *names*; those that the environment names where there are none.

    Raises:
        DetectorError: there is none of a name, or it cannot be loaded.
    """
    if names is None:
        names = [name.strip() for name in os.environ.get(VARIABLE, "").split(",") if name.strip()]
    return _loaded(tuple(dict.fromkeys(names)))


@lru_cache(maxsize=8)
def _loaded(names: tuple[str, ...]) -> tuple[Detector, ...]:
    if len(names) >= DETECTORS_MAX:
        raise DetectorError(f"{len(names)} detectors are more than the {DETECTORS_MAX - 1} allowed")
    return tuple(_detector(name) for name in names)


def _detector(name: str) -> Detector:
    found = tuple(entry_points(group=GROUP, name=name))
    if len(found) != 1 or name == "patterns":
        known = sorted({entry.name for entry in entry_points(group=GROUP)} - {"patterns"})
        raise DetectorError(
            f"there is no detector {name!r}",
            hint=f"installed are: {', '.join(known) or 'none'}; {VARIABLE} names those to be asked",
        )
    try:
        made: Detector = found[0].load()()
        is_whole = made.name == name and bool(str(made.version)) and callable(made.detect)
    except Exception as error:
        raise DetectorError(
            f"the detector {name} cannot be loaded: {type(error).__name__}",
            hint="install what it needs, or take it out of PFGOV_DETECTORS",
        ) from error
    named = f"{made.name}@{made.version}"
    if not is_whole or named.count("@") != 1 or len(named) > ID_LENGTH_MAX:
        raise DetectorError(f"what is declared as the detector {name} is none")
    return made
