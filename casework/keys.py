"""Keys of the systems that call: made once, kept as a hash, scoped, two live ones a caller so that they can be rotated."""

import hashlib
import hmac
import secrets
import sqlite3
from dataclasses import dataclass, field
from enum import StrEnum

from casework import database
from domain.errors import SettingsError

LIVE_KEYS = 2
PREFIX = "burana"
SIGNED = "signed"
"""Stands among the scopes of a key whose every request must be signed."""


class Scope(StrEnum):
    """What a key may do."""

    OPERATIONS = "operations"
    EVENTS = "events"
    OUTCOMES = "outcomes"
    READ = "read"
    METRICS = "metrics"


@dataclass(frozen=True)
class Caller:
    """An authenticated caller, the same by either of its keys; is_signed: every request by this key must carry a signature."""

    name: str
    scopes: frozenset[Scope]
    key_id: str = field(default="", compare=False)
    is_signed: bool = field(default=False, compare=False)


def make(connection: sqlite3.Connection, caller: str, scopes: set[Scope], person: str, *, is_signed: bool = False) -> str:
    """A new key, shown this once; SettingsError when the caller has two live keys already."""
    words = sorted(scopes) + [SIGNED] * is_signed
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    with database.transaction(connection):
        query = "SELECT count(*) FROM api_keys WHERE caller = ? AND revoked_at IS NULL"
        if connection.execute(query, (caller,)).fetchone()[0] >= LIVE_KEYS:
            raise SettingsError(f"{caller} has {LIVE_KEYS} live keys; revoke one first (`burana keys revoke`)")
        database.record_change(connection, person, "new key", f"keys: make {key_id} for {caller}: {', '.join(words)}")
        connection.execute(
            "INSERT INTO api_keys (key_id, caller, secret_sha256, scopes, made_at, made_by) VALUES (?, ?, ?, ?, ?, ?)",
            (key_id, caller, _hash(secret), " ".join(words), database.timestamp(), person),
        )
    return f"{PREFIX}_{key_id}_{secret}"


def revoke(connection: sqlite3.Connection, key_id: str, person: str, reason: str) -> None:
    """Make a key worthless at once; SettingsError if there is no such live key."""
    with database.transaction(connection):
        database.record_change(connection, person, reason, f"keys: revoke {key_id}")
        update = "UPDATE api_keys SET revoked_at = ? WHERE key_id = ? AND revoked_at IS NULL"
        if connection.execute(update, (database.timestamp(), key_id)).rowcount != 1:
            raise SettingsError(f"no live key {key_id}; `burana keys list` shows the live ones")


def listed(connection: sqlite3.Connection) -> list[tuple[str, str, str, str]]:
    """(key id, caller, scopes, made at) of each live key."""
    return connection.execute("SELECT key_id, caller, scopes, made_at FROM api_keys WHERE revoked_at IS NULL").fetchall()


class Keys:
    """The live keys in memory."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._live: dict[str, tuple[bytes, Caller]] = {}
        self.refresh()

    def refresh(self) -> None:
        """Read the live keys again."""
        rows = self._connection.execute(
            "SELECT key_id, secret_sha256, caller, scopes FROM api_keys WHERE revoked_at IS NULL"
        )
        self._live = {key_id: (hash_, _caller(key_id, name, scopes)) for key_id, hash_, name, scopes in rows}

    def caller(self, key: str) -> Caller | None:
        """Whose key it is; None for a key that is not live. Compared in constant time."""
        prefix, _, rest = key.partition("_")
        key_id, _, secret = rest.partition("_")
        stored, caller = self._live.get(key_id, (b"", None))
        matches = hmac.compare_digest(stored, _hash(secret))
        return caller if matches and prefix == PREFIX else None


def _caller(key_id: str, name: str, scopes: str) -> Caller:
    words = set(scopes.split())
    return Caller(name, frozenset(map(Scope, words - {SIGNED})), key_id, SIGNED in words)


def _hash(secret: str) -> bytes:
    # a key carries 256 random bits: a plain hash cannot be searched, and a slow one would cost every call
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
