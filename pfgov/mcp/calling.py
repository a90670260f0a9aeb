"""What each tool asks of the pfgov server, and the structured answer it gives.

A :class:`Caller` speaks for one principal: its key goes with every request, and nothing else does.  A refusal is an
answer with ``error``; a denial or an escalation is an answer with its ``outcome``, because it is recorded and the
caller has to be able to go on from it.
"""

import asyncio
import importlib
import io
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sized
from typing import Any, Self, cast

from pfgov.client.aio import AsyncClient
from pfgov.client.core import Recorded, packet_path
from pfgov.client.refusals import DeniedError, EscalatedError
from pfgov.errors import PfgovError, StateConflictError
from pfgov.mcp.tools import CONTEXT, ITEMS_MAX, TOOLS
from pfgov_ledger.conclusions import Question
from pfgov_ledger.keys import Anchor
from pfgov_ledger.verify import verify

Answer = dict[str, Any]


class ArgumentsError(PfgovError):
    """The arguments of a tool are not what its schema says."""

    code = "mcp.arguments"


class NotPinnedError(StateConflictError):
    """The server was started without an anchor, so that nothing can be verified against one."""

    code = "mcp.not_pinned"


class Caller:
    """Asks a pfgov server for one principal.  Use it as an asynchronous context manager."""

    def __init__(
        self, url: str, *, key: str | None, anchor: Anchor | None = None, transport: Any = None
    ) -> None:
        self._anchor = anchor
        self._client = AsyncClient(url, key=key, transport=transport)
        self._tools: Mapping[str, Callable[[dict[str, Any]], Awaitable[Answer]]] = {
            "discover": self._discover,
            "submit": self._submit,
            "explain": self._explain,
            "hand_off": self._hand_off,
            "review": self._review,
            "verify": self._verify,
        }

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> Answer:
        """Return the structured answer of *tool*; a refusal is one, too.

        Raises:
            KeyError: there is no such tool.
        """
        do = self._tools[tool]
        try:
            given = checked(tool, arguments)
            return await do(given)
        except PfgovError as error:
            return refused(error)
        except ValueError as error:  # of the client: a pattern lets a line's end follow, and numbers have no last digit
            return refused(ArgumentsError(f"that cannot be sent: {str(error)[:200]}"))

    async def _discover(self, given: dict[str, Any]) -> Answer:
        if "workload_type" in given:
            body: dict[str, Any] = {"packet": _packet(given)}
        elif set(given) == {"packet_id"}:
            body = given
        else:
            raise ArgumentsError(
                "name a packet that exists, or describe one with its workload_type",
                hint='{"packet_id": "p1"}, or {"workload_type": "refund", "labels": {...}}',
            )
        found = await self._client.ask("/api/discover", body)
        members = [
            {
                "member_id": one["member_id"],
                "outcome": one["outcome"],
                "reasons": [reason["rule"] for reason in one["reasons"]],
            }
            for one in found["members"]
        ]
        names = ("eligible", "would_go_to", "nearest_misses")
        return {**{name: found[name] for name in names}, "members": members}

    async def _submit(self, given: dict[str, Any]) -> Answer:
        key = _once(given)
        return _recorded(await self._client.submit(_packet(given), key=key))

    async def _explain(self, given: dict[str, Any]) -> Answer:
        packet_id: str = given["packet_id"]
        shown = await self._client.packet(packet_id)
        audit = await self._client.get(packet_path(packet_id, "audit"))
        answers = [
            {"question": one["question"], "lines": [_line(line) for line in one["lines"]]}
            for one in audit["answers"]
        ]
        names = ("packet_id", "status", "incarnation", "epoch", "version", "waiting", "review")
        kept = {name: shown[name] for name in names}
        return {**kept, "owner": shown["current_owner"], "answers": answers}

    async def _hand_off(self, given: dict[str, Any]) -> Answer:
        return await self._moved(given, "handoff")

    async def _review(self, given: dict[str, Any]) -> Answer:
        return await self._moved(given, "reviews")

    async def _moved(self, given: dict[str, Any], verb: str) -> Answer:
        key, packet_id = _once(given), given.pop("packet_id")
        try:
            return _recorded(await self._client.act(packet_id, verb, given, key=key))
        except (DeniedError, EscalatedError) as error:
            if "outcome" not in error.problem:
                raise  # at a guarding point: nothing was to be moved
            return _answered(error.problem)

    async def _verify(self, given: dict[str, Any]) -> Answer:
        if self._anchor is None:
            raise NotPinnedError(
                "no anchor was pinned, so nothing can be verified",
                hint="start the server with one: pfgov mcp serve --anchor anchor.txt",
            )
        packet_id: str = given["packet_id"]
        await self._client.packet(packet_id)  # whether there is one is said as everywhere
        if given.get("fresh"):
            await self._client.write("POST", "/api/ledger/index")
        lineage = await self._client.export(packet_id)
        question = Question("subject", f"packet/{packet_id}")
        report = await asyncio.to_thread(
            verify, io.BytesIO(lineage), anchor=self._anchor, question=question
        )
        verdicts = {name: one.status.value for name, one in report.verdicts.items()}
        return {
            "passed": report.exit_status == 0,
            "covered": report.covered,
            "verdicts": verdicts,
            "report": report.to_json(),
        }


def checked(tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of *arguments*, if they are what the tool takes.

    Raises:
        ArgumentsError: they are not; each place is named.
    """
    if _is_crowded(
        arguments
    ):  # which a validator would name one by one, for whoever has no key, too
        raise ArgumentsError(
            f"the arguments, or one of them, have more than {ITEMS_MAX} elements",
            hint=f"see what {tool} takes: its input schema says so",
        )
    jsonschema: Any = importlib.import_module("jsonschema")  # it comes with the extra
    (data,) = (one for one in TOOLS if one.name == tool)
    validator = jsonschema.Draft202012Validator(data.takes)
    wrong: list[Any] = sorted(validator.iter_errors(arguments), key=_place)
    if wrong:
        places = "; ".join(f"{one.json_path}: {_short(one.message)}" for one in wrong[:8])
        raise ArgumentsError(places, hint=f"see what {tool} takes: its input schema says so")
    return dict(arguments)


def _is_crowded(arguments: Mapping[str, Any]) -> bool:
    """Whether there are more arguments, or elements of one, than any tool takes; a context is the server's to judge."""
    inner = (value for name, value in arguments.items() if name != CONTEXT)
    return any(
        isinstance(one, dict | list) and len(cast("Sized", one)) > ITEMS_MAX
        for one in (arguments, *inner)
    )


def refused(error: PfgovError) -> Answer:
    """Return the answer that *error* is."""
    reasons = list(getattr(error, "reasons", ()))
    said = {"code": error.code, "detail": error.message, "hint": error.hint, "reasons": reasons}
    return {"error": said}


def _place(error: Any) -> str:
    return str(error.json_path)


def _line(line: Mapping[str, Any]) -> Answer:
    proofs: list[Answer] = line["entries"]
    return {"says": line["says"], "entries": [one["seq"] for one in proofs]}


def _short(text: str) -> str:
    """Return *text* in at most 201 characters; it begins with a value and ends with what is wrong with that."""
    return text if len(text) <= 200 else f"{text[:60]}\u2026{text[-140:]}"


def _once(given: dict[str, Any]) -> str:
    """Take the idempotency key out of the arguments; one is drawn where there is none."""
    key: str = given.pop("idempotency_key", None) or uuid.uuid4().hex
    return key


def _packet(given: dict[str, Any]) -> dict[str, Any]:
    """Return the Flight Packet that the arguments describe."""
    demands = ("minimum_trust_score", "allowed_regions", "pii_review_required")
    constraints = {name: given.pop(name) for name in demands if name in given}
    if constraints:
        given["policy_constraints"] = constraints
    if CONTEXT in given:
        given["context_checkpoint"] = given.pop(CONTEXT)
    return given


def _recorded(done: Recorded) -> Answer:
    names = ("outcome", "reasons", "review", "receipt", "events", "result")
    return _answered({name: getattr(done, name) for name in names})


def _answered(answer: Mapping[str, Any]) -> Answer:
    result: Mapping[str, Any] = answer["result"]
    return {
        "outcome": answer["outcome"],
        "reasons": list(answer["reasons"]),
        "says": [one["says"] for one in answer["events"]],
        "packet_id": result.get("packet_id"),
        "owner": result.get("owner"),
        "epoch": result.get("epoch"),
        "review": answer["review"],
        "position": answer["receipt"].get("position"),
        "receipt": dict(answer["receipt"]),
    }
