"""Tokens of an OAuth 2.1 issuer: signed by it, for this server, and still valid. This server is the resource server
and nothing else: it issues none, and passes none on.
"""

from collections.abc import Sequence

import jwt

from fal_mcp.errors import ServiceFailed
from fal_mcp.json_values import JsonMapping, JsonObject, list_of, object_of, text_of
from fal_mcp.team.key_set import KeySet
from fal_mcp.team.principal import Principal
from fal_mcp.team.refusal import NotLetIn, invalid
from fal_mcp.team.scopes import held

_ALGORITHMS: dict[str, tuple[str, ...]] = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "EC": ("ES256", "ES384", "ES512"),
    "OKP": ("EdDSA",),
}
"""By the kind of the key and never by what the token says of itself (RFC 8725, section 3.1)."""
_CLOCK_SKEW = 30.0
_REQUIRED = ["exp", "iss", "aud", "sub"]
_LONGEST = 16 * 1024


class Issuer:
    """The tokens of `issuer` for `audience`, which is this server's public URL."""

    def __init__(self, issuer: str, audience: str, keys: KeySet) -> None:
        self._issuer = issuer
        self._audiences = [audience.rstrip("/"), f"{audience.rstrip('/')}/"]
        self._keys = keys

    async def principal_of(self, token: str) -> Principal:
        """Whose token it is.

        Raises:
            NotLetIn: it is not this issuer's, or not for this server, or not valid now; 503 where the issuer's keys
                cannot be had.
        """
        try:
            header = _header(token)
            key = await self._keys.get(text_of(header.get("kid")))
            if key is None:
                raise invalid()
            return self._principal(self._claims(token, key))
        except ServiceFailed as error:
            raise NotLetIn(503, error.message, retry_after=30) from error
        # A library that reads what strangers write: whatever it raises about a token is about the token.
        except (
            jwt.PyJWTError,
            ValueError,
            TypeError,
            KeyError,
            AttributeError,
            OverflowError,
            RecursionError,
        ) as error:
            raise invalid() from error

    def _claims(self, token: str, key: jwt.PyJWK) -> JsonObject:
        return jwt.decode(
            token,
            key.key,
            algorithms=_ALGORITHMS[key.key_type or ""],
            audience=self._audiences,
            issuer=self._issuer,
            leeway=_CLOCK_SKEW,
            options={"require": _REQUIRED},
        )

    def _principal(self, claims: JsonMapping) -> Principal:
        subject = text_of(claims.get("sub"))
        if not subject:
            raise invalid()
        client = text_of(claims.get("client_id")) or text_of(claims.get("azp")) or ""
        return Principal(self._issuer, subject, client, f"{subject}@{client}", held(_granted(claims)))


def _header(token: str) -> JsonObject:
    if len(token) > _LONGEST or token.count(".") != 2:
        raise invalid()
    header = object_of(jwt.get_unverified_header(token))
    # An extension that must be understood, and none is; PyJWT lets some of them pass.
    if "crit" in header:
        raise invalid()
    return header


def _granted(claims: JsonMapping) -> Sequence[str]:
    """`scope` as one text (RFC 9068), or `scp` as some issuers have it."""
    scope = claims.get("scope", claims.get("scp"))
    return scope.split() if isinstance(scope, str) else [each for each in list_of(scope) if isinstance(each, str)]
