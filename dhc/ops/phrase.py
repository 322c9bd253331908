"""How the language writes a node: the word that is called, what flows in, and what it says.

An operator is called by its own name, with its fields as arguments, unless it overrides
`Operator.phrase`: where a layer of the language makes the weights, or says the same in fewer words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

from dhc.ir.graph import Constant, Node, Op, Param


@dataclass(frozen=True)
class Phrase:
    """A call of the language.

    Attributes:
        callee: The layer or operator.
        inputs: The tensors that flow in.
        attributes: Its arguments by name; what is left out has its usual value.
        weights: The parameters that the layer makes, by their names in the layer.
    """

    callee: str
    inputs: tuple[Node, ...]
    attributes: Mapping[str, object] = field(default_factory=dict)
    weights: Mapping[str, Node] = field(default_factory=dict)


def plain_phrase(operator: Op, inputs: Sequence[Node]) -> Phrase:
    """Returns the call of an operator by its name, with the fields that are not as usual."""
    said = {each.name: getattr(operator, each.name) for each in fields(operator)}
    usual = {each.name: each.default for each in fields(operator)}
    attributes = {name: value for name, value in said.items() if not _same(value, usual[name])}
    return Phrase(operator.name, tuple(inputs), attributes)


def weights_of(**given: Node) -> Mapping[str, Node] | None:
    """Returns weights by name if all are kept values, as a layer has them."""
    return given if all(isinstance(node.op, Param | Constant) for node in given.values()) else None


def even(values: Sequence[int]) -> int | tuple[int, ...]:
    """Returns one number for all axes where they are the same."""
    return values[0] if len(set(values)) == 1 else tuple(values)


def unusual(**attributes: tuple[object, object]) -> dict[str, object]:
    """Returns the attributes whose values, the first of each pair, are not the usual second."""
    return {name: value for name, (value, usual) in attributes.items() if not _same(value, usual)}


def even_padding(pads: Sequence[tuple[int, int]]) -> object:
    """Returns padding in the fewest words: a number, one for each axis, or pairs."""
    if all(before == after for before, after in pads):
        return even([before for before, _ in pads])
    return tuple(pads)


def _same(value: object, usual: object) -> bool:
    return type(value) is type(usual) and value == usual
