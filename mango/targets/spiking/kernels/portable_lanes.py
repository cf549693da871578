"""Vectors of float32 in numba: 16 channels and more at a time, as the C kernels have them.

A vector is as wide as its type says, whatever the processor has; LLVM makes it of what there is. Operations are IEEE's,
each rounded once, never contracted: no loop has to be made to vectorise, and none can be made otherwise than it is
written. Masks are integers of a bit per lane.

numba compiles a cached function anew when the file that it stands in has changed, not when one that it calls from has:
who edits one of these files removes ``__pycache__/portable*.nb*``.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic, models, overload, register_model
from numpy.typing import NDArray

LANES = 16  # channels of a word
LINE = 16  # floats of a line of the cache


class Floats(types.Type):  # type: ignore[misc]
    """A vector of so many float32."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        super().__init__(name=f"Floats({lanes})")


@register_model(Floats)
class _FloatsModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Floats) -> None:
        super().__init__(manager, kind, _vector(kind))


def compiled(function: Callable[..., Any]) -> Any:
    """Called from Python; compiled once for this machine where a cache folder is writable, else for each process."""
    try:
        return njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # numba found no folder it may write to
        return njit(nogil=True, error_model="numpy")(function)


def part(function: Callable[..., Any]) -> Any:
    """Called from compiled functions only."""
    return njit(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)


def inlined(function: Callable[..., Any]) -> Any:
    """Likewise, and made part of them."""
    options = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "forceinline": True}
    return njit(nogil=True, error_model="numpy", **options)(function)


def aligned(count: int) -> NDArray[np.float32]:
    """So many numbers that begin where a line of the cache does: vectors on two lines take twice as long."""
    room = np.empty(count + LINE, np.float32)
    begin = -room.ctypes.data // room.itemsize % LINE
    return room[begin : begin + count]


@intrinsic(prefer_literal=True)
def spread(_context, value, lanes):  # type: ignore[no-untyped-def]
    """A number, float32, in every lane."""

    def code(_context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        kind = signature.return_type
        one = builder.insert_element(ir.Constant(_vector(kind), ir.Undefined), arguments[0], ir.IntType(32)(0))
        nowhere = ir.Constant(ir.VectorType(ir.IntType(32), kind.lanes), [0] * kind.lanes)
        return builder.shuffle_vector(one, one, nowhere)

    return Floats(lanes.literal_value)(value, lanes), code


@intrinsic
def lanes_of(_context, vector):  # type: ignore[no-untyped-def]
    """How many it has."""

    def code(context, _builder, signature, _arguments):  # type: ignore[no-untyped-def]
        return context.get_constant(types.intp, signature.args[0].lanes)

    return types.intp(vector), code


@intrinsic
def load(_context, array, index, like):  # type: ignore[no-untyped-def]
    """As many numbers as `like` has, from an index of a contiguous array; nobody looks whether they lie in it."""

    def code(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.load(_place(context, builder, signature, arguments, signature.return_type), align=4)

    return like(array, index, like), code


@intrinsic
def store(_context, array, index, vector):  # type: ignore[no-untyped-def]
    """Likewise to an array."""

    def code(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        builder.store(arguments[2], _place(context, builder, signature, arguments, signature.args[2]), align=4)
        return context.get_dummy_value()

    return types.void(array, index, vector), code


@intrinsic
def above(_context, a, b):  # type: ignore[no-untyped-def]
    """The mask of a > b."""

    def code(_context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.bitcast(builder.fcmp_ordered(">", *arguments), ir.IntType(signature.args[0].lanes))

    return _mask(a)(a, b), code


@intrinsic
def keep(_context, mask, vector):  # type: ignore[no-untyped-def]
    """The vector where the mask is 1, else 0."""

    def code(_context, builder, _signature, arguments):  # type: ignore[no-untyped-def]
        mask, vector = arguments
        return builder.select(_truth(builder, mask, vector), vector, ir.Constant(vector.type, None))

    return vector(mask, vector), code


@intrinsic
def drop(_context, mask, vector):  # type: ignore[no-untyped-def]
    """The vector where the mask is 0, else 0."""

    def code(_context, builder, _signature, arguments):  # type: ignore[no-untyped-def]
        mask, vector = arguments
        return builder.select(_truth(builder, mask, vector), ir.Constant(vector.type, None), vector)

    return vector(mask, vector), code


@intrinsic
def larger(_context, a, b):  # type: ignore[no-untyped-def]
    """Of each two."""

    def code(_context, builder, _signature, arguments):  # type: ignore[no-untyped-def]
        return builder.select(builder.fcmp_ordered(">", *arguments), *arguments)

    return a(a, b), code


@intrinsic
def size(_context, vector):  # type: ignore[no-untyped-def]
    """Absolute values."""

    def code(_context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        kind = signature.return_type
        bits = ir.VectorType(ir.IntType(32), kind.lanes)
        positive = ir.Constant(bits, [0x7FFFFFFF] * kind.lanes)
        return builder.bitcast(builder.and_(builder.bitcast(arguments[0], bits), positive), _vector(kind))

    return vector(vector), code


@intrinsic
def fused(_context, a, b, c):  # type: ignore[no-untyped-def]
    """``a b + c`` of three numbers, rounded once."""

    def code(_context, builder, _signature, arguments):  # type: ignore[no-untyped-def]
        return builder.fma(*arguments)

    return a(a, b, c), code


@intrinsic
def fetch(_context, array, index):  # type: ignore[no-untyped-def]
    """Tells the processor that it will read there."""

    def code(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        place = builder.bitcast(_place(context, builder, signature, arguments, Floats(1)), ir.IntType(8).as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [place.type, *[ir.IntType(32)] * 3])
        prefetch = builder.module.declare_intrinsic("llvm.prefetch", [place.type], kind)
        builder.call(prefetch, [place, *(ir.IntType(32)(n) for n in (0, 3, 1))])  # to read, to keep, data
        return context.get_dummy_value()

    return types.void(array, index), code


@intrinsic
def ones(_context, bits):  # type: ignore[no-untyped-def]
    """How many bits of an integer are 1."""

    def code(_context, builder, _signature, arguments):  # type: ignore[no-untyped-def]
        return builder.ctpop(arguments[0])

    return bits(bits), code


def _operation(of: Callable[..., Any], name: str) -> None:
    @intrinsic
    def operation(_context, a, b):  # type: ignore[no-untyped-def]
        def code(_context, builder, _signature, arguments):  # type: ignore[no-untyped-def]
            return getattr(builder, name)(*arguments)

        return a(a, b), code

    @overload(of)
    def made(a, b):  # type: ignore[no-untyped-def]
        if isinstance(a, Floats) and a == b:
            return lambda a, b: operation(a, b)
        return None


for _of, _name in {operator.add: "fadd", operator.sub: "fsub", operator.mul: "fmul", operator.truediv: "fdiv"}.items():
    _operation(_of, _name)


def _vector(kind: Floats) -> Any:
    return ir.VectorType(ir.FloatType(), kind.lanes)


def _mask(kind: Floats) -> Any:
    return types.Integer.from_bitwidth(kind.lanes, signed=False)


def _truth(builder: Any, mask: Any, vector: Any) -> Any:
    return builder.bitcast(mask, ir.VectorType(ir.IntType(1), vector.type.count))


def _place(context: Any, builder: Any, signature: Any, arguments: Any, kind: Floats) -> Any:
    data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
    index = context.cast(builder, arguments[1], signature.args[1], types.intp)
    return builder.bitcast(builder.gep(data, [index]), _vector(kind).as_pointer())
