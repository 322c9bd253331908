"""What nodes compute: in float64, as numpy does, and with every result a little off.

A graph is drawn so that it can be compared: where a rounding error would grow, or turn a
comparison, or where a result is no number, a node is not taken. How far apart the three are says
what a right program may differ by.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from dhc.ir.graph import Array, Constant, Graph, Input, Literal_, Node, Param, topological
from dhc.ir.number import type_range
from dhc.ir.types import DType
from dhc.ops.base import Operator, run
from dhc.ops.elementwise import Cast
from dhc.ops.reduce import ReduceProd
from dhc.passes.widen import widen, widen_array

MOST_ELEMENTS = 3000
LARGEST = 1e4
OFF = 4  # roundings by which each result of the third kind is off
WORST = {DType.F64: 1e-9, DType.F32: 1e-3, DType.F16: 5e-2}  # relative error of what is taken


@dataclass(frozen=True)
class Meaning:
    """The values of a node.

    Attributes:
        exact: With float64 in place of float32 and float16.
        plain: With the elements that the types say.
        off: In float64, where each result on the way was off by some roundings.
    """

    exact: Array
    plain: Array
    off: Array

    def error(self) -> float:
        """The largest difference of what a rounding may do."""
        if self.exact.dtype.kind != "f" or not self.exact.size:
            return 0.0
        exact = self.exact.astype(np.float64)
        return max(float(np.abs(each.astype(np.float64) - exact).max()) for each in self._others())

    def is_sane(self, dtype: DType) -> bool:
        """Whether results can be compared, and be computed with further on."""
        if self.exact.size > MOST_ELEMENTS:
            return False
        if not self.exact.size:
            return True
        if not dtype.is_float:
            same = all(np.array_equal(self.exact, each) for each in self._others())
            return same and bool(np.abs(self.exact.astype(np.float64)).max() < LARGEST**2)
        if not all(np.isfinite(each).all() for each in (self.exact, self.plain, self.off)):
            return False
        scale = float(np.abs(self.exact.astype(np.float64)).max())
        return scale < LARGEST and self.error() <= WORST[dtype] * scale + 1e-12

    def _others(self) -> tuple[Array, Array]:
        return self.plain, self.off


class Meanings:
    """The values of all nodes that were asked for, and of the leaves they follow from."""

    def __init__(self) -> None:
        self.leaves: dict[str, Array] = {}
        self.constants: dict[str, Array] = {}
        self._known: dict[Node, Meaning] = {}

    def of(self, node: Node) -> Meaning:
        """Returns the values of a node."""
        for each in topological([node]):
            if each not in self._known:
                self._known[each] = self._compute(each)
        return self._known[node]

    def take(self, node: Node) -> bool:
        """Whether all that leads to a node is sane."""
        try:
            return all(self._is_sane(each) for each in topological([node]))
        except (IndexError, ValueError, ZeroDivisionError):  # what numpy refuses
            return False

    def _is_sane(self, node: Node) -> bool:
        """Whether a value can be compared, and no conversion leaves the range of its type."""
        dtype = node.type.dtype
        if dtype.is_integer and isinstance(node.op, Cast | ReduceProd):
            low, high = type_range(dtype)
            wide = self._without_limits(node)
            if wide.size and not (low - 1 < wide.min() and wide.max() < high):
                return False
        return self.of(node).is_sane(dtype)

    def _without_limits(self, node: Node) -> Array:
        """What a conversion or a product would give if integers had no largest value.

        No definition says what comes of larger ones: ONNX Runtime gives the largest product.
        """
        source = self.of(node.inputs[0]).exact
        if isinstance(node.op, Cast):
            return source if source.dtype.kind == "f" else np.zeros(0)
        assert isinstance(node.op, ReduceProd)
        return np.asarray(node.op.numpy(source.astype(np.float64)))

    def _compute(self, node: Node) -> Meaning:
        match node.op:
            case Input(label):
                return _leaf(self.leaves[label])
            case Param(path):
                return _leaf(self.leaves[path])
            case Constant(digest):
                return _leaf(self.constants[digest])
            case Literal_(value, dtype):
                return _leaf(np.asarray(value, dtype.numpy))
        assert isinstance(node.op, Operator)
        inputs = [self._known[source] for source in node.inputs]
        wide = _widened(node)
        with np.errstate(all="ignore"):
            plain = np.asarray(node.op.numpy(*(each.plain for each in inputs)))
            exact = _run(wide, [each.exact for each in inputs])
            off = _run(wide, [each.off for each in inputs])
        assert plain.dtype == node.type.dtype.numpy, f"{node} is {plain.dtype}"
        return Meaning(exact, plain, _moved(off, node.type.dtype, len(self._known)))


def _leaf(array: Array) -> Meaning:
    wide = widen_array(array)
    return Meaning(wide, array, wide)


def _widened(node: Node) -> Node:
    leaves = tuple(Input(f"x{k}", each.type)() for k, each in enumerate(node.inputs))
    return widen(Graph("one", leaves, (("y", node.op(*leaves)),))).outputs[0][1]


def _run(node: Node, arrays: list[Array]) -> Array:
    return np.asarray(run([node], {f"x{k}": each for k, each in enumerate(arrays)})[0])


def _moved(array: Array, dtype: DType, seed: int) -> Array:
    if not dtype.is_float or not array.size:
        return array
    chance = np.random.default_rng(seed)
    sign = chance.choice((-1, 1), array.shape)
    step = OFF * float(np.finfo(dtype.numpy).eps) * sign * chance.uniform(0.5, 1, array.shape)
    with np.errstate(all="ignore"):
        return np.asarray(array + array * step).astype(array.dtype)


def tolerance(meaning: Meaning, dtype: DType) -> float:
    """How far a right result may be from the exact one."""
    scale = float(np.abs(meaning.exact.astype(np.float64)).max()) if meaning.exact.size else 0.0
    return 20 * meaning.error() + 8 * float(np.finfo(dtype.numpy).eps) * scale + 1e-30


def differs(meaning: Meaning, found: Array, dtype: DType, slack: float = 0.0) -> str:
    """Returns how a result differs from what it should be, or nothing.

    Args:
        meaning: What it should be.
        found: The result.
        dtype: Of which elements it should be.
        slack: A relative error that is allowed besides.
    """
    exact = meaning.exact
    if found.shape != exact.shape or found.dtype != dtype.numpy:
        return f"is {found.dtype}{list(found.shape)}, not {dtype}{list(exact.shape)}"
    if not dtype.is_float:
        wrong = int(np.count_nonzero(found != meaning.plain))
        return f"has {wrong} wrong elements of {exact.size}" if wrong else ""
    if not found.size:
        return ""
    error = np.abs(found.astype(np.float64) - exact.astype(np.float64)).max()
    limit = tolerance(meaning, dtype) + slack * float(np.abs(exact.astype(np.float64)).max())
    return "" if error <= limit else f"is off by {error:.3g}, where {limit:.3g} is allowed"


def sinks(nodes: Iterable[Node]) -> list[Node]:
    """The nodes that no other one of them reads."""
    nodes = list(nodes)
    read = {source for node in nodes for each in [node] for source in topological(each.inputs)}
    return [node for node in nodes if node not in read]
