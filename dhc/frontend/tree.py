"""From the parser's tree to the syntax tree: one method for each rule of the grammar."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from lark import Token, Tree

from dhc.errors import Diagnostic, did_you_mean
from dhc.frontend import ast
from dhc.source import SourceFile, Span

LANGUAGE_VERSION = 1
UNITS = (
    "%", "deg", "px", "um", "mm", "cm", "us", "ms", "s", "Hz", "kHz", "MHz", "GHz",
    "kB", "MB", "GB",
)  # fmt: skip
RESERVED = frozenset(
    (
        "let", "fn", "if", "then", "else", "for", "in", "repeat", "oneof", "scan", "and", "or",
        "not", "as", "with", "true", "false", "none",
    )
)  # fmt: skip
MAX_NUMBER = 40  # characters; nobody writes a longer one on purpose

_ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}
_NUMBER = re.compile(r"([0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)(.*)")
_OPERATORS = {
    "or_": "or",
    "and_": "and",
    "add": "+",
    "subtract": "-",
    "multiply": "*",
    "divide": "/",
    "floor_divide": "//",
    "power": "^",
}


class TreeBuilder:
    """Turns a parse tree into an `ast.Module`; what is wrong with single tokens is collected."""

    def __init__(self, file: SourceFile) -> None:
        self.file = file
        self.diagnostics: list[Diagnostic] = []
        self._built: dict[int, Any] = {}

    def build(self, tree: Tree[Token]) -> ast.Module:
        """Builds bottom up without recursion, so that no nesting overflows the stack."""
        for subtree in tree.iter_subtrees():
            parts = [self._part(child) for child in subtree.children]
            rule = str(subtree.data)
            if rule in _OPERATORS:
                node: Any = ast.Binary(self._span(subtree), _OPERATORS[rule], *parts)
            else:
                method: Callable[[Span, list[Any]], Any] = getattr(self, f"_{rule.strip('_')}")
                node = method(self._span(subtree), parts)
            self._built[id(subtree)] = node
        module = self._built[id(tree)]
        assert isinstance(module, ast.Module)
        return module

    def _part(self, child: object) -> Any:
        return self._built[id(child)] if isinstance(child, Tree) else child

    def _span(self, tree: Tree[Token]) -> Span:
        if tree.meta.empty:
            return Span(self.file, 0, 0)
        return Span(self.file, tree.meta.start_pos, tree.meta.end_pos)

    def _token_span(self, token: Token) -> Span:
        assert token.start_pos is not None
        return Span(self.file, token.start_pos, token.start_pos + len(token))

    def _identifier(self, token: Token) -> ast.Identifier:
        return ast.Identifier(self._token_span(token), str(token))

    def _declared(self, token: Token) -> ast.Identifier:
        """An identifier that declares a name, which must not be a word of the language."""
        if token in RESERVED:
            self._report(
                "reserved-name",
                f"'{token}' is a word of the language and cannot be a name.",
                self._token_span(token),
                "choose another name",
            )
        return self._identifier(token)

    def _report(self, code: str, message: str, span: Span, label: str, *hints: str) -> None:
        self.diagnostics.append(Diagnostic(code, message, span, label, hints=hints))

    # ---- items

    def _start(self, span: Span, parts: list[Any]) -> ast.Module:
        version, *items = parts
        return ast.Module(span, self.file, version, tuple(items))

    def _version(self, span: Span, parts: list[Any]) -> int:
        if str(parts[0]) != str(LANGUAGE_VERSION):
            message = f"This file is written in version {parts[0]} of the language."
            label = f"this compiler knows version {LANGUAGE_VERSION}"
            self._report("language-version", message, self._token_span(parts[0]), label)
        return LANGUAGE_VERSION

    def _import(self, span: Span, parts: list[Any]) -> ast.Import:
        path, alias = parts
        return ast.Import(span, self._string_of(path), self._declared(alias) if alias else None)

    def _let(self, span: Span, parts: list[Any]) -> ast.Let:
        return ast.Let(span, self._declared(parts[0]), parts[1])

    def _share(self, span: Span, parts: list[Any]) -> ast.Share:
        return ast.Share(span, self._declared(parts[0]), parts[1])

    def _function(self, span: Span, parts: list[Any]) -> ast.Function:
        return ast.Function(span, self._declared(parts[0]), parts[1], parts[2])

    def _block(self, span: Span, parts: list[Any]) -> ast.Definition:
        return ast.Definition(span, "block", self._declared(parts[0]), parts[1], parts[2])

    def _model(self, span: Span, parts: list[Any]) -> ast.Definition:
        return ast.Definition(span, "model", self._declared(parts[0]), parts[1], parts[2])

    def _pipeline(self, span: Span, parts: list[Any]) -> ast.Definition:
        return ast.Definition(span, "pipeline", self._declared(parts[0]), parts[1], parts[2])

    def _app(self, span: Span, parts: list[Any]) -> ast.Definition:
        return ast.Definition(span, "app", self._declared(parts[0]), (), parts[1])

    def _train(self, span: Span, parts: list[Any]) -> ast.Configuration:
        return ast.Configuration(span, "train", self._declared(parts[0]), parts[1])

    def _target(self, span: Span, parts: list[Any]) -> ast.Configuration:
        return ast.Configuration(span, "target", self._declared(parts[0]), parts[1])

    def _study(self, span: Span, parts: list[Any]) -> ast.Configuration:
        return ast.Configuration(span, "study", self._declared(parts[0]), parts[1])

    def _parameters(self, span: Span, parts: list[Any]) -> tuple[ast.Parameter, ...]:
        return tuple(part for part in parts if part is not None)

    def _parameter(self, span: Span, parts: list[Any]) -> ast.Parameter:
        return ast.Parameter(span, self._declared(parts[0]), parts[1], parts[2])

    def _settings(self, span: Span, parts: list[Any]) -> ast.Settings:
        return ast.Settings(span, tuple(parts))

    def _setting(self, span: Span, parts: list[Any]) -> ast.Setting:
        return ast.Setting(span, self._identifier(parts[0]), parts[1])

    def _section(self, span: Span, parts: list[Any]) -> ast.Section:
        return ast.Section(span, self._identifier(parts[0]), parts[1])

    # ---- types

    def _type(self, span: Span, parts: list[Any]) -> ast.Type:
        name, *dims, arguments = parts
        written = [self._dim_of(dim) for dim in dims if dim is not None]
        brackets = bool(written) or "[" in span.text.partition("(")[0]
        return ast.Type(
            span, self._identifier(name), tuple(written) if brackets else None, arguments or ()
        )

    def _dim_of(self, part: Any) -> ast.Dim:
        return part if isinstance(part, ast.Dim) else ast.Dim(part.span, None, part)

    def _named_dim(self, span: Span, parts: list[Any]) -> ast.Dim:
        size = None if isinstance(parts[1], ast.Dim) else parts[1]
        return ast.Dim(span, self._identifier(parts[0]), size)

    def _any_size(self, span: Span, parts: list[Any]) -> ast.Dim:
        return ast.Dim(span, None, None)

    # ---- statements

    def _body(self, span: Span, parts: list[Any]) -> ast.Body:
        return ast.Body(span, tuple(parts))

    def _input(self, span: Span, parts: list[Any]) -> ast.Input:
        name, type = parts
        return ast.Input(span, self._declared(name), type)

    def _output(self, span: Span, parts: list[Any]) -> ast.Output:
        name, value = parts
        return ast.Output(span, self._declared(name) if name else None, value)

    def _carry(self, span: Span, parts: list[Any]) -> ast.Carry:
        name, value = parts
        return ast.Carry(span, self._declared(name), value)

    def _yield(self, span: Span, parts: list[Any]) -> ast.Yield:
        name, value = parts
        return ast.Yield(span, self._declared(name) if name else None, value)

    def _assign(self, span: Span, parts: list[Any]) -> ast.Assign:
        *names, value = parts
        return ast.Assign(span, tuple(map(self._declared, names)), value)

    def _stages(self, span: Span, parts: list[Any]) -> ast.Stages:
        return ast.Stages(span, tuple(parts))

    def _if(self, span: Span, parts: list[Any]) -> ast.If:
        return ast.If(span, *parts)

    def _for(self, span: Span, parts: list[Any]) -> ast.For:
        *names, sequence, body = parts
        return ast.For(span, tuple(map(self._declared, names)), sequence, body)

    def _repeat(self, span: Span, parts: list[Any]) -> ast.Repeat:
        return ast.Repeat(span, *parts)

    def _oneof(self, span: Span, parts: list[Any]) -> ast.OneOf:
        arguments, body = parts
        return ast.OneOf(span, arguments or (), body)

    def _scan(self, span: Span, parts: list[Any]) -> ast.Scan:
        arguments, *parts = parts
        names = tuple(self._declared(part) for part in parts if isinstance(part, Token))
        nodes: list[Any] = [part for part in parts if isinstance(part, ast.Node)]
        sequence, *bindings, body = nodes
        return ast.Scan(span, arguments or (), names, sequence, tuple(bindings), body)

    def _binding(self, span: Span, parts: list[Any]) -> ast.Binding:
        return ast.Binding(span, self._declared(parts[0]), parts[1])

    # ---- expressions

    def _path(self, span: Span, parts: list[Any]) -> ast.Name:
        return ast.Name(span, str(parts[0]))

    def _member(self, span: Span, parts: list[Any]) -> ast.Member:
        return ast.Member(span, parts[0], self._identifier(parts[1]))

    def _index(self, span: Span, parts: list[Any]) -> ast.Index:
        return ast.Index(span, *parts)

    def _call(self, span: Span, parts: list[Any]) -> ast.Call:
        return ast.Call(span, *parts)

    def _arguments(self, span: Span, parts: list[Any]) -> tuple[ast.Argument, ...]:
        return tuple(self._argument_of(part) for part in parts if part is not None)

    def _argument_of(self, part: Any) -> ast.Argument:
        return part if isinstance(part, ast.Argument) else ast.Argument(part.span, None, part)

    def _keyword_argument(self, span: Span, parts: list[Any]) -> ast.Argument:
        return ast.Argument(span, self._identifier(parts[0]), parts[1])

    def _chain(self, span: Span, parts: list[Any]) -> ast.Chain:
        return ast.Chain(span, parts[0], tuple(parts[1:]))

    def _conditional(self, span: Span, parts: list[Any]) -> ast.Conditional:
        return ast.Conditional(span, *parts)

    def _interval(self, span: Span, parts: list[Any]) -> ast.Interval:
        return ast.Interval(span, *parts)

    def _compare(self, span: Span, parts: list[Any]) -> ast.Binary:
        left, operator, right = parts
        return ast.Binary(span, str(operator), left, right)

    def _not(self, span: Span, parts: list[Any]) -> ast.Unary:
        return ast.Unary(span, "not", parts[0])

    def _negate(self, span: Span, parts: list[Any]) -> ast.Unary:
        return ast.Unary(span, "-", parts[0])

    def _group(self, span: Span, parts: list[Any]) -> Any:
        return parts[0]

    def _tuple(self, span: Span, parts: list[Any]) -> ast.Tuple:
        return ast.Tuple(span, tuple(part for part in parts if part is not None))

    def _list(self, span: Span, parts: list[Any]) -> ast.List:
        return ast.List(span, tuple(part for part in parts if part is not None))

    def _string(self, span: Span, parts: list[Any]) -> ast.String:
        return self._string_of(parts[0])

    def _string_of(self, token: Token) -> ast.String:
        span = self._token_span(token)

        def unescape(match: re.Match[str]) -> str:
            if match[1] not in _ESCAPES:
                start = span.start + 1 + match.start()
                self._report(
                    "unknown-escape",
                    f"'\\{match[1]}' means nothing in a string.",
                    Span(self.file, start, start + 2),
                    "here",
                    "write \\\\ for a backslash; paths take / on every system",
                )
            return _ESCAPES.get(match[1], match[1])

        return ast.String(span, re.sub(r"\\(.)", unescape, token[1:-1]))

    def _number(self, span: Span, parts: list[Any]) -> ast.Number:
        text = str(parts[0])
        match = _NUMBER.fullmatch(text)
        assert match is not None
        digits, unit = match.groups()
        if unit and unit not in UNITS:
            self._report_unit(span, digits, unit)
        if len(digits) > MAX_NUMBER:
            message = f"A number has at most {MAX_NUMBER} characters."
            self._report("number-too-large", message, span, f"this one has {len(digits)}")
            return ast.Number(span, 0, unit)
        value = int(digits) if digits.isdigit() else float(digits)
        if math.isinf(value):
            message = "This number is too large for floating point."
            self._report("number-too-large", message, span, "beyond 1.8e308")
        return ast.Number(span, value, unit)

    def _report_unit(self, span: Span, digits: str, unit: str) -> None:
        unit_span = Span(self.file, span.start + len(digits), span.end)
        guess = did_you_mean(unit, UNITS)
        hint = f"did you mean {digits}{guess}?" if guess else f"units are {', '.join(UNITS)}"
        self._report("unknown-unit", f"There is no unit '{unit}'.", unit_span, "here", hint)
