"""What an earlier release left in the tables, in the audit log: from then on the log has a hash of every row."""

from sqlalchemy import Connection, true

from casework.audit_form import ChangeKind
from casework.audit_log import record_change
from casework.audit_rows import ROWS, kept, listed
from casework.tables import API_KEYS, REGISTRY, RULE_SETS

KIND = ChangeKind.ADOPTION
KEPT_SINCE = "0003"
"""The step of the schema from which on every change keeps the hashes of its rows."""


def record(connection: Connection, stood_at: str | None) -> None:
    """Say what is there, once, after the steps from an earlier one; nothing where there is nothing."""
    if stood_at is not None and stood_at >= KEPT_SINCE:
        return
    rows = kept(connection, RULE_SETS) | kept(connection, API_KEYS)
    rows |= listed(connection, true(), REGISTRY.c.removed_change.is_not(None))
    if rows:
        words = f"{KIND}: the rows that an earlier release wrote"
        record_change(connection, "burana", "the audit log keeps a hash of each row from now on", words, after={ROWS: rows})
