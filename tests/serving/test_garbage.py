"""Garbage is collected seldom while callers wait, but it is collected."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from serving import garbage


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


class Cycle:
    def __init__(self) -> None:
        self.itself = self


def test_what_is_loaded_is_not_looked_through_again():
    garbage.leave_what_is_loaded()
    assert gc.get_freeze_count() > 10_000
    assert len(gc.get_objects()) < 1_000


def test_a_cycle_that_is_left_while_callers_wait_goes_without_a_look_at_everything():
    garbage.leave_what_is_loaded()
    whole = gc.get_stats()[2]["collections"]
    left = weakref.ref(Cycle())
    kept = [[] for _ in range(50_000)]
    assert left() is None
    assert len(kept) == 50_000
    assert gc.get_stats()[2]["collections"] == whole
