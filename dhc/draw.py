"""Draws the layers of a graph as SVG: one below the other, with arcs for what skips layers."""

from __future__ import annotations

from dataclasses import dataclass
from xml.sax.saxutils import escape

from dhc.ir.graph import Constant, Graph, Input, Literal_, Node, Param, topological

BOX_WIDTH, BOX_HEIGHT, GAP = 360, 40, 14
MARGIN, ARC_STEP, MAX_ARC = 20, 14, 220
COLOURS = {
    "input": "#dbe9f6",
    "output": "#fde2c8",
    "layer": "#ffffff",
}


@dataclass
class _Layer:
    """A box: the nodes of one layer, with the boxes it reads."""

    path: str
    kind: str
    operators: list[str]
    result: str
    sources: list[int]


def draw(graph: Graph) -> str:
    """Returns an SVG picture of a graph; sizes may be symbolic."""
    layers = _layers(graph)
    arcs = [(s, t) for t, layer in enumerate(layers) for s in layer.sources if t - s > 1]
    reach = max((_reach(s, t) for s, t in arcs), default=0)
    width = 2 * MARGIN + BOX_WIDTH + reach
    height = 2 * MARGIN + len(layers) * (BOX_HEIGHT + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
        f"<title>{escape(graph.name)}</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#567"/></marker></defs>',
        f'<rect width="{width}" height="{height}" fill="#fafafa"/>',
    ]
    for number, layer in enumerate(layers):
        parts += [_arrow(source, number) for source in layer.sources]
        parts.append(_box(number, layer))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _layers(graph: Graph) -> list[_Layer]:
    outputs = {node: name for name, node in graph.outputs}
    place: dict[Node, int] = {}
    layers: list[_Layer] = []
    for node in topological((*graph.inputs, *graph.roots)):
        if isinstance(node.op, (Param, Constant, Literal_)):
            continue
        path = node.op.label if isinstance(node.op, Input) else graph.origin(node).path
        sources = sorted({place[s] for s in node.inputs if s in place})
        last = layers[-1] if layers else None
        if last is not None and path and last.path == path and _extends(sources, len(layers) - 1):
            last.operators.append(node.op.name)
            last.result = str(node.type)
            last.sources = sorted({*last.sources, *(s for s in sources if s < len(layers) - 1)})
        else:
            kind = "input" if isinstance(node.op, Input) else "layer"
            layers.append(_Layer(path, kind, [node.op.name], str(node.type), sources))
        place[node] = len(layers) - 1
        if node in outputs:
            layers[-1].kind = "output"
            layers[-1].operators.append(f"= {outputs[node]}")
    return layers


def _extends(sources: list[int], current: int) -> bool:
    """Whether a node continues the box drawn last."""
    return current in sources or not sources


def _top(number: int) -> int:
    return MARGIN + number * (BOX_HEIGHT + GAP)


def _reach(source: int, target: int) -> int:
    """How far to the right an arc goes."""
    return min(MAX_ARC, 20 + ARC_STEP * (target - source))


def _arrow(source: int, target: int) -> str:
    if target - source == 1:
        x, start, end = MARGIN + BOX_WIDTH // 2, _top(source) + BOX_HEIGHT, _top(target)
        path = f"M{x} {start}V{end - 1}"
    else:
        right = MARGIN + BOX_WIDTH
        start, end = _top(source) + BOX_HEIGHT * 3 // 4, _top(target) + BOX_HEIGHT // 4
        bow = right + _reach(source, target)
        path = f"M{right} {start}C{bow} {start} {bow} {end} {right + 1} {end}"
    return f'<path d="{path}" fill="none" stroke="#567" marker-end="url(#tip)"/>'


def _box(number: int, layer: _Layer) -> str:
    top, middle = _top(number), MARGIN + BOX_WIDTH // 2
    name = layer.path or layer.operators[0]
    words = " ".join(dict.fromkeys(layer.operators)) if layer.kind != "input" else "input"
    shown = f"{words}  {layer.result}"
    return (
        f'<rect x="{MARGIN}" y="{top}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="6" '
        f'fill="{COLOURS[layer.kind]}" stroke="#9ab"/>'
        f'<text x="{middle}" y="{top + 16}" text-anchor="middle" font-weight="bold">'
        f"{escape(_short(name, 50))}</text>"
        f'<text x="{middle}" y="{top + 32}" text-anchor="middle" fill="#456">'
        f"{escape(_short(shown, 58))}</text>"
    )


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
