"""Evaluation of expressions at compile time. Tensors come in through the hooks at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dhc.errors import DhcError
from dhc.frontend import ast
from dhc.frontend.arithmetic import combine, compare, is_number
from dhc.frontend.builtins import BUILTINS, NOT_FINITE, BuiltinError, BuiltinLimitError
from dhc.frontend.fail import error, guess, listing, reported, unknown_name
from dhc.frontend.limits import ITEMS_IN_A_STEP, Budget, check_items, check_number
from dhc.frontend.registry import known_names, known_words, primitive
from dhc.frontend.scope import Lazy, Scope
from dhc.frontend.signature import choices_of, signature_of
from dhc.frontend.values import (
    UNITS,
    Broken,
    Builtin,
    Bundle,
    FunctionValue,
    Given,
    Interval,
    Namespace,
    Primitive,
    Quantity,
    Value,
    Word,
    describe,
)
from dhc.ir.graph import Node
from dhc.ir.size import Expr
from dhc.source import Span

CONSTANTS: dict[str, Value] = {"true": True, "false": False, "none": None}


class Evaluator:
    """Computes values of expressions; `budget` bounds the work."""

    def __init__(self) -> None:
        self.budget = Budget()
        self._handlers: dict[type, Callable[..., Value]] = {
            ast.Name: self._name,
            ast.Number: self._number,
            ast.String: lambda node, scope: node.value,
            ast.List: self._list,
            ast.Tuple: self._tuple,
            ast.Call: self._call,
            ast.Member: self._member,
            ast.Index: self._index,
            ast.Unary: self._unary,
            ast.Binary: self._binary,
            ast.Conditional: self._conditional,
            ast.Interval: self._interval,
            ast.Chain: self._chain,
            ast.Scan: self._scan,
        }

    def evaluate(self, node: ast.Expression, scope: Scope) -> Value:
        """The value of an expression.

        Raises:
            DhcError: the expression is wrong, or computes more than the limits allow.
        """
        self.budget.step(node.span)
        return self._handlers[type(node)](node, scope)

    # ---- names and literals

    def _name(self, node: ast.Name, scope: Scope) -> Value:
        if node.text in CONSTANTS:
            return CONSTANTS[node.text]
        found = scope.find(node.text)
        if found is not None:
            return self.force(found, node.text, node.span)
        known = primitive(node.text) or BUILTINS.get(node.text)
        if known is not None:
            return known
        if node.text in known_words():
            return Word(node.text)
        raise unknown_name("name", node.text, node.span, [*scope.all_names(), *known_names()])

    def force(self, scope: Scope, name: str, span: Span) -> Value:
        """The value of a name in the scope that defines it, computed now if it was not yet."""
        value = scope.names[name]
        if isinstance(value, Lazy):
            if value.running:
                raise error("cycle", f"The value of '{name}' depends on itself.", span)
            value.running = True
            try:
                scope.names[name] = value = value.compute()
            except DhcError:
                scope.names[name] = Broken()
                raise
        if isinstance(value, Broken):
            raise reported()
        return value

    def _number(self, node: ast.Number, scope: Scope) -> Value:
        if not node.unit or node.unit not in UNITS:
            return check_number(node.value, node.span)
        unit, scale = UNITS[node.unit]
        return Quantity(node.value * scale, unit) if unit else node.value * scale

    def _list(self, node: ast.List, scope: Scope) -> Value:
        return self._made(tuple(self.evaluate(item, scope) for item in node.items), node.span)

    def _made(self, value: Value, span: Span) -> Value:
        """A value that was just computed; long lists count as more than one step."""
        if isinstance(value, tuple):
            self.budget.step(span, check_items(value, span) // ITEMS_IN_A_STEP)
        return value

    def _tuple(self, node: ast.Tuple, scope: Scope) -> Value:
        return Bundle(tuple(self.evaluate(item, scope) for item in node.items))

    def _interval(self, node: ast.Interval, scope: Scope) -> Value:
        low, high = self.evaluate(node.low, scope), self.evaluate(node.high, scope)
        for value, side in ((low, node.low), (high, node.high)):
            if not is_number(value) and not isinstance(value, Quantity):
                message = f"A range needs numbers, not {describe(value)}."
                raise error("type", message, side.span)
        return Interval(low, high)

    # ---- operators

    def _unary(self, node: ast.Unary, scope: Scope) -> Value:
        value = self.evaluate(node.operand, scope)
        if node.operator == "not":
            return not self.truth(value, node.operand.span)
        if isinstance(value, Quantity):
            return Quantity(-value.value, value.unit)
        if isinstance(value, Expr) or is_number(value):
            return -value  # type: ignore[operator]
        if isinstance(value, Node):
            return self.tensor_operator("-", (value,), node)
        raise error("type", f"'-' is not possible on {describe(value)}.", node.span)

    def _binary(self, node: ast.Binary, scope: Scope) -> Value:
        left = self.evaluate(node.left, scope)
        if node.operator in ("and", "or"):
            decided = self.truth(left, node.left.span) is (node.operator == "or")
            return (
                left if decided else self.truth(self.evaluate(node.right, scope), node.right.span)
            )
        right = self.evaluate(node.right, scope)
        if isinstance(left, Node) or isinstance(right, Node):
            return self.tensor_operator(node.operator, (left, right), node)
        if node.operator in ("==", "!=", "<", "<=", ">", ">="):
            return compare(node.operator, left, right, node.span)
        return self._made(combine(node.operator, left, right, node.span), node.span)

    def truth(self, value: Value, span: Span) -> bool:
        """A condition, which must be known at compile time."""
        if isinstance(value, bool):
            return value
        if isinstance(value, Node):
            hint = "use where(condition, a, b) to choose element by element"
            raise error(
                "type", "A condition is decided before anything runs.", span, "a tensor", hint
            )
        raise error("type", f"A condition is true or false, not {describe(value)}.", span)

    def _conditional(self, node: ast.Conditional, scope: Scope) -> Value:
        chosen = self.truth(self.evaluate(node.condition, scope), node.condition.span)
        return self.evaluate(node.then if chosen else node.otherwise, scope)

    # ---- members and items

    def _member(self, node: ast.Member, scope: Scope) -> Value:
        value = self.evaluate(node.value, scope)
        return self.member_of(value, node.name)

    def member_of(self, value: Value, name: ast.Identifier) -> Value:
        if isinstance(value, Namespace):
            if name.text not in value.scope.names:
                raise unknown_name("name", name.text, name.span, value.scope.names)
            return self.force(value.scope, name.text, name.span)
        if isinstance(value, Bundle):
            if name.text in value.names:
                return value.values[value.names.index(name.text)]
            known = f"its outputs are {listing(value.names)}" if value.names else ""
            raise error(
                "unknown-member", f"There is no output '{name.text}'.", name.span, "here",
                guess(name.text, value.names) or known,
            )  # fmt: skip
        if isinstance(value, Node):
            return self.tensor_member(value, name)
        raise error("type", f"{describe(value).capitalize()} has no member.", name.span)

    def _index(self, node: ast.Index, scope: Scope) -> Value:
        value = self.evaluate(node.value, scope)
        index = self.evaluate(node.index, scope)
        if not isinstance(index, int) or isinstance(index, bool):
            message = f"A position is a whole number, not {describe(index)}."
            raise error("type", message, node.index.span)
        items = value.values if isinstance(value, Bundle) else value
        if isinstance(items, Node):
            return self.tensor_index(items, index, node)
        if not isinstance(items, tuple):
            raise error("type", f"{describe(value).capitalize()} has no items.", node.value.span)
        if not -len(items) <= index < len(items):
            message = f"There is no item {index} in a list of {len(items)}."
            raise error("index", message, node.index.span, "positions begin at 0")
        return items[index]

    # ---- calls

    def _call(self, node: ast.Call, scope: Scope) -> Value:
        callee = self.callee(node.callee, scope)
        given = self.arguments(callee, node.arguments, scope)
        return self.call(callee, given, node)

    def callee(self, node: ast.Expression, scope: Scope) -> Value:
        if isinstance(node, ast.Name) and scope.find(node.text) is None:
            found = primitive(node.text) or BUILTINS.get(node.text)
            if found is None:
                candidates = [*scope.all_names(), *known_names()]
                raise unknown_name("layer, block or function", node.text, node.span, candidates)
            return found
        return self.evaluate(node, scope)

    def arguments(
        self, callee: Value, arguments: Sequence[ast.Argument], scope: Scope
    ) -> tuple[Given, ...]:
        """Evaluates arguments; a bare word that the parameter knows wins over a variable."""
        given = []
        for argument in arguments:
            name = argument.name.text if argument.name else None
            word = self._word_argument(callee, name, argument.value)
            value = self.evaluate(argument.value, scope) if word is None else word
            given.append(Given(name, value, argument.span))
        return tuple(given)

    def _word_argument(
        self, callee: Value, name: str | None, expression: ast.Expression
    ) -> Word | None:
        if (
            name is None
            or not isinstance(callee, Primitive)
            or not isinstance(expression, ast.Name)
        ):
            return None
        parameter = signature_of(callee.target).attribute(name)
        if parameter is None or expression.text not in choices_of(parameter.annotation):
            return None
        return Word(expression.text)

    def call(self, callee: Value, given: tuple[Given, ...], node: ast.Call) -> Value:
        """Calls something with evaluated arguments."""
        if isinstance(callee, Builtin):
            return self.call_builtin(callee, given, node)
        if isinstance(callee, FunctionValue):
            return self._call_function(callee, given, node)
        return self.instantiate(callee, given, node)

    def call_builtin(self, callee: Builtin, given: tuple[Given, ...], node: ast.Call) -> Value:
        for each in given:
            if each.name is not None:
                message = f"'{callee.name}' takes no argument by name."
                raise error("unknown-argument", message, each.span)
        try:
            result = callee.function(*(each.value for each in given))
        except BuiltinError as problem:
            code = "limit" if isinstance(problem, BuiltinLimitError) else "type"
            message = f"'{callee.name}' cannot take this. {problem}"
            raise error(code, message, node.span) from None
        except TypeError:
            message = f"'{callee.name}' does not take {len(given)} arguments."
            raise error("arguments", message, node.span) from None
        except (OverflowError, ValueError):
            raise error("limit", "This is not a finite number.", node.span) from None
        if isinstance(result, int | float):
            said = callee.name in NOT_FINITE
            return result if said else check_number(result, node.span)
        return self._made(result, node.span)

    def _call_function(
        self, callee: FunctionValue, given: tuple[Given, ...], node: ast.Call
    ) -> Value:
        name = callee.definition.name.text
        local = self.bind_parameters(name, callee.definition.parameters, given, callee.scope, node)
        self.budget.enter(name, node.span)
        try:
            return self.evaluate(callee.definition.value, local)
        finally:
            self.budget.leave()

    def bind_parameters(
        self,
        name: str,
        parameters: tuple[ast.Parameter, ...],
        given: Sequence[Given],
        scope: Scope,
        node: ast.Node,
    ) -> Scope:
        """A scope in which the parameters of a function or block have their values."""
        local = Scope(scope)
        names = [parameter.name.text for parameter in parameters]
        positional = [each for each in given if each.name is None]
        if len(positional) > len(parameters):
            message = f"'{name}' takes at most {len(parameters)} arguments."
            raise error("arguments", message, positional[len(parameters)].span, "one too many")
        values = dict(zip(names, positional, strict=False))
        for each in given:
            if each.name is None:
                continue
            if each.name not in names:
                raise unknown_argument(name, each, names)
            if each.name in values:
                raise error("arguments", f"'{each.name}' is given twice.", each.span)
            values[each.name] = each
        for parameter in parameters:
            self._bind_parameter(name, parameter, values.get(parameter.name.text), local, node)
        return local

    def _bind_parameter(
        self,
        name: str,
        parameter: ast.Parameter,
        given: Given | None,
        local: Scope,
        node: ast.Node,
    ) -> None:
        if given is not None:
            value = given.value
        elif parameter.default is not None:
            value = self.evaluate(parameter.default, local)
        else:
            raise missing_argument(name, parameter.name.text, node.span)
        local.define(parameter.name.text, value, parameter.span)

    # ---- hooks for tensors, filled in by the builder

    def instantiate(self, callee: Value, given: tuple[Given, ...], node: ast.Call) -> Value:
        message = f"{describe(callee).capitalize()} cannot be called."
        raise error("type", message, node.span)

    def _chain(self, node: ast.Chain, scope: Scope) -> Value:
        raise error("type", "No tensors flow here, only numbers.", node.span)

    def _scan(self, node: ast.Scan, scope: Scope) -> Value:
        raise error("type", "No tensors flow here, only numbers.", node.span)

    def tensor_operator(self, symbol: str, values: tuple[Value, ...], node: ast.Node) -> Value:
        raise error("type", f"'{symbol}' on tensors is not possible here.", node.span)

    def tensor_member(self, value: Node, name: ast.Identifier) -> Value:
        raise error("type", "A tensor has no such member.", name.span)

    def tensor_index(self, value: Node, index: int, node: ast.Index) -> Value:
        raise error("type", "Tensors are not indexed here.", node.span)


def unknown_argument(name: str, given: Given, known: Sequence[str]) -> DhcError:
    """The error for an argument name that a callable does not have."""
    assert given.name is not None
    hint = guess(given.name, known)
    if not hint:
        hint = f"its arguments are {listing(known)}" if known else "it takes no arguments"
    return error(
        "unknown-argument", f"'{name}' has no argument '{given.name}'.", given.span, "here", hint
    )


def missing_argument(name: str, parameter: str, span: Span) -> DhcError:
    return error(
        "missing-argument", f"'{name}' needs a value for '{parameter}'.", span, "in this call",
        f"write {name}({parameter}=...)",
    )  # fmt: skip
