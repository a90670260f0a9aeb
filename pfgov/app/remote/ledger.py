"""A ledger behind a server that is written: commands become requests, once each, and answers what happened.

Nothing is decided here; what was read of it is in :mod:`pfgov.app.remote.reading`.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from pfgov.app.changing import NOTHING, Rests
from pfgov.app.done import Done
from pfgov.app.ledger import Erased, HeartbeatAnswer, KeyChange
from pfgov.app.remote import changing
from pfgov.app.remote.changing import FOLLOW
from pfgov.app.remote.policies import policy_files
from pfgov.app.remote.reading import PAYLOADS_MAX, RemoteReading
from pfgov.app.remote.routes import MEMBER, ROUTES, Route
from pfgov.app.remote.shapes import Changed, CommandAnswer, ErasedSome, HeartbeatReply
from pfgov.client.core import Ask
from pfgov.core.commands import Action
from pfgov.errors import PolicyError
from pfgov.model import (
    Erasure,
    Heartbeat,
    PressureReport,
    Revocation,
    Rotation,
    Tick,
    Wire,
    write_json,
)


class RemoteLedger(RemoteReading):
    """A server's ledger that is written, as whoever the key says."""

    def do(
        self, asked: Wire | Action, *, member_id: str | None = None, packet_id: str | None = None
    ) -> Done:
        """Carry out a command once, then list what followed from it."""
        route = ROUTES[type(asked)]
        if isinstance(asked, Wire):
            body: Any = asked.wire()
        else:
            body, member_id = {}, getattr(asked, "member_id", None)
        path = route.about(member_id, packet_id) + FOLLOW
        return self._done(self.session.write(route.method, path, write_json(body)))

    def _done(self, answer: Any) -> Done:
        found = self._view(CommandAnswer, answer)
        named = found.result.get("packet_id", "")
        return Done(found.recorded, found.as_a_result, str(named), is_settled=found.settled)

    def heartbeat(
        self, member_id: str, beat: Heartbeat, pressure: PressureReport | None
    ) -> HeartbeatAnswer:
        """Renew a member's lease."""
        path = Route("POST", f"{MEMBER}/heartbeat").about(member_id) + FOLLOW
        answer = self.session.ask(Ask("POST", path, write_json(beat.wire())))
        done = self._done(answer)
        followed = [*done.followed]
        if pressure is not None:
            pressed = self.do(pressure, member_id=member_id)
            followed += [*pressed.recorded, *pressed.followed]
        heard = self._view(HeartbeatReply, answer)
        lost = [(one.packet_id, one.epoch) for one in heard.lost]
        held_back = [(one.packet_id, one.epoch, one.seconds) for one in heard.held_back]
        return HeartbeatAnswer(
            heard.lease_until, lost, held_back, Done([], followed, is_settled=done.is_settled)
        )

    def tick(self, asked: Tick) -> tuple[Done, str | None]:
        """Let what is due happen."""
        answer = self.session.ask(Ask("POST", "/api/tick", write_json(asked.wire())))
        return self._done(answer), self._take(answer, "halted")

    def activate(
        self, directory: Path, leave_uncovered: Collection[str] = (), rests: Rests = NOTHING
    ) -> tuple[dict[str, Any], Done, bool]:
        """Send a folder of policies, or a bundle; the server compiles them, and records it if they do not load."""
        from pfgov.policy import load_directory

        if rests.bundle is None and not policy_files(directory):
            load_directory(directory)  # which says what is wrong with the folder
        body = changing.activation(directory, leave_uncovered, rests)
        try:
            answer = self.session.write("POST", f"/api/policies/activate{FOLLOW}", body)
        except PolicyError:
            if rests.bundle is None:
                load_directory(directory)  # which says in which file and line
            raise
        return self.policies(), self._done(answer), bool(self._take(answer, "receipt", "count"))

    def roll_back(self, digest: str | None, *, emergency: bool) -> tuple[str, Done]:
        """Go back to an earlier set of the server's ledger."""
        named = {} if digest is None else {"digest": digest}
        body = write_json({**named, "emergency": emergency})
        answer = self.session.write("POST", f"/api/policies/rollback{FOLLOW}", body)
        return str(self._take(answer, "result", "digest")), self._done(answer)

    def propose(
        self, directory: Path, note: str | None, report: bytes | None = None
    ) -> tuple[str, Done]:
        """Send a folder of policies as a proposal."""
        digest, answer = changing.propose(self.session, directory, note, report)
        return digest, self._done(answer)

    def judge_proposal(
        self, digest: str, proposal: int, note: str | None, *, granted: bool
    ) -> Done:
        """Approve a proposal, or turn it down."""
        return self._done(changing.judge(self.session, digest, proposal, note, granted=granted))

    def rotate(self, asked: Rotation) -> KeyChange:
        """Let the server make a key, or open the next one that was configured for it."""
        return self._changed(asked)

    def revoke(self, signed: Revocation) -> KeyChange:
        """Send a revocation."""
        return self._changed(signed)

    def _changed(self, asked: Wire) -> KeyChange:
        route, body = ROUTES[type(asked)], write_json(asked.wire())
        answer = self.session.write(route.method, route.path, body)
        found = self._view(Changed, self._take(answer, "result"))
        at = self._view(int, self._take(answer, "receipt", "position"))
        return KeyChange(found.role, at, found.old, found.new)

    def erase(self, asked: Erasure) -> Erased:
        """Erase payloads; the server takes so many at a time, and under the same key each answer holds all before."""
        route, key, left = ROUTES[type(asked)], self.session.draw_key(), PAYLOADS_MAX
        while True:
            answer = self.session.ask(Ask(route.method, route.path, write_json(asked.wire()), key))
            found = self._view(ErasedSome, answer)
            if not 0 < found.left < left:
                is_done = found.state == "done"
                return Erased(found.erased, found.already_erased, found.entries, is_done)
            left = found.left
