"""Parts of JSON objects whose shape another program promised: a map, a list of maps, a text, or an error."""

from collections.abc import Mapping
from typing import Any, cast

from pfgov.errors import InvalidError


class UnreadableError(InvalidError):
    """An object of the cluster is not of the shape that its kind has."""

    code = "kubernetes.unreadable"


def map_in(shown: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the map *name* of *shown*, an empty one if there is none.

    Raises:
        UnreadableError: it is something else.
    """
    value: Any = shown.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UnreadableError(f"{name} of an object of the cluster is no map")
    return cast("dict[str, Any]", value)


def maps_in(shown: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the list of maps *name* of *shown*, an empty one if there is none.

    Raises:
        UnreadableError: it is something else.
    """
    value: Any = shown.get(name)
    if value is None:
        return []
    listed = cast("list[Any]", value)
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in listed):
        raise UnreadableError(f"{name} of an object of the cluster is no list of maps")
    return listed


def text_in(shown: Mapping[str, Any], name: str, default: str | None = None) -> str:
    """Return the text *name* of *shown*, or *default*.

    Raises:
        UnreadableError: it is no text, or is missing and has no default.
    """
    value = shown.get(name, default)
    if not isinstance(value, str):
        raise UnreadableError(f"{name} of an object of the cluster is no text")
    return value


def texts_in(shown: Mapping[str, Any], name: str) -> dict[str, str]:
    """Return the map of texts *name* of *shown*.

    Raises:
        UnreadableError: it is something else.
    """
    found = map_in(shown, name)
    return {key: text_in(found, key) for key in found}
