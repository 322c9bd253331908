"""The text of evaluated settings: what a train, target or study says, defaults included."""

from __future__ import annotations

from collections.abc import Sequence

from dhc.frontend import ast
from dhc.frontend.configure import Configured
from dhc.frontend.values import (
    ConfigurationValue,
    DefinitionValue,
    Given,
    Instance,
    Interval,
    Quantity,
    Record,
    Reference,
    Value,
    Word,
)


def render_configured(configured: Configured) -> str:
    """Returns the settings of one block, a line each; expressions stand as they were written."""
    lines = [f"{configured.kind} {configured.name} {{"]
    for name, value in configured.values.items():
        written = configured.expressions.get(name)
        text = _written(written) if written else render_value(value)
        lines.append(f"    {name} = {text}")
    for name, written in configured.expressions.items():
        if name not in configured.values:
            lines.append(f"    {name} = {_written(written)}")
    return "\n".join([*lines, "}"]) + "\n"


def _written(expressions: Sequence[ast.Expression]) -> str:
    texts = [" ".join(each.span.text.split()) for each in expressions]
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"


def render_value(value: Value) -> str:
    """Returns a value as a file would write it."""
    match value:
        case None:
            return "none"
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{value}"'
        case tuple():
            return f"[{', '.join(map(render_value, value))}]"
        case Word(text) | Reference(text):
            return text
        case Quantity(number, unit):
            return f"{number:g}{unit}"
        case Interval(low, high):
            return f"{render_value(low)} .. {render_value(high)}"
        case Record(name, arguments):
            given = ", ".join(_argument(key, item) for key, item in arguments)
            return f"{name}({given})"
        case Instance(callee, arguments):
            return f"{callee.name}({', '.join(map(_given, arguments))})"
        case DefinitionValue():
            return value.name
        case ConfigurationValue():
            return value.definition.name.text
    return str(value)


def _argument(name: str, value: Value) -> str:
    return render_value(value) if name.isdigit() else f"{name}={render_value(value)}"


def _given(given: Given) -> str:
    text = render_value(given.value)
    return f"{given.name}={text}" if given.name else text
