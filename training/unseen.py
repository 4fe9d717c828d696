"""What a bundle answers to days that it was not trained on, beside what is known of them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from domain import instants
from domain.errors import HistoryError
from features import history as histories
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.labels import UNKNOWN
from features.plan import Plan
from training import released
from training.dataset import Dataset, Outcomes, dataset_of, span
from training.ranked import Floats, Ranked
from training.released import Released
from training.vectors import vectors

SILENCE_COUNTS = timedelta(0)
"""Nothing is waited for: an operation of which nothing is known counts as genuine, as in daily work."""


@dataclass(frozen=True)
class Unseen:
    """A bundle, operations from `start` on, each with a label, that it was not trained on, and its scores (n,) of them."""

    bundle: Released
    start: datetime
    operations: Dataset
    scores: Floats

    @property
    def ranked(self) -> Ranked:
        """The operations from the highest score down."""
        operations = self.operations
        return Ranked(self.scores, operations.labels, operations.amounts, operations.days)


def unseen(folder: Path, bundle: Path, start: datetime | None = None) -> Unseen:
    """The operations from `start` on of the history in `folder`, with everything that ever became known of them.

    start: by default the first whole day (UTC) after the last operation that the bundle was trained on. HistoryError when the bundle may have been trained on these days, or
    when no fraud, or nothing else, is known of them; BundleError when the bundle reads other features than run.
    """
    champion, history = released.read(bundle, Plan(DEFINITIONS, RETAINED_ARRIVALS)), histories.read(folder)
    start = _after_training(champion, start)
    past, asked = span(history, start, None)
    outcomes = Outcomes(asked, history.outcomes, history.decisions)
    matrix = vectors(past, champion.features, start)
    dataset = dataset_of(asked, matrix, outcomes, outcomes.end, SILENCE_COUNTS)
    operations = dataset.where(dataset.labels != UNKNOWN)
    if not 0 < np.count_nonzero(operations.labels) < len(operations):
        raise HistoryError(
            f"{folder}: {np.count_nonzero(operations.labels)} frauds are known among {len(operations)} operations from "
            f"{start:%Y-%m-%d} on; both kinds are needed: name an earlier day"
        )
    return Unseen(champion, start, operations, champion.model.score(operations.matrix))


def _after_training(champion: Released, start: datetime | None) -> datetime:
    trained_to, version = champion.manifest.trained_to, champion.manifest.version
    if trained_to is None:
        if start is None:
            raise HistoryError(f"{version} does not say until when it was trained; name the first day that it has not seen")
        return start
    if start is not None and start < trained_to:
        raise HistoryError(
            f"{version} may have been trained on operations before {trained_to:%Y-%m-%d %H:%M}, asked are those from "
            f"{start:%Y-%m-%d} on; name a later day"
        )
    return start or _midnight(trained_to)


def _midnight(moment: datetime) -> datetime:
    """The first midnight (UTC) that is not before a moment."""
    return instants.from_ms(-(-instants.to_ms(moment) // instants.DAY) * instants.DAY)
