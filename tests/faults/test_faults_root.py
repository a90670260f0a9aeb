"""A root that is killed, or whose disk fails, at each step that makes something durable, twice in a row.

Safe: of one size no two roots are ever published, and what was published stays a beginning.  Live: it goes on
afterwards, with whatever is offered next.
"""

import multiprocessing
import os
import signal
from itertools import product
from pathlib import Path
from typing import Literal

import pytest
from support.roots import Tenant

from pfgov.app.root import folder as roots
from pfgov.errors import StoreUnavailableError
from pfgov.storage.root import Offer, RootReader
from pfgov_ledger import checkpoint, keys, merkle, note

Point = tuple[str, Literal["before", "after"]]

POINTS: tuple[Point, ...] = tuple(product(("commit", "publish"), ("before", "after")))
PAIRS = list(product(POINTS, POINTS))
NAMES = [f"{'-'.join(first)}, {'-'.join(second)}" for first, second in PAIRS]


def offer(number: int) -> Offer:
    """The first checkpoint of ledger *number*: each offer is another one, so that a size signed twice is two roots."""
    tenant = Tenant(f"t{number}.example/t").grow(1)
    return Offer(tenant.note(), (), (keys.vkey_of(tenant.log),))


class Watch:
    """Everything that was ever published in a folder, held together."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._roots: dict[int, bytes] = {}

    def look(self) -> int:
        """Take what is published now; return its size."""
        with RootReader(self.folder) as root:
            raw = root.head().note
            stated = checkpoint.open_checkpoint(raw, [roots.vkey(self.folder)]).checkpoint
            assert self._roots.setdefault(stated.size, stated.root) == stated.root
            for size, before in self._roots.items():
                assert size <= stated.size
                assert merkle.root(root, size) == before
        return stated.size


def _add_and_die(folder: str, number: int, point: Point) -> None:
    def step(*reached: str) -> None:
        if reached == point:
            os.kill(os.getpid(), signal.SIGKILL)

    with roots.writing(Path(folder), step=step) as root:
        root.add([offer(number)])


@pytest.mark.process
@pytest.mark.parametrize(("first", "second"), PAIRS, ids=NAMES)
def test_root_is_killed_twice(tmp_path: Path, first: Point, second: Point) -> None:
    """A root signs two trees of one size after it was killed, loses what it published, or never goes on."""
    folder = tmp_path / "root"
    roots.create(folder, "root.example/all")
    watch = Watch(folder)
    with roots.writing(folder) as root:
        assert root.add([offer(0)]) == []
    assert watch.look() == 1
    for number, point in enumerate((first, second), 1):
        process = multiprocessing.get_context("fork").Process(
            target=_add_and_die, args=(str(folder), number, point)
        )
        process.start()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
        watch.look()
    with roots.writing(folder) as root:
        before = watch.look()
        assert root.add([offer(3)]) == []
    assert watch.look() == before + 1
    assert roots.examine(folder).size == before + 1
    is_first_stored = first != ("commit", "before")
    dies_settling = first in {("commit", "after"), ("publish", "before")} and second[0] == "publish"
    is_second_stored = second != ("commit", "before") and not dies_settling
    assert before == 1 + is_first_stored + is_second_stored


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=NAMES)
def test_root_a_disk_fails_twice(tmp_path: Path, first: Point, second: Point) -> None:
    """A root that could not write signs two trees of one size when it can again, or has to be reopened for it."""
    folder = tmp_path / "root"
    roots.create(folder, "root.example/all")
    watch = Watch(folder)
    armed: list[Point] = []

    def step(*reached: str) -> None:
        if armed and reached == armed[0]:
            armed.pop()
            raise StoreUnavailableError("the disk failed")

    with roots.writing(folder, step=step) as root:
        for number, point in enumerate((first, second)):
            armed.append(point)
            with pytest.raises(StoreUnavailableError):
                root.add([offer(number)])
            watch.look()
        assert (
            root.add([offer(0), offer(1), offer(2)]) == []
        )  # what got in before is known, and not in twice
        assert watch.look() == 3
    assert roots.examine(folder).ledgers == 3


@pytest.mark.parametrize("point", [("commit", "after"), ("publish", "before")])
def test_root_publishes_what_it_stored_though_nothing_new_is_offered(
    tmp_path: Path, point: Point
) -> None:
    """What was stored and could not be published stays unpublished until another ledger grows."""
    folder = tmp_path / "root"
    roots.create(folder, "root.example/all")
    armed = [point]

    def step(*reached: str) -> None:
        if armed and reached == armed[0]:
            armed.pop()
            raise StoreUnavailableError("the disk failed")

    with roots.writing(folder, step=step) as root:
        with pytest.raises(StoreUnavailableError):
            root.add([offer(0)])
        assert Watch(folder).look() == 0
        assert root.add([]) == []
        assert Watch(folder).look() == 1


def test_root_a_restored_copy_of_every_moment_is_refused(tmp_path: Path) -> None:
    """Of the copies that a backup may have made while a root went on, one lets it sign another history."""
    folder = tmp_path / "root"
    roots.create(folder, "root.example/all")
    watch, copies = Watch(folder), [(folder / "root.db").read_bytes()]
    for number in range(3):
        with roots.writing(folder) as root:
            assert root.add([offer(number)]) == []
        watch.look()
        copies.append((folder / "root.db").read_bytes())
    newest = copies.pop()
    for copy in copies:
        (folder / "root.db").write_bytes(copy)
        with pytest.raises(roots.RootLostError), roots.writing(folder) as root:
            root.add([offer(9)])
    (folder / "root.db").write_bytes(newest)
    with roots.writing(folder) as root:
        assert root.add([offer(9)]) == []
    assert watch.look() == 4
    text, _ = note.split((folder / "root.note").read_bytes())
    assert checkpoint.parse_text(text).size == 4
