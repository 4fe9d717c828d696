"""How often a key may call: a burst at once, then the rate, and a refusal that says when to come again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casework.keys import Caller, Scope
from domain.errors import SettingsError
from serving.contracts import Refusal
from serving.rates import Rate, Rates, rates_of
from serving.settings import load

FIRST, SECOND = (Caller("core", frozenset(Scope), key_id) for key_id in ("a", "b"))
OTHER = Caller("other", frozenset(Scope), "c")


class Clock:
    """A clock that a test sets."""

    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


def taken(rates: Rates, caller: Caller) -> bool:
    try:
        rates.take(caller)
    except Refusal as refusal:
        assert refusal.status == 429
        assert refusal.retry_after_s >= 1
        return False
    return True


def test_a_burst_is_taken_and_then_the_rate():
    clock = Clock()
    rates = Rates(Rate(10, 5), {}, clock)
    assert [taken(rates, FIRST) for _ in range(6)] == [True] * 5 + [False]
    clock.now += 0.1
    assert [taken(rates, FIRST) for _ in range(2)] == [True, False]
    clock.now += 3_600
    assert sum(taken(rates, FIRST) for _ in range(10)) == 5, "rest gives no more than a burst"


def test_each_key_has_a_bucket_of_its_own():
    rates = Rates(Rate(1, 1), {}, Clock())
    assert [taken(rates, caller) for caller in (FIRST, SECOND, OTHER, FIRST)] == [True, True, True, False]


def test_a_caller_may_have_another_rate_and_none_is_no_limit():
    rates = Rates(Rate(1, 1), {"other": Rate(0, 1)}, Clock())
    assert all(taken(rates, OTHER) for _ in range(1_000))
    unlimited = Rates(Rate(0, 1), {"core": Rate(1, 2)}, Clock())
    assert [taken(unlimited, FIRST) for _ in range(3)] == [True, True, False]


def test_a_refusal_says_when_the_next_is_taken():
    clock = Clock()
    rates = Rates(Rate(0.25, 1), {}, clock)
    rates.take(FIRST)
    with pytest.raises(Refusal) as refused:
        rates.take(FIRST)
    assert refused.value.retry_after_s == 4
    clock.now += 4
    rates.take(FIRST)


@given(steps=st.lists(st.floats(0, 2), max_size=200), per_s=st.floats(0.1, 100), burst=st.integers(1, 20))
def test_in_no_time_more_is_taken_than_burst_and_rate_allow(steps, per_s, burst):
    clock = Clock()
    rates, moments = Rates(Rate(per_s, burst), {}, clock), []
    for step in steps:
        clock.now += step
        if taken(rates, FIRST):
            moments.append(clock.now)
    for first, began in enumerate(moments):
        for count, moment in enumerate(moments[first:], 1):
            assert count <= burst + (moment - began) * per_s + 1e-6


def test_settings_name_the_rates_of_callers(tmp_path):
    file = tmp_path / "burana.toml"
    file.write_text('rate_per_s = 50\nrate_burst = 100\n[rates."wallet core"]\nper_s = 500\nburst = 1000\n')
    settings = load(file)
    assert (settings.rate_per_s, settings.rate_burst) == (50, 100)
    assert settings.rates == {"wallet core": Rate(500, 1_000)}


@pytest.mark.parametrize("tables", [{"a": 5}, {"a": {}}, {"a": {"per_s": 1}}, {"a": {"per_s": "x", "burst": 1}},
                                    {"a": {"per_s": 1, "burst": 1, "more": 1}}])  # fmt: skip
def test_a_table_that_is_no_rate_is_refused_with_its_caller(tables):
    with pytest.raises(SettingsError, match=r"rates\.a"):
        rates_of(tables)


@pytest.mark.parametrize(("per_s", "burst"), [(-1, 1), (1, 0), (float("nan"), 1), (10**7, 1)])
def test_a_rate_out_of_bounds_is_refused(per_s, burst):
    with pytest.raises(SettingsError, match="rate"):
        Rate(per_s, burst)
