"""Where resized elements lie: the formulas of the ONNX specification, in floats, for every way."""

from __future__ import annotations

import numpy as np
import pytest

from dhc.errors import DhcError
from dhc.frontend import load_text
from dhc.ops.resize import Resize, ResizeNearest
from dhc.ops.resize_axis import Along, Coordinates

SIZES = [(5, 8), (8, 3), (7, 7), (6, 1), (1, 4)]


def specified(way: Along) -> np.ndarray:
    """The places as the specification of Resize, version 19, writes them."""
    assert isinstance(way.source, int)
    assert isinstance(way.target, int)
    before, after = way.source, way.target
    i, scale = np.arange(after), way.scale or after / before
    match way.coordinates:
        case "half_pixel":
            return (i + 0.5) / scale - 0.5
        case "half_pixel_symmetric":
            center = before / 2
            return center * (1 - after / (before * scale)) + (i + 0.5) / scale - 0.5
        case "pytorch_half_pixel":
            return (i + 0.5) / scale - 0.5 if after > 1 else np.zeros(1)
        case "align_corners":
            return i * (before - 1) / (after - 1) if after > 1 else np.zeros(1)
        case "asymmetric":
            return i / scale
    start, end = way.region
    if after == 1:
        return np.full(1, 0.5 * (start + end) * (before - 1))
    return start * (before - 1) + i * (end - start) * (before - 1) / (after - 1)


@pytest.mark.parametrize(("before", "after"), SIZES)
@pytest.mark.parametrize(
    "coordinates",
    [
        "half_pixel",
        "half_pixel_symmetric",
        "pytorch_half_pixel",
        "align_corners",
        "asymmetric",
        "tf_crop_and_resize",
    ],
)
def test_places_are_those_of_the_specification(
    coordinates: Coordinates, before: int, after: int
) -> None:
    region = (-0.2, 0.7) if coordinates == "tf_crop_and_resize" else (0.0, 1.0)
    for scale in (0.0, (after + 0.4) / before):
        way = Along(before, after, coordinates, scale, region)
        np.testing.assert_allclose(way.places(), specified(way), atol=1e-4)


def test_a_scale_says_more_than_the_sizes() -> None:
    """Four elements scaled by 0.6 are two; they lie where 0.6 says, not where a half does."""
    row = np.array([0.0, 1.0, 2.0, 3.0])
    np.testing.assert_allclose(Resize((2,)).numpy(row), [0.5, 2.5])
    scaled = Resize((2,), scale=(0.6,)).numpy(row)
    np.testing.assert_allclose(scaled, [1 / 3, 2])
    symmetric = Resize((2,), "half_pixel_symmetric", scale=(0.6,)).numpy(row)
    np.testing.assert_allclose(symmetric, [2 / 3, 7 / 3])


def test_a_region_may_reach_out_of_the_picture() -> None:
    crop = ResizeNearest((3,), "tf_crop_and_resize", region=((-1.0, 1.0),), extrapolation=-7)
    np.testing.assert_allclose(crop.numpy(np.array([1.0, 2.0, 3.0])), [-7, 1, 3])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("[2, 3], scale=[0.5]", "takes one scale for each axis"),
        ("[2, 3], scale=[0.5, 0.6]", "4 elements scaled by 0.6 are not 3"),
        ("[2, 3], scale=[-0.5, 0.75]", "needs positive scales"),
        ("[2, 3], region=[[0, 1], [0, 1]]", "a region only for tf_crop_and_resize"),
        ("[2, 3], tf_crop_and_resize", "takes one region for each axis"),
        ("[2, 3], tf_crop_and_resize, region=[[0, 1], [1, 0]]", "must begin before it ends"),
    ],
)
def test_scales_and_regions_must_fit(arguments: str, message: str) -> None:
    text = f"model M() {{ input x: f32[1, 1, 4, 4] output y = x -> resize({arguments}) }}"
    with pytest.raises(DhcError, match=message):
        load_text(text).model("M")
