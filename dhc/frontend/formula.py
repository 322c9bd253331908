"""Formulas of settings, such as a loss, on the tensors they speak of."""

from __future__ import annotations

from collections.abc import Mapping

from dhc.frontend.configure import Configured
from dhc.frontend.execute import Executor
from dhc.frontend.fail import error
from dhc.frontend.scope import Scope
from dhc.frontend.values import Bundle, describe
from dhc.ir.graph import Node


def build_formula(
    configured: Configured, name: str, outputs: Mapping[str, Node], data: Mapping[str, Node]
) -> Node:
    """The value of a setting that is a formula, on a model's outputs and a batch of data.

    Raises:
        DhcError: the formula does not fit the tensors.
    """
    scope = Scope(configured.scope)
    for root, values in (("out", outputs), ("data", data)):
        scope.define(root, Bundle(tuple(values.values()), tuple(values)))
    [expression] = configured.expressions[name]
    value = Executor().evaluate(expression, scope)
    if not isinstance(value, Node):
        message = f"'{name}' is a tensor, not {describe(value)}."
        raise error("type", message, expression.span)
    return value
