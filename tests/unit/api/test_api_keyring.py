"""The file of API keys: changed by several at once, and not to be read."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.ledgers import fresh

from pfgov.errors import StoreUnavailableError
from pfgov_api.keyring import FILE, KeyRing
from pfgov_api.serve import serve


def test_a_key_that_is_made_beside_a_revocation_does_not_undo_it(tmp_path: Path) -> None:
    """Whatever is made and revoked at once, by whom ever: each key made is there, and each revoked is revoked."""
    path = tmp_path / FILE
    old = [KeyRing(path).create(("operator",), now=1)[0].id for _ in range(24)]
    made: list[str] = []
    start = threading.Barrier(4)

    def revoke(mine: list[str]) -> None:
        start.wait()
        for identity in mine:
            KeyRing(path).revoke(identity, now=2)

    def create() -> None:
        start.wait()
        made.extend(KeyRing(path).create(("operator",), now=2)[0].id for _ in range(12))

    threads = [
        threading.Thread(target=revoke, args=(old[:12],)),
        threading.Thread(target=revoke, args=(old[12:],)),
    ]
    threads += [threading.Thread(target=create), threading.Thread(target=create)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    records = {record.id: record for record in KeyRing(path).records()}
    assert records.keys() == {*old, *made}
    assert len(made) == 24
    assert all(records[identity].revoked_at == 2 for identity in old)
    assert all(records[identity].revoked_at is None for identity in made)
    assert (tmp_path / FILE).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("damage", [lambda path: path.mkdir(), lambda path: path.write_text("{")])
def test_a_server_whose_keys_cannot_be_read_says_so_before_it_begins(
    tmp_path: Path, damage: Callable[[Path], Any], capfd: pytest.CaptureFixture[str]
) -> None:
    """It starts, logs a traceback and ends, with the one sentence that helps below it."""
    directory = fresh(tmp_path)
    damage(directory / FILE)
    with pytest.raises(StoreUnavailableError) as caught:
        serve(directory, host="127.0.0.1", port=0)
    assert caught.value.code == "key.file"
    assert capfd.readouterr().err == ""
