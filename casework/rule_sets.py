"""Rules as versioned data: every set that ever applied, who loaded it and why; the last one is live."""

import hashlib
from dataclasses import dataclass

from sqlalchemy import insert, select

from casework.audit_log import record_change
from casework.database import Database, timestamp
from casework.tables import RULE_SETS

_S = RULE_SETS.c
_LAST = select(_S.rule_set_id, _S.version, _S.content).order_by(_S.rule_set_id.desc()).limit(1)


@dataclass(frozen=True)
class RuleSet:
    """A stored set: its version (hash of the content) and the content, TOML."""

    rule_set_id: int
    version: str
    content: str


def load(database: Database, content: str, person: str, reason: str) -> str:
    """Make a checked set the live one; its version."""
    version = _sha256(content)[:12]
    with database.transaction() as connection:
        live = connection.execute(_LAST).first()
        before, after = None if live is None else _said(live.version, live.content), _said(version, content)
        record_change(connection, person, reason, f"rules: load {version}", before, after)
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
    with database.reading() as connection:
        row = connection.execute(_LAST).first()
    return None if row is None else RuleSet(*row)


def _said(version: str, content: str) -> dict[str, str]:
    """What the audit log says of a set: its content is in `rule_sets`, the whole hash says that it is this one."""
    return {"version": version, "sha256": _sha256(content)}


def _sha256(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()
