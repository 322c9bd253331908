"""What a contributor extends to add an operator, and the registries that find it.

An operator is one class in one file of this package. Three base classes differ in what is written:

- `Elementwise`: one scalar expression; everything else follows from it.
- `Composite`: the operator in terms of other operators.
- `Structured`: the shape rule, the numpy meaning, and one output element as an expression.

A *layer* is what the language calls when an operator owns weights: a function that makes the
parameters and applies operators to them. Operators without weights are called by their own name.

How Python annotations appear in the language (both for operator fields and layer arguments): `int`,
`float`, `bool`, `str`; `Literal["same", "valid"]` takes those words unquoted; `Axis` takes an
integer or an axis letter (N, C, D, H, W); `Size` takes an integer or a size such as `x.H`;
`tuple[X, ...]` takes a list, and `X | tuple[X, ...]` either; a parameter annotated `Node` is a
tensor, and one annotated `Body` a block.

Methods declared here with `*inputs: Any, **unused: Any` are overridden with named parameters: one
for each input of the operator.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Annotated, Any, ClassVar, Literal, Protocol, TypeVar, dataclass_transform

import numpy as np
from numpy.typing import NDArray

from dhc.ir.evaluate import evaluate
from dhc.ir.graph import Initializer, Input, Node
from dhc.ir.kernel import Statement
from dhc.ir.scalar import Buffer, Scalar, Var
from dhc.ir.size import Shape
from dhc.ir.types import DType, Tensor
from dhc.ops.carry import Carrying
from dhc.ops.foreign import Call, ForeignError, Results
from dhc.ops.operand import Index, Operand
from dhc.ops.outward import USUAL, Outward, Term, attributes_of, is_exact
from dhc.ops.outward_formula import write_formula
from dhc.ops.phrase import Phrase, plain_phrase
from dhc.ops.rules import (
    Elements,
    TypeRuleError,
    broadcast_shapes,
    normalize_axis,
    require_elements,
    require_same_dtype,
)
from dhc.ops.running import run
from dhc.ops.sample import Sample, elementwise_samples
from dhc.ops.sizes import axis_variable, size_scalar

Array = NDArray[Any]
Axis = Annotated[int, "axis"]
OperatorKind = Literal["elementwise", "movement", "reduction", "opaque"]


@dataclass(frozen=True)
class Onnx:
    """How ONNX writes an operator: its name, the first opset, and attribute names that differ.

    The domain is empty for ONNX's own operators.
    """

    op_type: str
    since: int
    attributes: tuple[tuple[str, str], ...] = ()
    domain: str = ""


# ---- base classes ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Operator(Carrying):
    """The base of all operators but leaves.

    Attributes:
        onnx: How ONNX writes it.
        kind: What fusion may do: an `elementwise` operator reads each input at its own index, a
            `movement` makes each output element from one input element, a `reduction` from many,
            and an `opaque` one has its own loops.
        inlines_producers: Whether computing an input's element where it is read costs little.
        inlines_casts: Whether at least converting it there does.
        inlines_movement: Whether finding it there, where a movement takes it from, does.
        multiplies: Whether it sums products of elements of its first two inputs, and adds further
            inputs; so that these two decide its precision.
        untold: Why it must not be in a model that is written, if so.
    """

    onnx: ClassVar[Onnx | None] = None
    kind: ClassVar[OperatorKind] = "reduction"
    inlines_producers: ClassVar[bool] = False
    inlines_casts: ClassVar[bool] = False
    inlines_movement: ClassVar[bool] = False
    multiplies: ClassVar[bool] = False
    untold: ClassVar[str] = ""

    def numpy(self, *inputs: Any, **unused: Any) -> Array:
        """The reference meaning, for any float type (float64 included)."""
        raise NotImplementedError

    def grad(
        self, upstream: Node, output: Node, *inputs: Any, **unused: Any
    ) -> tuple[Node | None, ...]:
        """Returns the gradient for each input, None where there is none.

        Raises:
            NotImplementedError: if the operator has no gradient.
        """
        raise NotImplementedError(f"'{self.name}' has no gradient yet")

    def element(self, out: Tensor, index: Index, *inputs: Any, **unused: Any) -> Scalar:
        """Returns the output element at `index`; sums over axes are `reduce_over(...)`.

        This one definition becomes kernels on every backend. An index must lie inside its input
        wherever its guard holds, whatever `select` stands around it: use `Operand.padded`.
        """
        raise NotImplementedError

    @classmethod
    def from_onnx(cls, call: Call) -> Results:
        """Returns what a node of ONNX computes; override it where fields are no attributes there.

        Raises:
            ForeignError: if the node says what this operator cannot do.
        """
        names = dict(cls.onnx.attributes) if cls.onnx else {}
        given = {}
        for field in fields(cls):
            name = names.get(field.name, field.name)
            usual = None if field.default is MISSING else field.default
            if call.says(name):
                given[field.name] = call.get(name, usual)
        return cls(**given)(*call.tensors)

    def phrase(self, *inputs: Any, **unused: Any) -> Phrase:
        """Returns how the language writes it; override it where a layer says it better."""
        return plain_phrase(self, inputs)

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        """Writes the operator as nodes of ONNX; override it where `from_onnx` is.

        Raises:
            ForeignError: if ONNX cannot say what it means.
        """
        if self.onnx is None or self.onnx.domain:
            raise ForeignError("ONNX has no such operator")
        if out.opset < self.onnx.since:
            text = f"ONNX has '{self.onnx.op_type}' since version {self.onnx.since}"
            raise ForeignError(text)
        attributes = attributes_of(self, dict(self.onnx.attributes))
        return out.node(self.onnx.op_type, inputs, result, **attributes)

    def _is_plain(self, out: Outward, *terms: Tensor) -> bool:
        """Whether ONNX has the operator itself, for elements that its readers compute with."""
        if self.onnx is None or self.onnx.domain or out.opset < self.onnx.since:
            return False
        return all(type.dtype in USUAL for type in terms)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        """Small examples, from which the tests of an operator follow."""
        return ()

    @classmethod
    def input_names(cls) -> tuple[str, ...]:
        """The names of the tensor inputs; the last starts with '*' where it takes any number."""
        return _positional(cls._signature_method())

    @classmethod
    def _signature_method(cls) -> Callable[..., object]:
        return cls.infer


class Elementwise(Operator):
    """An operator that computes each output element from the matching input elements.

    Attributes:
        elements: Which element types the inputs may have; a number is an integer or a float.
    """

    kind: ClassVar[OperatorKind] = "elementwise"
    inlines_producers: ClassVar[bool] = True
    elements: ClassVar[Elements] = "float"

    def scalar(self, *inputs: Any, **unused: Any) -> Scalar:
        """Returns the result for one element. Override with named parameters."""
        raise NotImplementedError

    def infer(self, *inputs: Tensor) -> Tensor:
        require_elements(self.name, self.elements, inputs)
        require_same_dtype(self.name, inputs)
        body = self.scalar(*(Var(f"x{i}", t.dtype) for i, t in enumerate(inputs)))
        return Tensor(body.dtype, broadcast_shapes(self.name, [t.shape for t in inputs]))

    def element(self, out: Tensor, index: Index, *inputs: Operand) -> Scalar:
        return self.scalar(*(operand.broadcast(index) for operand in inputs))

    def numpy(self, *inputs: Array) -> Array:
        from dhc.ir.types import dtype_of

        names = [Var(f"x{i}", dtype_of(a)) for i, a in enumerate(inputs)]
        body = self.scalar(*names)
        result = evaluate(body, dict(zip(names, inputs, strict=True)))
        shape = np.broadcast_shapes(*(a.shape for a in inputs))
        return np.broadcast_to(result, shape).astype(body.dtype.numpy)

    def grad(self, upstream: Node, output: Node, *inputs: Node) -> tuple[Node | None, ...]:
        from dhc.ops.elementwise_grad import elementwise_gradients

        return elementwise_gradients(self, upstream, output, inputs)

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        """Writes the operator of ONNX, or else the expression."""
        if is_exact(self, result) and self._is_plain(out, result, *(each.type for each in inputs)):
            return super().to_onnx(out, result, *inputs)
        return write_formula(out, self, *inputs)

    def slope(self, result: Scalar) -> Scalar | None:
        """Returns the derivative in terms of the result, for functions of one input.

        Override it where that is exact and short: training then needs not keep the input.
        """
        return None

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return elementwise_samples(cls(), cls.input_names(), cls.elements)

    @classmethod
    def _signature_method(cls) -> Callable[..., object]:
        return cls.scalar


class Structured(Operator):
    """An operator with its own shape rule and its own meaning for each output element."""

    def loops(self, out: Buffer, *inputs: Any, **unused: Any) -> tuple[Statement, ...] | None:
        """Returns explicit loops for what no element-wise definition expresses, else None."""
        return None


class Composite(Operator):
    """An operator made of others. A backend may claim it whole; otherwise it is expanded."""

    carries: ClassVar[bool] = True

    def expand(self, *inputs: Any, **unused: Any) -> Node:
        """Returns the result in terms of other operators. Override with named parameters."""
        raise NotImplementedError

    def infer(self, *inputs: Tensor) -> Tensor:
        return self._on_placeholders(inputs).type

    def numpy(self, *inputs: Array) -> Array:
        from dhc.ir.types import dtype_of

        types = tuple(Tensor(dtype_of(a), a.shape) for a in inputs)
        values = {f"x{i}": a for i, a in enumerate(inputs)}
        return run([self._on_placeholders(types)], values)[0]

    def grad(
        self, upstream: Node, output: Node, *inputs: Any, **unused: Any
    ) -> tuple[Node | None, ...]:
        from dhc.ops.differentiate import pull_back

        return pull_back(self.expand(*inputs), upstream, inputs)

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        """Writes the operator of ONNX, or else what it is made of."""
        if self._is_plain(out, result, *(each.type for each in inputs)):
            return super().to_onnx(out, result, *inputs)
        return out.expanded(self, *inputs)

    def _on_placeholders(self, types: tuple[Tensor, ...]) -> Node:
        return self.expand(*(Input(f"x{i}", t)() for i, t in enumerate(types)))

    @classmethod
    def _signature_method(cls) -> Callable[..., object]:
        return cls.expand


# ---- registries ------------------------------------------------------------------------------


class LayerContext(Protocol):
    """What the front end offers a layer while a program is built."""

    def param(
        self,
        name: str,
        shape: Shape,
        initializer: Initializer,
        trainable: bool = True,
        dtype: DType = DType.F32,
    ) -> Node:
        """Returns a new parameter; its path is the layer's path and `name`."""

    def stream(self) -> str:
        """Returns the identity of a new random stream: the layer's stable path."""


class Body(Protocol):
    """A block as the argument of a layer, which applies it where and as often as it wants."""

    def __call__(self, *inputs: Node) -> tuple[Node, ...]:
        """Applies the block; its weights belong to the layer's place."""


@dataclass(frozen=True)
class Layer:
    """A callable of the language that owns weights or picks among operators."""

    name: str
    function: Callable[..., Node | tuple[Node, ...]]
    doc: str


operators: dict[str, type[Operator]] = {}
layers: dict[str, Layer] = {}
stages: dict[str, Layer] = {}

O = TypeVar("O", bound=Operator)  # noqa: E741
F = TypeVar("F", bound=Callable[..., Node | tuple[Node, ...]])


@dataclass_transform(frozen_default=True)
def op(name: str, onnx: Onnx | None = None) -> Callable[[type[O]], type[O]]:
    """Registers an operator class under its name in the language and in printed IR."""

    def register(cls: type[O]) -> type[O]:
        frozen = dataclass(frozen=True)(cls)
        frozen.name, frozen.onnx = name, onnx
        if name in operators:
            raise ValueError(f"operator '{name}' is defined twice")
        operators[name] = frozen
        return frozen

    return register


def layer(name: str) -> Callable[[F], F]:
    """Registers a function `(context, *tensors, **attributes) -> Node` as a layer."""

    def register(function: F) -> F:
        if name in layers:
            raise ValueError(f"layer '{name}' is defined twice")
        layers[name] = Layer(name, function, inspect.getdoc(function) or "")
        return function

    return register


def stage(name: str) -> Callable[[F], F]:
    """Registers what a name means in pipelines, where values are [C, ...] and have no batch axis.

    Only names that mean something else in models need it; a layer is a stage as it is.
    """

    def register(function: F) -> F:
        if name in stages:
            raise ValueError(f"stage '{name}' is defined twice")
        stages[name] = Layer(name, function, inspect.getdoc(function) or "")
        return function

    return register


def forget(name: str) -> None:
    """Removes an operator, layer or stage that was added at run time."""
    for registry in (operators, layers, stages):
        registry.pop(name, None)


def _positional(method: Callable[..., object]) -> tuple[str, ...]:
    names: list[str] = []
    for parameter in list(inspect.signature(method).parameters.values())[1:]:
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            continue
        star = "*" if parameter.kind is inspect.Parameter.VAR_POSITIONAL else ""
        names.append(star + parameter.name)
    return tuple(names)


__all__ = [
    "Axis", "Body", "Composite", "Elements", "Elementwise", "Index", "Layer", "LayerContext",
    "Onnx", "Operand", "Operator", "Structured", "TypeRuleError", "axis_variable",
    "broadcast_shapes", "forget", "layer", "layers", "normalize_axis", "op", "operators",
    "require_elements", "require_same_dtype", "run", "size_scalar", "stage", "stages",
]  # fmt: skip
