"""The settings as a file: TOML with a line of meaning for each, which `load` reads back. `deploy/burana.toml` is made of it."""

from collections.abc import Iterator
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

from casework.database import masked
from serving.settings import Settings

HEAD = (
    "# Settings of `burana serve --config FILE`, made by `burana serve --print-settings`; what is left out has its default."
)


def as_toml(settings: Settings) -> str:
    """Every setting with its meaning and bounds; one that is secret is a comment, whatever its value."""
    plain = [each for each in fields(settings) if each.name != "rates"]
    lines = [HEAD, *(line for each in plain for line in _lines(each, getattr(settings, each.name)))]
    for caller, rate in settings.rates.items():
        lines += ["", f"[rates.{_quoted(caller)}]", f"per_s = {rate.per_s}", f"burst = {rate.burst}"]
    if not settings.rates:
        lines += ["", "# " + next(each.metadata["meaning"] for each in fields(settings) if each.name == "rates")]
    return "\n".join(lines) + "\n"


def stated(settings: Settings) -> dict[str, str]:
    """Every setting as the file has it, and which database without its password: what the audit log keeps of them."""
    plain = {each.name: getattr(settings, each.name) for each in fields(settings) if not each.metadata.get("secret")}
    rates = {caller: f"{rate.per_s} per second, {rate.burst} at once" for caller, rate in plain.pop("rates").items()}
    said = {name: str(value) if isinstance(value, str | Path) else _value(value) for name, value in plain.items()}
    return said | {f"rates.{caller}": text for caller, text in rates.items()} | {"database": masked(settings.database)}


def _lines(of: Field[Any], value: Any) -> Iterator[str]:
    bounds = of.metadata["bounds"]
    allowed = f" ({bounds[0]:g} to {bounds[1]:g})" if bounds else ""
    yield ""
    yield f"# {of.metadata['meaning']}{allowed}"
    yield f'# {of.name} = "..."' if of.metadata["secret"] else f"{of.name} = {_value(value)}"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else _quoted(str(value) if isinstance(value, Path) else value)


def _quoted(text: str) -> str:
    """A basic string of TOML: what it must not hold as it is, by its number."""
    return '"' + "".join(c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in text) + '"'
