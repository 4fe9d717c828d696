"""History -> the matrix that a model is trained on: behaviour by the step that runs online, then profiles as they were known."""

from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from domain import instants
from features.arrivals import rows_of_history
from features.batch import matrix_of
from features.feature_set import FeatureSet
from features.halves import Asked, replayed
from features.history import History
from features.layout import Fact, Word
from features.profile_days import values

CHUNK = 1 << 17


def vectors(history: History, features: FeatureSet, start: datetime | None = None) -> NDArray[np.float64]:
    """The point-in-time matrix (operations, len(features)) float64, rows in the history's order of operations.

    start: operations before it are history only, their rows are left out.
    """
    if not features.with_profiles:
        return matrix_of(history, features.plan, start=start)
    rows, _ = rows_of_history(history)
    asked = rows[:, Word.FACTS] & int(Fact.OPERATION) != 0
    if start is not None:
        asked &= rows[:, Word.TIME] >= instants.to_ms(start)
    wanted = np.where(asked, np.cumsum(asked) - 1, -1)
    matrix = np.empty((int(asked.sum()), len(features)), np.float64)
    parts = (slice(first, first + CHUNK) for first in range(0, len(rows), CHUNK))
    for _ in replayed((Asked(rows[part].copy(), wanted[part], matrix) for part in parts), features.plan):
        pass
    values(rows, matrix[:, len(features.plan) :], wanted)
    return matrix
