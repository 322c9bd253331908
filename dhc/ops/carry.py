"""Which operators may have elements of narrow types, which are only stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dhc.ir.graph import Node, Op
from dhc.ops.rules import NarrowTypeError


@dataclass(frozen=True)
class Carrying(Op):
    """The base of operators, which refuse narrow elements if they compute with them.

    Attributes:
        kind: What moves elements, a `movement`, may have any.
        carries: Whether they may be of narrow types all the same: so may what converts or chooses
            elements, or is made of operators of its own.
    """

    kind: ClassVar[str] = ""
    carries: ClassVar[bool] = False

    def __call__(self, *inputs: Node) -> Node:
        """Applies the operator.

        Raises:
            TypeRuleError: if it cannot take such inputs.
        """
        made = super().__call__(*inputs)
        if not self.carries and self.kind != "movement":
            for each in (*inputs, made):
                if each.type.dtype.is_narrow:
                    raise NarrowTypeError(self.name, each.type.dtype)
        return made
