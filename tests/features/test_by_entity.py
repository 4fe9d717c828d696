"""A history replayed entity by entity gives the bits of the order of arrival."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from features import by_entity, kernel
from features.by_entity import Gathering, computed, matrix_of
from features.engine import Engine, numbered
from features.layout import Fact, Slot, Word, space_of
from features.plan import Plan
from tests.features.test_engine import SHORT, arrivals
from tests.features.test_parts import PLANS, crowded


def asked_of(rows: np.ndarray) -> np.ndarray:
    return rows[:, Word.FACTS] & Fact.OPERATION != 0


def in_order(rows: np.ndarray, plan: Plan, asked: np.ndarray) -> np.ndarray:
    matrix = np.empty((int(asked.sum()), len(plan)))
    Engine(plan).replay(rows, matrix, numbered(asked))
    return matrix


def gathered(rows: np.ndarray, asked: np.ndarray, size: int) -> by_entity.Arrivals:
    gathering = Gathering(len(rows))
    for first in range(0, len(rows), size):
        gathering.append(rows[first : first + size], asked[first : first + size])
    return gathering.arrivals()


@PLANS
@settings(max_examples=30)
@given(rows=arrivals(), size=st.integers(1, 40), random=st.randoms())
def test_entity_by_entity_gives_the_bits_of_the_order_of_arrival(
    plan: Plan, rows: list[list[int]], size: int, random
) -> None:
    whole = np.array(rows)
    asked = asked_of(whole) & np.array([random.random() < 0.8 for _ in rows])
    assert matrix_of(plan, gathered(whole, asked, size)).tobytes() == in_order(whole, plan, asked).tobytes()


@PLANS
@pytest.mark.parametrize("threads", [1, 2])
def test_a_long_crowded_history_gives_the_same_bits_on_one_thread_and_on_two(
    plan: Plan, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(by_entity, "STEP", 7)  # of turns: an entity is never cut
    rows = crowded(3_000)
    expected = in_order(rows, plan, asked_of(rows))
    blocks = computed(plan, gathered(rows, asked_of(rows), 700), threads)
    assert len(blocks) == len(expected)
    assert blocks.rows(0, len(rows)).tobytes() == expected.tobytes()
    assert blocks.rows(900, 1_300).tobytes() == expected[900:1_300].tobytes()
    assert blocks.missing == np.isnan(expected).sum()


@njit
def hashes(first: int, count: int, space: int) -> np.ndarray:
    found = np.empty(count, np.int64)
    for i in range(count):
        found[i] = kernel._entity_hash(first + i, space)
    return found


def alike(slot: Slot, count: int = 1 << 18) -> tuple[int, int]:
    """Two keys of a slot that a turn does not tell apart."""
    upper = (hashes(1, count, space_of(slot)) & 0x7FFF_FFFF_FFFF_FFFF) >> kernel.TURN_HASH
    order = np.argsort(upper, kind="stable")
    same = np.flatnonzero(np.diff(upper[order]) == 0)
    assert len(same), "among so many keys some share their upper bits"
    return tuple(int(1 + place) for place in order[same[0] : same[0] + 2])


@pytest.mark.parametrize("slot", [Slot.CUSTOMER, Slot.RECIPIENT])
def test_entities_that_share_the_bits_of_a_turn_stay_two(slot: Slot) -> None:
    rows, pair = crowded(400), alike(slot)
    rows[:, Word[slot.name]] = np.where(np.random.default_rng(5).random(len(rows)) < 0.5, *pair)
    assert matrix_of(SHORT, gathered(rows, asked_of(rows), 400)).tobytes() == in_order(rows, SHORT, asked_of(rows)).tobytes()


def test_an_empty_history_has_an_empty_matrix() -> None:
    none = crowded(1)[:0]
    assert matrix_of(SHORT, gathered(none, asked_of(none), 1)).shape == (0, len(SHORT))


def test_more_rows_than_there_is_room_for_and_a_matrix_that_is_too_narrow_are_refused() -> None:
    rows = crowded(20)
    with pytest.raises(ValueError, match=r"behind 0, allowed \(n, 21\), 10 in all"):
        Gathering(10).append(rows, asked_of(rows))
    with pytest.raises(ValueError, match="allowed"):
        computed(SHORT, gathered(rows, asked_of(rows), 20)).lay(0, np.empty((1, len(SHORT) - 1)))
