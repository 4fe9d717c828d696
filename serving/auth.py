"""Who calls: a key in the Authorization header, signed where the key asks for it, with the scope that the route asks for.

How often somebody may fail at this from one address is a proxy's business, which sees the address: a key has 256 random bits, so
nobody guesses one, and a refusal costs less than an answer. `burana_turned_away_total` counts them by reason.
"""

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

from casework.keys import Caller, Keys, Scope
from serving.contracts import Problem, Refusal
from serving.heads import headers_of
from serving.metrics import Metrics
from serving.rates import Rates
from serving.signatures import Signatures, check_digest


class Gate:
    """Lets callers in: key, signature, scope, rate, in this order."""

    def __init__(self, keys: Keys, signatures: Signatures, rates: Rates, metrics: Metrics) -> None:
        self._keys, self._signatures, self._rates, self._metrics = keys, signatures, rates, metrics
        self._callers: dict[bytes, Caller] = {}
        self._live = keys.live

    def admit(self, scope: Mapping[str, Any], headers: Mapping[bytes, bytes], needed: Scope) -> str | None:
        """The Content-Digest that the body must have, None where it is not signed; Refusal 401, 403 or 429 for who stays outside."""
        return self.admitted(scope, headers, needed)[1]

    def admitted(self, scope: Mapping[str, Any], headers: Mapping[bytes, bytes], needed: Scope) -> tuple[Caller, str | None]:
        """Who calls, and the same."""
        try:
            caller = self._known(headers.get(b"authorization", b""))
            digest = self._signed(caller, scope, headers) if caller.is_signed else None
            _may(caller, needed)
            self._rates.take(caller)
        except Refusal as refusal:
            self._metrics.turned_away(refusal.problem.code)
            raise
        return caller, digest

    def admit_without_body(self, scope: Mapping[str, Any], needed: Scope) -> None:
        """The same for a request that carries no body, whose signature says so; Refusal 400 for a header that stands twice."""
        if (digest := self.admit(scope, headers_of(scope["headers"]), needed)) is not None:
            self.check(digest, b"")

    def check(self, digest: str, body: bytes) -> None:
        """Refusal 401 for a body that is not the one that was signed."""
        try:
            check_digest(digest, body)
        except Refusal as refusal:
            self._metrics.turned_away(refusal.problem.code)
            raise

    def _known(self, authorization: bytes) -> Caller:
        """Who was let in by the very same bytes is known by their hash until the live keys are read again, twice a second."""
        if self._keys.live is not self._live:
            self._live, self._callers = self._keys.live, {}
        # looked up by a hash that nobody can steer, so that how long it takes says nothing of a key
        seen = hashlib.sha256(authorization).digest()
        if (caller := self._callers.get(seen)) is None:
            caller = self._callers[seen] = self._asked(authorization)
        return caller

    def _asked(self, authorization: bytes) -> Caller:
        caller = self._keys.caller(_key(str(authorization, "latin-1")))
        if caller is None:
            raise Refusal(401, Problem("unauthenticated", "send a live key: Authorization: Bearer burana_..."))
        return caller

    def _signed(self, caller: Caller, scope: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> str:
        target = scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")
        return self._signatures.checked(caller.key_id, scope["method"], target, headers)


def _may(caller: Caller, needed: Scope) -> None:
    if needed not in caller.scopes:
        raise Refusal(403, Problem("forbidden", f"the key of {caller.name} lacks the scope {needed}", allowed=needed))


def _key(authorization: str) -> str:
    """The key of `Bearer KEY`, or of `Basic` with the key as password, so that a browser can ask for it; empty for neither."""
    scheme, _, value = authorization.partition(" ")
    if scheme == "Bearer" or scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[2]
    except ValueError:  # not ASCII, not base64, not UTF-8
        return ""
