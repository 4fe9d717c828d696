"""The audit log says before, after and who approved, and is a chain of hashes; what was recorded before joins it."""

import sqlalchemy as sa
from alembic import op

from casework.audit_form import AuditEntry, chained

revision = "0002"
down_revision = "0001"

AUDIT = sa.table("audit", *(sa.column(name) for name in AuditEntry._fields))


def upgrade() -> None:
    """Add the columns, seal the entries that are there, oldest first, and refuse changes again."""
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in SQLITE_OFF if on_sqlite else POSTGRESQL_OFF:
        op.execute(statement)
    _add_columns()
    _seal()
    with op.batch_alter_table("audit") as audit:
        for name, type_ in (("kind", sa.Text()), ("previous", sa.LargeBinary()), ("hash", sa.LargeBinary())):
            audit.alter_column(name, existing_type=type_, nullable=False)
    op.create_index("audit_by_kind", "audit", ["kind", "audit_id"])
    for statement in SQLITE_TRIGGERS if on_sqlite else POSTGRESQL_TRIGGERS:
        op.execute(statement)


def _add_columns() -> None:
    op.add_column("audit", sa.Column("kind", sa.Text, comment="what the change is of: its first word"))
    op.add_column("audit", sa.Column("before", sa.Text, comment="canonical JSON; null where there was nothing"))
    op.add_column("audit", sa.Column("after", sa.Text, comment="as before"))
    op.add_column("audit", sa.Column("approved_by", sa.Text, comment="the second person, where four eyes are asked for"))
    op.add_column(
        "audit", sa.Column("previous", sa.LargeBinary, comment="the hash of the entry before; 32 zero bytes in the first")
    )
    op.add_column("audit", sa.Column("hash", sa.LargeBinary, comment="SHA-256 of a zero byte and the canonical form, see `casework.audit_form`"))  # fmt: skip


def _seal() -> None:
    connection = op.get_bind()
    columns = [AUDIT.c[name] for name in ("audit_id", "at", "person", "reason", "change")]
    lines = connection.execute(sa.select(*columns).order_by(AUDIT.c.audit_id)).all()
    for entry in chained(lines):
        now = {"kind": entry.kind, "previous": entry.previous, "hash": entry.hash}
        connection.execute(sa.update(AUDIT).where(AUDIT.c.audit_id == entry.audit_id).values(now))


SQLITE_OFF = (
    "DROP TRIGGER audit_is_not_updated",
    "DROP TRIGGER audit_is_not_deleted",
    "DROP TRIGGER audit_is_not_replaced",
)
SQLITE_TRIGGERS = (
    "CREATE TRIGGER audit_is_not_updated BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is never changed'); END",
    "CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is never deleted'); END",
    # REPLACE deletes without the trigger above
    "CREATE TRIGGER audit_is_not_replaced BEFORE INSERT ON audit WHEN EXISTS (SELECT 1 FROM audit WHERE audit_id >= NEW.audit_id) "
    "OR NEW.previous IS NOT coalesce((SELECT hash FROM audit ORDER BY audit_id DESC LIMIT 1), zeroblob(32)) "
    "BEGIN SELECT RAISE(ABORT, 'the audit log is never changed: an entry follows the last one'); END",
)
POSTGRESQL_OFF = ("DROP TRIGGER audit_is_never_changed ON audit",)
POSTGRESQL_TRIGGERS = (
    "CREATE FUNCTION follows_the_last() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE last record; BEGIN "
    "SELECT audit_id, hash INTO last FROM audit ORDER BY audit_id DESC LIMIT 1; "
    "IF NEW.audit_id <= last.audit_id OR NEW.previous <> coalesce(last.hash, decode(repeat('00', 32), 'hex')) THEN "
    "RAISE EXCEPTION 'the audit log is never changed: an entry follows the last one'; END IF; RETURN NEW; END $$",
    "CREATE TRIGGER audit_follows_the_last BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION follows_the_last()",
    "CREATE TRIGGER audit_is_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON audit EXECUTE FUNCTION never_changed()",
)
