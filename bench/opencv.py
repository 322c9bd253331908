"""The pipeline of photograph.dhm in OpenCV, in the ways that are worth comparing with.

All take a picture as decoders give it, [H, W, 3] of 8 bits, and return [3, 224, 224] floats.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
SIZE = 224
ANGLE = 10.0
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)


def ways(image: Array) -> dict[str, Callable[[], Array]]:
    """Returns the formulations by name, for one picture; each uses one thread."""
    import cv2

    cv2.setNumThreads(1)
    matrix = composed(image.shape[0], image.shape[1])
    return {
        "opencv, steps": lambda: _steps(image),
        "opencv, steps, table": lambda: _normalised(_moved(image)),
        "opencv, one warp": lambda: _normalised(_warped(image, matrix)),
        "opencv, one warp, blob": lambda: _blob(_warped(image, matrix)),
        "opencv, one warp, arithmetic": lambda: _arithmetic(_warped(image, matrix)),
        "opencv, remap": _remapping(image, matrix),
    }


def composed(height: int, width: int) -> Array:
    """Returns the map from pixels of the result to places in the picture, as [2, 3].

    It is the resizing after the mirror image after the rotation; x goes right and y down, and
    pixels are squares whose centres are the whole numbers.
    """
    turn, centre = np.deg2rad(ANGLE), (SIZE - 1) / 2
    c, s = np.cos(turn), np.sin(turn)
    rotation = np.array(
        [
            [c, -s, centre - c * centre + s * centre],
            [s, c, centre - s * centre - c * centre],
            [0, 0, 1],
        ]
    )
    mirror = np.array([[-1, 0, SIZE - 1], [0, 1, 0], [0, 0, 1]])
    x, y = width / SIZE, height / SIZE
    resizing = np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])
    result: Array = (resizing @ mirror @ rotation)[:2]
    return result


# ---- moving pixels ---------------------------------------------------------------------------


def _moved(image: Array) -> Array:
    """One step after the other; each rounds to 8 bits, and two of them interpolate."""
    import cv2

    small = cv2.flip(cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR), 1)
    centre = ((SIZE - 1) / 2, (SIZE - 1) / 2)
    return cv2.warpAffine(small, cv2.getRotationMatrix2D(centre, ANGLE, 1.0), (SIZE, SIZE))


def _warped(image: Array, matrix: Array) -> Array:
    """All steps as one map, which interpolates once."""
    import cv2

    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(image, matrix, (SIZE, SIZE), flags=flags)


def _remapping(image: Array, matrix: Array) -> Callable[[], Array]:
    """The places computed in advance, as the fixed-point numbers that OpenCV is quickest with."""
    import cv2

    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    places = np.einsum("ik,khw->ihw", matrix, np.stack([x, y, np.ones_like(x)])).astype(np.float32)
    fixed, fraction = cv2.convertMaps(places[0], places[1], cv2.CV_16SC2)
    return lambda: _normalised(cv2.remap(image, fixed, fraction, cv2.INTER_LINEAR))


# ---- from 8 bits to normalised planes --------------------------------------------------------

_FACTOR = 1 / (255 * STD)
_MEAN4 = np.array([*(MEAN * 255), 0], np.float64)  # OpenCV takes four numbers as one colour
_FACTOR4 = np.array([*_FACTOR, 0], np.float64)
_TABLES = [
    ((np.arange(256, dtype=np.float32) / 255 - mean) / std).astype(np.float32)
    for mean, std in zip(MEAN, STD, strict=True)
]


def _steps(image: Array) -> Array:
    """As people write it."""
    floats = (_moved(image).astype(np.float32) / 255.0 - MEAN) / STD
    return np.ascontiguousarray(floats.transpose(2, 0, 1))


def _normalised(small: Array) -> Array:
    """A table of 256 floats for each channel."""
    import cv2

    result = np.empty((3, SIZE, SIZE), np.float32)
    for plane, table, into in zip(cv2.split(small), _TABLES, result, strict=True):
        cv2.LUT(plane, table, dst=into)
    return result


def _blob(small: Array) -> Array:
    """The function that OpenCV has for just this."""
    import cv2

    settings = cv2.dnn.Image2BlobParams(
        [float(f) for f in _FACTOR], (SIZE, SIZE), [float(m) for m in MEAN * 255]
    )
    blob: Array = cv2.dnn.blobFromImageWithParams(small, settings)[0]
    return blob


def _arithmetic(small: Array) -> Array:
    """Arithmetic on all channels at once, then planes."""
    import cv2

    floats = cv2.multiply(cv2.subtract(small, _MEAN4, dtype=cv2.CV_32F), _FACTOR4)
    return np.stack(cv2.split(floats))
