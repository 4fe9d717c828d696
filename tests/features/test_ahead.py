"""The next item is made in another thread while the caller works on the one before."""

import threading
from collections.abc import Iterator

import pytest

from features.ahead import ahead


def test_items_come_in_their_order() -> None:
    assert list(ahead(iter(range(100)))) == list(range(100))
    assert list(ahead(iter([None, None]))) == [None, None]
    assert list(ahead(iter([]))) == []


def test_the_next_item_is_made_while_the_caller_has_the_one_before() -> None:
    second_begun = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        second_begun.set()
        yield 2

    coming = ahead(items())
    assert next(coming) == 1
    assert second_begun.wait(10)
    assert list(coming) == [2]


def test_never_more_than_one_is_made_ahead() -> None:
    made = []
    coming = ahead(made.append(number) or number for number in range(10))
    assert next(coming) == 0
    assert next(coming) == 1
    assert len(made) <= 3


def test_an_error_is_raised_where_its_item_would_have_come() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("the second cannot be made")

    coming = ahead(items())
    assert next(coming) == 1
    with pytest.raises(ValueError, match="the second cannot be made"):
        next(coming)
