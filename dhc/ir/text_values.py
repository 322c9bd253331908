"""Attributes of operators as text, and back.

Every value shows what it is: `3`, `3.0`, `true`, `"text"`, `(1, 2)`, `none`, `f32` (an element
type), `N // 2 + 1` (a size), `f32[N, 3]` (a tensor type), `fn(x0: f32) => x0 * x0`,
`graph "name" {...}`, and `Initializer {kind: "constant"}` for a small dataclass. The annotation of
a field says which are right.
"""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Annotated, Literal, Protocol, Union, get_args, get_origin

from dhc.errors import did_you_mean
from dhc.ir.graph import Graph, Op
from dhc.ir.interning import value_key
from dhc.ir.number import type_range
from dhc.ir.scalar import Scalar
from dhc.ir.size import Atom, Count, Expr, Least, Size, Symbol, count_size, least, symbol
from dhc.ir.text_scalar import print_scalar
from dhc.ir.text_scalar_parse import ScalarParser
from dhc.ir.text_tokens import DTYPES, Cursor, Token, quote_name
from dhc.ir.types import DType, Tensor

LIMIT = type_range(DType.I64)[1]


# ---- printing --------------------------------------------------------------------------------


def value_text(value: object, graph_text: Callable[[Graph], str]) -> str:
    """Returns the text of an attribute; `graph_text` prints graphs inside it."""
    match value:
        case None:
            return "none"
        case bool():
            return "true" if value else "false"
        case str():
            return json.dumps(value)
        case int() | float() | DType():
            return str(value)
        case Expr():
            return size_text(value)
        case Tensor():
            return type_text(value)
        case Scalar():
            return print_scalar(value)
        case Graph():
            return graph_text(value)
        case tuple():
            items = [value_text(item, graph_text) for item in value]
            return f"({items[0]},)" if len(items) == 1 else f"({', '.join(items)})"
    if is_dataclass(value) and not isinstance(value, type):
        return f"{type(value).__name__} {{{fields_text(value, graph_text)}}}"
    raise TypeError(f"an attribute of type {type(value).__name__} has no text")


def fields_text(value: object, graph_text: Callable[[Graph], str], omit: str = "") -> str:
    """Returns `name: value` for the fields that differ from their defaults."""
    assert is_dataclass(value)
    shown = [
        f"{f.name}: {value_text(getattr(value, f.name), graph_text)}"
        for f in fields(value)
        if f.name != omit and not _is_default(f, getattr(value, f.name))
    ]
    return ", ".join(shown)


def _is_default(field: Field[object], value: object) -> bool:
    return field.default is not MISSING and value_key(field.default) == value_key(value)


def type_text(type: Tensor) -> str:
    return f"{type.dtype}[{', '.join(map(size_text, type.shape))}]"


def size_text(size: Size) -> str:
    """Returns the text of a size; symbols that are no plain words stand in back quotes."""
    if isinstance(size, int):
        return str(size)
    terms = [_term_text(monomial, coefficient) for monomial, coefficient in size.terms]
    return " + ".join(terms).replace("+ -", "- ")


def _term_text(monomial: tuple[Atom, ...], coefficient: int) -> str:
    if coefficient == 1 and len(monomial) == 1:
        return _atom_text(monomial[0], alone=True)
    factors = [_atom_text(atom) for atom in monomial]
    if coefficient == -1 and factors:
        return f"-{' * '.join(factors)}"
    return " * ".join(factors if coefficient == 1 and factors else [str(coefficient), *factors])


def _atom_text(atom: Atom, alone: bool = False) -> str:
    match atom:
        case Symbol(name):
            return quote_name(name)
        case Count(name, most):
            return f"count({quote_name(name)}, {size_text(most)})"
        case Least(value, limit):
            return f"min({size_text(value)}, {limit})"
    inner = size_text(atom.value)
    text = f"{inner if inner.lstrip('-').isidentifier() else f'({inner})'} // {atom.divisor}"
    return text if alone else f"({text})"


# ---- parsing ---------------------------------------------------------------------------------


class GraphReader(Protocol):
    """Reads the graph that an attribute holds."""

    def __call__(self) -> Graph: ...


class ValueParser:
    """Reads attributes, sizes and tensor types."""

    def __init__(self, cursor: Cursor, graph: GraphReader) -> None:
        self.cursor = cursor
        self._graph = graph
        self._hints: dict[type[object], Mapping[str, object]] = {}

    def fields(self, cls: type[object], known: Mapping[str, object] | None = None) -> object:
        """Reads `{name: value, ...}` and makes a `cls` of it."""
        start = self.cursor.token
        if cls not in self._hints:
            self._hints[cls] = field_types(cls)
        hints = self._hints[cls]
        allowed = {f.name: f for f in _constructor_fields(cls)}
        given: dict[str, object] = {}
        for name, value, token in self._entries(allowed, hints):
            if name in given:
                self.cursor.fail(f"'{name}' is given twice.", token)
            given[name] = value
        values = {**{k: v for k, v in (known or {}).items() if k in allowed}, **given}
        for name, field in allowed.items():
            required = field.default is MISSING and field.default_factory is MISSING
            if required and name not in values:
                self.cursor.fail(f"The attribute '{name}' is missing.", start)
        return cls(**values)

    def _entries(
        self, allowed: Mapping[str, object], hints: Mapping[str, object]
    ) -> tuple[tuple[str, object, Token], ...]:
        if self.cursor.token.text != "{":
            return ()

        def entry() -> tuple[str, object, Token]:
            token = self.cursor.token
            name = self.cursor.label()
            if name not in allowed:
                near = did_you_mean(name, allowed)
                self.cursor.fail(
                    f"There is no attribute '{name}'.", token, near and f"perhaps '{near}'"
                )
            self.cursor.expect(":")
            return name, self.value(hints.get(name, object)), token

        return self.cursor.listed(entry, "{", "}")

    def value(self, expected: object) -> object:
        """Reads a value that the annotation `expected` allows."""
        token = self.cursor.token
        with self.cursor.nested():
            value = self._value(expected)
        if not matches(value, expected):
            self.cursor.fail(f"This value is not {_describe(expected)}.", token)
        return value

    def _value(self, expected: object) -> object:
        token, following = self.cursor.token, self.cursor.ahead().text
        if token.kind == "string":
            return self.cursor.string()
        for word, constant in (("none", None), ("true", True), ("false", False)):
            if self.cursor.accept(word):
                return constant
        if token.text == "fn":
            return ScalarParser(self.cursor).function()
        if token.text == "graph":
            return self._graph()
        if token.text in DTYPES and token.kind == "name":
            return self.type() if following == "[" else self.cursor.dtype()
        if token.kind == "name" and following == "{":
            return self._record(expected)
        if token.text == "(":
            return self._tuple_or_size(expected)
        return self._number_or_size()

    def _record(self, expected: object) -> object:
        known = {cls.__name__: cls for cls in _record_types(expected)}
        return self.fields(self.cursor.choice(known, "record"))

    def _tuple_or_size(self, expected: object) -> object:
        """A bracket opens a tuple, or a size such as `((N) // 2)` where no tuple can stand."""
        if not any(get_origin(option) is tuple for option in _options(expected)):
            return self.size()
        item = _item_type(expected)
        return self.cursor.listed(lambda: self.value(item), "(", ")")

    def _number_or_size(self) -> object:
        sign = 1 if self.cursor.token.text == "-" else 0
        token = self.cursor.ahead(sign)
        word = token.kind == "name" and token.text in ("inf", "nan")
        if word or (token.kind == "number" and not token.text.isdigit()):
            for _ in range(sign + 1):
                self.cursor.advance()
            return -float(token.text) if sign else float(token.text)
        return self.size()

    def type(self) -> Tensor:
        """Reads a tensor type such as `f32[N, 3]`."""
        dtype = self.cursor.dtype()
        return Tensor(dtype, self.cursor.listed(self.size, "[", "]"))

    def size(self) -> Size:
        """Reads a sum of products of symbols, whole numbers, and divisions by a number."""
        with self.cursor.nested():
            total = self._product()
            while self.cursor.token.text in ("+", "-") and self.cursor.token.kind == "mark":
                negative = self.cursor.advance().text == "-"
                term = self._product()
                total = self._limited(total - term if negative else total + term)
            return total

    def _product(self) -> Size:
        product = self._factor()
        while self.cursor.token.text in ("*", "//") and self.cursor.token.kind == "mark":
            if self.cursor.advance().text == "*":
                product = self._limited(product * self._factor())
                continue
            token = self.cursor.token
            divisor = self.cursor.integer()
            if divisor <= 0:
                self.cursor.fail("Sizes are divided by positive numbers only.", token)
            product = product // divisor
        return product

    def _factor(self) -> Size:
        if self.cursor.accept("("):
            inner = self.size()
            self.cursor.expect(")")
            return inner
        if self.cursor.token.kind == "name" and self.cursor.ahead().text == "(":
            return self._function()
        if self.cursor.token.kind == "name":
            return symbol(self.cursor.name())
        if self.cursor.token.text == "-" and self.cursor.ahead().kind != "number":
            self.cursor.advance()
            with self.cursor.nested():
                return -self._factor()
        return self._limited(self.cursor.integer())

    def _function(self) -> Size:
        """Reads `count(name, most)`, which a node finds, or `min(size, number)`."""
        kind = self.cursor.choice({"count": True, "min": False}, "function of sizes")
        self.cursor.expect("(")
        name = self.cursor.name() if kind else ""
        value = 0 if kind else self.size()
        self.cursor.expect(",")
        found = count_size(name, self.size()) if kind else least(value, self.cursor.integer())
        self.cursor.expect(")")
        return found

    def _limited(self, size: Size) -> Size:
        too_large = isinstance(size, int) and abs(size) > LIMIT
        if too_large or (isinstance(size, Expr) and len(size.terms) > 64):
            self.cursor.fail("This size is too large.")
        return size


# ---- annotations -----------------------------------------------------------------------------


def field_types(cls: type[object]) -> Mapping[str, object]:
    """Returns the annotations of a dataclass, or nothing where they name local things."""
    try:
        return typing.get_type_hints(cls)
    except NameError:
        return {}


def matches(value: object, expected: object) -> bool:
    """Returns whether an annotation allows a value; what it does not know it allows."""
    return any(_matches_option(value, option) for option in _options(expected))


def _matches_option(value: object, option: object) -> bool:
    if option is object or isinstance(option, typing.TypeVar):
        return True
    if option is None or option is types.NoneType:
        return value is None
    origin = get_origin(option)
    if origin is Literal:
        return any(value == choice and type(value) is type(choice) for choice in get_args(option))
    if origin is tuple:
        return isinstance(value, tuple) and _matches_items(value, get_args(option))
    if option is float:
        return type(value) in (float, int)
    if option is int or option is bool:
        return type(value) is option
    return not isinstance(option, type) or isinstance(value, option)


def _matches_items(value: tuple[object, ...], expected: tuple[object, ...]) -> bool:
    if len(expected) == 2 and expected[1] is Ellipsis:
        return all(matches(item, expected[0]) for item in value)
    if len(value) != len(expected):
        return False
    return all(matches(item, kind) for item, kind in zip(value, expected, strict=True))


def _options(expected: object) -> tuple[object, ...]:
    """Returns the alternatives of a union, without what `Annotated` adds."""
    if get_origin(expected) is Annotated:
        return _options(get_args(expected)[0])
    if get_origin(expected) in (Union, types.UnionType):
        return tuple(option for part in get_args(expected) for option in _options(part))
    return (expected,)


def _item_type(expected: object) -> object:
    """Returns the annotation of the items of a tuple, where all have the same."""
    for option in _options(expected):
        if get_origin(option) is tuple:
            items = [item for item in get_args(option) if item is not Ellipsis]
            return items[0] if len(set(items)) == 1 else object
    return object


def _record_types(expected: object) -> list[type[object]]:
    found = [o for o in _options(expected) if isinstance(o, type) and is_dataclass(o)]
    return [cls for cls in found if cls not in (Tensor, Graph, Expr) and not issubclass(cls, Op)]


def _constructor_fields(cls: type[object]) -> list[Field[object]]:
    return [f for f in fields(cls) if f.init]  # type: ignore[arg-type]


def _describe(expected: object) -> str:
    if get_origin(expected) is Literal:
        return "one of " + ", ".join(json.dumps(choice) for choice in get_args(expected))
    return expected.__name__ if isinstance(expected, type) else str(expected)
