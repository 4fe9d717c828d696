"""Measurements: peers side by side, one table, one JSON."""
