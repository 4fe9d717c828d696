"""The simulated world: the same seed the same bytes, canonical rows, labels that come from the actors' stories alone."""

import argparse
import hashlib
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import polars as pl
import pytest

from domain.criteria import Scheme
from domain.errors import HistoryError, SettingsError
from domain.events import Event, Outcome, normal_event, normal_outcome
from domain.identifiers import Identifiers
from domain.operation import Kind, Operation, normal_operation
from features import history
from training.simulator import SimulatedHistory, WorldSettings, command, simulate, write

SMALL = WorldSettings(seed=5, customers=300, days=20, fraud_share=0.04, late_share=0.01)
END = SMALL.start + timedelta(days=SMALL.days)
IDENTIFIER = re.compile(
    r"_(customer_id|account|wallet|card|phone|service|institution|country|qr_id|virtual_asset_address|id|ip)$"
)


@pytest.fixture(scope="module")
def world() -> SimulatedHistory:
    return simulate(SMALL)


@pytest.fixture(scope="module")
def operations(world):
    """Operations with their truth and the customer's account, in order of arrival."""
    told = pl.DataFrame(world.truth)
    return pl.DataFrame(world.history.operations).join(told, on="operation_id", maintain_order="left", validate="1:1")


@pytest.fixture(scope="module")
def events(world):
    return pl.DataFrame(world.history.events)


@pytest.fixture(scope="module")
def outcomes(world):
    return pl.DataFrame(world.history.outcomes)


def acted(operations, scheme):
    """Operations of the actors of a scheme, without those drawn from habit."""
    return operations.filter((pl.col("scheme") == scheme) & ~pl.col("habitual"))


def digests(folder):
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.iterdir())}


# The same world again


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(world, tmp_path):
    write(world, tmp_path / "first")
    write(simulate(SMALL), tmp_path / "again")
    write(simulate(replace(SMALL, seed=6)), tmp_path / "other")
    first, again, other = (digests(tmp_path / name) for name in ("first", "again", "other"))
    assert first == again
    assert not set(first.values()) & set(other.values())


def test_a_written_world_is_a_canonical_history_and_its_truth(world, tmp_path):
    write(world, tmp_path / "world")
    assert history.read(tmp_path / "world").operations.equals(world.history.operations)
    assert pl.read_parquet(tmp_path / "world" / "truth.parquet").height == world.history.operations.num_rows


def test_a_world_is_not_written_over_another(world, tmp_path):
    with pytest.raises(HistoryError, match="exists"):
        write(world, tmp_path)


# Canonical form and order


def test_every_row_is_in_normal_form(world):
    identifiers, latest = Identifiers(card_key=b"sixteen bytes or more"), END
    for _, operation in history.records_of(world.history.operations, Operation):
        assert normal_operation(operation, identifiers, latest) == operation
    for _, event in history.records_of(world.history.events, Event):
        assert normal_event(event, identifiers, latest) == event
    for _, outcome in history.records_of(world.history.outcomes, Outcome):
        assert normal_outcome(outcome, latest) == outcome


def test_sequence_is_one_order_without_gaps_over_the_three_files(world):
    tables = (world.history.operations, world.history.events, world.history.outcomes)
    assert sorted(number for table in tables for number in table["sequence"].to_pylist()) == list(
        range(1, len(world.history) + 1)
    )


def test_operations_are_numbered_by_arrival(operations):
    assert operations["operation_id"].to_list() == [f"op-{n:08d}" for n in range(1, len(operations) + 1)]


def test_a_few_operations_arrive_late_by_minutes_at_most_and_some_share_an_instant(operations):
    behind = operations.select(pl.col("occurred_at").cum_max() - pl.col("occurred_at")).to_series()
    late = behind.filter(behind > timedelta(0))
    assert 0 < len(late) <= 1.5 * SMALL.late_share * len(operations)
    assert late.max() < timedelta(minutes=15)
    assert operations["occurred_at"].is_duplicated().any()


def test_a_customers_account_is_the_same_whether_he_sends_or_receives(operations):
    sides = [
        operations.select(**{name: f"{side}_{name}" for name in ("customer_id", "account", "wallet")}).drop_nulls(
            "customer_id"
        )
        for side in ("sender", "recipient")
    ]
    assert pl.concat(sides).unique().group_by("customer_id").len()["len"].max() == 1


def test_remote_parties_are_no_customers(operations):
    for side in ("sender", "recipient"):
        remote = operations.filter(pl.col(f"{side}_institution").is_not_null())
        assert remote.height
        assert remote[f"{side}_customer_id"].is_null().all()


def test_all_kinds_of_para_14_are_present(operations):
    assert set(operations["kind"]) == set(Kind)


# Labels and what becomes known of them


def test_every_scheme_is_present_and_a_world_without_fraud_has_none(operations):
    assert set(operations["scheme"].drop_nulls()) == set(Scheme)
    honest = simulate(WorldSettings(seed=5, customers=150, days=10, fraud_share=0, wrong_share=0))
    assert honest.truth["scheme"].null_count == honest.truth.num_rows
    assert set(honest.history.outcomes["verdict"].to_pylist()) <= {"legitimate"}


def test_shares_are_close_to_the_settings(operations):
    fraud = operations.filter(pl.col("scheme").is_not_null())
    assert fraud["habitual"].mean() == pytest.approx(SMALL.habitual_share, abs=0.02)
    assert 1 - fraud["reported"].mean() == pytest.approx(SMALL.unreported_share, abs=0.03)


def test_usual_worlds_have_a_fraud_share_below_one_percent():
    truth = simulate(WorldSettings(seed=2, customers=1500, days=40)).truth
    assert 0.005 < 1 - truth["scheme"].null_count / truth.num_rows < 0.01


def test_outcomes_become_known_after_their_operations_arrived_and_within_the_span(operations, outcomes):
    both = outcomes.join(operations, on="operation_id", how="left", suffix="_operation")
    assert both["occurred_at"].null_count() == 0
    assert (both["known_at"] > both["occurred_at"]).all()
    assert (both["sequence"] > both["sequence_operation"]).all()
    assert outcomes["known_at"].max() < END


def test_fraud_outcomes_are_the_reported_truth_but_for_few_mistakes(operations, outcomes):
    both = outcomes.filter(pl.col("verdict") == "fraud").join(operations, on="operation_id", suffix="_true")
    right = both.filter(pl.col("scheme_true").is_not_null())
    assert right["reported"].all()
    assert (right["scheme"] == right["scheme_true"]).all()
    assert len(both) - len(right) <= 10
    assert both["scheme"].null_count() == 0


def test_fraud_is_reported_hours_to_weeks_later(operations, outcomes):
    right = outcomes.filter(pl.col("verdict") == "fraud").join(operations.filter("reported"), on="operation_id")
    delay = (right["known_at"] - right["occurred_at"]).dt.total_hours()
    assert delay.min() < 24 < delay.median() < delay.max()
    assert delay.max() > 7 * 24


def test_some_honest_operations_are_verified(operations, outcomes):
    verified = outcomes.filter(pl.col("source") == "verification")
    assert set(verified["verdict"]) == {"legitimate"}
    assert len(verified) / len(operations) == pytest.approx(SMALL.verified_share, rel=0.4)


FORMS = tuple(
    re.compile(form)
    for form in (
        r"c\d{8}|w\d{10}|qr\d{12}|a\d{5}|e\d{5}",
        r"1299\d{12}|1298\d{12}",
        r"\d{16}",
        r"40\d{16}",
        r"\d{3}",
        r"[a-z]{2}bank\d",
        r"[A-Z]{2}",
        r"card-[0-9a-f]{32}",
        r"\+996\d{9}",
        r"0x[0-9a-f]{40}",
        r"T[1-9A-HJ-NP-Za-km-z]{33}",
        r"[0-9a-f]{16}",
        r"100\.\d+\.\d+\.\d+",
        r"198\.\d+\.\d+\.\d+",
        r"203\.0\.113\.\d+",
        r"(provider|atm|terminal|agent) \d{5}|burana \w+",
        r"[a-z ]+ \d{6}",
    )
)


def forms(column: pl.Series) -> set[int]:
    """Which of FORMS the identifiers have; every one has a form."""
    return {next(row for row, form in enumerate(FORMS) if form.fullmatch(text)) for text in column.drop_nulls().unique()}


def test_no_identifier_of_a_fraud_actor_has_a_form_of_its_own(operations):
    fraud, honest = (operations.filter(part) for part in (pl.col("scheme").is_not_null(), pl.col("scheme").is_null()))
    columns = [c for c in operations.columns if IDENTIFIER.search(c) and c not in ("operation_id", "access_session_id")]
    assert len(columns) > 20
    for column in columns:
        assert forms(fraud[column]) <= forms(honest[column]), column


def test_fraud_has_no_odd_cents_and_no_milliseconds_of_its_own(operations):
    fraud = pl.col("scheme").is_not_null()
    cents = [
        (part["amount_minor"].to_numpy() % 100 != 0).mean() for part in (operations.filter(fraud), operations.filter(~fraud))
    ]
    assert cents[0] <= cents[1]
    ms = operations.filter(fraud)["occurred_at"].dt.millisecond()
    assert ms.n_unique() > 0.5 * min(len(ms), 1000)


def test_fraud_from_habit_stays_with_known_devices_and_its_merchants_have_honest_customers(operations):
    habit = operations.filter("habitual")
    own = operations.filter(pl.col("scheme").is_null()).select("sender_customer_id", "device_id").unique()
    used = habit.filter(pl.col("device_id").is_not_null() & pl.col("access_agent_id").is_null())
    assert len(used.join(own, on=["sender_customer_id", "device_id"], how="semi")) > 0.9 * len(used)
    honest = operations.filter(pl.col("scheme").is_null())
    stores = habit.filter(pl.col("recipient_qr_id").is_not_null())
    assert len(stores.join(honest, on="recipient_qr_id", how="semi")) > 0.8 * len(stores)


# Each scheme's story


def preceded(operations, events, type_, within):
    """The operations before which, within this time, their sender had an event of this type."""
    before = events.filter(pl.col("type") == type_).select("customer_customer_id", "access_employee_id", at="occurred_at")
    both = operations.join(before, left_on="sender_customer_id", right_on="customer_customer_id", suffix="_event")
    return both.filter((pl.col("at") < pl.col("occurred_at")) & (pl.col("at") > pl.col("occurred_at") - within))


@pytest.mark.parametrize("type_", ["login_failed", "contact_changed", "device_enrolled"])
def test_a_takeover_follows_failed_log_ins_a_contact_change_and_a_new_device(operations, events, type_):
    drained = acted(operations, "account_takeover")
    before = preceded(drained, events, type_, timedelta(hours=4))
    assert set(before["operation_id"]) == set(drained["operation_id"])


def test_a_takeover_comes_from_a_device_that_the_victim_never_used(operations):
    honest = operations.filter(pl.col("scheme").is_null())
    drained = acted(operations, "account_takeover")
    assert drained["device_id"].null_count() == 0
    assert drained.join(honest, on=["sender_customer_id", "device_id"], how="semi").is_empty()


def test_a_called_victim_uses_his_own_device_and_empties_his_account_within_hours(operations):
    called = acted(operations, "false_call")
    own = operations.filter(pl.col("scheme").is_null()).select("sender_customer_id", "device_id").unique()
    assert len(called.join(own, on=["sender_customer_id", "device_id"], how="semi")) > 0.8 * len(called)
    spans = called.group_by("sender_customer_id").agg(
        pl.len(), span=pl.col("occurred_at").max() - pl.col("occurred_at").min()
    )
    assert (spans["len"] > 1).any()
    assert (spans["span"] < timedelta(hours=3)).mean() > 0.8


def test_an_investor_pays_growing_sums_to_one_platform_over_days(operations):
    pairs = acted(operations, "false_investment").group_by("sender_customer_id", "currency").agg(
        first=pl.col("amount_minor").first(), last=pl.col("amount_minor").last(), len=pl.len(), when=pl.col("occurred_at")
    )  # fmt: skip
    long = pairs.filter(pl.col("len") > 2)
    assert (long["last"] > long["first"]).mean() > 0.8
    assert all(days[-1] - days[0] > timedelta(days=1) for days in long["when"].to_list())


def test_a_fictitious_store_is_new_has_many_victims_and_vanishes(operations):
    sales = acted(operations, "fictitious_store")
    stores = sales.group_by("recipient_service").agg(
        buyers=pl.col("sender_customer_id").n_unique(), first=pl.col("occurred_at").min(), last=pl.col("occurred_at").max()
    )
    assert (stores["buyers"] >= 4).all()
    assert (stores["first"] > SMALL.start + timedelta(days=2)).all()
    assert (stores["last"] - stores["first"] < timedelta(days=16)).all()
    assert operations.filter(pl.col("scheme").is_null()).join(sales, on="recipient_service", how="semi").is_empty()


def test_a_mule_sends_on_or_cashes_within_hours_what_came_in(operations):
    out = (
        acted(operations, "mule_chain")
        .filter(pl.col("kind") != "top_up")
        .select("operation_id", "sender_customer_id", "occurred_at")
    )
    came = operations.filter(pl.col("scheme").is_not_null()).select("recipient_customer_id", at="occurred_at")
    both = out.join(came, left_on="sender_customer_id", right_on="recipient_customer_id")
    quick = both.filter(
        (pl.col("at") < pl.col("occurred_at")) & (pl.col("at") > pl.col("occurred_at") - timedelta(hours=12))
    )
    assert quick["operation_id"].n_unique() > 0.95 * len(out)
    kinds = set(acted(operations, "mule_chain")["kind"])
    assert {"top_up", "cash_withdrawal"} < kinds


def test_a_mule_collects_from_different_persons_with_various_tools(operations):
    collected = acted(operations, "mule_chain").filter(pl.col("kind") == "top_up")
    mules = collected.group_by("recipient_customer_id").agg(pl.col("funding_source", "funding_instrument").n_unique())
    assert (mules["funding_source"] >= 4).all()
    assert (mules["funding_instrument"] > 1).any()


def test_mules_lead_honest_lives_as_well(operations):
    mules = acted(operations, "mule_chain")["sender_customer_id"].drop_nulls().unique()
    honest = operations.filter(pl.col("scheme").is_null() & pl.col("sender_customer_id").is_in(mules.implode()))
    assert honest["sender_customer_id"].n_unique() > 0.5 * len(mules)


def test_a_large_credit_is_split_below_a_round_limit_to_many(operations):
    split = acted(operations, "splitting")
    received = split.filter(pl.col("kind") == "bank_account").select("recipient_customer_id", "amount_minor", "occurred_at")
    assert len(received)
    for holder, sum_, at in received.iter_rows():
        parts = split.filter((pl.col("sender_customer_id") == holder) & (pl.col("occurred_at") > at))
        assert parts["recipient_account"].n_unique() + parts["recipient_wallet"].n_unique() >= 4
        assert any((parts["amount_minor"] < limit).all() for limit in (1_500_000, 5_000_000, 10_000_000))
        assert parts["amount_minor"].sum() == pytest.approx(sum_, rel=0.1)


def test_an_agent_draws_cash_from_customers_who_are_quiet(operations):
    drawn = acted(operations, "agent_abuse")
    assert set(drawn["kind"]) == {"cash_withdrawal"}
    assert drawn["access_agent_id"].null_count() == 0
    honest = operations.filter(pl.col("scheme").is_null()).group_by("sender_customer_id").len()
    quiet = honest.join(drawn, on="sender_customer_id", how="semi")
    assert quiet["len"].max() < honest["len"].median()


def test_an_employee_changes_contacts_before_he_moves_the_money(operations, events):
    moved = acted(operations, "employee_abuse")
    before = preceded(moved, events, "contact_changed", timedelta(days=5))
    same = before.filter(pl.col("access_employee_id") == pl.col("access_employee_id_event"))
    assert set(same["operation_id"]) == set(moved["operation_id"])


def test_a_stolen_card_is_tried_with_small_sums_first(operations):
    misused = acted(operations, "card_misuse")
    assert misused["sender_card"].null_count() == 0
    for amounts in misused.group_by("sender_card").agg(pl.col("amount_minor"))["amount_minor"].to_list():
        assert amounts[0] < max(amounts)


# Sessions


def test_every_session_begins_with_a_log_in_of_its_customer_and_device(operations, events):
    in_session = operations.filter(
        pl.col("access_session_id").is_not_null() & (pl.col("occurred_at") > SMALL.start + timedelta(minutes=5))
    )
    begun = events.filter(pl.col("type") == "login_succeeded").drop_nulls("access_session_id")
    both = in_session.join(begun, on=["access_session_id", "device_id"], how="left", suffix="_login")
    assert both["occurred_at_login"].null_count() == 0
    assert (both["occurred_at_login"] < both["occurred_at"]).all()


def test_returned_and_cancelled_operations_exist_and_had_arrived(operations, events):
    undone = events.filter(pl.col("type").is_in(["operation_returned", "operation_cancelled"]))
    both = undone.join(operations, on="operation_id", how="left", suffix="_operation")
    assert len(undone)
    assert (both["customer_customer_id"] == both["sender_customer_id"]).all()
    assert (both["sequence"] > both["sequence_operation"]).all()


def test_honest_customers_too_change_telephones_numbers_and_mistype(operations, events):
    robbed = set(acted(operations, "account_takeover")["sender_customer_id"]) | set(
        acted(operations, "employee_abuse")["sender_customer_id"]
    )
    honest = events.filter(~pl.col("customer_customer_id").is_in(list(robbed)))
    assert {"login_failed", "contact_changed", "device_enrolled", "login_method_changed"} <= set(honest["type"])


# Settings and the command


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", -1),
        ("customers", 99),
        ("days", 6),
        ("fraud_share", 0.5),
        ("habitual_share", float("nan")),
        ("start", datetime(2026, 1, 1)),
        ("start", datetime(1990, 1, 1, tzinfo=UTC)),
    ],
)
def test_settings_out_of_bounds_are_refused_by_name(name, value):
    with pytest.raises(SettingsError, match=name):
        WorldSettings(**{name: value})


def test_the_command_prints_what_it_writes_and_says_that_it_is_no_quality(tmp_path, capsys):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    out, figures = tmp_path / "world", tmp_path / "figures.json"
    given = [
        "--out",
        str(out),
        "--customers",
        "150",
        "--days",
        "10",
        "--seed",
        "3",
        "--start",
        "2025-06-01",
        "--json",
        str(figures),
    ]
    assert command.run(parser.parse_args(given)) == 0
    printed, made = capsys.readouterr().out, json.loads(figures.read_text())
    assert history.read(out).operations.num_rows == made["operations"]["all"]
    assert f"{made['operations']['all']:,}" in printed
    assert command.CAVEAT in printed
    assert made["caveat"] == command.CAVEAT


def test_a_payment_that_its_customer_took_for_fraud_is_none_that_became_known():
    made = command.figures(simulate(replace(SMALL, days=10, wrong_share=0.05)))
    assert made["outcomes"]["fraud"] > made["fraud"]["all"], "most reports are mistaken"
    assert all(count <= made["fraud_reported"][scheme] for scheme, count in made["fraud_known"].items())


def test_habits_are_read_in_bishkek_where_nights_are_quiet(operations):
    hours = operations.filter(pl.col("kind") == "qr_or_card")["occurred_at"].dt.convert_time_zone("Asia/Bishkek").dt.hour()
    counts = dict(hours.value_counts().iter_rows())
    night, day = (sum(counts.get(hour, 0) for hour in part) for part in (range(2, 6), range(12, 16)))
    assert night < 0.4 * day


def test_time_runs_on(operations):
    days = sorted(operations["occurred_at"].dt.date().unique())
    assert all(later - earlier == timedelta(days=1) for earlier, later in pairwise(days))
