"""An OpenID Connect issuer: its keys, its key set, its tokens, and everything that an attacker would make of them."""

import base64
import json
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

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


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's side and a client's side of TLS, for *name* alone; the certificate is in ``{name}.pem``, too."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = datetime(2020, 1, 1, tzinfo=UTC)
    made = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(1).not_valid_before(start).not_valid_after(start + timedelta(days=36_500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, hashes.SHA256())
    )  # fmt: skip
    certificate = made.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / f"{name}.pem").write_bytes(certificate + secret)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / f"{name}.pem")
    return server, ssl.create_default_context(cadata=certificate.decode())
