-- Roles and what they may do, least first. Run as a superuser in the database of Burana, once, and again after an upgrade that made tables:
--   psql -d burana -v ON_ERROR_STOP=1 -f deploy/postgresql.sql
-- burana_owner makes and changes the tables and is used by nothing that runs; burana_server serves; burana_reader looks (drift, export, verify).
-- Passwords are set by \password; pg_hba.conf lets them in over TLS alone: hostssl burana burana_server,burana_reader 10.0.0.0/24 scram-sha-256
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'burana_owner') THEN CREATE ROLE burana_owner LOGIN; END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'burana_server') THEN CREATE ROLE burana_server LOGIN; END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'burana_reader') THEN CREATE ROLE burana_reader LOGIN; END IF;
END $$;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO burana_owner;
GRANT USAGE ON SCHEMA public TO burana_server, burana_reader;

-- the tables are made by: burana keys make --database postgresql://burana_owner@HOST/burana --caller NAME --by YOU
GRANT SELECT ON ALL TABLES IN SCHEMA public TO burana_server, burana_reader;
DO $$
BEGIN
  IF to_regclass('entries') IS NULL THEN
    RAISE NOTICE 'no tables yet: make them as burana_owner, then run this again';
    RETURN;
  END IF;
  -- ledger and audit log are only ever added to; nobody who serves deletes or changes what was recorded
  GRANT INSERT ON entries, audit, registry, registry_lines, registry_feed_pages, proposals, rule_sets, rule_versions, api_keys, shadow_scores TO burana_server;
  GRANT UPDATE ON registry, api_keys TO burana_server;
  GRANT UPDATE (verdict, decided_at, decided_by, decided_reason, decided_key) ON proposals TO burana_server;
  GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO burana_server;
END $$;
