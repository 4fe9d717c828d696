"""Ledger, registry, rules, keys, shadow scores, audit log; triggers that let nobody change what was recorded."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
HASH = sa.LargeBinary().with_variant(sa.Uuid(), "postgresql")


def upgrade() -> None:
    """Make everything."""
    _make_ledger()
    _make_registry_and_rules()
    _make_keys_scores_and_audit()
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in SQLITE_TRIGGERS if on_sqlite else POSTGRESQL_TRIGGERS:
        op.execute(statement)


def _make_ledger() -> None:
    op.create_table(
        "entries",
        sa.Column("sequence", NUMBER, primary_key=True, autoincrement=False, comment="the order of arrival: the truth that features are replayed in"),
        sa.Column("type", sa.Text, sa.CheckConstraint("type IN ('operation', 'event', 'outcome')", name="entries_type"), nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("id_hash", HASH, nullable=False, comment="16 bytes of BLAKE2b of type and id, see `casework.tables.id_hash`"),
        sa.Column("recorded_at", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False, comment="the canonical record, JSON"),
        sa.Column("row", sa.LargeBinary, nullable=False, comment="the record as the features read it, little-endian int64: only a shortcut"),
        sa.Column("encoding", sa.Integer, nullable=False, comment="what the row's meaning depends on; with another one it is made from the body"),
        sa.Column("answer", sa.LargeBinary, comment="what was answered, to the byte; null for entries brought in from a history"),
        sa.Column("vector", sa.LargeBinary, comment="the features as of then, little-endian float64; null as above"),
        sa.Column("evidence", sa.LargeBinary, comment="registry and rule hits, hash of the declarations, limit, JSON; null as above"),
    )  # fmt: skip
    op.create_index("entries_by_id", "entries", ["id_hash"], unique=True)


def _make_registry_and_rules() -> None:
    op.create_table(
        "registry",
        sa.Column("entry_id", NUMBER, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False), sa.Column("value", sa.Text, nullable=False),
        sa.Column("list", sa.Text, sa.CheckConstraint("list IN ('prohibited', 'watched')", name="registry_list"), nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("added_at", sa.Text, nullable=False), sa.Column("added_by", sa.Text, nullable=False), sa.Column("added_reason", sa.Text, nullable=False),
        sa.Column("removed_at", sa.Text), sa.Column("removed_by", sa.Text), sa.Column("removed_reason", sa.Text),
        sa.Column("added_change", sa.BigInteger, nullable=False, comment="the audit_id of the change: what the list was at any change can be read"),
        sa.Column("removed_change", sa.BigInteger),
        sa.CheckConstraint(
            "(removed_at IS NULL) = (removed_by IS NULL) AND (removed_by IS NULL) = (removed_reason IS NULL)"
            " AND (removed_at IS NULL) = (removed_change IS NULL)", name="registry_removed"),
    )  # fmt: skip
    live = sa.text("removed_at IS NULL")
    op.create_index(
        "registry_live", "registry", ["kind", "value", "list"], unique=True, sqlite_where=live, postgresql_where=live
    )
    op.create_index("registry_added", "registry", ["added_change"])
    op.create_index("registry_removed", "registry", ["removed_change"])
    op.create_table(
        "rule_sets",
        sa.Column("rule_set_id", NUMBER, primary_key=True), sa.Column("version", sa.Text, nullable=False), sa.Column("content", sa.Text, nullable=False),
        sa.Column("loaded_at", sa.Text, nullable=False), sa.Column("loaded_by", sa.Text, nullable=False), sa.Column("reason", sa.Text, nullable=False),
    )  # fmt: skip


def _make_keys_scores_and_audit() -> None:
    op.create_table(
        "api_keys",
        sa.Column("key_id", sa.Text, primary_key=True), sa.Column("caller", sa.Text, nullable=False),
        sa.Column("secret_sha256", sa.LargeBinary, nullable=False), sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("made_at", sa.Text, nullable=False), sa.Column("made_by", sa.Text, nullable=False), sa.Column("revoked_at", sa.Text),
    )  # fmt: skip
    op.create_table(
        "shadow_scores",
        sa.Column("model", sa.Text, primary_key=True), sa.Column("sequence", sa.BigInteger, primary_key=True), sa.Column("score", sa.Double, nullable=False),
        sqlite_with_rowid=False, comment="what challengers would have scored; decides nothing, may be deleted",
    )  # fmt: skip
    op.create_table(
        "audit",
        sa.Column("audit_id", NUMBER, primary_key=True), sa.Column("at", sa.Text, nullable=False), sa.Column("person", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False), sa.Column("change", sa.Text, nullable=False),
    )  # fmt: skip


SQLITE_TRIGGERS = (
    "CREATE TRIGGER entries_are_not_updated BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'ledger entries are never changed'); END",
    "CREATE TRIGGER entries_are_not_deleted BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'ledger entries are never deleted'); END",
    # REPLACE deletes without the trigger above
    "CREATE TRIGGER entries_are_not_replaced BEFORE INSERT ON entries "
    "WHEN EXISTS (SELECT 1 FROM entries WHERE sequence = NEW.sequence OR id_hash = NEW.id_hash) "
    "BEGIN SELECT RAISE(ABORT, 'ledger entries are never changed: this sequence number or id is there'); END",
    "CREATE TRIGGER audit_is_not_updated BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is never changed'); END",
    "CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is never deleted'); END",
    "CREATE TRIGGER audit_is_not_replaced BEFORE INSERT ON audit WHEN EXISTS (SELECT 1 FROM audit WHERE audit_id = NEW.audit_id) "
    "BEGIN SELECT RAISE(ABORT, 'the audit log is never changed'); END",
)
POSTGRESQL_TRIGGERS = (
    "CREATE FUNCTION never_changed() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'rows of % are never changed or deleted', TG_TABLE_NAME; END $$",
    "CREATE TRIGGER entries_are_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON entries EXECUTE FUNCTION never_changed()",
    "CREATE TRIGGER audit_is_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON audit EXECUTE FUNCTION never_changed()",
)
