"""Stages that change brightness, and colour spaces, against their formulas."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest

from dhc.errors import DhcError
from dhc.frontend import load_text
from dhc.ir.rewrite import specialise
from dhc.ir.types import DType
from dhc.ops.base import run


def shown(stages: str, image: np.ndarray, dtype: DType = DType.F32) -> np.ndarray:
    """The result of a pipeline on one picture."""
    text = f"pipeline p(x: image[{image.shape[0]}]) {{ {stages} }}"
    graph = load_text(text).pipeline("p", dtype=dtype).graph
    graph = specialise(graph, {"H": image.shape[1], "W": image.shape[2]})
    values = {"x": image, "random": np.array([1, 2, 3], np.uint32)}
    return np.asarray(run(graph.roots, values)[0])


def colours() -> np.ndarray:
    picture = np.random.default_rng(0).uniform(size=(3, 4, 5)).astype(np.float32)
    picture[:, 0, 0] = 0.0
    picture[:, 0, 1] = 0.7
    picture[:, 0, 2] = (1, 0, 0)
    picture[:, 0, 3] = (1, 0, 1)
    return picture


# ---- brightness ------------------------------------------------------------------------------


def test_to_float_divides_by_the_largest_number() -> None:
    picture = np.array([[[0, 51, 255]]], np.uint8)
    np.testing.assert_allclose(shown("to_float()", picture, DType.U8)[0, 0], [0, 0.2, 1])
    wide = np.array([[[0, 65535]]], np.uint16)
    np.testing.assert_array_equal(shown("to_float()", wide, DType.U16)[0, 0], [0, 1])


def test_window_of_hounsfield_units() -> None:
    units = np.array([[[-2000, -1300, -500, 300, 900]]], np.int16)
    found = shown("window(center=-500, width=1600)", units, DType.I16)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0, 0], [0, 0, 0.5, 1, 1])


def test_normalize_with_one_number_or_one_for_each_channel() -> None:
    picture = colours()
    mean, std = np.array([0.5, 0.25, 0.125], "f4"), np.array([1, 2, 4], "f4")
    each = shown("normalize(mean=[0.5, 0.25, 0.125], std=[1, 2, 4])", picture)
    np.testing.assert_allclose(each, (picture - mean[:, None, None]) / std[:, None, None])
    np.testing.assert_allclose(shown("normalize(0.5, 2)", picture), (picture - 0.5) / 2)


def test_normalize_in_a_model_is_over_channels() -> None:
    text = "model M() { input x: f32[N, 3, H, W] output y = x -> normalize([1, 2, 3], 2) }"
    graph = load_text(text).model("M").graph
    graph = specialise(graph, {"N": 2, "H": 1, "W": 1})
    (found,) = run(graph.roots, {"x": np.zeros((2, 3, 1, 1), "f4")})
    np.testing.assert_array_equal(found[1, :, 0, 0], [-0.5, -1, -1.5])


def test_gamma_brightness_and_contrast() -> None:
    picture = np.array([[[0.0, 0.25, 1.0]]], np.float32)
    np.testing.assert_allclose(shown("gamma(2)", picture)[0, 0], [0, 0.0625, 1], rtol=1e-6)
    np.testing.assert_allclose(shown("brightness(0.5)", picture)[0, 0], [0.5, 0.75, 1.5])
    np.testing.assert_allclose(shown("contrast(2)", picture)[0, 0], [-0.5, 0, 1.5])


def test_gaussian_noise_has_its_standard_deviation() -> None:
    noise = shown("gaussian_noise(sigma=0.1)", np.zeros((1, 64, 64), np.float32))
    assert abs(noise.std() - 0.1) < 0.005
    assert abs(noise.mean()) < 0.005


# ---- colours ---------------------------------------------------------------------------------


def test_gray_is_luma_and_comes_back_in_three_channels() -> None:
    picture = colours()
    gray = shown("rgb_to_gray()", picture)
    expected = 0.299 * picture[0] + 0.587 * picture[1] + 0.114 * picture[2]
    np.testing.assert_allclose(gray[0], expected, rtol=1e-6)
    spread = shown("gray_to_rgb()", gray)
    np.testing.assert_array_equal(spread, np.repeat(gray, 3, axis=0))


def test_bgr_is_the_opposite_order() -> None:
    np.testing.assert_array_equal(shown("rgb_to_bgr()", colours()), colours()[::-1])


def test_hsv_agrees_with_the_standard_library() -> None:
    picture = colours()
    found = shown("rgb_to_hsv()", picture)
    for place in np.ndindex(4, 5):
        hue, saturation, value = colorsys.rgb_to_hsv(*map(float, picture[:, *place]))
        np.testing.assert_allclose(found[:, *place], [hue * 360, saturation, value], rtol=1e-4)


@pytest.mark.parametrize("space", ["hsv", "ycrcb"])
def test_there_and_back(space: str) -> None:
    found = shown(f"rgb_to_{space}() {space}_to_rgb()", colours())
    np.testing.assert_allclose(found, colours(), atol=1e-5)


def test_ycrcb_reaches_from_0_to_1() -> None:
    red = np.array([1, 0, 0], np.float32).reshape(3, 1, 1)
    blue = np.array([0, 0, 1], np.float32).reshape(3, 1, 1)
    np.testing.assert_allclose(shown("rgb_to_ycrcb()", red)[:2, 0, 0], [0.299, 1], rtol=1e-6)
    np.testing.assert_allclose(shown("rgb_to_ycrcb()", blue)[::2, 0, 0], [0.114, 1], rtol=1e-6)


# ---- wrong uses ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stages", "channels", "dtype", "message"),
    [
        ("to_float()", 1, DType.I16, "needs u8 or u16 elements"),
        ("window(0, 0)", 1, DType.F32, "needs a positive width"),
        ("gamma(0)", 1, DType.F32, "needs a positive power"),
        ("normalize([1, 2], 1)", 3, DType.F32, "has 2 means for 3 channels"),
        ("normalize(0, 0)", 1, DType.F32, "needs positive standard deviations"),
        ("rgb_to_gray()", 1, DType.F32, "needs a picture with 3 channels"),
        ("rgb_to_hsv()", 3, DType.U8, "needs floating-point elements"),
        ("gray_to_rgb()", 3, DType.F32, "needs a picture with 1 channel,"),
    ],
)
def test_wrong_uses_are_refused(stages: str, channels: int, dtype: DType, message: str) -> None:
    with pytest.raises(DhcError, match=message):
        load_text(f"pipeline p(x: image[{channels}]) {{ {stages} }}").pipeline("p", dtype=dtype)
