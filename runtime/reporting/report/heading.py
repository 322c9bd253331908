"""The top of the page: what it is about, how it ended, the numbers that matter."""

from __future__ import annotations

from dhc.runtime.reporting.report.files import RunFiles
from dhc.runtime.reporting.report.markup import Markup, join, tag
from dhc.runtime.reporting.report.results import by_weight, part_name
from dhc.runtime.reporting.report.timing import samples_per_second, spent
from dhc.runtime.reporting.words import between, exact, fixed, number


def heading(run: RunFiles) -> Markup:
    """Returns title, state and figures."""
    labels = [tag("span", _state(run), class_="state")]
    if run.data is not None and run.data.synthetic:
        labels.append(tag("span", "synthetic data", class_="state synthetic"))
    title = tag("h1", run.name)
    figures = [_figure(*each) for each in _figures(run)]
    return join([title, tag("p", *labels), tag("dl", *figures, class_="figures")])


def _state(run: RunFiles) -> str:
    if run.status is None:
        return "no steps yet"
    if run.status.ended:
        return run.status.reason or "ended"
    return "had not ended when this was written"


def _figures(run: RunFiles) -> list[tuple[str, str, str]]:
    """Names, values and notes: those of the part that says most first."""
    found = []
    for part, result in by_weight(run.results)[:1]:
        for name, metric in list(result.metrics.items())[:2]:
            found.append((f"{part_name(part)} {name}", fixed(metric.value, 3), between(metric)))
    if run.epochs:
        best = f"best: {run.best.epoch}" if run.best else ""
        planned = f" of {run.status.epochs}" if run.status else ""
        found.append(("epochs", f"{len(run.epochs)}{planned}", best))
        found.append(("training time", exact(sum(spent(run).values())), ""))
    if len(run.steps) > 1:
        found.append(("samples per second", number(samples_per_second(run), 3), "in training"))
    return found


def _figure(name: str, value: str, note: str) -> Markup:
    return tag("div", tag("dt", name), tag("dd", value), tag("dd", note, class_="note"))
