"""What exporters take apart or leave behind is tidied when a model is read.

Each step leaves the meaning as it is but for rounding; the tests run both. What holds for every
graph, such as that a reshape of a reshape is one, is done by the pass that does it for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping

from dhc.ir.graph import Array, Graph
from dhc.onnx.tidy import activations, layers, movements, norms
from dhc.onnx.tidy.attention import with_attention
from dhc.onnx.tidy.weights import with_moved_weights, with_numbers, without_expansions
from dhc.passes.canonicalize import Canonicalize

_SETS = (movements.rules, norms.rules, layers.rules, activations.rules)


def tidied(graph: Graph, values: Mapping[str, Array]) -> tuple[Graph, Mapping[str, Array]]:
    """Returns a graph with fewer operators, and the values of its parameters.

    Args:
        graph: A graph as it was read.
        values: Its parameters by path; those of dense layers are turned over.
    """
    canonical = Canonicalize()
    made = canonical(without_expansions(with_numbers(graph, values)))
    made = layers.with_dense_layers(norms.without_idle_weights(made, values))
    for rules in _SETS:
        made = canonical(rules.apply(made))
    return with_moved_weights(with_attention(made), values)
