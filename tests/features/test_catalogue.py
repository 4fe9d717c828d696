"""The catalogue says of every feature what it means, and is never older than the declarations."""

import argparse
from dataclasses import dataclass
from pathlib import Path

import pytest

from domain.criteria import FraudCriterion
from features import wording
from features.arrivals import KIND_CODES
from features.catalogue import COMMAND, Entry, catalogue, entry_of, entry_of_other
from features.definitions import (
    ALIKE,
    CASHED,
    DEFINITIONS,
    FOREIGN,
    LARGE,
    NEW_RECIPIENT,
    RECEIVED,
    RETAINED_ARRIVALS,
    SENT,
    VPN,
)
from features.language import (
    AGGREGATES,
    OWN_VALUES,
    Aggregate,
    Count,
    Declaration,
    Distinct,
    Feature,
    Own,
    Pace,
    Ratio,
    Share,
    SinceNth,
    Steps,
    Sum,
    days,
    fact,
    hours,
    minutes,
)
from features.layout import Column, Fact, Slot
from features.plan import Plan
from features.profiles import PROFILE_FEATURES
from serving.commands import features as command

COMMITTED = Path(__file__).parents[2] / "features" / "CATALOGUE.md"
PLAN = Plan(DEFINITIONS, RETAINED_ARRIVALS)
EVERY = (*DEFINITIONS, *PROFILE_FEATURES)
TEXT = catalogue(PLAN, PROFILE_FEATURES)


def test_the_committed_catalogue_is_that_of_the_declarations() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == TEXT, f"features/CATALOGUE.md is stale: run `{COMMAND}`"


def test_every_feature_has_one_line_under_the_criterion_that_it_serves() -> None:
    sections = TEXT.split("\n## R")[1:]
    assert [f"R{section[:2]}" for section in sections] == list(FraudCriterion)
    for section, criterion in zip(sections, FraudCriterion, strict=True):
        named = [line.split("`")[1] for line in section.splitlines() if line.startswith("| `")]
        assert named == [declaration.name for declaration in EVERY if declaration.serves is criterion]
        assert criterion.words in section


def test_every_count_is_told_in_the_head_and_in_the_table_of_criteria() -> None:
    assert f"{len(EVERY)} features" in TEXT and f"{len(PLAN)} are exact" in TEXT
    for criterion in FraudCriterion:
        count = sum(declaration.serves is criterion for declaration in EVERY)
        assert f"| {criterion.item} | {criterion.words} | {count} |" in TEXT


def test_every_mark_and_every_group_is_told_in_words() -> None:
    for mark in PLAN.marks:
        assert f"- *{mark.name.replace('_', ' ')}*: " in TEXT and f"(`{mark.feature.name}`)" in TEXT
    for group in PLAN.groups:
        assert f"- `{group.name}`: operations with the same " in TEXT


@pytest.mark.parametrize(
    "entry", [*map(entry_of, DEFINITIONS), *map(entry_of_other, PROFILE_FEATURES)], ids=lambda entry: entry.name
)
def test_no_place_of_a_sentence_is_left_empty(entry: Entry) -> None:
    for words in (entry.meaning, entry.missing, entry.window, entry.kinds, entry.unit):
        assert words and words == words.strip()
        assert not any(fault in words for fault in ("{", "}", "  ", "None", " , ", "|", "the the", "Slot"))


@pytest.mark.parametrize(
    ("declaration", "meaning", "window", "missing", "kinds"),
    [
        (
            Feature(Slot.CUSTOMER, Sum(), SENT & FOREIGN, hours(1)),
            "sum of the amounts of operations that the customer sent to another country in the last hour",
            "1 hour", "NaN: customer not given or without history", "all",
        ),
        (
            Feature(Slot.RECIPIENT, Distinct(Column.FUNDING), RECEIVED & ~VPN, minutes(10), missing=-1),
            "number of different sources of money among operations that the recipient's account received"
            " not through a VPN or proxy in the last 10 minutes",
            "10 minutes", "-1: recipient's account not given or without history", "all",
        ),
        (
            Feature(Slot.AGENT, Count(), CASHED & ~LARGE),
            "number of cash withdrawals not marked *large* made through the agent, as far back as is retained",
            "retained", "NaN: agent not given or without history", "cash withdrawals",
        ),
        (
            Feature(ALIKE, Pace(days(7)), SENT, hours(2)),
            "number a day of operations with the same recipient's account, kind and amount band in the last 2 hours, divided by the"
            " number a day of the last 7 days: 1 is the habit",
            "2 hours against 7 days",
            "NaN: recipient's account, kind and amount band not all given, or none like it before; none within the habit", "all",
        ),
        (
            Feature(Slot.CUSTOMER, Share(NEW_RECIPIENT & VPN), SENT, days(1)),
            "of the operations that the customer sent in the last day: the share that is marked *new recipient* and through a VPN or"
            " proxy",
            "1 day", "NaN: customer not given or without history; none in the window", "all",
        ),
        (
            Feature(Slot.CUSTOMER, Share(fact("fraud_known", Fact.FRAUD_KNOWN)), fact("sent", Fact.SENDING), days(30)),
            "of the operations that the customer sent in the last 30 days: the share that is known as fraud",
            "30 days", "NaN: customer not given or without history; none in the window", "all",
        ),
        (
            Feature(Slot.SENDER, SinceNth(3), CASHED),
            "seconds since the 3rd last of the cash withdrawals that the sender's account made",
            "retained", "NaN: sender's account not given or without history; fewer are retained", "cash withdrawals",
        ),
        (
            Ratio(Feature(Slot.SENDER, Sum(), CASHED, days(7)), Feature(Slot.SENDER, Sum(), RECEIVED, days(30))),
            "sum of the amounts of cash withdrawals that the sender's account made in the last 7 days, divided by the sum of the amounts"
            " of operations that the sender's account received in the last 30 days",
            "7 days against 30 days", "NaN: sender's account not given or without history; the divisor is 0", "cash withdrawals, all",
        ),
        (Own("amount"), "amount of the operation", "none", "never", "all"),
    ],
)  # fmt: skip
def test_a_declaration_reads_as_a_sentence(
    declaration: Declaration, meaning: str, window: str, missing: str, kinds: str
) -> None:
    entry = entry_of(declaration)
    assert (entry.meaning, entry.window, entry.missing, entry.kinds) == (meaning, window, missing, kinds)


def test_there_are_words_for_all_that_can_be_declared() -> None:
    assert wording.ENTITIES.keys() == set(Slot)
    assert wording.COLUMNS.keys() == set(Column)
    assert wording.OWN_MEANINGS.keys() == OWN_VALUES.keys()
    told = {*wording.KINDS, *wording.EVENTS, *wording.KNOWN, *wording.TRAITS}
    assert told == set(Fact) - {Fact.OPERATION, Fact.SENDING, Fact.RECEIVING}


@pytest.mark.parametrize("how", AGGREGATES, ids=lambda how: how.__name__)
def test_every_aggregate_has_a_sentence_that_says_of_what(how: type[Aggregate]) -> None:
    assert ("{steps}" if how is Steps else "{what}") in how.meaning


@dataclass(frozen=True)
class Elsewhere:
    """A feature that is not compiled to the kernel and says itself what it means."""

    name: str = "customer_profile_active_days_90d"
    unit: str = "days"
    meaning: str = "days with an operation, over 90 days of the customer's operations"
    serves: FraudCriterion = FraudCriterion.FREQUENCY
    window: str = "90 days"


def test_features_that_are_made_elsewhere_stand_beside_the_declared() -> None:
    text = catalogue(Plan(DEFINITIONS[:1], 8), [Elsewhere()])
    assert "2 features" in text
    section = text.partition("## R59")[2].partition("## R60")[0]
    line = "| `customer_profile_active_days_90d` | Days with an operation, over 90 days of the customer's operations | days | 90 days |"
    assert line in section


def test_the_command_prints_or_writes_the_catalogue(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    assert command.run(parser.parse_args(["catalogue"])) == 0
    assert capsys.readouterr().out == TEXT + "\n"
    path = tmp_path / "CATALOGUE.md"
    assert command.run(parser.parse_args(["catalogue", "--out", str(path)])) == 0
    assert path.read_text(encoding="utf-8") == TEXT


@pytest.mark.parametrize(
    ("number", "unit", "words"),
    [
        (1_250_050.0, "tyiyn", "12,500.50 som"), (90.0, "s", "90 s"), (119.0, "s", "119 s"), (120.0, "s", "2 minutes"),
        (9_000.0, "s", "2.5 hours"), (864_000.0, "s", "10 days"), (0.125, "share", "12.5%"), (0.0, "share", "0%"),
        (8.0, "code", "top-up"), (3.0, "arrivals", "3"), (1_234.5, "ratio", "1,234"), (0.0123, "ratio", "0.0123"),
        (12.0, "km", "12 km"), (-1.5, "standard deviations", "-1.5 standard deviations"), (float("nan"), "tyiyn", "missing"),
        (float("inf"), "ratio", "inf"),
    ],
    ids=str,
)  # fmt: skip
def test_a_value_is_told_in_its_unit(number: float, unit: str, words: str) -> None:
    assert wording.value(number, unit) == words


def test_every_kind_of_operation_is_told_by_its_code() -> None:
    assert [wording.value(code, "code") for code in KIND_CODES.values()] == [
        wording.KINDS[Fact[kind.name]][0] for kind in KIND_CODES
    ]
