"""Settings of trains, targets and studies."""

from __future__ import annotations

import pytest

from dhc.errors import DhcError
from dhc.frontend import Program, load_text
from dhc.frontend.values import DefinitionValue, Instance, Interval, Record, Reference, Word
from dhc.ir.graph import Input
from dhc.ir.types import DType, Tensor

TEXT = """
model Net(width=8) {
    input image: f32[N, 3, H, W]
    output lesion = image -> conv(width, kernel=1) -> conv(1, kernel=1) -> sigmoid()
}
block squared() {
    input p: f32[N, C, H, W]
    input t: f32[N, C, H, W]
    d = p - t
    output d * d
}
train first {
    model = Net(width=4)
    data = dataset("isic.yml", workers=2)
    loss = 0.5 * squared(out.lesion, data.lesion) + 1
    metrics = [iou(out.lesion, data.lesion), dice(out.lesion, data.lesion, threshold=0.4)]
    optimizer = adam(lr=cosine(1e-3 .. 1e-5, warmup=500))
    epochs = 3
    precision = bf16
    freeze = ["encoder.*"]
    folds = kfold(5, group=patient)
    distribute { mode = data_parallel() sync_batchnorm = true }
}
train second {
    model = Net
    data = dataset("isic.yml")
    init = first.best
    loss = squared(out.lesion, data.lesion)
    optimizer = sgd()
}
target edge {
    backend = fpga(part="xczu9eg", clock=200MHz, mode=stream)
    quantize = int8(per=tensor)
    precision = int8
    threads = 2
}
study choice {
    candidates = [first, second]
    split = by(patient)
    select = max(val.auc)
    final = ensemble(top=6)
}
"""


@pytest.fixture(scope="module")
def program() -> Program:
    return load_text(TEXT)


def test_items_by_kind(program: Program) -> None:
    assert program.models == ("Net",)
    assert program.blocks == ("squared",)
    assert program.trains == ("first", "second")
    assert program.targets == ("edge",)
    assert program.studies == ("choice",)
    assert program.pipelines == program.apps == ()


def test_values_of_a_train(program: Program) -> None:
    values = program.train("first").values
    assert values["epochs"] == 3
    assert values["precision"] == Word("bf16")
    assert values["freeze"] == ("encoder.*",)
    assert values["distribute.sync_batchnorm"] is True
    optimizer = values["optimizer"]
    assert isinstance(optimizer, Record)
    assert optimizer.get("beta1") == 0.9
    rate = optimizer.get("lr")
    assert isinstance(rate, Record)
    assert (rate.name, rate.get("lr"), rate.get("warmup")) == ("cosine", Interval(1e-3, 1e-5), 500)
    folds = values["folds"]
    assert isinstance(folds, Record)
    assert folds.get("group") == Reference("patient")


def test_metrics_are_records_over_outputs_and_data(program: Program) -> None:
    metrics = program.train("first").values["metrics"]
    assert isinstance(metrics, tuple)
    assert [each.name for each in metrics if isinstance(each, Record)] == ["iou", "dice"]
    assert isinstance(metrics[1], Record)
    assert metrics[1].arguments == (
        ("prediction", Reference("out.lesion")),
        ("truth", Reference("data.lesion")),
        ("threshold", 0.4),
        ("per_sample", False),
    )


def test_the_model_of_a_train_is_built_with_its_arguments(program: Program) -> None:
    instance = program.train("first").values["model"]
    assert isinstance(instance, Instance)
    entry = program.instance(instance)
    assert dict(entry.parameters) == {"width": 4}
    second = program.train("second").values["model"]
    assert isinstance(second, Instance)
    assert isinstance(second.callee, DefinitionValue)


def test_stages_follow_each_other(program: Program) -> None:
    assert program.train("second").values["init"] == Reference("first.best")


def test_the_loss_is_a_graph_of_outputs_and_data(program: Program) -> None:
    type = Tensor(DType.F32, (2, 1, 8, 8))
    tensors = {"lesion": Input("p", type)()}
    loss = program.loss("first", tensors, {"lesion": Input("t", type)()})
    assert loss.type == type
    with pytest.raises(DhcError, match="There is no output 'lesion'"):
        program.loss("first", {}, tensors)


def test_target(program: Program) -> None:
    target = program.target("edge")
    assert target.backend == "fpga"
    assert target.arguments == {"part": "xczu9eg", "clock": 200e6, "mode": "stream"}
    assert (target.precision, target.threads) == ("int8", 2)
    assert target.quantize is not None
    assert target.quantize.get("per") == Word("tensor")


def test_study(program: Program) -> None:
    values = program.study("choice").values
    select = values["select"]
    assert isinstance(select, Record)
    assert (select.name, select.arguments) == ("max", (("0", Reference("val.auc")),))


def test_unknown_entries_are_guessed(program: Program) -> None:
    with pytest.raises(DhcError, match="did you mean 'Net'"):
        program.model("Nat")
    with pytest.raises(DhcError, match="it has edge"):
        program.target("zzz")
    with pytest.raises(DhcError, match="has no argument 'depth'"):
        program.model("Net", depth=3)
