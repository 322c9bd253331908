"""Graphs of models: shapes, weight names, sharing, and what the sizes must satisfy."""

from __future__ import annotations

import pytest

from dhc.errors import DhcError
from dhc.frontend import Entry, check, load_text
from dhc.ir.graph import Node
from dhc.ops.activation import Gelu

UNET = """
block conv2x(c) {
    conv(c, kernel=3, pad=same) -> batchnorm() -> relu()
        -> conv(c, kernel=3, pad=same) -> batchnorm() -> relu()
}
block down(c) {
    conv(c, kernel=2, stride=2) -> conv2x(c)
}
block join(c) {
    input x: f32[N, ?, H, W]
    input skip: f32[N, ?, H, W]
    output (x -> conv(c, kernel=1), skip) -> concat(axis=C) -> conv2x(c)
}
model UNet(classes = 1, width = 8) {
    input ct: f32[N, 1, H, W]
    e1 = ct -> conv2x(width)
    e2 = ct -> conv2x(width) -> conv2x(2 * width)
    d1 = (e2, e1) -> join(width)
    output nodule = d1 -> conv(classes, kernel=1, name="head") -> sigmoid()
}
"""


def model(text: str, name: str = "M", **parameters: object) -> Entry:
    return load_text(text).model(name, **parameters)


def body(statements: str) -> Entry:
    return model(f"model M() {{ input x: f32[N, 4, H, W] {statements} }}")


def outputs(entry: Entry) -> dict[str, str]:
    return {name: str(node.type) for name, node in entry.graph.outputs}


def weights(entry: Entry) -> list[str]:
    return [param.path for param in entry.graph.params]


def problems(text: str) -> list[str]:
    try:
        found = check(load_text(text)).diagnostics
    except DhcError as problem:
        found = list(problem.diagnostics)
    return [item.code for item in found]


def test_unet_has_stable_weight_names_and_shapes() -> None:
    entry = model(UNET, "UNet")
    assert outputs(entry) == {"nodule": "f32[N, 1, H, W]"}
    kernels = [path for path in weights(entry) if path.endswith("weight")]
    assert kernels == [
        "e2.conv.weight",
        "e2.conv#2.weight",
        "e2.conv#3.weight",
        "e2.conv#4.weight",
        "d1.conv.weight",
        "e1.conv.weight",
        "e1.conv#2.weight",
        "d1.conv#2.weight",
        "d1.conv#3.weight",
        "head.weight",
    ]


def test_parameters_reach_the_graph() -> None:
    entry = model(UNET, "UNet", classes=3, width=2)
    assert outputs(entry) == {"nodule": "f32[N, 3, H, W]"}
    assert dict(entry.parameters) == {"classes": 3, "width": 2}


def test_same_parameters_give_the_same_entry() -> None:
    program = load_text(UNET)
    assert program.model("UNet", width=4) is program.model("UNet", width=4)


RESNET = """
let expand = 2
block bottleneck(c, stride = 1) {
    input x: f32[N, cin, H, W]
    y = x -> conv(c, kernel=1) -> relu() -> conv(c, kernel=3, stride=stride, pad=same)
        -> conv(expand * c, kernel=1)
    if stride == 1 and cin == expand * c {
        output relu(x + y)
    } else {
        side = x -> conv(expand * c, kernel=1, stride=stride)
        output relu(side + y)
    }
}
model ResNet(depths = [1, 2]) {
    input image: f32[N, 3, H, W]
    x = image -> conv(4, kernel=3, pad=same)
    for i, n in depths {
        x = x -> bottleneck(4 * 2 ^ i, stride = if i > 0 then 2 else 1)
        repeat n - 1 { x = x -> bottleneck(4 * 2 ^ i) }
    }
    output features = x
}
"""


def test_loops_number_the_weights_by_turn() -> None:
    entry = model(RESNET, "ResNet")
    kernels = [path for path in weights(entry) if path.endswith("weight")]
    assert sorted(kernels) == [
        "x.conv.weight",
        "x[0].side.conv.weight",
        "x[0].y.conv#2.weight",
        "x[0].y.conv#3.weight",
        "x[0].y.conv.weight",
        "x[1].side.conv.weight",
        "x[1].y.conv#2.weight",
        "x[1].y.conv#3.weight",
        "x[1].y.conv.weight",
        "x[1][0].y.conv#2.weight",
        "x[1][0].y.conv#3.weight",
        "x[1][0].y.conv.weight",
    ]
    assert outputs(entry)["features"].startswith("f32[N, 16, ")


def test_constraints_on_sizes_are_reported() -> None:
    text = """
    block half() {
        input small: f32[N, ?, H, W]
        input large: f32[N, ?, 2 * H, W]
        output small
    }
    model M() {
        input x: f32[N, 4, H, W]
        output y = (x -> conv(2, kernel=[2, 1], stride=[2, 1]), x) -> half()
    }
    """
    report = check(load_text(text))
    assert report.diagnostics == []
    assert report.constraints == {"M": ("H % 2 == 0",)}


def test_chains_in_loops_of_blocks_are_numbered() -> None:
    text = """
    block deep(n) { repeat n { conv(4, kernel=1) -> relu() } }
    model M() { input x: f32[N, 4, H, W] output y = x -> deep(3) }
    """
    kernels = [path for path in weights(model(text)) if path.endswith("weight")]
    assert kernels == [f"y.conv[{turn}].weight" for turn in range(3)]


def test_a_share_is_one_set_of_weights() -> None:
    text = """
    share encoder = twice(6)
    block twice(c) { conv(c, kernel=1) -> conv(4, kernel=1) }
    model M() {
        input a: f32[N, 4, H, W]
        input b: f32[N, 4, H, W]
        output y = (a -> encoder, encoder(b)) -> concat(axis=C)
    }
    """
    kernels = [path for path in weights(model(text)) if path.endswith("weight")]
    assert kernels == ["encoder.conv.weight", "encoder.conv#2.weight"]


def test_a_model_is_a_block() -> None:
    text = """
    model Inner(c = 2) { input x: f32[N, ?, H, W] output y = x -> conv(c, kernel=1) }
    model M(members = [Inner, Inner(c=3)]) {
        input x: f32[N, 4, H, W]
        outs = []
        for net in members { outs = append(outs, net(x)) }
        output all = outs -> concat(axis=C)
    }
    """
    entry = model(text)
    assert outputs(entry) == {"all": "f32[N, 5, H, W]"}
    assert [p for p in weights(entry) if "weight" in p] == [
        "outs[0].y.conv.weight",
        "outs[1].y.conv.weight",
    ]


def test_several_outputs_are_members_and_items() -> None:
    text = """
    block split2() {
        input x: f32[N, ?, H, W]
        output low = x -> conv(1, kernel=1)
        output high = x -> conv(2, kernel=1)
    }
    model M() {
        input x: f32[N, 4, H, W]
        f = x -> split2()
        a, b = split2(x)
        maps = [f.low, f.high]
        output p = f.low
        output q = maps[1]
        output r = (a, b) -> concat(axis=C)
        output s = f[-1]
    }
    """
    assert outputs(model(text)) == {
        "p": "f32[N, 1, H, W]",
        "q": "f32[N, 2, H, W]",
        "r": "f32[N, 3, H, W]",
        "s": "f32[N, 2, H, W]",
    }


def test_inputs_by_name() -> None:
    text = """
    block join() {
        input a: f32[N, ?, H, W]
        input b: f32[N, ?, H, W]
        output (a, b) -> concat(axis=C)
    }
    model M() { input x: f32[N, 4, H, W] output y = join(b=x, a=x) }
    """
    assert outputs(model(text)) == {"y": "f32[N, 8, H, W]"}


def test_sizes_are_names_and_members() -> None:
    text = """
    block check(c) {
        input x: f32[N, C=c, H=h, W]
        let channels = x.C + h - h
        output x -> conv(channels * 2, kernel=1)
    }
    model M() { input x: f32[N, 4, H, W] output y = x -> check(4) }
    """
    assert outputs(model(text)) == {"y": "f32[N, 8, H, W]"}


@pytest.mark.parametrize(
    ("letter", "sizes"), [("N", "2 * N"), ("C", "8"), ("H", "2 * H"), ("W", "2 * W")]
)
def test_axis_letters(letter: str, sizes: str) -> None:
    entry = body(f"output y = (x, x) -> concat(axis={letter})")
    assert sizes in outputs(entry)["y"]


def test_axis_letters_in_volumes() -> None:
    text = "model M() { input x: f32[N, 4, D, H, W] output y = (x, x) -> concat(axis=D) }"
    assert outputs(model(text)) == {"y": "f32[N, 4, 2 * D, H, W]"}


@pytest.mark.parametrize("argument", ["tanh", "form=tanh", '"tanh"'])
def test_a_word_may_be_the_name_of_an_operator(argument: str) -> None:
    (output,) = dict(body(f"output y = x -> gelu({argument})").graph.outputs).values()
    assert str(output.op) == str(Gelu("tanh"))


def test_arithmetic_between_tensors_and_numbers() -> None:
    assert outputs(body("output y = (x + 1) * x / 2 - x")) == {"y": "f32[N, 4, H, W]"}


def test_origins_tell_lines_and_layer_paths() -> None:
    entry = model(UNET, "UNet")
    output: Node = entry.graph.outputs[0][1]
    origin = entry.graph.origin(output)
    assert origin.span is not None
    assert origin.span.text == "sigmoid()"
    convolution = output.inputs[0]
    assert entry.graph.origin(convolution).path == "head"
    assert entry.graph.origin(convolution.inputs[1]).path == "head.weight"


def test_unnamed_output_takes_the_name_of_its_value() -> None:
    assert list(outputs(body("z = relu(x) output z"))) == ["z"]
    assert list(outputs(body("output relu(x)"))) == ["output"]


def test_outputs_may_be_used_further() -> None:
    assert list(outputs(body("output a = relu(x) output b = relu(a)"))) == ["a", "b"]


def test_all_mistakes_of_a_body_are_reported() -> None:
    text = """model M() {
        input x: f32[N, 4, H, W]
        a = x -> conv(3, kernel=0 - 1.5)
        b = a -> relu()
        c = x -> concat(axis=9)
        output x
    }"""
    assert problems(text) == ["type", "shape-mismatch"]


def test_mistakes_of_all_items_are_reported() -> None:
    text = "let a = nothing\nmodel M() { input x: f32[N] output rellu(x) }\ntrain t { epoch = 3 }"
    assert set(problems(text)) == {"unknown-name"}
    assert len(problems(text)) == 2


def test_an_operator_added_at_run_time_is_known_at_once() -> None:
    from dhc.ir.scalar import Scalar
    from dhc.ops.base import Elementwise, forget, op

    try:

        @op("threefold")
        class Threefold(Elementwise):
            """3 * x, or another factor."""

            factor: float = 3.0

            def scalar(self, x: Scalar) -> Scalar:
                return x * self.factor

        entry = body("output y = x -> threefold(factor=2)")
        assert entry.graph.outputs[0][1].op == Threefold(2.0)
    finally:
        forget("threefold")
