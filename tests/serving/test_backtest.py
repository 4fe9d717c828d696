"""A backtest says what rules, thresholds and lists would have done, and sees nothing before it came."""

import asyncio
import itertools
import json
from datetime import timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from casework import database as databases
from casework.ledger import reading
from domain import instants
from domain.errors import SettingsError
from domain.events import Verdict
from domain.identifiers import IdentifierKind, Identifiers
from domain.levels import Thresholds
from domain.listing import List
from domain.operation import Kind
from domain.rule_text import parsed, written
from domain.rules import Rule, State
from features import history as histories
from features.batch import matrix_of
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.history import History, cut
from features.layout import Word
from features.plan import Plan
from serving import cli, recovery, replay, scoring
from serving.backtest.asking import Trial
from serving.backtest.figures import Costs
from serving.backtest.heard import Heard, Voice
from serving.backtest.listed import Listed
from serving.backtest.of_history import HistorySource
from serving.backtest.of_ledger import LedgerSource
from serving.backtest.recorded import CHUNK, Source
from serving.backtest.report import Asked, Report, report
from serving.backtest.trying import heard
from serving.rule_language import names_in, written_out
from serving.settings import Settings
from serving.templates import completed
from tests import registry
from tests.databases import bring_in
from training.simulator import WorldSettings, simulate

PLAN = Plan(DEFINITIONS, RETAINED_ARRIVALS)
WORLD = WorldSettings(seed=4, customers=200, days=12, fraud_share=0.04)
FROM = WORLD.start + timedelta(days=9)
START, END = instants.to_ms(WORLD.start), 2**62
ASKED = Asked("the tests", "", 3, 50, 1, Costs())
DELAY = 3 * instants.DAY
STARTER = tuple(
    completed(parsed(resources.files("serving").joinpath("starter_rules.toml").read_text(encoding="utf-8")), PLAN.names)
)


def rule(id_: str, expression: str, **other: Any) -> Rule:
    """A draft that says nothing but its expression."""
    return replace(STARTER[0], id=id_, expression=expression, state=State.DRAFT, **other)


DRAFTS = (
    rule("large", "amount_tyiyn >= 2000000"),
    rule("new_recipient", "customer_sent_recipient_is_new == 1.0 && amount_tyiyn >= 500000"),
    rule("cash_of_the_stopped", "score >= 0.2", kinds=(Kind.CASH_WITHDRAWAL,), level="high"),
    rule("of_a_list", "'watched' in registry || 'prohibited' in registry"),
)


def names_of(rules: tuple[Rule, ...]) -> tuple[str, ...]:
    used = names_in([written_out(each) for each in rules])
    return tuple(name for name in PLAN.names if name in used)


def of_history(history: History, rules: tuple[Rule, ...] = DRAFTS, as_of: int | None = None, **other: Any) -> Heard:
    source = HistorySource(history, PLAN, names_of(rules), START, END, as_of, other.pop("model", None))
    return tried(source, rules, **other)


def of_ledger(url: str, rules: tuple[Rule, ...] = DRAFTS, as_of: int | None = None, **other: Any) -> Heard:
    with reading(url) as ledger:
        return tried(LedgerSource(ledger, PLAN, names_of(rules), other.pop("start", START), END, as_of), rules, **other)


def tried(source: Source, rules: tuple[Rule, ...], **other: Any) -> Heard:
    return heard(source, Trial(rules, names_of(rules), **other), DELAY, (START, END), workers=2)


def told(trial: Heard) -> Report:
    return report(trial, ASKED, has_list=False)


def encoded(figures: Report) -> bytes:
    """Every figure; what has no value is null, and equals itself."""
    return msgspec.json.encode(figures)


@pytest.fixture(scope="module")
def world() -> History:
    return simulate(WORLD).history


@pytest.fixture(scope="module")
def served(world: History, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The last days through the whole path, a registry with entries; the days before were brought in and never decided."""
    served = Settings(home=tmp_path_factory.mktemp("home"), models=models)
    with databases.connect(served.database) as database:
        identifiers = served.identifiers()
        for list_, account in zip((List.PROHIBITED, List.WATCHED), busiest(world), strict=False):
            registry.add(database, identifiers, IdentifierKind.CUSTOMER, account, list_)
    asyncio.run(replay.in_process(cut(world, FROM, None), cut(world, None, FROM), served))
    return served


def busiest(world: History) -> list[str]:
    counted = pc.value_counts(world.operations["sender_customer_id"].drop_null()).to_pylist()
    return [each["values"] for each in sorted(counted, key=lambda each: -each["counts"])]


# ---- as of then ------------------------------------------------------------------------------------------------------


@settings(max_examples=15)
@given(day=st.floats(4, 11.5), turned=st.booleans(), data=st.data())
def test_whatever_arrives_later_changes_no_figure(world: History, day: float, turned: bool, data: st.DataObject) -> None:
    """Later data is removed, or replaced: verdicts turned round, operations a hundred times as large."""
    as_of = WORLD.start + timedelta(days=day)
    past = cut(world, None, as_of)
    later = altered(world, past) if turned else cut(world, None, as_of + timedelta(days=data.draw(st.floats(0, 2))))
    asked = instants.to_ms(as_of)
    figures = told(of_history(world, as_of=asked))
    assert figures.operations == past.operations.num_rows
    assert figures.with_rules.stopped > 0
    assert encoded(figures) == encoded(told(of_history(past, as_of=asked))) == encoded(told(of_history(later, as_of=asked)))


def altered(world: History, past: History) -> History:
    """The same past with another future."""
    operations, outcomes = world.operations, world.outcomes
    is_late = pc.invert(pc.is_in(operations["sequence"], past.operations["sequence"]))
    amounts = pc.if_else(is_late, pc.multiply(operations["amount_minor"], 100), operations["amount_minor"])
    operations = operations.set_column(
        operations.schema.get_field_index("amount_minor"), operations.schema.field("amount_minor"), amounts
    )
    told_late = pc.invert(pc.is_in(outcomes["sequence"], past.outcomes["sequence"]))
    other = pc.if_else(pc.equal(outcomes["verdict"], Verdict.FRAUD.value), Verdict.LEGITIMATE.value, Verdict.FRAUD.value)
    verdicts = pc.if_else(told_late, other, outcomes["verdict"])
    outcomes = outcomes.set_column(outcomes.schema.get_field_index("verdict"), outcomes.schema.field("verdict"), verdicts)
    return History(operations, world.events, outcomes)


def test_of_a_ledger_too(served: Settings, url: str) -> None:
    """A ledger to which the later days never came, on either database."""
    as_of = instants.to_ms(FROM + timedelta(days=2))
    with reading(served.database) as ledger:
        entries = list(ledger.read())
        times = recovery.rows_of(ledger, [(one.sequence, one.row, one.encoding) for one in entries])[:, Word.TIME]
    assert 0 < bring_in(url, itertools.takewhile(lambda one: times[one.sequence - 1] < as_of, entries)) < len(entries)
    whole, shorter = (told(of_ledger(of, as_of=as_of)) for of in (served.database, url))
    assert encoded(whole) == encoded(shorter)
    assert whole.recorded is not None


def test_a_label_counts_once_it_was_known_and_the_operation_is_older_than_the_delay(world: History) -> None:
    early = of_history(world, as_of=instants.to_ms(WORLD.start + timedelta(days=6)))
    late = of_history(world)
    assert (early.labels[early.times >= instants.to_ms(WORLD.start + timedelta(days=3))] == -1).all()
    assert (early.labels == 1).sum() < (late.labels[: len(early)] == 1).sum()


# ---- what was recorded -----------------------------------------------------------------------------------------------


def test_the_rules_that_were_in_force_give_the_levels_that_were_answered(served: Settings) -> None:
    """So a backtest decides as `decide` did: registry, basic checks, score, rules, failures."""
    in_force = tuple(each for each in STARTER if each.state is State.LIVE)
    trial = of_ledger(served.database, in_force, start=instants.to_ms(FROM))
    assert (trial.recorded >= 0).all()
    assert trial.recorded.tolist() == trial.with_rules().tolist()
    for each, hits in zip(trial.rules, trial.hits, strict=True):
        assert hits.tolist() == trial.spoke.get(Voice("rules", each.id, each.criterion), hits[:0]).tolist(), each.id


def test_vectors_that_were_recorded_give_the_hits_that_replaying_gives(world: History, served: Settings) -> None:
    """The days before were brought in without vectors: these are made by replaying, of a ledger and of its export alike."""
    by_features = (*DRAFTS[:2], *STARTER[:5])
    ledger, history = of_ledger(served.database, by_features), of_history(world, by_features)
    assert [hits.tolist() for hits in ledger.hits] == [hits.tolist() for hits in history.hits]
    assert (ledger.recorded[: cut(world, None, FROM).operations.num_rows] == -1).all()


def test_the_export_of_a_ledger_keeps_what_a_backtest_needs(served: Settings, tmp_path: Path) -> None:
    assert cli.main(["export", "--home", str(served.home), "--out", str(tmp_path / "history")]) == 0
    history, ledger = of_history(histories.read(tmp_path / "history"), DRAFTS[:3]), of_ledger(served.database, DRAFTS[:3])
    assert history.recorded.tolist() == ledger.recorded.tolist()
    assert history.labels.tolist() == ledger.labels.tolist()
    assert [hits.tolist() for hits in history.hits] == [hits.tolist() for hits in ledger.hits]


def test_a_rule_reads_the_lists_as_they_were_met_then(served: Settings) -> None:
    trial = of_ledger(served.database, start=instants.to_ms(FROM))
    assert len(trial.hits[3]) > 0
    assert (trial.recorded[trial.hits[3]] > 0).all()


# ---- what is tried ---------------------------------------------------------------------------------------------------


def test_thresholds_on_trial_take_the_place_of_those_that_gave_the_levels(served: Settings) -> None:
    start = instants.to_ms(FROM)
    usual = of_ledger(served.database, start=start)
    lax, strict = (
        of_ledger(served.database, start=start, thresholds=Thresholds(*pair)) for pair in ((0.98, 0.99), (1e-6, 2e-6))
    )
    stopped = [(trial.without_rules > 0).sum() for trial in (lax, usual, strict)]
    assert stopped == sorted(stopped)
    assert stopped[0] < stopped[2]


def test_a_list_on_trial_stops_what_names_it_and_is_read_by_rules(world: History) -> None:
    customer = busiest(world)[0]
    on_list = Listed(Identifiers(bytes(32)), (registry.listing(IdentifierKind.CUSTOMER, customer),))
    trial = of_history(world, listed=on_list)
    names = [world.operations[f"{side}_customer_id"] for side in ("sender", "recipient")]
    named = pc.or_kleene(*(pc.fill_null(pc.equal(name, customer), False) for name in names)).to_numpy()
    assert trial.listed.tolist() == named.nonzero()[0].tolist() == trial.hits[3].tolist()
    assert (trial.without_rules[trial.listed] == 2).all()


def test_a_rule_is_asked_of_its_kinds_alone(served: Settings) -> None:
    trial = of_ledger(
        served.database, start=instants.to_ms(FROM), rules=(replace(DRAFTS[0], kinds=(Kind.CASH_WITHDRAWAL,)),)
    )
    assert set(trial.kinds[trial.hits[0]].tolist()) == {list(Kind).index(Kind.CASH_WITHDRAWAL)}


def test_a_rule_that_fails_is_counted_and_silences_no_other(world: History) -> None:
    broken = rule("broken", "amount_tyiyn / (amount_tyiyn - amount_tyiyn) > 1")
    trial = of_history(world, (*DRAFTS, broken))
    assert [hits.tolist() for hits in trial.hits[:4]] == [hits.tolist() for hits in of_history(world).hits]
    assert len(trial.failed[4]) == len(trial)
    assert (trial.with_rules() > 0).all(), "what a live rule fails on is verified"


def test_a_rule_may_be_on_trial_beside_its_own_edited_form(world: History) -> None:
    edited = replace(DRAFTS[0], expression="amount_tyiyn >= 4000000", state=State.SHADOW)
    figures = told(of_history(world, (DRAFTS[0], edited)))
    both = figures.rules[1].hits.stopped
    assert figures.rules[0].beside["large (shadow)"] == both == figures.rules[1].beside["large (draft)"]


def test_a_bundle_gives_scores_where_none_were_recorded_but_not_of_what_it_was_trained_on(
    world: History, models: Path
) -> None:
    model = scoring.load(models / (models / "CHAMPION").read_text().strip(), PLAN)
    with pytest.raises(SettingsError, match="may have been trained on operations before"):
        of_history(world, model=model)
    later = simulate(WorldSettings(seed=4, customers=200, days=8, start=WORLD.start + timedelta(days=90))).history
    trial = of_history(later, model=model, thresholds=model.thresholds)
    scores = model.score_many(matrix_of(later, PLAN))[1]
    assert trial.without_rules.tolist() == [int(model.thresholds.level(score)) for score in scores.tolist()]


def test_processes_give_what_one_process_gives() -> None:
    history = simulate(WorldSettings(seed=2, customers=800, days=35)).history
    assert history.operations.num_rows > CHUNK
    whole = of_history(history)
    middle = WORLD.start + timedelta(days=12)
    assert cut(history, None, middle).operations.num_rows <= CHUNK
    first = of_history(history, as_of=instants.to_ms(middle))
    for some, all_ in zip(first.hits, whole.hits, strict=True):
        assert some.tolist() == all_[all_ < len(first)].tolist()


# ---- the command -----------------------------------------------------------------------------------------------------


def test_the_command_prints_a_table_and_writes_every_figure(
    served: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "drafts.toml").write_text(written(DRAFTS), encoding="utf-8")
    command = [
        "rules",
        "backtest",
        str(tmp_path / "drafts.toml"),
        "--home",
        str(served.home),
        "--json",
        str(tmp_path / "figures.json"),
    ]
    assert cli.main([*command, "--resamples", "20", "--delay-days", "3"]) == 0
    printed = capsys.readouterr().out
    figures = msgspec.json.decode((tmp_path / "figures.json").read_bytes(), type=dict[str, Any])
    assert [one["id"] for one in figures["rules"]] == [one.id for one in DRAFTS]
    for one in figures["rules"]:
        assert one["id"] in printed
        assert f"{one['hits']['stopped']:,}" in printed
    assert figures["operations"] == sum(figures["levels"].values())


def test_without_a_file_the_set_in_force_is_tried(served: Settings, tmp_path: Path) -> None:
    command = [
        "rules",
        "backtest",
        "--home",
        str(served.home),
        "--json",
        str(tmp_path / "figures.json"),
        "--rule",
        "takeover",
        "--resamples",
        "5",
    ]
    assert cli.main(command) == 0
    assert [one["id"] for one in json.loads((tmp_path / "figures.json").read_text())["rules"]] == ["takeover"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rule", "no_such_rule"], "no rule no_such_rule"),
        (["--thresholds", "0.8"], "allowed two numbers"),
        (["--from", "2040-01-01"], "no operation in this period"),
        (["--resamples", "-1"], "--resamples: seen -1"),
        (["--model", "any"], "goes with --history"),
        (["--list", "/nowhere.csv"], "cannot be read"),
    ],
)
def test_what_cannot_be_tried_is_said(
    served: Settings, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["rules", "backtest", "--home", str(served.home), *arguments]) == 2
    assert said in capsys.readouterr().err


def test_a_line_of_a_list_that_has_no_normal_form_is_named(
    served: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "list.csv").write_text("kind,value,list\nphone,0555123456,watched\nphone,12,watched\n")
    assert cli.main(["rules", "backtest", "--home", str(served.home), "--list", str(tmp_path / "list.csv")]) == 2
    assert "list.csv, line 2, the heading not counted: value: seen" in capsys.readouterr().err
