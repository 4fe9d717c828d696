"""How often a key may call: a token bucket for each, kept as one number (the generic cell rate algorithm)."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from casework.keys import Caller
from domain.errors import SettingsError
from serving.contracts import Problem, Refusal

MOST = 10**6
_TYPES = ({"per_s": int, "burst": int}, {"per_s": float, "burst": int})


@dataclass(frozen=True)
class Rate:
    """per_s: requests a second on average, 0 for no limit; burst: how many may come at once."""

    per_s: float
    burst: int

    def __post_init__(self) -> None:
        if not (0 <= self.per_s <= MOST and 1 <= self.burst <= MOST):
            raise SettingsError(
                f"rate: seen {self.per_s} a second, burst {self.burst}; allowed 0 to {MOST}, burst 1 to {MOST}"
            )


def rates_of(tables: Mapping[str, Any]) -> dict[str, Rate]:
    """Rates by caller from TOML: `[rates.NAME]` with `per_s` and `burst`; SettingsError names the caller that is wrong."""
    rates = {}
    for caller, table in tables.items():
        if not isinstance(table, dict) or {name: type(value) for name, value in table.items()} not in _TYPES:
            raise SettingsError(f"rates.{caller}: seen {table!r}, allowed per_s, a number, and burst, a whole one")
        try:
            rates[caller] = Rate(**table)
        except SettingsError as error:
            raise SettingsError(f"rates.{caller}: {error}") from None
    return rates


class Rates:
    """The buckets of one process; another process of the same operator has its own."""

    def __init__(self, default: Rate, by_caller: Mapping[str, Rate], clock: Callable[[], float]) -> None:
        """clock: seconds that never go back."""
        self._default, self._by_caller, self._clock = default, by_caller, clock
        self._empty_at: dict[str, float] = {}

    def take(self, caller: Caller) -> None:
        """Count one request of a key; Refusal 429 says after how many seconds one more is taken."""
        rate = self._by_caller.get(caller.name, self._default)
        if not rate.per_s:
            return
        now = self._clock()
        # the moment at which all that came will have been worked off at the rate: it may lie a burst ahead
        empty_at = max(self._empty_at.get(caller.key_id, now), now) + 1 / rate.per_s
        wait = empty_at - now - rate.burst / rate.per_s
        if wait > 1e-9:  # a nanosecond: sums of steps are off by less
            problem = Problem(
                "too_many_requests", f"more than {rate.per_s:g} requests a second, {rate.burst} at once; slow down"
            )
            raise Refusal(429, problem, max(1, math.ceil(wait)))
        self._empty_at[caller.key_id] = empty_at
