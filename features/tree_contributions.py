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
from numpy.typing import NDArray

from domain.errors import BundleError
from features.contribution_kernel import SPLIT, Floats, Integers, Splits, contribute
from features.lanes import LANES

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
        out = np.empty(matrix.shape)
        contribute(*self._laid_out(matrix.shape[1]), *self._rules, np.ascontiguousarray(matrix, np.float64), out)
        return out

    @cached_property
    def columns(self) -> int:
        """How many columns a vector has at least."""
        return int(self.nodes["feature"].max(initial=-1)) + 1

    @cached_property
    def _rules(self) -> tuple[Integers, Floats]:
        """By how many times LANES points each tree is integrated, and the points and weights of one time, of two, and so on."""
        starts = np.flatnonzero(self.nodes["parent"] < 0)
        asked = np.maximum.reduceat(self.nodes["asked"], starts) if len(starts) else np.zeros(0)
        passes = -(-asked.astype(np.int64) // (2 * LANES))
        rules = [np.polynomial.legendre.leggauss(LANES * n) for n in range(1, int(passes.max(initial=1)) + 1)]
        parts = [np.stack([(at + 1) / 2, weight / 2]).reshape(2, -1, LANES).swapaxes(0, 1) for at, weight in rules]
        return passes, np.ascontiguousarray(np.concatenate(parts))

    @cached_property
    def _layouts(self) -> dict[int, tuple[Splits, Integers]]:
        return {}

    def _laid_out(self, width: int) -> tuple[Splits, Integers]:
        """The trees as the compiled step reads them, for vectors of so many features."""
        if width not in self._layouts:
            self._layouts[width] = laid_out(self.nodes, width)
        return self._layouts[width]

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
    """Whether the compiled step, which checks no index, can follow them.

    Each names only nodes of its tree before it, and each split has two sides that tell of it alike.
    """
    if not len(nodes):
        return True
    is_root, places = nodes["parent"] < 0, np.arange(len(nodes))
    own = places - np.maximum.accumulate(np.where(is_root, places, 0))
    edges, own = nodes[~is_root], own[~is_root]
    earlier = (edges["parent"] < own) & (edges["above"] < own) & (edges["above"] >= 0)
    return bool(is_root[0] and (earlier & (edges["feature"] >= 0) & (edges["asked"] > 0)).all() and _are_paired(nodes))


def _are_paired(nodes: Nodes) -> bool:
    left, right = (nodes[side] for side in _sides(nodes))
    if len(left) != len(right) or not (left["enters"] & SMALL).all():
        return False
    parents = np.concatenate(_sides(nodes))
    alike = [left[name] == right[name] for name in ("parent", "feature", "above", "split")]
    opposite = left["enters"] ^ right["enters"] == SMALL | MISSING
    start = _starts(nodes)[parents]
    is_once = len(np.unique(start + nodes["parent"][parents])) == len(left)
    return bool(np.all(alike) and opposite.all() and is_once)


def _starts(nodes: Nodes) -> Integers:
    """Where the tree of each node begins."""
    is_root = nodes["parent"] < 0
    return np.flatnonzero(is_root)[np.cumsum(is_root) - 1]


def laid_out(nodes: Nodes, width: int) -> tuple[Splits, Integers]:
    """Nodes as splits for vectors of so many features, and where each tree begins among them, and the last ends."""
    starts, start = np.flatnonzero(nodes["parent"] < 0), _starts(nodes)
    left, right = _sides(nodes)
    at = (start + nodes["parent"])[left]  # the node where each split is
    place = np.full(len(nodes), -1)
    place[at] = np.arange(len(at))
    bounds = np.searchsorted(at, np.append(starts, len(nodes)))
    own = np.arange(len(at)) - bounds[np.searchsorted(starts, at, "right") - 1]
    edge = np.zeros(len(nodes), np.int64)
    edge[left], edge[right] = 2 * own + 1, 2 * own + 2
    splits = np.zeros(len(at), SPLIT)
    splits["most"], splits["feature"] = nodes["split"][left], nodes["feature"][left]
    splits["column"] = nodes["feature"][left] + width * (nodes["enters"][left] & MISSING != 0)
    splits["edge"], splits["above"] = edge[at], edge[(start + nodes["above"])[left]]
    for name, side in (("left", left), ("right", right)):
        splits[f"{name}_cover"] = nodes["cover"][side]
        splits[f"{name}_value"] = np.where(place[side] < 0, nodes["value"][side], 1)
    return splits, bounds.astype(np.int64)


def _sides(nodes: Nodes) -> tuple[Integers, Integers]:
    """The places of the children of each split: left ones, right ones, in the order of their parents."""
    children = np.flatnonzero(nodes["parent"] >= 0)
    ordered = children[np.argsort((_starts(nodes) + nodes["parent"])[children], kind="stable")]
    return ordered[0::2], ordered[1::2]
