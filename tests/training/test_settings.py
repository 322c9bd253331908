"""What a train block may say: every mistake is found before a step, with its place and a remedy."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dhc.errors import DhcError
from dhc.metrics import Bootstrap
from dhc.metrics.classification import F1
from dhc.training.run import Run

OpenStripes = Callable[..., Run]  # see conftest.py

MISTAKES = {
    "an optimizer that does not exist": (
        {"optimizer": "adamm(lr=1e-3)"},
        "did you mean 'adam'?",
    ),
    "an optimizer's argument": (
        {"optimizer": "adam(lr=1e-3, beta3=0.9)"},
        "'beta3'",
    ),
    "a rate that is no number": (
        {"optimizer": 'adam(lr="fast")'},
        "lr",
    ),
    "a schedule's bounds": (
        {"optimizer": "adam(lr=step(1e-3, every=0))"},
        "'every' to be at least 1",
    ),
    "a metric that does not exist": (
        {"metrics": "[acuracy(out.logits, data.label)]"},
        "did you mean 'accuracy'?",
    ),
    "a metric's argument": (
        {"metrics": "[top_k(out.logits, data.label, q=3)]"},
        "'q'",
    ),
    "a metric's argument that cannot be": (
        {"metrics": "[top_k(out.logits, data.label, k=0)]"},
        "'k' must be at least 1",
    ),
    "a metric that does not fit the output": (
        {"metrics": "[dice(out.logits, data.label)]"},
        "'dice' needs masks [N, C, ...]",
    ),
    "more scores than the output has": (
        {"metrics": "[top_k(out.logits, data.label)]"},
        "'top_k' needs 5 scores",
    ),
    "intervals of something else": ({"intervals": "kfold(5)"}, "use one of bootstrap"),
    "a level that is no share": (
        {"intervals": "bootstrap(level=95)"},
        "a level between 0 and 1, not 95",
    ),
    "a metric of an output that does not exist": (
        {"metrics": "[accuracy(out.logit, data.label)]"},
        "did you mean 'logits'?",
    ),
    "a metric of data that do not exist": (
        {"metrics": "[accuracy(out.logits, data.labels)]"},
        "'labels'",
    ),
    "a metric the wrong way round": (
        {"metrics": "[accuracy(data.label, out.logits)]"},
        "out.NAME, data.NAME",
    ),
    "data that are not there": (
        {"data": 'dataset("strips.npz")'},
        "did you mean 'stripes.npz'?",
    ),
    "memory of another kind": ({"memory": "2mm"}, "write memory = 2GB"),
    "a cache of another kind": (
        {"data": 'dataset("stripes.npz", train=plain, cache=2mm)'},
        "write cache = 2GB",
    ),
    "a cache of less than nothing": (
        {"data": 'dataset("stripes.npz", train=plain, cache=0 - 1)'},
        "'cache' is a size of memory.",
    ),
    "no memory": ({"memory": "0"}, "above 0"),
    "a phantom that does not exist": (
        {"data": 'dataset("phantom:lung_nodule")'},
        "did you mean 'phantom:lung_nodules'?",
    ),
    "a pipeline that takes another type": (
        {"data": 'dataset("stripes.npz")'},
        "takes 'image' as f32[N, 1, H, W]; a sample has u8[1, 16, 16]",
    ),
    "no epochs": ({"epochs": "0"}, "'epochs' must be at least 1"),
    "no batch": ({"batch": "0"}, "'batch' must be at least 1"),
    "no batches for an update": ({"accumulate": "0"}, "'accumulate' must be at least 1"),
    "a bound of gradients that is none": ({"clip": "0"}, "'clip' must be above 0"),
    "a clipped value of none": ({"clip": "by_value(-1)"}, "'by_value' needs a bound above 0"),
    "a way of clipping that is none": ({"clip": "ema()"}, "use one of by_norm, by_value"),
    "a penalty of nothing": ({"penalty": '[l2(0.1, "head.*")]'}, "'head.*' names no parameter"),
    "a penalty that is none": ({"penalty": "adam()"}, "use one of l1, l2"),
    "a penalty that is no call": ({"penalty": "0.1"}, "'penalty'"),
    "a constraint that is none": ({"constraint": "[l1(0.1)]"}, "'l1' is not a constraint"),
    "an initialiser of nothing": ({"initializers": 'he_normal("x")'}, "'x' names no parameter"),
    "bounds the wrong way round": ({"constraint": "min_max_norm(2, 1)"}, "needs bounds"),
    "an early stage that was not trained": ({"init": "stripes.best"}, "has not been trained"),
    "two beginnings": ({"init": '"a"', "weights": '"b"'}, "not with both"),
    "names that change for nothing": ({"rename": '[["a.", "b."]]'}, "there is neither"),
    "a rename that is no pair": (
        {"rename": '[["a."]]', "init": '"none.safetensors"'},
        "a list of pairs",
    ),
    "an average that keeps all": ({"average": "ema(decay=1)"}, "below 1"),
    "an average that is none": ({"average": "adam()"}, "'adam' is not an average"),
    "a freeze pattern that names nothing": (
        {"freeze": '["encoder.*"]'},
        "'encoder.*' names no parameter",
    ),
    "a loss of an output that does not exist": (
        {"loss": "cross_entropy(out.mask, data.label)"},
        "mask",
    ),
    "a loss whose shapes do not fit": (
        {"loss": "mse(out.logits, data.image)"},
        "mse",
    ),
    "a watched number that nothing measures": (
        {"stop": "early_stopping(patience=2, monitor=val.dice)"},
        "'dice'",
    ),
    "weights that are not there": ({"weights": '"none.safetensors"'}, "none.safetensors"),
    "ranks that share in an unknown way": (
        {"seed": "5\n    distribute { sync_batchnorm = true }"},
        "does not say how ranks share the work",
    ),
    "a way to share that does not work yet": (
        {"seed": "5\n    distribute { mode = local_sgd() }"},
        "'distribute.mode = local_sgd()' does not work yet",
    ),
    "compression that does not work yet": (
        {"seed": "5\n    distribute { mode = data_parallel(compress=bf16) }"},
        "'compress=bf16' does not work yet",
    ),
    "buckets of nothing": (
        {"seed": "5\n    distribute { mode = data_parallel(buckets=0) }"},
        "'buckets' to be at least 1",
    ),
    "a setting that does not exist": ({"epoch": "3"}, "did you mean 'epochs'?"),
    "a precision that the target has not": (
        {"precision": "f16"},
        "no precision 'f16'",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_found_before_the_first_step(mistake: str, open_stripes: OpenStripes) -> None:
    replaced, message = MISTAKES[mistake]
    with pytest.raises(DhcError) as raised:
        open_stripes(**replaced)
    assert message in str(raised.value)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_have_a_place(mistake: str, open_stripes: OpenStripes) -> None:
    with pytest.raises(DhcError) as raised:
        open_stripes(**MISTAKES[mistake][0])
    assert all(item.span is not None for item in raised.value.diagnostics)


def test_metrics_of_one_name_are_told_apart(open_stripes: OpenStripes) -> None:
    one, two = "accuracy(out.logits, data.label)", "top_k(out.logits, data.label, k=1)"
    run = open_stripes(metrics=f"[{one}, {two}, {one}]")
    names = [each.name for each in run.settings.metrics]
    assert names == ["accuracy_logits_1", "top_k", "accuracy_logits_3"]


def test_intervals_have_95_percent_and_1000_draws_unless_asked(open_stripes: OpenStripes) -> None:
    assert open_stripes().settings.intervals == Bootstrap(0.95, 1000)
    found = open_stripes(intervals="bootstrap(level=99%, draws=200)").settings
    assert found.intervals == Bootstrap(0.99, 200)


def test_metrics_take_the_arguments_of_their_kind(open_stripes: OpenStripes) -> None:
    text = "[f1(out.logits, data.label, average=micro, threshold=0.3)]"
    (found,) = open_stripes(metrics=text).settings.metrics
    assert found.metric == F1(threshold=0.3, average="micro")
