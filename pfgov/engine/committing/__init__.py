"""The committing side: chain, sign, one transaction, the head lock; in this thread or in a process of its own."""

from pfgov.engine.committing.batch import Batch, Body, Committed
from pfgov.engine.committing.committers import Committer, InlineCommitter, Reports
from pfgov.engine.committing.process import ProcessCommitter, WriterSpec, kill_writers
from pfgov.engine.committing.writer import Writer

__all__ = [
    "Batch",
    "Body",
    "Committed",
    "Committer",
    "InlineCommitter",
    "ProcessCommitter",
    "Reports",
    "Writer",
    "WriterSpec",
    "kill_writers",
]
