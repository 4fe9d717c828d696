"""Measurements: peers side by side, one table, one JSON."""

from domain import untold

untold.tell_nobody()
