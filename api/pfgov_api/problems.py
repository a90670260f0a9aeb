"""Problems: every error as RFC 9457 problem+json, with a stable code and a page that explains it.

``type`` is the page of the error's code, ``title`` what kind of thing it is, ``detail`` what is wrong here,
``instance`` the request, ``errors`` each offending place by JSON pointer.  One table maps codes to statuses, longest
prefix first. Nothing of the inside is ever shown: what is not a :class:`~pfgov.errors.PfgovError` is a 500 without its
message.
"""

from typing import Any, Final

from pfgov.errors import (
    BusyError,
    ConflictError,
    DuplicateError,
    EngineStoppedError,
    ForbiddenError,
    InputError,
    NotFoundError,
    PfgovError,
    PolicyError,
    StoreError,
    TooLargeError,
)

MEDIA_TYPE: Final = "application/problem+json"
TYPE_BASE: Final = "/api/problems/"

STATUSES: Final[tuple[tuple[str, int], ...]] = (
    ("http.unauthenticated", 401),
    ("principal.ended", 401),
    ("http.not_found", 404),
    ("http.method_not_allowed", 405),
    ("http.media_type", 415),
    ("http.precondition", 412),
    ("http.cross_site", 403),
    ("http.too_large", 413),
    ("http.timeout", 408),
    ("http.head_too_large", 431),
    ("http.too_many", 429),
    ("http.exhausted", 503),
    ("http.internal", 500),
    ("idempotency.mismatch", 422),
    ("idempotency.key", 400),
    ("engine.busy", 503),
    ("engine.stopped", 503),
    ("key.unusable", 503),
    ("policy.denied", 403),
    ("policy.too_slow", 503),
    ("policy.narrowing", 409),
    ("policy.uncovered", 409),
)
"""Code -> status where the class does not say it."""

TITLES: Final = {
    400: "The request cannot be understood",
    401: "Who are you?",
    403: "Not allowed",
    404: "There is no such thing",
    405: "Not here",
    408: "Too slow",
    409: "The present state does not allow it",
    412: "It has changed meanwhile",
    413: "Too large",
    415: "Not JSON",
    422: "That key belongs to another request",
    429: "Too much at once",
    431: "Too much before the body",
    500: "pfgov failed",
    503: "Not now",
}
"""Titles say the kind; they do not change from occurrence to occurrence."""


class HttpError(PfgovError):
    """A request that is wrong as a request, whatever it is about."""

    code = "http.bad_request"


class FramingError(HttpError):
    """Where this request ends, or for whom it is, can be understood in two ways: nothing after it is read."""


class UnauthenticatedError(HttpError):
    """No key, or not one of ours."""

    code = "http.unauthenticated"


class MediaTypeError(HttpError):
    """The body is not ``application/json``."""

    code = "http.media_type"


class PreconditionError(HttpError):
    """What is to be changed is not any more what ``If-Match`` names; nothing was recorded."""

    code = "http.precondition"


class CrossSiteError(HttpError):
    """A browser sends this for another site."""

    code = "http.cross_site"


class TooSlowError(HttpError):
    """The headers or the body of the request did not arrive in time."""

    code = "http.timeout"


class HeadTooLargeError(HttpError):
    """The request line and the headers are larger than the server reads."""

    code = "http.head_too_large"


class IdempotencyKeyError(HttpError):
    """The ``Idempotency-Key`` is malformed."""

    code = "idempotency.key"


def status_of(error: PfgovError) -> int:
    """Return the HTTP status of *error*."""
    for code, status in STATUSES:
        if error.code == code:
            return status
    if isinstance(error, TooLargeError) and error.pointer not in {None, "", "/context_checkpoint"}:
        return 400  # one field of a body that is not too large as a body
    kinds: tuple[tuple[type[PfgovError], int], ...] = (
        (TooLargeError, 413),
        (InputError, 400),
        (HttpError, 400),
        (NotFoundError, 404),
        (DuplicateError, 409),
        (ConflictError, 409),
        (ForbiddenError, 403),
        (PolicyError, 400),
        (BusyError, 503),
        (EngineStoppedError, 503),
        (StoreError, 503),
    )
    for kind, status in kinds:
        if isinstance(error, kind):
            return status
    return 409


def problem(
    error: PfgovError,
    instance: str,
    receipt: dict[str, Any] | None = None,
    *,
    status: int | None = None,
) -> dict[str, Any]:
    """Return the problem object for *error*, which happened in *instance*; *status* where it is not the usual one."""
    status = status or status_of(error)
    body: dict[str, Any] = {
        "type": f"{TYPE_BASE}{error.code}",
        "title": TITLES.get(status, "Refused"),
        "status": status,
        "detail": error.message,
        "instance": instance,
        "code": error.code,
    }
    if error.hint:
        body["hint"] = error.hint
    rules: tuple[str, ...] = getattr(error, "rules", ())
    if rules:
        body["reasons"] = list(rules)
    places = [
        {
            "pointer": found.pointer,
            "detail": found.detail,
            "code": found.code,
            **({"hint": found.hint} if found.hint else {}),
        }
        for found in error.errors
    ]
    if not places and error.pointer is not None:
        places = [{"pointer": error.pointer, "detail": error.message, "code": error.code}]
    if places:
        body["errors"] = places
    if receipt is not None:
        body["receipt"] = receipt
    return body


def unexpected(instance: str) -> dict[str, Any]:
    """Return the problem object for what should not have happened in *instance*; it says nothing about the inside."""
    return {
        "type": f"{TYPE_BASE}http.internal",
        "title": TITLES[500],
        "status": 500,
        "detail": "an unexpected error; it is in the server's log under this instance",
        "instance": instance,
        "code": "http.internal",
    }
