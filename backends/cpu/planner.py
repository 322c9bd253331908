"""The plan for processors: native kernels where there are some, and tensors in their own layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dhc.backends.cpu.features import Isa
from dhc.backends.cpu.keep import PackedParam, as_packed
from dhc.backends.cpu.kernels.halo import HaloKernel
from dhc.backends.cpu.kernels.match import native_kernel
from dhc.backends.cpu.layout import (
    is_channel_concat,
    make_layout,
    reads_pixels,
    weight_buffer,
)
from dhc.backends.cpu.schedule import CpuLoops
from dhc.ir.graph import Constant, Graph, Input, Node, Param, users
from dhc.ir.kernel import Kernel
from dhc.ir.scalar import Buffer
from dhc.lower.alike import Alike, kind_of
from dhc.lower.buckets import place_in_buckets
from dhc.lower.plan import Launch, Launchable, Plan, Role, Slot, Step
from dhc.lower.planner import (
    buffers_of,
    collective,
    copies_into,
    identifier,
    joint_step,
    kernel_stem,
    operand_names,
    place_temporaries,
)
from dhc.lower.state import is_pointwise, order_of, results_are_computed
from dhc.lower.to_kernels import kernel_of, row_major
from dhc.lower.views import place_views
from dhc.ops.collective import AllReduceStart, AllReduceWait
from dhc.ops.shape import Copy


def make_cpu_plan(graph: Graph, isa: Isa) -> Plan:
    """Returns the plan of a fused graph with static sizes."""
    return _Planner(results_are_computed(as_packed(graph)), isa).plan()


class _Planner:
    def __init__(self, graph: Graph, isa: Isa) -> None:
        self._graph = graph
        self._order = order_of(graph)
        self._isa = isa
        self._layout = make_layout(graph)
        self._readers = users(graph.roots)
        self._slots: dict[Node, Slot] = {}
        self._extra: list[Slot] = []
        self._kernels: dict[object, Launchable] = {}
        self._alone: Alike[Launchable] = Alike()
        self._joint: Alike[Kernel] = Alike()
        self._steps: list[Step] = []
        self._zeroed: set[Node] = set()
        self._make_slots()

    def plan(self) -> Plan:
        for nodes in self._order.steps:
            if nodes[-1] in self._views:
                continue
            if is_channel_concat(nodes[-1]) and self._is_shared(nodes[-1]):
                self._concat(nodes[-1])
            elif isinstance(nodes[-1].op, (AllReduceStart, AllReduceWait)):
                self._collective(nodes[-1])
            elif len(nodes) > 1 or is_pointwise(nodes[-1]):
                self._pointwise(nodes)
            else:
                self._step(nodes[-1])
        for node, param in self._order.copied.items():
            self._copy_state(node, param)
        slots = (*self._slots.values(), *self._extra)
        placed, arena = place_temporaries(dict.fromkeys(slots), self._steps)
        return Plan(identifier(self._graph.name), placed, tuple(self._steps), arena)

    # ---- slots ----------------------------------------------------------------------------------

    def _make_slots(self) -> None:
        outputs = {node: name for name, node in self._graph.outputs}
        order = self._order
        params = (*order.copied.values(), *order.in_place.values())
        for node in (*self._graph.inputs, *params, *order.nodes):
            if node in order.in_place:
                self._slots[node] = self._slots[order.in_place[node]]
            elif node not in self._slots:
                self._slots[node] = self._slot(node, outputs.get(node))
        for node, slot in list(self._slots.items()):
            owner = self._layout.places[node].owner if node in self._layout.places else node
            if owner is not node:
                self._slots[node] = replace(slot, within=self._slots[owner].name)
        self._views = place_views(self._slots)
        place_in_buckets(self._slots, self._readers)

    def _slot(self, node: Node, output: str | None) -> Slot:
        number = len(self._slots)
        match node.op:
            case Input(label):
                slot = _dense(f"in_{identifier(label)}", label, node, "input")
                return _by_pixels(slot) if self._is_picture(node) else slot
            case Param(label) | Constant(label):
                name = f"w{number}"
                buffer, size = weight_buffer(node, name, self._readers.get(node, []))
                logical = node.op.logical if isinstance(node.op, PackedParam) else None
                return Slot(name, label, node.type, "weight", buffer, size=size, logical=logical)
        if output is not None:
            return _dense(f"out_{identifier(output)}", output, node, "output")
        if node not in self._layout.images:
            return _dense(f"t{number}", "", node, "temporary")
        return self._image_slot(node, f"t{number}")

    def _is_picture(self, node: Node) -> bool:
        """Whether an input is stored pixel by pixel, as decoders deliver it."""
        readers = self._readers.get(node, [])
        channels = node.type.static_shape[0] if node.type.rank == 3 else 0
        return 2 <= channels <= 4 and any(reads_pixels(reader, node) for reader in readers)

    def _image_slot(self, node: Node, name: str) -> Slot:
        geometry, place = self._layout.geometry(node), self._layout.places[node]
        start = geometry.start + place.channel
        buffer = self._layout.buffer(node, name)
        return Slot(name, "", node.type, "temporary", buffer, start, geometry.size)

    # ---- steps ----------------------------------------------------------------------------------

    def _step(self, node: Node) -> None:
        slots = [self._slots[node], *(self._slots[source] for source in node.inputs)]
        self._zero_halo(node)
        buffers = buffers_of(slots)
        halos = self._halos(node)
        kernel = self._alone.made(
            (*kind_of(node), buffers, halos),
            lambda: (
                native_kernel(node, buffers, self._isa)
                or kernel_of(node, "", CpuLoops(self._isa.lanes), buffers, halos)
            ),
        )
        self._launch(kernel, kernel_stem(node), operand_names(slots), node)

    def _pointwise(self, nodes: tuple[Node, ...]) -> None:
        """What is computed element by element, over one long axis where the tensors allow it."""
        self._zero_halo(nodes[-1])
        loops = CpuLoops(self._isa.lanes)
        kernel, operands = joint_step(nodes, self._slots, loops, self._joint, flat=True)
        self._launch(kernel, kernel_stem(nodes[-1]), operands, nodes[-1])

    def _launch(self, kernel: Launchable, stem: str, operands: Sequence[str], node: Node) -> None:
        key = replace(kernel, name="") if isinstance(kernel, Kernel) else kernel
        name = f"k{len(self._kernels)}_{stem}"
        known = self._kernels.setdefault(key, replace(kernel, name=name))  # type: ignore[type-var]
        self._steps.append(Launch(known, tuple(operands), self._graph.origin(node)))

    def _copy_state(self, node: Node, param: Node) -> None:
        """Puts an update in its parameter's place, when nothing reads the old value any more."""
        self._copy("state", self._slots[param], node, node)

    def _copy(self, label: str, to: Slot, source: Node, layer: Node) -> None:
        pair = [to, self._slots[source]]
        copy = Copy(label)(source)
        kernel = kernel_of(copy, "", CpuLoops(self._isa.lanes), buffers_of(pair))
        self._launch(kernel, label, operand_names(pair), layer)

    def _collective(self, node: Node) -> None:
        if isinstance(node.op, AllReduceStart):
            for source, piece in copies_into(node, self._slots):
                self._extra.append(piece)
                self._copy("bucket", piece, source, source)
        self._steps.append(collective(node, self._slots, self._graph))

    def _halos(self, node: Node) -> tuple[tuple[int, ...], ...]:
        """The zeros around each input, by its logical axes."""
        return tuple(self._zeros_around(source) for source in node.inputs)

    def _zeros_around(self, source: Node) -> tuple[int, ...]:
        if source not in self._layout.places or self._slots[source].role != "temporary":
            return (0,) * source.type.rank
        return (0, 0, *self._layout.halos[self._layout.places[source].owner])

    def _zero_halo(self, node: Node) -> None:
        """Clears the halo of a storage before its first tensor is written."""
        if node not in self._layout.places or self._slots[node].role != "temporary":
            return
        owner = self._layout.places[node].owner
        geometry = self._layout.geometry(node)
        if owner in self._zeroed or not any(geometry.halo):
            return
        self._zeroed.add(owner)
        kernel = HaloKernel(
            "", geometry.shape, geometry.halo, geometry.strides, node.type.dtype.bytes
        )
        self._launch(kernel, "halo", (self._slots[owner].name,), node)

    # ---- concatenation --------------------------------------------------------------------------

    def _is_shared(self, concat: Node) -> bool:
        return concat in self._layout.places and self._slots[concat].role == "temporary"

    def _concat(self, concat: Node) -> None:
        """Copies the pieces that were not written in place."""
        start = 0
        for source in concat.inputs:
            place = self._layout.places.get(source)
            if place is None or place.owner is not concat:
                self._copy_piece(concat, source, start)
            start += source.type.static_shape[1]

    def _copy_piece(self, concat: Node, source: Node, start: int) -> None:
        self._zero_halo(concat)
        whole = self._slots[concat]
        name = f"{whole.name}_{start}"
        buffer = Buffer(name, source.type.dtype, source.type.static_shape, whole.buffer.strides)
        piece = replace(
            whole, name=name, type=source.type, buffer=buffer,
            offset=whole.offset + start, within=whole.name,
        )  # fmt: skip
        self._extra.append(piece)
        self._copy("copy", piece, source, concat)


def _by_pixels(slot: Slot) -> Slot:
    """The same slot with the channels of a pixel next to each other."""
    channels, _, width = slot.type.static_shape
    return replace(slot, buffer=replace(slot.buffer, strides=(1, width * channels, channels)))


def _dense(name: str, label: str, node: Node, role: Role) -> Slot:
    buffer = row_major(name, node.type)
    size = 1
    for extent in node.type.static_shape:
        size *= extent
    return Slot(name, label, node.type, role, buffer, size=size)
