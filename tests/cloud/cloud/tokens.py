"""JSON web tokens, as the JWT authorizers of HTTP APIs check them.

Issuers are the user pools of moto's Cognito, with moto's key: RS256, `iss`, `exp`, and `aud` or
`client_id` among the audiences.
"""

from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from moto.cognitoidp.models import cognitoidp_backends

_ACCOUNT = "123456789012"


class InvalidTokenError(Exception):
    """The token is not one of the issuer for one of the audiences."""


def claims(token: str, issuer: str, audiences: list[str]) -> dict[str, Any]:
    """Return the claims of a valid token."""
    try:
        decoded = jwt.decode(token, _key(issuer), algorithms=["RS256"])
        rules = jwt.JWTClaimsRegistry(
            iss={"essential": True, "value": issuer}, exp={"essential": True}
        )
        rules.validate(decoded.claims)
    except (JoseError, ValueError) as error:
        raise InvalidTokenError(str(error)) from error
    audience = decoded.claims.get("aud") or decoded.claims.get("client_id")
    if not {*([audience] if isinstance(audience, str) else audience or [])} & {*audiences}:
        raise InvalidTokenError("another audience")
    return dict(decoded.claims)


def _key(issuer: str) -> Any:
    for region, backend in cognitoidp_backends[_ACCOUNT].items():
        for pool in backend.user_pools.values():
            if issuer == f"https://cognito-idp.{region}.amazonaws.com/{pool.id}":
                return pool.json_web_key
    raise InvalidTokenError(f"no keys of {issuer}")
