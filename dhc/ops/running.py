"""Running a graph on numpy: what each operator means, and what sizes it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dhc.ir.counts import found_by
from dhc.ir.graph import Constant, Input, Literal_, Node, Param, topological
from dhc.ir.size import Count, Size, count_size

Array = NDArray[Any]


def run(
    roots: Iterable[Node],
    values: Mapping[str, Array],
    constants: Mapping[str, Array] | None = None,
    observe: Callable[[Node, Array], None] | None = None,
) -> list[Array]:
    """Evaluates nodes with each operator's numpy meaning.

    Args:
        roots: What to compute.
        values: Arrays for inputs by label and for parameters by path.
        constants: Data of `Constant` nodes by digest.
        observe: Sees each value as soon as it is known.

    Returns:
        One array for each root.
    """
    roots = list(roots)
    known: dict[Node, Array] = {}
    found: dict[str, Size] = {}
    for node in topological(roots):
        known[node] = _run_node(node, known, values, constants or {}, found)
        for each in found_by(node.op):
            found[each.name] = _found_size(each, node, known[node])
        if observe is not None:
            observe(node, known[node])
    return [known[root] for root in roots]


def _found_size(count: Count, node: Node, array: Array) -> int:
    """The size that a node has found."""
    alone = count_size(count.name, count.most)
    return int(array.shape[node.type.shape.index(alone)])


def _run_node(
    node: Node,
    known: Mapping[Node, Array],
    values: Mapping[str, Array],
    constants: Mapping[str, Array],
    found: Mapping[str, Size],
) -> Array:
    from dhc.ops.base import Operator

    match node.op.substitute(found) if found else node.op:
        case Input(label):
            return values[label]
        case Param(path):
            return values[path]
        case Constant(digest):
            return constants[digest]
        case Literal_(value, dtype):
            return np.asarray(value, dtype.numpy)
        case Operator() as operator:
            with np.errstate(all="ignore"):
                return operator.numpy(*(known[source] for source in node.inputs))
    raise TypeError(f"'{node.op.name}' has no numpy meaning")
