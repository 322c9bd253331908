"""Tensors that are known while a model is read: weights, constants, and what follows from them."""

from __future__ import annotations

import math

import numpy as np

from dhc.ir.counts import found_by, said_counts
from dhc.ir.graph import (
    Array,
    Constant,
    Input,
    Literal_,
    Node,
    Op,
    Param,
    digest_of,
    topological,
)
from dhc.ir.number import canonical
from dhc.ir.size import Expr, largest, symbols
from dhc.ir.types import DType, Tensor
from dhc.onnx.file import MOST_BYTES, refused
from dhc.onnx.known import sizes_node
from dhc.onnx.names import Names
from dhc.onnx.narrow import in_f32
from dhc.ops.base import run
from dhc.ops.elementwise import Cast
from dhc.ops.foreign import Held, Known

SMALL = 1 << 20  # elements of results that are computed while reading


class Store:
    """Makes nodes of known tensors, and known tensors of nodes.

    Attributes:
        parameters: Weights by path.
        constants: Other data by digest.
    """

    def __init__(self) -> None:
        self.parameters: dict[str, Array] = {}
        self.constants: dict[str, Array] = {}
        self._paths = Names()
        self._bytes = 0

    def keep(self, value: Known) -> Node:
        """A known tensor as a node: a parameter, a constant, or one number."""
        if value.has_names:
            return sizes_node(value)
        type = Tensor(value.dtype, value.array.shape)
        name = value.path or value.name
        if name and value.dtype is DType.BF16:  # parameters are f32, which is exact
            return self._keep_bf16(value)
        if name:
            path = self._paths.path_of(name)
            self.parameters[path] = value.array
            return Param(path, type)()
        if value.array.ndim == 0:
            return Literal_(canonical(value.array.item(), value.dtype), value.dtype)()
        content = np.ascontiguousarray(value.array)
        self._bytes += content.nbytes
        if self._bytes > MOST_BYTES:
            raise refused("What the model makes of its constants takes too many bytes.")
        digest = digest_of(type, content)
        self.constants[digest] = content
        return Constant(digest, type)()

    def _keep_bf16(self, value: Known) -> Node:
        wide = in_f32(value)
        assert isinstance(wide, Known)
        return Cast(DType.BF16)(self.keep(wide))

    def folded(self, value: Held) -> Held:
        """The elements of a node that depends on nothing, if they are not too many."""
        if not isinstance(value, Node) or _is_open(value):
            return value
        if any(_is_large(node) for node in topological([value])):
            return value
        (array,) = run([value], {}, self.constants)
        return Known(np.asarray(array), value.type.dtype)


def _is_open(value: Node) -> bool:
    """Whether a value is only known when the model runs."""
    nodes = list(topological([value]))
    if any(isinstance(node.op, Input | Param) or _has_symbols(node.op) for node in nodes):
        return True
    said = frozenset().union(*(said_counts(node.op) for node in nodes))
    return bool(said - frozenset().union(*(found_by(node.op) for node in nodes)))


def _has_symbols(op: Op) -> bool:
    listed = [each if isinstance(each, tuple) else (each,) for each in vars(op).values()]
    return any(isinstance(each, Expr) and symbols(each) for row in listed for each in row)


def _is_large(node: Node) -> bool:
    """Whether a value takes long to compute while a model is read."""
    sizes = map(largest, node.type.shape)
    return math.prod(size for size in sizes if isinstance(size, int)) > SMALL
