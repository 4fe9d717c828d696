-- The tables as the release before the migrations made them, and a row in each but the ledger.
CREATE TABLE IF NOT EXISTS entries (
    sequence INTEGER PRIMARY KEY,           -- the order of arrival: the truth that features are replayed in
    type TEXT NOT NULL CHECK (type IN ('operation', 'event', 'outcome')),
    id TEXT NOT NULL,
    recorded_at TEXT NOT NULL,
    body BLOB NOT NULL,                     -- the canonical record, JSON
    row BLOB NOT NULL,                      -- the record as the features read it, little-endian int64: only a shortcut
    encoding INTEGER NOT NULL,              -- what the row's meaning depends on; with another one it is made from the body
    answer BLOB,                            -- what was answered, to the byte; null for entries brought in from a history
    vector BLOB,                            -- the features as of then, little-endian float64; null as above
    evidence BLOB,                          -- registry and rule hits, hash of the declarations, limit, JSON; null as above
    UNIQUE (type, id)
);
CREATE TRIGGER IF NOT EXISTS entries_are_not_updated BEFORE UPDATE ON entries
    BEGIN SELECT RAISE(ABORT, 'ledger entries are never changed'); END;
CREATE TRIGGER IF NOT EXISTS entries_are_not_deleted BEFORE DELETE ON entries
    BEGIN SELECT RAISE(ABORT, 'ledger entries are never deleted'); END;
CREATE TRIGGER IF NOT EXISTS entries_are_not_replaced BEFORE INSERT ON entries  -- REPLACE would pass the triggers above
    WHEN EXISTS (SELECT 1 FROM entries WHERE sequence = NEW.sequence OR (type = NEW.type AND id = NEW.id))
    BEGIN SELECT RAISE(ABORT, 'ledger entries are never changed: this sequence number or id is there'); END;
CREATE TABLE IF NOT EXISTS registry (
    entry_id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    list TEXT NOT NULL CHECK (list IN ('prohibited', 'watched')),
    source TEXT NOT NULL,
    added_at TEXT NOT NULL, added_by TEXT NOT NULL, added_reason TEXT NOT NULL,
    removed_at TEXT, removed_by TEXT, removed_reason TEXT,
    CHECK ((removed_at IS NULL) = (removed_by IS NULL) AND (removed_by IS NULL) = (removed_reason IS NULL))
);
CREATE UNIQUE INDEX IF NOT EXISTS registry_live ON registry (kind, value, list) WHERE removed_at IS NULL;
CREATE TABLE IF NOT EXISTS rule_sets (
    rule_set_id INTEGER PRIMARY KEY, version TEXT NOT NULL, content TEXT NOT NULL,
    loaded_at TEXT NOT NULL, loaded_by TEXT NOT NULL, reason TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS api_keys (
    key_id TEXT PRIMARY KEY, caller TEXT NOT NULL, secret_sha256 BLOB NOT NULL, scopes TEXT NOT NULL,
    made_at TEXT NOT NULL, made_by TEXT NOT NULL, revoked_at TEXT
);
CREATE TABLE IF NOT EXISTS shadow_scores (  -- what challengers would have scored; decides nothing, may be deleted
    model TEXT NOT NULL, sequence INTEGER NOT NULL, score REAL NOT NULL, PRIMARY KEY (model, sequence)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit (
    audit_id INTEGER PRIMARY KEY, at TEXT NOT NULL, person TEXT NOT NULL, reason TEXT NOT NULL, change TEXT NOT NULL
);
CREATE TRIGGER IF NOT EXISTS audit_is_not_updated BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is never changed'); END;
CREATE TRIGGER IF NOT EXISTS audit_is_not_deleted BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is never deleted'); END;
CREATE TRIGGER IF NOT EXISTS audit_is_not_replaced BEFORE INSERT ON audit
    WHEN EXISTS (SELECT 1 FROM audit WHERE audit_id = NEW.audit_id)
    BEGIN SELECT RAISE(ABORT, 'the audit log is never changed'); END;
INSERT INTO registry VALUES (3, 'account', '1', 'prohibited', 'own case', '2025', 'Aigul', 'fraud', NULL, NULL, NULL);
INSERT INTO registry VALUES (4, 'account', '1', 'watched', 'own case', '2025', 'Aigul', 'fraud', '2026', 'Bakyt', 'by mistake');
INSERT INTO rule_sets VALUES (1, 'v1', '[[rules]]', '2025', 'Aigul', 'first');
INSERT INTO api_keys VALUES ('k1', 'core', x'00', 'read', '2025', 'Aigul', NULL);
INSERT INTO shadow_scores VALUES ('m', 1, 0.5);
INSERT INTO audit VALUES (1, '2025', 'Aigul', 'new key', 'keys: make');
