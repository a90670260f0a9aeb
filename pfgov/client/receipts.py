"""Checking receipts as they come, with the ledger package alone.

With an anchor (what the operator publishes) every receipt has to carry a proof and to verify against it.  Without one a
receipt is only held to itself: its entry is well formed, and stands where the receipt says.
"""

import base64
import binascii
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pfgov.errors import PfgovError
from pfgov_ledger import entry
from pfgov_ledger.errors import LedgerError
from pfgov_ledger.keys import Anchor, parse_anchor


class ReceiptError(PfgovError):
    """A receipt does not prove what the answer says: the server, or somebody between, is not to be trusted."""

    code = "client.receipt"


@dataclass(frozen=True, slots=True)
class ReceiptChecker:
    """Checks receipts against *anchor*, where there is one."""

    anchor: Anchor | None = None

    @classmethod
    def of(cls, text: str | None) -> "ReceiptChecker":
        """Return a checker for an anchor file's text, or one without an anchor."""
        if text is not None and "+" not in text:
            raise ValueError(
                f"anchor is {text[:80]!r}: it is what stands in the anchor's file, not the file's name"
            )
        return cls(None if text is None else parse_anchor(text))

    @property
    def wants_proof(self) -> bool:
        """Whether receipts have to carry a proof."""
        return self.anchor is not None

    def check(self, receipt: Mapping[str, Any]) -> None:
        """Check one receipt; one of a command that changed nothing has no entry and proves nothing.

        Raises:
            ReceiptError: it does not hold.
        """
        position = receipt.get("position")
        if position is None:
            return
        try:
            parsed = entry.parse(base64.b64decode(receipt["entry"], validate=True))
        except (KeyError, TypeError, binascii.Error, LedgerError) as error:
            raise ReceiptError(f"the receipt's entry cannot be read: {error}") from error
        if parsed.seq != position:
            raise ReceiptError(f"the receipt says {position}, its entry says {parsed.seq}")
        if self.anchor is not None:
            from pfgov_ledger.verify import verify  # two thirds of what a client would import

            report = verify(
                io.BytesIO(json.dumps({"receipt": receipt}).encode()), anchor=self.anchor
            )
            if report.exit_status != 0:
                failed = [
                    name for name, one in report.verdicts.items() if one.status.value != "pass"
                ]
                raise ReceiptError(
                    f"the receipt of entry {position} does not verify ({', '.join(failed)})",
                    hint="keep it, and compare the anchor over another channel",
                )
