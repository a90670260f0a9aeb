"""Personal data and secrets in contexts, found and named by class: ``pii.email``, ``pii.iban``, ``secret.key``.

:func:`scan` says which classes a context holds.  It is asked where a context enters, before anything is decided; only
the names of classes and of detectors go on from there.  This package knows neither commands nor ledgers.
"""

from pfgov.labelling.patterns import CLASSES, UNKNOWN
from pfgov.labelling.plugins import chosen
from pfgov.labelling.reading import is_quick
from pfgov.labelling.scanning import COUNT_MAX, Detector, Findings, micros_for, scan

__all__ = [
    "CLASSES",
    "COUNT_MAX",
    "UNKNOWN",
    "Detector",
    "Findings",
    "chosen",
    "is_quick",
    "micros_for",
    "scan",
]
