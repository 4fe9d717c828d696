"""The compiled step of contributions: one pass down a tree makes the products of its paths, one up sums what lies below each edge.

Formulas and words are those of `tree_contributions.py`. All that is asked at one point of the integral is done for LANES at once,
and both sides of a split together, without a jump that could be guessed wrong: one division serves both, for the factor of the
side that the vector does not take is cover * (1 - t).
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from features.lanes import LANES, load, spread, store
from features.pointers import as_floats

jit = njit(cache=True, nogil=True, error_model="numpy")
inlined = njit(cache=True, error_model="numpy", forceinline=True)

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Splits = NDArray[np.void]
Pointer = Any

SPLIT = np.dtype([
    ("most", "<f8"), ("left_cover", "<f8"), ("right_cover", "<f8"), ("left_value", "<f8"), ("right_value", "<f8"),
    ("column", "<i4"), ("feature", "<i4"), ("edge", "<i4"), ("above", "<i4"),
])  # fmt: skip
"""A split of a tree, parents before children. The edges to the children of a tree's split i are 2 i + 1 and 2 i + 2; edge 0 leads
to its root.

most: what goes left; covers: of the edges, as `tree_contributions.NODE` has it; values: of a leaf, 1 where there is another split;
column: of the values and, after them, the values with minus infinity for missing ones; edge: that leads here; above: the nearest
edge on the way that asks the same feature, else 0.
"""

PRODUCT, INVERSE, KEPT = 0, LANES, 2 * LANES
"""What is kept of each edge, KEPT doubles. product: of the path's factors, weighed, and on the way up the sum of what lies below;
inverse: of the factor of the edge's own feature."""
PASSED, GAIN, TOLD = 0, 1, 2
"""Of each edge too: whether the vector passes all splits on its feature, and that less the cover."""


@jit
def contribute(splits: Splits, bounds: Integers, passes: Integers, points: Floats, matrix: Floats, out: Floats) -> None:
    """What each value of a matrix (n, features) adds: out (n, features).

    bounds: (trees + 1,): where each tree begins, and the last ends; passes: (trees,), by how many times LANES points; points: (n, 2,
    LANES), points and weights of one time LANES, then of two times, and so on.
    """
    most = 0
    for tree in range(len(bounds) - 1):
        most = max(most, bounds[tree + 1] - bounds[tree])
    columns, edges = matrix.shape[1], 2 * most + 1
    room, told, values = np.empty(8 + LANES * columns + KEPT * edges), np.empty(TOLD * edges), np.empty(2 * columns)
    begin = (room.ctypes.data + 63) // 64 * 64
    rules, sums, kept = as_floats(points.ctypes.data), as_floats(begin), as_floats(begin + 8 * LANES * columns)
    for row in range(len(matrix)):
        for column in range(columns):
            x = matrix[row, column]
            values[column], values[columns + column] = x, -np.inf if np.isnan(x) else x
            store(sums, LANES * column, spread(0.0))
        for tree in range(len(bounds) - 1):
            some = splits[bounds[tree] : bounds[tree + 1]]
            for n in range(passes[tree]):
                at = 2 * LANES * (passes[tree] * (passes[tree] - 1) // 2 + n)
                _down(some, values, load(rules, at), load(rules, at + LANES), told, kept)
                _up(some, told, kept, sums)
        for column in range(columns):
            total = 0.0
            for k in range(LANES):
                total += sums[LANES * column + k]
            out[row, column] = total
    room[0] = 0.0  # an array is freed after its last use, even where an address in it is still in use: this is the last


@inlined
def _down(splits: Splits, values: Floats, points: Any, weights: Any, told: Floats, kept: Pointer) -> None:
    """Keep and tell of every edge what stands at PRODUCT and PASSED."""
    one = spread(1.0)
    rest = one - points
    inverse_rest = one / rest
    told[PASSED], told[GAIN] = 1.0, 0.0
    store(kept, PRODUCT, weights)
    store(kept, INVERSE, one)
    for i in range(len(splits)):
        split = splits[i]
        is_left = values[split.column] <= split.most
        takes_left, takes_right = (1.0, 0.0) if is_left else (0.0, 1.0)
        left, right = 2 * i + 1, 2 * i + 2
        passed = told[TOLD * split.above + PASSED]
        left_passed, right_passed = passed * takes_left, passed * takes_right
        told[TOLD * left + PASSED], told[TOLD * left + GAIN] = left_passed, left_passed - split.left_cover
        told[TOLD * right + PASSED], told[TOLD * right + GAIN] = right_passed, right_passed - split.right_cover
        before = load(kept, KEPT * split.edge + PRODUCT) * load(kept, KEPT * split.above + INVERSE)
        left_factor = split.left_cover * rest + left_passed * points
        right_factor = split.right_cover * rest + right_passed * points
        divided = one / (takes_left * left_factor + takes_right * right_factor)
        store(kept, KEPT * left + PRODUCT, before * left_factor)
        store(kept, KEPT * right + PRODUCT, before * right_factor)
        store(kept, KEPT * left + INVERSE, takes_left * divided + (takes_right / split.left_cover) * inverse_rest)
        store(kept, KEPT * right + INVERSE, takes_right * divided + (takes_left / split.right_cover) * inverse_rest)


@inlined
def _up(splits: Splits, told: Floats, kept: Pointer, sums: Pointer) -> None:
    """Sum what lies below each edge, and add the edge's part to its feature.

    An edge on a feature that was asked above speaks for the leaves below it, so the edge above no longer does.
    """
    for i in range(len(splits) - 1, -1, -1):
        split, left, right = splits[i], 2 * i + 1, 2 * i + 2
        below_left = load(kept, KEPT * left + PRODUCT) * split.left_value
        below_right = load(kept, KEPT * right + PRODUCT) * split.right_value
        above = told[TOLD * split.above + GAIN] * load(kept, KEPT * split.above + INVERSE)
        share_left = told[TOLD * left + GAIN] * load(kept, KEPT * left + INVERSE) - above
        share_right = told[TOLD * right + GAIN] * load(kept, KEPT * right + INVERSE) - above
        feature = LANES * split.feature
        store(sums, feature, load(sums, feature) + (below_left * share_left + below_right * share_right))
        store(kept, KEPT * split.edge + PRODUCT, below_left + below_right)
