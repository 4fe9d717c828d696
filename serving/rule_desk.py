"""The desk where officers bring rules: what is saved, run or proposed is checked first, over the features that this release has."""

from dataclasses import dataclass
from importlib import resources
from typing import NamedTuple

from casework import rule_life, rule_sets, rule_versions
from casework.database import Database
from domain.errors import RuleError
from domain.rule_text import parsed, written
from domain.rules import Rule, State
from serving.rules import Rules, check
from serving.templates import edited

_PACKS = resources.files("serving") / "packs"


class Off(NamedTuple):
    """What turning a rule off came to: the set in force without it in shadow, or the proposal that it acts no more."""

    policy: str | None
    proposal_id: int | None


@dataclass(frozen=True)
class Desk:
    """One for a database. features: their names, the vocabulary of the rules."""

    database: Database
    features: tuple[str, ...]

    def save(self, rule: Rule, person: str, reason: str) -> int:
        """Keep a rule that was edited from its version; the new one. RuleError for one that does not compile, ConflictError for a stale one."""
        (whole,) = edited([rule], self.features)
        return rule_versions.save(self.database, self._sound(whole), person, reason)

    def shadow(self, rule_id: str, version: int, person: str, reason: str) -> str:
        """Let a saved rule run and be counted; the policy in force from now on."""
        self._sound(rule_versions.of(self.database, rule_id, version).rule)
        return _policy(rule_life.put_in_shadow(self.database, rule_id, version, person, reason))

    def shadow_pack(self, name: str, person: str, reason: str) -> str:
        """Let every rule of a pack that we ship run and be counted; the policy in force from now on."""
        rules = edited(parsed(pack(name)), self.features)
        check(rules, self.features)
        return _policy(rule_life.put_all_in_shadow(self.database, rules, person, reason))

    def propose(self, rule_id: str, version: int, person: str, reason: str) -> int:
        """Propose that a saved rule acts; the proposal's id."""
        self._sound(rule_versions.of(self.database, rule_id, version).rule)
        return rule_life.propose_live(self.database, rule_id, version, person, reason)

    def off(self, rule_id: str, person: str, reason: str) -> Off:
        """Propose that a live rule acts no more; one that is only in shadow leaves it at once."""
        current = rule_sets.live(self.database)
        if current is not None and any(rule.id == rule_id and rule.state is State.LIVE for rule in current.live_rules):
            return Off(None, rule_life.propose_off(self.database, rule_id, person, reason))
        return Off(_policy(rule_life.take_out_of_shadow(self.database, rule_id, person, reason)), None)

    def load(self, content: str, person: str, reason: str) -> str:
        """Load a whole set in TOML as the first of this installation; its policy."""
        return _policy(rule_sets.load(self.database, self.sound_set(content), person, reason))

    def propose_set(self, content: str, person: str, reason: str) -> int:
        """Propose a whole set in TOML in place of the one in force; the proposal's id."""
        return rule_sets.propose(self.database, self.sound_set(content), person, reason)

    def roll_back(self, version: str, person: str, reason: str) -> int:
        """Propose a former set; the proposal's id. RuleError where this release has no longer what its rules ask for."""
        former = rule_sets.of_version(self.database, version)
        if former is not None:
            Rules(former.content, self.features, version, former.shadow)
        return rule_life.propose_roll_back(self.database, version, person, reason)

    def sound_set(self, content: str) -> str:
        """A set as it is kept, its templates said in full; RuleError names the rule, the place and what is allowed."""
        rules = sound(content, self.features)
        if drafts := [rule.id for rule in rules if rule.state is State.DRAFT]:
            raise RuleError(f"a set says of each rule live, shadow or off; seen nothing, or draft, of {', '.join(drafts)}")
        return written(rules)

    def _sound(self, rule: Rule) -> Rule:
        check([rule], self.features)
        return rule


def sound(content: str, features: tuple[str, ...]) -> list[Rule]:
    """The rules of a set in TOML, drafts too, templates said in full; RuleError names the rule, the place and what is allowed."""
    rules = edited(parsed(content), features)
    check(rules, features)
    Rules(written(rules), features)
    return rules


def packs() -> list[str]:
    """The packs that we ship beside the starter set, by name."""
    return sorted(file.name.removesuffix(".toml") for file in _PACKS.iterdir() if file.name.endswith(".toml"))


def pack(name: str) -> str:
    """A pack, TOML; its first lines say what it is and what no rule of it can say."""
    return _PACKS.joinpath(f"{name}.toml").read_text(encoding="utf-8")


def one(content: str) -> Rule:
    """The one rule or template of a file; its state may be left out. RuleError for none and for several."""
    rules = parsed(content)
    if len(rules) != 1:
        raise RuleError(f"seen {len(rules)} rules, allowed one: [[rules]] or [[templates]]")
    return rules[0]


def _policy(version: str) -> str:
    return f"rules-{version}"
