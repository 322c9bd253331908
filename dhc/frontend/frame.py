"""State of building one graph: the bodies being executed, weights made so far, origins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from dhc.errors import Related
from dhc.frontend import ast
from dhc.frontend.fail import error
from dhc.frontend.limits import check_shape
from dhc.frontend.naming import Paths, Place
from dhc.frontend.scope import Scope
from dhc.frontend.values import Given, Value
from dhc.ir.graph import Initializer, Input, Node, Origin, Param
from dhc.ir.size import Shape
from dhc.ir.types import DType, Tensor
from dhc.source import Span


@dataclass(frozen=True, slots=True)
class Site:
    """A call: where, of what, the tensors that flow in, and how to do it with others."""

    span: Span
    name: str
    inputs: tuple[Given, ...]
    scope: Scope
    again: Callable[[tuple[Given, ...]], Value] = field(compare=False, repr=False)


@dataclass(slots=True)
class Frame:
    """One body being executed."""

    name: str
    kind: str
    scope: Scope
    place: Place
    paths: Paths
    shared: bool = False
    outputs: dict[str, Value] = field(default_factory=dict)
    carried: dict[str, Value] = field(default_factory=dict)
    flow: Value = None
    body: ast.Body | None = None
    has_inputs: bool = True


@dataclass(slots=True)
class GraphState:
    """Weights, origins and call sites of the graph being built."""

    params: dict[str, Node] = field(default_factory=dict)
    owners: dict[str, Span] = field(default_factory=dict)
    origins: dict[Node, tuple[Origin, ...]] = field(default_factory=dict)
    sites: list[Site] = field(default_factory=list)

    def record(self, node: Node, origin: Origin) -> None:
        """Gives an origin to a node and to everything behind it that has none yet."""
        stack = [node]
        while stack:
            top = stack.pop()
            if top in self.origins:
                continue
            owner = Origin(origin.span, top.op.path) if isinstance(top.op, Param) else origin
            self.origins[top] = (owner,)
            if not isinstance(top.op, Input):
                stack.extend(top.inputs)

    def copy(self) -> GraphState:
        """A state to try something on."""
        return replace(
            self,
            params=dict(self.params),
            owners=dict(self.owners),
            origins=dict(self.origins),
            sites=list(self.sites),
        )


class WeightContext:
    """What a layer is offered while it is applied (see `dhc.ops.base.LayerContext`)."""

    def __init__(
        self, state: GraphState, frame: Frame, kind: str, pin: str | None, span: Span
    ) -> None:
        self._state = state
        self._frame = frame
        self._kind = kind
        self._pin = pin
        self._span = span
        self._path: str | None = None

    @property
    def path(self) -> str:
        """The layer's path; claimed when it is first asked for."""
        if self._path is None:
            self._path = self._claim()
        return self._path

    @property
    def shown_path(self) -> str:
        """The path for people, also of layers that own nothing."""
        return self._path or self._frame.place.path_of(self._kind)

    def _claim(self) -> str:
        place = self._frame.place
        if self._pin is None:
            return self._frame.paths.claim(place.path_of(self._kind))
        path = f"{place.prefix}.{self._pin}" if place.prefix else self._pin
        if path in self._frame.paths.taken:
            message = f"The weight name '{path}' is taken already."
            raise error("duplicate-name", message, self._span, "second use")
        self._frame.paths.taken.add(path)
        return path

    def param(
        self,
        name: str,
        shape: Shape,
        initializer: Initializer,
        trainable: bool = True,
        dtype: DType = DType.F32,
    ) -> Node:
        """A new parameter, or the same one where its layer is shared.

        Its name is that of the layer where it has none of its own.
        """
        path = f"{self.path}.{name}" if name else self.path
        check_shape(f"The weight '{path}' would be", Tensor(dtype, shape), self._span)
        node = Param(path, Tensor(dtype, shape), initializer, trainable)()
        known = self._state.params.setdefault(path, node)
        if known is not node:
            message = (
                f"The shared weight '{path}' is {known.type} elsewhere, "
                f"and would be {node.type} here."
            )
            if not self._state.sites:
                raise error("shared-shape", message, self._span, "this use")
            related = (Related(self._span, "this layer"),)
            span = self._state.sites[0].span
            raise error("shared-shape", message, span, "this use", related=related)
        return node

    def stream(self) -> str:
        """The identity of a new random stream."""
        return self.path
