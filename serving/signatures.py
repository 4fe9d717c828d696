"""Signed requests: a strict part of HTTP Message Signatures (RFC 9421) with Content-Digest (RFC 9530).

A caller whose key is signed sends, beside the key, three headers:

    Content-Digest: sha-256=:BASE64:
    Signature-Input: sig=("@method" "@path" "@query" "content-digest");created=SECONDS;nonce="ANY";keyid="KEY ID"
    Signature: sig=:BASE64:

The components are these four in this order; `expires` and `alg="hmac-sha256"` may be added, nothing else. The host is not
covered, since a proxy may exchange it. Who sees a key alone can do nothing with it: the secret never travels.

A signature is accepted once. Repeats of records would be harmless, their ids make them so, but a look at a decision is not.
What was accepted is remembered for as long as it is fresh, by this process alone: for a window after a start, what was sent
before can be repeated. How long that is a clock says that nobody sets: one that jumped ahead and back would have forgotten too early.
"""

import base64
import hashlib
import hmac
import re
import secrets
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from serving.contracts import Problem, Refusal

REMEMBERED = 262_144
"""Signatures of one key that are remembered at most, some 40 MB: 2,000 a second for two windows of 60 seconds."""
COMPONENTS = ("@method", "@path", "@query", "content-digest")
_COVERED = "(" + " ".join(f'"{name}"' for name in COMPONENTS) + ")"
_LABEL = r"(?P<label>[a-z*][a-z0-9_.*-]{0,63})="
_INPUT = re.compile(
    _LABEL + "(?P<params>" + re.escape(_COVERED) + r'(?P<pairs>(?:;[a-z]+=(?:[0-9]{1,12}|"[ !#-\[\]-~]{1,128}")){3,5}))'
)
_PAIR = re.compile(r';([a-z]+)=(?:([0-9]+)|"([^"]*)")')
_SIGNATURE = re.compile(_LABEL + r":(?P<value>[A-Za-z0-9+/]{43}=):")
_NUMBERS, _TEXTS = {"created", "expires"}, {"nonce", "keyid", "alg"}
_REQUIRED = {"created", "nonce", "keyid"}


def id_of(key: str) -> str:
    """The public part of a key, by which it is listed, revoked and named in signatures."""
    return key.split("_", 2)[1]


def secret_of(card_key: bytes, key_id: str) -> str:
    """The secret that signs for a key, 64 hexadecimal digits: derived from the operator's card key, so it is stored nowhere."""
    return hmac.digest(card_key, b"burana: signing secret of key " + key_id.encode(), "sha256").hex()


def digest_of(body: bytes) -> str:
    """The value of Content-Digest for a body."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def signature(secret: bytes, covered: Sequence[tuple[str, str]], params: str) -> str:
    """RFC 9421's signature by hmac-sha256, in base64, over components and their values. params: the value of @signature-params."""
    lines = [f'"{name}": {value}' for name, value in (*covered, ("@signature-params", params))]
    return base64.b64encode(hmac.digest(secret, "\n".join(lines).encode("latin-1"), "sha256")).decode()


def signed(secret: str, key_id: str, method: str, target: str, body: bytes, created: int) -> dict[str, str]:
    """The headers that sign one request, to be sent once. target: path with query as sent; created: seconds since 1970."""
    path, _, query = target.partition("?")
    digest = digest_of(body)
    params = f'{_COVERED};created={created};nonce="{secrets.token_urlsafe(12)}";keyid="{key_id}"'
    covered = list(zip(COMPONENTS, (method, path, f"?{query}", digest), strict=True))
    value = signature(bytes.fromhex(secret), covered, params)
    return {"Content-Digest": digest, "Signature-Input": f"sig={params}", "Signature": f"sig=:{value}:"}


class Signatures:
    """Checks signatures, each key's once."""

    def __init__(self, card_key: bytes, window_s: int, clock: Callable[[], float], steady: Callable[[], float]) -> None:
        """window_s: how far `created` may be from now, either way; clock: seconds since 1970; steady: seconds that never go back or jump."""
        self._card_key, self._window, self._clock, self._steady = card_key, window_s, clock, steady
        self._secrets: dict[str, bytes] = {}
        self._seen: dict[str, _Seen] = {}

    def checked(self, key_id: str, method: str, target: tuple[str, str], headers: Mapping[bytes, bytes]) -> str:
        """The Content-Digest that the body must have. target: raw path, query; Refusal 401 says what is wrong, 429 when too many came."""
        digest = _given(headers, b"content-digest")
        found = _INPUT.fullmatch(_given(headers, b"signature-input"))
        value = _SIGNATURE.fullmatch(_given(headers, b"signature"))
        if found is None or value is None or found["label"] != value["label"]:
            raise _refused(f'Signature-Input: sig={_COVERED};created=...;nonce="...";keyid="..." and Signature: sig=:...:')
        self._fresh(_parameters(found["pairs"]), key_id)
        covered = list(zip(COMPONENTS, (method, target[0], f"?{target[1]}", digest), strict=True))
        expected = signature(self._secret(key_id), covered, found["params"])
        if not hmac.compare_digest(expected, value["value"]):
            raise _refused("a signature by the secret of this key over what was sent")
        self._seen.setdefault(key_id, _Seen(2 * self._window)).remember(expected, self._steady())
        return digest

    def _secret(self, key_id: str) -> bytes:
        if key_id not in self._secrets:
            self._secrets[key_id] = bytes.fromhex(secret_of(self._card_key, key_id))
        return self._secrets[key_id]

    def _fresh(self, parameters: dict[str, str], key_id: str) -> None:
        now, created = self._clock(), int(parameters["created"])
        if abs(now - created) > self._window:
            raise _refused(f"created within {self._window} s of now, which is {int(now)}", seen=str(created))
        if int(parameters.get("expires", now)) < int(now):
            raise _refused(f"expires not before now, which is {int(now)}", seen=parameters["expires"])
        if parameters["keyid"] != key_id or parameters.get("alg", "hmac-sha256") != "hmac-sha256":
            raise _refused("keyid of the key that is sent, and no alg but hmac-sha256")


class _Seen:
    """The signatures of one key that could still be sent again. From any thread: looks are answered by several."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._lock = seconds, threading.Lock()
        self._order: deque[tuple[float, int]] = deque()
        self._signatures: set[int] = set()

    def remember(self, value: str, now: float) -> None:
        """Refusal 401 for one that was seen, 429 when no more can be remembered. now: of the steady clock."""
        with self._lock:
            self._remember(value, now)

    def _remember(self, value: str, now: float) -> None:
        while self._order and self._order[0][0] < now:
            self._signatures.discard(self._order.popleft()[1])
        short = int.from_bytes(base64.b64decode(value)[:8], "big")
        if short in self._signatures:
            raise _refused("each signature once: sign a repeat again, with another nonce")
        if len(self._order) >= REMEMBERED:
            problem = Problem("too_many_requests", f"{REMEMBERED} signatures of this key are remembered; slow down")
            raise Refusal(429, problem, max(1, int(self._order[0][0] - now) + 1))
        self._order.append((now + self._seconds, short))
        self._signatures.add(short)


def check_digest(expected: str, body: bytes) -> None:
    """Refusal 401 for a body that is not the one that was signed."""
    if not hmac.compare_digest(expected.encode("latin-1"), digest_of(body).encode()):
        raise _refused("Content-Digest: sha-256=:...: of this body")


def _parameters(pairs: str) -> dict[str, str]:
    found = _PAIR.findall(pairs)
    parameters = {name: number or text for name, number, text in found}
    kinds = all((name in _NUMBERS and number) or (name in _TEXTS and text) for name, number, text in found)
    if not kinds or len(parameters) != len(found) or not parameters.keys() >= _REQUIRED:
        raise _refused("created, nonce and keyid, with expires and alg if wanted, each once")
    return parameters


def _given(headers: Mapping[bytes, bytes], name: bytes) -> str:
    if (value := headers.get(name)) is None:
        raise _refused("Content-Digest, Signature-Input and Signature: this key signs its requests")
    return value.decode("latin-1").strip()


def _refused(allowed: str, seen: str | None = None) -> Refusal:
    return Refusal(401, Problem("not_signed", f"the signature is refused; allowed: {allowed}", "signature", seen, allowed))
