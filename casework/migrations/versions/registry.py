"""Proposals, which need a second person; triggers that let nobody decide twice, or change what was proposed."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make the proposals."""
    _make_proposals()
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in SQLITE_TRIGGERS if on_sqlite else POSTGRESQL_TRIGGERS:
        op.execute(statement)


def _make_proposals() -> None:
    op.create_table(
        "proposals",
        sa.Column("proposal_id", NUMBER, primary_key=True), sa.Column("kind", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False, comment="what would be done, JSON; never changed"),
        sa.Column("proposed_at", sa.Text, nullable=False), sa.Column("proposed_by", sa.Text, nullable=False), sa.Column("proposed_reason", sa.Text, nullable=False),
        sa.Column("verdict", sa.Text, sa.CheckConstraint("verdict IN ('approved', 'refused')", name="proposals_verdict")),
        sa.Column("decided_at", sa.Text), sa.Column("decided_by", sa.Text), sa.Column("decided_reason", sa.Text),
        sa.CheckConstraint(
            "(verdict IS NULL) = (decided_at IS NULL) AND (verdict IS NULL) = (decided_by IS NULL)"
            " AND (verdict IS NULL) = (decided_reason IS NULL)", name="proposals_decided"),
        sa.CheckConstraint(
            "lower(replace(proposed_by, ' ', '')) <> lower(replace(decided_by, ' ', ''))", name="proposals_four_eyes"),
    )  # fmt: skip
    undecided = sa.text("verdict IS NULL")
    op.create_index(
        "proposals_open", "proposals", ["kind", "proposal_id"], sqlite_where=undecided, postgresql_where=undecided
    )


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
    "OR OLD.proposed_at IS NOT NEW.proposed_at OR OLD.proposed_by IS NOT NEW.proposed_by OR OLD.proposed_reason IS NOT NEW.proposed_reason) "
    "BEGIN SELECT RAISE(ABORT, 'what was proposed is never changed'); END",
    "CREATE TRIGGER proposals_are_not_deleted BEFORE DELETE ON proposals BEGIN SELECT RAISE(ABORT, 'proposals are never deleted'); END",
)
POSTGRESQL_TRIGGERS = (
    """CREATE FUNCTION proposals_rules() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'INSERT' THEN
            IF NEW.verdict IS NOT NULL THEN RAISE EXCEPTION 'a proposal begins undecided'; END IF;
        ELSIF OLD.verdict IS NOT NULL THEN RAISE EXCEPTION 'a proposal is decided once';
        ELSIF (OLD.proposal_id, OLD.kind, OLD.content, OLD.proposed_at, OLD.proposed_by, OLD.proposed_reason)
            IS DISTINCT FROM (NEW.proposal_id, NEW.kind, NEW.content, NEW.proposed_at, NEW.proposed_by, NEW.proposed_reason)
            THEN RAISE EXCEPTION 'what was proposed is never changed';
        END IF;
        RETURN NEW;
    END $$""",
    "CREATE TRIGGER proposals_keep_their_rules BEFORE INSERT OR UPDATE ON proposals FOR EACH ROW EXECUTE FUNCTION proposals_rules()",
    "CREATE TRIGGER proposals_are_never_deleted BEFORE DELETE OR TRUNCATE ON proposals EXECUTE FUNCTION never_changed()",
)
