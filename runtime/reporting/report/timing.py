"""Where the time went."""

from __future__ import annotations

from collections.abc import Mapping

from dhc.runtime.reporting.report.charts import Curve, Frame, curves
from dhc.runtime.reporting.report.files import RunFiles
from dhc.runtime.reporting.report.markup import Markup, join, table, tag
from dhc.runtime.reporting.words import exact, number

KINDS = {
    "step": "steps: forward, backward, optimizer",
    "wait": "waiting for data",
    "other": "between steps: checkpoints, records",
    "validate": "validation",
}


def timing_section(run: RunFiles) -> Markup:
    """Returns shares of the time, samples per second, and both over the epochs."""
    if not run.epochs:
        return tag("p", "No epoch has ended yet.")
    found = spent(run)
    total = sum(found.values()) or 1.0
    bars = [
        tag("span", class_=f"slice {kind}", style=f"--share:{seconds / total:.4f}",
            title=f"{KINDS[kind]}: {seconds:.2f} s")
        for kind, seconds in found.items()
    ]  # fmt: skip
    rows = [
        [_key(kind), f"{seconds:.2f} s", f"{seconds / total:.1%}"]
        for kind, seconds in found.items()
    ]
    rows.append(["together", f"{total:.2f} s", ""])
    stack = tag("div", *bars, class_="stack", aria_hidden="true")
    return join([stack, table(("what", "time", "share"), rows), _rates(run), _chart(run)])


def spent(run: RunFiles) -> dict[str, float]:
    """Returns seconds by kind over all epochs that have ended."""
    ended = {each.epoch for each in run.epochs}
    steps = [step for step in run.steps if step.epoch in ended]
    found = {"step": sum(s.seconds for s in steps), "wait": sum(s.waited for s in steps)}
    train = sum(each.seconds.get("train", 0.0) for each in run.epochs)
    found["other"] = max(train - sum(found.values()), 0.0)
    found["validate"] = sum(each.seconds.get("validate", 0.0) for each in run.epochs)
    return found


def samples_per_second(run: RunFiles) -> float:
    """Returns samples per second of training, without the first step, which compiles."""
    steps = [step for step in run.steps if step.step > 1]
    seconds = sum(step.seconds + step.waited for step in steps)
    return sum(step.samples for step in steps) / seconds if seconds else float("nan")


def _rates(run: RunFiles) -> Markup:
    later = sorted(step.seconds for step in run.steps if step.step > 1)
    if not later:
        return Markup()
    first = next((step.seconds for step in run.steps if step.step == 1), None)
    median = later[len(later) // 2]
    text = f"{number(samples_per_second(run), 3)} samples per second in training; "
    text += f"a step takes {1000 * median:.3g} ms (median)."
    if first is not None:
        text += f" The first one, which compiles its kernels, took {exact(first)}."
    return tag("p", text)


def _key(kind: str) -> Markup:
    return join([tag("span", class_=f"dot-key {kind}", aria_hidden="true"), KINDS[kind]])


def _chart(run: RunFiles) -> Markup:
    if len(run.epochs) < 2:
        return Markup()
    steps: dict[int, dict[str, float]] = {}
    for each in run.steps:
        own = steps.setdefault(each.epoch, {"samples": 0.0, "seconds": 0.0})
        if each.step > 1:
            own["samples"] += each.samples
            own["seconds"] += each.seconds + each.waited
    rate = [(float(e), _rate(own)) for e, own in steps.items()]
    seconds = [(float(e.epoch), sum(e.seconds.values())) for e in run.epochs]
    charts = [
        curves(Frame("Samples per second", "epoch"), [Curve("", rate, "first")]),
        curves(Frame("Seconds of an epoch", "epoch"), [Curve("", seconds, "second")]),
    ]
    return tag("div", *charts, class_="charts")


def _rate(own: Mapping[str, float]) -> float:
    return own["samples"] / own["seconds"] if own["seconds"] else float("nan")
