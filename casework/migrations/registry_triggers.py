"""What the database itself holds of the registry: entries are never changed or deleted; four eyes where the rules ask for them."""

# ruff: noqa: S608 no outsider's words
_ENTRY_COLUMNS = (
    "entry_id", "kind", "value", "list", "ground", "source", "reference", "valid_from", "valid_to", "look_up", "added_at", "added_by",
    "added_reason", "added_proposal", "added_line", "added_change",
)  # fmt: skip
_CHANGED = " OR ".join(f"OLD.{name} IS NOT NEW.{name}" for name in _ENTRY_COLUMNS)
_FIELD = {"sqlite": "json_extract(p.content, '$.{}')", "postgresql": "p.content::jsonb ->> '{}'"}
_NOW = {
    "sqlite": "OLD.valid_to <= strftime('%Y-%m-%dT%H:%M:%S', 'now')",
    "postgresql": "OLD.valid_to::timestamptz <= clock_timestamp()",
}


def _says(on: str, field: str, value: str) -> str:
    """That the proposal `p` says of a field what the row does."""
    as_text = f"CAST({value} AS TEXT)"
    found = _FIELD[on].format(field)
    return f"CAST({found} AS TEXT) = {as_text}"


def _may_be_listed(on: str) -> str:
    """An entry alone, by one person; or what an approved proposal lists."""
    same = " AND ".join(_says(on, name, f"NEW.{name}") for name in ("kind", "value", "list"))
    fed = " AND ".join(_says(on, name, f"NEW.{name}") for name in ("list", "source", "ground"))
    return (
        "(NEW.added_proposal IS NULL AND NOT EXISTS (SELECT 1 FROM registry r WHERE r.added_change = NEW.added_change)) OR "
        "EXISTS (SELECT 1 FROM proposals p WHERE p.proposal_id = NEW.added_proposal AND p.verdict = 'approved' AND ("
        f"(p.kind = 'registry_entry' AND {same}) OR (p.kind = 'registry_feed' AND {fed}) OR "
        "(p.kind = 'registry_import' AND EXISTS (SELECT 1 FROM registry_lines l WHERE l.proposal_id = p.proposal_id "
        "AND l.line = NEW.added_line AND l.kind = NEW.kind AND l.value = NEW.value AND l.list = NEW.list AND l.ground = NEW.ground "
        "AND l.source = NEW.source AND coalesce(l.valid_from, '') = coalesce(NEW.valid_from, '') "
        "AND coalesce(l.valid_to, '') = coalesce(NEW.valid_to, '')))))"
    )


def _may_be_removed(on: str) -> str:
    """What has expired; what an approved proposal removes on that ground; what the feed that listed it withdraws."""
    same = f"{_says(on, 'entry_id', 'NEW.entry_id')} AND {_says(on, 'ground', 'NEW.removed_ground')}"
    return (
        f"(NEW.removed_ground = 'expired' AND OLD.valid_to IS NOT NULL AND {_NOW[on]}) OR "
        "EXISTS (SELECT 1 FROM proposals p WHERE p.proposal_id = NEW.removed_proposal AND p.verdict = 'approved' AND ("
        f"(p.kind = 'registry_removal' AND {same}) OR (p.kind = 'registry_feed' "
        "AND NEW.removed_proposal = OLD.added_proposal AND NEW.removed_ground = 'source_withdrew')))"
    )


_LISTED = "an entry is listed alone, or by an approved proposal that names it"
_REMOVED = "an entry is removed by an approved proposal that names it and the ground"
_KEPT = "entries of the registry are never changed, and removed once"
_LINE = "lines of an import come with its proposal and stay"
_LINE_FITS = "EXISTS (SELECT 1 FROM proposals p WHERE p.proposal_id = NEW.proposal_id AND p.kind = 'registry_import' AND p.verdict IS NULL AND NEW.line BETWEEN 1 AND CAST({} AS INTEGER))"

SQLITE = (
    f"CREATE TRIGGER registry_is_listed_by_the_rules BEFORE INSERT ON registry WHEN NOT ({_may_be_listed('sqlite')}) "
    f"BEGIN SELECT RAISE(ABORT, '{_LISTED}'); END",
    # REPLACE deletes without the trigger below
    "CREATE TRIGGER registry_is_not_replaced BEFORE INSERT ON registry WHEN EXISTS (SELECT 1 FROM registry WHERE entry_id = NEW.entry_id) "
    "OR (NEW.removed_at IS NULL AND EXISTS (SELECT 1 FROM registry r "
    "WHERE r.kind = NEW.kind AND r.value = NEW.value AND r.list = NEW.list AND r.removed_at IS NULL)) "
    "BEGIN SELECT RAISE(ABORT, 'this identifier is on that list already'); END",
    f"CREATE TRIGGER registry_is_not_changed BEFORE UPDATE ON registry WHEN OLD.removed_at IS NOT NULL OR NEW.removed_at IS NULL OR {_CHANGED} "
    f"BEGIN SELECT RAISE(ABORT, '{_KEPT}'); END",
    f"CREATE TRIGGER registry_is_removed_by_the_rules BEFORE UPDATE ON registry WHEN OLD.removed_at IS NULL AND NEW.removed_at IS NOT NULL AND NOT ({_may_be_removed('sqlite')}) "
    f"BEGIN SELECT RAISE(ABORT, '{_REMOVED}'); END",
    "CREATE TRIGGER registry_is_not_deleted BEFORE DELETE ON registry BEGIN SELECT RAISE(ABORT, 'entries of the registry are never deleted'); END",
    f"CREATE TRIGGER registry_lines_come_once BEFORE INSERT ON registry_lines WHEN NOT ({_LINE_FITS.format(_FIELD['sqlite'].format('lines'))}) "
    f"OR EXISTS (SELECT 1 FROM registry_lines WHERE proposal_id = NEW.proposal_id AND line = NEW.line) BEGIN SELECT RAISE(ABORT, '{_LINE}'); END",
    f"CREATE TRIGGER registry_lines_are_not_changed BEFORE UPDATE ON registry_lines BEGIN SELECT RAISE(ABORT, '{_LINE}'); END",
    f"CREATE TRIGGER registry_lines_are_not_deleted BEFORE DELETE ON registry_lines BEGIN SELECT RAISE(ABORT, '{_LINE}'); END",
)
_PG_CHANGED = ", ".join(f"OLD.{name}" for name in _ENTRY_COLUMNS), ", ".join(f"NEW.{name}" for name in _ENTRY_COLUMNS)
POSTGRESQL = (
    f"""CREATE FUNCTION registry_rules() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'INSERT' THEN
            IF NOT ({_may_be_listed("postgresql")}) THEN RAISE EXCEPTION '{_LISTED}'; END IF;
        ELSIF OLD.removed_at IS NOT NULL OR NEW.removed_at IS NULL OR ({_PG_CHANGED[0]}) IS DISTINCT FROM ({_PG_CHANGED[1]})
            THEN RAISE EXCEPTION '{_KEPT}';
        ELSIF NOT ({_may_be_removed("postgresql")}) THEN RAISE EXCEPTION '{_REMOVED}';
        END IF;
        RETURN NEW;
    END $$""",
    "CREATE TRIGGER registry_keeps_its_rules BEFORE INSERT OR UPDATE ON registry FOR EACH ROW EXECUTE FUNCTION registry_rules()",
    "CREATE TRIGGER registry_is_never_deleted BEFORE DELETE OR TRUNCATE ON registry EXECUTE FUNCTION never_changed()",
    f"""CREATE FUNCTION registry_line_rules() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NOT ({_LINE_FITS.format(_FIELD["postgresql"].format("lines"))}) THEN RAISE EXCEPTION '{_LINE}'; END IF;
        RETURN NEW;
    END $$""",
    "CREATE TRIGGER registry_lines_come_once BEFORE INSERT ON registry_lines FOR EACH ROW EXECUTE FUNCTION registry_line_rules()",
    "CREATE TRIGGER registry_lines_are_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON registry_lines EXECUTE FUNCTION never_changed()",
)
