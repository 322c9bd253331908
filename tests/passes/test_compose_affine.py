"""Neighbouring stages that move pixels interpolate once; crops, and what differs, stay apart."""

from __future__ import annotations

import numpy as np
import pytest

from dhc.driver import compile_graph
from dhc.frontend import load_text
from dhc.ir.graph import Graph, topological
from dhc.ir.rewrite import specialise
from dhc.ops.base import run
from dhc.passes.compose_affine import ComposeWarps

HEIGHT, WIDTH = 24, 32
COUNTER = np.array([3, 1, 4], np.uint32)
MASKED = "ct: image[1], m: mask"


def pipeline(stages: str, parameters: str = "ct: image[1]") -> Graph:
    text = f"pipeline p({parameters}) {{ {stages} }}"
    return specialise(load_text(text).pipeline("p").graph, {"H": HEIGHT, "W": WIDTH})


def steps(graph: Graph) -> list[str]:
    """What moves pixels, in order."""
    moving = ("affine_warp", "slice", "resize", "pad")
    return [n.op.name for n in topological(graph.roots) if n.op.name in moving]


def both(stages: str, image: np.ndarray, parameters: str = "ct: image[1]") -> list[np.ndarray]:
    """The first result as written and composed."""
    graph = pipeline(stages, parameters)
    values = {
        "ct": image,
        "m": (image > 0.3).astype(np.uint8),
        "random": COUNTER,
    }
    return [run(g.roots, values)[-1] for g in (graph, ComposeWarps()(graph))]


def smooth() -> np.ndarray:
    """A picture that linear interpolation changes little."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] / 8
    return np.asarray(np.sin(x)[None] * np.cos(y)[None], np.float32)


def composed(stages: str, parameters: str = "ct: image[1]") -> list[str]:
    return steps(ComposeWarps()(pipeline(stages, parameters)))


@pytest.mark.parametrize(
    "stages",
    [
        "resize(20, 30) rotate(10deg)",
        "rotate(10deg) resize(20, 30)",
        "resize(48, 64) mirror(p=0.5) rotate(-20deg .. 20deg) zoom(0.9 .. 1.1)",
        "rotate(10deg) rotate(5deg)",
        "rotate(10deg) mirror()",
        "resize(48, 48) rotate(10deg) center_crop(32) resize(16, 16)",
        "translate(right=10%) shear(5deg)",
    ],
)
def test_neighbours_become_one_warp(stages: str) -> None:
    assert composed(stages) == ["affine_warp"]


@pytest.mark.parametrize(
    "stages",
    [
        "resize(48, 64) mirror(p=0.5)",
        "rotate(4deg) resize(48, 64)",
        "resize(48, 64) rotate(7deg) mirror()",
        "resize(48, 64) rotate(-8deg .. 8deg) flip(p=0.5) zoom(0.9 .. 1.0)",
        "zoom(1.2) center_crop(20)",
        "zoom(1.1) crop(2, 3, 16, 20) resize(24, 32)",
    ],
)
def test_one_warp_shows_nearly_what_several_show(stages: str) -> None:
    separate, together = both(stages, smooth())
    assert together.shape == separate.shape
    inside = np.s_[..., 3:-3, 3:-3]
    difference = np.abs(separate - together)[inside]
    assert np.quantile(difference, 0.9) < 0.02


def test_pixels_are_equal_where_steps_lose_nothing() -> None:
    separate, together = both("resize(48, 64) mirror() flip(p=1.0) center_crop(30)", smooth())
    np.testing.assert_allclose(separate, together, atol=1e-5)


def test_one_interpolation_keeps_more_detail() -> None:
    """Turning back and forth gives the picture itself, not a blurred one."""
    noise = np.random.default_rng(0).uniform(size=(1, HEIGHT, WIDTH)).astype(np.float32)
    separate, together = both("rotate(30deg) rotate(-30deg)", noise)
    np.testing.assert_allclose(together, noise, atol=1e-4)
    assert np.abs(separate - noise).mean() > 0.1


def test_masks_follow_with_the_nearest_pixel() -> None:
    stages = "resize(48, 64) rotate(5deg) mirror(p=0.5)"
    assert composed(stages, MASKED) == ["affine_warp", "affine_warp"]
    separate, together = both(stages, smooth(), MASKED)
    assert set(np.unique(together)) <= {0, 1}
    assert (separate != together).mean() < 0.02


def test_a_crop_is_computed_where_it_is_kept() -> None:
    graph = ComposeWarps()(pipeline("rotate(10deg) crop(1, 2, 8, 9)"))
    assert steps(graph) == ["affine_warp"]
    assert graph.outputs[0][1].type.shape == (1, 8, 9)


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        ("rotate(3deg) center_crop(16) rotate(3deg)", ["affine_warp", "affine_warp"]),
        ("crop(0, 0, 9, 9) rotate(3deg)", ["slice", "affine_warp"]),
        ("rotate(3deg) pad(2) rotate(3deg)", ["affine_warp", "pad", "affine_warp"]),
        ("rotate(3deg) gamma(2) rotate(3deg)", ["affine_warp", "affine_warp"]),
        ("rotate(3deg, fill=1) rotate(3deg)", ["affine_warp", "affine_warp"]),
        ("rotate(3deg, border=replicate) rotate(3deg)", ["affine_warp", "affine_warp"]),
        ("rotate(3deg, interpolation=cubic) rotate(3deg)", ["affine_warp", "affine_warp"]),
        ("exact_steps() resize(9, 9) rotate(3deg)", ["affine_warp", "affine_warp"]),
        ("exact_steps() rotate(3deg) center_crop(5)", ["affine_warp", "slice"]),
    ],
)
def test_what_stays_apart(stages: str, expected: list[str]) -> None:
    assert composed(stages) == expected


def test_exact_steps_begin_where_they_are_written() -> None:
    assert composed("resize(9, 9) rotate(3deg) exact_steps() rotate(4deg)") == ["affine_warp"] * 2


def test_what_was_cut_never_comes_back() -> None:
    """After a crop, a turn shows the border's value, not what the crop removed."""
    image = np.ones((1, HEIGHT, WIDTH), np.float32)
    _, together = both("rotate(0deg) center_crop(12) rotate(45deg)", image)
    assert together[0, 0, 0] == 0


def test_a_border_that_differs_is_no_obstacle_where_it_is_never_seen() -> None:
    graph = ComposeWarps()(pipeline("resize(20, 30) rotate(10deg, fill=-1000)"))
    (warp,) = [n for n in topological(graph.roots) if n.op.name == "affine_warp"]
    assert (warp.op.border, warp.op.fill) == ("constant", -1000.0)
    graph = ComposeWarps()(pipeline("rotate(10deg, fill=-1000) resize(20, 30)"))
    (warp,) = [n for n in topological(graph.roots) if n.op.name == "affine_warp"]
    assert (warp.op.border, warp.op.fill) == ("constant", -1000.0)


def test_other_readers_change_nothing() -> None:
    """Whether a picture is used twice does not change what stages mean."""
    graph = pipeline("resize(9, 9) oneof { rotate(3deg) zoom(1.1) }")
    assert steps(ComposeWarps()(graph)) == ["affine_warp"] * 2


@pytest.mark.parametrize("backend", ["cpu", "opencl"])
def test_backends_run_what_is_composed(backend: str) -> None:
    stages = "resize(30, 30) rotate(-9deg .. 9deg) mirror(p=0.5) center_crop(20) normalize(0.1, 2)"
    graph = ComposeWarps()(pipeline(stages, MASKED))
    values = {"ct": smooth(), "m": (smooth() > 0).astype(np.uint8), "random": COUNTER}
    expected = run(graph.roots, values)
    found = compile_graph(graph, backend)(**values)
    np.testing.assert_allclose(found["ct"], expected[0], atol=1e-4)
    np.testing.assert_array_equal(found["m"], expected[1])


def test_composing_twice_changes_nothing() -> None:
    stages = "resize(30, 30) rotate(5deg) center_crop(20) mirror(p=0.5) center_crop(9) zoom(1.1)"
    once = ComposeWarps()(pipeline(stages))
    assert ComposeWarps()(once).outputs == once.outputs
