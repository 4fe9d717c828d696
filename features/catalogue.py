"""The catalogue: every feature in words, by criterion, for a regulator and a data scientist. Written to features/CATALOGUE.md."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from domain.criteria import FraudCriterion
from features import wording
from features.language import Declaration
from features.plan import Plan

COMMAND = "burana features catalogue --out features/CATALOGUE.md"
HEAD = """\
# Catalogue of features

Written by `{command}` from the declarations; a test fails when it is older than they are.

{count} features describe an operation by the behaviour that arrived before it: {declared} are exact to the operation
(`features/definitions.py`), {others} compare it with a habit that is computed daily (`features/profiles.py`). Each is declared once
and computed by the same step for history and for a live call. They are evidence for the criteria of para. 15 of the regulation
(R59-R74); none of them decides alone.

How to read it:

- **As of.** A value is that of the moment before its operation: the operation itself and whatever arrived later do not count. What
  an operation turned out to be counts from the moment it became known.
- **Window.** "In the last hour" is the hour up to the operation, exact to the millisecond, its beginning left out. "Retained" is as far
  back as the log of {retained:,} arrivals (operations, events, outcomes) reaches; `operation_window_truncated` says when a
  window reaches further.
- **Whose.** An account is one entity whether it sends or receives. The customer is who pays, and whose log-ins and changes are
  reported; the account where no customer is named.
- **Missing.** The value where there is none, and when. It is never zero: an entity without history has no count of 0. Where an entity
  has history, a count of what did not happen is 0.
- **Kinds.** Every feature has a value for every kind of operation (R46-R55); named are the kinds whose history it tells;
  "top-ups, all" is top-ups against all kinds.
- **Units.** Amounts are in tyiyn (1/100 som), other currencies at the fixed reference rates. An amount band is an octave: from a
  power of two of tyiyn up to the next; the shifted bands lie half an octave further.
"""


class Described(Protocol):
    """What the catalogue needs of a feature that says itself what it means; `window`, `absence` and `kinds` if it has them."""

    @property
    def name(self) -> str:
        """As in the vector."""

    @property
    def unit(self) -> str:
        """Of the value."""

    @property
    def meaning(self) -> str:
        """A sentence without a full stop."""

    @property
    def serves(self) -> FraudCriterion:
        """The criterion that it is evidence for."""


@dataclass(frozen=True)
class Entry:
    """A line of the catalogue."""

    name: str
    meaning: str
    unit: str
    window: str
    missing: str
    kinds: str
    serves: FraudCriterion


def catalogue(plan: Plan, others: Sequence[Described] = ()) -> str:
    """The catalogue of a plan, and of features that are made elsewhere (profiles), as Markdown."""
    entries = entries_of(plan, others)
    head = HEAD.format(command=COMMAND, count=len(entries), declared=len(plan), others=len(others), retained=plan.retained)
    return "\n".join([head, *_criteria(entries), *_marks_and_groups(plan), *_features(entries)])


def entries_of(plan: Plan, others: Sequence[Described] = ()) -> list[Entry]:
    """Every feature of a plan, and those that are made elsewhere, in words."""
    return [*map(entry_of, plan.declarations), *map(entry_of_other, others)]


def entry_of(declaration: Declaration) -> Entry:
    """A declared feature in words."""
    return Entry(
        declaration.name, wording.meaning(declaration), declaration.unit, wording.window(declaration),
        wording.missing(declaration), wording.kinds(declaration), declaration.serves,
    )  # fmt: skip


def entry_of_other(feature: Described) -> Entry:
    """A feature that says itself what it means."""
    return Entry(
        feature.name, feature.meaning, feature.unit, getattr(feature, "window", "as its meaning says"),
        getattr(feature, "absence", "NaN: not given, or no history"), getattr(feature, "kinds", "all"), feature.serves,
    )  # fmt: skip


def _criteria(entries: list[Entry]) -> list[str]:
    lines = ["## Criteria", "", "| criterion | para. 15 | suspicious is | features |", "|---|---|---|---|"]
    for criterion in FraudCriterion:
        count = sum(entry.serves is criterion for entry in entries)
        lines.append(f"| [{criterion}](#{_anchor(criterion)}) | {criterion.item} | {criterion.words} | {count} |")
    return [*lines, ""]


def _marks_and_groups(plan: Plan) -> list[str]:
    lines = [
        "## Marks",
        "",
        "What was seen of an operation when it arrived stays with it, and later features count by it.",
        "",
    ]
    lines += [f"- *{mark.name.replace('_', ' ')}*: {wording.mark(mark)}" for mark in plan.marks]
    lines += ["", "## Groups", "", "Operations alike, of whichever customer, have a history of their own.", ""]
    return [*lines, *(f"- `{group.name}`: {wording.group(group)}" for group in plan.groups), ""]


def _features(entries: list[Entry]) -> list[str]:
    lines = []
    for criterion in FraudCriterion:
        lines += [f"## {_title(criterion)}", "", f"Para. 15, item {criterion.item}: {criterion.words}.", ""]
        lines += ["| feature | meaning | unit | window | missing | kinds |", "|---|---|---|---|---|---|"]
        lines += [_line(entry) for entry in entries if entry.serves is criterion]
        lines.append("")
    return lines


def _line(entry: Entry) -> str:
    meaning = entry.meaning[0].upper() + entry.meaning[1:]
    return f"| `{entry.name}` | {meaning} | {entry.unit} | {entry.window} | {entry.missing} | {entry.kinds} |"


def _title(criterion: FraudCriterion) -> str:
    return f"{criterion} {criterion.name.replace('_', ' ').lower()}"


def _anchor(criterion: FraudCriterion) -> str:
    return _title(criterion).lower().replace(" ", "-")
