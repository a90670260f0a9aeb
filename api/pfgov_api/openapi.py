"""The OpenAPI 3.1 document, made from the table of operations and the wire models.

The committed copy (``api/openapi.json``) is compared with this in a test, so that a change of the surface is seen in
review.  Request bodies are the models' own JSON Schemas; answers are described in :mod:`pfgov_api.schemas`.
"""

from collections.abc import Sequence
from typing import Any, Final

from pfgov import __version__
from pfgov_api.bodies import body_schemas
from pfgov_api.limits import IF_MATCH_CHARACTERS_MAX
from pfgov_api.operations import ANYONE, Operation
from pfgov_api.preconditions import is_conditional
from pfgov_api.problems import MEDIA_TYPE, TITLES
from pfgov_api.schemas import SCHEMAS

TAGS: Final = {
    "members": "Who may work.",
    "packets": "The work.",
    "discovery": "Who could do what.",
    "decisions": "May this member own this packet, and why.",
    "policies": "What is binding.",
    "ledger": "The signed history.",
    "authzen": "The same questions, asked as AuthZEN 1.0 does.",
    "operations": "Running the server.",
}

_ID: Final = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._:@~-]{0,127}$"}
_PATH: Final[dict[str, dict[str, Any]]] = {
    "member_id": _ID,
    "packet_id": _ID,
    "commitment": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    "digest": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    "seq": {"type": "integer", "minimum": 0, "maximum": 999_999_999_999_999},
    "tile_level": {"type": "string", "pattern": "^(entries|[0-6])$"},
    **{
        f"tile_{part}": {"type": "string", "pattern": "^(x?[0-9]{3}(\\.p)?|[1-9][0-9]{0,2})$"}
        for part in range(1, 8)
    },
    "code": {"type": "string", "pattern": "^[a-z_]+(\\.[a-z_]+)*$", "maxLength": 64},
}


DESCRIPTION: Final = (
    "Every change of an owner is judged by policy first and is an entry of a signed ledger afterwards. What changes "
    "something answers `outcome`, `reasons`, `position` and a receipt that can be verified alone; what is refused "
    "answers a problem (RFC 9457) with a stable `code`. Send an `Idempotency-Key` with a write that may have to be "
    "repeated, and `If-Match` with one that is to hold only for what was seen. Times are RFC 3339 in UTC."
)


CREATES: Final = {"register_member": "member_id", "submit_packet": "packet_id"}
"""Operations that make something, and the field of their answer that names it: links lead from there."""


def document(operations: Sequence[Operation]) -> dict[str, Any]:
    """Return the document of *operations*."""
    bodies, components = body_schemas(operations)
    if not components.keys().isdisjoint(SCHEMAS):
        raise AssertionError(f"two schemas of one name: {sorted(components.keys() & SCHEMAS)}")
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        described = _operation(operation, bodies)
        if operation.name in CREATES:
            success = described["responses"][str(operation.status)]
            success["links"] = _links(operations, CREATES[operation.name])
        paths.setdefault(operation.path, {})[operation.method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "pfgov",
            "version": __version__,
            "summary": "Policy-first governance for work that moves between members, with a signed lineage ledger.",
            "description": DESCRIPTION,
            "contact": {"name": "pfgov", "url": "https://github.com/pfgov/pfgov"},
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": about} for name, about in TAGS.items()],
        "security": [{"key": []}, {}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "pfgov_...; see: pfgov key create",
                }
            },
            "schemas": dict(sorted({**components, **SCHEMAS}.items())),
        },
    }


def _operation(operation: Operation, bodies: dict[Any, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.about,
        "description": _description(operation),
        "tags": [operation.tag],
        "parameters": _parameters(operation),
        "responses": _responses(operation),
    }
    if operation.access == ANYONE:
        found["security"] = []
    else:
        wanted = (
            operation.access
            if isinstance(operation.access, str)
            else ", ".join(sorted(operation.access))
        )
        found["x-needs-one-of"] = wanted
    if operation.body is not None:
        found["requestBody"] = {
            "required": not operation.body_optional,
            "content": {"application/json": {"schema": bodies[operation.body]}},
        }
    return found


def _description(operation: Operation) -> str:
    """Return who may ask, and what a caller has to know that holds for many operations."""
    said = [operation.about]
    if operation.access == ANYONE:
        said.append("No key is needed.")
    else:
        wanted = {operation.access} if isinstance(operation.access, str) else operation.access
        said.append(f"The key needs one of the scopes {', '.join(sorted(wanted))}.")
    if any(parameter.name in {"after", "before"} for parameter in operation.parameters):
        said.append("A page ends with `next`, and a `Link` header leads on, while there is more.")
    return " ".join(said)


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": _PATH[name]}
        for name in operation.path_parameters
    ]
    found += [
        {
            "name": one.name,
            "in": "query",
            "required": one.required,
            "description": one.about,
            "schema": dict(one.schema),
        }
        for one in operation.parameters
    ]
    if operation.writes:
        found.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": "the same key with the same body gets the same committed answer",
                "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
            }
        )
    if is_conditional(operation):
        found.append(
            {
                "name": "If-Match",
                "in": "header",
                "description": "the ETag of GET on what is changed: 412 if it has changed since",
                "schema": {"type": "string", "maxLength": IF_MATCH_CHARACTERS_MAX},
            }
        )
    return found


def _links(operations: Sequence[Operation], name: str) -> dict[str, Any]:
    """Return links to every operation on what was just made."""
    return {
        other.name: {
            "operationId": other.name,
            "parameters": {name: f"$response.body#/result/{name}"},
        }
        for other in operations
        if other.path_parameters == (name,) and other.answer != "Stream"
    }


def _responses(operation: Operation) -> dict[str, Any]:
    statuses = {400, 403, 500, 503, *operation.raises}
    if any(parameter.name == "receipt" for parameter in operation.parameters):
        statuses.add(409)  # a witnessed receipt where there are no witnesses
    if operation.access != ANYONE:
        statuses |= {401, 429}
    if operation.body is not None:
        statuses |= {408, 413, operation.media_type_status}
    if operation.writes:
        statuses |= {409, 422}
    if is_conditional(operation):
        statuses.add(412)
    schema = {"$ref": f"#/components/schemas/{operation.answer}"}
    success: dict[str, Any] = {
        "description": operation.about,
        "content": {
            name: {"schema": schema}
            for name in (operation.media_type, *operation.other_media_types)
        },
    }
    responses: dict[str, Any] = {str(operation.status): success}
    if operation.method == "GET" and operation.answer != "Stream":
        responses["304"] = {"description": "unchanged since the ETag in If-None-Match"}
    for status in sorted(statuses):
        responses[str(status)] = {
            "description": TITLES[status],
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
    return responses
