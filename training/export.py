"""LightGBM -> ONNX, exactly: one `TreeEnsemble` of ai.onnx.ml 5 in double, with the calibrator in the same graph.

Refused: onnxmltools' float32 ensemble, which misroutes a quarter and more of the rows whose values lie next to a threshold.

The runtime lays the false side of a split beside it in memory and jumps to the true one, so the true side is the one that fewer
training rows took: nine of ten steps then go to the next node, which the processor has guessed and fetched (500 trees of 63 leaves:
58 us a vector became 39). A split is turned by comparing the negated value, so that all splits are of one mode; missing values find
their side by what is put in their place, which spares a look at each split.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, checker, helper
from scipy.special import expit

from domain.errors import BundleError

BRANCH_LEQ = 0
_ZERO = float(np.float32(1e-35))
RAW, SCORE, INPUT = "raw", "score", "features"
LANES = 8
"""How often the calibration is made of one raw score: the runtime's exponential takes four or eight numbers at once, and what is left over of
a batch by another way, whose last bit may differ. So a score is the same bits alone and in any batch, for 1.3 us a call."""
_FIRST_LANE = {"from_lane": 0, "to_lane": 1, "axis_of_lanes": 1}
READ = "read"
"""What splits compare, four blocks as wide as the vector: values, values with minus infinity for missing ones, which makes every
split true where a missing value makes it false, and both of the negated values."""


@dataclass(frozen=True)
class Platt:
    """Calibration of raw scores (log odds): probability = 1 / (1 + exp(-(slope * raw + intercept)))."""

    slope: float
    intercept: float

    def probabilities(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities (n,) of raw scores (n,)."""
        return np.asarray(expit(self.slope * raw + self.intercept))


@dataclass
class _Nodes:
    """The parallel attribute lists of a TreeEnsemble. columns: of a vector."""

    columns: int
    features: list[int] = field(default_factory=list)
    splits: list[float] = field(default_factory=list)
    true: list[int] = field(default_factory=list)
    true_is_leaf: list[int] = field(default_factory=list)
    false: list[int] = field(default_factory=list)
    false_is_leaf: list[int] = field(default_factory=list)
    leaves: list[float] = field(default_factory=list)
    roots: list[int] = field(default_factory=list)


def to_onnx(booster: lgb.Booster, calibrator: Platt) -> ModelProto:
    """features (n, k) double -> raw (n, 1) double, bit-equal to `booster.predict(raw_score=True)`, and score (n, 1) double.

    BundleError for what has no exact form here: categorical splits, linear trees, zeros counted as missing, several classes.
    """
    dump = booster.dump_model(num_iteration=booster.best_iteration if booster.best_iteration > 0 else None)
    if dump["num_tree_per_iteration"] != 1:
        raise BundleError("a model of several classes cannot be served; train with objective=binary")
    nodes = _Nodes(dump["max_feature_idx"] + 1)
    for tree in dump["tree_info"]:
        if "leaf_coeff" in str(tree):
            raise BundleError("linear trees have no exact form; train with linear_tree=False")
        nodes.roots.append(len(nodes.features))
        structure = tree["tree_structure"]
        _add_split(nodes, structure if "split_index" in structure else _stump(structure))
    graph = helper.make_graph(
        [*_reading(), _ensemble(nodes), *_calibration()],
        "burana",
        [helper.make_tensor_value_info(INPUT, TensorProto.DOUBLE, [None, nodes.columns])],
        [helper.make_tensor_value_info(name, TensorProto.DOUBLE, [None, 1]) for name in (RAW, SCORE)],
        [
            _double("slope", [calibrator.slope] * LANES),
            _double("intercept", [calibrator.intercept] * LANES),
            _double("lowest", [-math.inf]),
            *(helper.make_tensor(name, TensorProto.INT64, [1], [at]) for name, at in _FIRST_LANE.items()),
        ],
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 5)]
    model = helper.make_model(graph, opset_imports=opsets, producer_name="burana", ir_version=10)
    helper.set_model_props(model, {"lanes": str(LANES)})
    checker.check_model(model)
    return model


def _stump(leaf: dict[str, Any]) -> dict[str, Any]:
    """A tree of one leaf as a split whose sides are the same leaf."""
    return {"split_feature": 0, "threshold": math.inf, "decision_type": "<=", "missing_type": "None", "default_left": True,
            "left_child": leaf, "right_child": leaf}  # fmt: skip


def _add_split(nodes: _Nodes, split: dict[str, Any]) -> int:
    """Append a split and all below it, parents first; its index."""
    if split["decision_type"] != "<=":
        raise BundleError(f"categorical split ({split['decision_type']}) has no exact form; train on numbers only")
    if split["missing_type"] == "Zero":
        raise BundleError("zeros counted as missing have no exact form; train with zero_as_missing=False")
    index = len(nodes.features)
    threshold, missing_goes_left = routing(split)
    turned = threshold < math.inf and rows_at(split["left_child"]) > rows_at(split["right_child"])
    missing_is_true = missing_goes_left != turned
    nodes.features.append(split["split_feature"] + nodes.columns * (2 * turned + missing_is_true))
    # x > threshold where -x is at most the next number below -threshold
    nodes.splits.append(math.nextafter(-threshold, -math.inf) if turned else threshold)
    for side in (nodes.true, nodes.true_is_leaf, nodes.false, nodes.false_is_leaf):
        side.append(-1)
    true, false = ("right_child", "left_child") if turned else ("left_child", "right_child")
    nodes.true[index], nodes.true_is_leaf[index] = _add_child(nodes, split[true])
    nodes.false[index], nodes.false_is_leaf[index] = _add_child(nodes, split[false])
    return index


def rows_at(node: dict[str, Any]) -> int:
    """Training rows that came to a node."""
    return int(node["leaf_count"] if "leaf_value" in node else node["internal_count"])


def routing(split: dict[str, Any]) -> tuple[float, bool]:
    """Up to which value a split sends left, and whether it sends a missing one left."""
    threshold = threshold_of(split)
    # LightGBM reads a missing value as 0.0 where training saw none in this column
    missing_goes_left = bool(split["default_left"]) if split["missing_type"] == "NaN" else threshold >= 0.0
    return _around_zero(threshold), missing_goes_left


def threshold_of(split: dict[str, Any]) -> float:
    """The split value as the booster compares with it.

    The dump writes an infinite one, which parts missing from everything else, as 1e300; the booster itself holds infinity.
    """
    threshold = float(split["threshold"])
    return math.copysign(math.inf, threshold) if abs(threshold) >= 1e300 else threshold


def _around_zero(threshold: float) -> float:
    """The split value that routes every x as the booster's predictor does, which reads |x| <= 1e-35 (in float32) as 0.0."""
    if -_ZERO <= threshold < 0:
        return math.nextafter(-_ZERO, -math.inf)
    return _ZERO if 0 <= threshold < _ZERO else threshold


def _add_child(nodes: _Nodes, child: dict[str, Any]) -> tuple[int, int]:
    if "leaf_value" in child:
        nodes.leaves.append(float(child["leaf_value"]))
        return len(nodes.leaves) - 1, 1
    return _add_split(nodes, child), 0


def _reading() -> list[Any]:
    return [
        helper.make_node("IsNaN", [INPUT], ["is_missing"]),
        helper.make_node("Neg", [INPUT], ["negated"]),
        helper.make_node("Where", ["is_missing", "lowest", INPUT], ["filled"]),
        helper.make_node("Where", ["is_missing", "lowest", "negated"], ["negated_filled"]),
        helper.make_node("Concat", [INPUT, "filled", "negated", "negated_filled"], [READ], axis=1),
    ]


def _ensemble(nodes: _Nodes) -> Any:
    return helper.make_node(
        "TreeEnsemble", [READ], [RAW], domain="ai.onnx.ml", n_targets=1, aggregate_function=1, post_transform=0,
        tree_roots=nodes.roots, nodes_featureids=nodes.features,
        nodes_modes=helper.make_tensor("nodes_modes", TensorProto.UINT8, [len(nodes.splits)], [BRANCH_LEQ] * len(nodes.splits)),
        nodes_splits=_double("nodes_splits", nodes.splits), nodes_truenodeids=nodes.true, nodes_trueleafs=nodes.true_is_leaf,
        nodes_falsenodeids=nodes.false, nodes_falseleafs=nodes.false_is_leaf,
        leaf_targetids=[0] * len(nodes.leaves), leaf_weights=_double("leaf_weights", nodes.leaves),
    )  # fmt: skip


def _calibration() -> list[Any]:
    return [
        helper.make_node("Mul", [RAW, "slope"], ["scaled"]),
        helper.make_node("Add", ["scaled", "intercept"], ["log_odds"]),
        helper.make_node("Sigmoid", ["log_odds"], ["lanes"]),
        helper.make_node("Slice", ["lanes", *_FIRST_LANE], [SCORE]),
    ]


def _double(name: str, values: list[float]) -> TensorProto:
    return helper.make_tensor(name, TensorProto.DOUBLE, [len(values)], np.asarray(values, np.float64))
