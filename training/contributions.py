"""LightGBM -> the trees that contributions are made of, and the proof that these are what LightGBM says they are."""

from collections.abc import Iterator
from typing import Any

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from domain.errors import BundleError
from features.tree_contributions import MISSING, NODE, SMALL, Contributions, Nodes
from training.export import Platt, routing, rows_at
from training.parity import Matrix, samples

ROOT = (0.0, 1.0, 0.0, -1, -1, 0, 0, 0)
TOLERANCE = 1e-6
"""Of the sum of a row's contributions without their signs. Ours are within 1e-15 of exact fractions; LightGBM's lose digits along
long paths (1e-15 with 17 different features on a path, 1e-11 with 33, 1e-9 with 40), which is no reason to refuse a model."""


def contributions_of(booster: lgb.Booster, calibrator: Platt) -> Contributions:
    """What the bundle keeps beside the graph that `to_onnx` makes of the same booster."""
    dump = booster.dump_model(num_iteration=booster.best_iteration if booster.best_iteration > 0 else None)
    trees = [tree["tree_structure"] for tree in dump["tree_info"]]
    nodes = [node for tree in trees if "split_index" in tree for node in _nodes(tree)]
    return Contributions(_packed(nodes), float(sum(map(_mean, trees))), calibrator.slope, calibrator.intercept)


def count_differences(
    booster: lgb.Booster, contributions: Contributions, matrix: Matrix, rows: int, seed: int
) -> dict[str, int]:
    """Rows of every kind of `parity.samples` with a contribution that is not LightGBM's: `contributions`, of `contributions_rows`.

    BundleError if there is one; LightGBM takes 1 to 10 ms a row.
    """
    parts = [sample for _, sample in samples(booster, matrix, rows, np.random.default_rng(seed))]
    drawn = np.concatenate(parts)
    theirs = np.asarray(booster.predict(drawn, pred_contrib=True))
    ours = np.column_stack([contributions.of_many(drawn), np.full(len(drawn), contributions.expected)])
    allowed = TOLERANCE * np.abs(theirs).sum(axis=1, keepdims=True)
    differing = int((~(np.abs(ours - theirs) <= allowed)).any(axis=1).sum())
    if differing:
        raise BundleError(f"contributions of {differing} of {len(drawn)} rows are not LightGBM's; the model is not exported")
    return {"contributions": differing, "contributions_rows": len(drawn)}


Node = tuple[float, float, float, int, int, int, int, int]


def _nodes(tree: dict[str, Any]) -> list[Node]:
    """The nodes of a tree, root first, in the order of NODE's fields."""
    nodes: list[Node] = [ROOT]
    _add_children(nodes, tree, 0, {})
    return nodes


def _add_children(nodes: list[Node], split: dict[str, Any], place: int, path: dict[int, int]) -> None:
    """Both sides of the split at a place, and all below. path: feature -> the last node whose edge asks it."""
    feature, above = split["split_feature"], path.get(split["split_feature"], 0)
    for child, enters in _sides(split):
        cover, at = nodes[above][1] * rows_at(child) / rows_at(split), len(nodes)
        if cover == 0:
            raise BundleError("a split sends no training row one way, so contributions have no meaning; train it again")
        asked, value = len(path | {feature: at}), child.get("leaf_value", 0.0)
        nodes.append((routing(split)[0], cover, value, feature, place, above, asked, enters))
        if "split_index" in child:
            _add_children(nodes, child, at, path | {feature: at})


def _sides(split: dict[str, Any]) -> Iterator[tuple[dict[str, Any], int]]:
    """Each child and who takes the edge to it."""
    _, missing_goes_left = routing(split)
    yield split["left_child"], SMALL | (MISSING if missing_goes_left else 0)
    yield split["right_child"], 0 if missing_goes_left else MISSING


def _mean(node: dict[str, Any]) -> float:
    """Mean value over the training rows."""
    if "leaf_value" in node:
        return float(node["leaf_value"])
    children = (node["left_child"], node["right_child"])
    return sum(_mean(child) * rows_at(child) for child in children) / rows_at(node)


def _packed(nodes: list[Node]) -> Nodes:
    packed: NDArray[np.void] = np.array(nodes, NODE)
    return packed
