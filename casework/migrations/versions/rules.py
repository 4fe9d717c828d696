"""Every saving of every rule; what acts of a rule set changes only by an approved proposal."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Keep the savings of rules, and part sets into what acts and what is only counted."""
    op.create_table(
        "rule_versions",
        sa.Column("rule_id", sa.Text, primary_key=True), sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("content", sa.Text, nullable=False, comment="the rule, TOML; its state is draft, or off when it was turned off"),
        sa.Column("saved_at", sa.Text, nullable=False), sa.Column("saved_by", sa.Text, nullable=False), sa.Column("reason", sa.Text, nullable=False),
    )  # fmt: skip
    op.add_column(
        "rule_sets",
        sa.Column(
            "shadow", sa.Text, nullable=False, server_default=sa.text("''"), comment="rules that are only counted, TOML"
        ),
    )
    op.add_column(
        "rule_sets",
        sa.Column("proposal_id", sa.BigInteger, comment="by which the live part was approved; null where it did not change"),
    )
    op.create_index("rule_sets_by_proposal", "rule_sets", ["proposal_id"], unique=True)
    op.create_index("rule_sets_by_version", "rule_sets", ["version"])
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in SQLITE_TRIGGERS if on_sqlite else POSTGRESQL_TRIGGERS:
        op.execute(statement)


SQLITE_TRIGGERS = (
    "CREATE TRIGGER rule_versions_are_not_updated BEFORE UPDATE ON rule_versions BEGIN SELECT RAISE(ABORT, 'a saved rule is never changed'); END",
    "CREATE TRIGGER rule_versions_are_not_deleted BEFORE DELETE ON rule_versions BEGIN SELECT RAISE(ABORT, 'a saved rule is never deleted'); END",
    "CREATE TRIGGER rule_versions_follow BEFORE INSERT ON rule_versions "
    "WHEN NEW.version <> 1 + COALESCE((SELECT MAX(version) FROM rule_versions WHERE rule_id = NEW.rule_id), 0) "
    "BEGIN SELECT RAISE(ABORT, 'the versions of a rule follow one another'); END",
    "CREATE TRIGGER rule_sets_are_not_updated BEFORE UPDATE ON rule_sets BEGIN SELECT RAISE(ABORT, 'a rule set is never changed'); END",
    "CREATE TRIGGER rule_sets_are_not_deleted BEFORE DELETE ON rule_sets BEGIN SELECT RAISE(ABORT, 'a rule set is never deleted'); END",
    "CREATE TRIGGER rule_sets_are_not_replaced BEFORE INSERT ON rule_sets "
    "WHEN EXISTS (SELECT 1 FROM rule_sets WHERE rule_set_id = NEW.rule_set_id OR proposal_id = NEW.proposal_id) "
    "BEGIN SELECT RAISE(ABORT, 'a rule set is never changed, and a proposal is done once'); END",
    "CREATE TRIGGER rule_sets_follow AFTER INSERT ON rule_sets "
    "WHEN NEW.rule_set_id < (SELECT MAX(rule_set_id) FROM rule_sets) "
    "BEGIN SELECT RAISE(ABORT, 'rule sets follow one another'); END",
    "CREATE TRIGGER rule_sets_need_four_eyes AFTER INSERT ON rule_sets "
    "WHEN (NEW.loaded_by = 'burana' OR EXISTS (SELECT 1 FROM rule_sets WHERE loaded_by <> 'burana' AND rule_set_id <> NEW.rule_set_id)) "
    "AND NEW.content <> (SELECT content FROM rule_sets WHERE rule_set_id < NEW.rule_set_id ORDER BY rule_set_id DESC LIMIT 1) "
    "AND NOT EXISTS (SELECT 1 FROM proposals WHERE proposal_id = NEW.proposal_id AND kind = 'rule_set' AND verdict = 'approved' "
    "AND json_extract(content, '$.live') = NEW.content) "
    "BEGIN SELECT RAISE(ABORT, 'what acts changes only by a proposal that another person approved'); END",
)
POSTGRESQL_TRIGGERS = (
    "CREATE TRIGGER rule_versions_are_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON rule_versions EXECUTE FUNCTION never_changed()",
    "CREATE TRIGGER rule_sets_are_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON rule_sets EXECUTE FUNCTION never_changed()",
    """CREATE FUNCTION rule_versions_follow() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.version <> 1 + COALESCE((SELECT MAX(version) FROM rule_versions WHERE rule_id = NEW.rule_id), 0)
            THEN RAISE EXCEPTION 'the versions of a rule follow one another'; END IF;
        RETURN NEW;
    END $$""",
    "CREATE TRIGGER rule_versions_follow BEFORE INSERT ON rule_versions FOR EACH ROW EXECUTE FUNCTION rule_versions_follow()",
    """CREATE FUNCTION rule_sets_rules() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.rule_set_id <= (SELECT MAX(rule_set_id) FROM rule_sets)
            THEN RAISE EXCEPTION 'rule sets follow one another'; END IF;
        IF (NEW.loaded_by = 'burana' OR EXISTS (SELECT 1 FROM rule_sets WHERE loaded_by <> 'burana'))
            AND NEW.content <> (SELECT content FROM rule_sets ORDER BY rule_set_id DESC LIMIT 1)
            AND NOT EXISTS (SELECT 1 FROM proposals WHERE proposal_id = NEW.proposal_id AND kind = 'rule_set' AND verdict = 'approved'
                AND content::json ->> 'live' = NEW.content)
            THEN RAISE EXCEPTION 'what acts changes only by a proposal that another person approved'; END IF;
        RETURN NEW;
    END $$""",
    "CREATE TRIGGER rule_sets_keep_their_rules BEFORE INSERT ON rule_sets FOR EACH ROW EXECUTE FUNCTION rule_sets_rules()",
)
