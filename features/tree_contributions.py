"""What each feature of a vector adds to a model's raw score: exact path-dependent TreeSHAP, as LightGBM's `pred_contrib`.

Lundberg et al., From local explanations to global understanding with explainable AI for trees (2020); in linear time after Yu et
al., Linear TreeShap (2022). It lies here, below both floors: training proves and draws what serving answers, by the same step.

For a leaf of value v whose path asks d different features, feature i adds

    v (o_i - z_i) * integral over t in [0, 1] of the product over j != i of (z_j (1 - t) + o_j t) dt

where z_j is the share of the training rows that the path's splits on j let through, and o_j is 1 where the vector passes all of
them, else 0. The product has degree d - 1, so Gauss and Legendre's d / 2 points give the integral exactly. Leaves share their
paths: one pass down a tree makes the products, one pass up sums what lies below each edge.
"""

import io
import zipfile
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numba import njit
from numpy.typing import NDArray

from domain.errors import BundleError

jit = njit(cache=True, nogil=True, error_model="numpy")
inlined = njit(cache=True, error_model="numpy", forceinline=True)

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Nodes = NDArray[np.void]

NODE = np.dtype([
    ("split", "<f8"), ("cover", "<f8"), ("value", "<f8"),
    ("feature", "<i4"), ("parent", "<i4"), ("above", "<i4"), ("asked", "<i2"), ("enters", "<i2"),
])  # fmt: skip
"""A node of a tree and the edge that leads to it; parents come before their children, places count from the tree's root.

split: what the edge's feature is compared with; cover: the share of the training rows that all splits on this feature, from the
root to here, let through; value: of a leaf, else 0; feature: column of the vector, -1 at a root; parent: its place, -1 at a
root; above: the nearest node on the way up whose edge asks the same feature, else 0; asked: how many different features are
asked from the root to here; enters: who takes the edge.
"""
SMALL, MISSING = 1, 2
"""Who takes an edge: values up to the split (else those above), missing ones."""
POINTS = 8
"""Points of the integral that are taken together: they fill the processor's vector registers."""


@dataclass(frozen=True)
class Contributions:
    """The trees of a model with what contributions need.

    nodes: (n,) of NODE, tree after tree; expected: mean raw score over the training rows; slope, intercept: the calibration:
    log odds = slope * raw score + intercept.
    """

    nodes: Nodes
    expected: float
    slope: float
    intercept: float

    def of(self, vector: Floats) -> Floats:
        """(features,) -> (features,): what each value adds to the raw score; the sum and `expected` are the raw score."""
        return self.of_many(vector[None])[0]

    def of_many(self, matrix: Floats) -> Floats:
        """`of` for each row of (n, features); ValueError where columns that the trees ask are not there."""
        if matrix.shape[1] < self.columns:
            raise ValueError(f"vectors of {matrix.shape[1]} features, the trees ask for {self.columns} and more")
        out = np.zeros(matrix.shape)
        _contribute(self.nodes, *self._passes, np.ascontiguousarray(matrix, np.float64), out)
        return out

    @cached_property
    def columns(self) -> int:
        """How many columns a vector has at least."""
        return int(self.nodes["feature"].max(initial=-1)) + 1

    @cached_property
    def _passes(self) -> tuple[Integers, Integers, Floats, Floats]:
        """Where trees begin (and the last ends), how many passes each takes, and by passes the points and weights of all."""
        starts = np.flatnonzero(self.nodes["parent"] < 0)
        asked = np.maximum.reduceat(self.nodes["asked"], starts) if len(starts) else np.ones(1)
        passes = -(-asked.astype(np.int64) // (2 * POINTS))
        rules = [np.polynomial.legendre.leggauss(POINTS * (n + 1)) for n in range(int(passes.max()))]
        points, weights = (np.zeros((len(rules), len(rules), POINTS)) for _ in range(2))
        for n, (at, weight) in enumerate(rules):
            points[n, : n + 1] = (at.reshape(-1, POINTS) + 1) / 2
            weights[n, : n + 1] = weight.reshape(-1, POINTS) / 2
        return np.append(starts, len(self.nodes)), passes, points, weights

    def encode(self) -> bytes:
        """As .npz without pickled objects; the same contributions give the same bytes."""
        file = io.BytesIO()
        np.savez_compressed(file, nodes=self.nodes, model=np.array([self.expected, self.slope, self.intercept]))
        return file.getvalue()

    @classmethod
    def decode(cls, content: bytes) -> "Contributions":
        """From .npz; BundleError for anything else."""
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as stored:
                nodes, (expected, slope, intercept) = stored["nodes"], stored["model"].tolist()
        except (OSError, LookupError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise BundleError(f"these are not the contributions of trees: {error}") from error
        if nodes.dtype != NODE or not _are_trees(nodes):
            raise BundleError("these are not the contributions of trees: the nodes do not make trees")
        return cls(nodes, expected, slope, intercept)


def _are_trees(nodes: Nodes) -> bool:
    """Whether the compiled step, which checks no index, can follow them: each names only nodes of its tree before it."""
    if not len(nodes):
        return True
    is_root, places = nodes["parent"] < 0, np.arange(len(nodes))
    own = places - np.maximum.accumulate(np.where(is_root, places, 0))
    edges, own = nodes[~is_root], own[~is_root]
    earlier = (edges["parent"] < own) & (edges["above"] < own) & (edges["above"] >= 0)
    return bool(is_root[0] and (earlier & (edges["feature"] >= 0) & (edges["asked"] > 0)).all())


# ---- the compiled step -----------------------------------------------------------------------------------------------


@jit
def _contribute(
    nodes: Nodes, starts: Integers, passes: Integers, points: Floats, weights: Floats, matrix: Floats, out: Floats
) -> None:
    """What each value of a matrix (n, features) adds: out (n, features), zeros before."""
    most = 0
    for tree in range(len(starts) - 1):
        most = max(most, starts[tree + 1] - starts[tree])
    product, inverse, below = np.empty((most, POINTS)), np.empty((most, POINTS)), np.empty((most, POINTS))
    passed, sums = np.empty(most), np.empty((matrix.shape[1], POINTS))
    for row in range(len(matrix)):
        sums[:] = 0
        for tree in range(len(starts) - 1):
            some = nodes[starts[tree] : starts[tree + 1]]
            for n in range(passes[tree]):
                rule = passes[tree] - 1
                _down(some, matrix[row], points[rule, n], weights[rule, n], passed, product, inverse, below)
                _up(some, passed, inverse, below, sums)
        for feature in range(matrix.shape[1]):
            out[row, feature] = sums[feature].sum()


@inlined
def _down(
    tree: Nodes, vector: Floats, points: Floats, weights: Floats, passed: Floats, product: Floats, inverse: Floats,
    below: Floats,
) -> None:  # fmt: skip
    """Per node, whether the vector passes its feature's splits, and at each point the path's product, weighed.

    inverse: of the factor of the edge's own feature; below: the product times the leaf's value.
    """
    passed[0] = 1.0
    for k in range(POINTS):
        product[0, k], inverse[0, k], below[0, k] = weights[k], 1.0, 0.0
    for i in range(1, len(tree)):
        node = tree[i]
        parent, above, cover, value = node.parent, node.above, node.cover, node.value
        x = vector[node.feature]
        enters = (node.enters & MISSING) != 0 if np.isnan(x) else (x <= node.split) == ((node.enters & SMALL) != 0)
        passed[i] = passed[above] if enters else 0.0
        for k in range(POINTS):
            factor = cover * (1.0 - points[k]) + passed[i] * points[k]
            inverse[i, k] = 1.0 / factor
            product[i, k] = product[parent, k] * factor * inverse[above, k]
            below[i, k] = product[i, k] * value


@inlined
def _up(tree: Nodes, passed: Floats, inverse: Floats, below: Floats, sums: Floats) -> None:
    """Sum what lies below each edge, and add the edge's part to its feature: (features, POINTS).

    An edge on a feature that was asked above speaks for the leaves below it, so the edge above no longer does.
    """
    for i in range(len(tree) - 1, 0, -1):
        node = tree[i]
        feature, parent, above = node.feature, node.parent, node.above
        gain, taken = passed[i] - node.cover, passed[above] - tree[above].cover
        for k in range(POINTS):
            sums[feature, k] += below[i, k] * (gain * inverse[i, k] - taken * inverse[above, k])
            below[parent, k] += below[i, k]
