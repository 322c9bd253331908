"""Statements and blocks as the text of a program."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from dhc.decompile.blocks import Block
from dhc.decompile.naming import ValueNames, name_of
from dhc.decompile.statements import INFIX, Call, Loop, Spelled, Statement, Term, Value
from dhc.frontend.registry import primitive
from dhc.frontend.signature import signature_of
from dhc.ir.size import Expr
from dhc.ir.types import DType, Tensor

_INPUTS = {"f": "skip", "b": "mask"}  # further inputs of blocks, by the first letter of the type
WIDTH = 96  # of a line within a body


def block_text(block: Block, types: Mapping[int, Tensor], taken: frozenset[str]) -> str:
    """Returns the definition of a block."""
    names = ValueNames(taken | set(block.parameters))
    lines = []
    chain = _as_chain(block)
    if chain is not None:
        lines.append(_line("", [_call(each, names) for each in chain.calls]))
    else:
        for number in block.inputs:
            type = types[number]
            first = number == block.inputs[0]
            name = names.give(number, "x" if first else _INPUTS.get(type.dtype.value[0], "indices"))
            lines.append(f"input {name}: {type.dtype.value}")
        lines += _body(block.statements, names, dict.fromkeys(block.outputs, ""))
    body = "\n".join(f"    {line}" for line in lines)
    return f"block {block.name}({', '.join(block.parameters)}) {{\n{body}\n}}\n"


def _as_chain(block: Block) -> Statement | None:
    """The only statement of a block through which one tensor flows."""
    if len(block.statements) > 1 or len(block.inputs) > 1:
        return None
    only = block.statements[0]
    return only if only.sources == (Value(block.inputs[0]),) == _values(only) else None


def _values(statement: Statement) -> tuple[Value, ...]:
    return tuple(Value(number) for number in statement.reads)


def model_text(
    name: str,
    inputs: Sequence[tuple[str, Tensor, int]],
    outputs: Sequence[tuple[str, int]],
    statements: Sequence[Statement],
    taken: frozenset[str],
) -> str:
    """Returns the definition of a model."""
    names = ValueNames(taken)
    lines = []
    for label, type, number in inputs:
        names.keep(number, label)
        shape = ", ".join(map(str, type.shape))
        lines.append(f"input {label}: {type.dtype.value}[{shape}]")
    direct = _direct(outputs, statements)
    for label, number in outputs:
        if number not in direct and not names.has(number):
            names.give(number, label)
    lines += _body(statements, names, direct)
    for label, number in outputs:
        if number not in direct:
            given = names[number]
            lines.append(f"output {given}" if given == label else f"output {label} = {given}")
    body = "\n".join(f"    {line}" for line in lines)
    return f"model {name}() {{\n{body}\n}}\n"


def _direct(outputs: Sequence[tuple[str, int]], statements: Sequence[Statement]) -> dict[int, str]:
    """Outputs that are written where they are made: as many as come in their order."""
    read = {number for each in statements for number in each.reads}
    places = [number for _, number in outputs]
    made = {
        each.targets[0]: place
        for place, each in enumerate(statements)
        if len(each.targets) == 1 and not isinstance(each.calls[-1], Loop)
    }
    found: dict[int, str] = {}
    last = -1
    for label, number in outputs:
        place = made.get(number, -1)
        if place <= last or number in read or places.count(number) > 1:
            break
        found[number], last = label, place
    return found


def _body(
    statements: Sequence[Statement], names: ValueNames, outputs: Mapping[int, str]
) -> list[str]:
    """The lines of a body; outputs have a label, or none in blocks, where they keep their names."""
    lines = []
    read = {number for each in statements for number in each.reads}
    heads = {call.pin.split(".")[0] for each in statements for call in each.calls}
    for statement in statements:
        if isinstance(statement.calls[-1], Loop):
            lines += _loop(statement, statement.calls[-1], names)
            lines += [f"output {names[n]}" for n in statement.targets if n in outputs]
            continue
        parts = _flow(statement, names)
        only = statement.targets[0] if len(statement.targets) == 1 else None
        if only is not None and only in outputs and only not in read:
            label = outputs[only]
            if not label and len(outputs) > 1:
                label = names.give(only, name_of(statement))
            lines.append(_line(f"output {label} = " if label else "output ", parts))
            continue
        stem = name_of(statement)
        if stem in heads and any(call.paths and not call.pin for call in statement.calls):
            stem = f"{stem}_out"  # what is named by the value would meet what is pinned
        targets = [names.give(number, stem) for number in statement.targets]
        lines.append(_line(f"{', '.join(targets)} = ", parts))
        lines += [f"output {names[n]}" for n in statement.targets if n in outputs]
    return lines


def _loop(statement: Statement, loop: Loop, names: ValueNames) -> list[str]:
    """A loop over time, with its body."""
    sequences = [_term(each, names) for _, each in loop.elements]
    starts = [_term(start, names) for _, start, _ in loop.carried]
    elements = [names.give(number, "step") for number, _ in loop.elements]
    states = [names.give(number, "kept") for number, *_ in loop.carried]
    inside = _body(loop.body, names, {})
    inside += [
        f"carry {state} = {_term(following, names)}"
        for state, (_, _, following) in zip(states, loop.carried, strict=True)
    ]
    made = [_term(each, names) for each in loop.yields]
    label = {0: ""} if len(made) == 1 else {k: f"made{k + 1} = " for k in range(len(made))}
    inside += [f"yield {label[k]}{each}" for k, each in enumerate(made)]
    stem = name_of(statement)
    targets = ", ".join(names.give(number, stem) for number in statement.targets)
    said = ", ".join(f"{name}={spelled(value)}" for name, value in loop.attributes)
    over = sequences[0] if len(sequences) == 1 else f"({', '.join(sequences)})"
    bound = ", ".join(f"{state} = {start}" for state, start in zip(states, starts, strict=True))
    head = f"{targets} = scan({said}) {', '.join(elements)} in {over}"
    head += f" with {bound} {{" if bound else " {"
    return [head, *(f"    {line}" for text in inside for line in text.split("\n")), "}"]


def _flow(statement: Statement, names: ValueNames) -> list[str]:
    """What flows in, and the stages through which it flows."""
    sources = [_term(each, names) for each in statement.sources]
    stages = [_call(each, names) for each in statement.calls]
    first = statement.calls[0]
    if not sources:
        return stages
    if first.callee in INFIX and len(sources) == 2:
        text = f"{sources[0]} {INFIX[first.callee]} {sources[1]}"
        return [f"({text})", *stages[1:]] if stages[1:] else [text]
    return [sources[0] if len(sources) == 1 else f"({', '.join(sources)})", *stages]


def _line(before: str, parts: Sequence[str]) -> str:
    """A statement, on several lines where it is long."""
    lines, line = [], before + parts[0]
    for part in parts[1:]:
        if len(line) + len(part) + 4 > WIDTH:
            lines.append(line)
            line = f"    -> {part}"
        else:
            line += f" -> {part}"
    return "\n    ".join([*lines, line])


def _call(call: Call, names: ValueNames) -> str:
    given = [_term(each, names) for each in call.others]
    attributes = list(call.attributes)
    if call.is_block:
        given += [spelled(value) for _, value in attributes]
        attributes = []
    elif attributes and not call.others and attributes[0][0] == _needed_first(call.callee):
        given.append(spelled(attributes.pop(0)[1]))
    given += [f"{name}={_said(value, names)}" for name, value in attributes]
    if call.pin:
        given.append(f'name="{call.pin}"')
    return f"{call.callee}({', '.join(given)})"


def _said(value: object, names: ValueNames) -> str:
    """An argument, which may be a tensor."""
    return _term(value, names) if isinstance(value, Value | Call) else spelled(value)


def _needed_first(callee: str) -> str:
    """The argument that a layer or operator always has, if it is the first one."""
    found = primitive(callee)
    attributes = signature_of(found.target).attributes if found else ()
    return attributes[0].name if attributes and attributes[0].required else ""


def _term(term: Term, names: ValueNames) -> str:
    match term:
        case Value(number):
            return names[number]
        case Call():
            return _call(term, names)
    return spelled(term)


def spelled(value: object) -> str:
    """Returns a value as the language writes it."""
    match value:
        case Spelled(text):
            return text
        case bool():
            return "true" if value else "false"
        case DType():
            return value.value
        case Expr():
            return str(value)
        case float() if not math.isfinite(value):
            return (
                "nan()" if math.isnan(value) else "infinity()" if value > 0 else "minus_infinity()"
            )
        case float():
            whole = value.is_integer() and 0 < abs(value) < 1e6
            return str(int(value)) if whole else repr(value)
        case tuple():
            return f"[{', '.join(map(spelled, value))}]"
    return str(value)
