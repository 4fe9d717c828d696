"""What an entry of the audit log is, byte for byte: its canonical form and its hash. Whoever verifies computes the same.

The form is one line of JSON by RFC 8785 (JCS), without floats: keys in order, no blanks, UTF-8, only `"`, `\\` and control
characters escaped. The hash is that of a leaf of RFC 9162: SHA-256 of a zero byte and the form. `previous` in the form is the
hash of the entry before, 64 zeros in the first one, so each hash stands for the whole log up to there.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from domain.errors import SettingsError

FIRST = bytes(32)
"""What stands for the hash before the first entry."""
LARGEST = 2**53 - 1
"""Integers beyond it are not the same in every reader of JSON (RFC 8785)."""
_quoted = json.encoder.encode_basestring


class ChangeKind(StrEnum):
    """What a change is of: the word before the colon in its words."""

    ADOPTION = "adoption"
    AUDIT = "audit"
    CARD_KEY = "card_key"
    CHAMPION = "champion"
    DECISIONS = "decisions"
    KEYS = "keys"
    PROPOSALS = "proposals"
    REGISTRY = "registry"
    RULES = "rules"
    SETTINGS = "settings"


class AuditEntry(NamedTuple):
    """One line of the audit log; see the table `audit` for the columns. before, after: canonical JSON."""

    audit_id: int
    at: str
    person: str
    reason: str
    kind: str
    change: str
    before: str | None
    after: str | None
    approved_by: str | None
    previous: bytes
    hash: bytes


def canonical(value: Any) -> str:
    """A value as JSON by RFC 8785; SettingsError for a float, a large integer, and whatever JSON or UTF-8 cannot hold."""
    text = json.dumps(_ordered(value), ensure_ascii=False, separators=(",", ":"))
    _held(text)
    return text


def form(entry: Sequence[Any]) -> bytes:
    """The bytes that are hashed, of an AuditEntry or a row of its columns; UnicodeEncodeError for text that UTF-8 cannot hold."""
    audit_id, at, person, reason, kind, change, before, after, approved_by, previous, _ = entry
    approved = "null" if approved_by is None else _quoted(approved_by)
    return (
        f'{{"after":{"null" if after is None else after},"approved_by":{approved},"at":{_quoted(at)}'
        f',"audit_id":{audit_id},"before":{"null" if before is None else before},"change":{_quoted(change)}'
        f',"kind":{_quoted(kind)},"person":{_quoted(person)},"previous":"{previous.hex()}","reason":{_quoted(reason)}}}'
    ).encode()


def leaf(of: bytes) -> bytes:
    """The hash of a form: a leaf of the tree."""
    return hashlib.sha256(b"\0" + of).digest()


def kind_of(change: str) -> str:
    """What a change is of: the word before its colon, such as registry, rules, keys, champion."""
    return change.partition(":")[0]


def sealed(entry: AuditEntry) -> AuditEntry:
    """The entry with its hash; SettingsError for text that UTF-8 cannot hold."""
    for text in (entry.person, entry.reason, entry.change, entry.approved_by or ""):
        _held(text)
    return entry._replace(hash=leaf(form(entry)))


def chained(lines: Iterable[Sequence[Any]]) -> Iterator[AuditEntry]:
    """Entries of before there was a chain (number, at, person, reason, change), oldest first, sealed one after another."""
    previous = FIRST
    for audit_id, at, person, reason, change in lines:
        kind = kind_of(change)
        entry = sealed(AuditEntry(audit_id, at, person, reason, kind, change, None, None, None, previous, b""))
        yield entry
        previous = entry.hash


def _ordered(value: Any) -> Any:
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _ordered(value[key]) for key in sorted(value, key=lambda key: key.encode("utf-16-be", "surrogatepass"))}
    if isinstance(value, list | tuple):
        return [_ordered(each) for each in value]
    if value is None or isinstance(value, str | bool) or (isinstance(value, int) and abs(value) <= LARGEST):
        return value
    raise SettingsError(
        f"the audit log keeps what JSON can hold, without floats and integers beyond {LARGEST}; seen {value!r}, write it as text"
    )


def _held(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise SettingsError(f"the audit log keeps text in UTF-8; seen {text[error.start : error.end]!r}") from error
