"""A path through a root: what holds, and the code of each link that does not.

The files are made in memory, part by part; how a root is kept is not known here.
"""

import io
import json
from pathlib import Path

import jsonschema
import pytest
from support import paths
from support.paths import BROKEN, NOW, WITNESS
from support.roots import Tenant, signer

from pfgov_ledger import checkpoint, cli, errors, keys, note, proof, via
from pfgov_ledger.checkpoint import Checkpoint
from pfgov_ledger.conclusions import Witnessing
from pfgov_ledger.report import Report, dumps
from pfgov_ledger.verify import verify

SCHEMA = json.loads((Path(__file__).parents[3] / "ledger" / "report.schema.json").read_text())
WITNESSED = Witnessing((keys.vkey_of(WITNESS),), 1, 60, NOW + 5)


class World(paths.World):
    """Two ledgers under one root, and what the verifier says of a path."""

    def judged(self, raw: bytes, *, of: Tenant | None = None, **asked: object) -> Report:
        """What the verifier says to a reader of *of*, ``a`` by default."""
        options: dict[str, object] = {"anchor": (of or self.a).anchor, "via": self.vkey, **asked}
        report = verify(io.BytesIO(raw), **options)  # type: ignore[arg-type]
        jsonschema.validate(json.loads(dumps(report)), SCHEMA)
        report.to_text()
        return report


@pytest.fixture
def world() -> World:
    """Two ledgers under one root."""
    return World()


def codes(report: Report) -> dict[str, str]:
    """Verdict -> code, of those that failed."""
    return {name: one.code for name, one in report.verdicts.items() if one.code is not None}


def test_via_every_entry_is_proven_under_one_checkpoint(world: World) -> None:
    """An entry of a ledger that the root has cannot be proven under the root's one checkpoint."""
    signed = world.root.note(WITNESS)
    for tenant, index in ((world.a, 3), (world.b, 1)):
        for seq in range(tenant.tree.size):
            raw = world.root.path(tenant.prove(seq), index, signed)
            report = world.judged(raw, of=tenant, witnessing=WITNESSED)
            assert report.exit_status == 0, report.to_text()
            assert report.required == ("integrity", "authenticity", "freshness", "non_equivocation")
            assert report.note == signed
            assert report.via is not None
            assert report.via.checkpoint is not None
            assert (report.via.origin, report.via.index) == (world.root.origin, index)
            assert report.via.checkpoint.cosigned_by == (("witness.example/w", NOW),)
            assert report.checkpoint is not None
            assert report.checkpoint.cosigned_by == ()


def test_via_an_older_checkpoint_of_the_ledger_still_counts(world: World) -> None:
    """A proof under a checkpoint that the root had before the newest does not verify."""
    assert world.judged(world.root.path(world.a.prove(1, 3), 0)).exit_status == 0


def test_via_the_root_is_in_the_report_only_where_one_was_named(world: World) -> None:
    """A report without --via has a member that it did not have before."""
    report = verify(io.BytesIO(world.a.prove(1)), anchor=world.a.anchor)
    assert report.exit_status == 0
    assert "via" not in json.loads(dumps(report))
    assert list(json.loads(dumps(world.judged(b""))))[-1] == "via"
    assert json.loads(dumps(world.judged(b"")))["via"] == {
        "origin": None,
        "index": None,
        "checkpoint": None,
    }


@pytest.mark.parametrize("link", BROKEN)
def test_via_each_broken_link_has_its_code(world: World, link: str) -> None:
    """A link of the path is not checked, or its failure is called something else."""
    make, expected = BROKEN[link]
    report = world.judged(make(world), witnessing=WITNESSED)
    assert codes(report) == expected
    assert report.exit_status == 1


def test_via_the_ledgers_own_key_is_no_root(world: World) -> None:
    """A ledger vouches for itself: its own key is given for the root's."""
    world.root.key = world.a.log
    own = note.vkey(world.root.origin, world.a.log.public)
    raw = world.root.path(world.a.prove(1), 3)
    assert codes(world.judged(raw, via=own)) == {"authenticity": "ledger.via_origin"}


def test_via_a_witness_of_the_ledger_is_none_of_the_root(world: World) -> None:
    """A cosignature on the ledger's checkpoint counts for the root's."""
    inner = proof.parse(world.a.prove(1))
    signed = checkpoint.cosign(world.a.note(), WITNESS, time=NOW)
    raw = world.root.path(proof.write(proof.TlogProof(1, inner.hashes, signed, inner.extra)), 3)
    report = world.judged(raw, witnessing=WITNESSED)
    assert report.exit_status == 4
    assert report.verdicts["non_equivocation"].why == "no_witness"


def test_via_a_root_that_was_rolled_back_or_forked_is_found(world: World) -> None:
    """The root's checkpoint is not held against the one that the reader kept."""
    raw = world.root.path(world.a.prove(1), 3)
    kept = checkpoint.parse_text(note.split(world.root.note())[0])
    assert world.judged(raw, remembered=kept).exit_status == 0
    longer = Checkpoint(kept.origin, 9, kept.root)
    assert codes(world.judged(raw, remembered=longer)) == {"freshness": "ledger.rollback"}
    other = Checkpoint(kept.origin, kept.size, bytes(32))
    assert codes(world.judged(raw, remembered=other)) == {
        "non_equivocation": "ledger.fork_same_size"
    }
    assert world.judged(raw, remembered=Checkpoint(kept.origin, 1, bytes(32))).exit_status == 4


def test_via_without_an_anchor_the_root_is_checked_all_the_same(world: World) -> None:
    """Without the ledger's anchor nothing is said of the root, or everything is taken for authentic."""
    report = world.judged(world.root.path(world.a.prove(1), 3), anchor=None)
    assert (report.exit_status, report.verdicts["authenticity"].why) == (4, "no_key")
    assert codes(world.judged(paths.root_signed_by_another(world), anchor=None)) == {
        "authenticity": "ledger.via_unsigned"
    }


def _run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], world: World, *more: str
) -> tuple[int, str, str]:
    file, anchor = tmp_path / "entry.path", tmp_path / "anchor.txt"
    file.write_bytes(world.root.path(world.a.prove(1), 3, world.root.note(WITNESS)))
    anchor.write_text(world.a.anchor.to_text())
    status = cli.main([str(file), "--key", str(anchor), *more])
    said = capsys.readouterr()
    return status, said.out, said.err


def test_via_at_the_command_line(
    tmp_path: Path, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """``pfgov-verify --via`` takes no key as it stands, or none from a file, or any other kind of key."""
    vkey, witnesses = tmp_path / "root.vkey", tmp_path / "witnesses.txt"
    vkey.write_text(f"# the root\n{world.vkey}\n")
    witnesses.write_text(f"{keys.vkey_of(WITNESS)}\n")
    for given in (str(world.vkey), str(vkey)):
        status, out, _ = _run(tmp_path, capsys, world, "--via", given, "--witness", str(witnesses))
        assert status == 0, out
        assert "root              root.example/all, size 4, signed" in out
        assert "its operator's word" in out
    status, out, _ = _run(tmp_path, capsys, world)
    assert (status, "ledger.not_an_export" in out) == (1, True)
    for wrong in (str(keys.vkey_of(WITNESS)), "nothing+here", str(tmp_path)):
        status, _, err = _run(tmp_path, capsys, world, "--via", wrong)
        assert status == 2, err
    vkey.write_text(f"{world.vkey}\n{keys.vkey_of(world.a.log)}\n")
    status, _, err = _run(tmp_path, capsys, world, "--via", str(vkey))
    assert (status, "one root" in err) == (2, True)
    status, _, err = _run(tmp_path, capsys, world, "--via", str(world.vkey), "--about", "x")
    assert (status, "--via does not go with --about" in err) == (2, True)


def _refusal(
    signed: bytes, hashes: tuple[bytes, ...], of: Tenant, known: Checkpoint | None
) -> str | None:
    try:
        via.follow(signed, hashes, [keys.vkey_of(of.log)], known)
    except errors.LedgerError as error:
        return error.code
    return None


def test_via_a_root_adds_only_what_follows(world: World) -> None:
    """A rollback, a fork, a proof of something else, another origin or another key's note may be added to a root."""
    a, fork = world.a, Tenant("a.example/t", salt=1).grow(5)
    first = a.checkpoint(3)
    assert _refusal(a.note(3), (), a, None) is None
    assert _refusal(a.note(), a.consistency(3), a, first) is None
    assert _refusal(a.note(3), (), a, first) is None
    assert _refusal(a.note(2), (), a, first) == "ledger.rollback"
    assert _refusal(a.note(2), a.consistency(2, 3), a, first) == "ledger.rollback"
    assert _refusal(fork.note(3), (), a, first) == "ledger.fork_same_size"
    assert _refusal(fork.note(), fork.consistency(3), a, first) == "ledger.fork"
    assert _refusal(a.note(), a.consistency(2), a, first) == "ledger.fork"
    assert _refusal(a.note(), (), a, first) == "ledger.fork"
    assert (
        _refusal(a.note(), a.consistency(3), a, world.b.checkpoint(3)) == "ledger.origin_mismatch"
    )
    assert _refusal(a.note(), a.consistency(3), world.b, first) == "ledger.checkpoint_unsigned"
    assert _refusal(a.note()[:-9] + a.note()[-8:], (), a, None) in {
        "ledger.base64",
        "ledger.note_malformed",
    }
    forged = checkpoint.sign(Checkpoint("a.example/t", 0, bytes(32)), a.log)
    assert _refusal(forged, (), a, None) == "ledger.fork_same_size"


@pytest.mark.parametrize("other", ["A.example/t", "a.example/T", "a.example/t.", "a.example/t/"])
def test_via_origins_are_bytes(world: World, other: str) -> None:
    """A name that only looks like a ledger's is taken for that ledger's."""
    tenant = Tenant(other).grow(5)
    assert _refusal(tenant.note(), (), tenant, world.a.checkpoint(3)) == "ledger.origin_mismatch"
    index = world.root.add(tenant.checkpoint())
    raw = world.root.path(tenant.prove(1), index)
    assert codes(world.judged(raw)) == {"authenticity": "ledger.origin_mismatch"}
    assert world.judged(raw, of=tenant).exit_status == 0


@pytest.mark.parametrize(
    "odd", ["\u0430.example/t", "a.example/t\u200b", "a.example/t\u0301", "\uff41.example/t"]
)
def test_via_an_origin_outside_ascii_is_none(world: World, odd: str) -> None:
    """A ledger is called by a name that looks like another one's on a screen, and a root adds it."""
    text = world.a.checkpoint().text().replace(b"a.example/t", odd.encode(), 1)
    signed = note.sign(text, [signer("a.example/t")])
    assert _refusal(signed, (), world.a, None) == "ledger.checkpoint_malformed"
