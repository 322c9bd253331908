"""The networks in models/: their weights, shapes and names, and that all backends agree."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from dhc.backends.base import Target
from dhc.driver import compile_graph
from dhc.frontend import Entry, Program, load, load_text
from dhc.frontend.format import format_text
from dhc.ir.graph import Array, Graph, input_label
from dhc.ir.text import graph_digest
from dhc.passes.bind_sizes import bind_sizes

MODELS = Path(__file__).resolve().parents[2] / "models"
GOLDEN = Path(__file__).parent / "golden"
FILES = sorted(path.stem for path in MODELS.glob("*.dhm"))
TOLERANCE = 2e-5


@cache
def program(file: str) -> Program:
    return load(MODELS / f"{file}.dhm")


OWNERS = {name: file for file in FILES for name in program(file).models}


def entry(name: str, **settings: object) -> Entry:
    return program(OWNERS[name]).model(name, **settings)


def elements(shape: Sequence[object]) -> int:
    return math.prod(int(str(size)) for size in shape)


# ---- numbers of weights ----------------------------------------------------------------------


def conv(cin: int, cout: int, taps: int = 9) -> int:
    """A convolution without bias."""
    return cin * cout * taps


def unit(cin: int, cout: int, taps: int = 9) -> int:
    """A convolution without bias, and the scale and shift of its batch normalisation."""
    return conv(cin, cout, taps) + 2 * cout


def double(cin: int, cout: int) -> int:
    return unit(cin, cout) + unit(cout, cout)


def enlarge(cin: int, cout: int, taps: int = 4) -> int:
    """A transposed convolution with bias."""
    return conv(cin, cout, taps) + cout


def head(cin: int, taps: int = 1) -> int:
    """The last convolution, to one class."""
    return conv(cin, 1, taps) + 1


def unet(*widths: int) -> int:
    """Figure 1 of arXiv:1505.04597, with batch normalisation in place of biases."""
    widths = widths or (64, 128, 256, 512, 1024)
    down = sum(double(a, b) for a, b in pairwise([1, *widths]))
    up = sum(enlarge(b, a) + double(2 * a, a) for a, b in pairwise(widths))
    return down + up + head(widths[0])


def unet3d() -> int:
    """Section 2 of arXiv:1606.06650, which counts 19,069,955 for 3 channels and 3 classes.

    That number has one bias for each convolution and none for the up-convolutions. Here a
    normalisation has two numbers for each channel, and the up-convolutions have their biases.
    """
    normalised = [32, 64, 64, 128, 128, 256, 256, 512, 256, 256, 128, 128, 64, 64]
    enlarged = [512, 256, 128]
    fewer = 2 * conv(1, 32, 27) + 2 * (64 + 1)
    return 19_069_955 + sum(normalised) + sum(enlarged) - fewer


def unet_plus_plus(per_channel: int = 2) -> int:
    """Figure 1 and table 2 of arXiv:1807.10165; `per_channel` is 1 for a bias, 2 for a norm."""
    widths = [32, 64, 128, 256, 512]

    def pair(cin: int, c: int) -> int:
        return conv(cin, c) + conv(c, c) + 2 * c * per_channel

    down = sum(pair(a, b) for a, b in pairwise([1, *widths]))
    inner = 0
    for level, (c, below) in enumerate(pairwise(widths)):
        for step in range(1, 5 - level):
            inner += enlarge(below, c) + pair((step + 1) * c, c)
    return down + inner + head(32)


def linknet() -> int:
    """Tables 1 and 2 of arXiv:1707.03718: ResNet-18 without its dense layer, and the decoder."""
    encoder = 11_689_512 - (512 * 1000 + 1000)
    decoder = sum(
        unit(m, m // 4, 1) + unit(m // 4, m // 4) + unit(m // 4, n, 1)
        for m, n in [(512, 256), (256, 128), (128, 64), (64, 64)]
    )
    return encoder + decoder + unit(64, 32) + unit(32, 32) + enlarge(32, 1)


def deeplab() -> int:
    """Figure 2 of arXiv:1802.02611: ResNet-50 without its dense layer, pyramid and decoder."""
    encoder = 25_557_032 - (2048 * 1000 + 1000)
    views = 2 * unit(2048, 256, 1) + 3 * unit(2048, 256)
    pyramid = views + unit(5 * 256, 256, 1)
    decoder = unit(256, 48, 1) + unit(256 + 48, 256) + unit(256, 256)
    return encoder + pyramid + decoder + head(256)


VGG16 = [64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]


def segnet() -> int:
    """Section 3 of arXiv:1511.00561: the 13 convolutions of VGG-16 and their mirror image."""
    encoder = sum(unit(a, b) + b for a, b in pairwise([3, *VGG16]))
    decoder = sum(unit(b, a) + a for a, b in pairwise(VGG16))
    return encoder + decoder + head(64, 9)


def perfusion(moments: int, width: int) -> int:
    """Two layers for the bolus, three for the curves, one for each map; all with bias."""
    layers = [(moments, width, 1), (width, width, 1), (moments, width, 9), *[(width, width, 9)] * 2]
    return sum(conv(*layer) + layer[1] for layer in layers) + 2 * head(width)


def textures(width: int, classes: int) -> int:
    """A first unit and three residual blocks, two of which project their input."""
    widths = [width, width, 2 * width, 4 * width]
    blocks = sum(
        unit(a, b) + unit(b, b) + (unit(a, b, 1) if a != b else 0) for a, b in pairwise(widths)
    )
    return unit(3, width) + blocks + 4 * width * classes + classes


def transformer_layer(size: int, hidden: int, attentions: int) -> int:
    """Attentions of four projections each, two dense layers, and a normalisation after each."""
    dense = (size + 1) * hidden + (hidden + 1) * size
    return attentions * 4 * (size + 1) * size + dense + (attentions + 1) * 2 * size


def transformer() -> int:
    """Section 3 of arXiv:1706.03762, with one table for both languages and one for the result."""
    layers = 6 * (transformer_layer(512, 2048, 1) + transformer_layer(512, 2048, 2))
    return 2 * 37_000 * 512 + layers


def text_classifier() -> int:
    """Vectors of words and of positions, four layers, a normalisation and a dense layer."""
    vectors = (30_000 + 512) * 256
    return vectors + 4 * transformer_layer(256, 1024, 1) + 2 * 256 + (256 + 1) * 14


def report_lstm() -> int:
    """A residual network of ten layers, and the LSTM of arXiv:1411.4555 with 512 units."""
    widths = [64, 64, 128, 256, 512]
    residuals = sum(
        unit(a, b) + unit(b, b) + (unit(a, b, 1) if a != b else 0) for a, b in pairwise(widths)
    )
    states = 2 * (512 + 1) * 512
    lstm = 4 * 512 * (512 + 512 + 2)
    return unit(1, 64, 49) + residuals + states + 1000 * 512 + lstm + (512 + 1) * 1000


PUBLISHED = {
    # The classifiers are counted as the documentation of torchvision 0.24 counts them.
    "ResNet18": 11_689_512,
    "ResNet34": 21_797_672,
    "ResNet50": 25_557_032,
    "ResNet101": 44_549_160,
    "ResNet152": 60_192_808,
    "VGG16": 138_357_544,
    "VGG16BN": 138_365_992,
    "VGG19": 143_667_240,
    "VGG19BN": 143_678_248,
    "DenseNet121": 7_978_856,
    "EfficientNetB0": 5_288_548,
    "EfficientNetB1": 7_794_184,
    "EfficientNetB2": 9_109_994,
    "EfficientNetB3": 12_233_232,
    "EfficientNetB4": 19_341_616,
    "EfficientNetB5": 30_389_784,
    "EfficientNetB6": 43_040_704,
    "EfficientNetB7": 66_347_960,
    "MobileNetV2": 3_504_872,
    "Tissue": 0,  # nothing is learnt
    # The perceptrons and the networks for segmentation are counted layer by layer.
    "MLP": (784 + 1) * 512 + (512 + 1) * 512 + (512 + 1) * 10,
    "TabularMLP": (30 + 1) * 64 + (64 + 1) * 64 + (64 + 1) * 2,
    "UNet": unet(),
    "UNetAvg": unet(),
    "UNet3D": unet3d(),
    "UNetPlusPlus": unet_plus_plus(),
    "LinkNet": linknet(),
    "DeepLabV3Plus": deeplab(),
    "SegNet": segnet(),
    "Transformer": transformer(),
    "TextClassifier": text_classifier(),
    "Report": report_lstm(),
    "Reporter": report_lstm(),
    "NoduleNet": unet(8, 16, 32, 64),
    "PerfusionNet": perfusion(20, 32),
    "TextureNet": textures(16, 5),
}


def test_every_model_has_a_published_count() -> None:
    assert PUBLISHED.keys() == OWNERS.keys()


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_number_of_weights_is_the_published_one(name: str) -> None:
    params = entry(name).graph.params
    assert sum(elements(p.type.shape) for p in params if p.trainable) == PUBLISHED[name]


def test_the_formulas_give_what_the_papers_say() -> None:
    assert round(unet_plus_plus(per_channel=1) / 1e6, 2) == 9.04
    assert round(linknet() / 1e6, 1) == 11.5
    assert round(sum(conv(a, b) + b for a, b in pairwise([3, *VGG16])) / 1e6, 1) == 14.7


@pytest.mark.parametrize("name", PUBLISHED)
def test_only_running_statistics_are_not_trained(name: str) -> None:
    kept = {p.path.rsplit(".", 1)[-1] for p in entry(name).graph.params if not p.trainable}
    assert kept <= {"mean", "variance"}


# ---- names and form --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["UNet", "ResNet18"])
def test_names_of_weights_are_stable(name: str, check_golden: Callable[[Path, str], None]) -> None:
    lines = [f"{param.path} {param.type}\n" for param in entry(name).graph.params]
    check_golden(GOLDEN / f"{name.lower()}.txt", "".join(lines))


@pytest.mark.parametrize("file", FILES)
def test_files_are_canonical(file: str) -> None:
    text = (MODELS / f"{file}.dhm").read_text(encoding="utf-8")
    assert format_text(text) == text


@pytest.mark.parametrize("file", FILES)
def test_files_begin_with_what_they_are(file: str) -> None:
    lines = (MODELS / f"{file}.dhm").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "dhm 1"
    assert lines[1].startswith("# ")
    comment = " ".join(line for line in lines if line.startswith("# "))
    assert "arXiv:" in comment or "published" in comment


@pytest.mark.parametrize("file", FILES)
def test_formatting_never_changes_the_graph(file: str) -> None:
    text = (MODELS / f"{file}.dhm").read_text(encoding="utf-8")
    crowded = "\n".join(line.strip() for line in text.splitlines())
    assert format_text(crowded) == format_text(format_text(crowded))
    again = load_text(format_text(crowded), root=MODELS)
    for name in program(file).models:
        assert graph_digest(again.model(name).graph) == graph_digest(entry(name).graph)


# ---- shapes and values -----------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A model at a small size: its input, what it gives, and settings that keep it quick.

    Attributes:
        given: The shape of the first input, if that is an image.
        slow: The backends on which it is a slow test.
        numbers: Shapes of inputs of whole numbers, and how large these may be.
        score: Whether there is a score for each sample besides the result.
    """

    name: str
    given: tuple[int, ...]
    result: tuple[int, ...]
    settings: dict[str, object] = field(default_factory=dict, hash=False)
    slow: tuple[str, ...] = ()
    numbers: dict[str, tuple[tuple[int, ...], int]] = field(default_factory=dict, hash=False)
    score: bool = False


BOTH = ("cpu", "opencl")
FIELD = {"field": 1}
CASES = [
    Case(
        "Transformer",
        (),
        (2, 3, 20),
        {"vocabulary": 20, "size": 8, "heads": 2, "hidden": 12, "layers": 2},
        numbers={"source": ((2, 4), 19), "lengths": ((2,), 4), "said": ((2, 3), 19)},
    ),
    Case(
        "TextClassifier",
        (),
        (2, 14),
        {"vocabulary": 20, "size": 8, "heads": 2, "hidden": 12, "layers": 2},
        numbers={"text": ((2, 4), 19), "lengths": ((2,), 4)},
    ),
    Case(
        "Report",
        (2, 1, 32, 40),
        (2, 3, 12),
        {"vocabulary": 12, "size": 6, "width": 4},
        numbers={"said": ((2, 3), 11)},
    ),
    Case(
        "Reporter",
        (3, 1, 16, 24),
        (3, 3),
        {"vocabulary": 12, "size": 6, "width": 4, "beam": 2, "longest": 3},
        score=True,
    ),
    Case("MLP", (2, 1, 28, 28), (2, 10)),
    Case("TabularMLP", (3, 30), (3, 2)),
    Case("Tissue", (2, 1, 16, 24), (2, 5, 16, 24)),
    Case("UNet", (1, 1, 32, 48), (1, 1, 32, 48), {"width": 8}),
    Case("UNetAvg", (1, 3, 32, 32), (1, 2, 32, 32), {"width": 4, "channels": 3, "classes": 2}),
    Case("NoduleNet", (2, 1, 16, 24), (2, 1, 16, 24)),
    Case("PerfusionNet", (2, 20, 8, 12), (2, 1, 8, 12)),
    Case("TextureNet", (2, 3, 32, 24), (2, 5)),
    Case("UNet3D", (1, 1, 8, 24, 16), (1, 1, 8, 24, 16), {"width": 4}),
    Case("UNetPlusPlus", (1, 1, 48, 32), (1, 1, 48, 32), {"width": 4}),
    Case("SegNet", (1, 3, 45, 35), (1, 1, 45, 35), {"width": 8}),
    Case("LinkNet", (1, 3, 32, 64), (1, 1, 32, 64)),
    Case("DeepLabV3Plus", (1, 3, 45, 35), (1, 1, 45, 35)),
    Case("MobileNetV2", (1, 3, 40, 32), (1, 1000)),
    Case("DenseNet121", (1, 3, 32, 40), (1, 1000), slow=("opencl",)),
    *(
        Case(f"ResNet{depth}", (1, 3, 40, 32), (1, 1000), slow=() if depth in (18, 50) else BOTH)
        for depth in (18, 34, 50, 101, 152)
    ),
    *(
        Case(name, (1, 3, 32, 40), (1, 1000), FIELD, () if name == "VGG16" else BOTH)
        for name in ("VGG16", "VGG19", "VGG16BN", "VGG19BN")
    ),
    *(
        Case(f"EfficientNetB{i}", (1, 3, 32, 40), (1, 1000), slow=BOTH if i else ())
        for i in range(8)
    ),
]


def test_every_model_runs_in_some_test() -> None:
    assert sorted(case.name for case in CASES) == sorted(OWNERS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_shapes_at_a_small_size(case: Case) -> None:
    graph = entry(case.name, **case.settings).graph
    shapes = {name: shape for name, (shape, _) in case.numbers.items()}
    bound = bind_sizes(graph, sizes(graph, case.given, shapes))
    found = {node.type.shape for _, node in bound.outputs}
    assert found == {case.result, *([case.result[:1]] if case.score else [])}


@pytest.mark.parametrize("name", ["VGG16", "VGG19BN"])
def test_a_vgg_answers_once_for_a_larger_image(name: str) -> None:
    graph = entry(name).graph
    for size in (224, 320):
        bound = bind_sizes(graph, sizes(graph, (1, 3, size, size)))
        assert [node.type.shape for _, node in bound.outputs] == [(1, 1000)]


def sizes(
    graph: Graph, given: Sequence[int], others: Mapping[str, Sequence[int]] | None = None
) -> dict[str, int]:
    """The values of the size symbols for a first input of that shape, and others by name."""
    found: dict[str, int] = {}
    for node in graph.inputs:
        pairs = zip(node.type.shape, (others or {}).get(input_label(node), given), strict=True)
        found |= {str(size): value for size, value in pairs if not isinstance(size, int)}
    return found


@lru_cache(maxsize=1)
def expected(case: Case) -> tuple[dict[str, Array], dict[str, Array], dict[str, Array]]:
    """The inputs, the weights, and what the reference makes of them in float64."""
    graph = entry(case.name, **case.settings).graph
    random = np.random.default_rng(1)
    inputs: dict[str, Array] = {}
    if case.given:
        pixels = random.standard_normal(case.given).astype(np.float32)
        inputs[input_label(graph.inputs[0])] = pixels
    for name, (shape, largest) in case.numbers.items():
        inputs[name] = random.integers(1, largest + 1, shape)
    weights = lively_weights(graph)
    target = Target("reference", precision="f64")
    return inputs, weights, compile_graph(graph, target, parameters=weights)(**inputs)


def lively_weights(graph: Graph) -> dict[str, Array]:
    """Weights that keep values near 1, and statistics that normalisation cannot ignore.

    The last convolution is larger, so that probabilities differ from 0.5, but not so large that
    they are all 0 or 1.
    """
    made: dict[str, Array] = {}
    for number, param in enumerate(graph.params):
        generator = np.random.default_rng(number)
        shape = param.type.static_shape
        kind = param.path.rsplit(".", 1)[-1]
        if kind in ("scale", "variance"):
            drawn = generator.uniform(0.5, 1.5, shape)
        elif kind in ("bias", "mean"):
            drawn = generator.uniform(-0.5, 0.5, shape)
        else:
            gain = 3.0 if param.path.endswith("head.weight") else 1.0
            drawn = generator.standard_normal(shape) * gain / math.sqrt(math.prod(shape[1:]))
        made[param.path] = drawn.astype(np.float32)
    return made


def runs() -> list[object]:
    return [
        pytest.param(
            case,
            backend,
            id=f"{case.name}-{backend}",
            marks=[pytest.mark.slow] if backend in case.slow else [],
        )
        for case in CASES
        for backend in BOTH
    ] + [pytest.param(case, "cuda", id=f"{case.name}-gpu", marks=pytest.mark.gpu) for case in CASES]


@pytest.mark.parametrize(("case", "backend"), runs())
def test_backends_agree_with_the_reference(case: Case, backend: str) -> None:
    inputs, weights, right = expected(case)
    graph = entry(case.name, **case.settings).graph
    found = compile_graph(graph, Target(backend), parameters=weights)(**inputs)
    assert found.keys() == right.keys()
    for name, value in right.items():
        if value.dtype.kind == "i":
            np.testing.assert_array_equal(found[name], value)
            continue
        assert value.dtype == np.float64
        assert found[name].shape == value.shape
        assert value.std() > 0.01 * np.abs(value).max()
        assert np.abs(found[name] - value).max() < TOLERANCE * np.abs(value).max()
