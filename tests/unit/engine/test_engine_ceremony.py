"""Keys are replaced and revoked without a moment in which the wrong one signs; and whatever was interrupted heals."""

import shutil
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from support.commandline import CommandLine
from support.ledgers import fresh, opened, packet, place, register, submit, verified

from pfgov.core import commands as c
from pfgov.engine import Engine, Layout, LedgerReader
from pfgov.engine.answers import Caller, Idempotency
from pfgov.engine.maintenance import ceremony
from pfgov.engine.reading.exporting import stored_log
from pfgov.engine.sequencing.failing import MismatchError
from pfgov.errors import InvalidError, NotFoundError, PfgovError, StateConflictError, StoreError
from pfgov.storage import open_store
from pfgov_ledger import entry, export, keys
from pfgov_ledger.conclusions import Question
from pfgov_ledger.report import Report
from pfgov_ledger.verify import verify


def subject_report(directory: Path, anchor: str, tmp: Path) -> Report:
    """Export a packet's history and verify it against an anchor's text."""
    target = tmp / "subject.jsonl"
    with (
        LedgerReader(open_store(directory)) as reader,
        stored_log(reader) as log,
        target.open("wb") as out,
    ):
        export.write_subject(log, "packet/p", out)
    return verify(
        target, anchor=keys.parse_anchor(anchor), question=Question("subject", "packet/p")
    )


def revoke(
    engine: Engine, key: str, recovery: Path, suspect_from: int | None = None
) -> ceremony.Changed:
    """Sign a revocation with the recovery key in a file, and have it recorded."""
    with engine.reader.snapshot() as queries:
        place = ceremony.place_of(queries, engine.layout, engine.origin)
    known = engine.look(lambda state: dict(state.keys))
    found = ceremony.find_key(known, key)
    guard = ceremony.recovery_key(known, recovery)
    action = ceremony.sign_revocation(place, found, guard, suspect_from=suspect_from)
    return ceremony.revoke(engine, action, place)


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
        with (
            LedgerReader(open_store(directory)) as reader,
            stored_log(reader) as log,
            target.open("wb") as out,
        ):
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
            revoke(engine, stolen, recovery)
        with pytest.raises(StateConflictError) as caught:
            revoke(engine, stolen, tmp_path / "recovery.key")
        assert caught.value.code == "key.in_use"
        ceremony.rotate(engine, "issuer", recovery=tmp_path / "recovery.key")
    with opened(directory, seed="two") as engine:
        with pytest.raises(NotFoundError):
            revoke(engine, "zz", tmp_path / "recovery.key")
        revoke(engine, stolen[:12], tmp_path / "recovery.key", suspect_from=2)
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
    tmp_path: Path, role: ceremony.Role
) -> None:
    """Interrupted between entry and exchange: this engine signs on, and the next opening exchanges the files."""
    directory = fresh(tmp_path)

    def interrupt(name: str, when: str) -> None:
        if (name, when) == ("key_exchanged", "before"):
            raise KeyboardInterrupt

    with opened(directory, probe=interrupt) as engine:
        with pytest.raises(KeyboardInterrupt):
            ceremony.rotate(engine, role)
        register(engine, "m")
    assert Layout(directory).next_key(role).exists()
    assert verified(directory, tmp_path).exit_status == 0
    with opened(directory, seed="again") as engine:
        register(engine, "n")
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


def prepared(engine: Engine, path: Path) -> c.RotateKey:
    """Write a new issuer key to *path* and return its rotation, signed, without a ceremony."""
    layout = engine.layout
    new = keys.generate(role="issuer", name="pfgov.test/one/issuer")
    keys.write_file(path, new)
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
    return c.RotateKey(
        role="issuer", old=old.public.hex(), new=new.public.hex(), signatures=signatures
    )


def rotate_in_place(engine: Engine, path: Path) -> None:
    """Record a rotation of the issuer without a ceremony."""
    submit(engine, prepared(engine, path))


def test_ceremony_an_engine_signs_nothing_with_a_key_that_was_replaced(tmp_path: Path) -> None:
    """Where the new key is not at hand, whoever goes on submitting is refused until it is; nothing wrong is written."""
    directory = fresh(tmp_path)
    elsewhere = tmp_path / "elsewhere.key"
    with opened(directory) as engine:
        rotate_in_place(engine, elsewhere)
        size = LedgerReader(open_store(directory)).head().size
        for _ in range(2):
            with pytest.raises(StoreError):
                register(engine, "m")
        assert LedgerReader(open_store(directory)).head().size == size
        shutil.copy(elsewhere, Layout(directory).next_key("issuer"))
        register(engine, "m")
    assert verified(directory, tmp_path).exit_status == 0


def test_ceremony_the_entry_after_the_event_is_the_first_of_the_new_key(tmp_path: Path) -> None:
    """In one commit: what came before the rotation and the rotation itself bear the old key, the rest the new one."""
    directory = fresh(tmp_path)
    old = public(directory, "issuer")
    with opened(directory) as engine:
        register(engine, "m")
        action = prepared(engine, Layout(directory).next_key("issuer"))
        with engine._queue._turn:
            futures = [
                engine.submit_nowait(one, principal=c.LOCAL_OPERATOR)
                for one in (packet("p"), action, packet("q"))
            ]
        receipts = [future.result(30) for future in futures]
        assert engine.status().reloads == 0
    assert len({receipt.size for receipt in receipts}) == 1, "one commit"
    issuers = [
        [entry.parse(row.raw).issuer.hex() for row in receipt.entries] for receipt in receipts
    ]
    before, after = (keys.key_id(bytes.fromhex(key)) for key in (old, action.new))
    assert [set(one) for one in issuers] == [{before}, {before}, {after}]
    assert verified(directory, tmp_path).exit_status == 0


def test_ceremony_asked_again_under_the_same_key_it_answers_and_does_nothing(
    tmp_path: Path,
) -> None:
    """The same idempotency key gives the same rotation; another request under it is refused; no key is left over."""
    directory = fresh(tmp_path)
    caller = Caller(idempotency=Idempotency("k", b"digest"))
    with opened(directory) as engine:
        first = ceremony.rotate(engine, "issuer", caller=caller)
        again = ceremony.rotate(engine, "issuer", caller=caller)
        assert (again.position, again.new) == (first.position, first.new)
        assert again.receipt.replayed
        assert not Layout(directory).next_key("issuer").exists()
        with pytest.raises(MismatchError):
            ceremony.rotate(engine, "log", caller=Caller(idempotency=Idempotency("k", b"other")))
        assert engine.reader.head().size == first.position + 1


@pytest.mark.parametrize(
    "committing", ["thread", pytest.param("process", marks=pytest.mark.process)]
)
def test_ceremony_configured_keys_take_over_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, committing: str
) -> None:
    """Where keys come from URIs, a rotation takes the next one that the ledger never saw, and a restart finds it."""
    directory = fresh(tmp_path)
    first = keys.file_signer(Layout(directory).key("issuer"))
    following = [keys.generate(role="issuer", name=f"kms/{n}") for n in range(2)]
    uris = []
    for number, signer in enumerate((first, *following)):
        monkeypatch.setenv(f"ISSUER_{number}", signer.to_text())
        uris.append(f"env:ISSUER_{number}")
    Layout(directory).key("issuer").unlink()
    for number in (1, 2):
        with opened(
            directory, seed=f"run{number}", issuer=tuple(uris), committing=committing
        ) as engine:
            done = ceremony.rotate(engine, "issuer")
            assert done.new == following[number - 1].public.hex()
            register(engine, f"m{number}")
    with opened(directory, seed="last", issuer=tuple(uris), committing=committing) as engine:
        with pytest.raises(StateConflictError) as caught:
            ceremony.rotate(engine, "issuer")
        assert caught.value.code == "key.none_waiting"
        monkeypatch.delenv("ISSUER_0")  # a key that was replaced need not be there any more
    with opened(directory, seed="after", issuer=tuple(uris), committing=committing) as engine:
        assert register(engine, "m3").count == 1
    assert not Layout(directory).key("issuer").exists()
    assert verified(directory, tmp_path).exit_status == 0


@pytest.mark.parametrize(
    ("role", "name"), [("log", "pfgov.test/other"), ("issuer", "pfgov.test/one")]
)
def test_ceremony_an_unsuitable_key_does_not_take_over(
    tmp_path: Path, role: ceremony.Role, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A configured log key of another name, or a key of another role, is refused before anything is recorded."""
    directory = fresh(tmp_path)
    stranger = keys.generate(role="log", name=name)
    monkeypatch.setenv("NEXT", stranger.to_text())
    uris = (f"file:{Layout(directory).key(role)}", "env:NEXT")
    with opened(directory, **{role: uris}) as engine:
        with pytest.raises(StateConflictError) as caught:
            ceremony.rotate(engine, role)
        assert caught.value.code == "key.unsuitable"
        assert register(engine, "m").count == 1


@pytest.mark.parametrize(
    "spoilt", ["origin", "seq", "prev", "suspect_from", "signature", "guard", "role", "key"]
)
def test_ceremony_a_revocation_counts_only_as_it_was_signed(tmp_path: Path, spoilt: str) -> None:
    """A statement in which anything was changed, or that no recovery key in force signed, is not recorded."""
    directory = fresh(tmp_path)
    old = public(directory, "issuer")
    recovery = keys.file_signer(Layout(directory).key("recovery"))
    with opened(directory) as engine:
        ceremony.rotate(engine, "issuer")
        with engine.reader.snapshot() as queries:
            place = ceremony.place_of(queries, engine.layout, engine.origin)
        found = ceremony.find_key(engine.look(lambda state: dict(state.keys)), old)
        guard = recovery if spoilt != "guard" else keys.generate(role="recovery", name="thief")
        action = ceremony.sign_revocation(place, found, guard, suspect_from=3)
        sent, at = action, place
        if spoilt in {"origin", "seq", "prev"}:
            at = replace(place, **{spoilt: {"origin": "o", "seq": 7, "prev": bytes(32)}[spoilt]})
        elif spoilt in {"suspect_from", "role", "key"}:
            changed = {"suspect_from": 4, "role": "log", "key": recovery.public.hex()}[spoilt]
            sent = msgspec.structs.replace(action, **{spoilt: changed})
        elif spoilt == "signature":
            who, signature = action.signatures[0]
            flipped = f"{int(signature[0], 16) ^ 1:x}{signature[1:]}"
            sent = msgspec.structs.replace(action, signatures=((who, flipped),))
        size = engine.reader.head().size
        with pytest.raises(PfgovError) as caught:
            ceremony.revoke(engine, sent, at)
        assert caught.value.code == {
            "origin": "input.invalid", "seq": "key.statement_stale", "prev": "key.statement_stale",
            "suspect_from": "key.signature", "signature": "key.signature", "guard": "key.unauthorised",
            "role": "key.not_found", "key": "key.not_found",
        }[spoilt]  # fmt: skip
        assert engine.reader.head().size == size
        action = ceremony.sign_revocation(place, found, recovery, suspect_from=3)
        ceremony.revoke(engine, action, place)
        with pytest.raises(PfgovError) as caught:
            ceremony.revoke(engine, action, place)
        assert caught.value.code == "key.revoked"
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
