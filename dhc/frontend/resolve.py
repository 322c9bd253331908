"""Checks names without executing anything, so that all mistakes of a file show at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dhc.errors import DhcError, Diagnostic
from dhc.frontend import ast
from dhc.frontend.builtins import BUILTINS
from dhc.frontend.configure import RUN_TIME_ROOTS, stub_signature
from dhc.frontend.evaluate import CONSTANTS, unknown_argument
from dhc.frontend.execute import assigned_names
from dhc.frontend.fail import error, guess, unknown_name
from dhc.frontend.inputs import names_with_weights
from dhc.frontend.limits import MAX_MISTAKES
from dhc.frontend.registry import known_names, known_words, primitive, stage_of
from dhc.frontend.sample import VALUE_TYPES
from dhc.frontend.scope import Scope
from dhc.frontend.shapes import DTYPES
from dhc.frontend.signature import Signature, choices_of, signature_of
from dhc.frontend.values import DefinitionValue, FunctionValue, Given
from dhc.frontend.vocabulary import FUNCTIONS, METRICS, SETTINGS


class Resolver:
    """Collects diagnostics about the names in one file."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._words = known_words()
        self._local: frozenset[str] = frozenset()
        self._describes = False  # whether functions of the vocabulary may be called
        self._always: tuple[str, ...] = ("name",)  # arguments that every layer takes
        self._primitive = primitive  # what names of the registries mean here
        self._seen: set[tuple[int, str]] = set()
        self.diagnostics: list[Diagnostic] = []

    def resolve(self, module: ast.Module) -> None:
        for item in module.items:
            if self._is_full:
                return
            match item:
                case ast.Let() | ast.Share():
                    self._expression(item.value)
                case ast.Function():
                    self._local = frozenset(p.name.text for p in item.parameters)
                    self._parameters(item.parameters)
                    self._expression(item.value)
                case ast.Definition():
                    self._definition(item)
                case ast.Configuration():
                    self._formulas(item)
            self._local = frozenset()

    @property
    def _is_full(self) -> bool:
        """Whether so many names are wrong that more would only cost time."""
        return len(self.diagnostics) >= MAX_MISTAKES

    def _report(self, problem: DhcError) -> None:
        for item in problem.diagnostics:
            key = (item.span.start if item.span else -1, item.message)
            if key not in self._seen:
                self._seen.add(key)
                self.diagnostics.append(item)

    def _formulas(self, item: ast.Configuration) -> None:
        """Losses and selections are formulas; other settings are evaluated elsewhere."""
        self._local = RUN_TIME_ROOTS
        for entry in item.settings.entries:
            wanted = SETTINGS[item.kind].get(entry.name.text)
            if isinstance(entry, ast.Setting) and wanted == "expression":
                self._expression(entry.value)
            elif isinstance(entry, ast.Setting) and wanted == "metrics":
                self._metrics(entry.value)

    def _metrics(self, value: ast.Expression) -> None:
        """Only the names of metrics; their arguments are words and numbers."""
        for each in value.items if isinstance(value, ast.List) else (value,):
            callee = each.callee if isinstance(each, ast.Call) else None
            if isinstance(callee, ast.Name) and callee.text not in METRICS:
                self._report(unknown_name("metric", callee.text, callee.span, METRICS))

    # ---- definitions

    def _definition(self, item: ast.Definition) -> None:
        names = {p.name.text for p in item.parameters}
        self._local = frozenset(names | set(_local_names(item.body)))
        self._describes = item.kind == "app"
        self._parameters(item.parameters)
        if item.kind == "pipeline":
            self._pipeline_types(item.parameters)
        pipeline = item.kind == "pipeline"
        self._always = ("p",) if pipeline else ("name",)
        self._primitive = stage_of if pipeline else primitive
        self._body(item.body, sequential=pipeline)
        self._describes, self._always, self._primitive = False, ("name",), primitive

    def _parameters(self, parameters: Sequence[ast.Parameter]) -> None:
        seen: set[str] = set()
        for parameter in parameters:
            if parameter.name.text in seen:
                message = f"There are two parameters '{parameter.name.text}'."
                self._report(error("duplicate-name", message, parameter.name.span, "second"))
            seen.add(parameter.name.text)
            if parameter.default is not None:
                self._expression(parameter.default)

    def _pipeline_types(self, parameters: Sequence[ast.Parameter]) -> None:
        for parameter in parameters:
            if parameter.type is None:
                message = f"What is '{parameter.name.text}'? A pipeline's values have types."
                hint = f"write {parameter.name.text}: image[3]"
                self._report(error("missing-type", message, parameter.name.span, "here", hint))
            elif parameter.type.name.text not in VALUE_TYPES:
                name = parameter.type.name
                hint = guess(name.text, VALUE_TYPES) or "types are image[3], mask, label, ..."
                message = f"There is no type '{name.text}' of pipeline values."
                self._report(error("unknown-type", message, name.span, "here", hint))

    # ---- statements

    def _body(self, body: ast.Body, sequential: bool) -> None:
        previous: ast.Statement | None = None
        for statement in body.statements:
            if self._is_full:
                return
            both = isinstance(previous, ast.Stages) and not sequential
            if both and isinstance(statement, ast.Stages):
                message = "Two layers stand side by side, and nothing flows from one to the other."
                span = statement.stages[0].span
                self._report(error("side-by-side", message, span, "here", "did you forget '->'?"))
            previous = statement
            self._statement(statement, sequential)

    def _statement(self, statement: ast.Statement, sequential: bool) -> None:
        match statement:
            case ast.Input(type=type):
                self._input_type(type)
            case ast.Stages(stages=stages):
                for stage in stages:
                    self._expression(stage)
            case ast.OneOf(arguments=arguments, body=body):
                for argument in arguments:
                    self._expression(argument.value)
                self._body(body, sequential=True)
            case _:
                for child in ast.children(statement):
                    if isinstance(child, ast.Body):
                        self._body(child, sequential)
                    elif isinstance(child, ast.If):
                        self._statement(child, sequential)
                    elif not isinstance(child, ast.Identifier):
                        self._expression(child)  # type: ignore[arg-type]

    def _input_type(self, type: ast.Type) -> None:
        described = self._describes and type.dims is None
        if not described and type.name.text not in DTYPES:
            hint = guess(type.name.text, DTYPES) or "element types are f32, f16, bf16, i64, u8, ..."
            message = f"There is no element type '{type.name.text}'."
            self._report(error("unknown-type", message, type.name.span, "here", hint))
        for dim in type.dims or ():
            if dim.size is not None and not isinstance(dim.size, ast.Name):
                self._expression(dim.size)
        if described:
            self._stub_arguments(type.name.text, type.name, type.arguments)

    def _stub_arguments(
        self, name: str, place: ast.Identifier, arguments: Sequence[ast.Argument]
    ) -> None:
        if name not in FUNCTIONS:
            self._report(unknown_name("kind of input", name, place.span, FUNCTIONS))
            return
        self._keyword_names(name, stub_signature(name).names, arguments)

    # ---- expressions

    def _expression(self, node: ast.Expression) -> None:
        match node:
            case ast.Name():
                self._name(node)
            case ast.Call():
                self._call(node)
            case ast.Member(value=value):
                self._expression(value)
            case ast.Scan():
                self._scan(node)
            case _:
                for child in ast.children(node):
                    self._expression(child)  # type: ignore[arg-type]

    def _knows(self, name: str) -> bool:
        return (
            name in self._local
            or name in CONSTANTS
            or self._scope.find(name) is not None
            or primitive(name) is not None
            or name in BUILTINS
            or name in self._words
            or (self._describes and (name in FUNCTIONS or name in RUN_TIME_ROOTS))
        )

    def _name(self, node: ast.Name) -> None:
        if not self._knows(node.text):
            self._report(unknown_name("name", node.text, node.span, self._candidates()))

    def _candidates(self) -> list[str]:
        extra = FUNCTIONS if self._describes else ()
        return [*self._local, *self._scope.all_names(), *known_names(), *extra]

    def _call(self, node: ast.Call) -> None:
        signature: Signature | None = None
        if isinstance(node.callee, ast.Name):
            signature = self._callee(node.callee, node.arguments)
        else:
            self._expression(node.callee)
        for argument in node.arguments:
            self._argument(node, argument, signature)

    def _callee(self, callee: ast.Name, arguments: Sequence[ast.Argument]) -> Signature | None:
        """Checks what is called and its argument names; the signature of a layer or operator."""
        name = callee.text
        if name in self._local:
            return None
        found = self._scope.find(name)
        if found is not None:
            self._keywords_of_value(name, found.names[name], arguments)
            return None
        known = self._primitive(name)
        if known is not None:
            signature = signature_of(known.target)
            names = (*signature.names, *names_with_weights(known), *self._always)
            self._keyword_names(name, names, arguments)
            return signature
        if self._describes and name in FUNCTIONS:
            signature = stub_signature(name)
            self._keyword_names(name, signature.names, arguments)
            return signature
        if name not in BUILTINS:
            what = "layer, block or function"
            self._report(unknown_name(what, name, callee.span, self._candidates()))
        return None

    def _keywords_of_value(
        self, name: str, value: object, arguments: Sequence[ast.Argument]
    ) -> None:
        if isinstance(value, DefinitionValue):
            statements = value.definition.body.statements
            inputs = [s.name.text for s in statements if isinstance(s, ast.Input)]
            parameters = [p.name.text for p in value.definition.parameters]
            self._keyword_names(name, (*parameters, *inputs, "name"), arguments)
        elif isinstance(value, FunctionValue):
            names = [p.name.text for p in value.definition.parameters]
            self._keyword_names(name, names, arguments)

    def _keyword_names(
        self, name: str, known: Iterable[str], arguments: Sequence[ast.Argument]
    ) -> None:
        names = list(known)
        for argument in arguments:
            if argument.name is not None and argument.name.text not in names:
                shown = [each for each in names if each not in self._always]
                given = Given(argument.name.text, None, argument.span)
                self._report(unknown_argument(name, given, shown))

    def _argument(
        self, call: ast.Call, argument: ast.Argument, signature: Signature | None
    ) -> None:
        value = argument.value
        if signature is None or argument.name is None or not isinstance(value, ast.Name):
            self._expression(value)
            return
        parameter = signature.attribute(argument.name.text)
        choices = choices_of(parameter.annotation) if parameter else ()
        if value.text in choices or self._knows(value.text):
            return
        if self._describes and parameter and "Reference" in str(parameter.annotation):
            return
        assert isinstance(call.callee, ast.Name)
        self._unknown_word(call.callee.text, argument.name.text, value, choices)

    def _unknown_word(
        self, callee: str, name: str, value: ast.Name, choices: Sequence[str]
    ) -> None:
        if not choices:
            self._name(value)
            return
        shown = ", ".join(f"'{choice}'" for choice in choices)
        message = f"'{name}' of '{callee}' knows no '{value.text}'."
        hint = guess(value.text, [*choices, *self._local]) or f"its words are {shown}"
        self._report(error("unknown-name", message, value.span, "here", hint))

    def _scan(self, node: ast.Scan) -> None:
        for argument in node.arguments:
            self._expression(argument.value)
        self._expression(node.sequence)
        for binding in node.bindings:
            self._expression(binding.value)
        outer = self._local
        names = [*node.names, *(binding.name for binding in node.bindings)]
        inner = {name.text for name in names} | set(_local_names(node.body))
        self._local = outer | inner
        self._carried(node)
        self._body(node.body, sequential=False)
        self._local = outer

    def _carried(self, node: ast.Scan) -> None:
        known = [binding.name.text for binding in node.bindings]
        for statement in node.body.statements:
            if isinstance(statement, ast.Carry) and statement.name.text not in known:
                name = statement.name
                message = f"'{name.text}' is not carried by this scan."
                hint = guess(name.text, known) or f"write with {name.text} = zeros(...)"
                self._report(error("unknown-name", message, name.span, "here", hint))


def _local_names(body: ast.Body) -> list[str]:
    """Names that may have a value somewhere in a body, sizes of its inputs included."""
    names = [name.text for statement in body.statements for name in assigned_names(statement)]
    for statement in body.statements:
        if isinstance(statement, ast.Input):
            names.append(statement.name.text)
            for dim in statement.type.dims or ():
                if isinstance(dim.size, ast.Name):
                    names.append(dim.size.text)
    return names
