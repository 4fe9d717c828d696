"""Behaviour: features declared once, one engine, two speeds (batch over history, online per operation)."""

from domain import untold

untold.tell_nobody()
