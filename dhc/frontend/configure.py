"""Checks and evaluates the settings of train, target and study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeGuard

from dhc.errors import DhcError, Diagnostic
from dhc.frontend import ast
from dhc.frontend.apply import Applier
from dhc.frontend.binding import bind_attributes, convert_argument
from dhc.frontend.evaluate import CONSTANTS
from dhc.frontend.fail import error, guess, listing, unknown_name
from dhc.frontend.registry import known_names
from dhc.frontend.scope import Scope
from dhc.frontend.signature import (
    Parameter,
    Signature,
    attributes_signature,
    choices_of,
)
from dhc.frontend.values import (
    ConfigurationValue,
    DefinitionValue,
    Given,
    Instance,
    Record,
    Reference,
    Stub,
    Value,
    Word,
    describe,
)
from dhc.frontend.vocabulary import FUNCTIONS, METRICS, REQUIRED_SETTINGS, SETTINGS, Rate
from dhc.recipe.optimizers import OPTIMIZERS
from dhc.source import Span

RUN_TIME_ROOTS = frozenset(("out", "data", "val", "test", "train"))


@lru_cache(maxsize=256)
def stub_signature(name: str) -> Signature:
    """The parameters of a function that describes something.

    The rate of an optimizer may be a schedule; a metric compares what exists when running.
    """
    if name in METRICS:
        own = attributes_signature(METRICS[name])
        compared = (Parameter("prediction", Reference), Parameter("truth", Reference))
        return replace(own, attributes=(*compared, *own.attributes))
    signature = attributes_signature(FUNCTIONS[name])
    if name not in OPTIMIZERS:
        return signature
    rate = (replace(p, annotation=Rate) if p.name == "lr" else p for p in signature.attributes)
    return replace(signature, attributes=tuple(rate))


@dataclass(frozen=True)
class Configured:
    """The evaluated settings of a train, target or study.

    Expressions such as the loss are kept as they stand; `place` says where each setting is.
    """

    name: str
    kind: str
    values: dict[str, Value]
    expressions: dict[str, tuple[ast.Expression, ...]]
    places: dict[str, Span]
    scope: Scope


class Configurator(Applier):
    """Evaluates settings: calls of the vocabulary become records, run-time names references."""

    # ---- names and calls

    def _name(self, node: ast.Name, scope: Scope) -> Value:
        if scope.find(node.text) is None and node.text in FUNCTIONS:
            return Stub(node.text)
        try:
            return super()._name(node, scope)
        except DhcError:
            if node.text in RUN_TIME_ROOTS:
                return Reference(node.text)
            raise

    def callee(self, node: ast.Expression, scope: Scope) -> Value:
        if isinstance(node, ast.Name) and scope.find(node.text) is None:
            if node.text in FUNCTIONS or node.text in METRICS:
                return Stub(node.text)
            try:
                return super().callee(node, scope)
            except DhcError:
                candidates = [*FUNCTIONS, *METRICS, *scope.all_names(), *known_names()]
                raise unknown_name("function", node.text, node.span, candidates) from None
        return super().callee(node, scope)

    def arguments(
        self,
        callee: Value,
        arguments: Sequence[ast.Argument],
        scope: Scope,
    ) -> tuple[Given, ...]:
        if not isinstance(callee, Stub):
            return super().arguments(callee, arguments, scope)
        signature = stub_signature(callee.name)
        given = []
        for position, argument in enumerate(arguments):
            parameter = _parameter_for(signature, position, argument)
            value = self._argument_value(parameter, argument.value, scope)
            name = argument.name.text if argument.name else None
            given.append(Given(name, value, argument.span))
        return tuple(given)

    def _argument_value(
        self, parameter: Parameter | None, expression: ast.Expression, scope: Scope
    ) -> Value:
        if parameter is not None and isinstance(expression, ast.Name):
            if expression.text in choices_of(parameter.annotation):
                return Word(expression.text)
            if scope.find(expression.text) is None:
                if _takes_references(parameter):
                    return Reference(expression.text)
                self._check_word(parameter, expression)
        value = self.evaluate(expression, scope)
        if isinstance(value, ConfigurationValue) and value.definition.kind == "target":
            return Reference(value.definition.name.text)
        return value

    def _check_word(self, parameter: Parameter, expression: ast.Name) -> None:
        choices = choices_of(parameter.annotation)
        if choices and expression.text not in CONSTANTS:
            message = f"'{parameter.name}' knows no '{expression.text}'."
            hint = guess(expression.text, choices) or f"its words are {listing(choices)}"
            raise error("unknown-name", message, expression.span, "here", hint)

    def call(self, callee: Value, given: tuple[Given, ...], node: ast.Call) -> Value:
        if isinstance(callee, Stub):
            return self._record(callee.name, given, node)
        return super().call(callee, given, node)

    def _record(self, name: str, given: tuple[Given, ...], node: ast.Call) -> Record:
        signature = stub_signature(name)
        bound = bind_attributes(name, signature, given, node.span)
        values: list[tuple[str, Value]] = []
        for parameter in signature.attributes:
            if parameter.name in bound:
                each = bound[parameter.name]
                convert_argument(name, parameter, each, None)
                values.append((parameter.name, each.value))
            else:
                values.append((parameter.name, parameter.default))  # type: ignore[arg-type]
        return Record(name, tuple(values), node.span)

    def member_of(self, value: Value, name: ast.Identifier) -> Value:
        if isinstance(value, Reference):
            return Reference(f"{value.path}.{name.text}")
        if isinstance(value, ConfigurationValue):
            known = ("best", "last")
            if name.text not in known:
                message = f"A {value.definition.kind} has no '{name.text}'."
                hint = guess(name.text, known) or "it has best and last"
                raise error("unknown-member", message, name.span, "here", hint)
            return Reference(f"{value.definition.name.text}.{name.text}")
        return super().member_of(value, name)

    # ---- settings

    def configure(self, value: ConfigurationValue) -> Configured:
        """Evaluates all settings.

        Raises:
            DhcError: with everything that is wrong in them.
        """
        definition = value.definition
        result = Configured(definition.name.text, definition.kind, {}, {}, {}, value.scope)
        problems: list[Diagnostic] = []
        known = SETTINGS[definition.kind]
        self._settings(definition.settings, known, definition.kind, "", result, problems)
        for name in REQUIRED_SETTINGS[definition.kind]:
            if name not in result.places:
                message = f"The {definition.kind} '{result.name}' needs the setting '{name}'."
                problems.append(
                    Diagnostic("missing-setting", message, definition.name.span, "here")
                )
        if problems:
            raise DhcError(problems)
        return result

    def _settings(
        self,
        settings: ast.Settings,
        known: dict[str, object],
        kind: str,
        prefix: str,
        result: Configured,
        problems: list[Diagnostic],
    ) -> None:
        for entry in settings.entries:
            try:
                self._entry(entry, known, kind, prefix, result, problems)
            except DhcError as problem:
                problems += problem.diagnostics
                result.places.setdefault(prefix + entry.name.text, entry.name.span)

    def _entry(
        self,
        entry: ast.Setting | ast.Section,
        known: dict[str, object],
        kind: str,
        prefix: str,
        result: Configured,
        problems: list[Diagnostic],
    ) -> None:
        name = entry.name.text
        path = prefix + name
        if name not in known:
            message = f"A {kind} has no setting '{name}'."
            hint = guess(name, known) or f"its settings are {listing(known, 24)}"
            raise error("unknown-setting", message, entry.name.span, "here", hint)
        if path in result.places:
            raise error("duplicate-name", f"'{name}' is set twice.", entry.name.span, "second")
        result.places[path] = entry.name.span
        wanted = known[name]
        if isinstance(entry, ast.Section) is not isinstance(wanted, dict):
            form = "braces" if isinstance(wanted, dict) else "'='"
            raise error("type", f"'{name}' is written with {form}.", entry.name.span)
        if isinstance(entry, ast.Section):
            assert isinstance(wanted, dict)
            self._settings(entry.settings, wanted, f"'{name}'", f"{path}.", result, problems)
        else:
            self._setting(entry, wanted, path, result)

    def _setting(self, entry: ast.Setting, wanted: object, path: str, result: Configured) -> None:
        scope = result.scope
        if wanted == "expression":
            result.expressions[path] = (entry.value,)
            if path == "select":
                result.values[path] = self._selection(entry.value, scope)
        elif wanted == "metrics":
            value = self.evaluate(entry.value, scope)
            metrics = value if isinstance(value, tuple) else (value,)
            for each in metrics:
                if not isinstance(each, Record) or each.name not in METRICS:
                    message = f"A metric is a call such as iou(...), not {describe(each)}."
                    raise error("type", message, entry.value.span)
            result.values[path] = metrics
        elif wanted in ("model", "names"):
            result.values[path] = self._of_items(wanted, self.evaluate(entry.value, scope), entry)
        elif path == "backend":
            result.values[path] = self._backend(entry.value, scope)
        else:
            parameter = Parameter(path, wanted)
            value = self._argument_value(parameter, entry.value, scope)
            given = Given(None, value, entry.value.span)
            convert_argument(result.name, parameter, given, None)
            result.values[path] = value

    def _selection(self, node: ast.Expression, scope: Scope) -> Record:
        """`max(val.auc)`: what a study compares."""
        if isinstance(node, ast.Call) and isinstance(node.callee, ast.Name):
            given = self.arguments(None, node.arguments, scope)
            if node.callee.text in ("max", "min") and len(given) == 1:
                return Record(node.callee.text, _numbered(given), node.span)
        message = "A selection is max(...) or min(...) of one number of the validation part."
        raise error("type", message, node.span, "here", "write select = max(val.auc)")

    def _of_items(self, wanted: object, value: Value, entry: ast.Setting) -> Value:
        items = value if wanted == "names" and isinstance(value, tuple) else (value,)
        for item in items:
            if isinstance(item, DefinitionValue):
                item = Instance(item, (), entry.value.span)
            model = isinstance(item, Instance) and isinstance(item.callee, DefinitionValue)
            train = isinstance(item, ConfigurationValue) and item.definition.kind == "train"
            if not (model if wanted == "model" else model or train):
                what = "a model" if wanted == "model" else "a list of trains or models"
                message = f"'{entry.name.text}' is {what}, not {describe(item)}."
                raise error("type", message, entry.value.span)
        if wanted == "model" and isinstance(value, DefinitionValue):
            return Instance(value, (), entry.value.span)
        return value

    def _backend(self, node: ast.Expression, scope: Scope) -> Record:
        """A backend's name and its options, which only the backend itself knows."""
        if isinstance(node, ast.Name):
            return Record(node.text, (), node.span)
        if not isinstance(node, ast.Call) or not isinstance(node.callee, ast.Name):
            raise error("type", "A backend is written cpu() or cuda(device=0).", node.span)
        values: list[tuple[str, Value]] = []
        for argument in node.arguments:
            if argument.name is None:
                message = "Options of a backend have names."
                raise error("arguments", message, argument.span, "here", "write name = value")
            values.append((argument.name.text, self._option(argument.value, scope)))
        return Record(node.callee.text, tuple(values), node.span)

    def _option(self, node: ast.Expression, scope: Scope) -> Value:
        return Word(node.text) if _is_bare_word(node, scope) else self.evaluate(node, scope)


def _is_bare_word(node: ast.Expression, scope: Scope) -> TypeGuard[ast.Name]:
    if not isinstance(node, ast.Name) or node.text in CONSTANTS:
        return False
    return scope.find(node.text) is None


def _numbered(given: Sequence[Given]) -> tuple[tuple[str, Value], ...]:
    """Arguments by name, and by position where they have none."""
    return tuple((each.name or str(i), each.value) for i, each in enumerate(given))


def _parameter_for(signature: Signature, position: int, argument: ast.Argument) -> Parameter | None:
    if argument.name is not None:
        return signature.attribute(argument.name.text)
    return signature.attributes[position] if position < len(signature.attributes) else None


def _takes_references(parameter: Parameter) -> bool:
    return "Reference" in str(parameter.annotation)
