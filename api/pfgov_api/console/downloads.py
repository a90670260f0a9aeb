"""What a page lets one download, and its own verifier reads: proofs, the anchor, exports, and the verifier itself."""

from collections.abc import Mapping
from typing import Final

from pfgov.errors import NotFoundError
from pfgov_api.console import assets
from pfgov_api.console.visiting import Visitor
from pfgov_api.replies import Reply

POSITION_LENGTH_MAX: Final = 15
"""Digits of a position."""

RAW: Final = {
    "proof": ("inclusion_proof", "seq"),
    "anchor": ("anchor", ""),
    "export": ("export_packet", "packet_id"),
}
"""What the page's own verifier reads and a person downloads: the operation, and the parameter that follows."""


_SAVED: Final = {
    "Content-Disposition": 'attachment; filename="verify.html"',
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cache-Control": "no-store",
}


async def give(rest: str, visitor: Visitor, query: Mapping[str, str]) -> Reply:
    """Return what ``raw/`` and *rest* name, as a file; of an export only the entries that *query* names, if it does.

    Raises:
        NotFoundError: nothing does.
        PfgovError: as the operation behind it does.
    """
    kind, _, name = rest.partition("/")
    if rest == "verifier":
        return Reply(200, assets.verifier(), media_type="text/html; charset=utf-8", headers=_SAVED)
    if rest == "export":
        answer = await visitor.answer("export_ledger", _range(query))
    elif kind in RAW and bool(name) == bool(RAW[kind][1]):
        operation, parameter = RAW[kind]
        answer = await visitor.answer(operation, None, **({parameter: name} if parameter else {}))
    else:
        raise NotFoundError(f"there is nothing at {rest[:200]}", code="http.not_found")
    more = {"Cache-Control": "no-store", **answer.headers}
    return Reply(
        200, answer.raw or b"", media_type=answer.media_type, headers=more, stream=answer.stream
    )


def _range(query: Mapping[str, str]) -> dict[str, str]:
    """Return the first and the last entry of a form as the API takes a range, which ends before its ``stop``.

    >>> _range({"from": "3", "to": "5"}), _range({"to": ""}), _range({"to": "x"})
    ({'start': '3', 'stop': '6'}, {}, {'stop': 'x'})
    """
    first, last = query.get("from", "").strip(), query.get("to", "").strip()
    is_position = last.isascii() and last.isdigit() and len(last) <= POSITION_LENGTH_MAX
    stop = str(int(last) + 1) if is_position else last  # what is none is refused with a reason
    return {name: value for name, value in (("start", first), ("stop", stop)) if value}
