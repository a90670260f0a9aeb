"""Which ledgers a folder has: their names, how many, and what comes and goes."""

import shutil
from pathlib import Path

import pytest
from support.named_server import ledger_at
from support.shelf import Shelf, run, used

from pfgov.app.tenancy import (
    UnknownLedgerError,
    names,
)
from pfgov.errors import InvalidError


@pytest.mark.parametrize("name", ["a", "0", "a-b", "eu-1", "a" * 63])
def test_tenancy_names_that_may_be(name: str) -> None:
    """A good name is refused."""
    assert names.is_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "-a",
        "a-",
        "A",
        "a_b",
        "a.b",
        "a/b",
        "a\\b",
        "a\0",
        "a\n",
        "ä",
        "a" * 64,
        "../a",
        "%61",
        "a b",
    ],
)
def test_tenancy_names_that_may_not_be(name: str) -> None:
    """A name is taken that means something else in a path, in a host name, or on another file system."""
    assert not names.is_name(name)


def test_tenancy_only_folders_with_a_name_are_ledgers(shelf: Shelf, tmp_path: Path) -> None:
    """A symbolic link leads out of the folder, or a file or a stray folder is taken for a ledger."""
    ledger_at(tmp_path / "ledgers", "real")
    outside = tmp_path / "outside"
    shutil.move(shelf.folder / "real", outside)
    (shelf.folder / "link").symlink_to(outside, target_is_directory=True)
    (shelf.folder / "file").write_text("x")
    (shelf.folder / "Not-A-Name").mkdir()
    (shelf.folder / ".hidden").mkdir()
    (shelf.folder / "empty").mkdir()

    async def story() -> None:
        keeper = shelf.keeper(leave_out=shelf.folder / "beta")
        await keeper.scan()
        assert sorted(keeper.places) == ["alpha", "empty"]
        with pytest.raises(UnknownLedgerError):
            keeper.find("link")
        with pytest.raises(UnknownLedgerError):
            await used(keeper, "empty")
        shutil.move(shelf.folder / "alpha", tmp_path / "moved")
        (shelf.folder / "alpha").symlink_to(tmp_path / "moved", target_is_directory=True)
        with pytest.raises(UnknownLedgerError):  # put there after the look
            await used(keeper, "alpha")
        await keeper.stop()

    run(story())


def test_tenancy_ledgers_come_and_go_while_the_server_runs(shelf: Shelf) -> None:
    """A ledger that was created is not found without a restart; or one that is gone stays."""

    async def story() -> None:
        keeper = shelf.keeper()
        await keeper.scan()
        with pytest.raises(UnknownLedgerError):
            keeper.find("gamma")
        ledger_at(shelf.folder, "gamma")
        await keeper.look()
        assert await used(keeper, "gamma") > 0
        shutil.rmtree(shelf.folder / "beta")
        await keeper.look()
        with pytest.raises(UnknownLedgerError):
            keeper.find("beta")
        await keeper.stop()

    run(story())


def test_tenancy_so_many_names_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of ever more folders fills the memory."""
    monkeypatch.setattr(names, "NAMED_LEDGERS_MAX", 3)
    for name in ("e", "d", "c", "b", "a"):
        (tmp_path / name).mkdir()
    assert names.ledger_names(tmp_path) == (["a", "b", "c"], True)


def test_tenancy_one_head_lock_for_all_is_refused(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two ledgers move one head lock, and each is held for a restored backup."""
    monkeypatch.setenv("PFGOV_HEAD_LOCK", str(shelf.folder.parent / "head.db"))

    async def story() -> None:
        keeper = shelf.keeper()
        with pytest.raises(InvalidError) as caught:
            await keeper.start()
        assert caught.value.code == "store.head_lock_shared"
        await keeper.stop()

    run(story())
