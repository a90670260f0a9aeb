"""A package's face that loads a part when one of its names is first asked for (PEP 562).

A command that only reads would otherwise wait for all that decides before its first line.  The face of a large package
therefore names its parts in one table, and type checkers see the same imports beside it.  This module knows no package
of the product.
"""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module


def face(package: str, parts: Mapping[str, tuple[str, ...]]) -> Callable[[str], object]:
    """Return the ``__getattr__`` of *package*.

    Args:
        package: The package's ``__name__``.
        parts: The names that each module gives to the face, by the module's full name.

    The returned function raises AttributeError for a name that no part gives.
    """
    homes = {name: module for module, names in parts.items() for name in names}

    def __getattr__(name: str) -> object:  # noqa: N807 - it is one
        module = homes.get(name)
        if module is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found: object = getattr(import_module(module), name)
        setattr(sys.modules[package], name, found)
        return found

    return __getattr__
