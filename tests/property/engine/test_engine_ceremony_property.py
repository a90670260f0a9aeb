"""Whatever order key ceremonies, writes and restarts come in, the ledger goes on, verifies and runs again."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.ledgers import fresh, opened, packet, register, submit, verified
from support.searching import examples

from pfgov.engine import Engine, Layout
from pfgov.engine.maintenance import ceremony
from pfgov.engine.reading.replay import Replay
from pfgov_ledger import keys
from pfgov_ledger.verify import verify

STEPS = st.lists(
    st.sampled_from(["issuer", "log", "issuer*", "log*", "revoke", "write", "restart", "half"]),
    min_size=1,
    max_size=12,
)


def _revoke(engine: Engine) -> int:
    """Revoke the oldest key that was replaced and not revoked yet, if there is one."""
    recovery = Layout(engine.layout.directory).key("recovery")
    known = engine.look(lambda state: dict(state.keys))
    mine = engine.sources.chosen(known)
    signing = {mine.issuer.public.hex(), mine.log.public.hex()}
    for public, key in known.items():
        if key.role != "recovery" and not key.revoked and public not in signing:
            with engine.reader.snapshot() as queries:
                place = ceremony.place_of(queries, engine.layout, engine.origin)
            guard = ceremony.recovery_key(known, recovery)
            ceremony.revoke(engine, ceremony.sign_revocation(place, key, guard), place)
            return 1
    return 0


@pytest.mark.long
@settings(
    max_examples=examples(25),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=STEPS)
def test_ceremonies_in_any_order(steps: list[str]) -> None:
    """Rotations by the old key or the recovery key (*), revocations, keys that lie ready (half): every prefix holds."""
    with tempfile.TemporaryDirectory() as folder:
        tmp_path = Path(folder)
        directory = fresh(tmp_path)
        anchor = keys.parse_anchor((directory / "anchor.txt").read_text())
        recovery, events = Layout(directory).key("recovery"), 0
        engine = opened(directory)
        try:
            register(engine, "m")
            for number, step in enumerate(steps):
                if step == "restart":
                    engine.close()
                    engine = opened(directory, seed=f"run{number}")
                elif step == "write":
                    submit(engine, packet(f"p{number}"))
                elif step == "revoke":
                    events += _revoke(engine)
                elif step == "half":
                    path = Layout(directory).next_key("issuer")
                    if not path.exists():
                        keys.write_file(path, keys.generate(role="issuer", name="half"))
                else:
                    role: ceremony.Role = "issuer" if step.startswith("issuer") else "log"
                    ceremony.rotate(engine, role, recovery=recovery if "*" in step else None)
                    events += 1
                assert submit(engine, packet(f"after-{number}")).count == 2
            assert engine.status().reloads == 0
            assert len(engine.reader.lineage("keys")) == events
        finally:
            engine.close()
        report = verified(directory, tmp_path, replayer=Replay())
        assert report.exit_status == 0
        assert verify(next(tmp_path.glob("export-*")), anchor=anchor).exit_status == 0
