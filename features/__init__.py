"""Behaviour: features declared once, one engine, two speeds (batch over history, online per operation)."""
