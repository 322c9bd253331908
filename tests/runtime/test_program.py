"""Programs: sizes bound by calls, arguments checked, weights replaced as a whole."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import dhc
from dhc.api import Model, Source
from dhc.driver import compile_graph
from dhc.errors import ArgumentError, DhcError
from dhc.ir.graph import Array, Graph, Input
from dhc.ir.size import symbol
from dhc.ir.types import DType, Tensor
from dhc.ops.activation import Relu
from dhc.runtime.program import MAX_SPECIALISATIONS, Program

TARGETS = {
    "reference": dhc.Target("reference"),
    "cpu": dhc.Target("cpu", threads=2),
    "numba": dhc.Target("cpu", options={"engine": "numba"}),
    "opencl": dhc.Target("opencl"),
}
each_target = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)


def _image(height: int = 5, width: int = 6, seed: int = 0) -> Array:
    random = np.random.default_rng(seed)
    return random.standard_normal((1, 1, height, width)).astype(np.float32)


def _exact(model: Model, image: Array) -> Array:
    return dhc.compile(model, "reference", precision="f64")(x=image)["y"]


def _codes(error: DhcError) -> list[str]:
    return [diagnostic.code for diagnostic in error.diagnostics]


# ---- sizes ---------------------------------------------------------------------------------------


@each_target
def test_each_call_binds_the_open_sizes(model: Model, target: dhc.Target) -> None:
    program = dhc.compile(model, target)
    for height, width in ((5, 6), (8, 3), (5, 6)):
        image = _image(height, width)
        np.testing.assert_allclose(program(x=image)["y"], _exact(model, image), atol=1e-5)


def test_the_last_few_sizes_are_kept(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    program = dhc.compile(model, "reference")
    made: list[int] = []
    specialise = program._specialise

    def counted(bindings: dict[str, int]) -> object:
        made.append(bindings["H"])
        return specialise(bindings)

    monkeypatch.setattr(program, "_specialise", counted)
    heights = range(3, 3 + MAX_SPECIALISATIONS)
    for height in heights:
        program(x=_image(height))
    program(x=_image(3))  # still there, and now the youngest
    program(x=_image(30))
    assert len(program._cache) == MAX_SPECIALISATIONS
    program(x=_image(3))
    program(x=_image(4))  # the oldest has gone
    assert made == [*heights, 30, 4]


def test_sizes_may_be_compiled_for_before_they_are_called(model: Model) -> None:
    program = dhc.compile(model, "reference")
    program.compile_for({"N": 1, "H": 5, "W": 6})
    made = list(program._cache.values())
    program(x=_image(5, 6))
    assert list(program._cache.values()) == made
    with pytest.raises(ArgumentError, match=r"not .*'X'"):
        program.compile_for({"N": 1, "H": 5, "X": 6})


def test_sizes_that_follow_from_others_must_agree() -> None:
    height = symbol("H")
    nodes = [
        Input("a", Tensor(DType.F32, (height,)))(),
        Input("b", Tensor(DType.F32, (2 * height,)))(),
    ]
    outputs = tuple((f"y{n}", Relu()(node)) for n, node in enumerate(nodes))
    program = compile_graph(Graph("g", tuple(nodes), outputs), "reference")
    three, six = np.ones(3, np.float32), np.ones(6, np.float32)
    assert program(a=three, b=six)["y1"].shape == (6,)
    with pytest.raises(ValueError, match=r"Size 2 \* H is 6 and, in 'b', 3\."):
        program(a=three, b=three)
    with pytest.raises(ValueError, match="Size H must be known when the program is compiled"):
        compile_graph(Graph("g", (nodes[1],), outputs[1:]), "reference")(b=six)


def test_a_size_means_the_same_everywhere() -> None:
    shape = Tensor(DType.F32, (symbol("N"),))
    nodes = (Input("a", shape)(), Input("b", shape)())
    graph = Graph("g", nodes, (("y", Relu()(nodes[0])), ("z", Relu()(nodes[1]))))
    program = compile_graph(graph, "reference")
    with pytest.raises(ValueError, match="Size N is 3 and, in 'b', 2"):
        program(a=np.ones(3, np.float32), b=np.ones(2, np.float32))


# ---- arguments -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, r"The inputs are \['x'\], not \[\]\."),
        ({"y": _image()}, r"The inputs are \['x'\], not \['y'\]\."),
        ({"x": _image(), "y": _image()}, r"not \['x', 'y'\]"),
        ({"x": _image().astype(np.float64)}, "needs f32 elements, not float64"),
        ({"x": _image()[0]}, r"needs shape f32\[N, 1, H, W\], not \[1, 5, 6\]"),
        ({"x": np.zeros((1, 3, 5, 6), np.float32)}, r"not \[1, 3, 5, 6\]"),
        ({"x": _image().tolist()}, "needs a numpy array, not list"),
        ({"x": None}, "needs a numpy array, not NoneType"),
    ],
)
def test_wrong_arguments_are_refused(model: Model, inputs: dict[str, Array], message: str) -> None:
    program = dhc.compile(model, "reference")
    with pytest.raises(ValueError, match=message):
        program(**inputs)


@each_target
def test_views_are_as_good_as_copies(model: Model, target: dhc.Target) -> None:
    program = dhc.compile(model, target, {"N": 1, "H": 5, "W": 6})
    wide = _image(10, 12)
    view = wide[:, :, ::-2, ::2]
    assert not view.flags.c_contiguous
    expected = program(x=np.ascontiguousarray(view))["y"]
    np.testing.assert_array_equal(program(x=view)["y"], expected)


@each_target
def test_calls_may_overlap(model: Model, target: dhc.Target) -> None:
    program = dhc.compile(model, target)
    images = [_image(5 + n % 3, 6, seed=n) for n in range(24)]
    expected = [_exact(model, image) for image in images]
    with ThreadPoolExecutor(4) as workers:
        found = list(workers.map(lambda image: program(x=image)["y"], images))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_results_belong_to_the_caller(model: Model) -> None:
    program = dhc.compile(model, "cpu", {"N": 1, "H": 5, "W": 6})
    first = program(x=_image())["y"]
    kept = first.copy()
    program(x=_image(seed=1))
    np.testing.assert_array_equal(first, kept)


# ---- weights -------------------------------------------------------------------------------------


def _doubled(program: Program | Model) -> dict[str, Array]:
    return {path: 2 * value for path, value in program.parameters().items()}


@each_target
def test_new_weights_reach_every_size(source: Source, target: dhc.Target) -> None:
    program = dhc.compile(source.model("Net"), target)
    before = program(x=_image())["y"]
    program.load_parameters(_doubled(program))
    changed = source.model("Net")
    changed.load_parameters(_doubled(changed))
    for image in (_image(), _image(7, 4)):
        np.testing.assert_allclose(program(x=image)["y"], _exact(changed, image), atol=1e-5)
    assert not np.array_equal(program(x=_image())["y"], before)


@pytest.mark.parametrize("kind", ["program", "model"])
def test_weights_come_from_a_file(model: Model, tmp_path: Path, kind: str) -> None:
    owner = model if kind == "model" else dhc.compile(model, "reference")
    wanted = _doubled(owner)
    save_file(wanted, tmp_path / "w.safetensors")
    owner.load_parameters(tmp_path / "w.safetensors")
    for path, value in owner.parameters().items():
        np.testing.assert_array_equal(value, wanted[path])


@pytest.mark.parametrize("kind", ["program", "model"])
def test_wrong_weights_are_named_and_change_nothing(model: Model, kind: str) -> None:
    owner = model if kind == "model" else dhc.compile(model, "reference")
    before = owner.parameters()
    given = _doubled(owner)
    given["y.conv.weigth"] = given.pop("y.conv.weight")
    given["y.conv.bias"] = np.zeros(3, np.float32)
    given["y.batchnorm.scale"] = given["y.batchnorm.scale"].astype(np.complex64)
    with pytest.raises(DhcError) as caught:
        owner.load_parameters(given)
    codes = ["weights-missing", "weights-extra", "weights-shape", "weights-type"]
    assert sorted(_codes(caught.value)) == sorted(codes)
    text = str(caught.value)
    assert "did you mean 'y.conv.weigth'?" in text
    assert "did you mean 'y.conv.weight'?" in text
    assert "Parameter 'y.conv.bias' has shape [2], not [3]." in text
    for path, value in owner.parameters().items():
        np.testing.assert_array_equal(value, before[path])


def test_weights_stay_as_they_were_given(model: Model) -> None:
    program = dhc.compile(model, "reference", {"N": 1, "H": 5, "W": 6})
    given = _doubled(program)
    program.load_parameters(given)
    model.load_parameters(given)
    expected = program.parameters()
    for value in (*given.values(), *program.parameters().values(), *model.parameters().values()):
        value[...] = 7
    for owner in (program, model):
        for path, value in owner.parameters().items():
            np.testing.assert_array_equal(value, expected[path])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file or directory"),
        (b"", "cannot be read"),
        (b"\xff" * 64, "cannot be read"),
        (b"\x80\x04\x95pickle", "cannot be read"),
        (b'L\0\0\0\0\0\0\0{"a":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]}}', "cannot"),
    ],
)
def test_files_that_hold_no_weights(
    model: Model, tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "w.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DhcError, match=message) as caught:
        model.load_parameters(path)
    assert _codes(caught.value) == ["weights-file"]


# ---- pipelines -----------------------------------------------------------------------------------


@each_target
def test_a_pipeline_and_a_model_become_one(source: Source, target: dhc.Target) -> None:
    model, pipeline = source.model("Net"), source.pipeline("scale")
    image = _image()[0]
    scaled = dhc.compile(pipeline, "reference")(x=image)["x"]
    joined = dhc.compile(model.after(pipeline), target)
    assert list(joined.inputs) == ["x"]
    np.testing.assert_allclose(joined(x=image)["y"], _exact(model, scaled[None]), atol=1e-5)


def test_a_joined_model_keeps_loaded_weights(source: Source) -> None:
    model = source.model("Net")
    model.load_parameters(_doubled(model))
    joined = model.after(source.pipeline("scale"))
    for path, value in joined.parameters().items():
        np.testing.assert_array_equal(value, model.parameters()[path])


@pytest.mark.parametrize(
    ("shapes", "code"), [({"Q": 8}, "unknown-name"), ({"H": 0}, "size"), ({"H": 8.0}, "size")]
)
def test_sizes_that_mean_nothing(model: Model, shapes: dict[str, int], code: str) -> None:
    with pytest.raises(DhcError) as caught:
        dhc.compile(model, shapes=shapes)
    assert _codes(caught.value) == [code]


# ---- targets -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "code"),
    [
        (dhc.Target("cupu"), "unknown-target"),
        (dhc.Target("cpu", threads=-1), "target-threads"),
        (dhc.Target("cpu", threads=1_000_000), "target-threads"),
        (dhc.Target("cpu", precision="f64"), "target-precision"),
        (dhc.Target("cpu", options={"isa": 3}), "target-option"),
        (dhc.Target("cpu", options={"portable": 1}), "target-option"),
        (dhc.Target("cpu", options={"speed": "high"}), "target-option"),
        (dhc.Target("cpu", options={"engine": "gcc"}), "unknown-engine"),
    ],
)
def test_targets_that_make_no_sense(model: Model, target: dhc.Target, code: str) -> None:
    with pytest.raises(DhcError) as caught:
        dhc.compile(model, target)
    assert _codes(caught.value) == [code]
