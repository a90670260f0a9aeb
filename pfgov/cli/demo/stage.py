"""What the story is played on: an engine with a clock that is turned by hand, and a voice.

Nothing is faked: every step goes through the engine, the store, the keys and the policies that a real ledger has.  Only
time is played, so that a lease of thirty seconds ends at once.
"""

import json
from collections.abc import Iterable, Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any

from pfgov.app.done import Done
from pfgov.app.ledger import EntriesWanted
from pfgov.app.local import LocalLedger
from pfgov.cli import render
from pfgov.cli.output import Output, indented, styled
from pfgov.clock import ManualClock
from pfgov.core.commands import Action
from pfgov.errors import PfgovError
from pfgov.model import FlightPacket, MemberRegistration, Wire, check_tree, parse, read_json

if TYPE_CHECKING:
    from rich.console import RenderableType

    from pfgov.app.views import EntryView

SECOND = 1_000_000
FILE_BYTES_MAX = 65_536


class Voice:
    """Tells the story to a person; with ``--json`` it is silent."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._chapters = 0

    def chapter(self, title: str, *sentences: str) -> None:
        """Begin a chapter."""
        self._chapters += 1
        self._output.tell("", styled(f"{self._chapters}. {title}", "bold"))
        self.say(*sentences)

    def say(self, *sentences: str) -> None:
        """Tell something."""
        self._output.tell(*(indented(sentence) for sentence in sentences))

    def show(self, *parts: "RenderableType") -> None:
        """Show tables."""
        self._output.tell(*parts)

    @property
    def width(self) -> int:
        """How many columns the person's screen has."""
        return self._output.width

    def entries(self, entries: Sequence["EntryView"]) -> None:
        """Show what was recorded."""
        if entries:
            self.show(render.entries_list(entries))

    def command(self, text: str) -> None:
        """Show the command that does the same."""
        self._output.tell(indented(f"$ {text}", "cyan"))


class Stage:
    """A ledger, its clock and a voice."""

    def __init__(self, ledger: LocalLedger, clock: ManualClock, voice: Voice) -> None:
        self.ledger_port = ledger
        self.engine = ledger.engine
        self.clock = clock
        self.voice = voice

    def do(self, asked: Wire | Action, packet_id: str | None = None) -> Done:
        """Carry out what is asked with everything that follows, and show what was recorded."""
        done = self.ledger_port.do(asked, packet_id=packet_id)
        self.voice.entries([*done.recorded, *done.followed])
        return done

    def refused(self, action: Action) -> PfgovError:
        """Carry out *action*, which is refused; return the refusal."""
        before = self.ledger_port.size()
        try:
            self.ledger_port.do(action)
        except PfgovError as error:
            self.voice.show(indented(f"error: {error.message} [{error.code}]", "red"))
            self.voice.entries(self.since(before))
            return error
        raise AssertionError(f"{type(action).__name__} was not refused")

    def register(self, tree: dict[str, Any]) -> Done:
        """Register a member."""
        return self.ledger_port.do(parse(MemberRegistration, check_tree(tree)))

    def submit(self, tree: dict[str, Any]) -> Done:
        """Submit a packet, with its context attached."""
        return self.ledger_port.do(parse(FlightPacket, check_tree(tree)))

    def since(self, before: int) -> "list[EntryView]":
        """Return what was recorded from position *before* on."""
        return self.ledger_port.entries(EntriesWanted(after=before - 1))

    def opens(self, digest: str) -> bool:
        """Whether the payload and the salt behind a commitment (hex) still open it."""
        from pfgov_ledger import commitment

        with self.engine.reader.snapshot() as queries:
            found = queries.attachment(digest)
        if found is None:
            return False
        made = commitment.commit(
            origin=self.engine.origin,
            subject=found.subject,
            field=found.field,
            salt=found.salt,
            payload=found.payload,
        )
        return made.hex() == digest

    def wait(self, seconds: int, alive: Iterable[tuple[str, int]]) -> list["EntryView"]:
        """Let time pass, five seconds a step; *alive* are the (member, life) pairs that send heartbeats."""
        before = self.ledger_port.size()
        beating = list(alive)
        for _ in range(0, seconds, 5):
            self.clock.advance(5 * SECOND)
            for member_id, incarnation in beating:
                self.engine.heartbeat(member_id, incarnation)
            self.engine.settle()
        return self.since(before)


def shipped(name: str) -> bytes:
    """Return one of the two files of the specification that the package carries."""
    return resources.files("pfgov.cli.demo").joinpath("data", name).read_bytes()


def specified_packet() -> dict[str, Any]:
    """Return the packet that the specification prints."""
    tree: Any = read_json(shipped("packet.json"), limit=FILE_BYTES_MAX)
    return dict(tree)


def specified_member() -> dict[str, Any]:
    """Return the body of the request that the specification prints: what stands between the quotes of ``-d``."""
    script = shipped("register-member.sh").decode()
    _, _, rest = script.partition("-d '")
    body, _, _ = rest.partition("'")
    tree: Any = read_json(json.dumps(json.loads(body)).encode(), limit=FILE_BYTES_MAX)
    return dict(tree)
