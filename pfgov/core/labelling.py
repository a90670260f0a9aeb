"""What ``decide`` asks of declared labels: what rules see of them, and who may set which.

This module knows no declarations; :mod:`pfgov.policy` fulfils the protocol.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Owner = Literal["packet", "member"]


@dataclass(frozen=True, slots=True)
class LabelRefusal:
    """Why a label may not be set: because of its value, or because of who sets it."""

    name: str
    why: str
    is_value: bool


class LabelJudge(Protocol):
    """What a policy set declares of labels."""

    def facts(self, owner: Owner, pairs: Sequence[tuple[str, str]]) -> dict[str, object]:
        """Return labels as rules see them."""
        ...

    def refusal(
        self,
        owner: Owner,
        before: Mapping[str, str] | None,
        after: Mapping[str, str],
        rights: Collection[str],
    ) -> LabelRefusal | None:
        """Return why whoever has *rights* may not make the labels *before* into *after*; None where it may.

        *before* is None where labels are set for the first time: at submission and registration.
        """
        ...
