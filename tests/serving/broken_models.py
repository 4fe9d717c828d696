"""Models that fail: sound ONNX graphs with the input and the outputs of a bundle's, whose scores are none."""

from onnx import TensorProto, helper

from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.plan import Plan

PLAN = Plan(DEFINITIONS, RETAINED_ARRIVALS)


def graph(*nodes: object, constants: tuple[object, ...] = ()) -> bytes:
    """An ONNX model with the input and the outputs of a bundle's."""
    model = helper.make_graph(
        list(nodes), "broken", [helper.make_tensor_value_info("features", TensorProto.DOUBLE, [None, len(PLAN)])],
        [helper.make_tensor_value_info(name, TensorProto.DOUBLE, None) for name in ("raw", "score")], list(constants),
    )  # fmt: skip
    return helper.make_model(model, opset_imports=[helper.make_opsetid("", 21)], ir_version=10).SerializeToString()


def constant(value: float) -> bytes:
    """A model whose score is the same for every vector."""
    sums = helper.make_node("ReduceSum", ["features", "columns"], ["raw"], keepdims=1)
    unknown = helper.make_node("IsNaN", ["raw"], ["unknown"])
    score = helper.make_node("Where", ["unknown", "value", "value"], ["score"])
    constants = (
        helper.make_tensor("columns", TensorProto.INT64, [1], [1]),
        helper.make_tensor("value", TensorProto.DOUBLE, [1], [value]),
    )
    return graph(sums, unknown, score, constants=constants)


def raising() -> bytes:
    """A model that fails for every vector: it folds it into a shape that it does not have."""
    fold = helper.make_node("Reshape", ["features", "shape"], ["raw"])
    same = helper.make_node("Identity", ["raw"], ["score"])
    return graph(fold, same, constants=(helper.make_tensor("shape", TensorProto.INT64, [2], [7, 1_000]),))


BROKEN_MODELS = {"NaN": constant(float("nan")), "above one": constant(1.5), "negative": constant(-0.1), "raises": raising()}
