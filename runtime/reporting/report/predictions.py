"""What the network says of single samples: confusions, curves, examples, points."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dhc.runtime.reporting.evidence import Case, Confusion, Evidence, Examples, RocCurve, Scatter
from dhc.runtime.reporting.report.charts import Curve, Frame, Style, curves, points
from dhc.runtime.reporting.report.files import RunFiles
from dhc.runtime.reporting.report.markup import Markup, join, tag
from dhc.runtime.reporting.report.results import by_weight, part_name

MAX_CLASSES = 40  # of a confusion matrix that is shown
_STYLES: tuple[Style, ...] = ("first", "second", "third", "fourth", "fifth", "sixth")
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")


def predictions_section(run: RunFiles) -> Markup:
    """Returns what is kept of each part."""
    parts = [_part(name, each, k == 0) for k, (name, each) in enumerate(by_weight(run.evidence))]
    shown = [each for each in parts if each]
    return join(shown) if shown else tag("p", "Nothing is kept of single samples.")


def _part(name: str, found: Evidence, first: bool) -> Markup:
    """Figures and examples; the examples of all parts but the first are folded."""
    figures = [_confusion(each) for each in found.confusions]
    figures += _rocs(found.curves)
    figures += [_scatter(each) for each in found.scatters]
    rows = [tag("div", *figures, class_="charts")] if figures else []
    rows += [_examples(each, first) for each in found.examples if each.cases]
    if not rows:
        return Markup()
    return tag("section", tag("h3", part_name(name).capitalize()), *rows, class_="part")


# ---- classes ---------------------------------------------------------------------------------


def _confusion(found: Confusion) -> Markup:
    title = f"Confusion matrix of {found.output}"
    if len(found.classes) > MAX_CLASSES:
        text = f"{title}: {len(found.classes)} classes are too many to show."
        return tag("figure", tag("figcaption", text))
    heads = [tag("th", name, scope="col") for name in found.classes]
    rows = [
        tag("tr", tag("th", name, scope="row"), *_cells(counts, k))
        for k, (name, counts) in enumerate(zip(found.classes, found.counts, strict=True))
    ]
    corner = tag("td", "true \\ predicted", class_="corner")
    grid = tag("table", tag("tr", corner, *heads), *rows, class_="confusion", aria_label=title)
    caption = tag("figcaption", title)
    note = tag("p", "Rows are true classes; shades are shares of a row.", class_="note")
    return tag("figure", caption, tag("div", grid, class_="table"), note)


def _cells(counts: Sequence[int], own: int) -> list[Markup]:
    total = sum(counts)
    cells = []
    for k, count in enumerate(counts):
        share = count / total if total else 0.0
        kind = "hit" if k == own else "miss"
        strong = " strong" if share > 0.8 else ""
        text = tag("small", f"{share:.0%}") if total else Markup()
        cells.append(
            tag("td", str(count), text, class_=kind + strong, style=f"--share:{share:.3f}")
        )
    return cells


def _rocs(found: Sequence[RocCurve]) -> list[Markup]:
    """One chart for each output; many classes are drawn thin and alike, so that none stands out."""
    charts = []
    for output in dict.fromkeys(each.output for each in found):
        own = [each for each in found if each.output == output]
        few = len(own) <= len(_STYLES)
        lines = [Curve("", [(0, 0), (1, 1)], "guide")]
        for k, each in enumerate(own):
            lines.append(Curve(each.name, each.points, _STYLES[k] if few else "faint"))
        frame = Frame(f"ROC curve of {output}", "1 - specificity", "sensitivity", unit=True)
        charts.append(curves(frame, lines))
    return charts


# ---- numbers and pictures --------------------------------------------------------------------


def _scatter(found: Scatter) -> Markup:
    shown = f"{len(found.points)} of " if found.total > len(found.points) else ""
    title = f"{found.output}: predicted over true values, {shown}{found.total} {found.unit}s"
    return points(Frame(title, "true", "predicted"), found.points)


def _examples(found: Examples, open_: bool) -> Markup:
    title = tag("summary", f"Examples of {found.output}, by {found.order}, the worst first")
    cases = [_case(each) for each in found.cases]
    if all(len(each.pictures) == 1 for each in found.cases):
        cases = [tag("div", *cases, class_="gallery")]
    keys = _keys() if any("difference" in each.pictures for each in found.cases) else Markup()
    return tag("details", title, keys, *cases, class_="examples", open=open_)


def _keys() -> Markup:
    kinds = {"found": "found", "missed": "missed", "alarm": "false"}
    keys = [
        tag("span", tag("span", class_=f"dot-key {kind}", aria_hidden="true"), text)
        for kind, text in kinds.items()
    ]
    return tag("div", "difference:", *keys, class_="legend")


def _case(case: Case) -> Markup:
    pictures = [_picture(case, what, content) for what, content in case.pictures.items()]
    label = tag("figcaption", tag("strong", case.rank), " ", case.name, tag("small", case.note))
    return tag("figure", label, tag("div", *pictures, class_="pictures"), class_="case")


def _picture(case: Case, what: str, content: str) -> Markup:
    if not _BASE64.fullmatch(content):
        return Markup()
    source = f"data:image/png;base64,{content}"
    image = tag("img", src=source, alt=f"{what} of {case.name}", loading="lazy")
    alone = len(case.pictures) == 1
    return tag("figure", image, Markup() if alone else tag("figcaption", what))
