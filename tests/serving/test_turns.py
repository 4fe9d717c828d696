"""Records that come together go together, in the order of their coming; one that fails on its way takes nothing with it."""

import asyncio
from collections.abc import Callable

import numpy as np
import pytest

from domain.errors import LedgerError
from serving.records import Pending
from serving.scoring import MOST_TOGETHER
from serving.stages import Steps
from serving.turns import Turns
from tests.serving.examples import body, event, operation, outcome
from tests.serving.running import InProcess, rows_in
from tests.serving.test_degrading import equals_a_replay

OPERATIONS, EVENTS, OUTCOMES = "/v1/operations", "/v1/events", "/v1/outcomes"


def pending(name: int) -> Pending:
    return Pending(("operation", str(name)), b"", np.zeros(1, np.int64), 0.0)


def went(add: Callable[[Turns, list[str]], None]) -> tuple[list[str], list[str]]:
    """What was done by whom, and who failed of what."""
    done: list[str] = []
    failed: list[str] = []

    async def scenario() -> None:
        turns = Turns(lambda one, error: failed.append(f"{one.key[1]} {error}"))
        add(turns, done)
        for _ in range(10):
            await asyncio.sleep(0)

    asyncio.run(scenario())
    return done, failed


def steps(name: int, done: list[str], count: int = 3, fails_at: int = -1) -> Steps[None]:
    for step in range(count):
        if step == fails_at:
            raise RuntimeError("it broke")
        done.append(f"{name}{'abc'[step]}")
        yield


def test_a_step_of_all_comes_before_the_next_of_any():
    def add(turns: Turns, done: list[str]) -> None:
        for name in range(3):
            turns.add(pending(name), steps(name, done, count=3 - name))

    assert went(add) == (["0a", "1a", "2a", "0b", "1b", "0c"], [])


def test_whose_step_fails_is_told_and_the_others_go_on():
    def add(turns: Turns, done: list[str]) -> None:
        for name in range(3):
            turns.add(pending(name), steps(name, done, count=2, fails_at=1 if name == 1 else -1))

    assert went(add) == (["0a", "1a", "2a", "0b", "2b"], ["1 it broke"])


def test_more_than_may_go_together_go_one_lot_after_another():
    def add(turns: Turns, done: list[str]) -> None:
        for name in range(2 * MOST_TOGETHER + 1):
            turns.add(pending(name), steps(name, done, count=2))

    done, _ = went(add)
    lots = [range(MOST_TOGETHER), range(MOST_TOGETHER, 2 * MOST_TOGETHER), range(2 * MOST_TOGETHER, 2 * MOST_TOGETHER + 1)]
    assert done == [f"{name}{step}" for lot in lots for step in "ab" for name in lot]


# ---- in a server ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def burana(settings):
    with InProcess(settings) as running:
        yield running


def test_whatever_comes_together_is_recorded_in_the_order_of_its_coming_and_its_features_are_those_of_a_replay(burana):
    numbers = range(1, 3 * MOST_TOGETHER)
    records = [(OPERATIONS, body(operation(number))) for number in numbers]
    records[10:10] = [(EVENTS, body(event(1))), (OUTCOMES, body(outcome(1))), (OPERATIONS, body(operation(1)))]
    answers = burana.post_many(records)
    assert {answer.status for answer in answers} == {200}
    assert answers[12].body == answers[0].body, "the repeat waits for the answer that is on its way"
    assert [answer.json["sequence"] for answer in answers[:12] + answers[13:]] == list(range(1, len(records)))
    assert equals_a_replay(burana)


@pytest.mark.parametrize("lost", ["_question", "_evidence"])
def test_an_operation_that_is_lost_on_its_way_takes_nothing_with_it(burana, monkeypatch, lost):
    """A defect that nobody foresaw: where it strikes after the features took the operation, later ones are told to retry."""
    assessor = burana.burana.assessor
    sound = getattr(assessor, lost)
    lots: list[int] = []

    def strikes(*arguments):
        lots.append(1)
        if len(lots) == 3:
            raise RuntimeError("nobody foresaw it")
        return sound(*arguments)

    assert burana.post(OPERATIONS, body(operation(1))).status == 200
    monkeypatch.setattr(assessor, lost, strikes)
    sent = [body(operation(number)) for number in range(2, 8)]

    async def together() -> list[type]:
        found = await asyncio.gather(*(assessor.operation(content) for content in sent), return_exceptions=True)
        return [type(one) for one in found]

    others = LedgerError if lost == "_evidence" else bytes
    assert burana.run(together()) == [bytes, bytes, RuntimeError, others, others, others]
    burana.wait_until(lambda: assessor.records.broken is None)
    assert burana.run(together()) == [bytes] * 6
    assert rows_in(burana.settings.database) == 7
    assert equals_a_replay(burana)


def test_an_outcome_is_not_recorded_where_its_operation_was_lost_before_it(burana, monkeypatch):
    assessor = burana.burana.assessor

    async def together() -> list[object]:
        coming = (assessor.operation(body(operation(1))), assessor.outcome(body(outcome(1))))
        return await asyncio.gather(*coming, return_exceptions=True)

    with monkeypatch.context() as broken:
        broken.setattr(assessor, "_question", lambda case: 1 / 0)
        lost, refused = burana.run(together())
    assert isinstance(lost, ZeroDivisionError)
    assert isinstance(refused, LedgerError)
    assert rows_in(burana.settings.database) == 0
    assert [type(one) for one in burana.run(together())] == [bytes, bytes]
    assert equals_a_replay(burana)
