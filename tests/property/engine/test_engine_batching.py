"""How commands fall into commits must not matter: the same commands give the same entries, however they are batched."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from support.ledgers import OPERATOR, fresh, opened, packet
from support.searching import examples

from pfgov.core import commands as c
from pfgov.engine import Engine
from pfgov.errors import PfgovError

NAMES = ("a", "b", "c")


def _member(name: str) -> c.RegisterMember:
    return c.RegisterMember(
        member_id=name, type="agent", capacity=(("cpu", "2"),), trust_score="0.9"
    )


actions = st.one_of(
    st.sampled_from(NAMES).map(_member),
    st.sampled_from(NAMES).map(lambda n: c.FailMember(member_id=n)),
    st.sampled_from(NAMES).map(lambda n: c.RecoverMember(member_id=n)),
    st.sampled_from(NAMES).map(lambda n: packet(n, demand=(("cpu", "1"),))),
    st.sampled_from(NAMES).map(lambda n: c.PlacePacket(packet_id=n)),
    st.sampled_from(NAMES).map(lambda n: c.HandOff(packet_id=n)),
    st.sampled_from(NAMES).map(lambda n: c.RequeuePacket(packet_id=n)),
    st.sampled_from(NAMES).map(lambda n: c.CancelPacket(packet_id=n)),
    st.builds(
        lambda n, m, e: c.CompletePacket(
            packet_id=n, owner=c.OwnerClaim(member_id=m, incarnation=1, epoch=e)
        ),
        st.sampled_from(NAMES),
        st.sampled_from(NAMES),
        st.integers(1, 3),
    ),
    st.just(c.CommitIndex()),
)


def _submit(engine: Engine, batch: list[c.Action]) -> list[str]:
    """Run *batch* as one commit; return how each command ended."""
    with engine._queue._turn:
        futures = [
            engine.submit_nowait(
                action, principal=c.ENGINE if isinstance(action, c.CommitIndex) else OPERATOR
            )
            for action in batch
        ]
    outcomes = []
    for future in futures:
        error = future.exception(60)
        outcomes.append("done" if error is None else getattr(error, "code", repr(error)))
    return outcomes


@settings(max_examples=examples(25), deadline=None)
@given(st.lists(actions, min_size=1, max_size=24), st.lists(st.integers(1, 6), max_size=12))
def test_engine_batches_do_not_matter(story: list[c.Action], sizes: list[int]) -> None:
    """One by one or in any batches, every command ends the same way and every entry has the same bytes."""
    told = []
    for cuts in (sizes, [1] * len(story)):
        folder = Path(tempfile.mkdtemp(prefix="pfgov-batches-"))
        try:
            with opened(fresh(folder)) as engine:
                left, outcomes = list(story), list[str]()
                for size in (*cuts, len(story)):
                    batch, left = left[:size], left[size:]
                    try:
                        outcomes += _submit(engine, batch) if batch else []
                    except PfgovError as error:
                        raise AssertionError from error
                entries = [found.row.raw for found in engine.reader.entries()]
                engine.reader.replay()
            told.append((outcomes, entries))
        finally:
            shutil.rmtree(folder)
    assert told[0] == told[1]
