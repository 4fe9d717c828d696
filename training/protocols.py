"""The prequential protocol of the Fraud Detection Handbook (ch. 5), on any history: train, wait for labels, test, move on.

A fold that starts on day s trains up to s + 7 days, waits until its labels are old enough, and tests on the days that follow.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from domain import instants
from domain.errors import HistoryError, SettingsError
from features.labels import UNKNOWN
from training.dataset import Dataset, Outcomes, customer_numbers

Mask = NDArray[np.bool_]
WEEK = timedelta(days=7)
"""From here the drop rule looks for compromised customers, however long training is; training ends with it."""


@dataclass(frozen=True)
class Fold:
    """What one model is trained on and tested on, as masks (n,) over the operations of a history.

    start: first day of the training week; known: (n,) int8, the labels as they were known on the first day of the test;
    dropped: operations of the test's days that are left out because their customer was known to be compromised.
    """

    start: datetime
    train: Mask
    test: Mask
    known: NDArray[np.int8]
    dropped: int

    def training(self, dataset: Dataset) -> Dataset:
        """The operations to train on, with the labels of that day."""
        return replace(dataset, labels=self.known).where(self.train)

    def testing(self, dataset: Dataset) -> Dataset:
        """The operations to test on."""
        return dataset.where(self.test)


@dataclass(frozen=True)
class Prequential:
    """The lengths of a fold in days; drop_compromised: customers known to be compromised are no longer tested.

    A label counts once its operation is `delay_days` old: in training, and for the drop rule on each day of the test. What was
    stopped and has no verdict is not tested.
    """

    train_days: int = 7
    delay_days: int = 7
    test_days: int = 7
    drop_compromised: bool = True

    def __post_init__(self) -> None:
        if self.train_days < 1 or self.delay_days < 0 or self.test_days < 1:
            raise SettingsError(f"{self}: allowed train_days and test_days of 1 and more, delay_days of 0 and more")

    @property
    def delay(self) -> timedelta:
        """How old an operation must be for its label to count."""
        return timedelta(days=self.delay_days)

    def train_start(self, start: datetime) -> datetime:
        """Training is extended backwards from the end of the training week."""
        return start + WEEK - timedelta(days=self.train_days)

    def test_start(self, start: datetime) -> datetime:
        """Labels of the last operation trained on count from here."""
        return start + WEEK + self.delay

    def test_end(self, start: datetime) -> datetime:
        """The first moment after the test."""
        return self.test_start(start) + timedelta(days=self.test_days)

    def folds(self, operations: pa.Table, outcomes: Outcomes, starts: list[datetime]) -> list[Fold]:
        """A fold for each start; outcomes are those of the operations. HistoryError when the history does not cover one."""
        times = operations["occurred_at"].cast(pa.int64()).to_numpy()
        if not len(times):
            raise HistoryError(f"no operations around {starts[0]:%Y-%m-%d}; name starts that the history covers")
        customers, truth = customer_numbers(operations), outcomes.labels(outcomes.end, self.delay)
        settled = times < instants.to_ms(outcomes.end - self.delay)
        stopped = settled & (truth == UNKNOWN)  # and no verdict followed: nobody knows what they were
        folds = [self._fold(start, times, customers, outcomes) for start in starts]
        folds = [replace(fold, test=fold.test & ~stopped) for fold in folds]
        for fold in folds:
            self._check(fold, times, truth)
        return folds

    def _fold(self, start: datetime, times: NDArray[np.int64], customers: NDArray[np.int64], outcomes: Outcomes) -> Fold:
        known = outcomes.labels(self.test_start(start), self.delay)
        train = _within(times, self.train_start(start), start + WEEK) & (known != UNKNOWN)
        test, dropped = np.zeros(len(times), np.bool_), 0
        for number in range(self.test_days):
            day = self.test_start(start) + timedelta(days=number)
            today = np.flatnonzero(_within(times, day, day + timedelta(days=1)))
            if self.drop_compromised:
                since = times >= instants.to_ms(start)
                compromised = customers[since & (outcomes.labels(day, self.delay) == 1)]
                kept = today[~np.isin(customers[today], compromised)]
                today, dropped = kept, dropped + len(today) - len(kept)
            test[today] = True
        return Fold(start, train, test, known, dropped)

    def _check(self, fold: Fold, times: NDArray[np.int64], truth: NDArray[np.int8]) -> None:
        first, last = (instants.from_ms(int(times[at])) for at in (times.argmin(), times.argmax()))
        start, end = self.train_start(fold.start), self.test_end(fold.start)
        day = timedelta(days=1)
        where = f"the fold of {fold.start:%Y-%m-%d} needs operations from {start:%Y-%m-%d} up to {end:%Y-%m-%d}"
        if first >= start + day or last < end - day:
            raise HistoryError(f"{where}; the history goes from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}")
        if (truth[fold.test] == UNKNOWN).any():
            raise HistoryError(f"{where}, all with a known label; some of the test are not {self.delay_days} days old yet")
        for name, labels in (("training", fold.known[fold.train]), ("test", truth[fold.test])):
            if not 0 < labels.sum() < len(labels):
                raise HistoryError(
                    f"{where}; its {name} has {len(labels)} operations and {labels.sum()} frauds, both kinds are needed"
                )


def _within(times: NDArray[np.int64], start: datetime, end: datetime) -> Mask:
    return (times >= instants.to_ms(start)) & (times < instants.to_ms(end))
