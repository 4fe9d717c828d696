"""Sixteen doubles as one value of compiled code: `+`, `-`, `*` and `/` of two of them, or of one and a number.

The compiler does not find this by itself where arrays may lie over each other. They are two registers on AVX-512, four on AVX2:
the same bits on all processors, as nothing is fused.
"""

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, models, overload, register_model

_intrinsic: Any = intrinsic  # a function of one argument fewer than it is written with: the first is the compiler's

LANES = 16
_LAYOUT = ir.VectorType(ir.DoubleType(), LANES)
_ALIGNED = 8
"""Bytes. Memory that begins at a multiple of 64 is faster."""


class Lanes(types.Type):
    """The compiler's type of them."""

    def __init__(self) -> None:
        super().__init__(name="Lanes")


@register_model(Lanes)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, type_: Any) -> None:
        super().__init__(manager, type_, _LAYOUT)


LANES_TYPE = Lanes()


@_intrinsic
def load(typing_context: Any, words: Any, index: Any) -> Any:
    """Those that begin at the index of a pointer."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = builder.bitcast(builder.gep(arguments[0], [arguments[1]]), _LAYOUT.as_pointer())
        return builder.load(place, align=_ALIGNED)

    return LANES_TYPE(types.CPointer(types.float64), types.int64), generate


@_intrinsic
def store(typing_context: Any, words: Any, index: Any, value: Any) -> Any:
    """Put them where the index of a pointer says."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = builder.bitcast(builder.gep(arguments[0], [arguments[1]]), _LAYOUT.as_pointer())
        builder.store(arguments[2], place, align=_ALIGNED)
        return context.get_dummy_value()

    return types.void(types.CPointer(types.float64), types.int64, LANES_TYPE), generate


def _spread(builder: Any, value: Any, layout: Any) -> Any:
    nothing = ir.Constant(layout, ir.Undefined)
    first = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(builder.insert_element(nothing, value, ir.IntType(32)(0)), nothing, first)


@_intrinsic
def spread(typing_context: Any, number: Any) -> Any:
    """A number in every lane."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _spread(builder, arguments[0], _LAYOUT)

    return LANES_TYPE(types.float64), generate


def _arithmetic(instruction: str) -> Any:
    def of_two(typing_context: Any, left: Any, right: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return getattr(builder, instruction)(*arguments)

        return LANES_TYPE(LANES_TYPE, LANES_TYPE), generate

    return _intrinsic(of_two)


def _overload(sign: Callable[[Any, Any], Any], instruction: str) -> None:
    of_two = _arithmetic(instruction)

    def both(left: Any, right: Any) -> Any:
        return of_two(left, right)

    def to_a_number(left: Any, right: Any) -> Any:
        return of_two(left, spread(right))

    def of_a_number(left: Any, right: Any) -> Any:
        return of_two(spread(left), right)

    @overload(sign, inline="always")
    def typed(left: Any, right: Any) -> Any:
        if isinstance(left, Lanes):
            return both if isinstance(right, Lanes) else to_a_number
        return of_a_number if isinstance(right, Lanes) else None


for _sign, _instruction in {
    operator.add: "fadd", operator.sub: "fsub", operator.mul: "fmul", operator.truediv: "fdiv",
}.items():  # fmt: skip
    _overload(_sign, _instruction)
