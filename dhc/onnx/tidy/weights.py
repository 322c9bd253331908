"""Weights and numbers as exporters keep them: in other shapes, or as tensors of one element."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from dhc.ir.graph import Array, Constant, Graph, Literal_, Node, Param, digest_of, users
from dhc.ir.number import canonical
from dhc.ir.rewrite import rebuild, transform
from dhc.ops.base import Elementwise, run
from dhc.ops.movement import Expand
from dhc.ops.shape import Permute, Reshape

_MADE_UP = re.compile(
    r"(?i).*const.*|.*_output_\d+|.*full_int_array.*|x?\d+|(.*[._])?(val|tensor|scalar|full)_?\d+",
    re.ASCII,
)

MOVES = 2  # of each constant in the mean, such as to other axes and then flat


def is_made_up(name: str) -> bool:
    """Whether an exporter made a name: that of a constant, which nobody has trained."""
    return _MADE_UP.fullmatch(name) is not None


def array_of(node: Node, graph: Graph, values: Mapping[str, Array]) -> Array | None:
    """The elements of a node that is known while reading."""
    match node.op:
        case Param(path):
            return values.get(path)
        case Constant(digest):
            return graph.constants[digest]
        case Literal_(value, dtype):
            return np.asarray(value, dtype.numpy)
    return None


def with_numbers(graph: Graph, values: Mapping[str, Array]) -> Graph:
    """Returns the graph with numbers in place of tensors of one element, beside other tensors."""

    def step(node: Node, inputs: tuple[Node, ...]) -> Node:
        if isinstance(node.op, Elementwise) and len(inputs) > 1:
            for place, each in enumerate(inputs):
                found = _number(each, graph, values)
                if found is not None:
                    given = (*inputs[:place], found, *inputs[place + 1 :])
                    inputs = (
                        given if node.op.infer(*(n.type for n in given)) == node.type else inputs
                    )
        return rebuild(node, inputs)

    return transform(graph, step)


def without_expansions(graph: Graph) -> Graph:
    """Returns the graph without expansions of what broadcasts by itself beside other tensors."""

    def step(node: Node, inputs: tuple[Node, ...]) -> Node:
        if isinstance(node.op, Elementwise) and len(inputs) > 1:
            for place, each in enumerate(inputs):
                if isinstance(each.op, Expand):
                    given = (*inputs[:place], each.inputs[0], *inputs[place + 1 :])
                    same = node.op.infer(*(n.type for n in given)) == node.type
                    inputs = given if same else inputs
        return rebuild(node, inputs)

    return transform(graph, step)


def _number(node: Node, graph: Graph, values: Mapping[str, Array]) -> Node | None:
    """A constant of one element as a number."""
    constant = isinstance(node.op, Constant)
    if not constant and not (isinstance(node.op, Param) and is_made_up(node.op.path)):
        return None
    array = array_of(node, graph, values)
    if array is None or array.size != 1:
        return None
    return Literal_(canonical(array.reshape(-1)[0].item(), node.type.dtype), node.type.dtype)()


def with_moved_weights(
    graph: Graph, values: Mapping[str, Array]
) -> tuple[Graph, Mapping[str, Array]]:
    """Returns the graph with weights in the form in which it reads them, and their new values.

    What reads a constant through a reshape or a permutation reads what that gives; so does what
    reads a parameter, if nothing else reads it. Constants that many nodes move stay: a short file
    could ask for more than there is memory.
    """
    read, roots = users(graph.roots), set(graph.roots)
    new, constants = dict(values), dict(graph.constants)
    room = MOVES * sum(array.nbytes for array in constants.values())

    def step(node: Node, inputs: tuple[Node, ...]) -> Node:
        nonlocal room
        if isinstance(node.op, Reshape | Permute):
            (old,) = node.inputs
            (x,) = inputs
            if isinstance(x.op, Constant) and _static(node):
                room -= constants[x.op.digest].nbytes
                return _moved_constant(node.op(x), constants) if room >= 0 else node.op(x)
            only = len(read[old]) == 1 and old not in roots
            if only and isinstance(x.op, Param) and x.op.path in new and _static(node):
                (array,) = run([node.op(x)], {x.op.path: new[x.op.path]})
                new[x.op.path] = np.ascontiguousarray(array)
                return replace(x.op, type=node.type)()
        return rebuild(node, inputs)

    made = transform(graph, step)
    return replace(made, constants=constants), new


def _moved_constant(node: Node, constants: dict[str, Array]) -> Node:
    """A constant of what a node makes of one."""
    (array,) = run([node], {}, constants)
    content = np.ascontiguousarray(array)
    digest = digest_of(node.type, content)
    constants[digest] = content
    return Constant(digest, node.type)()


def _static(node: Node) -> bool:
    return all(isinstance(size, int) for size in node.type.shape)
