"""Every answer of the API, held to what the OpenAPI document says of it."""

import re
from functools import cache
from typing import Any

import jsonschema_rs

from pfgov_api.routes import OPERATIONS, document

seen: set[str] = set()
"""The answers' schemas that something was held to."""


@cache
def _validator(path: str, method: str, status: int, media_type: str) -> Any:
    described = document()
    responses = described["paths"][path][method.lower()]["responses"]
    assert str(status) in responses, f"{method} {path} may answer {status}, and does not say so"
    content = responses[str(status)]["content"]
    assert media_type in content, f"{method} {path} answers {media_type}, and says {list(content)}"
    schema = {**content[media_type]["schema"], "components": described["components"]}
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True)


@cache
def _operation(path: str, method: str) -> Any:
    for one in OPERATIONS:
        pattern = re.sub(r"\{\w+\}", "[^/]+", one.path)
        if one.method == method and re.fullmatch(pattern, path):
            return one
    return None


def check(method: str, path: str, answer: Any) -> None:
    """Fail unless *answer* is one that the document describes."""
    media_type = answer.headers.get("content-type", "").partition(";")[0]
    operation = _operation(path.partition("?")[0], method)
    if operation is None or answer.status_code == 304 or not media_type.endswith("json"):
        return
    if "as=" in path.partition("?")[2]:
        return  # a translation: others' formats, with schemas of their own
    body = answer.json()
    try:
        _validator(operation.path, method, answer.status_code, media_type).validate(body)
    except jsonschema_rs.ValidationError as error:
        where = "/".join(map(str, error.instance_path))
        raise AssertionError(f"{method} {path}: {where}: {error.message}") from None
    if answer.status_code < 400:
        seen.add(operation.answer)
