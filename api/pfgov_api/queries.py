"""Query strings, read strictly: every parameter is one that the operation lists, given once, within its own schema.

The schemas are those that the OpenAPI document shows, so that what is documented is what is checked.  This module knows
only the few words of JSON Schema that the tables of operations use.
"""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from pfgov.errors import InvalidError, PfgovError, UnknownFieldError
from pfgov.model.times import to_microseconds
from pfgov_api.operations import Parameter

PARAMETERS_MAX: Final = 32
SHOWN_MAX: Final = 64
"""Characters of a wrong value that a refusal shows."""

_FORBIDDEN: Final = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


def read_query(raw: bytes, parameters: tuple[Parameter, ...]) -> dict[str, str]:
    """Return the parameters of a query string, as text.

    Raises:
        UnknownFieldError: one is not listed, or given twice.
        InvalidError: one is not what its schema says, or a required one is missing.
    """
    query: dict[str, str] = {}
    if raw:
        known = {parameter.name: parameter for parameter in parameters}
        for name, value in _pairs(raw):
            parameter = known.get(name)
            if parameter is None:
                raise UnknownFieldError(
                    f"there is no query parameter {name[:64]!r} here",
                    hint=f"there are: {', '.join(sorted(known)) or 'none'}",
                    pointer="/query",
                )
            if name in query:
                raise UnknownFieldError(
                    f"the query parameter {name} is given twice", pointer=f"/query/{name}"
                )
            wrong = misfit(value, parameter.schema)
            if wrong is not None:
                raise InvalidError(
                    f"{name} is {_quoted(value)}: {wrong}",
                    hint=f"{name}: {parameter.about}",
                    pointer=f"/query/{name}",
                )
            query[name] = value
    for parameter in parameters:
        if parameter.required and parameter.name not in query:
            raise InvalidError(
                f"{parameter.name} is required: {parameter.about}",
                pointer=f"/query/{parameter.name}",
            )
    return query


def _pairs(raw: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=PARAMETERS_MAX,
        )
    except ValueError:
        raise InvalidError(
            "the query string cannot be read",
            hint="write name=value, joined by &, in UTF-8 and percent-encoded",
            pointer="/query",
        ) from None


def _quoted(text: str) -> str:
    return (
        repr(text)
        if len(text) <= SHOWN_MAX
        else f"{text[:SHOWN_MAX]!r} and {len(text) - SHOWN_MAX} characters more"
    )


def misfit(text: str, schema: Mapping[str, Any]) -> str | None:
    """Return what is wrong with *text* as a value of *schema*, or None."""
    if schema["type"] == "integer":
        return _not_a_number(text, schema)
    if "enum" not in schema and _FORBIDDEN.search(text):
        return "a control character may not stand here"
    if len(text) > schema.get("maxLength", len(text)):
        return f"longer than {schema['maxLength']} characters"
    if "enum" in schema and text not in schema["enum"]:
        return f"not one of {', '.join(schema['enum'])}"
    if "x-values" in schema:
        wrong = next((one for one in text.split(",") if one not in schema["x-values"]), None)
        said = "an empty one" if wrong == "" else repr(wrong)
        return None if wrong is None else f"{said} is not one of {', '.join(schema['x-values'])}"
    if schema.get("format") == "date-time":
        try:
            to_microseconds(text)
        except (PfgovError, ValueError):
            plus = "; a + is written %2B in an address" if " " in text else ""
            return f"not a moment like 2026-11-23T15:00:00Z{plus}"
        return None
    if "pattern" in schema and not re.search(schema["pattern"], text, re.ASCII):
        return f"not of the form {schema['pattern']}"
    return None


def _not_a_number(text: str, schema: Mapping[str, Any]) -> str | None:
    least, most = schema.get("minimum", 0), schema.get("maximum", 2**53 - 1)
    if (
        text.isascii()
        and text.isdigit()
        and len(text) <= 16
        and least <= int(text) <= most
        and str(int(text)) == text
    ):
        return None
    return f"not a whole number in {least}..{most}"
