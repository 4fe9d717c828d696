"""A declaration is a sentence: its name follows from it, and a wrong one is told where it is and what is allowed."""

from dataclasses import replace

import pytest

from domain.criteria import FraudCriterion
from domain.errors import DeclarationError
from features import kernel, language
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS, SENT
from features.engine import Engine
from features.language import (
    ANY,
    OWN_VALUES,
    RETAINED,
    Aggregate,
    Count,
    Declaration,
    Deviation,
    Distinct,
    Feature,
    IsNew,
    Mean,
    OverMean,
    Own,
    Ratio,
    SameShare,
    SinceFirst,
    SinceLast,
    SinceSame,
    Sum,
    Where,
    ZScore,
    days,
    hours,
    minutes,
)
from features.layout import WORDS, Column, Fact, Slot
from features.plan import MAX_FAMILIES, Plan

HOURLY = Feature(Slot.CUSTOMER, Count(), SENT, hours(1))
WINDOWLESS = (SinceLast(), SinceFirst(), IsNew(Column.DEVICE), SameShare(Column.HOUR), SinceSame(Column.RECIPIENT))


# ---- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declaration", "name", "unit"),
    [
        (HOURLY, "customer_sent_count_1h", "arrivals"),
        (Feature(Slot.CUSTOMER, Sum(), SENT, days(1)), "customer_sent_amount_sum_1d", "tyiyn"),
        (Feature(Slot.RECIPIENT, Mean(), SENT, minutes(90)), "recipient_sent_amount_mean_90m", "tyiyn"),
        (Feature(Slot.CUSTOMER, Deviation(), SENT, hours(36)), "customer_sent_amount_deviation_36h", "tyiyn"),
        (Feature(Slot.CUSTOMER, ZScore(), SENT), "customer_sent_amount_zscore_retained", "standard deviations"),
        (Feature(Slot.CUSTOMER, OverMean(), SENT, days(30)), "customer_sent_amount_over_mean_30d", "ratio"),
        (Feature(Slot.DEVICE, Distinct(Column.CUSTOMER), SENT, hours(24)), "device_sent_customer_distinct_1d", "values"),
        (Feature(Slot.CUSTOMER, SinceLast(), SENT), "customer_sent_seconds_since_last", "s"),
        (Feature(Slot.AGENT, SinceFirst(), ANY), "agent_seconds_since_first", "s"),
        (Feature(Slot.CUSTOMER, IsNew(Column.LOGIN_METHOD), SENT), "customer_sent_login_method_is_new", "0 or 1"),
        (Feature(Slot.CUSTOMER, SameShare(Column.HOUR), SENT), "customer_sent_hour_same_share", "share"),
        (Feature(Slot.CUSTOMER, SinceSame(Column.RECIPIENT), SENT), "customer_sent_recipient_seconds_since_same", "s"),
        (Feature(Slot.CUSTOMER, Count(), SENT, 61_001), "customer_sent_count_61001ms", "arrivals"),
        (Ratio(HOURLY, replace(HOURLY, over=days(1))), "customer_sent_count_1h_per_customer_sent_count_1d", "ratio"),
        (Own("amount"), "operation_amount", "tyiyn"),
        (Own("hour"), "operation_hour", "hour of day"),
        (Own("vpn"), "operation_vpn", "0 or 1"),
    ],
)
def test_a_name_is_computed_from_the_declaration(declaration: Declaration, name: str, unit: str) -> None:
    assert (declaration.name, declaration.unit) == (name, unit)


def test_every_declared_feature_has_a_name_of_its_own_and_says_what_it_serves() -> None:
    names = [declaration.name for declaration in DEFINITIONS]
    assert len(set(names)) == len(names) == len(Plan(DEFINITIONS, RETAINED_ARRIVALS))
    assert all(name.isidentifier() and name.islower() for name in names)
    served = {declaration.serves for declaration in DEFINITIONS}
    assert served == set(FraudCriterion) - {FraudCriterion.KNOWN_SCHEME}, "known schemes (R66) are templates, not features"


def test_every_aggregate_has_a_unit_and_a_kernel_to_compute_it() -> None:
    for how in Aggregate.__args__:
        made = how(Column.DEVICE) if hasattr(how, "__dataclass_fields__") and how.__dataclass_fields__ else how()
        feature = Feature(Slot.CUSTOMER, made, where_of(made))
        assert feature.unit and Plan([feature], 8).names == (feature.name,)


def where_of(how: Aggregate) -> Where:
    return ANY if isinstance(how, SinceFirst) else SENT


@pytest.mark.parametrize(("how", "where"), [(SinceFirst(), SENT), (Count(), ANY)], ids=["first of some", "count of any"])
def test_only_the_age_of_an_entity_looks_at_every_arrival(how: Aggregate, where: Where) -> None:
    with pytest.raises(DeclarationError, match="where=ANY is for SinceFirst"):
        Feature(Slot.CUSTOMER, how, where)


# ---- wrong declarations ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("over", [0, -1, 1, minutes(1) - 1, days(30) + 1, days(365), RETAINED - 1, RETAINED + 1])
def test_a_window_too_short_or_too_long_is_refused(over: int) -> None:
    with pytest.raises(
        DeclarationError, match=f"^customer_sent_count_.*: window of {over} ms; allowed 1 minute to 30 days, or RETAINED"
    ):
        Feature(Slot.CUSTOMER, Count(), SENT, over)


@pytest.mark.parametrize("over", [minutes(1), days(30), RETAINED])
def test_the_shortest_and_the_longest_window_are_allowed(over: int) -> None:
    assert Feature(Slot.CUSTOMER, Count(), SENT, over).over == over


@pytest.mark.parametrize("how", WINDOWLESS)
def test_a_window_on_an_aggregate_without_one_is_refused(how: Aggregate) -> None:
    with pytest.raises(DeclarationError, match=f"^customer_.*: {type(how).__name__} takes no window; leave `over` out"):
        Feature(Slot.CUSTOMER, how, where_of(how), days(1))


@pytest.mark.parametrize(
    "where",
    [
        Where("all", Fact(0)),
        Where("never", Fact.OPERATION, Fact.OPERATION),
        Where("hardly", Fact.OPERATION | Fact.SENDING, Fact.SENDING | Fact.CASH),
        Where("no_cash", Fact(0), Fact.CASH),
    ],
)
def test_a_filter_that_contradicts_itself_or_needs_nothing_is_refused(where: Where) -> None:
    with pytest.raises(DeclarationError, match=f"^customer_{where.name}_count_1h: where=.* can never hold"):
        Feature(Slot.CUSTOMER, Count(), where, hours(1))


@pytest.mark.parametrize("how", [Mean(), Deviation(), ZScore(), OverMean(), Distinct(Column.DEVICE), *WINDOWLESS])
def test_a_ratio_of_anything_but_counts_and_sums_is_refused(how: Aggregate) -> None:
    other = Feature(Slot.CUSTOMER, how, where_of(how))
    for parts in ((other, HOURLY), (HOURLY, other)):
        with pytest.raises(DeclarationError, match=f"{other.name} is a {type(how).__name__}; a ratio is of Count or Sum"):
            Ratio(*parts)


@pytest.mark.parametrize("of", ["score", "", "Amount", "purpose"])
def test_an_unknown_value_of_the_operation_is_refused_with_the_known_ones(of: str) -> None:
    with pytest.raises(DeclarationError, match=f"Own\\('{of}'\\): allowed {', '.join(OWN_VALUES)}"):
        Own(of)


def test_a_feature_declared_twice_is_refused_by_name() -> None:
    with pytest.raises(DeclarationError, match=r"declared twice: customer_sent_count_1h$"):
        Plan([HOURLY, Own("amount"), replace(HOURLY, serves=FraudCriterion.FREQUENCY)], 8)


def test_two_filters_of_one_name_are_one_name_too_many() -> None:
    with pytest.raises(DeclarationError, match="declared twice: customer_sent_count_1h"):
        Plan([HOURLY, replace(HOURLY, where=Where("sent", Fact.OPERATION))], 8)


def test_more_pairs_of_column_and_filter_than_an_entity_can_follow_are_refused_by_the_first_that_is_too_many() -> None:
    columns = list(Column)[:MAX_FAMILIES]
    fitting = [Feature(Slot.CUSTOMER, Distinct(column), SENT, days(1)) for column in columns]
    again = [Feature(Slot.CUSTOMER, IsNew(column), SENT) for column in columns]  # the same pairs: nothing more to follow
    assert len(Plan([*fitting, *again], 8)) == 2 * MAX_FAMILIES
    elsewhere = Feature(Slot.DEVICE, IsNew(Column.CUSTOMER), SENT)
    too_many = Feature(Slot.CUSTOMER, IsNew(list(Column)[MAX_FAMILIES]), SENT)
    with pytest.raises(DeclarationError, match=f"^{too_many.name}: one entity follows at most {MAX_FAMILIES} pairs"):
        Plan([*fitting, elsewhere, too_many], 8)


@pytest.mark.parametrize("retained", [-8, 0, 1, 4, 7, 9, 12, 2**22 - 1])
def test_a_log_whose_length_is_no_power_of_two_is_refused(retained: int) -> None:
    with pytest.raises(DeclarationError, match=f"seen {retained}, allowed a power of two from 8"):
        Plan([HOURLY], retained)


# ---- the hash --------------------------------------------------------------------------------------------------------


def test_the_hash_is_of_what_is_computed() -> None:
    plan = Plan([HOURLY, Own("amount")], 16)
    others = [
        Plan([replace(HOURLY, over=hours(2)), Own("amount")], 16),
        Plan([replace(HOURLY, where=replace(SENT, needs=Fact.OPERATION)), Own("amount")], 16),
        Plan([replace(HOURLY, where=replace(SENT, excludes=Fact.CASH)), Own("amount")], 16),
        Plan([replace(HOURLY, by=Slot.SENDER), Own("amount")], 16),
        Plan([replace(HOURLY, how=Sum()), Own("amount")], 16),
        Plan([HOURLY, Own("hour")], 16),
        Plan([Own("amount"), HOURLY], 16),
        Plan([HOURLY], 16),
        Plan([HOURLY, Own("amount")], 32),
    ]
    assert len({plan.hash, *(other.hash for other in others)}) == 1 + len(others)
    assert Plan([HOURLY, Own("amount")], 16).hash == plan.hash


# ---- the kernel ------------------------------------------------------------------------------------------------------


def test_a_new_feature_is_not_a_new_compilation() -> None:
    row = [1] * WORDS
    counts = []
    for declarations in (DEFINITIONS[:1], DEFINITIONS, [Feature(Slot.AGENT, Distinct(Column.EMPLOYEE), SENT, minutes(17))]):
        engine = Engine(Plan(declarations, 8))
        engine.apply(row)
        assert len(engine.read(row)) == len(declarations)
        counts.append((len(kernel.read.signatures), len(kernel.apply.signatures)))
    assert len(set(counts)) == 1


def test_a_declaration_can_be_told_in_one_line() -> None:
    assert language.window_word(days(7)) == "7d" and language.window_word(minutes(120)) == "2h"
