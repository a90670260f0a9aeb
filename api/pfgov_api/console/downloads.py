"""What a page lets one download, and its own verifier reads: proofs, the anchor, exports, and the verifier itself."""

from typing import Final

from pfgov.errors import NotFoundError
from pfgov_api.console import assets
from pfgov_api.console.visiting import Visitor
from pfgov_api.replies import Reply

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


async def give(rest: str, visitor: Visitor) -> Reply:
    """Return what ``raw/`` and *rest* name, as a file.

    Raises:
        NotFoundError: nothing does.
        PfgovError: as the operation behind it does.
    """
    kind, _, name = rest.partition("/")
    if rest == "verifier":
        return Reply(200, assets.verifier(), media_type="text/html; charset=utf-8", headers=_SAVED)
    if rest == "export":
        answer = await visitor.answer("export_ledger")
    elif kind in RAW and bool(name) == bool(RAW[kind][1]):
        operation, parameter = RAW[kind]
        answer = await visitor.answer(operation, None, **({parameter: name} if parameter else {}))
    else:
        raise NotFoundError(f"there is nothing at {rest[:200]}", code="http.not_found")
    more = {"Cache-Control": "no-store", **answer.headers}
    return Reply(
        200, answer.raw or b"", media_type=answer.media_type, headers=more, stream=answer.stream
    )
