"""What can go wrong between a command and a server, and how a server's own refusal becomes the error that it is.

A problem (RFC 9457) is raised as the class of error that the same refusal is over a folder: the same code, message,
hint, places and exit status.  Whatever has no such code never reached a pfgov, or never came back.
"""

from collections.abc import Mapping
from typing import Any, Final

from pfgov.errors import (
    ForbiddenError,
    InputError,
    InvalidError,
    NotFoundError,
    PfgovError,
    PolicyError,
    Problem,
    StateConflictError,
    StoreError,
    TooLargeError,
)


class ServerError(PfgovError):
    """A server was asked and what was asked for could not be found out."""

    code = "server.error"
    exit_status = 4


class UnreachableServerError(ServerError):
    """Nothing answers at the server's address."""

    code = "server.unreachable"


class NoAnswerError(ServerError):
    """The server was asked and did not answer in time, or the connection was cut: what was done is not known."""

    code = "server.no_answer"


class UntrustedServerError(ServerError):
    """What answers does not show, over TLS and with a certificate, that it is who its URL says."""

    code = "server.tls"


class NotPfgovError(ServerError):
    """Something answers at the server's address, and it is not a pfgov server."""

    code = "server.not_pfgov"


class ServerVersionError(ServerError):
    """The server is of another version than this command line, and the two do not understand each other."""

    code = "server.version"


class CutExportError(ServerError):
    """An export that a server sent is not what the server says that it is."""

    code = "server.export_cut"


class PlainHttpError(InputError):
    """An API key would go to another machine in the clear."""

    code = "server.plain_http"


KEY_HINT: Final = "name a key of that server: PFGOV_API_KEY, or --key-file FILE"

_KINDS: Final[Mapping[int, type[PfgovError]]] = {
    400: InvalidError,
    401: ForbiddenError,
    403: ForbiddenError,
    404: NotFoundError,
    409: StateConflictError,
    413: TooLargeError,
    415: InvalidError,
    422: StateConflictError,
}
"""Status -> the class of a refusal; every other one is the server's own failure."""


def refusal(status: int, problem: Mapping[str, Any], retry_after: str | None = None) -> PfgovError:
    """Return what a server's *problem* is."""
    code = str(problem["code"])
    kind = _KINDS.get(status, StoreError)
    if status == 400 and code.startswith("policy."):
        kind = PolicyError
    hint = problem.get("hint")
    if status == 401:
        hint = KEY_HINT
    elif status in {429, 503} and retry_after is not None:
        hint = f"{hint}; " if hint else ""
        hint += f"it may be asked again in {retry_after[:8]} s"
    return kind(
        str(problem.get("detail", "")),
        code=code,
        hint=None if hint is None else str(hint),
        errors=[
            Problem(
                str(one.get("pointer", "")),
                str(one.get("detail", "")),
                str(one.get("code", code)),
                one.get("hint"),
            )
            for one in problem.get("errors", ())
        ],
    )
