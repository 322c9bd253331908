"""What an operator writes itself with as nodes of ONNX: the counterpart of `dhc.ops.foreign`.

An operator class with `onnx=Onnx(...)` is written as a node of that name, with its fields as
attributes. Where inputs or attributes mean something else it overrides `to_onnx`. Operators that
ONNX has not are written as what they are made of: a composite one as its parts, an element-wise one
as its expression (`dhc.ops.outward_formula`), and a structured one that says so as its elements
(`dhc.ops.outward_elements`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dhc.ir.graph import Input, Literal_, Node, Op, topological
from dhc.ir.size import Atom, Count, Expr, FloorDiv, Least, Shape, Size, count_size, symbol
from dhc.ir.types import DType, Tensor
from dhc.ops.foreign import ELEMENTS, ForeignError

if TYPE_CHECKING:
    from dhc.ops.base import Operator

Array = NDArray[Any]
NUMBERS: Mapping[DType, int] = {dtype: number for number, dtype in ELEMENTS.items()}
USUAL = frozenset((DType.F16, DType.F32, DType.F64, DType.I32, DType.I64, DType.BOOL))
"""The element types that readers of ONNX compute with; others become one of them first."""
WIDE: Mapping[DType, DType] = {
    DType.I8: DType.I32, DType.U8: DType.I32, DType.I16: DType.I32, DType.U16: DType.I32,
    DType.U32: DType.I64,
}  # fmt: skip
"""What they compute with in place of other integers; going back wraps, as it should."""
LAST, FIRST = 2**63 - 1, -(2**63)  # the end and the beginning of an axis, however long it is


@dataclass(frozen=True)
class Term:
    """A value of the model that is written, by its name there."""

    name: str
    type: Tensor

    @property
    def dtype(self) -> DType:
        return self.type.dtype

    @property
    def shape(self) -> Shape:
        return self.type.shape


@dataclass(frozen=True)
class Body:
    """A graph within a node: it may read everything that is written before the node."""

    inputs: tuple[Term, ...]
    outputs: tuple[Term, ...]
    nodes: tuple[Written, ...]


Attribute = int | float | str | DType | Body | Sequence[int] | Sequence[float]


@dataclass(frozen=True)
class Written:
    """A node of the model.

    Attributes:
        inputs: The names of its inputs, empty where one is left out.
        array: The elements, of a `Constant`.
    """

    op_type: str
    inputs: tuple[str, ...]
    outputs: tuple[Term, ...]
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    array: Array | None = None


class Names:
    """Gives names that differ from each other."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._counts: dict[str, int] = {}

    def take(self, name: str) -> bool:
        """Whether a name was free; it is not any more."""
        free = name not in self._taken
        self._taken.add(name)
        return free

    def new(self, wanted: str) -> str:
        """Returns the wanted name, with a number if it is taken."""
        name = wanted
        while not self.take(name):
            self._counts[wanted] = self._counts.get(wanted, 1) + 1
            name = f"{wanted}_{self._counts[wanted]}"
        return name


class Outward:
    """A model while it is written.

    Args:
        opset: The version of ONNX's operators.
        inputs: The inputs of the model, whose shapes give sizes their names.
        names: The names that are taken.

    Attributes:
        nodes: What has been written, in order.
        place: The path of what is being written, after which nodes are named.
    """

    def __init__(self, opset: int, inputs: Sequence[Term] = (), names: Names | None = None) -> None:
        self.opset = opset
        self.nodes: list[Written] = []
        self.place = ""
        self._names = names or Names()
        self._inputs = tuple(inputs)
        self._outer: Outward | None = None
        self._once: dict[object, Any] = {}
        self._makers: dict[Term, Op] = {}

    # ---- nodes -------------------------------------------------------------------------------

    def node(
        self, op_type: str, inputs: Sequence[Term | None], result: Tensor, **attributes: Attribute
    ) -> Term:
        """Writes a node with one result of a type."""
        return self.several(op_type, inputs, (result,), **attributes)[0]

    def several(
        self,
        op_type: str,
        inputs: Sequence[Term | None],
        results: Sequence[Tensor],
        **attributes: Attribute,
    ) -> tuple[Term, ...]:
        """Writes a node with several results."""
        for each in results:
            foreign_type(each.dtype)
        name = self._names.new(self.place or op_type)
        firsts = [name, *(self._names.new(f"{name}.{k}") for k in range(1, len(results)))]
        made = tuple(Term(n, type) for n, type in zip(firsts, results, strict=True))
        read = tuple("" if each is None else each.name for each in inputs)
        self.nodes.append(Written(op_type, read, made, attributes))
        return made

    def constant(self, array: Array, dtype: DType) -> Term:
        """Writes a tensor that is known, once however often it is asked for."""
        foreign_type(dtype)
        content = np.ascontiguousarray(array, dtype.numpy).reshape(np.shape(array))
        key = (dtype, content.shape, content.tobytes())
        home = self._root
        if key not in home._once:
            name = self._names.new("constant")
            made = Term(name, Tensor(dtype, content.shape))
            home.nodes.append(Written("Constant", (), (made,), {}, content))
            home._once[key] = made
        found: Term = home._once[key]
        return found

    def number(self, value: float | int | bool, dtype: DType) -> Term:
        """Writes one number, a tensor of rank 0."""
        return self.constant(np.asarray(value, dtype.numpy), dtype)

    def numbers(self, values: Iterable[int]) -> Term:
        """Writes a list of whole numbers, such as axes."""
        return self.constant(np.array(tuple(values), np.int64), DType.I64)

    def open_size(self) -> Size:
        """Returns a size that differs from all others, for axes whose size nothing can say.

        Runtimes lay out memory by what a model says of sizes.
        """
        return symbol(self._names.new("open"))

    # ---- operators ---------------------------------------------------------------------------

    def apply(self, operator: Op, *inputs: Term) -> Term:
        """Writes another operator, applied to these values."""
        result = operator.infer(*(each.type for each in inputs))
        return self.operator(operator, result, *inputs)

    def operator(self, operator: Op, result: Tensor, *inputs: Term) -> Term:
        """Writes an operator whose result has a type."""
        from dhc.ops.base import Operator

        if not isinstance(operator, Operator):
            raise ForeignError(f"'{operator.name}' is no operator")
        if operator.untold:
            raise ForeignError(operator.untold)
        made = operator.to_onnx(self, result, *inputs)
        self._root._makers.setdefault(made, operator)
        return made

    def maker(self, term: Term) -> Op | None:
        """Returns the operator whose result a value is; None for what is no result of one."""
        return self._root._makers.get(term)

    def graph(self, root: Node, known: dict[Node, Term]) -> Term:
        """Writes a node and all that it needs, but what is known."""
        for node in topological([root], _Unknown(known)):
            if node not in known:
                known[node] = self._leaf_or_operator(node, known)
        return known[root]

    def _leaf_or_operator(self, node: Node, known: Mapping[Node, Term]) -> Term:
        if isinstance(node.op, Literal_):
            return self.number(node.op.value, node.op.dtype)
        try:
            return self.operator(node.op, node.type, *(known[source] for source in node.inputs))
        except ForeignError as error:
            raise ForeignError(f"it is made of '{node.op.name}', but {error}") from error

    def expanded(self, operator: Operator, *inputs: Term) -> Term:
        """Writes a composite operator as what it is made of."""
        from dhc.ops.base import Composite

        assert isinstance(operator, Composite)
        places = [Input(f"x{i}", each.type)() for i, each in enumerate(inputs)]
        return self.graph(operator.expand(*places), dict(zip(places, inputs, strict=True)))

    def cast(self, x: Term, to: DType) -> Term:
        """Writes a conversion, where one is needed."""
        if x.dtype is to:
            return x
        return self.node("Cast", (x,), x.type.with_dtype(to), to=foreign_type(to))

    def wide(self, x: Term) -> Term:
        """Writes a conversion of integers to those that readers compute with."""
        return self.cast(x, WIDE.get(x.dtype, x.dtype))

    def expand(self, x: Term, shape: Shape) -> Term:
        """Writes a repetition along axes of size 1, where one is needed."""
        if x.shape == shape:
            return x
        return self.node("Expand", (x, self.shape(shape)), x.type.with_shape(shape))

    def reduction(
        self, op_type: str, x: Term, axes: Sequence[int], keepdims: bool, result: Tensor
    ) -> Term:
        """Writes a reduction over axes, or all where none are named.

        Before version 18 the axes are an attribute, but not those of sums.
        """
        given = self.wide(x)
        attributes: dict[str, Attribute] = {"keepdims": int(keepdims)}
        listed: tuple[Term, ...] = ()
        if axes and (self.opset >= 18 or op_type == "ReduceSum"):
            listed = (self.numbers(axes),)
        elif axes:
            attributes["axes"] = tuple(axes)
        wide = result.with_dtype(given.dtype)
        found = self.node(op_type, (given, *listed), wide, **attributes)
        return self.cast(found, x.dtype)

    def once(self, key: object) -> dict[str, tuple[Term, ...]]:
        """Returns what operators remember under a key, to write what they share only once."""
        found: dict[str, tuple[Term, ...]] = self._once.setdefault(key, {})
        return found

    # ---- sizes -------------------------------------------------------------------------------

    def reshape(self, x: Term, shape: Shape) -> Term:
        """Writes a reshape; sizes that are kept, and one that follows, need no computation."""
        if x.shape == shape:
            return x
        kept = [0 if k < x.type.rank and s == x.shape[k] else s for k, s in enumerate(shape)]
        wanted: list[Size] = [
            k if isinstance(size, Expr) else size for k, size in zip(kept, shape, strict=True)
        ]
        unknown = [axis for axis, size in enumerate(wanted) if isinstance(size, Expr)]
        if len(unknown) == 1:
            wanted[unknown[0]] = -1
        return self.node("Reshape", (x, self.shape(tuple(wanted))), x.type.with_shape(shape))

    def shape(self, shape: Shape) -> Term:
        """Writes sizes as a list of whole numbers."""
        if all(isinstance(size, int) for size in shape):
            return self.numbers(size for size in shape if isinstance(size, int))
        parts = [self.size(size) for size in shape]
        return parts[0] if len(parts) == 1 else self._whole("Concat", *parts, axis=0)

    def size(self, size: Size) -> Term:
        """Writes a size as a list of one whole number.

        Raises:
            ForeignError: if it depends on what is no size of an input.
        """
        if isinstance(size, int):
            return self.numbers((size,))
        home = self._root
        if size not in home._once:
            home._once[size] = home._sum(size)
        found: Term = home._once[size]
        return found

    def _sum(self, size: Expr) -> Term:
        total: Term | None = None
        for monomial, coefficient in size.terms:
            product: Term | None = None
            for atom in monomial:
                factor = self._atom(atom)
                product = factor if product is None else self._whole("Mul", product, factor)
            if product is None or coefficient != 1:
                share = self.numbers((coefficient,))
                product = share if product is None else self._whole("Mul", product, share)
            total = product if total is None else self._whole("Add", total, product)
        assert total is not None
        return total

    def _atom(self, atom: Atom) -> Term:
        match atom:
            case FloorDiv(value, divisor):
                return self._whole("Div", self.size(value), self.numbers((divisor,)))
            case Least(value, most):
                return self._whole("Min", self.size(value), self.numbers((most,)))
            case Count():
                return self._count(atom)
        alone = Expr((((atom,), 1),))
        for each in self._inputs:
            if alone in each.shape:
                where = self.numbers((each.shape.index(alone),))
                rank = Tensor(DType.I64, (each.type.rank,))
                return self._whole("Gather", self.node("Shape", (each,), rank), where, axis=0)
        raise ForeignError(f"the size {atom} is that of no input")

    def found(self, size: Size, where: Term) -> Term:
        """Remembers that the first axis of a value is as long as a count says."""
        self._root._once["count", size] = where
        return where

    def _count(self, atom: Count) -> Term:
        where: Term | None = self._root._once.get(("count", count_size(atom.name, atom.most)))
        if where is None:
            raise ForeignError(f"the size {atom} is found by nothing before it")
        shape = self.node("Shape", (where,), Tensor(DType.I64, (where.type.rank,)))
        return self._whole("Gather", shape, self.numbers((0,)), axis=0)

    def _whole(self, op_type: str, *inputs: Term, **attributes: int) -> Term:
        count = len(inputs) if op_type == "Concat" else 1
        return self.node(op_type, inputs, Tensor(DType.I64, (count,)), **attributes)

    # ---- graphs within nodes -----------------------------------------------------------------

    @property
    def _root(self) -> Outward:
        """The model itself, where constants and sizes stand so that all can read them."""
        return self if self._outer is None else self._outer._root

    def within(self) -> Outward:
        """Returns what writes a graph that a node of this one holds."""
        inner = Outward(self.opset, self._inputs, self._names)
        inner._outer, inner.place = self, self.place
        return inner

    def parameter(self, type: Tensor) -> Term:
        """Returns a new input of a graph within a node."""
        return Term(self._names.new(f"{self.place or 'loop'}.input"), type)


class _Unknown:
    """The nodes that are not known yet."""

    def __init__(self, known: Mapping[Node, Term]) -> None:
        self._known = known

    def __contains__(self, node: object) -> bool:
        return node not in self._known


def foreign_type(dtype: DType) -> int:
    """Returns the number that ONNX gives an element type.

    Raises:
        ForeignError: if models that are written have none.
    """
    if dtype not in NUMBERS:
        raise ForeignError(f"it has elements of the type {dtype}")
    return NUMBERS[dtype]


def attributes_of(operator: Operator, names: Mapping[str, str]) -> dict[str, Attribute]:
    """Returns the fields of an operator as attributes; numbers are what the fields say."""
    found: dict[str, Attribute] = {}
    for each in fields(operator):
        value = getattr(operator, each.name)
        floats = each.type in ("float", float) and isinstance(value, int)
        found[names.get(each.name, each.name)] = float(value) if floats else value
    return found


def is_exact(operator: Operator, result: Tensor) -> bool:
    """Whether attributes, which have 32 bits in ONNX, say the numbers that f64 is computed with."""
    values = [getattr(operator, each.name) for each in fields(operator)]
    numbers = [each for each in values if isinstance(each, float)]
    return result.dtype is not DType.F64 or all(float(np.float32(each)) == each for each in numbers)
