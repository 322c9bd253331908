"""Stages that move pixels, on small pictures whose result can be written down."""

from __future__ import annotations

import numpy as np
import pytest

from dhc.driver import compile_graph
from dhc.errors import DhcError
from dhc.frontend import load_text
from dhc.ir.rewrite import specialise
from dhc.ir.types import DType
from dhc.ops.base import run

IMAGE = np.arange(12, dtype=np.float32).reshape(1, 3, 4)
COUNTER = np.array([5, 6, 7], np.uint32)


def staged(
    stages: str, image: np.ndarray = IMAGE, mask: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """The results of a pipeline on one sample, by the meaning of each operator in numpy."""
    parameters = "x: image[1]" if mask is None else "x: image[1], m: mask"
    text = f"pipeline p({parameters}) {{ {stages} }}"
    graph = load_text(text).pipeline("p").graph
    graph = specialise(graph, {"H": image.shape[1], "W": image.shape[2]})
    values = {"x": image, "random": COUNTER} | ({} if mask is None else {"m": mask})
    return dict(zip(dict(graph.outputs), run(graph.roots, values), strict=True))


def shown(stages: str, image: np.ndarray = IMAGE) -> np.ndarray:
    return staged(stages, image)["x"]


def test_mirror_swaps_left_and_right() -> None:
    np.testing.assert_array_equal(shown("mirror()"), IMAGE[..., ::-1])


def test_flip_swaps_top_and_bottom() -> None:
    np.testing.assert_array_equal(shown("flip()"), IMAGE[..., ::-1, :])
    np.testing.assert_array_equal(shown("flip(W)"), IMAGE[..., ::-1])


def test_probabilities_of_zero_and_one() -> None:
    np.testing.assert_array_equal(shown("mirror(p=0)"), IMAGE)
    np.testing.assert_array_equal(shown("rotate(90deg, p=0)"), IMAGE)


def test_a_mirror_image_by_chance_is_exact() -> None:
    found = {shown(f"let a = {k} repeat a {{ mirror(p=0.5) }}").tobytes() for k in range(1, 9)}
    assert found == {IMAGE.tobytes(), IMAGE[..., ::-1].tobytes()}


def test_rotation_is_counter_clockwise() -> None:
    square = np.arange(9, dtype=np.float32).reshape(1, 3, 3)
    turned = np.rot90(square, 1, (1, 2))
    np.testing.assert_allclose(shown("rotate(90deg)", square), turned, atol=1e-5)


def test_outside_is_what_fill_says() -> None:
    corner = shown("rotate(45deg, fill=-1000)", np.ones((1, 9, 9), np.float32))[0, 0, 0]
    assert corner == -1000
    kept = shown("rotate(45deg, border=replicate)", np.ones((1, 9, 9), np.float32))
    np.testing.assert_allclose(kept, 1, rtol=1e-6)


def test_zoom_keeps_the_size_and_the_centre() -> None:
    square = np.arange(25, dtype=np.float32).reshape(1, 5, 5)
    found = shown("zoom(2)", square)
    assert found.shape == square.shape
    assert found[0, 2, 2] == square[0, 2, 2]
    np.testing.assert_allclose(found[0, 2], [11, 11.5, 12, 12.5, 13])


def test_translate_moves_right_and_down_by_parts_of_the_size() -> None:
    found = shown("translate(right=25%, down=1/3)")
    np.testing.assert_allclose(found[0, 1:, 1:], IMAGE[0, :-1, :-1], atol=1e-5)
    np.testing.assert_allclose(found[0, 0], 0)


def test_shear_slants_about_the_centre() -> None:
    square = np.arange(9, dtype=np.float32).reshape(1, 3, 3)
    found = shown("shear(45deg, border=replicate)", square)
    np.testing.assert_allclose(found[0], [[0, 0, 1], [3, 4, 5], [7, 8, 8]], atol=1e-5)


def test_resize_keeps_the_borders_of_the_picture() -> None:
    line = np.array([[[0, 4, 8]]], np.float32)
    found = shown("resize(1, 6)", line)
    np.testing.assert_allclose(found[0, 0], [0, 1, 3, 5, 7, 8])


def test_scale_makes_another_size() -> None:
    assert shown("scale(2)").shape == (1, 6, 8)
    assert shown("scale([1, 0.5])").shape == (1, 3, 2)


def test_crops() -> None:
    np.testing.assert_array_equal(shown("crop(1, 2, 2, 2)"), IMAGE[:, 1:3, 2:4])
    np.testing.assert_array_equal(shown("center_crop(1, 2)"), IMAGE[:, 1:2, 1:3])
    found = shown("random_crop(2)")
    parts = [IMAGE[:, y : y + 2, x : x + 2] for y in range(2) for x in range(3)]
    assert any(np.array_equal(found, part) for part in parts)


def test_pad() -> None:
    np.testing.assert_array_equal(shown("pad(1)"), np.pad(IMAGE, ((0, 0), (1, 1), (1, 1))))


def test_whole_number_pictures_stay_whole_numbers() -> None:
    bytes_ = np.array([[[0, 255], [255, 0]]], np.uint8)
    text = "pipeline p(x: image[1]) { resize(2, 3) }"
    graph = load_text(text).pipeline("p", dtype=DType.U8).graph
    (found,) = run(specialise(graph, {"H": 2, "W": 2}).roots, {"x": bytes_})
    assert found.dtype == np.uint8
    assert found[0, 0].tolist() == [0, 128, 255]


def test_masks_take_the_nearest_pixel_and_background() -> None:
    mask = np.ones((1, 3, 4), np.uint8)
    found = staged("rotate(30deg, fill=7)", IMAGE, mask)["m"]
    assert set(np.unique(found)) == {0, 1}
    padded = staged("pad(1, value=9)", IMAGE, mask)
    assert padded["x"][0, 0, 0] == 9
    assert padded["m"][0, 0, 0] == 0


def test_picture_and_mask_move_together() -> None:
    square = np.random.default_rng(0).integers(0, 2, (1, 8, 8)).astype(np.float32)
    found = staged("flip(p=0.5) mirror(p=0.5) random_crop(5)", square, square.astype(np.uint8))
    np.testing.assert_array_equal(found["x"], found["m"])


def test_volumes_are_resized_in_three_dimensions() -> None:
    text = "pipeline p(v: volume[1], m: mask) { resize(4, 5, 6) }"
    graph = load_text(text).pipeline("p").graph
    assert [str(node.type) for node in graph.roots] == ["f32[1, 4, 5, 6]", "u8[1, 4, 5, 6]"]


def test_a_compiled_pipeline_is_what_the_reference_computes() -> None:
    stages = "resize(6, 6) rotate(-20deg .. 20deg) mirror(p=0.5) center_crop(4) normalize(0.5, 2)"
    graph = load_text(f"pipeline p(x: image[1]) {{ {stages} }}").pipeline("p").graph
    compiled, reference = (
        compile_graph(graph, backend, shapes={"H": 3, "W": 4})(x=IMAGE, random=COUNTER)["x"]
        for backend in ("cpu", "reference")
    )
    np.testing.assert_allclose(compiled, reference, atol=1e-4)


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ("zoom(0)", "needs a positive factor"),
        ("translate(3px)", "takes parts of the size, from -1 to 1"),
        ("mirror(p=2)", "is a probability from 0 to 1, not 2.0"),
        ("flip(C, p=0.5)", "takes the axes H and W only"),
        ("resize(3)", "needs a height and a width"),
        ("scale([1, 2, 3])", "needs one positive factor, or two"),
        ("resize(4, 4) crop(1, 1, 4, 4)", "reaches beyond the picture"),
        ("resize(4, 4) center_crop(5)", "cannot take 5 pixels of a picture that is 4 high"),
    ],
)
def test_wrong_uses_are_refused(stages: str, message: str) -> None:
    with pytest.raises(DhcError, match=message):
        load_text(f"pipeline p(x: image[1]) {{ {stages} }}").pipeline("p")
