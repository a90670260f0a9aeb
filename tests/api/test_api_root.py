"""The root of a server over HTTP: its checkpoint for anybody, a path for whoever may read the entry."""

import io
from pathlib import Path

import pytest
from support.api_server import problem
from support.named_server import NamedApi
from support.roots import ledger_at
from support.witnesses import served

from pfgov.app.root import folder as roots
from pfgov.app.root.keeping import Root
from pfgov_ledger import checkpoint, keys, note, via
from pfgov_ledger.conclusions import Witnessing
from pfgov_ledger.verify import verify


class RootedApi(NamedApi):
    """Two named ledgers beside the default one, each with a name of its own, and a root over all three."""

    def __init__(self, tmp_path: Path, witnesses: Path | None = None) -> None:
        super().__init__(tmp_path, ())
        for name in ("alpha", "beta"):
            ledger_at(self.folder / name)
        self.run(self.keeper.scan())
        self.root_folder = tmp_path / "root"
        if not self.root_folder.exists():
            roots.create(self.root_folder, "root.example/all")
        self.root = Root(
            self.root_folder, self._ledgers, witnesses=witnesses, interval_seconds=3_600
        )
        self.default.service.root = self.root

    def _ledgers(self) -> list[tuple[str, Path]]:
        beside = [(one.name, one.directory) for one in self.keeper.places.values()]
        return [("(default)", self.default.directory), *beside]

    def close(self) -> None:
        """Close everything."""
        self.root.stop()
        super().close()


def test_root_an_entry_of_every_ledger_is_proven_under_one_checkpoint(tmp_path: Path) -> None:
    """A path that a server gives does not verify, or two ledgers' paths lead to two checkpoints."""
    with RootedApi(tmp_path) as api:
        for name in ("", "alpha", "beta"):
            api.member(name)
        api.root.look()
        newest = api.get("/api/ledger/root").content
        assert checkpoint.parse_text(note.split(newest)[0]).size == 3
        for name in ("", "alpha", "beta"):
            prefix = f"/l/{name}" if name else ""
            assert api.get(f"{prefix}/api/ledger/root").content == newest
            anchor = keys.parse_anchor(api.get(f"{prefix}/api/ledger/key").text)
            raw = api.get(f"{prefix}/api/ledger/proof/2?via=root").content
            assert via.read(raw).note == newest
            report = verify(io.BytesIO(raw), anchor=anchor, via=roots.vkey(api.root_folder))
            assert report.exit_status == 0, report.to_text()
        text = api.get("/metrics").text
        assert "pfgov_root_alarms 0" in text
        assert "pfgov_root_left_out 0" in text
        assert "pfgov_root" not in api.get("/l/alpha/metrics").text


def test_root_what_cannot_be_given_says_why(tmp_path: Path) -> None:
    """A server without a root, an entry that the root lacks, or one that is not there gives another reason."""
    with RootedApi(tmp_path) as api:
        path = "/l/alpha/api/ledger/proof/0?via=root"
        assert problem(api.get(path), 404)["code"] == "root.behind"
        assert (
            problem(api.get("/l/alpha/api/ledger/proof/99?via=root"), 404)["code"]
            == "entry.not_found"
        )
        problem(api.get("/l/alpha/api/ledger/proof/0?via=other"), 400, "input.invalid")
        api.root.look()
        assert api.get(path).status_code == 200
        api.default.service.root = None
        api.run(api.keeper.rest(api.place("alpha"), 0.0))
        for path in ("/api/ledger/root", "/api/ledger/proof/0?via=root"):
            assert problem(api.get(path), 404)["code"] == "root.none"


def test_root_a_path_is_for_whoever_may_read_the_entry(tmp_path: Path) -> None:
    """A path shows an entry to somebody who may not read it, or a key of one ledger opens another one's."""
    with RootedApi(tmp_path) as api:
        alpha, beta = api.keys("alpha"), api.keys("beta")
        api.member("alpha", key=alpha["operator"])
        api.root.look()
        path = "/l/alpha/api/ledger/proof/2?via=root"
        assert api.get(path).status_code == 401
        assert api.get(path, key=beta["auditor"]).status_code == 401
        assert api.get(path, key=alpha["auditor"]).status_code == 200
        plain, through = (
            api.get(f"/l/alpha/api/ledger/proof/0{more}", key=alpha["member:m1"]).status_code
            for more in ("", "?via=root")
        )
        assert plain == through
        assert api.get("/l/alpha/api/ledger/root").status_code == 200


def test_root_a_ledger_with_another_history_is_left_out_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An alarm about one ledger keeps the others out of the root, is told again and again, or never ends."""
    with RootedApi(tmp_path) as api:
        api.member("alpha")
        api.root.look()
        shelf = tmp_path / "shelf"
        api.run(api.keeper.rest(api.place("alpha"), 0.0))
        (api.folder / "alpha").rename(shelf)
        ledger_at(api.folder / "alpha")
        api.member("beta")
        for _ in range(2):
            api.root.look()
        found = api.root.troubles["alpha"]
        assert (found.code, found.is_alarm) == ("ledger.rollback", True)
        assert [one.levelname for one in caplog.records if "alpha" in one.getMessage()].count(
            "ERROR"
        ) == 1
        assert "pfgov_root_alarms 1" in api.get("/metrics").text
        assert api.get("/l/beta/api/ledger/proof/2?via=root").status_code == 200
        (api.folder / "alpha").rename(tmp_path / "false")
        shelf.rename(api.folder / "alpha")
        api.root.look()
        assert (api.root.troubles, api.root.alarms) == ({}, 0)


def test_root_a_root_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """A server whose root's disk fails says nothing of it, or does not go on when it can."""
    with RootedApi(tmp_path) as api:
        note_file = api.root_folder / "root.note"
        kept = note_file.read_bytes()
        note_file.unlink()
        api.root.look()
        assert api.root.fault is not None
        assert api.root.fault.code == "root.published_missing"
        assert "pfgov_root_failing 1" in api.get("/metrics").text
        for path in ("/api/ledger/root", "/api/ledger/proof/0?via=root"):
            said = problem(api.get(path), 503, "root.published_missing")
            assert str(tmp_path) not in str(said)
        note_file.write_bytes(kept)
        api.root.look()
        assert api.root.fault is None
        assert api.get("/api/ledger/proof/0?via=root").status_code == 200


def test_root_a_witness_of_the_root_vouches_for_every_ledger(tmp_path: Path) -> None:
    """The paths of a server whose root is witnessed lead to a checkpoint that no witness saw."""
    roots.create(tmp_path / "root", "root.example/all")
    vkey = roots.vkey(tmp_path / "root")
    with served(tmp_path / "w", "one.test/w", str(vkey)) as line:
        policy = tmp_path / "witnesses.policy"
        policy.write_text(f"witness one {line}\ngroup g 1 one\nquorum g\n")
        with RootedApi(tmp_path, policy) as api:
            api.root.look()
            (standing,) = api.root.ask_witnesses()
            assert standing.outcome == "cosigned"
            witnessing = Witnessing((note.parse_vkey(line.split()[0]),), 1)
            for name in ("alpha", "beta"):
                anchor = keys.parse_anchor(api.get(f"/l/{name}/api/ledger/key").text)
                raw = api.get(f"/l/{name}/api/ledger/proof/1?via=root").content
                report = verify(io.BytesIO(raw), anchor=anchor, via=vkey, witnessing=witnessing)
                assert report.exit_status == 0, report.to_text()
            api.member("alpha")
            api.root.look()  # not witnessed yet: what the witness saw is still given, and the new entry without it
            old, new = (
                api.get(f"/l/alpha/api/ledger/proof/{seq}?via=root").content for seq in (1, 2)
            )
            assert via.read(old).root.size < via.read(new).root.size
            assert len(note.split(via.read(old).note)[1]) == 2
            assert len(note.split(via.read(new).note)[1]) == 1
