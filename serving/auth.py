"""Who calls: a key in the Authorization header, with the scope that the route asks for."""

import base64

from casework.keys import Caller, Keys, Scope
from serving.contracts import Problem, Refusal

CHALLENGE = 'Bearer realm="burana"'


def authenticated(keys: Keys, authorization: str | None, scope: Scope) -> Caller:
    """The caller of a request; Refusal 401 without a live key, 403 when the key lacks the scope.

    `Bearer KEY`, or `Basic` with the key as password so that a browser can ask for it.
    """
    caller = keys.caller(_key(authorization or ""))
    if caller is None:
        raise Refusal(401, Problem("unauthenticated", "send a live key: Authorization: Bearer burana_..."))
    if scope not in caller.scopes:
        raise Refusal(403, Problem("forbidden", f"the key of {caller.name} lacks the scope {scope}", allowed=scope))
    return caller


def _key(authorization: str) -> str:
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[2]
    except ValueError:  # not ASCII, not base64, not UTF-8
        return ""
