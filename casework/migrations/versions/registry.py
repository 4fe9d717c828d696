"""Proposals, which need a second person; entries of the registry with ground, source and validity, which are never changed, and removed
or listed by many at once by four eyes alone.
"""

import sqlalchemy as sa
from alembic import op

from casework.adoption import bring_entry
from casework.migrations.registry_triggers import POSTGRESQL, SQLITE

OLD = "registry_of_0001"
revision = "0003"
down_revision = "0002"

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the proposals, and the registry anew around the entries that are there."""
    _make_proposals()
    _make_registry()
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in SQLITE_TRIGGERS + SQLITE if on_sqlite else POSTGRESQL_TRIGGERS + POSTGRESQL:
        op.get_bind().exec_driver_sql(statement)


def _make_proposals() -> None:
    op.create_table(
        "proposals",
        sa.Column("proposal_id", NUMBER, primary_key=True), sa.Column("kind", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False, comment="what would be done, JSON; never changed"),
        sa.Column("proposed_at", sa.Text, nullable=False), sa.Column("proposed_by", sa.Text, nullable=False), sa.Column("proposed_reason", sa.Text, nullable=False),
        sa.Column("proposed_key", sa.Text, sa.CheckConstraint("proposed_key <> ''", name="proposals_proposed_key"), nullable=False,
                  comment="the name without case, blanks and what cannot be seen"),
        sa.Column("verdict", sa.Text, sa.CheckConstraint("verdict IN ('approved', 'refused')", name="proposals_verdict")),
        sa.Column("decided_at", sa.Text), sa.Column("decided_by", sa.Text), sa.Column("decided_reason", sa.Text),
        sa.Column("decided_key", sa.Text, sa.CheckConstraint("decided_key <> ''", name="proposals_decided_key")),
        sa.CheckConstraint(
            "(verdict IS NULL) = (decided_at IS NULL) AND (verdict IS NULL) = (decided_by IS NULL)"
            " AND (verdict IS NULL) = (decided_reason IS NULL) AND (verdict IS NULL) = (decided_key IS NULL)", name="proposals_decided"),
        sa.CheckConstraint(
            "proposed_key <> decided_key AND lower(replace(proposed_by, ' ', '')) <> lower(replace(decided_by, ' ', ''))",
            name="proposals_four_eyes"),
    )  # fmt: skip
    undecided = sa.text("verdict IS NULL")
    op.create_index(
        "proposals_open", "proposals", ["kind", "proposal_id"], sqlite_where=undecided, postgresql_where=undecided
    )


def _make_registry() -> None:
    for index in ("registry_live", "registry_added", "registry_removed"):
        op.drop_index(index, "registry")
    op.rename_table("registry", OLD)
    op.create_table(
        "registry",
        sa.Column("entry_id", NUMBER, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False), sa.Column("value", sa.Text, nullable=False),
        sa.Column("list", sa.Text, sa.CheckConstraint("list IN ('prohibited', 'watched')", name="registry_list"), nullable=False),
        sa.Column("ground", sa.Text, nullable=False, comment="why, see `domain.listing.Ground`"),
        sa.Column("source", sa.Text, nullable=False, comment="whose information, see `domain.listing.Source`"),
        sa.Column("reference", sa.Text, comment="of the letter, the case or the record that the source named"),
        sa.Column("valid_from", sa.Text), sa.Column("valid_to", sa.Text, comment="it acts in [valid_from, valid_to); null for no bound"),
        sa.Column("look_up", sa.LargeBinary, nullable=False, comment="by what it is found, see `casework.registry_keys.STORED`"),
        sa.Column("added_at", sa.Text, nullable=False), sa.Column("added_by", sa.Text, nullable=False), sa.Column("added_reason", sa.Text, nullable=False),
        sa.Column("added_proposal", sa.BigInteger, comment="what allowed to list many at once, or without a person"),
        sa.Column("added_line", sa.BigInteger, comment="which line of an import it is"),
        sa.Column("removed_at", sa.Text), sa.Column("removed_by", sa.Text), sa.Column("removed_reason", sa.Text),
        sa.Column("removed_ground", sa.Text, sa.CheckConstraint(
            "removed_ground IN ('error_found', 'customer_confirmed', 'expired', 'source_withdrew')", name="registry_removed_ground")),
        sa.Column("removed_proposal", sa.BigInteger, comment="the four eyes that allowed it"),
        sa.Column("added_change", sa.BigInteger, nullable=False, comment="the audit_id of the change: what the list was at any change can be read"),
        sa.Column("removed_change", sa.BigInteger),
        sa.CheckConstraint(
            "(removed_at IS NULL) = (removed_by IS NULL) AND (removed_by IS NULL) = (removed_reason IS NULL)"
            " AND (removed_at IS NULL) = (removed_change IS NULL)", name="registry_removed"),
        sa.CheckConstraint("valid_from < valid_to", name="registry_validity"),
    )  # fmt: skip
    connection = op.get_bind()
    for entry in connection.execute(sa.text(f"SELECT * FROM {OLD} ORDER BY entry_id")).mappings().all():  # noqa: S608 no outsider's words
        bring_entry(connection, dict(entry))
    if connection.dialect.name == "postgresql":
        op.execute(
            "SELECT setval(pg_get_serial_sequence('registry', 'entry_id'), coalesce(max(entry_id), 0) + 1, false) FROM registry"
        )
    op.drop_table(OLD)
    live = sa.text("removed_at IS NULL")
    op.create_index(
        "registry_live", "registry", ["kind", "value", "list"], unique=True, sqlite_where=live, postgresql_where=live
    )
    op.create_index("registry_added", "registry", ["added_change", "entry_id", "look_up"])
    op.create_index("registry_removed", "registry", ["removed_change"])
    op.create_table(
        "registry_lines",
        sa.Column("proposal_id", sa.BigInteger, primary_key=True), sa.Column("line", sa.BigInteger, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False), sa.Column("value", sa.Text, nullable=False), sa.Column("list", sa.Text, nullable=False),
        sa.Column("ground", sa.Text, nullable=False), sa.Column("source", sa.Text, nullable=False), sa.Column("reference", sa.Text),
        sa.Column("valid_from", sa.Text), sa.Column("valid_to", sa.Text),
        comment="what a proposed import would list; comes with its proposal and never changes",
    )  # fmt: skip
    op.create_table(
        "registry_feed_pages",
        sa.Column("proposal_id", sa.BigInteger, primary_key=True), sa.Column("up_to", sa.BigInteger, primary_key=True, comment="the sequence it ended at"),
        sa.Column("issued_at", sa.Text, nullable=False), sa.Column("taken_at", sa.Text, nullable=False),
        sa.Column("added", sa.Integer, nullable=False), sa.Column("withdrawn", sa.Integer, nullable=False), sa.Column("rejected", sa.Integer, nullable=False),
        comment="what was taken of a feed",
    )  # fmt: skip


SQLITE_TRIGGERS = (
    "CREATE TRIGGER proposals_begin_undecided BEFORE INSERT ON proposals WHEN NEW.verdict IS NOT NULL "
    "BEGIN SELECT RAISE(ABORT, 'a proposal begins undecided'); END",
    "CREATE TRIGGER proposals_are_not_replaced BEFORE INSERT ON proposals "
    "WHEN EXISTS (SELECT 1 FROM proposals WHERE proposal_id = NEW.proposal_id) "
    "BEGIN SELECT RAISE(ABORT, 'proposals are never changed'); END",
    "CREATE TRIGGER proposals_are_decided_once BEFORE UPDATE ON proposals WHEN OLD.verdict IS NOT NULL "
    "BEGIN SELECT RAISE(ABORT, 'a proposal is decided once'); END",
    "CREATE TRIGGER proposals_are_not_changed BEFORE UPDATE ON proposals "
    "WHEN OLD.verdict IS NULL AND (OLD.proposal_id IS NOT NEW.proposal_id OR OLD.kind IS NOT NEW.kind OR OLD.content IS NOT NEW.content "
    "OR OLD.proposed_at IS NOT NEW.proposed_at OR OLD.proposed_by IS NOT NEW.proposed_by OR OLD.proposed_reason IS NOT NEW.proposed_reason "
    "OR OLD.proposed_key IS NOT NEW.proposed_key) "
    "BEGIN SELECT RAISE(ABORT, 'what was proposed is never changed'); END",
    "CREATE TRIGGER proposals_are_not_deleted BEFORE DELETE ON proposals BEGIN SELECT RAISE(ABORT, 'proposals are never deleted'); END",
)
POSTGRESQL_TRIGGERS = (
    """CREATE FUNCTION proposals_rules() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'INSERT' THEN
            IF NEW.verdict IS NOT NULL THEN RAISE EXCEPTION 'a proposal begins undecided'; END IF;
        ELSIF OLD.verdict IS NOT NULL THEN RAISE EXCEPTION 'a proposal is decided once';
        ELSIF (OLD.proposal_id, OLD.kind, OLD.content, OLD.proposed_at, OLD.proposed_by, OLD.proposed_reason, OLD.proposed_key)
            IS DISTINCT FROM (NEW.proposal_id, NEW.kind, NEW.content, NEW.proposed_at, NEW.proposed_by, NEW.proposed_reason, NEW.proposed_key)
            THEN RAISE EXCEPTION 'what was proposed is never changed';
        END IF;
        RETURN NEW;
    END $$""",
    "CREATE TRIGGER proposals_keep_their_rules BEFORE INSERT OR UPDATE ON proposals FOR EACH ROW EXECUTE FUNCTION proposals_rules()",
    "CREATE TRIGGER proposals_are_never_deleted BEFORE DELETE OR TRUNCATE ON proposals EXECUTE FUNCTION never_changed()",
)
