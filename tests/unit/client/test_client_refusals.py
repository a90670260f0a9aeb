"""What a server refuses is told apart by its class, whatever the server sends."""

from typing import Any

import pytest

from pfgov.client import (
    ApiError,
    ConflictError,
    DeniedError,
    EscalatedError,
    ForbiddenError,
    NotFoundError,
    NotOwnerError,
    PreconditionError,
    StaleEpochError,
    UnauthenticatedError,
)
from pfgov.client.core import value_of
from pfgov.client.refusals import MOVES, check_move, refusal


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (403, "policy.denied", DeniedError),
        (409, "ownership.stale_epoch", StaleEpochError),
        (409, "ownership.not_owner", NotOwnerError),
        (403, "ownership.unnamed", ForbiddenError),
        (403, "access.forbidden", ForbiddenError),
        (401, "http.unauthenticated", UnauthenticatedError),
        (401, "principal.ended", UnauthenticatedError),
        (404, "packet.not_found", NotFoundError),
        (409, "lifecycle.illegal", ConflictError),
        (412, "http.precondition", PreconditionError),
        (400, "input.invalid", ApiError),
        (418, "POLICY.DENIED", ApiError),
        (409, "policy.denied ", ConflictError),
    ],
)
def test_refusals_are_told_apart_by_their_class(
    status: int, code: str, kind: type[ApiError]
) -> None:
    """A program has to read a text to know what was refused, or a code that only looks alike is taken for it."""
    error = refusal(status, {"code": code, "detail": "no"})
    assert type(error) is kind
    assert (error.code, error.status) == (code, status)


@pytest.mark.parametrize(
    "problem",
    [
        {},
        {"reasons": "kernel/region", "code": "policy.denied"},
        {"reasons": [1, None, ["x"]], "code": ["policy.denied"], "receipt": [1]},
        {"receipt": {"position": "7"}, "code": None, "hint": 3},
    ],
)
def test_refusals_of_a_strange_server_are_still_refusals(problem: dict[str, Any]) -> None:
    """An answer of any form makes the client fail otherwise than by its own error."""
    error = refusal(403, problem)
    assert isinstance(error, ApiError)
    assert error.reasons == ()
    assert error.position is None
    with pytest.raises(ApiError):
        value_of(403, b"[]")


def test_refusals_name_the_rules_and_the_position() -> None:
    """Who is denied does not learn by which rules, and where it is on record."""
    problem = {"code": "policy.denied", "reasons": ["a/b", "c/d"], "receipt": {"position": 9}}
    error = refusal(403, problem)
    assert (error.reasons, error.position) == (("a/b", "c/d"), 9)


@pytest.mark.parametrize("verb", sorted(MOVES))
def test_refusals_of_moves_are_errors(verb: str) -> None:
    """A move that was recorded as denied or escalated looks like one that was made."""
    for outcome, kind in (("denied", DeniedError), ("escalated", EscalatedError)):
        with pytest.raises(kind) as caught:
            check_move(verb, {"outcome": outcome, "reasons": ["a/b"], "events": "x", "review": 1})
        assert caught.value.reasons == ("a/b",)
        assert "a/b" in caught.value.message
    for outcome in ("allowed", "pending", "unchanged", None, "DENIED"):
        check_move(verb, {"outcome": outcome})


@pytest.mark.parametrize("verb", ["requeue", "complete", "reviews", "checkpoint", "abort"])
def test_refusals_of_moves_are_of_moves_alone(verb: str) -> None:
    """What was done is called refused, because its packet now waits."""
    check_move(verb, {"outcome": "denied", "reasons": ["a/b"], "events": []})
