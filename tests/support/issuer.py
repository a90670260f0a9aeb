"""An OpenID Connect issuer: its keys, its key set, its tokens, and everything that an attacker would make of them."""

import base64
import json
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

ISSUER = "https://issuer.example/realm"
AUDIENCE = "pfgov"
SCOPES = {
    "pf:ops": ["operator"],
    "pf:read": ["auditor"],
    "pf:m1": ["member:m1"],
    "pf:all": ["admin", "assessor", "auditor", "operator", "reviewer", "submitter"],
}
Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@cache
def private(name: str) -> Private:
    """The private key of that name; a key of 2048 bits takes a while, so each is made once."""
    if name.startswith(("RS", "PS")):
        return rsa.generate_private_key(65_537, 2_048)
    if name.startswith("small"):
        return rsa.generate_private_key(65_537, 1_024)
    if name.startswith("ES"):
        return ec.generate_private_key(
            {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}[name[:5]]
        )
    return ed25519.Ed25519PrivateKey.generate()


def jwk(name: str, **more: Any) -> dict[str, Any]:
    """The public key of that name as the issuer publishes it."""
    algorithm = {"s": "RS256", "E": "ES256" if name.startswith("ES") else "EdDSA"}.get(
        name[0], "RS256"
    )
    made: Any = jwt.get_algorithm_by_name(algorithm)
    found: dict[str, Any] = made.to_jwk(private(name).public_key(), as_dict=True)
    if name.startswith("ES"):
        found["crv"] = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}[name[:5]]
    found.pop("key_ops", None)
    return {**found, "kid": name, "use": "sig", **more}


def key_set(*names: str, **more: Any) -> bytes:
    """A key set with the keys of these names."""
    return json.dumps({"keys": [jwk(name, **more) for name in names]}).encode()


def part(value: Any) -> str:
    """A part of a token, from a value or from bytes."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@dataclass
class Issuer:
    """Makes tokens that are valid at *now*, in seconds, unless told otherwise."""

    now: float
    key: str = "ES256"
    claims: dict[str, Any] = field(default_factory=dict)

    def token(
        self,
        *,
        headers: dict[str, Any] | None = None,
        key: str | None = None,
        without: tuple[str, ...] = (),
        signed: str | None = None,
        **claims: Any,
    ) -> str:
        """A token; *claims* replace, *without* leaves out, *headers* of None leave out, *signed* is the algorithm."""
        name = key or self.key
        body = {
            "iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "scope": "pf:ops",
            "iat": int(self.now) - 10, "exp": int(self.now) + 300, **self.claims, **claims,
        }  # fmt: skip
        for one in without:
            del body[one]
        algorithm = signed or ("EdDSA" if name.startswith("Ed") else name[:5])
        head = {"alg": algorithm, "typ": "at+jwt", "kid": name, **(headers or {})}
        head = {key: value for key, value in head.items() if value is not None}
        message = f"{part(head)}.{part(body)}"
        made: Any = jwt.get_algorithm_by_name(algorithm)
        return f"{message}.{part(made.sign(message.encode(), private(name)))}"
