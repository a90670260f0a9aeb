"""Clients of several servers of one ledger, what they were promised, and whether that was kept.

Each client writes at one server and goes on there; one more reads at all of them.  What a server acknowledged or showed
has to stand in the ledger afterwards.  How servers take over is not known here, only what they answered.
"""

import random
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

import httpx2

from pfgov.client import ApiError, Client, Retry
from pfgov.engine import LedgerReader
from pfgov.storage import open_store
from pfgov_ledger.entry import parse
from support.commandline import spawn

WRITERS: Final = 4
PAUSE_SECONDS: Final = 0.1
"""Between two writes of a client: the ledger is to be verified and replayed afterwards."""

PATIENCE_SECONDS: Final = 180.0
"""After everything is healed each client has to get on within so long.  It says that something is dead, not how fast
something alive is."""

REQUEST_SECONDS: Final = 10.0


class BrokenPromiseError(AssertionError):
    """A promise was broken; its text says which."""


class Promises:
    """What clients were told, by all of them; from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.created: dict[str, int] = {}
        self.ended: dict[str, int] = {}
        self.shown: dict[int, str] = {}
        self.progress = [0] * WRITERS
        self.reads = 0
        self.failures: list[BaseException] = []

    def see(self, items: Sequence[Mapping[str, Any]], served: int) -> None:
        """Remember the newest entries that a server showed, which said that it serves *served*.

        Raises:
            BrokenPromiseError: it serves less, or another entry was shown at one of their positions.
        """
        if items[0]["seq"] + 1 < served:
            raise BrokenPromiseError(f"{items[0]['seq']} is the newest of {served}")
        with self._lock:
            self.reads += 1
            for item in items:
                if self.shown.setdefault(item["seq"], item["leaf"]) != item["leaf"]:
                    raise BrokenPromiseError(f"two entries were shown at {item['seq']}")


class Load:
    """Clients that write and read at all of *urls*."""

    def __init__(self, urls: Sequence[str], seed: int) -> None:
        self.promises = Promises()
        self._urls = urls
        self._seed = seed
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(n,)) for n in range(WRITERS)]
        self._threads.append(threading.Thread(target=self._read))

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _write(self, number: int) -> None:
        url = self._urls[number % len(self._urls)]
        try:
            with Client(
                url, retry=Retry(patience=PATIENCE_SECONDS), timeout=REQUEST_SECONDS
            ) as client:
                while not self._stop.is_set():
                    self._work(client, f"c{number}-{self.promises.progress[number]}")
                    self.promises.progress[number] += 1
                    self._stop.wait(PAUSE_SECONDS)
        except BaseException as error:  # told by whoever waits
            self.promises.failures.append(error)

    def _work(self, client: Client, name: str) -> None:
        """Submit a packet and end it; both are acknowledged."""
        body = {"packet_id": name, "workload_type": "x", "required_capabilities": ["x"]}
        done = client.submit(body, key=f"submit-{name}")
        if done.position is None:
            raise BrokenPromiseError(f"{name} was acknowledged without a position")
        self.promises.created[name] = done.position
        claim = {"member_id": "m", "incarnation": 1, "epoch": done.result["epoch"]}
        ended = client.act(name, "complete", claim, key=f"complete-{name}")
        if ended.position is None:
            raise BrokenPromiseError(f"the end of {name} was acknowledged without a position")
        self.promises.ended[name] = ended.position

    def _read(self) -> None:
        """Ask one server after the other what the newest entry is; an answer that does not come says nothing."""
        source = random.Random(self._seed)
        query = "/api/ledger/entries?newest=true&limit=3"
        try:
            while not self._stop.wait(PAUSE_SECONDS):
                try:
                    answer = httpx2.get(source.choice(self._urls) + query, timeout=3)
                except httpx2.TransportError:
                    continue
                if answer.status_code == 200:
                    served = int(answer.headers.get("pfgov-position", 0))
                    self.promises.see(answer.json()["items"], served)
        except BaseException as error:  # told by whoever waits
            self.promises.failures.append(error)

    def goes_on(self, by: int = 2) -> float:
        """Wait until each client has got on; return how long that took.

        Raises:
            BrokenPromiseError: a client gave up, was told something wrong, or does not get on.
        """
        wanted = [count + by for count in self.promises.progress]
        began = time.monotonic()
        while any(now < goal for now, goal in zip(self.promises.progress, wanted, strict=True)):
            if self.promises.failures:
                error = self.promises.failures[0]
                code = error.code if isinstance(error, ApiError) else ""
                raise BrokenPromiseError(f"a client gave up: {code} {error!r}") from error
            if time.monotonic() - began > PATIENCE_SECONDS:
                raise BrokenPromiseError(f"nothing moves, at {self.promises.progress}")
            time.sleep(0.05)
        return time.monotonic() - began


def held_to(promises: Promises, directory: Path) -> tuple[int, int]:
    """Hold the ledger of *directory* to *promises*, to one leader a term, and to its own rules.

    Return how many entries and terms it has.

    Raises:
        BrokenPromiseError: one of them does not hold.
    """
    if promises.failures:
        raise BrokenPromiseError(f"a client gave up: {promises.failures[0]!r}")
    with LedgerReader(open_store(directory)) as reader, reader.snapshot() as queries:
        rows = list(queries.entries())
    for kind, told in (
        ("packet_created", promises.created),
        ("packet_completed", promises.ended),
    ):
        found = {row.subject: row.seq for row in rows if row.type == kind}
        for name, position in told.items():
            if found.get(f"packet/{name}") != position:
                raise BrokenPromiseError(f"{kind} of {name} was acknowledged at {position}")
    for position, leaf in promises.shown.items():
        if position >= len(rows) or rows[position].leaf.hex() != leaf:
            raise BrokenPromiseError(f"what was shown at {position} is not in the ledger")
    terms = [parse(row.raw).term for row in rows]
    if terms != sorted(terms):
        raise BrokenPromiseError("an entry has an older term than the one before it")
    led = [parse(row.raw).term for row in rows if row.type == "leader_changed"]
    if len(set(led)) != len(led):
        raise BrokenPromiseError("two led under one term")
    _verify(directory)
    return len(rows), len(set(terms))


def _verify(directory: Path) -> None:
    export = directory / f"{secrets.token_hex(4)}.lineage.jsonl"
    for words in (
        ("ledger", "export", "--dir", directory, "-o", export),
        ("ledger", "verify", export, "--key", directory / "anchor.txt", "--full", "--replay"),
    ):
        done: Any = spawn(*map(str, words))
        if done.status != 0:
            raise BrokenPromiseError(f"{words[1]} says {done.status}: {done.out}{done.err}")
