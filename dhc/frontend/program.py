"""A checked file: its items by name, and the graphs that models and pipelines become."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from dhc.errors import DhcError, Diagnostic, Related
from dhc.frontend import ast
from dhc.frontend.build import Entry, ModelBuilder
from dhc.frontend.configure import Configurator, Configured
from dhc.frontend.execute import shared_instance
from dhc.frontend.fail import error, guess, listing
from dhc.frontend.formula import build_formula
from dhc.frontend.modules import LoadedModule, Loader
from dhc.frontend.parse import parse
from dhc.frontend.pipeline import PipelineBuilder
from dhc.frontend.resolve import Resolver
from dhc.frontend.scope import Lazy, Scope
from dhc.frontend.values import (
    ConfigurationValue,
    DefinitionValue,
    FunctionValue,
    Given,
    Instance,
    Namespace,
    Record,
    Value,
    Word,
)
from dhc.ir.graph import Node
from dhc.ir.types import DType
from dhc.source import SourceFile, Span


@dataclass(frozen=True)
class TargetSettings:
    """What a `target` says; `arguments` are the backend's own options."""

    name: str
    backend: str
    arguments: Mapping[str, object]
    precision: str | None = None
    quantize: Record | None = None
    threads: int | None = None
    span: Span | None = None


@dataclass
class Program:
    """A parsed and resolved file. Items come by name; graphs are built when asked for.

    Attributes:
        sources: The file and its own imports: their texts by path relative to its folder, the
            file first.
    """

    tree: ast.Module
    scope: Scope
    sources: Mapping[str, str] = field(default_factory=dict)
    _changed: Mapping[str, ast.Configuration] = field(default_factory=dict)
    _built: dict[object, Entry] = field(default_factory=dict)

    def _names(self, kind: str) -> tuple[str, ...]:
        found = []
        for item in self.tree.items:
            if isinstance(item, ast.Definition | ast.Configuration) and item.kind == kind:
                found.append(item.name.text)
        return tuple(found)

    @property
    def models(self) -> tuple[str, ...]:
        return self._names("model")

    @property
    def blocks(self) -> tuple[str, ...]:
        return self._names("block")

    @property
    def pipelines(self) -> tuple[str, ...]:
        return self._names("pipeline")

    @property
    def apps(self) -> tuple[str, ...]:
        return self._names("app")

    @property
    def trains(self) -> tuple[str, ...]:
        return self._names("train")

    @property
    def targets(self) -> tuple[str, ...]:
        return self._names("target")

    @property
    def studies(self) -> tuple[str, ...]:
        return self._names("study")

    # ---- graphs

    def model(self, name: str, **parameters: object) -> Entry:
        """The graph of a model with the given parameters.

        Raises:
            DhcError: there is no such model, or its tensors do not fit.
        """
        return self._entry(self._definition(name, "model"), parameters)

    def pipeline(self, name: str, dtype: DType = DType.F32, **parameters: object) -> Entry:
        """The graph of a pipeline for one sample; `dtype` is that of its images."""
        definition = self._definition(name, "pipeline")
        key = (name, dtype, _key(parameters))
        if key not in self._built:
            builder = PipelineBuilder(dtype)
            given = _arguments(parameters, definition)
            self._built[key] = builder.build(definition, given)
        return self._built[key]

    def instance(self, instance: Instance) -> Entry:
        """The graph of a model as it stands in the settings of a train, `UNet(width=32)`."""
        assert isinstance(instance.callee, DefinitionValue)
        return ModelBuilder().build(instance.callee, instance.arguments, instance.span)

    def _entry(self, definition: DefinitionValue, parameters: Mapping[str, object]) -> Entry:
        key = (definition.name, _key(parameters))
        if key not in self._built:
            given = _arguments(parameters, definition)
            builder = ModelBuilder()
            self._built[key] = builder.build(definition, given, definition.definition.name.span)
        return self._built[key]

    def _definition(self, name: str, kind: str) -> DefinitionValue:
        value = self.find(name)
        if isinstance(value, DefinitionValue) and value.definition.kind == kind:
            return value
        raise self._missing(name, kind)

    def find(self, name: str) -> Value:
        """The value of a name of the file, imports included; None where there is none."""
        head, _, member = name.partition(".")
        scope = self.scope.find(head)
        if scope is None:
            return None
        value = Configurator().force(scope, head, self.tree.span)
        if member and isinstance(value, Namespace):
            found = value.scope.names.get(member)
            return None if isinstance(found, Lazy) else found
        return None if member else value

    def _missing(self, name: str, kind: str) -> DhcError:
        known = self._names(kind)
        hint = guess(name, known) or (f"it has {listing(known)}" if known else "")
        path = self.tree.file.path
        message = f"There is no {kind} '{name}' in '{path}'."
        return DhcError(Diagnostic("unknown-name", message, hints=(hint,) if hint else ()))

    # ---- settings

    def configuration(self, name: str, kind: str) -> Configured:
        """The evaluated settings of a train, target or study."""
        value = self.find(name)
        if not isinstance(value, ConfigurationValue) or value.definition.kind != kind:
            raise self._missing(name, kind)
        definition = self._changed.get(name, value.definition)
        return Configurator().configure(replace(value, definition=definition))

    def with_settings(self, name: str, settings: Mapping[str, str]) -> Program:
        """Returns the program with other settings in one of its trains, targets or studies.

        Args:
            name: Of the train, target or study.
            settings: Expressions of the language, by what they set.

        Raises:
            DhcError: if there is nothing of that name, or a text is no expression.
        """
        value = self.find(name)
        if not isinstance(value, ConfigurationValue):
            raise self._missing(name, "train")
        definition = self._changed.get(name, value.definition)
        for setting, text in settings.items():
            definition = _with_setting(definition, setting, text)
        return replace(self, _changed={**self._changed, name: definition}, _built={})

    def train(self, name: str) -> Configured:
        """The evaluated settings of a train; its loss and metrics are kept as expressions."""
        return self.configuration(name, "train")

    def loss(self, train: str, outputs: Mapping[str, Node], data: Mapping[str, Node]) -> Node:
        """The loss of a train on a model's outputs and the values of a batch, by name.

        Raises:
            DhcError: the loss does not fit the tensors.
        """
        return build_formula(self.train(train), "loss", outputs, data)

    def study(self, name: str) -> Configured:
        return self.configuration(name, "study")

    def target(self, name: str) -> TargetSettings:
        """What a target says."""
        found = self.configuration(name, "target")
        backend = found.values["backend"]
        assert isinstance(backend, Record)
        precision, quantize = found.values.get("precision"), found.values.get("quantize")
        threads = found.values.get("threads")
        return TargetSettings(
            name,
            backend.name,
            {key: _plain(value) for key, value in backend.arguments},
            precision.text if isinstance(precision, Word) else None,
            quantize if isinstance(quantize, Record) else None,
            threads if isinstance(threads, int) else None,
            backend.span,
        )


def _with_setting(owner: ast.Configuration, name: str, text: str) -> ast.Configuration:
    """Puts a setting that is given as text in the place of one of the file, or adds it."""
    head = f"{owner.kind} {owner.name.text} {{\n    "
    file = SourceFile(f"--set {owner.name.text}.{name}", f"{head}{name} = {text}\n}}\n")
    items = parse(file).items
    found = items[0].settings.entries if isinstance(items[0], ast.Configuration) else ()
    if len(items) != 1 or len(found) != 1:
        raise DhcError(Diagnostic("setting", f"'{text}' is no value.", hints=("give one value",)))
    others = tuple(entry for entry in owner.settings.entries if entry.name.text != name)
    return replace(owner, settings=replace(owner.settings, entries=(*others, *found)))


def _plain(value: Value) -> object:
    if isinstance(value, Word):
        return value.text
    return getattr(value, "value", value)


def _key(parameters: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, repr(value)) for name, value in parameters.items()))


def _arguments(parameters: Mapping[str, object], definition: DefinitionValue) -> tuple[Given, ...]:
    span = definition.definition.name.span
    return tuple(Given(name, _from_python(v, name), span) for name, v in parameters.items())


def _from_python(value: object, name: str) -> Value:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return tuple(_from_python(item, name) for item in value)
    message = f"'{name}' takes numbers, strings and lists, not a {type(value).__name__}."
    raise DhcError(Diagnostic("type", message))


# ---- loading ---------------------------------------------------------------------------------


def load(path: str | Path) -> Program:
    """Reads a file with its imports and checks all names.

    Raises:
        DhcError: with everything that is wrong in any item.
    """
    loader = Loader(Path(path).parent)
    return _finish(loader, loader.load(Path(path)))


def load_text(text: str, path: str = "<text>", root: str | Path = ".") -> Program:
    """Like `load` for a text; imports are relative to `root`."""
    loader = Loader(Path(root))
    return _finish(loader, loader.load_text(SourceFile(path, text)))


def _finish(loader: Loader, module: LoadedModule) -> Program:
    linker = _Linker()
    scope = linker.link(module)
    diagnostics = [*loader.diagnostics, *linker.diagnostics]
    if diagnostics:
        raise DhcError(diagnostics)
    return Program(module.tree, scope, loader.sources())


class _Linker:
    """Makes the scope of every file and resolves its names."""

    def __init__(self) -> None:
        self._scopes: dict[str, Scope] = {}
        self._evaluator = Configurator()
        self.diagnostics: list[Diagnostic] = []

    def link(self, module: LoadedModule) -> Scope:
        if module.key in self._scopes:
            return self._scopes[module.key]
        own = Scope(Scope())
        self._scopes[module.key] = own
        for item, imported in module.imports:
            self._import(item, self.link(imported), own)
        for each in module.tree.items:
            self._define(each, own)
        resolver = Resolver(own)
        resolver.resolve(module.tree)
        self.diagnostics += resolver.diagnostics
        if not resolver.diagnostics:
            self._force(module.tree, own)
        return own

    def _import(self, item: ast.Import, other: Scope, own: Scope) -> None:
        assert own.parent is not None
        if item.alias is not None:
            self._claim(item.alias, Namespace(item.alias.text, other), own)
            return
        for name in other.names:
            if name in own.parent.names and own.parent.names[name] is not other.names[name]:
                message = f"'{name}' comes from two imported files."
                hint = f"write import {item.path.span.text} as ..."
                problem = error("duplicate-name", message, item.path.span, "here", hint)
                self.diagnostics += problem.diagnostics
            value = other.names[name]
            own.parent.define(
                name,
                _forward(self._evaluator, other, name, item.path.span)
                if isinstance(value, Lazy)
                else value,
            )

    def _claim(self, name: ast.Identifier, value: Value | Lazy, own: Scope) -> None:
        earlier = own.places.get(name.text)
        if earlier is not None:
            related = (Related(earlier, "first"),)
            message = f"'{name.text}' is defined twice."
            problem = error("duplicate-name", message, name.span, "second", related=related)
            self.diagnostics += problem.diagnostics
            return
        own.define(name.text, value, name.span)

    def _define(self, item: ast.Item, own: Scope) -> None:
        match item:
            case ast.Function():
                self._claim(item.name, FunctionValue(item, own), own)
            case ast.Definition():
                self._claim(item.name, DefinitionValue(item, own), own)
            case ast.Configuration():
                self._claim(item.name, ConfigurationValue(item, own), own)
            case ast.Let() | ast.Share():
                self._claim(item.name, Lazy(lambda: self._compute(item, own)), own)

    def _compute(self, item: ast.Let | ast.Share, own: Scope) -> Value:
        value = self._evaluator.evaluate(item.value, own)
        if isinstance(item, ast.Share):
            return shared_instance(value, item.name.text, item.value.span)
        return value

    def _force(self, tree: ast.Module, own: Scope) -> None:
        for item in tree.items:
            try:
                if isinstance(item, ast.Let | ast.Share):
                    self._evaluator.force(own, item.name.text, item.name.span)
                elif isinstance(item, ast.Configuration):
                    Configurator().configure(ConfigurationValue(item, own))
            except DhcError as problem:
                self.diagnostics += problem.diagnostics


def _forward(evaluator: Configurator, scope: Scope, name: str, span: Span) -> Lazy:
    return Lazy(lambda: evaluator.force(scope, name, span))
