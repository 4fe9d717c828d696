"""Every table of the database, said once; `casework/migrations` makes them, and a test holds the two equal on both databases.

Rows are only ever added to `entries` and `audit`: triggers refuse everything else. A proposal is decided once, nothing else of it changes.
"""

from hashlib import blake2b

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
    text,
)  # fmt: skip

REVISION = "0004"
"""What `casework/migrations` ends at; a database that says so is opened without a look at them."""

METADATA = MetaData()
_NUMBER = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself in a column of this very type only
_HASH = LargeBinary().with_variant(Uuid(), "postgresql")  # 16 bytes that are 16 bytes; a bytea takes 8 more in an index


def id_hash(type_: str, id_: str) -> bytes:
    """What finds a record by its id: 16 bytes. Two ids of 10 billion share them with a chance of one in 10**18; look-ups compare ids."""
    return blake2b(f"{type_}\0{id_}".encode(), digest_size=16).digest()


ENTRIES = Table(
    "entries", METADATA,
    Column("sequence", _NUMBER, primary_key=True, autoincrement=False, comment="the order of arrival: the truth that features are replayed in"),
    Column("type", Text, CheckConstraint("type IN ('operation', 'event', 'outcome')", name="entries_type"), nullable=False),
    Column("id", Text, nullable=False),
    Column("id_hash", _HASH, nullable=False, comment="16 bytes of BLAKE2b of type and id, see `casework.tables.id_hash`"),
    Column("recorded_at", Text, nullable=False),
    Column("body", LargeBinary, nullable=False, comment="the canonical record, JSON"),
    Column("row", LargeBinary, nullable=False, comment="the record as the features read it, little-endian int64: only a shortcut"),
    Column("encoding", Integer, nullable=False, comment="what the row's meaning depends on; with another one it is made from the body"),
    Column("answer", LargeBinary, comment="what was answered, to the byte; null for entries brought in from a history"),
    Column("vector", LargeBinary, comment="the features as of then, little-endian float64; null as above"),
    Column("evidence", LargeBinary, comment="registry and rule hits, hash of the declarations, limit, JSON; null as above"),
    # ids are random and up to 128 characters: of their hashes 100 million take some 3.5 GB of index, of themselves up to 18
    Index("entries_by_id", "id_hash", unique=True),
)  # fmt: skip
REGISTRY = Table(
    "registry", METADATA,
    Column("entry_id", _NUMBER, primary_key=True),
    Column("kind", Text, nullable=False), Column("value", Text, nullable=False),
    Column("list", Text, CheckConstraint("list IN ('prohibited', 'watched')", name="registry_list"), nullable=False),
    Column("ground", Text, nullable=False, comment="why, see `domain.listing.Ground`"),
    Column("source", Text, nullable=False, comment="whose information, see `domain.listing.Source`"),
    Column("reference", Text, comment="of the letter, the case or the record that the source named"),
    Column("valid_from", Text), Column("valid_to", Text, comment="it acts in [valid_from, valid_to); null for no bound"),
    Column("look_up", LargeBinary, nullable=False, comment="by what it is found, see `casework.registry_keys.STORED`"),
    Column("added_at", Text, nullable=False), Column("added_by", Text, nullable=False), Column("added_reason", Text, nullable=False),
    Column("added_proposal", BigInteger, comment="what allowed to list many at once, or without a person"),
    Column("added_line", BigInteger, comment="which line of an import it is"),
    Column("removed_at", Text), Column("removed_by", Text), Column("removed_reason", Text),
    Column("removed_ground", Text, CheckConstraint(
        "removed_ground IN ('error_found', 'customer_confirmed', 'expired', 'source_withdrew')", name="registry_removed_ground")),
    Column("removed_proposal", BigInteger, comment="the four eyes that allowed it"),
    Column("added_change", BigInteger, nullable=False, comment="the audit_id of the change: what the list was at any change can be read"),
    Column("removed_change", BigInteger),
    CheckConstraint(
        "(removed_at IS NULL) = (removed_by IS NULL) AND (removed_by IS NULL) = (removed_reason IS NULL)"
        " AND (removed_at IS NULL) = (removed_change IS NULL)", name="registry_removed"),
    CheckConstraint("valid_from < valid_to", name="registry_validity"),
)  # fmt: skip
Index("registry_live", REGISTRY.c.kind, REGISTRY.c.value, REGISTRY.c.list, unique=True,
      sqlite_where=REGISTRY.c.removed_at.is_(None), postgresql_where=REGISTRY.c.removed_at.is_(None))  # fmt: skip
# holds all that a process keeps in memory: to read ten million entries the table itself is not touched
Index("registry_added", REGISTRY.c.added_change, REGISTRY.c.entry_id, REGISTRY.c.look_up)
Index("registry_removed", REGISTRY.c.removed_change)
REGISTRY_LINES = Table(
    "registry_lines", METADATA,
    Column("proposal_id", BigInteger, primary_key=True), Column("line", BigInteger, primary_key=True),
    Column("kind", Text, nullable=False), Column("value", Text, nullable=False), Column("list", Text, nullable=False),
    Column("ground", Text, nullable=False), Column("source", Text, nullable=False), Column("reference", Text),
    Column("valid_from", Text), Column("valid_to", Text),
    comment="what a proposed import would list; comes with its proposal and never changes",
)  # fmt: skip
REGISTRY_FEED_PAGES = Table(
    "registry_feed_pages", METADATA,
    Column("proposal_id", BigInteger, primary_key=True), Column("up_to", BigInteger, primary_key=True, comment="the sequence it ended at"),
    Column("issued_at", Text, nullable=False), Column("taken_at", Text, nullable=False),
    Column("added", Integer, nullable=False), Column("withdrawn", Integer, nullable=False), Column("rejected", Integer, nullable=False),
    comment="what was taken of a feed",
)  # fmt: skip
RULE_SETS = Table(
    "rule_sets", METADATA,
    Column("rule_set_id", _NUMBER, primary_key=True), Column("version", Text, nullable=False), Column("content", Text, nullable=False),
    Column("loaded_at", Text, nullable=False), Column("loaded_by", Text, nullable=False), Column("reason", Text, nullable=False),
    Column("shadow", Text, nullable=False, server_default=text("''"), comment="rules that are only counted, TOML"),
    Column("proposal_id", BigInteger, comment="by which the live part was approved; null where it did not change"),
    Index("rule_sets_by_proposal", "proposal_id", unique=True),
    Index("rule_sets_by_version", "version"),
)  # fmt: skip
RULE_VERSIONS = Table(
    "rule_versions", METADATA,
    Column("rule_id", Text, primary_key=True), Column("version", Integer, primary_key=True, autoincrement=False),
    Column("content", Text, nullable=False, comment="the rule, TOML; its state is draft, or off when it was turned off"),
    Column("saved_at", Text, nullable=False), Column("saved_by", Text, nullable=False), Column("reason", Text, nullable=False),
)  # fmt: skip
PROPOSALS = Table(
    "proposals", METADATA,
    Column("proposal_id", _NUMBER, primary_key=True), Column("kind", Text, nullable=False),
    Column("content", Text, nullable=False, comment="what would be done, JSON; never changed"),
    Column("proposed_at", Text, nullable=False), Column("proposed_by", Text, nullable=False), Column("proposed_reason", Text, nullable=False),
    Column("proposed_key", Text, CheckConstraint("proposed_key <> ''", name="proposals_proposed_key"), nullable=False,
           comment="the name without case, blanks and what cannot be seen"),
    Column("verdict", Text, CheckConstraint("verdict IN ('approved', 'refused')", name="proposals_verdict")),
    Column("decided_at", Text), Column("decided_by", Text), Column("decided_reason", Text),
    Column("decided_key", Text, CheckConstraint("decided_key <> ''", name="proposals_decided_key")),
    CheckConstraint(
        "(verdict IS NULL) = (decided_at IS NULL) AND (verdict IS NULL) = (decided_by IS NULL)"
        " AND (verdict IS NULL) = (decided_reason IS NULL) AND (verdict IS NULL) = (decided_key IS NULL)", name="proposals_decided"),
    CheckConstraint(
        "proposed_key <> decided_key AND lower(replace(proposed_by, ' ', '')) <> lower(replace(decided_by, ' ', ''))",
        name="proposals_four_eyes"),
)  # fmt: skip
Index("proposals_open", PROPOSALS.c.kind, PROPOSALS.c.proposal_id,
      sqlite_where=PROPOSALS.c.verdict.is_(None), postgresql_where=PROPOSALS.c.verdict.is_(None))  # fmt: skip
API_KEYS = Table(
    "api_keys", METADATA,
    Column("key_id", Text, primary_key=True), Column("caller", Text, nullable=False),
    Column("secret_sha256", LargeBinary, nullable=False), Column("scopes", Text, nullable=False),
    Column("made_at", Text, nullable=False), Column("made_by", Text, nullable=False), Column("revoked_at", Text),
)  # fmt: skip
SHADOW_SCORES = Table(
    "shadow_scores", METADATA,
    Column("model", Text, primary_key=True), Column("sequence", BigInteger, primary_key=True), Column("score", Double, nullable=False),
    sqlite_with_rowid=False, comment="what challengers would have scored; decides nothing, may be deleted",
)  # fmt: skip
AUDIT = Table(
    "audit", METADATA,
    Column("audit_id", _NUMBER, primary_key=True), Column("at", Text, nullable=False), Column("person", Text, nullable=False),
    Column("reason", Text, nullable=False), Column("change", Text, nullable=False),
    Column("kind", Text, nullable=False, comment="what the change is of: its first word"),
    Column("before", Text, comment="canonical JSON; null where there was nothing"),
    Column("after", Text, comment="as before"),
    Column("approved_by", Text, comment="the second person, where four eyes are asked for"),
    Column("previous", LargeBinary, nullable=False, comment="the hash of the entry before; 32 zero bytes in the first"),
    Column("hash", LargeBinary, nullable=False, comment="SHA-256 of a zero byte and the canonical form, see `casework.audit_form`"),
    Index("audit_by_kind", "kind", "audit_id"),
)  # fmt: skip
