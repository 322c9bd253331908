"""Pipelines: geometry is joint, photometry touches images only, chance is drawn once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import pytest

from dhc.errors import DhcError
from dhc.frontend import Entry, load_text
from dhc.ir.graph import Input, Node, topological
from dhc.ir.scalar import Scalar, select
from dhc.ir.types import DType, Tensor
from dhc.ops.base import (
    Elementwise,
    LayerContext,
    forget,
    layer,
    layers,
    op,
    operators,
    stage,
)
from dhc.ops.base import (
    stages as stage_registry,
)
from dhc.ops.warp import AffineWarp

pytestmark = pytest.mark.usefixtures("stages")
Interpolation = Literal["linear", "nearest"]


@pytest.fixture
def stages() -> Iterator[None]:
    """Simple stages under the names that the builder looks for, whatever the registries hold."""
    saved_layers, saved_operators = dict(layers), dict(operators)
    for name in ("uniform", "rotate", "gamma", "where", "less"):
        layers.pop(name, None)
        operators.pop(name, None)
    _register()
    yield
    for registry, saved in ((layers, saved_layers), (operators, saved_operators)):
        registry.clear()
        registry.update(saved)  # type: ignore[arg-type]


def _register() -> None:
    @layer("uniform")
    def uniform(context: LayerContext, low: float, high: float) -> Node:
        return Input(f"{context.stream()} {low} {high}", Tensor(DType.F32, ()))()

    @layer("rotate")
    def rotate(
        context: LayerContext,
        x: Node,
        angle: float | Node = 0.0,
        interpolation: Interpolation = "linear",
    ) -> Node:
        return Input(f"rotated {interpolation} by {_label(angle)}", x.type)()

    @layer("gamma")
    def gamma(context: LayerContext, x: Node, power: float | Node) -> Node:
        return Input(f"gamma {_label(power)} of {_label(x)}", x.type)()

    @op("less")
    class Less(Elementwise):
        def scalar(self, a: Scalar, b: Scalar) -> Scalar:
            return a < b

    @op("where")
    class Where(Elementwise):
        def infer(self, condition: Tensor, a: Tensor, b: Tensor) -> Tensor:  # type: ignore[override]
            return a

        def scalar(self, condition: Scalar, a: Scalar, b: Scalar) -> Scalar:
            return select(condition, a, b)


def _label(value: float | Node) -> str:
    return value.op.label if isinstance(value, Node) and isinstance(value.op, Input) else str(value)


def pipeline(stages: str, parameters: str = "ct: image[1], lesion: mask") -> Entry:
    return load_text(f"pipeline p({parameters}) {{ {stages} }}").pipeline("p")


def result(entry: Entry, name: str) -> str:
    return _label(dict(entry.graph.outputs)[name])


def test_values_keep_their_names_and_have_no_batch() -> None:
    parameters = "a: image[3], m: mask[2], y: label, t: tabular[4], b: boxes"
    entry = pipeline("gamma(2)", parameters)
    types = {name: str(node.type) for name, node in entry.graph.outputs}
    assert types == {
        "a": "f32[3, H, W]",
        "m": "u8[2, H, W]",
        "y": "i64[]",
        "t": "f32[4]",
        "b": "f32[K, 4]",
    }


def test_volumes_and_their_masks() -> None:
    entry = pipeline("gamma(2)", "v: volume[1], m: mask")
    types = [str(node.type) for node in entry.graph.inputs]
    assert types == ["f32[1, D, H, W]", "u8[1, D, H, W]"]


def test_images_have_the_type_of_the_file() -> None:
    program = load_text("pipeline p(ct: image[1]) { gamma(2) }")
    assert str(program.pipeline("p", dtype=DType.I16).graph.inputs[0].type) == "i16[1, H, W]"


def test_geometry_is_joint_and_nearest_on_masks() -> None:
    entry = pipeline("rotate(-20deg .. 20deg)")
    assert result(entry, "ct") == "rotated linear by rotate.angle.uniform -20.0 20.0"
    assert result(entry, "lesion") == "rotated nearest by rotate.angle.uniform -20.0 20.0"


def test_photometry_leaves_masks_alone() -> None:
    entry = pipeline("gamma(0.5 .. 1.5)")
    assert result(entry, "ct").startswith("gamma gamma.power.uniform 0.5 1.5 of ct")
    assert result(entry, "lesion") == "lesion"


def test_two_draws_differ() -> None:
    entry = pipeline("gamma(0 .. 1) gamma(0 .. 1)")
    assert "gamma.power#2" in result(entry, "ct")


def test_probability_chooses_between_before_and_after() -> None:
    entry = pipeline("gamma(2, p=0.3)")
    chosen = dict(entry.graph.outputs)["ct"]
    assert chosen.op.name == "where"
    assert [_label(node) for node in chosen.inputs[1:]] == ["gamma 2.0 of ct", "ct"]
    assert dict(entry.graph.outputs)["lesion"] is entry.graph.inputs[1]


def test_oneof_chooses_one_alternative_for_all_values() -> None:
    entry = pipeline("oneof { gamma(2) rotate(3deg) gamma(4) }")
    names = [node.op.name for node in topological(entry.graph.roots)]
    assert names.count("where") == 4  # two choices for the image, two for the mask
    assert names.count("less") == 2


def test_oneof_with_probability() -> None:
    entry = pipeline("oneof(p=50%) { gamma(2) }")
    assert dict(entry.graph.outputs)["ct"].op.name == "where"


def test_numbers_and_loops_are_computed_before() -> None:
    entry = pipeline("let a = 2 if a > 1 { gamma(a) } repeat 2 { gamma(3) }")
    assert result(entry, "ct") == "gamma 3.0 of gamma 3.0 of gamma 2.0 of ct"


def test_stages_for_one_value() -> None:
    entry = pipeline("a -> gamma(2)", "a: image[1], b: image[1]")
    assert result(entry, "a") == "gamma 2.0 of a"
    assert result(entry, "b") == "b"


def test_a_range_where_a_fixed_number_is_needed() -> None:
    with pytest.raises(DhcError, match="must be 'linear' or 'nearest', not a range"):
        pipeline("rotate(3deg, interpolation = 1 .. 2)")


# ---- stages of the registries ----------------------------------------------------------------


def test_a_name_may_mean_another_thing_in_pipelines() -> None:
    entry = pipeline("resize(8, 8)")
    image, mask = (node for _, node in entry.graph.outputs)
    assert isinstance(image.op, AffineWarp)
    assert isinstance(mask.op, AffineWarp)
    assert (image.op.interpolation, mask.op.interpolation) == ("linear", "nearest")
    model = load_text("model M() { input x: f32[1, 1, 4, 4] output y = x -> resize(8, 8) }")
    assert dict(model.model("M").graph.outputs)["y"].op.name == "resize"


def test_words_are_those_of_the_stage() -> None:
    outputs = pipeline("resize(8, 8, interpolation=cubic)").graph.outputs
    image, mask = (node.op for _, node in outputs)
    assert (image.interpolation, mask.interpolation) == ("cubic", "nearest")


def test_stages_are_registered_once_and_forgotten() -> None:
    def double(context: LayerContext, x: Node) -> Node:
        return Input("doubled", x.type)()

    layer("twice")(double)
    stage("twice")(double)
    try:
        with pytest.raises(ValueError, match="defined twice"):
            stage("twice")(double)
        assert result(pipeline("twice()"), "ct") == "doubled"
    finally:
        forget("twice")
    assert "twice" not in stage_registry


def test_exact_steps_marks_the_warps_after_it() -> None:
    stages = "resize(9, 9) exact_steps() zoom(1.1)"
    (image, _) = (node for _, node in pipeline(stages).graph.outputs)
    assert [image.op.alone, image.inputs[0].op.alone] == [True, False]


def test_exact_steps_are_for_pipelines() -> None:
    text = "model M() { input x: f32[1, 1, 4, 4] output y = x -> exact_steps() }"
    with pytest.raises(DhcError, match="is a stage of pipelines only"):
        load_text(text).model("M")


@pytest.mark.parametrize("kind", ["points", "boxes"])
def test_geometry_never_leaves_points_or_boxes_behind(kind: str) -> None:
    with pytest.raises(DhcError, match=f"'zoom' cannot move the {kind} 'b' yet"):
        pipeline("zoom(2)", f"ct: image[1], b: {kind}")
