"""Signing and verifying webhooks by the Standard Webhooks scheme (1.0): what a sender says, and whether it said it.

A message is signed with HMAC-SHA256 under a secret that both sides hold, over its id, its time and its exact bytes.  A
receiver verifies before it parses, and remembers ids: a message may come more than once.
"""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from typing import Any, Final

from pfgov.errors import PfgovError

PREFIX: Final = "whsec_"
SECRET_BYTES: Final = 32
SECRET_BYTES_MIN: Final = 24
SECRET_BYTES_MAX: Final = 64
TOLERANCE_SECONDS: Final = 300
"""How far the time of a message may be from the receiver's: older ones may be replayed by somebody else."""


class WebhookError(PfgovError):
    """A message is not what the sender signed, or too old, or the secret is none."""

    code = "webhook.invalid"


def new_secret(draw: Any = secrets.token_bytes) -> str:
    """Return a fresh secret, as both sides are given it."""
    return PREFIX + base64.b64encode(draw(SECRET_BYTES)).decode()


def key_of(secret: str) -> bytes:
    """Return the key that *secret* spells.

    Raises:
        WebhookError: it is no secret: ``whsec_`` and 24 to 64 bytes in base64.
    """
    try:
        key = base64.b64decode(secret.strip().removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise WebhookError(f"the secret of a webhook is {PREFIX} and base64") from error
    if not SECRET_BYTES_MIN <= len(key) <= SECRET_BYTES_MAX:
        raise WebhookError(
            f"the secret of a webhook is {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes, not {len(key)}"
        )
    return key


def sign(secret: str, message_id: str, time: int, body: bytes) -> dict[str, str]:
    """Return the headers that go with *body*, sent at *time* (seconds since the epoch)."""
    mac = hmac.digest(key_of(secret), f"{message_id}.{time}.".encode() + body, hashlib.sha256)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(time),
        "webhook-signature": "v1," + base64.b64encode(mac).decode(),
    }


def verify(
    secret: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: int,
    tolerance_seconds: int = TOLERANCE_SECONDS,
) -> Any:
    """Return what a message says, once it is certain that whoever holds *secret* said it lately.

    Args:
        secret: What the sender signs with.
        headers: Of the request; their names in any case.
        body: Its exact bytes.
        now: The receiver's time, seconds since the epoch.
        tolerance_seconds: How far the sender's may be from it.

    Raises:
        WebhookError: it is not signed so, too old, or from the future.
    """
    given = {name.lower(): value for name, value in headers.items()}
    try:
        message_id, said = given["webhook-id"], given["webhook-timestamp"]
        signatures = given["webhook-signature"].split(" ")
    except KeyError as missing:
        raise WebhookError(f"the message has no {missing.args[0]}") from missing
    if not (said.isascii() and said.isdigit() and len(said) <= 15):
        raise WebhookError("the message's webhook-timestamp is no time")
    if abs(now - int(said)) > tolerance_seconds:
        raise WebhookError(f"the message is of {said}, and it is {now}: it may be a replay")
    expected = sign(secret, message_id, int(said), body)["webhook-signature"]
    if not any(hmac.compare_digest(one.encode(), expected.encode()) for one in signatures):
        raise WebhookError("the message is not signed with this secret")
    return json.loads(body)
