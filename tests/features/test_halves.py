"""A history replayed by two engines, one behind the other, gives the bits of one engine."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import halves
from features.engine import Engine
from features.halves import replayed
from features.layout import Fact, Slot, Word
from features.plan import Plan
from tests.features.test_engine import PLAN, arrivals
from tests.features.test_parts import PLANS, slices_of_rows

UNTOUCHED = -7.0


def by_pieces(rows: np.ndarray, plan: Plan, size: int) -> np.ndarray:
    matrix = np.full((count_of(rows), len(plan)), UNTOUCHED)
    for piece in replayed(halves.asked_of(slices_of_rows(rows.copy(), size), matrix), plan):
        assert len(piece.rows) <= size
    return matrix


def count_of(rows: np.ndarray) -> int:
    return int((rows[:, Word.FACTS] & Fact.OPERATION != 0).sum())


def by_one_engine(rows: np.ndarray, plan: Plan) -> np.ndarray:
    asked = rows[:, Word.FACTS] & Fact.OPERATION != 0
    matrix = np.empty((count_of(rows), len(plan)))
    Engine(plan).replay(rows, matrix, np.where(asked, np.cumsum(asked) - 1, -1))
    return matrix


@PLANS
@pytest.mark.parametrize("cores", [1, 2])
@settings(max_examples=30)
@given(rows=arrivals(), size=st.integers(1, 40))
def test_two_engines_give_the_bits_of_one(plan: Plan, cores: int, rows: list[list[int]], size: int) -> None:
    whole = np.array(rows)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(halves, "cores", lambda: cores)
        assert by_pieces(whole, plan, size).tobytes() == by_one_engine(whole, plan).tobytes()


@settings(max_examples=30)
@given(rows=arrivals(), size=st.integers(1, 40))
def test_each_half_writes_the_columns_of_its_own_kinds_of_entities(rows: list[list[int]], size: int) -> None:
    whole = np.array(rows)
    asked = whole[:, Word.FACTS] & Fact.OPERATION != 0
    of_customers = np.array(PLAN.slots) == Slot.CUSTOMER
    for half, own in zip(halves.halves(PLAN), (of_customers, ~of_customers), strict=True):
        matrix = np.full((count_of(whole), len(PLAN)), UNTOUCHED)
        Engine(half).replay(whole, matrix, np.where(asked, np.cumsum(asked) - 1, -1))
        assert half.marks == PLAN.marks
        assert np.array_equal((matrix != UNTOUCHED).all(axis=0), own | (len(matrix) == 0))


def test_a_plan_of_one_kind_of_entity_stays_whole() -> None:
    customers = [declared for declared, slot in zip(PLAN.declarations, PLAN.slots, strict=True) if slot == Slot.CUSTOMER]
    plan = Plan(customers, PLAN.retained, PLAN.marks)
    assert halves.halves(plan) == [plan]
