"""Rules as versioned data: every set that ever applied, who loaded it and why; the last one is live."""

import hashlib
import sqlite3
from dataclasses import dataclass

from casework import database


@dataclass(frozen=True)
class RuleSet:
    """A stored set: its version (hash of the content) and the content, TOML."""

    rule_set_id: int
    version: str
    content: str


def load(connection: sqlite3.Connection, content: str, person: str, reason: str) -> str:
    """Make a checked set the live one; its version."""
    version = hashlib.sha256(content.encode()).hexdigest()[:12]
    with database.transaction(connection):
        database.record_change(connection, person, reason, f"rules: load {version}")
        connection.execute(
            "INSERT INTO rule_sets (version, content, loaded_at, loaded_by, reason) VALUES (?, ?, ?, ?, ?)",
            (version, content, database.timestamp(), person, reason),
        )
    return version


def live(connection: sqlite3.Connection) -> RuleSet | None:
    """The set that was loaded last, or None."""
    query = "SELECT rule_set_id, version, content FROM rule_sets ORDER BY rule_set_id DESC LIMIT 1"
    row = connection.execute(query).fetchone()
    return None if row is None else RuleSet(*row)
