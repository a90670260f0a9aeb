"""Keys are replaced and revoked without a moment in which the wrong one signs; and whatever was interrupted heals."""

import shutil
from pathlib import Path

import pytest
from support.commandline import CommandLine
from support.ledgers import fresh, opened, place, register, submit, verified

from pfgov import commands as c
from pfgov.engine import Engine, Layout, LedgerReader, ceremony
from pfgov.engine.exporting import stored_log
from pfgov.errors import InvalidError, NotFoundError, PfgovError, StateConflictError, StoreError
from pfgov_ledger import entry, export, keys
from pfgov_ledger.conclusions import Question
from pfgov_ledger.report import Report
from pfgov_ledger.verify import verify


def subject_report(directory: Path, anchor: str, tmp: Path) -> Report:
    """Export a packet's history and verify it against an anchor's text."""
    target = tmp / "subject.jsonl"
    with LedgerReader(directory) as reader, stored_log(reader) as log, target.open("wb") as out:
        export.write_subject(log, "packet/p", out)
    return verify(
        target, anchor=keys.parse_anchor(anchor), question=Question("subject", "packet/p")
    )


def public(directory: Path, role: str) -> str:
    """Return the public key, in hex, of the file that signs in *role*."""
    return keys.file_signer(Layout(directory).key(role)).public.hex()


@pytest.mark.parametrize("role", ["issuer", "log"])
@pytest.mark.parametrize("under_recovery", [False, True])
def test_ceremony_a_new_key_signs_and_old_anchors_still_verify(
    tmp_path: Path, role: ceremony.Role, under_recovery: bool
) -> None:
    """After a rotation the next engine signs with the new key; full and subject exports verify under either anchor."""
    directory = fresh(tmp_path)
    anchor = (directory / "anchor.txt").read_text()
    before = public(directory, role)
    recovery = Layout(directory).key("recovery") if under_recovery else None
    with opened(directory) as engine:
        register(engine, "m")
        place(engine, "p")
        done = ceremony.rotate(engine, role, recovery=recovery)
    assert (done.old, done.new) == (before, public(directory, role))
    assert before != done.new
    with opened(directory, seed="after") as engine:
        place(engine, "q")
        submit(engine, c.CommitIndex(), principal=c.ENGINE)
        assert engine.reader.replay().entries == engine.reader.head().size
        last = engine.reader.entry(engine.reader.head().size - 1).row
    if role == "issuer":
        assert entry.parse(last.raw).issuer.hex() == keys.key_id(bytes.fromhex(done.new or ""))
    assert verified(directory, tmp_path).exit_status == 0
    now = (directory / "anchor.txt").read_text()
    assert (now != anchor) == (role == "log")
    for text in (anchor, now):
        assert subject_report(directory, text, tmp_path).exit_status == 0
    assert not Layout(directory).next_key(role).exists()
    assert Layout(directory).key(role).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("role", ["issuer", "log"])
def test_ceremony_every_checkpoint_of_a_rotated_ledger_verifies(
    tmp_path: Path, role: ceremony.Role
) -> None:
    """The export that ends with the rotation itself verifies under the anchor from before it, five times."""
    directory = fresh(tmp_path)
    anchor = keys.parse_anchor((directory / "anchor.txt").read_text())
    for _ in range(5):
        with opened(directory) as engine:
            ceremony.rotate(engine, role)
        target = tmp_path / "now.jsonl"
        with LedgerReader(directory) as reader, stored_log(reader) as log, target.open("wb") as out:
            export.write_full(log, out)
        assert verify(target, anchor=anchor).exit_status == 0


def test_ceremony_a_stolen_key_is_replaced_under_the_recovery_key_and_revoked(
    tmp_path: Path,
) -> None:
    """The key in use cannot be revoked; replaced under the recovery key it can, and the report names the suspicion."""
    directory = fresh(tmp_path)
    stolen, recovery = public(directory, "issuer"), Layout(directory).key("recovery")
    shutil.move(recovery, tmp_path / "recovery.key")
    with opened(directory) as engine:
        register(engine, "m")
        with pytest.raises(PfgovError, match="recovery"):
            ceremony.revoke(engine, stolen)
        with pytest.raises(StateConflictError) as caught:
            ceremony.revoke(engine, stolen, recovery=tmp_path / "recovery.key")
        assert caught.value.code == "key.in_use"
        ceremony.rotate(engine, "issuer", recovery=tmp_path / "recovery.key")
    with opened(directory, seed="two") as engine:
        with pytest.raises(NotFoundError):
            ceremony.revoke(engine, "zz", recovery=tmp_path / "recovery.key")
        ceremony.revoke(engine, stolen[:12], recovery=tmp_path / "recovery.key", suspect_from=2)
        place(engine, "p")
    report = verified(directory, tmp_path)
    assert report.exit_status == 0
    assert report.to_json()["suspects"]


def test_ceremony_only_the_recovery_key_of_this_ledger_authorises(tmp_path: Path) -> None:
    """Another ledger's recovery key, or another role's key, is refused before anything is recorded."""
    directory = fresh(tmp_path)
    path = tmp_path / "thief.key"
    keys.write_file(path, keys.generate(role="recovery", name="pfgov.test/one/recovery"))
    with opened(directory) as engine:
        size = engine.reader.head().size
        for wrong in (path, Layout(directory).key("log")):
            with pytest.raises(InvalidError):
                ceremony.rotate(engine, "issuer", recovery=wrong)
        assert engine.reader.head().size == size


@pytest.mark.parametrize("role", ["issuer", "log"])
def test_ceremony_an_interruption_before_the_files_change_places_heals(
    tmp_path: Path, role: ceremony.Role, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between entry and exchange: the next opening exchanges the files and signs with the new key."""
    directory = fresh(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(ceremony, "adopt", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with opened(directory) as engine, pytest.raises(KeyboardInterrupt):
            ceremony.rotate(engine, role)
    assert Layout(directory).next_key(role).exists()
    with opened(directory, seed="again") as engine:
        register(engine, "m")
    assert not Layout(directory).next_key(role).exists()
    assert verified(directory, tmp_path).exit_status == 0


def test_ceremony_an_interruption_before_the_entry_leaves_the_old_key_in_force(
    tmp_path: Path,
) -> None:
    """A drawn key that no entry names changes nothing, and the next ceremony takes it up."""
    directory = fresh(tmp_path)
    layout, old = Layout(directory), public(directory, "log")
    drawn = keys.generate(role="log", name="pfgov.test/one")
    keys.write_file(layout.next_key("log"), drawn)
    with opened(directory) as engine:
        register(engine, "m")
    assert public(directory, "log") == old
    assert verified(directory, tmp_path).exit_status == 0
    with opened(directory, seed="again") as engine:
        assert ceremony.rotate(engine, "log").new == drawn.public.hex()
    assert verified(directory, tmp_path).exit_status == 0


def rotate_in_place(engine: Engine) -> None:
    """Record a rotation of the issuer without a ceremony."""
    layout = engine.layout
    new = keys.generate(role="issuer", name="pfgov.test/one/issuer")
    keys.write_file(layout.next_key("issuer"), new)
    old = keys.file_signer(layout.key("issuer"))
    genesis = engine.reader.entry(0).row
    message = ceremony.lifecycle.rotation(
        origin=engine.origin,
        seq=0,
        prev=genesis.leaf,
        role="issuer",
        old=old.public,
        new=new.public,
    )
    signatures = tuple((s.public.hex(), s.sign(message).hex()) for s in (old, new))
    submit(
        engine,
        c.RotateKey(
            role="issuer", old=old.public.hex(), new=new.public.hex(), signatures=signatures
        ),
    )


def test_ceremony_an_engine_signs_nothing_after_its_own_key_was_replaced(tmp_path: Path) -> None:
    """Whoever goes on submitting to that engine is refused; nothing that would not verify is ever written."""
    directory = fresh(tmp_path)
    with opened(directory) as engine:
        rotate_in_place(engine)
        size = LedgerReader(directory).head().size
        for _ in range(2):
            with pytest.raises(StoreError):
                register(engine, "m")
    assert LedgerReader(directory).head().size == size
    with opened(directory, seed="again") as engine:
        register(engine, "m")
    assert verified(directory, tmp_path).exit_status == 0


def test_ceremony_a_replaced_key_does_not_open_the_ledger_for_writing(tmp_path: Path) -> None:
    """The old key put back into its place is refused at the start, by code."""
    directory = fresh(tmp_path)
    path = Layout(directory).key("issuer")
    old = path.read_bytes()
    with opened(directory) as engine:
        ceremony.rotate(engine, "issuer")
    path.write_bytes(old)
    with pytest.raises(StoreError) as caught:
        opened(directory)
    assert caught.value.code == "store.keys_changed"


def test_ceremony_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rotate, rotate under the recovery key, revoke; the ledger verifies and the doctor finds the keys in force."""
    pfgov = CommandLine(tmp_path / "ledger", capsys)
    pfgov.ok("init", "--origin", "pfgov.test/cli")
    first = pfgov.ok("ledger", "keys", "rotate", "issuer")
    assert first["role"] == "issuer"
    recovery = tmp_path / "recovery.key"
    (pfgov.directory / "keys" / "recovery.key").rename(recovery)
    second = pfgov.ok("ledger", "keys", "rotate", "log", "--recovery", recovery)
    pfgov.ok("ledger", "keys", "revoke", second["old"][:10], "--recovery", recovery)
    assert "another issuer key signs" in pfgov("ledger", "keys", "rotate", "issuer").out
    pfgov.ok("tick")
    assert pfgov.ok("ledger", "verify", "--replay")["exit_status"] == 0
    found = {f["check"]: f["outcome"] for f in pfgov.ok("ledger", "doctor")["findings"]}
    assert (found["signers"], found["key_files"]) == ("ok", "ok")
    for words in (
        ("rotate",), ("rotate", "recovery"), ("revoke",), ("show", "issuer"), ("rotate", "log", "--suspect-from", "1"),
    ):  # fmt: skip
        assert pfgov.refused("ledger", "keys", *words)["code"] == "usage"
