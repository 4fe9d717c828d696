"""What the routes of rules take and answer, as types."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from casework.rule_life import Standing
from casework.rule_sets import RuleSet
from casework.rule_versions import Saved
from domain.criteria import FraudCriterion
from domain.operation import Kind
from domain.rules import Rule, State

Why = Annotated[str, Meta(min_length=1, max_length=500, pattern=r"\S", description="words that can be seen")]
Version = Annotated[int, Meta(ge=1, le=1_000_000)]


class EditedRule(Struct, frozen=True, forbid_unknown_fields=True):
    """A rule to be saved. rule.version: the saving that it was edited from, 0 or nothing for a new rule; it does not run by being saved."""

    rule: Rule
    reason: Why


class Chosen(Struct, frozen=True, forbid_unknown_fields=True):
    """Which saving of a rule, and why it is to run."""

    version: Version
    reason: Why


class Because(Struct, frozen=True, forbid_unknown_fields=True):
    """Why."""

    reason: Why


class Asked(Struct, frozen=True, forbid_unknown_fields=True):
    """Which saving of a rule; the last if nothing is said."""

    version: Version | None = None


class RuleKept(Struct, frozen=True):
    """The version that a rule was saved as."""

    rule: str
    version: int


class Change(Struct, frozen=True):
    """What a change came to: the policy in force from now on, or the proposal that waits for another person; the other is null."""

    policy: str | None
    proposal_id: int | None


class RuleLine(Struct, frozen=True):
    """Where a rule stands. live, shadow: the versions that run so; version, saved_at, saved_by: of its last saving."""

    id: str
    state: State
    criterion: FraudCriterion
    level: str
    kinds: tuple[Kind, ...]
    owner: str
    live: int | None
    shadow: int | None
    version: int
    saved_at: str
    saved_by: str


class RuleLines(Struct, frozen=True):
    """Every rule, and the policy in force."""

    policy: str | None
    rules: list[RuleLine]


class SavedRule(Struct, frozen=True):
    """A saving of a rule, with who, when and why."""

    rule: Rule
    saved_at: str
    saved_by: str
    reason: str


class Savings(Struct, frozen=True):
    """Every saving of a rule, the first one first."""

    savings: list[SavedRule]


class PolicyLine(Struct, frozen=True):
    """A set that was in force from a moment on, until the one before it in the list."""

    policy: str
    since: str
    by: str
    reason: str


class PolicyLines(Struct, frozen=True):
    """The sets that were in force, the last one first."""

    policies: list[PolicyLine]


class Policy(Struct, frozen=True):
    """A set with its rules and all their texts, as it applied to whatever names it."""

    policy: str
    since: str
    by: str
    reason: str
    rules: list[Rule]


class Vocabulary(Struct, frozen=True):
    """What a rule may name: names with type and meaning, functions, and the words for kinds and schemes."""

    operation: list[dict[str, Any]]
    functions: list[str]
    kinds: list[str]
    schemes: list[str]
    features: list[dict[str, Any]]


def line(standing: Standing) -> RuleLine:
    """A standing as the list has it."""
    saved, rule = standing.saved, standing.saved.rule
    return RuleLine(
        rule.id, standing.state, rule.criterion, rule.level, rule.kinds, rule.owner, standing.live, standing.shadow, rule.version,
        saved.saved_at, saved.saved_by,
    )  # fmt: skip


def saving(saved: Saved) -> SavedRule:
    """A saving as it is answered."""
    return SavedRule(saved.rule, saved.saved_at, saved.saved_by, saved.reason)


def policy_line(of: RuleSet) -> PolicyLine:
    """A set in the list."""
    return PolicyLine(f"rules-{of.version}", of.loaded_at, of.loaded_by, of.reason)


def policy(of: RuleSet) -> Policy:
    """A set whole."""
    return Policy(f"rules-{of.version}", of.loaded_at, of.loaded_by, of.reason, of.rules)
