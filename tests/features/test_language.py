"""A declaration is a sentence: its name follows from it, and a wrong one is told where it is and what is allowed."""

import math
import re
from dataclasses import dataclass, replace

import pytest

from domain.criteria import FraudCriterion
from domain.errors import DeclarationError
from features import kernel, language
from features.definitions import DEFINITIONS, FOREIGN, NIGHT, RECEIVED, RETAINED_ARRIVALS, SENT, VPN
from features.engine import Engine
from features.language import (
    AGGREGATES,
    ANY,
    MAX_NTH,
    MAX_STEPS,
    OWN_VALUES,
    RETAINED,
    Aggregate,
    Changed,
    Count,
    Declaration,
    Deviation,
    Distance,
    Distinct,
    Entropy,
    Feature,
    Group,
    IsLater,
    IsNew,
    Max,
    Mean,
    Min,
    OverMax,
    OverMean,
    Own,
    Pace,
    Ratio,
    SameCount,
    SameShare,
    Share,
    SinceEarliest,
    SinceFirst,
    SinceLast,
    SinceNth,
    SinceSame,
    Speed,
    Steps,
    Sum,
    Where,
    ZScore,
    days,
    fact,
    hours,
    marked,
    minutes,
)
from features.layout import LANES, SLOTS, SMALL_COLUMNS, WORDS, Column, Fact, Slot, space_of
from features.plan import (
    MAX_DISTINCT,
    MAX_FAMILIES,
    MAX_FILTERS,
    MAX_MARKS,
    MAX_SLOTS,
    MAX_WINDOWS,
    SPACE_WORDS,
    Plan,
    Table,
)

HOURLY = Feature(Slot.CUSTOMER, Count(), SENT, hours(1))
FAILED = fact("failed", Fact.LOGIN_FAILED)
NEW_DEVICE = marked("new_device", Feature(Slot.CUSTOMER, IsNew(Column.DEVICE), SENT), 0)
ALIKE = Group("alike", (Column.RECIPIENT, Column.BAND))
STEPS = Steps("takeover", (FAILED, SENT & NEW_DEVICE))
EXAMPLES: tuple[Aggregate, ...] = (
    Count(), Sum(), Mean(), Max(), Min(), Deviation(), ZScore(), OverMean(), OverMax(), Share(FOREIGN), Pace(days(30)),
    Distinct(Column.DEVICE), SameShare(Column.HOUR), SameShare(Column.DEVICE), SameCount(Column.RECIPIENT), Entropy(Column.HOUR),
    SinceLast(), SinceFirst(), SinceEarliest(), IsLater(VPN), SinceNth(5), IsNew(Column.DEVICE), SinceSame(Column.RECIPIENT), Changed(Column.COUNTRY), Distance(),
    Speed(), STEPS,
)  # fmt: skip
WINDOWLESS = tuple(how for how in EXAMPLES if not how.takes_window)
NAMED = pytest.mark.parametrize("how", EXAMPLES, ids=lambda how: how.word)


def where_of(how: Aggregate) -> Where:
    return ANY if how.looks_at_any else SENT


def of_customer(how: Aggregate, where: Where | None = None) -> Feature:
    return Feature(Slot.CUSTOMER, how, where_of(how) if where is None else where, days(1) if how.takes_window else RETAINED)


# ---- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declaration", "name", "unit"),
    [
        (HOURLY, "customer_sent_count_1h", "arrivals"),
        (Feature(Slot.CUSTOMER, Sum(), SENT, days(1)), "customer_sent_amount_sum_1d", "tyiyn"),
        (Feature(Slot.RECIPIENT, Mean(), SENT, minutes(90)), "recipient_sent_amount_mean_90m", "tyiyn"),
        (Feature(Slot.CUSTOMER, Max(), SENT, days(7)), "customer_sent_amount_max_7d", "tyiyn"),
        (Feature(Slot.CUSTOMER, Min(), SENT, days(7)), "customer_sent_amount_min_7d", "tyiyn"),
        (Feature(Slot.CUSTOMER, Deviation(), SENT, hours(36)), "customer_sent_amount_deviation_36h", "tyiyn"),
        (Feature(Slot.CUSTOMER, ZScore(), SENT), "customer_sent_amount_zscore_retained", "standard deviations"),
        (Feature(Slot.CUSTOMER, OverMean(), SENT, days(30)), "customer_sent_amount_over_mean_30d", "ratio"),
        (Feature(Slot.SENDER, OverMax(), RECEIVED, days(1)), "sender_received_amount_over_max_1d", "ratio"),
        (Feature(Slot.CUSTOMER, Share(VPN), SENT, days(30)), "customer_sent_vpn_share_30d", "share"),
        (Feature(Slot.CUSTOMER, Share(~VPN), SENT, days(30)), "customer_sent_not_vpn_share_30d", "share"),
        (Feature(Slot.CUSTOMER, Pace(days(7)), SENT, hours(1)), "customer_sent_pace_against_7d_in_1h", "ratio"),
        (Feature(Slot.DEVICE, Distinct(Column.CUSTOMER), SENT, hours(24)), "device_sent_customer_distinct_1d", "values"),
        (Feature(Slot.CUSTOMER, SameShare(Column.HOUR), SENT, days(30)), "customer_sent_hour_same_share_30d", "share"),
        (Feature(Slot.CUSTOMER, SameShare(Column.HOUR), SENT), "customer_sent_hour_same_share_retained", "share"),
        (Feature(Slot.CUSTOMER, SameShare(Column.DEVICE), SENT), "customer_sent_device_same_share", "share"),
        (Feature(Slot.CUSTOMER, SameCount(Column.RECIPIENT), SENT), "customer_sent_recipient_same_count", "arrivals"),
        (Feature(Slot.CUSTOMER, Entropy(Column.WEEKDAY), SENT, days(30)), "customer_sent_weekday_entropy_30d", "bits"),
        (Feature(Slot.CUSTOMER, SinceLast(), SENT), "customer_sent_seconds_since_last", "s"),
        (Feature(Slot.AGENT, SinceFirst(), ANY), "agent_seconds_since_first", "s"),
        (Feature(Slot.RECIPIENT, SinceEarliest(), RECEIVED), "recipient_received_seconds_since_first", "s"),
        (Feature(Slot.SENDER, IsLater(SENT), RECEIVED), "sender_received_is_later_than_sent", "0 or 1"),
        (Feature(Slot.CUSTOMER, SinceNth(2), SENT), "customer_sent_seconds_since_2nd_last", "s"),
        (Feature(Slot.CUSTOMER, SinceNth(12), SENT), "customer_sent_seconds_since_12th_last", "s"),
        (Feature(Slot.CUSTOMER, SinceNth(23), SENT), "customer_sent_seconds_since_23rd_last", "s"),
        (Feature(Slot.CUSTOMER, IsNew(Column.LOGIN_METHOD), SENT), "customer_sent_login_method_is_new", "0 or 1"),
        (Feature(Slot.CUSTOMER, SinceSame(Column.RECIPIENT), SENT), "customer_sent_recipient_seconds_since_same", "s"),
        (Feature(Slot.CUSTOMER, Changed(Column.COUNTRY), SENT), "customer_sent_country_changed", "0 or 1"),
        (Feature(Slot.CUSTOMER, Distance(), SENT), "customer_sent_distance", "km"),
        (Feature(Slot.CUSTOMER, Speed(), SENT), "customer_sent_speed", "km/h"),
        (Feature(Slot.CUSTOMER, STEPS, ANY, days(3)), "customer_takeover_steps_3d", "steps"),
        (Feature(ALIKE, Count(), SENT, hours(1)), "alike_sent_count_1h", "arrivals"),
        (
            Feature(Slot.CUSTOMER, Count(), SENT & NIGHT & ~FOREIGN, days(7)),
            "customer_sent_night_not_foreign_count_7d",
            "arrivals",
        ),
        (Feature(Slot.CUSTOMER, Count(), SENT & ~NEW_DEVICE, days(7)), "customer_sent_not_new_device_count_7d", "arrivals"),
        (Feature(Slot.CUSTOMER, Count(), SENT, 61_001), "customer_sent_count_61001ms", "arrivals"),
        (Ratio(HOURLY, replace(HOURLY, over=days(1))), "customer_sent_count_1h_per_customer_sent_count_1d", "ratio"),
        *((Own(of), f"operation_{of}", unit) for of, unit in OWN_VALUES.items()),
    ],
)
def test_a_name_is_computed_from_the_declaration(declaration: Declaration, name: str, unit: str) -> None:
    assert (declaration.name, declaration.unit) == (name, unit)


def test_every_declared_feature_has_a_name_of_its_own_and_every_criterion_its_features() -> None:
    names = [declaration.name for declaration in DEFINITIONS]
    assert len(set(names)) == len(names) == len(Plan(DEFINITIONS, RETAINED_ARRIVALS))
    assert all(name.isidentifier() and name.islower() for name in names)
    assert {declaration.serves for declaration in DEFINITIONS} == set(FraudCriterion)


def test_there_is_an_example_of_every_aggregate() -> None:
    assert {type(how) for how in EXAMPLES} == set(AGGREGATES)


@NAMED
def test_every_aggregate_has_a_unit_a_meaning_and_a_kernel_to_compute_it(how: Aggregate) -> None:
    feature = of_customer(how)
    plan = Plan([feature], 8)
    assert feature.unit and how.meaning and plan.names == (feature.name,)
    engine = Engine(plan)
    engine.apply([1] * WORDS)
    assert len(engine.read([1] * WORDS)) == 1


@NAMED
def test_missing_is_not_a_number_unless_the_declaration_says_otherwise(how: Aggregate) -> None:
    stranger = [7] * WORDS
    for missing in (math.nan, -1.0, 0.5):
        engine = Engine(Plan([replace(of_customer(how), missing=missing)], 8))
        assert engine.read(stranger).tolist() == pytest.approx([missing], nan_ok=True)
    assert math.isnan(of_customer(how).missing)


def test_a_ratio_has_a_missing_value_of_its_own() -> None:
    engine = Engine(Plan([Ratio(HOURLY, replace(HOURLY, over=days(1)), missing=-2.0)], 8))
    assert engine.read([7] * WORDS).tolist() == [-2]


# ---- filters ---------------------------------------------------------------------------------------------------------


def test_and_needs_what_both_need_and_excludes_what_either_excludes() -> None:
    both = SENT & ~FOREIGN & NEW_DEVICE & ~VPN
    assert both.needs == Fact.OPERATION | Fact.SENDING and both.excludes == Fact.FOREIGN | Fact.VPN
    assert both.marks == NEW_DEVICE.marks and both.unmarked == () and both.name == "sent_not_foreign_new_device_not_vpn"


def test_not_turns_one_fact_or_one_mark_round() -> None:
    assert Where("not_foreign", excludes=Fact.FOREIGN) == ~FOREIGN
    assert Where("not_new_device", unmarked=NEW_DEVICE.marks) == ~NEW_DEVICE


@pytest.mark.parametrize(
    "where", [SENT, FOREIGN & VPN, FOREIGN & NEW_DEVICE, ~FOREIGN, ~NEW_DEVICE, ANY], ids=lambda where: where.name
)
def test_only_a_filter_of_one_fact_or_one_mark_can_be_turned_round(where: Where) -> None:
    with pytest.raises(DeclarationError, match=f"^~{where.name}: only a filter of one fact or one mark can be turned round"):
        _ = ~where


@pytest.mark.parametrize(
    ("where", "flaw"),
    [
        (Where("all"), "it needs no fact; name at least one, such as OPERATION"),
        (Where("no_foreign", excludes=Fact.FOREIGN), "it needs no fact"),
        (NEW_DEVICE, "it needs no fact"),
        (Where("never", Fact.OPERATION, Fact.OPERATION), "it needs what it excludes"),
        (SENT & FOREIGN & ~FOREIGN, "it needs what it excludes"),
        (SENT & NEW_DEVICE & ~NEW_DEVICE, "it needs what it excludes"),
        (SENT & fact("cash", Fact.CASH_WITHDRAWAL) & fact("top_up", Fact.TOP_UP), "an arrival has one kind"),
        (SENT & RECEIVED, "an entity sends or receives in one arrival"),
        (RECEIVED, r"only accounts \(SENDER, RECIPIENT\) receive"),
    ],
    ids=lambda value: value.name if isinstance(value, Where) else "",
)
def test_a_filter_that_no_arrival_can_pass_is_refused(where: Where, flaw: str) -> None:
    for declare in (
        lambda: Feature(Slot.CUSTOMER, Count(), where, hours(1)),
        lambda: Feature(Slot.CUSTOMER, Steps("scheme", (SENT, where)), ANY, hours(1)),
    ):
        with pytest.raises(DeclarationError, match=f"^customer_.*_1h: where={where.name} can never hold: {flaw}"):
            declare()


@pytest.mark.parametrize("by", [*(slot for slot in Slot if slot > Slot.RECIPIENT), ALIKE], ids=lambda by: by.name)
def test_only_accounts_receive(by: Slot | Group) -> None:
    with pytest.raises(DeclarationError, match="only accounts"):
        Feature(by, Count(), RECEIVED, days(1))
    assert Feature(Slot.SENDER, Count(), RECEIVED, days(1)) and Feature(Slot.RECIPIENT, Count(), RECEIVED, days(1))


def test_a_share_that_is_of_nothing_is_refused() -> None:
    cashed = SENT & fact("cash", Fact.CASH_WITHDRAWAL)
    with pytest.raises(DeclarationError, match="where=sent_cash_top_up can never hold: an arrival has one kind"):
        Feature(Slot.CUSTOMER, Share(fact("top_up", Fact.TOP_UP)), cashed, days(1))


@pytest.mark.parametrize("how", EXAMPLES, ids=lambda how: how.word)
def test_only_what_looks_at_every_arrival_takes_any_and_takes_nothing_else(how: Aggregate) -> None:
    with pytest.raises(
        DeclarationError, match=r"^customer_.*: where=ANY is for SinceFirst, Steps, which look at every arrival"
    ):
        of_customer(how, SENT if how.looks_at_any else ANY)


# ---- marks and groups ------------------------------------------------------------------------------------------------


def test_a_mark_is_made_of_facts_and_not_of_marks() -> None:
    for where in (SENT & NEW_DEVICE, SENT & ~NEW_DEVICE):
        of_marks = Feature(Slot.CUSTOMER, Count(), where, days(1))
        with pytest.raises(
            DeclarationError, match=f"^mark busy: its feature {of_marks.name} is made of marks; allowed: facts only"
        ):
            marked("busy", of_marks, 3)


@pytest.mark.parametrize("where", [SENT & NEW_DEVICE, SENT & ~NEW_DEVICE], ids=["marked", "not marked"])
@pytest.mark.parametrize("how", [Share(NEW_DEVICE), Share(~NEW_DEVICE), STEPS], ids=["share", "share that is not", "steps"])
def test_a_mark_is_not_made_of_marks_inside_an_aggregate_either(how: Aggregate, where: Where) -> None:
    inner = of_customer(how)
    with pytest.raises(
        DeclarationError, match=f"^mark busy: its feature {inner.name} is made of marks; allowed: facts only"
    ):
        marked("busy", inner, 0.5)


@pytest.mark.parametrize("other", [Ratio(HOURLY, HOURLY), Own("amount")], ids=["ratio", "own"])
def test_a_mark_is_of_one_feature(other: Declaration) -> None:
    with pytest.raises(DeclarationError, match=r"^mark busy: .*; allowed: a Feature$"):
        marked("busy", other, 3)  # type: ignore[arg-type]


def test_two_marks_of_one_name_are_refused() -> None:
    other = marked("new_device", Feature(Slot.CUSTOMER, IsNew(Column.ADDRESS), SENT), 0)
    features = [
        Feature(Slot.CUSTOMER, Count(), SENT & each, over) for each, over in ((NEW_DEVICE, days(1)), (other, days(2)))
    ]
    with pytest.raises(DeclarationError, match=r"2 marks, twice \['new_device'\]; allowed 16 of different names"):
        Plan(features, 8)


def test_more_marks_than_an_arrival_has_room_for_are_refused() -> None:
    def counted(number: int) -> list[Feature]:
        marks = [marked(f"busy_{i}", HOURLY, i) for i in range(number)]
        return [Feature(Slot.CUSTOMER, Count(), SENT & mark, days(1)) for mark in marks]

    assert len(Plan(counted(MAX_MARKS), 8).marks) == MAX_MARKS
    with pytest.raises(DeclarationError, match=f"{MAX_MARKS + 1} marks, twice .*; allowed {MAX_MARKS} of different names"):
        Plan(counted(MAX_MARKS + 1), 8)


def test_more_windows_of_one_entity_than_there_are_bits_for_are_refused() -> None:
    features = [Feature(Slot.CUSTOMER, Count(), SENT, minutes(over)) for over in range(1, MAX_WINDOWS + 2)]
    assert len(Plan(features[:MAX_WINDOWS], 8)) == MAX_WINDOWS
    with pytest.raises(DeclarationError, match=f"has {MAX_WINDOWS + 1} different windows; allowed {MAX_WINDOWS}"):
        Plan(features, 8)


def test_more_filters_than_a_word_has_bits_are_refused_and_one_that_is_shared_counts_once() -> None:
    kinds = [SENT & fact(kind.name.lower(), kind) for kind in Fact if Fact.BANK_ACCOUNT <= kind <= Fact.OTHER]
    wheres = [
        kind & also for kind in kinds for also in (SENT, FOREIGN, VPN, NIGHT, FOREIGN & VPN, FOREIGN & NIGHT, VPN & NIGHT)
    ]
    features = [
        Feature(by, Count(), where, days(1)) for where in wheres[:MAX_FILTERS] for by in (Slot.CUSTOMER, Slot.DEVICE)
    ]
    assert len(Plan(features, 8)) == 2 * MAX_FILTERS
    with pytest.raises(DeclarationError, match=f"{MAX_FILTERS + 1} different filters; allowed {MAX_FILTERS}: share some"):
        Plan([*features, Feature(Slot.CUSTOMER, Count(), wheres[MAX_FILTERS], days(1))], 8)


def test_marks_of_shares_and_steps_are_the_plan_s_too() -> None:
    large = marked("large", Feature(Slot.CUSTOMER, OverMean(), SENT, days(30)), 3)
    features = [Feature(Slot.CUSTOMER, Share(large), SENT, days(1)), Feature(Slot.CUSTOMER, STEPS, ANY, days(1))]
    assert [mark.name for mark in Plan(features, 8).marks] == ["large", "new_device"]


@pytest.mark.parametrize(
    "columns",
    [
        (),
        (Column.KIND,),
        (Column.KIND, Column.KIND),
        (Column.KIND, Column.BAND, Column.HOUR, Column.SENDER, Column.RECIPIENT),
    ],
    ids=["none", "one", "one twice", "five"],
)
def test_a_group_has_two_to_four_different_columns(columns: tuple[Column, ...]) -> None:
    with pytest.raises(DeclarationError, match=f"^group few: {len(columns)} columns; allowed 2 to 4 different ones"):
        Group("few", columns)


def test_a_group_has_not_the_name_of_an_entity() -> None:
    with pytest.raises(
        DeclarationError, match=r"^group customer: an entity has this name; allowed any but sender, recipient, customer"
    ):
        Group("customer", (Column.CUSTOMER, Column.KIND))


def test_more_groups_than_a_plan_has_room_for_are_refused() -> None:
    columns = [(Column.RECIPIENT, column) for column in list(Column)[1 + Column.RECIPIENT :]]
    groups = [Group(f"group_{i}", pair) for i, pair in enumerate(columns[: MAX_SLOTS - SLOTS + 1])]
    features = [Feature(group, Count(), SENT, days(1)) for group in groups]
    assert len(Plan(features[:-1], 8).groups) == MAX_SLOTS - SLOTS
    with pytest.raises(DeclarationError, match=f"{len(features)} groups; allowed {MAX_SLOTS - SLOTS}"):
        Plan(features, 8)


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


@pytest.mark.parametrize("how", WINDOWLESS, ids=lambda how: how.word)
def test_a_window_on_an_aggregate_without_one_is_refused(how: Aggregate) -> None:
    with pytest.raises(DeclarationError, match=f"^customer_.*: {type(how).__name__} takes no window; leave `over` out"):
        Feature(Slot.CUSTOMER, how, where_of(how), days(1))


@pytest.mark.parametrize("column", Column)
def test_the_share_of_one_s_own_value_has_a_window_for_small_columns_alone(column: Column) -> None:
    assert SameShare(column).takes_window is (column in SMALL_COLUMNS)


@pytest.mark.parametrize(
    ("how", "flaw"),
    [
        (SinceNth(1), f"SinceNth: n of 1; allowed 2 to {MAX_NTH}, and SinceLast for the last"),
        (SinceNth(MAX_NTH + 1), f"SinceNth: n of {MAX_NTH + 1}; allowed 2 to {MAX_NTH}"),
        (Pace(days(31)), f"Pace: habit of {days(31)} ms; allowed 1 minute to 30 days"),
        (Pace(0), "Pace: habit of 0 ms; allowed 1 minute to 30 days"),
        (Pace(days(1)), f"a window of {days(1)} ms; allowed a shorter one than the habit it is held against"),
        (Entropy(Column.DEVICE), "Entropy: entropy of DEVICE; allowed KIND, HOUR, WEEKDAY, BAND, SHIFTED_BAND"),
        (Steps("short", (SENT,)), f"Steps: 1 steps; allowed 2 to {MAX_STEPS}"),
        (Steps("long", (SENT,) * (MAX_STEPS + 1)), f"Steps: {MAX_STEPS + 1} steps; allowed 2 to {MAX_STEPS}"),
        (Steps("Big Scheme", (SENT, SENT)), "a name is made of a-z, 0-9 and _; rename the filter, group or scheme"),
    ],
    ids=lambda value: value.word if isinstance(value, Aggregate) else "",
)
def test_an_aggregate_with_wrong_parts_is_refused(how: Aggregate, flaw: str) -> None:
    with pytest.raises(DeclarationError, match=f"^'?customer_.*: {re.escape(flaw)}"):
        of_customer(how)


def test_a_pace_needs_a_window_of_its_own() -> None:
    with pytest.raises(
        DeclarationError, match=r"pace_against_30d_in_retained: a window of .* allowed a shorter one than the habit"
    ):
        Feature(Slot.CUSTOMER, Pace(days(30)), SENT)


@pytest.mark.parametrize("name", ["to Kazakhstan", "VPN", "night-time", "ночь", "a.b"])
def test_a_filter_whose_name_would_be_no_feature_s_is_refused(name: str) -> None:
    with pytest.raises(DeclarationError, match="a name is made of a-z, 0-9 and _"):
        Feature(Slot.CUSTOMER, Count(), replace(SENT, name=name), hours(1))


@pytest.mark.parametrize("how", [how for how in EXAMPLES if not isinstance(how, Count | Sum)], ids=lambda how: how.word)
def test_a_ratio_of_anything_but_counts_and_sums_is_refused(how: Aggregate) -> None:
    other = of_customer(how)
    for parts in ((other, HOURLY), (HOURLY, other)):
        with pytest.raises(DeclarationError, match=f"{other.name} is a {type(how).__name__}; a ratio is of Count or Sum"):
            Ratio(*parts)


def test_a_ratio_of_two_entities_is_refused() -> None:
    for by in (Slot.DEVICE, ALIKE):
        with pytest.raises(DeclarationError, match="_per_customer_sent_count_1h: of two entities; a ratio is of one"):
            Ratio(replace(HOURLY, by=by), HOURLY)


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


@dataclass(frozen=True)
class Median(Aggregate):
    """What nobody computes."""

    suffix, unit, meaning = "amount_median", "tyiyn", "median amount of {what}"


def test_an_aggregate_that_nobody_computes_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(
        DeclarationError, match=r"^customer_sent_amount_median_1d: Median\(\) is not an aggregate; allowed .*Count"
    ):
        Plan([of_customer(Median())], 8)


def test_more_pairs_of_column_and_filter_than_an_entity_can_follow_are_refused_by_the_first_that_is_too_many() -> None:
    pairs = [(column, where) for where in (SENT, FAILED, SENT & FOREIGN) for column in Column]
    fitting = [Feature(Slot.CUSTOMER, IsNew(column), where) for column, where in pairs[:MAX_FAMILIES]]
    again = [Feature(Slot.CUSTOMER, SinceSame(column), where) for column, where in pairs[:MAX_FAMILIES]]  # the same pairs
    assert len(Plan([*fitting, *again], 8)) == 2 * MAX_FAMILIES
    elsewhere = Feature(Slot.DEVICE, IsNew(Column.CUSTOMER), SENT)
    column, where = pairs[MAX_FAMILIES]
    too_many = Feature(Slot.CUSTOMER, IsNew(column), where)
    with pytest.raises(DeclarationError, match=f"^{too_many.name}: one entity follows at most {MAX_FAMILIES} pairs"):
        Plan([*fitting, elsewhere, too_many], 8)


def test_more_distinct_counts_than_an_entity_has_bits_for_are_refused_by_the_first_that_is_too_many() -> None:
    columns = list(Column)
    fitting = [Feature(Slot.CUSTOMER, Distinct(column), SENT, days(1)) for column in columns[:MAX_DISTINCT]]
    longer = [replace(feature, over=days(2)) for feature in fitting]  # the same pairs: no bit more
    assert len(Plan([*fitting, *longer], 8)) == 2 * MAX_DISTINCT
    too_many = Feature(Slot.CUSTOMER, Distinct(columns[MAX_DISTINCT]), SENT, days(1))
    with pytest.raises(
        DeclarationError, match=f"^{too_many.name}: one entity counts at most {MAX_DISTINCT} pairs .* as distinct"
    ):
        Plan([*fitting, too_many], 8)


@pytest.mark.parametrize("retained", [-8, 0, 1, 4, 7, 9, 12, 2**22 - 1])
def test_a_log_whose_length_is_no_power_of_two_is_refused(retained: int) -> None:
    with pytest.raises(DeclarationError, match=f"seen {retained}, allowed a power of two from 8"):
        Plan([HOURLY], retained)


def test_a_log_longer_than_its_numbers_reach_is_refused() -> None:
    with pytest.raises(DeclarationError, match=f"seen {2**27}, allowed a power of two from 8 to {2**26}"):
        Plan([HOURLY], 2**27)
    with pytest.raises(DeclarationError, match=rf"seen {2**26}, of \d+ words of records each; allowed fewer than \d+"):
        slots = [slot for slot in Slot if slot is not Slot.RECIPIENT]
        Plan([replace(HOURLY, by=by, over=over) for by in slots for over in (hours(1), days(1), days(2))], 2**26)


def test_a_record_of_two_windows_and_four_counts_is_one_cache_line() -> None:
    plan = Plan([replace(HOURLY, where=where, over=over) for where in (SENT, NIGHT) for over in (hours(1), days(1))], 2**10)
    tables = plan.program.tables
    assert tables[tables[Table.SPACE] + SPACE_WORDS * space_of(Slot.CUSTOMER)] == LANES


# ---- the hash --------------------------------------------------------------------------------------------------------


def test_the_hash_is_of_what_is_computed() -> None:
    plan = Plan([HOURLY, Own("amount")], 16)
    others = [
        Plan([replace(HOURLY, over=hours(2)), Own("amount")], 16),
        Plan([replace(HOURLY, where=replace(SENT, needs=Fact.OPERATION)), Own("amount")], 16),
        Plan([replace(HOURLY, where=replace(SENT, excludes=Fact.CASH_WITHDRAWAL)), Own("amount")], 16),
        Plan([replace(HOURLY, by=Slot.SENDER), Own("amount")], 16),
        Plan([replace(HOURLY, by=ALIKE), Own("amount")], 16),
        Plan([replace(HOURLY, by=Group("alike", (Column.RECIPIENT, Column.KIND))), Own("amount")], 16),
        Plan([replace(HOURLY, where=SENT & NEW_DEVICE), Own("amount")], 16),
        Plan(
            [
                replace(HOURLY, where=SENT & replace(NEW_DEVICE, marks=(replace(NEW_DEVICE.marks[0], above=0.5),))),
                Own("amount"),
            ],
            16,
        ),
        Plan([replace(HOURLY, missing=-1.0), Own("amount")], 16),
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


def test_two_groups_of_one_name_are_refused() -> None:
    two = [Group("alike", (Column.SENDER, other)) for other in (Column.KIND, Column.BAND)]
    with pytest.raises(DeclarationError, match="two different groups are called alike"):
        Plan([Feature(two[0], Count(), SENT, hours(1)), Feature(two[1], Sum(), SENT, hours(1))], 8)
