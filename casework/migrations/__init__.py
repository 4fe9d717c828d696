"""The steps from one schema to the next, by Alembic; `casework.schema` runs them when a database is opened."""
