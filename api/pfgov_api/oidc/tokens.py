"""A token (RFC 9068 in the manner of RFC 8725), checked from its size to its scopes, and whom it makes of its bearer.

What can be refused without a key is refused first: form, size, algorithm, type, and every header by which a token would
bring its own key along.  Then the signature, by the issuer's key of that id alone; then who, for whom, since when and
until when; and only then what it grants.  No text of a token is ever repeated in an error.
"""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Any, Final, cast

import msgspec

from pfgov.clock import Clock
from pfgov.core.commands import Principal
from pfgov.errors import PfgovError, StoreUnavailableError
from pfgov.limits import PRINCIPAL_RIGHTS_MAX, TEXT_LENGTH_MAX
from pfgov.model import read_json
from pfgov_api.grants import Grant
from pfgov_api.limits import (
    CLAIM_VALUES_MAX,
    SUBJECT_LENGTH_MAX,
    TOKEN_BYTES_MAX,
    TOKEN_HEADER_BYTES_MAX,
)
from pfgov_api.oidc.library import jwt
from pfgov_api.oidc.settings import Settings
from pfgov_api.oidc.sources import KeySource
from pfgov_api.problems import UnauthenticatedError

_FORM: Final = re.compile(r"([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
_PLAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}", re.ASCII)
_BRINGS_KEYS: Final = frozenset({"jku", "jwk", "x5u", "x5c", "crit", "b64", "zip", "enc"})
_MICROSECONDS: Final = 1_000_000


class _Claims(msgspec.Struct):
    sub: str
    exp: int | float
    iat: int | float
    nbf: int | float | None = None


@dataclass(frozen=True, slots=True)
class Tokens:
    """What makes a grant of a token."""

    settings: Settings
    source: KeySource
    clock: Clock

    def grant(self, token: str, *, subject: str | None = None) -> Grant:
        """Return whom *token* speaks for; it holds until it expires or the issuer drops its key.

        With *subject* it has to speak for that one.

        Raises:
            UnauthenticatedError: it is not a token of this issuer for this server, or not now.
            StoreUnavailableError: the issuer's keys are not at hand.
        """
        kid, algorithm = self._headers(token)
        claims = self._verified(token, kid, algorithm, self.settings.audience)
        times = self._times(claims)
        if subject is not None and times.sub != subject:
            raise _refused("the two tokens are about different people")
        if not times.exp - times.iat <= self.settings.lifetime_seconds:
            raise _refused(
                f"the token lives longer than {self.settings.lifetime_seconds} s",
                "let the issuer make shorter ones, or raise lifetime_seconds",
            )
        rights = self._rights(claims)
        name = principal_id(self.settings.issuer, times.sub)
        ends = times.exp + self.settings.leeway_seconds

        def holds() -> bool:
            try:
                return self._now() < ends and self.source.find(kid) is not None
            except StoreUnavailableError:
                return False

        principal = Principal(id=name, rights=rights, issuer=self.settings.issuer[:TEXT_LENGTH_MAX])
        return Grant(principal, holds, name)

    def subject_of_identity(self, token: str, client_id: str, nonce: str) -> str:
        """Return whom an identity token names that was made for *client_id* and *nonce* (OpenID Connect Core, 3.1.3.7).

        Raises:
            UnauthenticatedError: it is not that.
            StoreUnavailableError: the issuer's keys are not at hand.
        """
        kid, algorithm = self._headers(token, is_identity=True)
        claims = self._verified(token, kid, algorithm, client_id)
        if claims.get("azp", client_id) != client_id:
            raise _refused("the identity token was made for another client")
        given = claims.get("nonce")
        if not isinstance(given, str) or not hmac.compare_digest(
            given.encode(errors="replace"), nonce.encode()
        ):
            raise _refused("the identity token was made for another sign-in")
        return self._times(claims).sub

    def _now(self) -> float:
        return self.clock.now() / _MICROSECONDS

    def _headers(self, token: str, *, is_identity: bool = False) -> tuple[str, str]:
        """Return the key id and the algorithm that the token names, both still to be believed."""
        form = _FORM.fullmatch(token) if len(token) <= TOKEN_BYTES_MAX else None
        if form is None:
            raise _refused(f"that is no token of at most {TOKEN_BYTES_MAX} characters")
        head = form[1]
        try:
            raw = base64.urlsafe_b64decode(head + "=" * (-len(head) % 4))
            answer = read_json(raw, limit=TOKEN_HEADER_BYTES_MAX)
        except (ValueError, PfgovError):
            raise _refused("the header of the token cannot be read") from None
        if not isinstance(answer, dict):
            raise _refused("the header of the token is no object")
        if _BRINGS_KEYS & answer.keys():
            raise _refused("the token brings a key, or demands what is not done here")
        algorithm, kid, kind = answer.get("alg"), answer.get("kid"), answer.get("typ")
        if not isinstance(algorithm, str) or algorithm not in self.settings.algorithms:
            raise _refused("the token is not signed with an accepted algorithm")
        if is_identity:
            if not isinstance(kind, str | None) or (kind or "jwt").lower() != "jwt":
                raise _refused("that is no identity token")
        elif not isinstance(kind, str) or not self._accepts(kind):
            raise _refused(f"the token is not of type {' or '.join(self.settings.types)}")
        if not isinstance(kid, str) or not kid:
            raise _refused("the token names no key")
        return kid, algorithm

    def _accepts(self, kind: str) -> bool:
        plain = kind.lower().removeprefix("application/")
        return plain in {one.lower() for one in self.settings.types}

    def _verified(self, token: str, kid: str, algorithm: str, audience: str) -> dict[str, Any]:
        key = self.source.find(kid)
        if key is None or algorithm not in key.by_algorithm:
            raise _refused("the token is signed with no key of the issuer")
        library = jwt()
        try:
            claims: dict[str, Any] = library.decode(
                token,
                key.by_algorithm[algorithm],
                algorithms=[algorithm],
                audience=audience,
                issuer=self.settings.issuer,
                options={
                    "require": ["iss", "aud", "sub", "exp", "iat"],
                    # by our own clock, in _times
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except library.InvalidAudienceError:
            raise _refused("the token is for another audience") from None
        except library.InvalidIssuerError:
            raise _refused("the token is another issuer's") from None
        except library.MissingRequiredClaimError as error:
            raise _refused(f"the token lacks the claim {error.claim}") from None
        except (library.PyJWTError, RecursionError):  # of claims in claims; not every version knows
            raise _refused("the token's signature does not fit") from None
        return claims

    def _times(self, claims: dict[str, Any]) -> _Claims:
        try:
            found = msgspec.convert(claims, _Claims)
        except msgspec.ValidationError:
            raise _refused("a claim of the token is not of its kind") from None
        now, leeway = self._now(), self.settings.leeway_seconds
        if not now < found.exp + leeway:
            raise _refused("the token has expired")
        if not found.iat <= now + leeway or not (found.nbf is None or found.nbf <= now + leeway):
            raise _refused("the token is not valid yet")
        if not 0 < len(found.sub) <= SUBJECT_LENGTH_MAX:
            raise _refused(f"the subject has no 1 to {SUBJECT_LENGTH_MAX} characters")
        return found

    def _rights(self, claims: dict[str, Any]) -> tuple[str, ...]:
        """Return what the claim grants: what the settings map, and nothing else."""
        found: Any = claims
        for name in self.settings.scope_claim:
            found = cast("dict[str, Any]", found).get(name) if isinstance(found, dict) else None
        granted: set[str] = set()
        for value in _words(found)[:CLAIM_VALUES_MAX]:
            if isinstance(value, str):
                granted.update(self.settings.scopes.get(value, ()))
        if len(granted) > PRINCIPAL_RIGHTS_MAX:
            raise _refused(
                f"the token grants more than {PRINCIPAL_RIGHTS_MAX} scopes",
                "ask the issuer for one with fewer",
            )
        return tuple(sorted(granted))


def _words(claim: object) -> list[object]:
    """Return the values of a claim: a list, or words in a text (RFC 8693, 4.2); anything else has none."""
    if isinstance(claim, str):
        return list(claim.split(" "))
    return list(cast("list[object]", claim)) if isinstance(claim, list) else []


def principal_id(issuer: str, subject: str) -> str:
    """Return the id under which entries name *subject*, in a namespace of its own and the same for ever.

    A subject that is plain and no address is kept as it is.  Any other is named by a digest, after a ``~`` with which
    no plain one begins: so neither can be taken for the other, and no address gets into an entry.
    """
    if _PLAIN.fullmatch(subject):
        return f"oidc:{subject}"
    digest = hashlib.sha256(f"{issuer}\0{subject}".encode(errors="surrogatepass")).digest()
    return f"oidc:~{base64.b32encode(digest[:20]).decode().lower()}"


def _refused(message: str, hint: str = "get a new token from the issuer") -> UnauthenticatedError:
    return UnauthenticatedError(message, hint=hint)
