"""Charts as SVG: curves, points, and bars of intervals.

Colours are classes, so that the style sheet decides them for light, dark and paper; curves also
differ in their strokes, for those who see no colours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from dhc.runtime.reporting.report.markup import Markup, join, short, tag
from dhc.runtime.reporting.report.scale import Scale, scale_of
from dhc.runtime.reporting.words import number

WIDTH, HEIGHT = 560.0, 280.0
LEFT, RIGHT, TOP, BOTTOM = 58.0, 14.0, 14.0, 40.0
MAX_DOTS = 60  # points of a curve that are marked
MAX_LEGEND = 8  # curves that are named beside the chart; more only say their names to a pointer
MAX_POINTS = 400  # of a curve; more are drawn as means of neighbours

Style = Literal["first", "second", "third", "fourth", "fifth", "sixth", "faint", "guide"]


@dataclass(frozen=True)
class Curve:
    """A series of points.

    Attributes:
        name: In the legend.
        points: Pairs of x and y; what is no number is a gap.
        style: Its colour and stroke.
    """

    name: str
    points: Sequence[tuple[float, float]]
    style: Style = "first"


@dataclass(frozen=True)
class Frame:
    """What stands around the curves.

    Attributes:
        title: Of the chart, also for those who hear it.
        x, y: What the axes measure.
        mark: An x that is marked, and how it is called.
        unit: Whether both axes go from 0 to 1.
    """

    title: str
    x: str
    y: str = ""
    mark: tuple[float, str] | None = None
    unit: bool = False


@dataclass(frozen=True)
class _Axes:
    x: Scale
    y: Scale
    parts: list[Markup] = field(default_factory=list)


def curves(frame: Frame, lines: Sequence[Curve]) -> Markup:
    """Returns a chart of curves over a common x."""
    drawn = [Curve(line.name, _thinned(line.points), line.style) for line in lines]
    axes = _axes(frame, [point for line in drawn for point in line.points])
    parts = [*_grid(frame, axes), *_mark(frame, axes)]
    parts += [_path(line, axes) for line in drawn]
    parts += [dot for line in drawn for dot in _dots(line, axes)]
    named = [line for line in drawn if line.name]
    legend = _legend(named) if 1 < len(named) <= MAX_LEGEND else Markup()
    return _figure(frame, parts, legend, axes)


def points(frame: Frame, values: Sequence[tuple[float, float]]) -> Markup:
    """Returns a chart of points, with the line where x and y are equal."""
    known = [(x, y) for x, y in values if math.isfinite(x) and math.isfinite(y)]
    both = [v for point in known for v in point]
    scales = scale_of(both, 0, 1)
    low, high = (scales.low, scales.high) if not scales.logarithmic else (min(both), max(both))
    axes = _Axes(
        Scale(low, high, LEFT, WIDTH - RIGHT), Scale(low, high, HEIGHT - BOTTOM, TOP)
    )  # fmt: skip
    guide = _path(Curve("", [(low, low), (high, high)], "guide"), axes)
    dots = [
        tag("circle", cx=axes.x.place(x), cy=axes.y.place(y), r=2.2, class_="point")
        for x, y in known
    ]
    return _figure(frame, [*_grid(frame, axes), guide, *dots], Markup(), axes)


def interval_bar(value: float, low: float, high: float, ends: tuple[float, float]) -> Markup:
    """Returns a value with its interval between two ends, as a small picture."""
    scale = Scale(*ends, 4, 196) if ends[1] > ends[0] else Scale(0, 1, 4, 196)
    parts = [tag("line", x1=4, x2=196, y1=9, y2=9, class_="rail")]
    if math.isfinite(low) and math.isfinite(high):
        a, b = scale.place(low), scale.place(high)
        parts.append(tag("rect", x=a, y=5.5, width=max(b - a, 1), height=7, rx=3, class_="span"))
    if math.isfinite(value):
        parts.append(tag("circle", cx=scale.place(value), cy=9, r=4, class_="value"))
    return tag("svg", *parts, viewBox="0 0 200 18", class_="interval", aria_hidden="true")


# ---- parts of a chart ------------------------------------------------------------------------


def _axes(frame: Frame, given: Sequence[tuple[float, float]]) -> _Axes:
    if frame.unit:
        return _Axes(Scale(0, 1, LEFT, WIDTH - RIGHT), Scale(0, 1, HEIGHT - BOTTOM, TOP))
    x = scale_of((x for x, _ in given), LEFT, WIDTH - RIGHT, fixed=True)
    return _Axes(x, scale_of((y for _, y in given), HEIGHT - BOTTOM, TOP))


def _grid(frame: Frame, axes: _Axes) -> list[Markup]:
    parts = []
    for value, text in axes.y.ticks():
        y = axes.y.place(value)
        parts.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="grid"))
        parts.append(tag("text", text, x=LEFT - 8, y=y + 4, text_anchor="end"))
    base = HEIGHT - BOTTOM
    for value, text in axes.x.ticks(7):
        x = axes.x.place(value)
        parts.append(tag("line", x1=x, x2=x, y1=base, y2=base + 4, class_="axis"))
        parts.append(tag("text", text, x=x, y=base + 18, text_anchor="middle"))
    parts.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=base, y2=base, class_="axis"))
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(tag("text", frame.x, x=middle, y=HEIGHT - 4, text_anchor="middle", class_="name"))
    if frame.y:
        y = (TOP + HEIGHT - BOTTOM) / 2
        turned = f"rotate(-90 12 {short(y)})"
        name = tag(
            "text", frame.y, x=12, y=y, text_anchor="middle", transform=turned, class_="name"
        )
        parts.append(name)
    return parts


def _mark(frame: Frame, axes: _Axes) -> list[Markup]:
    if frame.mark is None:
        return []
    value, text = frame.mark
    x = axes.x.place(value)
    left = x > (LEFT + WIDTH - RIGHT) / 2
    anchor, shift = ("end", -5) if left else ("start", 5)
    return [
        tag("line", x1=x, x2=x, y1=TOP, y2=HEIGHT - BOTTOM, class_="mark"),
        tag("text", text, x=x + shift, y=TOP + 9, text_anchor=anchor, class_="marked"),
    ]


def _path(line: Curve, axes: _Axes) -> Markup:
    commands, pen = [], "M"
    for x, y in line.points:
        if not math.isfinite(x) or not math.isfinite(y) or (axes.y.logarithmic and y <= 0):
            pen = "M"
            continue
        commands.append(f"{pen}{short(axes.x.place(x))} {short(axes.y.place(y))}")
        pen = "L"
    name = [tag("title", line.name)] if line.name else []
    return tag("path", *name, d="".join(commands), class_=f"curve {line.style}")


def _dots(line: Curve, axes: _Axes) -> list[Markup]:
    """A point for each value where there are few, with its numbers for the pointer."""
    if line.style not in ("first", "second") or len(line.points) > MAX_DOTS:
        return []
    return [
        tag(
            "circle", tag("title", f"{line.name}: {number(y)} at {number(x)}"),
            cx=axes.x.place(x), cy=axes.y.place(y), r=2.6, class_=f"dot {line.style}",
        )
        for x, y in line.points
        if math.isfinite(y) and not (axes.y.logarithmic and y <= 0)
    ]  # fmt: skip


def _legend(lines: Sequence[Curve]) -> Markup:
    items = []
    for line in lines:
        stroke = tag("path", d="M0 5H26", class_=f"curve {line.style}")
        key = tag("svg", stroke, viewBox="0 0 26 10", class_="key", aria_hidden="true")
        items.append(tag("span", key, line.name))
    return tag("div", *items, class_="legend")


def _figure(frame: Frame, parts: Sequence[Markup], legend: Markup, axes: _Axes) -> Markup:
    title = frame.title + (" (logarithmic)" if axes.y.logarithmic else "")
    size = f"0 0 {short(WIDTH)} {short(HEIGHT)}"
    picture = tag("svg", join(parts), viewBox=size, role="img", aria_label=title, class_="chart")
    return tag("figure", tag("figcaption", title), picture, legend)


def _thinned(given: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most `MAX_POINTS` points: means of neighbours, not every other point."""
    if len(given) <= MAX_POINTS:
        return list(given)
    groups = np.array_split(np.asarray(given, np.float64), MAX_POINTS)
    means = [group.mean(0) for group in groups]
    return [(float(x), float(y)) for x, y in means]
