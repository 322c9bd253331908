"""Signatures of operators and layers, and conversion of values to their Python annotations."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from functools import lru_cache
from typing import Annotated, Literal, Union, get_args, get_origin, get_type_hints

from dhc.frontend.axes import axis_letters
from dhc.frontend.values import (
    Builtin,
    Interval,
    Primitive,
    Quantity,
    Record,
    Reference,
    Stub,
    Value,
    Word,
    describe,
)
from dhc.ir.graph import Node
from dhc.ir.size import Expr, Size
from dhc.ir.types import DType
from dhc.ops.base import Axis, Body, Layer, Operator

REQUIRED = object()
_KINDS = (Node, Expr, Interval, Record, Reference, Quantity)
AxisResolver = Callable[[str], int | None]


@dataclass(frozen=True)
class Parameter:
    """One parameter of an operator or layer."""

    name: str
    annotation: object
    default: object = REQUIRED

    @property
    def required(self) -> bool:
        return self.default is REQUIRED


@dataclass(frozen=True)
class Signature:
    """What a callable takes: tensors first, then attributes.

    `variadic` says that the last tensor stands for any number of them.
    """

    tensors: tuple[Parameter, ...]
    attributes: tuple[Parameter, ...]
    variadic: bool = False

    def attribute(self, name: str) -> Parameter | None:
        return next((p for p in self.attributes if p.name == name), None)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(p.name for p in (*self.tensors, *self.attributes))


class MismatchError(Exception):
    """A value does not fit a parameter; `expected` says in words what does."""

    def __init__(self, expected: str, words: tuple[str, ...] = ()) -> None:
        super().__init__(expected)
        self.expected = expected
        self.words = words


@lru_cache(maxsize=1024)
def _of_operator(operator: type) -> Signature:
    """The inputs of an operator's definition, then its fields."""
    assert issubclass(operator, Operator)
    names = operator.input_names()
    variadic = bool(names) and names[-1].startswith("*")
    hints = get_type_hints(operator, include_extras=True)
    attributes = []
    for each in fields(operator):
        default = each.default
        if default is MISSING and each.default_factory is not MISSING:
            default = each.default_factory()
        attributes.append(
            Parameter(each.name, hints[each.name], REQUIRED if default is MISSING else default)
        )
    tensors = tuple(Parameter(name.lstrip("*"), Node) for name in names)
    return Signature(tensors, tuple(attributes), variadic)


@lru_cache(maxsize=1024)
def layer_signature(function: Callable[..., object]) -> Signature:
    """The parameters of a layer's function, without the context."""
    hints = get_type_hints(function, include_extras=True)
    tensors: list[Parameter] = []
    attributes: list[Parameter] = []
    variadic = False
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        annotation = hints.get(parameter.name, object)
        star = parameter.kind is inspect.Parameter.VAR_POSITIONAL
        default = parameter.default
        required = default is inspect.Parameter.empty
        if annotation is Node and required and not attributes:
            tensors.append(Parameter(parameter.name, annotation))
            variadic = variadic or star
        elif not star:
            attributes.append(
                Parameter(parameter.name, annotation, REQUIRED if required else default)
            )
    return Signature(tuple(tensors), tuple(attributes), variadic)


def attributes_signature(function: Callable[..., object]) -> Signature:
    """The parameters of a function that takes no tensors and no context."""
    hints = get_type_hints(function, include_extras=True)
    attributes = []
    for parameter in inspect.signature(function).parameters.values():
        required = parameter.default is inspect.Parameter.empty
        default = REQUIRED if required else parameter.default
        attributes.append(Parameter(parameter.name, hints[parameter.name], default))
    return Signature((), tuple(attributes))


def signature_of(target: type[Operator] | Layer) -> Signature:
    if isinstance(target, Layer):
        return layer_signature(target.function)
    return _of_operator(target)  # type: ignore[arg-type]  # mypy: a class is hashable


# ---- conversion ------------------------------------------------------------------------------


def convert(value: Value, annotation: object, axis: AxisResolver | None = None) -> object:
    """The Python object that an operator wants for a value of the language.

    Raises:
        MismatchError: the value is of another kind.
    """
    if annotation is Axis:
        return _convert_axis(value, axis)
    origin = get_origin(annotation)
    if origin is Annotated:
        return convert(value, get_args(annotation)[0], axis)
    if origin in (Union, types.UnionType):
        return _convert_union(value, annotation, axis)
    if origin is Literal:
        return _convert_word(value, get_args(annotation))
    if origin is tuple:
        return _convert_tuple(value, get_args(annotation), axis)
    return _convert_plain(value, annotation)


def _convert_plain(value: Value, annotation: object) -> object:
    if isinstance(value, Quantity) and annotation in (int, float):
        value = value.value
    if annotation is bool and isinstance(value, bool):
        return value
    if annotation is int and isinstance(value, int | float) and not isinstance(value, bool):
        if float(value).is_integer():
            return int(value)
    elif annotation is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    elif annotation is str and isinstance(value, str | Word):
        return value.text if isinstance(value, Word) else value
    elif annotation in (None, type(None)) and value is None:
        return None
    elif annotation is DType and isinstance(value, Word | str):
        return _convert_dtype(value)
    elif annotation is object or (annotation in _KINDS and type(value) is annotation):
        return value
    raise MismatchError(expected_text(annotation))


def _convert_dtype(value: Word | str) -> DType:
    text = value.text if isinstance(value, Word) else value
    for dtype in DType:
        if dtype.value == text:
            return dtype
    raise MismatchError(expected_text(DType), tuple(dtype.value for dtype in DType))


def _convert_axis(value: Value, axis: AxisResolver | None) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    text = value.text if isinstance(value, Word) else None
    if text is not None and axis is not None:
        found = axis(text)
        if found is not None:
            return found
        raise MismatchError("an axis that the tensor has")
    raise MismatchError(expected_text(Axis), axis_letters())


def _convert_word(value: Value, choices: tuple[object, ...]) -> object:
    text: object = value
    if isinstance(value, Word):
        text = value.text
    elif isinstance(value, Primitive | Builtin | Stub):  # such as `tanh` in gelu(tanh)
        text = value.name
    for choice in choices:
        if type(choice) is type(text) and choice == text:
            return choice
    words = tuple(str(choice) for choice in choices)
    raise MismatchError(_either([f"'{word}'" for word in words]), words)


def _convert_union(value: Value, annotation: object, axis: AxisResolver | None) -> object:
    # Exact kinds go first, so that the integer 3 does not become 3.0 for `float | int`.
    options = sorted(get_args(annotation), key=lambda option: option is float)
    words: tuple[str, ...] = ()
    for option in options:
        try:
            return convert(value, option, axis)
        except MismatchError as error:
            words += error.words
    raise MismatchError(expected_text(annotation), words)


def _convert_tuple(
    value: Value, options: tuple[object, ...], axis: AxisResolver | None
) -> tuple[object, ...]:
    if isinstance(value, Interval) and len(options) == 2 and options[1] is not Ellipsis:
        value = (value.low, value.high)
    if not isinstance(value, tuple):
        raise MismatchError(expected_text(tuple.__class_getitem__(options)))
    if len(options) == 2 and options[1] is Ellipsis:
        return tuple(convert(item, options[0], axis) for item in value)
    if len(options) != len(value):
        raise MismatchError(f"a list of {len(options)}")
    return tuple(convert(item, each, axis) for item, each in zip(value, options, strict=True))


# ---- words for messages ----------------------------------------------------------------------

_PLAIN_TEXT: dict[object, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a string",
    Node: "a tensor",
    Body: "a block",
    Expr: "a size",
    type(None): "none",
    DType: "an element type such as f32",
    Interval: "a range a .. b",
    Record: "a call such as adam()",
    Reference: "a name of something that exists when running",
    Quantity: "a number with a unit",
}


def expected_text(annotation: object) -> str:
    """What an annotation accepts, in words."""
    if annotation is Axis:
        return "an axis (N, C, D, H, W or a number)"
    if annotation == Size:
        return "a size"
    origin, options = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return expected_text(options[0])
    if origin in (Union, types.UnionType):
        kinds = [option for option in options if option is not type(None)]
        return _either(list(dict.fromkeys(map(expected_text, kinds))))
    if origin is Literal:
        return _either([f"'{option}'" for option in options])
    if origin is tuple:
        if len(options) == 2 and options[1] is Ellipsis:
            return f"a list, each item {expected_text(options[0])}"
        return f"a list of {len(options)}"
    return _PLAIN_TEXT.get(annotation, "another value")


def admits(parameter: Parameter, kind: type) -> bool:
    """Whether a parameter's annotation is a type or has it as one of its choices."""
    annotation = parameter.annotation
    return annotation is kind or kind in get_args(annotation)


def choices_of(annotation: object) -> tuple[str, ...]:
    """The bare words that an annotation accepts."""
    if annotation is Axis:
        return axis_letters()
    if annotation is DType:
        return tuple(dtype.value for dtype in DType)
    options = get_args(annotation)
    if get_origin(annotation) is Literal:
        return tuple(option for option in options if isinstance(option, str))
    return tuple(word for option in options for word in choices_of(option))


def mismatch_message(name: str, parameter: str, value: Value, error: MismatchError) -> str:
    """One sentence: which argument of what wants what and got what."""
    return f"'{parameter}' of '{name}' must be {error.expected}, not {describe(value)}."


def _either(phrases: list[str]) -> str:
    if len(phrases) < 2:
        return "".join(phrases)
    return f"{', '.join(phrases[:-1])} or {phrases[-1]}"
