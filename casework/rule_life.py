"""The life of a rule: saved as a draft, counted in shadow, live, off, and back to a former set.

One person writes and puts in shadow. What acts (to live, off, back) is proposed, and another person decides: turning a rule off
opens a door as surely as a wrong rule shuts one.
"""

from msgspec import Struct
from msgspec.structs import replace

from casework import rule_sets, rule_versions
from casework.database import Database
from casework.rule_sets import RuleSet
from casework.rule_versions import Saved
from domain.errors import ConflictError, RuleError, UnknownRuleError
from domain.rule_text import written
from domain.rules import Rule, State

_SENTENCES = ("text_ru", "text_ky", "customer_ru", "customer_ky", "customer_en")


class Standing(Struct, frozen=True):
    """Where a rule stands. live, shadow: the versions that run so, None for none; saved: its last saving, which may be newer than both."""

    saved: Saved
    live: int | None
    shadow: int | None

    @property
    def state(self) -> State:
        """The strongest of what it is: live before shadow before what its last saving says."""
        if self.live is not None:
            return State.LIVE
        return self.saved.rule.state if self.shadow is None else State.SHADOW


def standings(database: Database) -> list[Standing]:
    """Every rule that was ever saved, by id."""
    current = rule_sets.live(database) or RuleSet(0, "", written([]))
    live = {rule.id: rule.version for rule in current.live_rules if rule.state is State.LIVE}
    shadow = {rule.id: rule.version for rule in current.rules if rule.state is State.SHADOW}
    return [
        Standing(saved, live.get(saved.rule.id), shadow.get(saved.rule.id)) for saved in rule_versions.last_of_each(database)
    ]


def put_in_shadow(database: Database, rule_id: str, version: int, person: str, reason: str) -> str:
    """Let a saved rule run and be counted, beside its live version if it has one; the version of the set in force from now on."""
    rule = _to_run(database, rule_id, version)
    with database.transaction() as connection:
        now = rule_sets.in_force(connection)
        if any((other.id, other.version) == (rule_id, version) for other in now.rules):
            raise ConflictError(f"rule {rule_id}, version {version}, runs already")
        others = [other for other in now.shadow_rules if other.id != rule_id]
        shadow = written([*others, replace(rule, state=State.SHADOW)])
        return rule_sets.put_in_shadow(connection, shadow, person, reason).version


def put_all_in_shadow(database: Database, rules: list[Rule], person: str, reason: str) -> str:
    """Save rules that others wrote, and let them run and be counted together; the version of the set in force from now on."""
    with database.transaction() as connection:
        kept = rule_versions.adopt(connection, rules, person, reason)
        theirs = {rule.id for rule in kept}
        others = [rule for rule in rule_sets.in_force(connection).shadow_rules if rule.id not in theirs]
        shadow = written([*others, *(replace(rule, state=State.SHADOW) for rule in kept)])
        return rule_sets.put_in_shadow(connection, shadow, person, reason).version


def take_out_of_shadow(database: Database, rule_id: str, person: str, reason: str) -> str:
    """Let a rule no longer be counted; the version of the set in force from now on. UnknownRuleError where it is not in shadow."""
    with database.transaction() as connection:
        rules = rule_sets.in_force(connection).shadow_rules
        others = [rule for rule in rules if rule.id != rule_id]
        if len(others) == len(rules):
            raise UnknownRuleError(f"rule {rule_id} is not in shadow")
        return rule_sets.put_in_shadow(connection, written(others), person, reason).version


def propose_live(database: Database, rule_id: str, version: int, person: str, reason: str) -> int:
    """Propose that a saved rule acts, in place of its live version if it has one; the proposal's id."""
    rule = replace(_to_run(database, rule_id, version), state=State.LIVE)
    with database.transaction() as connection:
        rules = rule_sets.in_force(connection).live_rules
        if rule in rules:
            raise ConflictError(f"rule {rule_id}, version {version}, is live")
        others = [other for other in rules if other.id != rule_id]
        return rule_sets.proposed_set(connection, written([*others, rule]), None, person, reason)


def propose_off(database: Database, rule_id: str, person: str, reason: str) -> int:
    """Propose that a live rule no longer acts; the proposal's id. UnknownRuleError where it is not live."""
    with database.transaction() as connection:
        rules = rule_sets.in_force(connection).live_rules
        others = [rule for rule in rules if rule.id != rule_id]
        if len(others) == len(rules):
            raise UnknownRuleError(f"rule {rule_id} is not live")
        return rule_sets.proposed_set(connection, written(others), None, person, reason)


def propose_roll_back(database: Database, version: str, person: str, reason: str) -> int:
    """Propose a former set, live and shadow, in place of the one in force; the proposal's id."""
    if (former := rule_sets.of_version(database, version)) is None:
        raise UnknownRuleError(f"no set {version} was ever in force; `burana rules history` names those that were")
    with database.transaction() as connection:
        if rule_sets.in_force(connection).version == version:
            raise ConflictError(f"rules-{version} are in force")
        return rule_sets.proposed_set(connection, former.content, former.shadow, person, reason)


def _to_run(database: Database, rule_id: str, version: int) -> Rule:
    """A saved rule that says everything that people will be told; RuleError names what it does not say."""
    rule = rule_versions.of(database, rule_id, version).rule
    if rule.state is State.OFF:
        raise RuleError(f"rule {rule_id}, version {version}, was turned off: save it again first")
    if missing := [name for name in _SENTENCES if not getattr(rule, name)]:
        raise RuleError(
            f"rule {rule_id}, version {version}, lacks {', '.join(missing)}: officer and customer are told in ru, ky and en"
        )
    return rule
