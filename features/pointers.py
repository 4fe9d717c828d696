"""What the kernel needs below Numba's arrays: pointers to memory by its address, prefetching, counting of bits.

A pointer is one register; an array is seven, checks every index for its sign, and is counted when it is handed over.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from features.layout import LANES

_intrinsic: Any = intrinsic  # a function of one argument fewer than it is written with: the first is the compiler's


@_intrinsic
def as_integers(typing_context: Any, address: Any) -> Any:
    """An address as a pointer to int64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], ir.IntType(64).as_pointer())

    return types.CPointer(types.int64)(types.int64), generate


@_intrinsic
def as_floats(typing_context: Any, address: Any) -> Any:
    """An address as a pointer to float64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], ir.DoubleType().as_pointer())

    return types.CPointer(types.float64)(types.int64), generate


@_intrinsic
def prefetch(typing_context: Any, words: Any, index: Any) -> Any:
    """Ask for a word's cache line. Also where it will be written to: a line that no other core has is written to all the same."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        place = builder.bitcast(builder.gep(arguments[0], [arguments[1]]), byte)
        kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        builder.call(
            cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch"), [place, word(0), word(3), word(1)]
        )
        return context.get_dummy_value()

    return types.void(types.CPointer(types.int64), types.int64), generate


@_intrinsic
def bit_length(typing_context: Any, amount: Any) -> Any:
    """Bits of a number that is not negative, as int.bit_length."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        zeros = builder.ctlz(arguments[0], ir.IntType(1)(0))
        return builder.sub(ir.IntType(64)(64), zeros)

    return types.int64(types.int64), generate


@_intrinsic
def lowest_bit(typing_context: Any, mask: Any) -> Any:
    """The number of the lowest bit that is set; 64 for none."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.IntType(1)(0))

    return types.int64(types.int64), generate


@_intrinsic
def bit_count(typing_context: Any, mask: Any) -> Any:
    """How many bits are set."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.int64), generate


def _half_at(builder: Any, words: Any, place: Any, kind: Any) -> Any:
    """A pointer to what begins at a half of a word: halves are counted from the first word's lower one on."""
    halves = builder.bitcast(words, ir.IntType(32).as_pointer())
    return builder.bitcast(builder.gep(halves, [place]), kind.as_pointer())


@_intrinsic
def half(typing_context: Any, words: Any, place: Any) -> Any:
    """The number in a half of a word, with its sign."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        words, place = arguments
        held = builder.load(_half_at(builder, words, place, ir.IntType(32)), align=4)
        return builder.sext(held, ir.IntType(64))

    return types.int64(types.CPointer(types.int64), types.int64), generate


@_intrinsic
def put_half(typing_context: Any, words: Any, place: Any, number: Any) -> Any:
    """Put a number of 32 bits into a half of a word."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        words, place, number = arguments
        builder.store(builder.trunc(number, ir.IntType(32)), _half_at(builder, words, place, ir.IntType(32)), align=4)
        return context.get_dummy_value()

    return types.void(types.CPointer(types.int64), types.int64, types.int64), generate


@_intrinsic
def whole_or_half(typing_context: Any, words: Any, place: Any, is_whole: Any) -> Any:
    """The word that begins at a half, or the number in the half alone."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        words, place, is_whole = arguments
        word = builder.load(_half_at(builder, words, place, ir.IntType(64)), align=4)
        alone = builder.sext(builder.trunc(word, ir.IntType(32)), ir.IntType(64))
        return builder.select(builder.icmp_signed("!=", is_whole, ir.IntType(64)(0)), word, alone)

    return types.int64(types.CPointer(types.int64), types.int64, types.int64), generate


def _lanes_at(builder: Any, words: Any, index: Any) -> Any:
    """Eight words from an index on."""
    place = builder.bitcast(builder.gep(words, [index]), ir.VectorType(ir.IntType(64), LANES).as_pointer())
    return builder.load(place, align=8)


def _in_every_lane(builder: Any, word: Any) -> Any:
    lanes = ir.VectorType(ir.IntType(64), LANES)
    one = builder.insert_element(ir.Constant(lanes, ir.Undefined), word, ir.IntType(32)(0))
    return builder.shuffle_vector(
        one, ir.Constant(lanes, ir.Undefined), ir.Constant(ir.VectorType(ir.IntType(32), LANES), None)
    )


def _bits_of(builder: Any, holds: Any) -> Any:
    """A bit for each lane in which something holds."""
    return builder.zext(builder.bitcast(holds, ir.IntType(LANES)), ir.IntType(64))


@_intrinsic
def not_later(typing_context: Any, times: Any, index: Any, ago: Any, at: Any, now: Any) -> Any:
    """A bit for each of eight times: whether it is as long ago as the table says, or longer."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        times, index, ago, at, now = arguments
        edges = builder.sub(_in_every_lane(builder, now), _lanes_at(builder, ago, at))
        return _bits_of(builder, builder.icmp_signed("<=", _lanes_at(builder, times, index), edges))

    words = types.CPointer(types.int64)
    return types.int64(words, types.int64, words, types.int64, types.int64), generate


@_intrinsic
def are_met(typing_context: Any, needed: Any, index: Any, looked_at: Any, word: Any) -> Any:
    """A bit for each of eight needs: whether a word has just those of the bits looked at; indices of both in one table."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        table, index, looked_at, word = arguments
        seen = builder.and_(_in_every_lane(builder, word), _lanes_at(builder, table, looked_at))
        return _bits_of(builder, builder.icmp_signed("==", seen, _lanes_at(builder, table, index)))

    return types.int64(types.CPointer(types.int64), types.int64, types.int64, types.int64), generate


def _first_lanes(builder: Any, count: Any) -> Any:
    """True in as many lanes as are counted, from the first on."""
    lanes = ir.VectorType(ir.IntType(64), LANES)
    return builder.icmp_signed("<", ir.Constant(lanes, list(range(LANES))), _in_every_lane(builder, count))


def _keep_lanes(builder: Any, words: Any, index: Any, lanes: Any) -> None:
    builder.store(lanes, builder.bitcast(builder.gep(words, [index]), lanes.type.as_pointer()), align=8)


def _halves_at(builder: Any, words: Any, place: Any) -> Any:
    """A pointer to eight halves from a place on."""
    return _half_at(builder, words, place, ir.VectorType(ir.IntType(32), LANES))


def _passing(builder: Any, filters: Any, at: Any, count: Any, passed: Any) -> Any:
    """A bit for each of eight filters of a table: whether it is among the first so many, and passed."""
    numbers = builder.and_(_lanes_at(builder, filters, at), _in_every_lane(builder, ir.IntType(64)(63)))
    one = _in_every_lane(builder, ir.IntType(64)(1))
    bits = builder.and_(builder.lshr(_in_every_lane(builder, passed), numbers), one)
    return builder.and_(builder.icmp_signed("==", bits, one), _first_lanes(builder, count))


@_intrinsic
def add_passed(
    typing_context: Any, words: Any, index: Any, filters: Any, at: Any, count: Any, passed: Any, amount: Any
) -> Any:
    """Add an amount to those of at most eight words whose filters, numbered in a table, are passed.

    All eight are written to, if only as they are: there is room for as many behind what words are in.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        words, index, filters, at, count, passed, amount = arguments
        added = _in_every_lane(builder, amount)
        addends = builder.select(_passing(builder, filters, at, count, passed), added, ir.Constant(added.type, None))
        _keep_lanes(builder, words, index, builder.add(_lanes_at(builder, words, index), addends))
        return context.get_dummy_value()

    pointer, word = types.CPointer(types.int64), types.int64
    return types.void(pointer, word, pointer, word, word, word, word), generate


@_intrinsic
def count_passed(
    typing_context: Any, words: Any, place: Any, filters: Any, at: Any, count: Any, passed: Any, amount: Any
) -> Any:
    """As `add_passed`, of halves of words."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        words, place, filters, at, count, passed, amount = arguments
        halves = ir.VectorType(ir.IntType(32), LANES)
        where = _halves_at(builder, words, place)
        added = builder.trunc(_in_every_lane(builder, amount), halves)
        addends = builder.select(_passing(builder, filters, at, count, passed), added, ir.Constant(halves, None))
        builder.store(builder.add(builder.load(where, align=4), addends), where, align=4)
        return context.get_dummy_value()

    pointer, word = types.CPointer(types.int64), types.int64
    return types.void(pointer, word, pointer, word, word, word, word), generate


@_intrinsic
def put_in_place_of(typing_context: Any, words: Any, index: Any, count: Any, seen: Any, word: Any) -> Any:
    """Put a word in place of another in at most eight; all eight are written to, as by `add_passed`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        words, index, count, seen, word = arguments
        there = _lanes_at(builder, words, index)
        is_seen = builder.icmp_signed("==", there, _in_every_lane(builder, seen))
        is_seen = builder.and_(is_seen, _first_lanes(builder, count))
        _keep_lanes(builder, words, index, builder.select(is_seen, _in_every_lane(builder, word), there))
        return context.get_dummy_value()

    return types.void(types.CPointer(types.int64), *[types.int64] * 4), generate


@_intrinsic
def put_where_empty(typing_context: Any, words: Any, place: Any, count: Any, number: Any) -> Any:
    """Put a number into those of at most eight halves that are -1; all eight are written to, as by `add_passed`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        words, place, count, number = arguments
        halves = ir.VectorType(ir.IntType(32), LANES)
        where = _halves_at(builder, words, place)
        there = builder.load(where, align=4)
        is_empty = builder.icmp_signed("==", there, ir.Constant(halves, [-1] * LANES))
        is_empty = builder.and_(is_empty, _first_lanes(builder, count))
        put = builder.trunc(_in_every_lane(builder, number), halves)
        builder.store(builder.select(is_empty, put, there), where, align=4)
        return context.get_dummy_value()

    return types.void(types.CPointer(types.int64), *[types.int64] * 3), generate


@_intrinsic
def put_line_past_caches(typing_context: Any, words: Any, index: Any, line: Any, at: Any) -> Any:
    """Write a cache line of eight doubles from an index of one pointer on, a multiple of 64 bytes, to what is not read soon.

    It goes to memory without being fetched before.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        words, index, line, at = arguments
        lanes = ir.VectorType(ir.DoubleType(), LANES)
        value = builder.load(builder.bitcast(builder.gep(line, [at]), lanes.as_pointer()), align=8)
        stored = builder.store(value, builder.bitcast(builder.gep(words, [index]), lanes.as_pointer()), align=64)
        stored.set_metadata("nontemporal", builder.module.add_metadata([ir.IntType(32)(1)]))
        return context.get_dummy_value()

    doubles = types.CPointer(types.float64)
    return types.void(doubles, types.int64, doubles, types.int64), generate
