"""What stopping some operations would have meant: fraud and money caught, genuine customers stopped, alerts a day, and their intervals."""

import math
from collections.abc import Mapping

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from serving.backtest.heard import Heard
from serving.backtest.resampling import Floats, Integers, Resamples, interval

_ALERTS, _FRAUD, _GENUINE, _FRAUD_MONEY, _GENUINE_CUSTOMERS, _DEFRAUDED, _FRAUDS, _MONEY = range(8)


SHARES = (
    "precision", "recall", "money_recall", "fraud_tyiyn_per_genuine_customer", "cost_tyiyn_per_defrauded_customer"
)  # fmt: skip


class Costs(Struct, frozen=True):
    """What stopping costs, in tyiyn. The defaults are assumptions, not measurements; they are those of `burana train`.

    analyst: one verification; friction: what being stopped costs a genuine customer.
    """

    analyst: float = 5_000
    friction: float = 2_000


class Figures(Struct, frozen=True):
    """What stopping some operations would have meant. None where there is nothing to divide by.

    stopped: operations; a_day: of the period's days; fraud, genuine, unknown: what the stopped turned out to be, as far as known;
    fraud_tyiyn: money of the frauds; genuine_customers, defrauded_customers: different customers with such an operation;
    precision: fraud among the stopped of which it is known; recall, money_recall: share of all known frauds, and of their money;
    fraud_tyiyn_per_genuine_customer: what the stopping of one genuine customer buys; cost_tyiyn_per_defrauded_customer: what
    verifying costs for each customer whose fraud is stopped; intervals: 95% over customers, by name, of those that have a value.
    """

    stopped: int
    a_day: float
    fraud: int
    genuine: int
    unknown: int
    fraud_tyiyn: int
    genuine_customers: int
    defrauded_customers: int
    precision: float | None
    recall: float | None
    money_recall: float | None
    fraud_tyiyn_per_genuine_customer: float | None
    cost_tyiyn_per_defrauded_customer: float | None
    intervals: dict[str, tuple[float, float]]


class Measure:
    """Makes figures of any operations of a trial; what all figures share is done once."""

    def __init__(self, heard: Heard, costs: Costs, involved: NDArray[np.bool_], resamples: int, seed: int) -> None:
        """involved: (n,) operations that any figure may count; their customers, and those of frauds, get weights."""
        self._heard, self._costs = heard, costs
        numbers = np.unique(heard.customers, return_inverse=True)[1]
        self.customers = int(numbers.max(initial=-1)) + 1
        weighed = np.unique(numbers[involved | (heard.labels == 1)])
        self._numbers = np.searchsorted(weighed, numbers)
        self._resamples = Resamples(len(weighed), self.customers, resamples, seed)

    def of(self, rows: Integers, within: NDArray[np.bool_] | None = None, intervals: bool = True) -> Figures:
        """rows: (k,) places of the stopped operations; within: (n,) those that count, all by default."""
        heard = self._heard
        rows = rows if within is None else rows[within[rows]]
        frauds = np.flatnonzero((heard.labels == 1) if within is None else (heard.labels == 1) & within)
        customers = np.concatenate([self._numbers[rows], self._numbers[frauds]])
        values = np.concatenate([_of_stopped(heard, rows), _of_frauds(heard, frauds)])
        sums = values.sum(axis=0)
        named = _named(sums, heard.days, self._costs)
        labels = heard.labels[rows]
        shares = {name: _value(float(named[name])) for name in SHARES}
        return Figures(
            stopped=len(rows), a_day=len(rows) / heard.days, fraud=int((labels == 1).sum()), genuine=int((labels == 0).sum()),
            unknown=int((labels < 0).sum()), fraud_tyiyn=int(sums[_FRAUD_MONEY]),
            genuine_customers=int(sums[_GENUINE_CUSTOMERS]), defrauded_customers=int(sums[_DEFRAUDED]),
            intervals=self._intervals(customers, values) if intervals else {}, **shares,
        )  # fmt: skip

    def _intervals(self, customers: Integers, values: Floats) -> dict[str, tuple[float, float]]:
        named = _named(self._resamples.sums(customers, values), self._heard.days, self._costs)
        return {name: found for name, resampled in named.items() if (found := interval(resampled)) is not None}


def _of_stopped(heard: Heard, rows: Integers) -> Floats:
    """(k, 8) what each stopped operation adds; a customer counts once, with his first operation of a sort."""
    labels, customers = heard.labels[rows], heard.customers[rows]
    values = np.zeros((len(rows), 8))
    is_fraud, is_genuine = labels == 1, labels == 0
    values[:, _ALERTS] = 1
    values[:, _FRAUD], values[:, _GENUINE] = is_fraud, is_genuine
    values[:, _FRAUD_MONEY] = is_fraud * heard.amounts[rows]
    for column, some in ((_GENUINE_CUSTOMERS, is_genuine), (_DEFRAUDED, is_fraud)):
        places = np.flatnonzero(some)
        values[places[np.unique(customers[places], return_index=True)[1]], column] = 1
    return values


def _of_frauds(heard: Heard, frauds: Integers) -> Floats:
    """(k, 8) what each fraud adds to all that could have been caught."""
    values = np.zeros((len(frauds), 8))
    values[:, _FRAUDS], values[:, _MONEY] = 1, heard.amounts[frauds]
    return values


def _named(sums: Floats, days: float, costs: Costs) -> Mapping[str, Floats]:
    """Figures (...,) of sums (..., 8)."""
    column = np.moveaxis(sums, -1, 0)
    spent = costs.analyst * column[_ALERTS] + costs.friction * column[_GENUINE]
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "a_day": column[_ALERTS] / days,
            "genuine_customers": column[_GENUINE_CUSTOMERS],
            "precision": column[_FRAUD] / (column[_FRAUD] + column[_GENUINE]),
            "recall": column[_FRAUD] / column[_FRAUDS],
            "money_recall": column[_FRAUD_MONEY] / column[_MONEY],
            "fraud_tyiyn_per_genuine_customer": _finite(column[_FRAUD_MONEY] / column[_GENUINE_CUSTOMERS]),
            "cost_tyiyn_per_defrauded_customer": _finite(spent / column[_DEFRAUDED]),
        }


def _value(number: float) -> float | None:
    return None if math.isnan(number) else number


def _finite(values: Floats) -> Floats:
    """A share of nobody has no value, however much stands above it."""
    return np.where(np.isfinite(values), values, np.nan)
