"""The machine's clock steps back and forward while records come: the ledger keeps its order, and the step is said and counted."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casework import database as databases
from casework.database import as_kept
from casework.ledger import Ledger
from casework.writers import bring_in
from domain.events import Event, Outcome
from domain.operation import Operation
from features import history as histories
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.plan import Plan
from serving import cli, recovery, verification
from serving.contracts import OPERATION
from serving.recorded_at import RecordedAt
from serving.settings import Settings
from tests.casework.records import entry
from tests.serving.examples import body, operation
from tests.serving.running import InProcess, probes

OPERATIONS = "/v1/operations"
HOUR = timedelta(hours=1)


class Clock:
    """A clock that is set by hand, and goes on by a second each time it is read."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def settings(settings: Settings, url: str) -> Settings:
    """Of a Burana on each kind of database."""
    return replace(settings, database_url=url)


@pytest.fixture
def burana(settings: Settings, clock: Clock) -> Iterator[InProcess]:
    with InProcess(settings, clock) as running:
        yield running


def at(burana: InProcess, number: int, moment: datetime) -> int:
    """Send an operation that occurred at a moment; the status."""
    return burana.post(OPERATIONS, body(operation(number, occurred_at=moment.isoformat()))).status


def recorded(burana: InProcess) -> list[str]:
    return [entry.recorded_at for entry in burana.burana.ledger.read()]


def steps_back(burana: InProcess) -> int:
    told = burana.burana.metrics.text().decode()
    return int(float(told.partition("\nburana_clock_stepped_back_total ")[2].split()[0]))


def test_records_rise_through_a_step_back_and_forward_and_each_step_back_is_said_and_counted_once(
    burana: InProcess, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    for number, step in enumerate([0, 0, -1, 0, 0, 2, 0, -1, 0, 1, 0]):
        clock.now += step * HOUR
        assert at(burana, number, clock.now) == 200
    moments = recorded(burana)
    assert moments == sorted(moments)
    assert moments[1] == moments[2] == moments[4], "held until the clock has passed it again"
    assert moments[5] > moments[4]
    assert steps_back(burana) == 2
    assert caplog.text.count("the clock stepped back by 35") == 2


def test_a_decision_says_what_the_clock_said_also_after_a_step_back(burana: InProcess, clock: Clock) -> None:
    before = burana.decide(operation(1, occurred_at=clock.now.isoformat()))
    clock.now -= HOUR
    after = burana.decide(operation(2, occurred_at=clock.now.isoformat()))
    assert datetime.fromisoformat(after["decided_at"]) < datetime.fromisoformat(before["decided_at"])
    assert after["sequence"] == before["sequence"] + 1, "the order is the sequence"


def test_after_a_step_back_a_repeat_gets_its_answer_and_only_what_was_future_before_is_refused(
    burana: InProcess, clock: Clock
) -> None:
    first = body(operation(1, occurred_at=clock.now.isoformat()))
    given = burana.post(OPERATIONS, first)
    assert given.status == 200
    moment, clock.now = clock.now, clock.now - HOUR
    assert burana.post(OPERATIONS, first) == given
    assert at(burana, 2, moment + timedelta(minutes=4)) == 200, "of a caller whose clock went on"
    assert at(burana, 3, clock.now) == 200, "it arrives late, and counts at the time of the last one"
    assert at(burana, 4, moment + timedelta(minutes=6)) == 422


def test_before_anything_was_recorded_the_clock_alone_says_what_is_future(burana: InProcess, clock: Clock) -> None:
    moment, clock.now = clock.now, clock.now - 2 * HOUR
    assert at(burana, 1, moment) == 200, "the clock was read when the process started"
    assert at(burana, 2, moment + HOUR) == 422


def test_features_do_not_depend_on_the_clock(burana: InProcess, clock: Clock) -> None:
    for number, step in enumerate([0, 1, -2, 0, 3, -1]):
        clock.now += step * HOUR
        assert at(burana, number, clock.now) == 200
    replayed = recovery.rebuild(
        Plan(DEFINITIONS, RETAINED_ARRIVALS), burana.burana.ledger, burana.settings.home / "no snapshot"
    )
    engine, rows = burana.burana.assessor.records.engine, probes(burana.settings.identifiers())
    assert [engine.read(row).tobytes() for row in rows] == [replayed.read(row).tobytes() for row in rows]
    assert verification.verify(burana.settings.database, burana.burana.plan)["vectors_differ"] == 0


def test_a_process_that_starts_with_a_clock_behind_the_ledger_goes_on_where_the_ledger_ends(
    settings: Settings, clock: Clock
) -> None:
    with InProcess(settings, clock) as first:
        at(first, 1, clock.now)
    clock.now -= HOUR
    with InProcess(settings, clock) as second:
        at(second, 2, clock.now)
        assert steps_back(second) == 1
        one, two = recorded(second)
    assert one == two


@given(st.lists(st.integers(-5_000, 5_000), min_size=1, max_size=40), st.integers(-100_000, 100_000))
def test_whatever_the_clock_does_a_moment_of_the_ledger_is_found_by_halving(steps: list[int], asked: int) -> None:
    moment, counted, moments = datetime(2026, 3, 1, tzinfo=UTC), [], []
    clock = iter([moment := moment + timedelta(seconds=step) for step in steps])
    recorded_at = RecordedAt(lambda: next(clock), datetime(2026, 3, 1, tzinfo=UTC), lambda: counted.append(1))
    moments = [recorded_at.now() for _ in steps]
    assert moments == sorted(moments)
    assert len(counted) == sum(step < 0 for step in steps)
    wanted = as_kept(datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=asked))
    assert Stored(moments).last_before(wanted) == sum(each < wanted for each in moments)


class Stored(Ledger):
    """A ledger of these moments and nothing else."""

    def __init__(self, moments: list[str]) -> None:
        self._moments = moments

    @property
    def last_sequence(self) -> int:
        """See Ledger."""
        return len(self._moments)

    def _recorded_at(self, sequence: int) -> str:
        return self._moments[sequence - 1]


def test_a_history_that_is_brought_in_after_a_step_back_is_recorded_no_earlier_than_the_last_entry(
    settings: Settings, tmp_path: Path
) -> None:
    tomorrow = as_kept(datetime.now(UTC) + timedelta(days=1))
    with databases.connect(settings.database) as database:
        bring_in(database, iter([entry(1, recorded_at=tomorrow)]))
        brought = histories.History(
            histories.table_of([OPERATION.decode(body(operation(7)))], Operation, [0]),
            histories.empty(Event), histories.empty(Outcome),
        )  # fmt: skip
        histories.write(brought, tmp_path / "history")
        arguments = ["--home", str(settings.home), "--database", settings.database, "--history", str(tmp_path / "history")]
        assert cli.main(["backfill", *arguments]) == 0
        assert [one.recorded_at for one in Ledger(database).read()] == [tomorrow, tomorrow]
