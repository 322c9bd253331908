"""Damages models of ONNX: their bytes, and their fields, each by a number that says how."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import onnx
from google.protobuf.message import DecodeError

Message = Any  # of protobuf, whose classes are made at run time

NUMBERS = (0, 1, -1, 2, 3, 7, 8, 127, 255, 1 << 16, 1 << 20, 1 << 24, (1 << 31) - 1, 1 << 31,
           1 << 40, (1 << 62) + 1, (1 << 63) - 1, -(1 << 63), -2, -8, -(1 << 31))  # fmt: skip
FLOATS = (0.0, -0.0, 1.0, -1.0, 0.5, 1e-30, 3e38, math.inf, -math.inf, math.nan)
WORDS = ("", "x", "y", "..", "../../../etc/passwd", "/dev/zero", "model.onnx", ".", "location",
         "offset", "length", "SAME_UPPER", "VALID", "NOTSET", "ai.onnx", "com.microsoft",
         "ai.onnx.ml", "N", "a" * 300, "\N{SNOWMAN}",
         "linear", "cubic", "reflect", "wrap")  # fmt: skip
WANTED = {  # what a message's field is set to, if it is one of these
    "elem_type": range(0, 30), "data_type": range(0, 30), "data_location": range(3),
    "version": range(0, 30), "ir_version": range(0, 14), "type": range(0, 16), "to": range(0, 30),
}  # fmt: skip
OPERATORS = tuple(sorted({schema.name for schema in onnx.defs.get_all_schemas()}))


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Returns a model with a few changes: of its fields, its bytes, or both."""
    kind = chance.random()
    if kind < 0.7:
        content = _with_other_fields(content, chance)
    if kind > 0.6:
        content = _with_other_bytes(content, chance)
    return content


# ---- bytes -----------------------------------------------------------------------------------


def _with_other_bytes(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(changed) + 1)
        match chance.randrange(5):
            case 0 | 1:
                changed[place : place + 1] = bytes([chance.randrange(256)])
            case 2:
                del changed[place : place + chance.randint(1, 4)]
            case 3:
                changed[place:place] = chance.randbytes(chance.randint(1, 3))
            case _:
                changed[place : place + 1] = bytes([chance.choice((0, 1, 127, 128, 255))])
    if chance.random() < 0.02:
        del changed[chance.randrange(len(changed) + 1) :]
    return bytes(changed)


# ---- fields ----------------------------------------------------------------------------------


def _with_other_fields(content: bytes, chance: random.Random) -> bytes:
    model = onnx.ModelProto()
    model.ParseFromString(content)
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3))):
        change = chance.choices(_CHANGES, _WEIGHTS)[0]
        try:
            change(model, chance)
        except DecodeError:  # graphs are so deep in each other that none can be copied
            break
    return bytes(model.SerializeToString())


def _messages(message: Message) -> Iterator[Message]:
    """A message and all within it."""
    stack = [message]
    while stack:
        current = stack.pop()
        yield current
        for field, value in current.ListFields():
            if field.message_type is not None:
                stack.extend(value if field.is_repeated else [value])


def _any_message(model: Message, chance: random.Random, kind: str = "") -> Message | None:
    found = [m for m in _messages(model) if not kind or m.DESCRIPTOR.name == kind]
    return chance.choice(found) if found else None


def _change_field(model: Message, chance: random.Random) -> None:
    """Sets a field of numbers, words or bytes, or one element of it, or adds or drops one."""
    message = _any_message(model, chance)
    assert message is not None
    plain = [f for f in message.DESCRIPTOR.fields if f.message_type is None]
    present = [f for f in plain if (len(getattr(message, f.name)) if f.is_repeated else True)]
    field = chance.choice(present or plain) if plain else None
    if field is None:
        return
    if not field.is_repeated:
        _set(message, field, _value(model, field, chance, getattr(message, field.name)))
        return
    items = getattr(message, field.name)
    fresh = _value(model, field, chance, items[0] if items else None)
    match chance.randrange(4 if items else 1):
        case 0:
            items.append(fresh)
        case 1:
            del items[chance.randrange(len(items))]
        case _:
            items[chance.randrange(len(items))] = fresh


def _set(message: Message, field: Any, value: object) -> None:
    try:
        setattr(message, field.name, value)
    except ValueError:  # an enumeration that has no such member
        message.ClearField(field.name)


def _value(model: Message, field: Any, chance: random.Random, before: object) -> object:
    if field.name in WANTED and chance.random() < 0.8:
        return chance.choice(WANTED[field.name])
    if field.name == "op_type":
        return chance.choice(OPERATORS)
    match field.cpp_type:
        case field.CPPTYPE_STRING:
            return _text(model, field, chance, before)
        case field.CPPTYPE_FLOAT | field.CPPTYPE_DOUBLE:
            return chance.choice(FLOATS)
        case field.CPPTYPE_INT64:
            return chance.choice(NUMBERS)
        case field.CPPTYPE_INT32:
            return chance.choice([n for n in NUMBERS if -(1 << 31) <= n < 1 << 31])
        case field.CPPTYPE_UINT64:
            return chance.choice([n for n in NUMBERS if n >= 0])
    return chance.randrange(0, 24)


def _text(model: Message, field: Any, chance: random.Random, before: object) -> object:
    """A word, or a name that something in the model has; bytes are cut short or go on."""
    if field.type == field.TYPE_BYTES:
        old = before if isinstance(before, bytes) else b""
        word = chance.choice(WORDS).encode()
        return chance.choice((old[: len(old) // 2], old + b"\0", old * 2, b"", b"\xff" * 8, word))
    if chance.random() < 0.5:
        return chance.choice(WORDS)
    node = _any_message(model, chance, "NodeProto")
    names = [*node.input, *node.output] if node is not None else []
    return chance.choice(names or WORDS)


def _drop(model: Message, chance: random.Random) -> None:
    """Takes a message away."""
    found = _place(model, chance)
    if found is not None:
        items, number = found
        del items[number]


def _double(model: Message, chance: random.Random) -> None:
    """Puts a message there twice."""
    found = _place(model, chance)
    if found is not None:
        items, number = found
        items.add().CopyFrom(items[number])


def _swap(model: Message, chance: random.Random) -> None:
    """Puts another message of the same kind in the place of one."""
    found = _place(model, chance)
    if found is None:
        return
    items, number = found
    other = _any_message(model, chance, items[number].DESCRIPTOR.name)
    assert other is not None
    copy = type(other)()
    copy.CopyFrom(other)
    items[number].CopyFrom(copy)


def _clear(model: Message, chance: random.Random) -> None:
    """Leaves out a field."""
    message = _any_message(model, chance)
    assert message is not None
    present = [field for field, _ in message.ListFields()]
    if present:
        message.ClearField(chance.choice(present).name)


def _nest(model: Message, chance: random.Random) -> None:
    """Puts the whole graph into an attribute of one of its nodes, some times."""
    for _ in range(chance.choice((1, 1, 2, 6))):
        node = _any_message(model, chance, "NodeProto")
        if node is None or model.ByteSize() > 20_000:
            return
        graph = onnx.GraphProto()
        graph.CopyFrom(model.graph)
        name = chance.choice(("body", "then_branch", "else_branch"))
        known = [a for a in node.attribute if a.type == onnx.AttributeProto.GRAPH]
        attribute = chance.choice(known) if known else node.attribute.add(name=name, type=5)
        attribute.g.CopyFrom(graph)


def _outside(model: Message, chance: random.Random) -> None:
    """Says that the data of a tensor lie in a file."""
    tensor = _any_message(model, chance, "TensorProto")
    if tensor is None:
        return
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.ClearField("raw_data")
    for key in ("location", "offset", "length"):
        value = chance.choice(WORDS) if key == "location" else str(chance.choice(NUMBERS))
        tensor.external_data.add(key=key, value=value)


def _add_attribute(model: Message, chance: random.Random) -> None:
    """Gives a node an attribute that its operator has, with a value of some kind."""
    node = _any_message(model, chance, "NodeProto")
    if node is None or not onnx.defs.has(node.op_type):
        return
    names = sorted(onnx.defs.get_schema(node.op_type).attributes)
    if not names:
        return
    attribute = node.attribute.add(name=chance.choice(names))
    attribute.type = chance.choice((1, 2, 2, 3, 6, 7, 7))
    attribute.i, attribute.f = chance.choice(NUMBERS), chance.choice(FLOATS)
    attribute.s = chance.choice(WORDS).encode()
    attribute.ints.extend(chance.choices(NUMBERS, k=chance.randint(0, 4)))
    attribute.floats.extend(chance.choices(FLOATS, k=chance.randint(0, 4)))


def _add_function(model: Message, chance: random.Random) -> None:
    """Makes the graph a function, which may call itself, in the place of an operator."""
    node = _any_message(model, chance, "NodeProto")
    if node is None:
        return
    function = model.functions.add(name=node.op_type, domain=node.domain)
    function.input.extend(node.input)
    function.output.extend(node.output)
    function.node.extend(model.graph.node)
    function.opset_import.extend(model.opset_import)


def _place(model: Message, chance: random.Random) -> tuple[Any, int] | None:
    """A list of messages and a number in it."""
    lists = [
        value
        for message in _messages(model)
        for field, value in message.ListFields()
        if field.message_type is not None and field.is_repeated
    ]
    if not lists:
        return None
    items = chance.choice(lists)
    return items, chance.randrange(len(items))


_CHANGES: Sequence[Callable[[Message, random.Random], None]] = (
    _change_field, _drop, _double, _swap, _clear, _nest, _outside, _add_attribute, _add_function,
)  # fmt: skip
_WEIGHTS = (12, 2, 1, 3, 1, 0.5, 0.5, 3, 0.5)
