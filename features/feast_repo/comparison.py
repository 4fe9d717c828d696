"""The on-demand view: frames of packed bytes in, the served comparison in between, a frame of features out."""

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from domain.errors import StateError
from features import profile_kernel as kernel
from features.layout import WORDS
from features.profile_language import Whose
from features.profiles import LAYOUTS, PROFILE_NAMES, ROW_WORDS, STEPS


def compare_with_profiles(inputs: pd.DataFrame) -> pd.DataFrame:
    """What Feast keeps the source of and runs in a namespace of its own: it must bring its imports along."""
    from features.feast_repo.comparison import values_of  # noqa: PLC0415

    return values_of(inputs)


def values_of(inputs: pd.DataFrame) -> pd.DataFrame:
    """`operation_row`, `customer_profile_packed` ... as bytes or missing -> the profile features, float64; StateError by length."""
    given, place = _unpacked(inputs["operation_row"], WORDS)
    rows = np.zeros((len(inputs), WORDS), np.int64)
    rows[place >= 0] = given
    index = np.empty((len(rows), len(Whose)), np.int64)
    packed: list[NDArray[np.int64]] = []
    for whose in Whose:
        profiles, index[:, whose] = _unpacked(inputs[f"{whose.name.lower()}_profile_packed"], LAYOUTS[whose].width)
        packed.append(profiles)
    index[place < 0] = -1
    customer, recipient, device = packed
    out = np.empty((len(rows), len(PROFILE_NAMES)), np.float64)
    kernel.compare(STEPS, ROW_WORDS, rows, index, (customer, recipient, device), out)
    return pd.DataFrame(out, columns=list(PROFILE_NAMES), index=inputs.index)


def _unpacked(column: "pd.Series[bytes]", words: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The given values one under another (m, words), and for each of the column the place of its own, -1 where missing."""
    values = pa.array(column, pa.large_binary(), from_pandas=True)  # its values lie one behind another: no object per value
    given = values.is_valid().to_numpy(zero_copy_only=False)
    lengths = np.diff(np.frombuffer(values.buffers()[1], np.int64, len(values) + 1))[given]
    if np.any(lengths != 8 * words):
        seen = lengths[lengths != 8 * words][0]
        raise StateError(
            f"{column.name}: seen {seen} bytes, allowed {8 * words}; the store was filled by other declarations"
        )
    data = values.buffers()[2] if len(lengths) else b""
    rows = np.frombuffer(data, "<i8", len(lengths) * words).astype(np.int64).reshape(-1, words)
    return rows, np.where(given, np.cumsum(given) - 1, -1)
