"""What the registries of operators and layers offer to the language."""

from __future__ import annotations

import dhc.ops  # noqa: F401  (registers the operators)
from dhc.frontend.axes import axis_letters
from dhc.frontend.builtins import BUILTINS
from dhc.frontend.signature import choices_of, expected_text, signature_of
from dhc.frontend.values import Primitive
from dhc.ir.types import DType
from dhc.ops.base import layers, operators, stages


def primitive(name: str) -> Primitive | None:
    """The layer of a name, else the operator, if the language can write its attributes."""
    if name in layers:
        return Primitive(name, layers[name])
    if name in operators:
        found = Primitive(name, operators[name])
        return found if _writable(found) else None
    return None


def stage_of(name: str) -> Primitive | None:
    """What a name means in pipelines."""
    return Primitive(name, stages[name]) if name in stages else primitive(name)


def _writable(callable: Primitive) -> bool:
    attributes = signature_of(callable.target).attributes
    return all(
        not each.required or expected_text(each.annotation) != "another value"
        for each in attributes
    )


def primitive_names() -> list[str]:
    return sorted({*layers, *operators})


def known_names() -> list[str]:
    """Names that mean something in every file."""
    return [*primitive_names(), *BUILTINS]


def known_words() -> frozenset[str]:
    """Bare words that some parameter takes."""
    words = {*axis_letters(), *(dtype.value for dtype in DType)}
    signatures = [signature_of(layer) for layer in (*layers.values(), *stages.values())]
    signatures += [signature_of(operator) for operator in operators.values()]
    for signature in signatures:
        for parameter in signature.attributes:
            words.update(choices_of(parameter.annotation))
    return frozenset(words)
