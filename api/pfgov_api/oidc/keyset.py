"""An issuer's key set (RFC 7517): which key verifies what, and nothing else of it.

A key is used only under its own id, only for the algorithms that fit its kind, and only if it says nothing against it.
Keys that are not for us are passed over; a key id that stands twice is nobody's.  This module fetches nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from pfgov.errors import PfgovError
from pfgov.model import read_json
from pfgov_api.limits import KEY_SET_BYTES_MAX, KEY_SET_KEYS_MAX, RSA_BITS
from pfgov_api.oidc.library import jwt

_RSA: Final = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_CURVES: Final = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
_PUBLIC: Final = {
    "RSA": ("kty", "n", "e"),
    "EC": ("kty", "crv", "x", "y"),
    "OKP": ("kty", "crv", "x"),
}
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


class KeySetError(PfgovError):
    """What should be the issuer's key set is not one."""

    code = "oidc.key_set"


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A public key: algorithm -> the key, bound to it."""

    by_algorithm: Mapping[str, Any]


def read_key_set(raw: bytes, algorithms: tuple[str, ...]) -> dict[str, VerifyingKey]:
    """Return the usable keys of a key set by their ids.

    Raises:
        KeySetError: it is no key set, is too large, or has no usable key.
    """
    try:
        tree = read_json(raw, limit=KEY_SET_BYTES_MAX)
    except PfgovError as error:
        raise KeySetError(f"the key set cannot be read: {error.message}") from None
    listed = tree.get("keys") if isinstance(tree, dict) else None
    if not isinstance(listed, list) or len(listed) > KEY_SET_KEYS_MAX:
        raise KeySetError(f"a key set is an object with at most {KEY_SET_KEYS_MAX} keys")
    found: dict[str, VerifyingKey] = {}
    twice: set[str] = set()
    for one in listed:
        if not isinstance(one, dict) or not isinstance(kid := one.get("kid"), str) or not kid:
            continue
        if kid in found or kid in twice:
            twice.add(kid)
            found.pop(kid, None)
            continue
        key = _usable(cast("dict[str, Any]", one), algorithms)
        if key is not None:
            found[kid] = key
    if not found:
        raise KeySetError(
            f"none of the {len(listed)} keys can be used with {', '.join(algorithms)}"
        )
    return found


def _usable(one: Mapping[str, Any], algorithms: tuple[str, ...]) -> VerifyingKey | None:
    fitting = _fitting(one) & set(algorithms)
    if "alg" in one:
        fitting &= {one["alg"]} if isinstance(one["alg"], str) else set[str]()
    operations = one.get("key_ops", ["verify"])
    if (
        not fitting
        or _PRIVATE & one.keys()
        or one.get("use", "sig") != "sig"
        or not isinstance(operations, list)
        or "verify" not in operations
    ):
        return None
    public = {name: one.get(name) for name in _PUBLIC[str(one["kty"])]}
    if not all(isinstance(value, str) and len(value) <= 2_048 for value in public.values()):
        return None
    library = jwt()
    try:
        bound = {name: library.PyJWK(public, algorithm=name) for name in sorted(fitting)}
    except Exception:  # noqa: BLE001 - whatever the library says of a key that is none: it is not used
        return None
    if public["kty"] == "RSA":
        least, most = RSA_BITS
        if not all(least <= key.key.key_size <= most for key in bound.values()):
            return None
    return VerifyingKey(bound)


def _fitting(one: Mapping[str, Any]) -> set[str]:
    """The algorithms that fit the kind of a key."""
    kind, curve = one.get("kty"), one.get("crv")
    if kind == "RSA":
        return set(_RSA)
    if kind == "EC" and isinstance(curve, str) and curve in _CURVES:
        return {_CURVES[curve]}
    if kind == "OKP" and curve == "Ed25519":
        return {"EdDSA"}
    return set()
