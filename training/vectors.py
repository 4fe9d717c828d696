"""History -> the matrix that a model is trained on: behaviour by the steps that run online, then profiles as they were known."""

from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from domain import instants
from features import by_entity
from features.arrivals import rows_of_history
from features.batch import matrix_of
from features.by_entity import Gathering
from features.engine import numbered
from features.feature_set import FeatureSet
from features.history import History
from features.layout import Fact, Word
from features.profile_days import values


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
    gathering = Gathering(len(rows))
    gathering.append(rows, asked)
    matrix = by_entity.matrix_of(features.plan, gathering.arrivals(), wider=len(features) - len(features.plan))
    values(rows, matrix[:, len(features.plan) :], numbered(asked))
    return matrix
