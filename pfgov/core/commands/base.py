"""What every command is: one tagged, frozen action that names the right it takes."""

from typing import ClassVar

import msgspec


class Action(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    gc=False,
):
    """One thing to do.  Its tag is its name in the ledger."""

    right: ClassVar[str] = "operator"
