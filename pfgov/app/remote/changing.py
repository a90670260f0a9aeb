"""Proposals of policy sets and what others say to them, as requests to a server."""

from collections.abc import Collection
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from pfgov.app.changing import Rests
from pfgov.app.remote.policies import policy_files
from pfgov.app.remote.session import Session
from pfgov.client.core import Ask
from pfgov.model import write_json

FOLLOW: Final = "?follow=true"


def propose(
    session: Session, directory: Path, note: str | None, report: bytes | None
) -> tuple[str, Any]:
    """Send a folder of policies as a proposal; return the set's digest and the answer.

    Raises:
        PolicyErrors: it does not load.
    """
    from pfgov.policy import load_directory

    found = load_directory(directory)  # which says in which file and line
    body: Any = {"files": policy_files(directory)}
    if note is not None:
        body["note"] = note
    if report is not None:
        body["report"] = report.decode(errors="replace")
    path = f"/api/policies/proposals{FOLLOW}"
    return found.digest, session.write("POST", path, write_json(body))


def activation(directory: Path, leave_uncovered: Collection[str], rests: Rests) -> bytes:
    """Return the body that makes a folder, or the bundle that it was unpacked from, binding."""
    body: Any = {"leave_uncovered": sorted(leave_uncovered)}
    if rests.bundle is None:
        body["files"] = policy_files(directory)
    else:
        body["bundle"] = rests.bundle.decode(errors="replace")
    if rests.report is not None:
        body["report"] = rests.report.decode(errors="replace")
    return write_json(body)


def judge(session: Session, digest: str, proposal: int, note: str | None, *, granted: bool) -> Any:
    """Approve the proposal made at entry *proposal*, or turn it down; return the answer."""
    what = "approve" if granted else "reject"
    path = f"/api/policies/proposals/{quote(digest, safe='')}/{what}{FOLLOW}"
    said: Any = {"proposal": proposal} | ({} if note is None else {"note": note})
    return session.write("POST", path, write_json(said))


def weigh(session: Session, directory: Path) -> Any:
    """Send a folder of policies, and return what the server says that making it binding would do."""
    files: Any = policy_files(directory)
    return session.ask(Ask("POST", "/api/policies/impact", write_json({"files": files})))
