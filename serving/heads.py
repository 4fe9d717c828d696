"""What the head of a record's request may say: JSON as it is, each header once, and no expectation but 100-continue."""

from collections.abc import Iterable, Mapping

from domain.errors import shortened
from serving.contracts import Problem, Refusal

READ_ONCE = frozenset({
    b"authorization", b"content-type", b"content-length", b"content-encoding", b"content-digest", b"signature", b"signature-input",
    b"expect",
})  # fmt: skip
_USUAL = frozenset({None, b"application/json", b"application/json; charset=utf-8"})


def headers_of(given: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """The headers by name; Refusal 400 for one that is read here and stands twice, so that a proxy may have read the other."""
    headers = dict(given)
    if len(headers) != len(given):
        _each_once(name for name, _ in given)
    return headers


def check_head(headers: Mapping[bytes, bytes]) -> None:
    """Refusal 415 for another content type or coding than JSON as it is, 417 for an expectation that nobody meets here."""
    kind = headers.get(b"content-type")
    if kind not in _USUAL and not _is_json(kind or b""):
        raise _unsupported("Content-Type", kind, "application/json, in UTF-8")
    if b"content-encoding" in headers and (coding := headers[b"content-encoding"]).lower() != b"identity":
        raise _unsupported("Content-Encoding", coding, "none: send the body as it is")
    if b"expect" in headers and headers[b"expect"].lower() != b"100-continue":
        seen = shortened(headers[b"expect"].decode("latin-1"))
        problem = Problem("expectation", f"Expect: seen {seen}, allowed 100-continue", "Expect", seen, "100-continue")
        raise Refusal(417, problem)


def _is_json(kind: bytes) -> bool:
    """A missing content type is read as JSON; parameters say nothing but UTF-8."""
    name, *parameters = (part.strip().lower() for part in kind.split(b";"))
    return name == b"application/json" and all(p in (b"", b"charset=utf-8", b'charset="utf-8"') for p in parameters)


def _unsupported(name: str, value: bytes | None, allowed: str) -> Refusal:
    seen = shortened((value or b"").decode("latin-1"))
    return Refusal(415, Problem("unsupported", f"{name}: seen {seen}, allowed {allowed}", name, seen, allowed))


def _each_once(names: Iterable[bytes]) -> None:
    seen: set[bytes] = set()
    for name in names:
        if name in seen and name in READ_ONCE:
            text = name.decode("latin-1")
            raise Refusal(400, Problem("malformed", f"{text}: stands twice", text, allowed="once"))
        seen.add(name)
