"""Graphs as models of ONNX: every operator, held to its numpy meaning by ONNX Runtime."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from dhc.errors import DhcError
from dhc.ir.counts import found_by
from dhc.ir.graph import Array, Graph, Input, Node, input_label
from dhc.ir.rewrite import specialise
from dhc.ir.scalar import Scalar, exp
from dhc.ir.size import count_size, symbol
from dhc.ir.types import DType, Tensor
from dhc.onnx.imported import Imported
from dhc.onnx.read import load
from dhc.onnx.write import OPSET, OPSETS, save, write
from dhc.ops.base import Elementwise, Operator, forget, op, operators
from dhc.ops.compare import Less
from dhc.ops.elementwise import Abs, Add, Clip, Div, Max, Min, Mod, Mul, Neg, Sign, Sub, Where
from dhc.ops.movement import Pad, Slice, reversed_axes
from dhc.ops.resize import Resize, ResizeNearest
from dhc.ops.sample import Sample
from dhc.ops.sequence import Positions
from dhc.ops.shape import Reshape
from dhc.ops.sort import ArgSort
from dhc.passes.bind_sizes import bind_sizes
from tests.onnx.written import evaluated, graph_of, on_runtime, saved

TRAINING = "training alone needs it"
NONE = "ONNX has no such operator"
REFUSED = {
    "affine_warp_grad": TRAINING,
    "affine_warp_matrix_grad": TRAINING,
    "average_pool_grad": TRAINING,
    "batchnorm_train": TRAINING,
    "bitcast": "ONNX has 'BitCast' since version 26",
    "box_suppression": "it is made of 'boxes_apart', but " + NONE,  # with room for a number
    "boxes_apart": NONE,
    "conv_weight_grad": TRAINING,
    "ctc": "it is made of 'ctc_paths', but " + NONE,
    "ctc_end": NONE,
    "ctc_paths": NONE,
    "ctc_visits": NONE,
    "flip_kernels": TRAINING,
    "gather_elements_grad": TRAINING,
    "gather_grad": TRAINING,
    "jaccard_steps": NONE,
    "lovasz_weights": "it is made of 'jaccard_steps', but " + NONE,
    "random_normal": "what it draws is not the same elsewhere",
    "random_uniform": "what it draws is not the same elsewhere",
    "resize_grad": TRAINING,
    "resize_nearest_grad": TRAINING,
    "power_of_two": "its expression has a part that ONNX has not",
}  # what a new operator without a form in ONNX must be added to, with the reason
MADE_BY_PASSES = {
    "all_reduce", "all_reduce_start", "all_reduce_wait", "bucket_part", "region", "shared",
}  # fmt: skip
SEVERAL = {
    # Readers differ in these windows, scales and ways to round, or have none of the operator:
    "average_pool-3", "average_pool-5", "max_pool-3", "resize-2", "resize-8", "resize-9",
    "resize_nearest-1", "resize_nearest-2", "resize_nearest-5",
    # Elements that are not there, quotients that are rounded down, and numbers that stay in range:
    "gather-0", "gather-1", "gather-2", "gather_elements-0", "one_hot-0", "one_hot-1",
    "div-1", "mod-0", "cast-0",
    # More axes than two or fewer, orders that ONNX has not, and no weights:
    "dense-0", "groupnorm-1", "instancenorm-1", "pixel_shuffle-2", "pixel_unshuffle-0",
    "pixel_unshuffle-2",
    # Places that bits have beyond what ONNX says:
    *(f"bit_shift-{k}" for k in range(6)),
    # Sampling along a line, and sequences along the last axis:
    "grid_sample-2", "grid_sample-4", "reverse_sequence-1",
}  # fmt: skip  # samples that are not the one node of their operator


def _samples() -> dict[str, Sample]:
    return {
        f"{name}-{i}": sample
        for name, operator in sorted(operators.items())
        if name not in REFUSED
        for i, sample in enumerate(operator.samples())
    }


SAMPLES = _samples()
each_sample = pytest.mark.parametrize("name", SAMPLES)
BATCH = 60  # samples in one model


def _applied(sample: Sample, name: str = "x") -> tuple[tuple[Node, ...], Node]:
    """A sample among others: each finds sizes of its own."""
    inputs = tuple(Input(f"{name}.{i}", type)() for i, type in enumerate(sample.types))
    graph = Graph("sample", inputs, (("y", sample.op(*inputs)),))
    of = re.sub(r"\W", "_", name)
    sizes = {
        each.name: count_size(f"{each.name}_{of}", each.most)
        for each in found_by(graph.roots[0].op)
    }
    return inputs, specialise(graph, sizes).roots[0] if sizes else graph.roots[0]


def _expected(sample: Sample) -> Array:
    assert isinstance(sample.op, Operator)
    with np.errstate(all="ignore"):
        return np.asarray(sample.op.numpy(*sample.arrays()))


def _check(actual: Array, expected: Array) -> None:
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    if expected.dtype.kind != "f":
        np.testing.assert_array_equal(actual, expected)
        return
    finite = expected[np.isfinite(expected)]
    scale = float(np.abs(finite).max()) if finite.size else 1.0
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5 * max(scale, 1.0))


# ---- every operator --------------------------------------------------------------------------


def _group(names: Sequence[str]) -> tuple[Graph, dict[str, Array]]:
    """A graph of many samples, with their inputs."""
    nodes: list[Node] = []
    outputs: list[tuple[str, Node]] = []
    arrays: dict[str, Array] = {}
    for name in names:
        inputs, node = _applied(SAMPLES[name], name)
        nodes.extend(inputs)
        outputs.append((name, node))
        arrays |= {f"{name}.{i}": a for i, a in enumerate(SAMPLES[name].arrays())}
    return Graph("samples", tuple(nodes), tuple(outputs)), arrays


def _batches(names: Sequence[str]) -> Iterator[Sequence[str]]:
    return (names[first : first + BATCH] for first in range(0, len(names), BATCH))


@cache
def _batch_on_runtime(first: str, opset: int) -> Mapping[str, Array]:
    names = next(names for names in _batches(list(SAMPLES)) if names[0] == first)
    graph, arrays = _group(names)
    with TemporaryDirectory() as folder:
        return on_runtime(saved(Path(folder), graph, opset), arrays)


@each_sample
def test_onnx_runtime_gives_the_numpy_meaning(name: str) -> None:
    (batch,) = (names for names in _batches(list(SAMPLES)) if name in names)
    _check(_batch_on_runtime(batch[0], OPSET)[name], _expected(SAMPLES[name]))


@pytest.mark.parametrize(
    "opset", [pytest.param(o, marks=[] if o == OPSETS[0] else [pytest.mark.slow]) for o in OPSETS]
)
def test_every_version_gives_the_same(opset: int) -> None:
    for names in _batches(list(SAMPLES)):
        found = _batch_on_runtime(names[0], opset)
        for name in names:
            _check(found[name], _expected(SAMPLES[name]))


@cache
def _read_back() -> tuple[Imported, Mapping[str, Array]]:
    graph, arrays = _group(list(SAMPLES))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        save(graph, {}, path)
        return load(path), arrays


def test_what_is_read_back_has_the_same_values() -> None:
    read, arrays = _read_back()
    given = dict(zip(map(input_label, read.graph.inputs), arrays.values(), strict=True))
    found = evaluated(read.graph, {**given, **read.values}).values()
    for name, array in zip(SAMPLES, found, strict=True):
        _check(array, _expected(SAMPLES[name]))


def _has_node(name: str) -> bool:
    """Whether the version that is usually written has the operator itself."""
    known = operators[name.rsplit("-", 1)[0]].onnx
    return known is not None and not known.domain and known.since <= OPSET


@pytest.mark.parametrize("name", [n for n in SAMPLES if _has_node(n)])
def test_an_operator_of_onnx_is_one_node_and_comes_back(name: str, tmp_path: Path) -> None:
    """The same node, with numbers as f32 has them and axes that count from the front."""
    inputs, node = _applied(SAMPLES[name])
    graph = Graph("one", inputs, (("y", node),))
    written = [each.op_type for each in write(graph, {}).nodes if each.op_type != "Constant"]
    if name in SEVERAL:
        assert len(written) > 1
        return
    assert written == [operators[node.op.name].onnx.op_type]  # type: ignore[union-attr]
    save(graph, {}, tmp_path / "model.onnx")
    ((_, back),) = load(tmp_path / "model.onnx").graph.outputs
    assert type(back.op) is type(node.op)
    assert back.type == node.type
    assert [each.type for each in back.inputs] == [each.type for each in inputs]
    for each in fields(node.op):
        assert _alike(getattr(node.op, each.name), getattr(back.op, each.name), inputs)


def _alike(one: object, other: object, inputs: Sequence[Node]) -> bool:
    if isinstance(one, tuple) and isinstance(other, tuple):
        pairs = zip(one, other, strict=False)
        return len(one) == len(other) and all(_alike(a, b, inputs) for a, b in pairs)
    if isinstance(one, float) or isinstance(other, float):
        return np.float32(one) == np.float32(other)  # type: ignore[arg-type]
    return one == other or one + inputs[0].type.rank == other  # type: ignore[operator]


def _refusal(graph: Graph) -> str:
    with pytest.raises(DhcError) as caught:
        write(graph, {})
    return "\n".join(each.message for each in caught.value.diagnostics)


@pytest.mark.parametrize("name", REFUSED)
def test_what_onnx_cannot_say_is_refused(name: str) -> None:
    samples = operators[name].samples()
    assert samples
    for sample in samples:
        inputs, node = _applied(sample)
        text = _refusal(Graph("one", inputs, (("y", node),)))
        assert f"'{name}' cannot be written for ONNX {OPSET}: {REFUSED[name]}" in text


def test_every_operator_is_written_or_refused() -> None:
    """The backends' own operators are made after a graph was read, and never written."""
    written = {name.rsplit("-", 1)[0] for name in SAMPLES}
    core = {name for name, each in operators.items() if each.__module__.startswith("dhc.ops.")}
    assert core <= written | set(REFUSED) | MADE_BY_PASSES


# ---- a new one -------------------------------------------------------------------------------


def test_a_new_activation_needs_nothing_more(tmp_path: Path) -> None:
    @op("exported_swish")
    class ExportedSwish(Elementwise):
        """x / (1 + exp(-x))."""

        def scalar(self, x: Scalar) -> Scalar:
            return x / (1 + exp(-x))

    try:
        (sample,) = ExportedSwish.samples()
        (x,), node = _applied(sample)
        path = saved(tmp_path, graph_of("new", node, inputs=[x]))
        _check(on_runtime(path, {"x.0": sample.arrays()[0]})["y0"], _expected(sample))
        assert load(path).graph.outputs[0][1].type == node.type
    finally:
        forget("exported_swish")


# ---- types of elements -----------------------------------------------------------------------

INTEGERS = [d for d in DType if d.is_integer and not d.is_narrow and d is not DType.U64]


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_integers_of_every_width_are_equal(dtype: DType, tmp_path: Path) -> None:
    """They wrap where they do in dhc, whatever the kernels of ONNX Runtime compute with."""
    a, b = (Input(name, Tensor(dtype, (40,)))() for name in "ab")
    pairs = [kind()(a, b) for kind in (Add, Sub, Mul, Div, Mod, Min, Max)]
    kinds = [Abs(), Sign(), Clip(low=1.0, high=5.0), *([Neg()] if dtype.is_signed else [])]
    chosen = Where()(Input("c", Tensor(DType.BOOL, (40,)))(), a, b)
    places = [operators["argmax"](axis=0)(a), ArgSort()(a), Pad(((2, 1),), value=3.0)(a)]
    outputs = [*pairs, *(kind(a) for kind in kinds), chosen, Less()(a, b), *places]
    inputs = [a, b, chosen.inputs[0]]
    graph = graph_of("integers", *outputs, inputs=inputs)
    random, info = np.random.default_rng(3), np.iinfo(dtype.numpy)
    low = int(info.min) // 2 if dtype in (DType.I64, DType.I32) else int(info.min)
    given = {
        "a": random.integers(low, info.max, 40, dtype.numpy, endpoint=True),
        "b": random.integers(1, 9, 40).astype(dtype.numpy),
        "c": random.integers(0, 2, 40).astype(np.bool_),
    }
    found = on_runtime(saved(tmp_path, graph), given)
    for name, array in evaluated(graph, given).items():
        _check(found[name], array)


def test_numbers_that_are_none_go_where_they_go_in_dhc(tmp_path: Path) -> None:
    """Maxima, comparisons and choices with NaN and infinities, as expressions and as nodes."""
    a, b = (Input(name, Tensor(DType.F32, (81,)))() for name in "ab")
    kinds = [Max(), Min(), Add(), Mul(), Div(), Mod()]
    names = ("relu", "clip", "hardswish", "relu6", "elu", "abs", "floor", "round", "exp", "log")
    limited = [Clip(low=-1.0)(a), Clip(high=1.0)(a)]
    nodes = [*limited, *(kind(a, b) for kind in kinds), *(operators[name]()(a) for name in names)]
    graph = graph_of("odd", *nodes, Less()(a, b), inputs=[a, b])
    odd = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -2.5, 100.0, -1e30], np.float32)
    given = dict(zip("ab", (each.reshape(-1) for each in np.meshgrid(odd, odd)), strict=True))
    found = on_runtime(saved(tmp_path, graph), given)
    for name, array in evaluated(graph, given).items():
        rest = graph.outputs[int(name[1:])][1].op == Mod()
        sure = given["a"] != odd[-1] if rest else slice(None)  # its rests are rounding alone
        np.testing.assert_allclose(found[name][sure], array[sure], rtol=1e-4, err_msg=name)


def test_lists_that_are_empty_are_left_out() -> None:
    x = Input("x", Tensor(DType.F32, (2, 3)))()
    content = write(graph_of("all", operators["reduce_l1"]()(x), inputs=[x]), {})
    (node,) = content.nodes
    assert (len(node.inputs), dict(node.attributes)) == (1, {"keepdims": 0})


# ---- sizes with names ------------------------------------------------------------------------

N, H, W = symbol("N"), symbol("H"), symbol("W")


def _sized() -> Graph:
    x = Input("x", Tensor(DType.F32, (N, 3, H, W)))()
    return graph_of(
        "sized",
        Reshape((N, 3 * H, W))(x),
        Reshape((N * 3, H * W))(x),
        Slice((0, 1, 1, 0), (N, 2, H - 1, W // 2), (1, 1, 1, 2))(x),
        reversed_axes(x, (0, 2)),
        Resize((H + 3, 2 * W))(x),
        ResizeNearest((2 * H, 2 * W), "asymmetric", rounding="floor")(x),
        ResizeNearest((H + 1, W))(x),
        Positions(H * W // 2 + N)(),
        ArgSort()(x),
        inputs=[x],
    )


@pytest.mark.parametrize("opset", [OPSETS[0], OPSET])
def test_one_file_serves_all_sizes(opset: int, tmp_path: Path) -> None:
    graph = _sized()
    path = saved(tmp_path, graph, opset)
    for n, h, w in ((1, 4, 6), (3, 7, 5)):
        x = np.random.default_rng(n).standard_normal((n, 3, h, w)).astype(np.float32)
        found = on_runtime(path, {"x": x})
        for name, array in evaluated(bind_sizes(graph, {"N": n, "H": h, "W": w}), {"x": x}).items():
            _check(found[name], array)


def test_sizes_with_names_come_back(tmp_path: Path) -> None:
    graph = _sized()
    kept = Graph(graph.name, graph.inputs, graph.outputs[:8])
    back = load(saved(tmp_path, kept)).graph
    assert [node.type for _, node in back.outputs] == [node.type for _, node in kept.outputs]


def test_a_size_that_no_input_has_is_refused() -> None:
    x = Input("x", Tensor(DType.F32, (2 * N, 3)))()
    assert "the size N is that of no input" in _refusal(graph_of("s", Positions(N)(), inputs=[x]))
