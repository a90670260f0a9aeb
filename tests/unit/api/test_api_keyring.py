"""The file of API keys, changed by several at once."""

import threading
from pathlib import Path

from pfgov_api.keyring import FILE, KeyRing


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
