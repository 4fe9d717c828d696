"""Keys of the systems that call: made once, kept as a hash, scoped, two live ones a caller so that they can be rotated."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from enum import StrEnum

from sqlalchemy import Connection, func, insert, select, update

from casework.audit_log import record_change
from casework.audit_rows import ROWS, kept
from casework.database import Database, timestamp
from casework.tables import API_KEYS
from domain.errors import SettingsError

LIVE_KEYS = 2
PREFIX = "burana"
SIGNED = "signed"
"""Stands among the scopes of a key whose every request must be signed."""
_K = API_KEYS.c
_LIVE = _K.revoked_at.is_(None)


class Scope(StrEnum):
    """What a key may do."""

    OPERATIONS = "operations"
    EVENTS = "events"
    OUTCOMES = "outcomes"
    READ = "read"
    METRICS = "metrics"
    REGISTRY = "registry"
    RULES = "rules"
    AUDIT = "audit"
    APPROVE = "approve"


OF_SYSTEMS = frozenset({Scope.OPERATIONS, Scope.EVENTS, Scope.OUTCOMES, Scope.READ, Scope.METRICS})
"""What a calling system may need; the rest is for people: who may change the registry or the rules, approve, or read the log."""


@dataclass(frozen=True)
class Caller:
    """An authenticated caller, the same by either of its keys; is_signed: every request by this key must carry a signature."""

    name: str
    scopes: frozenset[Scope]
    key_id: str = field(default="", compare=False)
    is_signed: bool = field(default=False, compare=False)


def make(database: Database, caller: str, scopes: set[Scope], person: str, *, is_signed: bool = False) -> str:
    """A new key, shown this once; SettingsError when the caller has two live keys already, or no name that can be seen."""
    if not caller.strip() or not caller.isprintable():
        raise SettingsError(f"caller: seen {caller!a}, allowed the name of a system or a person, on one line")
    words = sorted(scopes) + [SIGNED] * is_signed
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    row = {"key_id": key_id, "caller": caller, "secret_sha256": _hash(secret), "scopes": " ".join(words),
           "made_at": timestamp(), "made_by": person}  # fmt: skip
    with database.transaction() as connection:
        if (connection.scalar(select(func.count()).where(_K.caller == caller, _LIVE)) or 0) >= LIVE_KEYS:
            raise SettingsError(f"{caller} has {LIVE_KEYS} live keys; revoke one first (`burana keys revoke`)")
        change = f"keys: make {key_id} for {caller}: {', '.join(words)}"
        connection.execute(insert(API_KEYS).values(row))
        after = {"key_id": key_id, "caller": caller, "scopes": words, **_rows(connection, key_id)}
        record_change(connection, person, "new key", change, after=after)
    return f"{PREFIX}_{key_id}_{secret}"


def revoke(database: Database, key_id: str, person: str, reason: str) -> None:
    """Make a key worthless at once; SettingsError if there is no such live key."""
    with database.transaction() as connection:
        found = connection.execute(select(_K.caller, _K.scopes).where(_K.key_id == key_id, _LIVE)).first()
        if found is None:
            raise SettingsError(f"no live key {key_id}; `burana keys list` shows the live ones")
        before = {"key_id": key_id, "caller": found.caller, "scopes": found.scopes.split()}
        connection.execute(update(API_KEYS).where(_K.key_id == key_id).values(revoked_at=timestamp()))
        record_change(connection, person, reason, f"keys: revoke {key_id}", before, _rows(connection, key_id))


def _rows(connection: Connection, key_id: str) -> dict[str, dict[str, str]]:
    """The hash of the key's row, for the audit log: who exchanges the secret's hash by SQL is found."""
    return {ROWS: kept(connection, API_KEYS, _K.key_id == key_id)}


def listed(database: Database) -> list[tuple[str, str, str, str]]:
    """(key id, caller, scopes, made at) of each live key."""
    with database.reading() as connection:
        found = connection.execute(select(_K.key_id, _K.caller, _K.scopes, _K.made_at).where(_LIVE).order_by(_K.made_at))
        return [(key_id, caller, scopes, made_at) for key_id, caller, scopes, made_at in found]


class Keys:
    """The live keys in memory. live: hash of the secret and caller by key id; another object whenever they were read again."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.live: dict[str, tuple[bytes, Caller]] = {}
        self.refresh()

    def refresh(self) -> None:
        """Read the live keys again. From any thread."""
        with self._database.reading() as connection:
            rows = connection.execute(select(_K.key_id, _K.secret_sha256, _K.caller, _K.scopes).where(_LIVE)).all()
        self.live = {key_id: (hash_, _caller(key_id, name, scopes)) for key_id, hash_, name, scopes in rows}

    def caller(self, key: str) -> Caller | None:
        """Whose key it is; None for a key that is not live. Compared in constant time."""
        prefix, _, rest = key.partition("_")
        key_id, _, secret = rest.partition("_")
        stored, caller = self.live.get(key_id, (b"", None))
        matches = hmac.compare_digest(stored, _hash(secret))
        return caller if matches and prefix == PREFIX else None


def _caller(key_id: str, name: str, scopes: str) -> Caller:
    words = set(scopes.split())
    # what a later release's key may do besides is nothing here; refused, it would keep revoked keys alive
    return Caller(name, frozenset(scope for scope in Scope if scope in words), key_id, SIGNED in words)


def _hash(secret: str) -> bytes:
    # a key carries 256 random bits: a plain hash cannot be searched, and a slow one would cost every call
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
