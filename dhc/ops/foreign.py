"""What an operator gets of a node of ONNX: its inputs, its attributes, and nothing unasked for.

An operator class with `onnx=Onnx(...)` reads nodes of that name: its fields are the attributes of
the same names, or of those that `Onnx.attributes` says. Where inputs or attributes mean something
else it overrides `from_onnx`. Nodes that no single operator computes are read by functions with
`@reads`, beside the operators that they are made of. Both may name another domain than ONNX's own.

While a model is read many tensors are known: weights, but also shapes and axes, whose elements may
be sizes with names. They are `Known` until an operator wants a node.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dhc.ir.graph import Node
from dhc.ir.number import canonical
from dhc.ir.size import Expr, Size, symbol, symbols
from dhc.ir.types import DType, dtype_of

Array = NDArray[Any]
T = TypeVar("T")
ELEMENTS: Mapping[int, DType] = {
    1: DType.F32, 2: DType.U8, 3: DType.I8, 4: DType.U16, 5: DType.I16, 6: DType.I32, 7: DType.I64,
    9: DType.BOOL, 10: DType.F16, 11: DType.F64, 12: DType.U32, 13: DType.U64, 16: DType.BF16,
    17: DType.F8E4M3FN, 18: DType.F8E4M3FNUZ, 19: DType.F8E5M2, 20: DType.F8E5M2FNUZ,
    21: DType.U4, 22: DType.I4, 23: DType.F4E2M1, 24: DType.F8E8M0, 25: DType.U2, 26: DType.I2,
}  # fmt: skip  # by their numbers in ONNX
TEXT = 8  # the number of text, which is no element type of dhc


class ForeignError(Exception):
    """A node cannot be read; the text says what of it.

    Attributes:
        unknown: Values that could be read if they were known before the model runs.
        sizes: What sizes of the inputs must be, by name, so that it can be read.
    """

    def __init__(
        self, text: str, unknown: Iterable[Node] = (), sizes: Mapping[str, int] | None = None
    ) -> None:
        """Keeps values and sizes beside the text."""
        super().__init__(text)
        self.unknown = frozenset(unknown)
        self.sizes = dict(sizes or {})


@dataclass(frozen=True)
class Known:
    """A tensor whose elements are known while a model is read.

    Attributes:
        array: The elements, as Python objects if some are sizes with names.
        dtype: The element type that the model gives it.
        path: The name of the parameter that it is, if it is one.
        name: What it is called where it is kept as it is, such as weights that stand in a node.
    """

    array: Array
    dtype: DType
    path: str = ""
    name: str = ""

    @property
    def has_names(self) -> bool:
        """Whether some elements are sizes with names."""
        return self.array.dtype == object


Value = Known | Node


@dataclass(frozen=True)
class Tensors:
    """A sequence of tensors, whose length is known while a model is read."""

    items: tuple[Value, ...]


@dataclass(frozen=True)
class Strings:
    """A tensor of text, which is known while a model is read.

    Attributes:
        array: Python's strings.
    """

    array: Array


@dataclass(frozen=True)
class Nothing:
    """An optional value that is empty; one that is not is what it holds."""


Held = Value | Tensors | Strings | Nothing
Results = Held | tuple[Held, ...]
Body = Callable[[Sequence[Held]], tuple[Held, ...]]
"""A graph within a node: reads it for these inputs, among the names around it."""


class Finders:
    """What finds sizes when a model runs, and how these sizes are called.

    Args:
        name: Makes a name of a wish that differs from all others.

    Attributes:
        nodes: The nodes that find them.
    """

    def __init__(self, name: Callable[[str], str]) -> None:
        self.nodes: list[Node] = []
        self._name = name
        self._made: dict[object, Node] = {}

    def once(self, key: object, make: Callable[[str], Node]) -> Node:
        """Returns the node that finds a size, which `make` makes given its name, once for a key."""
        if key not in self._made:
            node = self._made[key] = make(self._name(f"found {len(self.nodes)}"))
            self.nodes.append(node)
        return self._made[key]


class Call:
    """A node to be read.

    Args:
        op_type: Its operator in ONNX.
        opset: The version of the operator set that the model uses.
        inputs: Its inputs; None where one is left out.
        attributes: What it says, by name.
        results: Which outputs are wanted.
        keep: Makes a node of a known tensor.
        finders: Takes what finds sizes when the model runs.
        names: The values around the node, by name.
    """

    def __init__(
        self,
        op_type: str,
        opset: int,
        inputs: Sequence[Held | None],
        attributes: Mapping[str, object],
        results: Sequence[bool],
        keep: Callable[[Known], Node],
        finders: Finders,
        names: Mapping[str, Held | None] | None = None,
    ) -> None:
        self.op_type = op_type
        self.opset = opset
        self.results = tuple(results)
        self.finders = finders
        self._inputs = tuple(inputs)
        self._attributes = dict(attributes)
        self._keep = keep
        self._names = names or {}
        self._asked: set[str] = set()

    # ---- inputs ------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._inputs)

    def has(self, number: int) -> bool:
        """Whether an input is given."""
        return number < len(self._inputs) and self._inputs[number] is not None

    def held(self, number: int) -> Held:
        """Returns an input, whatever it is.

        Raises:
            ForeignError: if it is left out.
        """
        found = self._inputs[number] if number < len(self._inputs) else None
        if found is None:
            raise ForeignError(f"input {number + 1} is missing")
        return found

    def value(self, number: int) -> Value:
        """Returns an input that is a tensor, known or not.

        Raises:
            ForeignError: if it is left out, or no tensor.
        """
        return as_value(self.held(number), f"input {number + 1}")

    def strings(self, number: int) -> Array:
        """Returns an input that is text, as Python's strings.

        Raises:
            ForeignError: if it is none.
        """
        found = self.held(number)
        if not isinstance(found, Strings):
            raise ForeignError(f"input {number + 1} is no text")
        return found.array

    def sequence(self, number: int) -> tuple[Value, ...]:
        """Returns the tensors of an input that is a sequence.

        Raises:
            ForeignError: if it is none.
        """
        found = self.held(number)
        if not isinstance(found, Tensors):
            raise ForeignError(f"input {number + 1} is no sequence")
        return found.items

    def tensor(self, number: int) -> Node:
        """Returns an input as a node."""
        return self.node(self.value(number))

    def node(self, value: Value) -> Node:
        """Returns a tensor as a node."""
        return self._keep(value) if isinstance(value, Known) else value

    def constant(self, array: Array) -> Node:
        """Returns a tensor that a reader computes as a node."""
        return self._keep(Known(array, dtype_of(array)))

    def named(self, name: str) -> Value:
        """Returns a tensor that the node speaks of by name.

        Raises:
            ForeignError: if nothing computes it, or it is no tensor.
        """
        found = self._names.get(name)
        if found is None:
            raise ForeignError(f"nothing computes '{name}'")
        return as_value(found, f"'{name}'")

    @property
    def tensors(self) -> tuple[Node, ...]:
        """All inputs as nodes; those that are left out must be the last."""
        count = max((k + 1 for k in range(len(self)) if self.has(k)), default=0)
        found = tuple(self.tensor(k) for k in range(count))
        return self._aligned(*found) if self.opset < 7 and self.get("broadcast", 0) else found

    def _aligned(self, first: Node, second: Node) -> tuple[Node, Node]:
        """Before version 7 nodes said at which axis of the first the second one begins."""
        from dhc.ops.shape import Reshape

        axis = self.get("axis", first.type.rank - second.type.rank)
        behind = (1,) * (first.type.rank - axis - second.type.rank)
        return first, Reshape((*second.type.shape, *behind))(second) if behind else second

    def known(self, number: int) -> Array:
        """Returns the elements of an input, among them sizes with names.

        Raises:
            ForeignError: if they are only known when the model runs.
        """
        found = self.value(number)
        if not isinstance(found, Known):
            raise ForeignError(f"input {number + 1} must be known before the model runs", [found])
        return found.array

    def numbers(self, number: int) -> Array:
        """The same, without sizes with names."""
        found = self.known(number)
        if found.dtype == object:
            raise ForeignError(f"input {number + 1} depends on the sizes of the inputs")
        return found

    def number(self, number: int) -> float:
        """Returns an input that is one number, with as few digits as its type allows."""
        found, dtype = float(self.numbers(number).reshape(-1)[0]), as_dtype(self.value(number))
        return float(canonical(found, dtype)) if dtype.is_float else found

    def listed(self, number: int, name: str = "") -> tuple[int, ...]:
        """Returns whole numbers: an input, or the attribute that older versions had in its place.

        Raises:
            ForeignError: if the input is not known, or the attribute is something else.
        """
        if name and not self.has(number):
            return self.ints(name)
        return tuple(int(each) for each in self.numbers(number).reshape(-1))

    def sizes(self, number: int) -> tuple[Size, ...]:
        """Returns the elements of an input as sizes."""
        return tuple(as_size(each) for each in self.known(number).reshape(-1).tolist())

    # ---- attributes --------------------------------------------------------------------------

    def says(self, name: str) -> bool:
        """Whether an attribute is given; it counts as asked for."""
        self._asked.add(name)
        return name in self._attributes

    def get(self, name: str, default: T) -> T:
        """Returns an attribute of the default's type.

        Raises:
            ForeignError: if it is of another type.
        """
        self._asked.add(name)
        found = self._attributes.get(name, default)
        if isinstance(default, float) and isinstance(found, int):
            found = float(found)
        if default is not None and not isinstance(found, type(default)):
            raise ForeignError(f"attribute '{name}' is {found!r}")
        return found  # type: ignore[return-value]

    def word(self, name: str, default: str, known: Container[str]) -> str:
        """Returns an attribute that is one of some words.

        Raises:
            ForeignError: if it is another.
        """
        found = self.get(name, default)
        if found not in known:
            raise ForeignError(f"attribute '{name}' is {found!r}")
        return found

    def ints(self, name: str, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """Returns an attribute that is a list of integers.

        Raises:
            ForeignError: if it is something else.
        """
        found = self.get(name, default)
        if not all(isinstance(each, int) for each in found):
            raise ForeignError(f"attribute '{name}' is {found!r}")
        return found

    def dtype(self, name: str) -> DType:
        """Returns the element type that an attribute names.

        Raises:
            ForeignError: if dhc has no such type.
        """
        found = ELEMENTS.get(self.get(name, 0))
        if found is None:
            raise ForeignError(f"attribute '{name}' is {self.get(name, 0)}, a type dhc has not")
        return found

    def array(self, name: str) -> Known:
        """Returns an attribute that is a tensor.

        Raises:
            ForeignError: if it is missing or something else.
        """
        self._asked.add(name)
        found = self._attributes.get(name)
        if not isinstance(found, Known):
            raise ForeignError(f"attribute '{name}' is no tensor")
        return found

    def body(self, name: str) -> Body:
        """Returns an attribute that is a graph.

        Raises:
            ForeignError: if it is missing or something else.
        """
        self._asked.add(name)
        found = self._attributes.get(name)
        if not callable(found):
            raise ForeignError(f"attribute '{name}' is no graph")
        body: Body = found
        return body

    def must(self, name: str, value: object) -> None:
        """Refuses any other value of an attribute than the one that is meant here.

        Raises:
            ForeignError: if it has another one.
        """
        found = self.get(name, value)
        if found != value:
            raise ForeignError(f"attribute '{name}' is {found!r}")

    @property
    def unasked(self) -> tuple[str, ...]:
        """The attributes that nothing has asked for."""
        return tuple(sorted(set(self._attributes) - self._asked))


Reader = Callable[[Call], Results]
readers: dict[tuple[str, str], Reader] = {}  # by domain and operator
MICROSOFT = "com.microsoft"  # the domain of what onnxruntime has beside ONNX's own operators


def reads(*op_types: str, domain: str = "") -> Callable[[Reader], Reader]:
    """Registers a function that reads nodes which no operator alone computes."""

    def register(reader: Reader) -> Reader:
        for op_type in op_types:
            if (domain, op_type) in readers:
                raise ValueError(f"'{op_type}' is read twice")
            readers[domain, op_type] = reader
        return reader

    return register


def require_size(size: Size, wanted: Size, what: str) -> None:
    """Asks for a size that is open to be the number that it must be.

    Raises:
        ForeignError: if it is open; the text begins with this.
    """
    if isinstance(size, Expr) and isinstance(wanted, int):
        names = symbols(size)
        alone = len(names) == 1 and size == symbol(min(names))
        text = f"{what} must be {wanted}, not {size}"
        raise ForeignError(text, sizes={min(names): wanted} if alone else None)


def as_dtype(value: Value) -> DType:
    """Returns the element type of a tensor, known or not."""
    return value.dtype if isinstance(value, Known) else value.type.dtype


def as_value(held: Held, name: str) -> Value:
    """Returns what is a tensor.

    Raises:
        ForeignError: if it is none; the text calls it by this name.
    """
    if isinstance(held, Tensors):
        raise ForeignError(f"{name} is a sequence")
    if isinstance(held, Nothing):
        raise ForeignError(f"{name} is an optional that is empty")
    if isinstance(held, Strings):
        raise ForeignError(f"{name} is text")
    return held


def as_size(value: object) -> Size:
    """Returns an element of a known tensor as a size.

    Raises:
        ForeignError: if it is none.
    """
    if isinstance(value, Expr):
        return value
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return int(value)
    raise ForeignError(f"{value!r} is no size")
