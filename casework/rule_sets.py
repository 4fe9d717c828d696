"""Rules as versioned data: every set that ever applied, who loaded it and why; the last one is live."""

import hashlib
from dataclasses import dataclass

from sqlalchemy import insert, select

from casework.database import Database, record_change, timestamp
from casework.tables import RULE_SETS

_S = RULE_SETS.c


@dataclass(frozen=True)
class RuleSet:
    """A stored set: its version (hash of the content) and the content, TOML."""

    rule_set_id: int
    version: str
    content: str


def load(database: Database, content: str, person: str, reason: str) -> str:
    """Make a checked set the live one; its version."""
    version = hashlib.sha256(content.encode()).hexdigest()[:12]
    with database.transaction() as connection:
        record_change(connection, person, reason, f"rules: load {version}")
        row = {"version": version, "content": content, "loaded_at": timestamp(), "loaded_by": person, "reason": reason}
        connection.execute(insert(RULE_SETS).values(row))
    return version


def of_version(database: Database, version: str) -> RuleSet | None:
    """The set of a version, or None."""
    query = select(_S.rule_set_id, _S.version, _S.content).where(_S.version == version).limit(1)
    with database.reading() as connection:
        row = connection.execute(query).first()
    return None if row is None else RuleSet(*row)


def live(database: Database) -> RuleSet | None:
    """The set that was loaded last, or None."""
    query = select(_S.rule_set_id, _S.version, _S.content).order_by(_S.rule_set_id.desc()).limit(1)
    with database.reading() as connection:
        row = connection.execute(query).first()
    return None if row is None else RuleSet(*row)
