"""Rules that somebody names: those of a file, those in force, or one by its id."""

from pathlib import Path

from casework import rule_sets, rule_versions
from casework.database import Database
from domain.errors import RuleError
from domain.rule_text import parsed
from domain.rules import Rule, State


def of_file(file: Path) -> list[Rule]:
    """The rules of a TOML file; RuleError where it cannot be read."""
    try:
        return parsed(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise RuleError(f"{file} cannot be read: {error}") from error


def in_force(database: Database) -> list[Rule]:
    """Every rule that runs, live and in shadow; RuleError before the first set."""
    if (stored := rule_sets.live(database)) is None:
        raise RuleError("no set is in force yet; name a FILE with rules")
    return [rule for rule in stored.rules if rule.state.runs]


def of_id(database: Database, rule_id: str) -> Rule:
    """The last saving of a rule, which may run or not; what runs where it was never saved by itself. RuleError where there is none."""
    stored = rule_sets.live(database)
    running = [rule for rule in (stored.rules if stored else ()) if rule.id == rule_id]
    try:
        saved = rule_versions.of(database, rule_id).rule
    except RuleError:
        if running:
            return running[-1]
        raise
    same = [rule for rule in running if rule.version == saved.version]
    return same[-1] if same else saved


def named(database: Database, name: str) -> Rule:
    """The rule of an id, or the one rule of a file."""
    if not Path(name).exists():
        return of_id(database, name)
    rules = of_file(Path(name))
    if len(rules) != 1:
        raise RuleError(f"{name} has {len(rules)} rules, allowed one; try one of several by `burana rules backtest`")
    return rules[0]


def tried(rules: list[Rule]) -> list[Rule]:
    """Those that a trial asks where nobody names some: all but what was turned off."""
    return [rule for rule in rules if rule.state is not State.OFF]
