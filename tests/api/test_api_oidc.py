"""Tokens of an issuer: whom they let in, what they grant, and everything that must not get anybody in."""

import hashlib
import hmac
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from support.api_server import Api, path_values, problem
from support.issuer import AUDIENCE, ISSUER, SCOPES, Issuer, jwk, key_set, part, private

from pfgov.clock import ManualClock
from pfgov.errors import InvalidError
from pfgov_api.access import Access
from pfgov_api.limits import TOKEN_BYTES_MAX
from pfgov_api.oidc.library import jwt
from pfgov_api.oidc.settings import Settings
from pfgov_api.oidc.sources import FileSource
from pfgov_api.oidc.tokens import Tokens, principal_id
from pfgov_api.operations import ANYONE, MEMBER
from pfgov_api.routes import OPERATIONS

SETTINGS = Settings(
    issuer=ISSUER,
    audience=AUDIENCE,
    scopes={name: tuple(scopes) for name, scopes in SCOPES.items()},
    algorithms=("RS256", "PS256", "ES256", "EdDSA"),
)
KEYS = ("ES256", "RS256", "PS256", "Ed25519")


class Signed(Api):
    """An API that believes the tokens of an issuer, and has no key."""

    def __init__(self, folder: Path, settings: Settings = SETTINGS) -> None:
        super().__init__(folder / "ledger")
        self.key_file = folder / "issuer.json"
        self.key_file.write_bytes(key_set(*KEYS))
        source = FileSource(self.key_file, settings.algorithms, recheck_seconds=0)
        self.tokens = Tokens(settings, source, self.clock)
        self.service.access = Access(self.keyring, self.tokens)
        self.issuer = Issuer(self.clock.now() / 1e6)

    def bearing(
        self, token: str, method: str = "GET", path: str = "/api/status", body: Any = None
    ) -> Any:
        """Ask with a token."""
        return self(method, path, body, headers={"Authorization": f"Bearer {token}"})


@pytest.fixture
def signed(tmp_path: Path) -> Iterator[Signed]:
    """An API with an issuer."""
    with Signed(tmp_path) as found:
        yield found


@pytest.mark.parametrize("key", KEYS)
def test_a_token_lets_its_bearer_in(signed: Signed, key: str) -> None:
    """Signed by any accepted algorithm, a token grants what the map says, and entries name its subject."""
    token = signed.issuer.token(key=key)
    assert signed.bearing(token).status_code == 200
    made = signed.bearing(token, "POST", "/api/packets", {"packet_id": "p1", "workload_type": "x"})
    assert made.status_code == 201
    assert (
        signed.service.reader.entry(made.json()["receipt"]["position"]).row.raw.count(
            b'"oidc:alice"'
        )
        == 2  # who asked, and who submitted
    )


def test_with_an_issuer_and_no_key_the_server_is_not_open(signed: Signed) -> None:
    """Whoever brings nothing, or a key when there is none, is nobody."""
    for headers in ({}, {"Authorization": "Bearer pfgov_a_b"}, {"Authorization": "Basic a.b.c"}):
        problem(signed.get("/api/status", headers=headers), 401, "http.unauthenticated")
    assert signed.get("/api/health/live").status_code == 200


def test_keys_and_tokens_live_side_by_side(signed: Signed) -> None:
    """A key works beside tokens, and neither is tried as the other."""
    assert signed.get("/api/status", scope="operator").status_code == 200
    assert signed.bearing(signed.issuer.token()).status_code == 200
    problem(signed.get("/api/status"), 401)
    signed.key_file.write_text("{")
    problem(signed.bearing(signed.issuer.token()), 503, "oidc.keys")
    assert signed.get("/api/status", scope="operator").status_code == 200


def _hmac(secret: bytes, algorithm: str = "HS256") -> str:
    message = (
        f"{part({'alg': algorithm, 'typ': 'at+jwt', 'kid': 'RS256'})}.{part({'sub': 'alice'})}"
    )
    return f"{message}.{part(hmac.new(secret, message.encode(), hashlib.sha256).digest())}"


def _pem(name: str) -> bytes:
    return (
        private(name)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def _spoilt(token: str) -> str:
    head, body, seal = token.split(".")
    return f"{head}.{body}.{seal[:-2]}{'A' if seal[-2] != 'A' else 'B'}{seal[-1]}"


def _swapped(issuer: Issuer) -> str:
    head, _, seal = issuer.token().split(".")
    return f"{head}.{issuer.token(sub='mallory').split('.')[1]}.{seal}"


LATE = 10**12
TWICE = b'{"alg":"none","alg":"ES256","typ":"at+jwt","kid":"ES256"}'
ATTACKS: dict[str, Any] = {
    "none": lambda i: f"{part({'alg': 'none', 'typ': 'at+jwt', 'kid': 'ES256'})}.{i.token().split('.')[1]}.AA",
    "nOnE": lambda i: f"{part({'alg': 'nOnE', 'typ': 'at+jwt', 'kid': 'ES256'})}.{i.token().split('.')[1]}.AA",
    "no signature": lambda i: i.token().rpartition(".")[0] + ".",
    "the public key as a secret": lambda _: _hmac(_pem("RS256")),
    "the public key in a set as a secret": lambda _: _hmac(json.dumps(jwk("RS256")).encode()),
    "an algorithm that is not accepted": lambda i: i.token(key="ES384"),
    "another algorithm of the same key": lambda i: i.token(key="RS256", signed="RS512"),
    "the algorithm of another kind": lambda i: i.token(headers={"alg": "RS256"}),
    "another key's id": lambda i: i.token(headers={"kid": "RS256"}),
    "an unknown key": lambda i: i.token(key="ES256-unknown"),
    "no key id": lambda i: i.token(headers={"kid": None}),
    "a number for a key id": lambda i: i.token(headers={"kid": 1}),
    "a path for a key id": lambda i: i.token(headers={"kid": "../../../dev/null"}),
    "another signature": lambda i: _spoilt(i.token()),
    "another body": _swapped,
    "expired": lambda i: i.token(exp=int(i.now) - 31),
    "expired for ever": lambda i: i.token(exp=-1),
    "never expires": lambda i: i.token(exp=LATE),
    "expires at infinity": lambda i: i.token(exp=float("inf")),
    "expires at nothing": lambda i: i.token(exp=float("nan")),
    "expires as a text": lambda i: i.token(exp=str(int(i.now) + 60)),
    "not yet": lambda i: i.token(nbf=int(i.now) + 31),
    "issued tomorrow": lambda i: i.token(iat=int(i.now) + 31),
    "another issuer": lambda i: i.token(iss="https://evil.example"),
    "nearly the issuer": lambda i: i.token(iss=ISSUER + "/"),
    "another audience": lambda i: i.token(aud="another"),
    "no audience of many": lambda i: i.token(aud=["a", "b"]),
    "an empty subject": lambda i: i.token(sub=""),
    "a number for a subject": lambda i: i.token(sub=7),
    "a long subject": lambda i: i.token(sub="a" * 256),
    "an identity token": lambda i: i.token(headers={"typ": "JWT"}),
    "no type": lambda i: i.token(headers={"typ": None}),
    "its own key": lambda i: i.token(headers={"jwk": jwk("ES256-unknown")}, key="ES256-unknown"),
    "its own address of keys": lambda i: i.token(headers={"jku": "https://evil.example/keys"}),
    "its own certificate": lambda i: i.token(headers={"x5c": ["MIIB"]}),
    "its own address of certificates": lambda i: i.token(headers={"x5u": "https://evil.example/x"}),
    "a demand": lambda i: i.token(headers={"crit": ["exp"], "exp": 1}),
    "detached": lambda i: i.token(headers={"b64": False, "crit": ["b64"]}),
    "compressed": lambda i: i.token(headers={"zip": "DEF"}),
    "too large": lambda i: i.token(padding="x" * TOKEN_BYTES_MAX),
    "a long header": lambda i: f"{part({'x': 'y' * 1_024})}.{i.token().split('.', 1)[1]}",
    "a deep header": lambda i: f"{part(b'[' * 700)}.{i.token().split('.', 1)[1]}",
    "a header that is no object": lambda i: f"{part([])}.{i.token().split('.', 1)[1]}",
    "a header with a key twice": lambda i: f"{part(TWICE)}.{i.token().split('.', 1)[1]}",
    "a body that is no object": lambda i: _over(b"[]"),
    "a deep body": lambda i: _over(b"[" * 3_000),
    "padding": lambda i: i.token() + "==",
    "a space within": lambda i: i.token().replace(".", ". ", 1),
    "not base64": lambda i: "a.b.c",
    "only dots": lambda i: "..",
    "without an issuer": lambda i: i.token(without=("iss",)),
    "without an audience": lambda i: i.token(without=("aud",)),
    "without a subject": lambda i: i.token(without=("sub",)),
    "without an end": lambda i: i.token(without=("exp",)),
    "without a beginning": lambda i: i.token(without=("iat",)),
}  # fmt: skip


def _over(body: bytes) -> str:
    made: Any = jwt().get_algorithm_by_name("ES256")
    message = f"{part({'alg': 'ES256', 'typ': 'at+jwt', 'kid': 'ES256'})}.{part(body)}"
    return f"{message}.{part(made.sign(message.encode(), private('ES256')))}"


@pytest.mark.parametrize("name", ATTACKS)
def test_no_attack_gets_anybody_in(
    signed_once: Signed, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Each is a 401 as a problem, and no part of the token is in the answer or in a log."""
    token = ATTACKS[name](signed_once.issuer)
    with caplog.at_level(logging.DEBUG):
        answer = signed_once.bearing(token)
    problem(answer, 401, "http.unauthenticated")
    for piece in token.split("."):
        if len(piece) > 8:
            assert piece not in answer.text
            assert piece not in caplog.text


@pytest.fixture(scope="module")
def signed_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signed]:
    """One for all attacks."""
    with Signed(tmp_path_factory.mktemp("oidc")) as found:
        yield found


def test_two_tokens_are_one_too_many(signed_once: Signed) -> None:
    """Two Authorization headers are refused, whichever of them would do."""
    good = f"Bearer {signed_once.issuer.token()}"
    for pair in ((good, good), (good, "Bearer a.b.c"), ("Bearer a.b.c", good)):
        request = signed_once.client.build_request(
            "GET", "/api/status", headers=[("Authorization", one) for one in pair]
        )
        problem(signed_once.run(signed_once.client.send(request)), 400)


def test_leeway_is_bounded_on_both_sides(signed_once: Signed) -> None:
    """A clock that is off by the leeway is forgiven, one second more is not."""
    now = int(signed_once.issuer.now)
    for claims in ({"exp": now - 29}, {"nbf": now + 30}, {"iat": now + 30, "exp": now + 60}):
        assert signed_once.bearing(signed_once.issuer.token(**claims)).status_code == 200
    hour = {"iat": now, "exp": now + 3_600}
    assert signed_once.bearing(signed_once.issuer.token(**hour)).status_code == 200
    problem(signed_once.bearing(signed_once.issuer.token(iat=now, exp=now + 3_601)), 401)


@pytest.mark.parametrize(
    "scope",
    [None, "", "operator", "admin", "member:m1", "pf:OPS", "pf:op", "pf:ops,pf:read", " ", ["operator"],
     {"pf:ops": True}, [["pf:ops"]], ["x"] * 256 + ["pf:ops"], True, 7, "engine", ["member:m1", 3]],
    ids=lambda scope: str(scope)[:40],
)  # fmt: skip
def test_what_is_not_mapped_grants_nothing(signed_once: Signed, scope: Any) -> None:
    """An unknown value of the claim, our own scope names and other kinds of values are no rights at all."""
    for path in ("/api/status", "/api/members/m1"):
        token = signed_once.issuer.token(scope=scope)
        problem(signed_once.bearing(token, path=path), 403, "access.forbidden")
    problem(signed_once.bearing(signed_once.issuer.token(without=("scope",))), 403)


def test_scopes_may_be_a_list_deep_inside(tmp_path: Path) -> None:
    """The claim is where the settings say, as a list or as words."""
    import msgspec

    deep = msgspec.structs.replace(SETTINGS, scope_claim=("realm_access", "roles"))
    with Signed(tmp_path, deep) as api:
        token = api.issuer.token(realm_access={"roles": ["other", "pf:ops"]})
        assert api.bearing(token).status_code == 200
        for wrong in ({"realm_access": ["pf:ops"]}, {"scope": "pf:ops"}, {"realm_access": "roles"}):
            problem(api.bearing(api.issuer.token(**wrong)), 403)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_the_matrix_holds_for_tokens(signed_once: Signed, operation: Any) -> None:
    """A token opens exactly the routes of the scopes that it maps to."""
    path = operation.path.format(**path_values(packet_id="nothing"))
    if operation.name == "stream_events":
        path += "?member=m1&after=x"
    body = {} if operation.body is not None else None
    for scope, rights in (("pf:ops", "operator"), ("pf:read", "auditor"), ("pf:m1", MEMBER)):
        answer = signed_once.bearing(
            signed_once.issuer.token(scope=scope), operation.method, path, body
        )
        if operation.access == ANYONE or rights in operation.access:
            assert answer.status_code not in {401, 405, 500}, answer.text
        else:
            problem(answer, 403, "access.forbidden")


def test_subjects_have_a_namespace_of_their_own() -> None:
    """No subject becomes the id of a key, of a member, of the local operator or of another subject."""
    plain = ["alice", "key:abc", "local", "a.b-c:d_e", "0", "a" * 64]
    other = [
        "~abc",
        "alice@example.org",
        "auth0|123",
        "",
        "a" * 65,
        "Ärger",
        "a b",
        "a/b",
        "\ud800",
        "oidc:~x~",
    ]
    made = [principal_id(ISSUER, one) for one in (*plain, *other)]
    assert len(set(made)) == len(made)
    assert [principal_id(ISSUER, one) for one in plain] == [f"oidc:{one}" for one in plain]
    assert principal_id("https://other.example", "a b") != principal_id(ISSUER, "a b")
    for one, name in zip(other, made[len(plain) :], strict=True):
        assert name.startswith("oidc:~")
        assert len(name) == 38
        assert not one or one not in name
    taken = principal_id(ISSUER, "a b").removeprefix("oidc:")
    assert principal_id(ISSUER, taken) != f"oidc:{taken}", "nobody can ask for another's digest"


def test_a_key_that_leaves_the_file_leaves_at_once(signed: Signed) -> None:
    """The file is read again when it changes; a grant ends with its key, and with its time."""
    token = signed.issuer.token()
    grant = signed.service.access.grant(f"Bearer {token}")
    assert grant.holds()
    signed.key_file.write_bytes(key_set("Ed25519"))
    assert not grant.holds()
    problem(signed.bearing(token), 401)
    signed.key_file.write_bytes(key_set(*KEYS))
    assert grant.holds()
    signed.clock.advance(331 * 1_000_000)
    assert not grant.holds()
    signed.key_file.unlink()
    problem(signed.bearing(token), 503, "oidc.keys")


def test_a_key_cannot_act_for_a_name_that_is_no_members(api: Api) -> None:
    """Keys are not made for reserved names; nor for more scopes than an entry takes."""
    for scopes in (
        ("member:local",),
        ("member:key:x",),
        ("member:oidc:alice",),
        (),
        ("auditor",) * 33,
    ):
        with pytest.raises(InvalidError):
            api.keyring.create(scopes, now=1)
    assert isinstance(api.clock, ManualClock)
