"""Tensor types in the source: declaring the inputs of models, matching those of blocks."""

from __future__ import annotations

from collections.abc import Callable

from dhc.errors import Related
from dhc.frontend import ast
from dhc.frontend.axes import axis_index, axis_name
from dhc.frontend.fail import error, guess
from dhc.frontend.scope import Scope
from dhc.frontend.values import Value, describe
from dhc.ir.size import Expr, Size, symbol, unify
from dhc.ir.types import DType, Tensor
from dhc.source import Span

Evaluate = Callable[[ast.Expression, Scope], Value]
DTYPES = {dtype.value: dtype for dtype in DType}


def dtype_named(type: ast.Type) -> DType:
    """The element type of a tensor type in the source."""
    found = DTYPES.get(type.name.text)
    if found is None:
        message = f"There is no element type '{type.name.text}'."
        hint = guess(type.name.text, DTYPES) or "element types are f32, f16, bf16, i64, u8, ..."
        raise error("unknown-type", message, type.name.span, "here", hint)
    return found


def type_text(type: ast.Type) -> str:
    """A type as it stands in the source, on one line."""
    return " ".join(type.span.text.split())


class InputTypes:
    """Declares or matches the input types of one body; sizes are names in its scope."""

    def __init__(self, evaluate: Evaluate, scope: Scope) -> None:
        self._evaluate = evaluate
        self._scope = scope

    def declare(self, node: ast.Input) -> Tensor:
        """The type of a model's input: names that have no value yet become free sizes."""
        dtype = dtype_named(node.type)
        dims = node.type.dims
        if dims is None:
            message = f"The model's input '{node.name.text}' needs its axes."
            hint = f"write {node.name.text}: {dtype}[N, 3, H, W]"
            raise error("missing-type", message, node.type.span, "here", hint)
        sizes = []
        for position, dim in enumerate(dims):
            self._check_axis(dim, position, len(dims))
            letter = axis_name(position, len(dims))
            sizes.append(self._declared_size(dim, f"{node.name.text}_{letter}"))
        return Tensor(dtype, tuple(sizes))

    def _declared_size(self, dim: ast.Dim, anonymous: str) -> Size:
        if dim.size is None:
            return symbol(anonymous)
        if isinstance(dim.size, ast.Name) and self._scope.find(dim.size.text) is None:
            size = symbol(dim.size.text)
            self._scope.define(dim.size.text, size, dim.span)
            return size
        return self._size_of(dim.size)

    def match(self, node: ast.Input, actual: Tensor, call: Span, callee: str) -> None:
        """Checks a tensor against a block's input and gives the sizes their names.

        A type without brackets, `f32`, takes any number of axes.

        Raises:
            DhcError: the tensor does not fit.
        """
        dims = node.type.dims or ()
        any_rank = node.type.dims is None
        same_rank = any_rank or len(dims) == actual.rank
        if dtype_named(node.type) is not actual.dtype or not same_rank:
            raise self._misfit(node, actual, call, callee, node.type.span, "")
        for position, dim in enumerate(dims):
            self._check_axis(dim, position, len(dims))
            if dim.size is None:
                continue
            given = actual.shape[position]
            known = self._known_size(dim, given)
            if unify(known, given) is None:
                letter = axis_name(position, len(dims))
                text = " ".join(dim.size.span.text.split())
                meaning = "" if text == str(known) else f" ({text} is {known})"
                detail = f"axis {letter}: {known} wanted{meaning}, {given} given"
                raise self._misfit(node, actual, call, callee, dim.span, detail)

    def _known_size(self, dim: ast.Dim, given: Size) -> Size:
        assert dim.size is not None
        if isinstance(dim.size, ast.Name) and self._scope.find(dim.size.text) is None:
            self._scope.define(dim.size.text, given, dim.span)
            return given
        return self._size_of(dim.size)

    def _size_of(self, expression: ast.Expression) -> Size:
        value = self._evaluate(expression, self._scope)
        if isinstance(value, Expr):
            return value
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
        message = f"A size is a positive whole number, not {describe(value)}."
        raise error("type", message, expression.span)

    def _check_axis(self, dim: ast.Dim, position: int, rank: int) -> None:
        if dim.axis is None:
            return
        expected = axis_name(position, rank)
        stands = axis_index(dim.axis.text, (1,) * rank)
        if stands is not None and stands != position:
            message = f"Axis {dim.axis.text} does not stand here; this is axis {expected}."
            raise error("unknown-axis", message, dim.axis.span)

    def _misfit(
        self,
        node: ast.Input,
        actual: Tensor,
        call: Span,
        callee: str,
        place: Span,
        detail: str,
    ) -> Exception:
        message = (
            f"'{callee}' takes {type_text(node.type)} as '{node.name.text}', and gets {actual}."
        )
        related = (Related(place, f"'{node.name.text}' is declared here"),)
        return error("shape-mismatch", message, call, detail or "this call", related=related)
