"""Makes one resampling of neighbouring stages that move pixels.

This is what pipelines mean: pixels are interpolated once, however many stages move them, and what
one stage moves out of the picture another may bring back. A crop cuts for good.

Two warps become one if both read pixels in the same way. What lies outside the picture must have
one meaning, too: either both fill it alike, or one of them never looks outside, because it shows
just the whole picture (a resize, a mirror image).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from dhc.ir.graph import Graph, Literal_, Node, literal
from dhc.ir.rewrite import rebuild, transform
from dhc.ir.rules import single_use
from dhc.ir.size import Size
from dhc.ir.types import DType
from dhc.ops.affine import (
    AffineMirror,
    AffineResize,
    AffineTranslation,
    ComposeAffine,
    Plane,
)
from dhc.ops.elementwise import Where
from dhc.ops.movement import SizeValue, Slice
from dhc.ops.warp import AffineWarp
from dhc.passes.manager import Pass


@dataclass(frozen=True)
class ComposeWarps(Pass):
    """warp(warp(x, a), b) => warp(x, a after b), also with crops and mirror images between."""

    name: ClassVar[str] = "compose_affine"
    optional: ClassVar[bool] = True

    def __call__(self, graph: Graph) -> Graph:
        return _fold_crops(transform(graph, _compose))


def _compose(node: Node, inputs: tuple[Node, ...]) -> Node:
    node = rebuild(node, inputs)
    match node.op:
        case AffineWarp():
            return _after_warp(node) or _after_crop(node) or node
        case Slice():
            return _mirrored(node) or node
    return node


# ---- two warps -------------------------------------------------------------------------------


def _after_warp(node: Node) -> Node | None:
    """A warp whose input is a warp."""
    first, matrix = node.inputs
    if not isinstance(first.op, AffineWarp) or not isinstance(node.op, AffineWarp):
        return None
    if not _alike(first.op, node.op):
        return None
    x, inner = first.inputs
    outside = _common_outside(node, first)
    if outside is None:
        return None
    merged = replace(node.op, border=outside.border, fill=outside.fill)
    return merged(x, ComposeAffine()(inner, matrix))


def _alike(first: AffineWarp, second: AffineWarp) -> bool:
    return first.interpolation == second.interpolation and not (first.alone or second.alone)


def _common_outside(node: Node, first: Node) -> AffineWarp | None:
    """The warp that says what lies outside the picture, if it is one."""
    second, before = node.op, first.op
    assert isinstance(second, AffineWarp)
    assert isinstance(before, AffineWarp)
    if _shows_all(node):
        return before
    if _shows_all(first):
        return second
    return second if (second.border, second.fill) == (before.border, before.fill) else None


def _shows_all(node: Node) -> bool:
    """Whether a warp shows just the whole of its input: nothing is cut, nothing comes in."""
    assert isinstance(node.op, AffineWarp)
    x, matrix = node.inputs
    return source_plane(matrix, node.op.size) == x.type.shape[-2:]


def source_plane(matrix: Node, target: Plane) -> Plane | None:
    """Returns the size of the picture that a map shows just the whole of, if there is one.

    Args:
        matrix: The map.
        target: The height and width of the result.
    """
    match matrix.op:
        case AffineResize(source, result) if result == target:
            return source
        case AffineMirror(size) if size == target:
            return size
        case AffineTranslation() if all(_is_zero(each) for each in matrix.inputs):
            return target
        case Where():
            either = {source_plane(each, target) for each in matrix.inputs[1:]}
            return either.pop() if len(either) == 1 else None
        case ComposeAffine():
            between = source_plane(matrix.inputs[1], target)
            return source_plane(matrix.inputs[0], between) if between is not None else None
    return None


def _is_zero(node: Node) -> bool:
    return isinstance(node.op, Literal_) and node.op.value == 0


# ---- crops and mirror images -----------------------------------------------------------------


def _after_crop(node: Node) -> Node | None:
    """A resize or mirror image of a crop of a warp: it shows nothing that the crop has cut."""
    crop, matrix = node.inputs
    if not isinstance(crop.op, Slice) or not _shows_all(node):
        return None
    (first,) = crop.inputs
    corner = _corner(crop)
    if corner is None or not isinstance(first.op, AffineWarp):
        return None
    assert isinstance(node.op, AffineWarp)
    if not _alike(first.op, node.op):
        return None
    x, inner = first.inputs
    whole = ComposeAffine()(ComposeAffine()(inner, _translation(*corner)), matrix)
    return replace(node.op, border=first.op.border, fill=first.op.fill)(x, whole)


def _corner(crop: Node) -> Plane | None:
    """The row and column at which a part of a picture begins, if a slice is just that."""
    assert isinstance(crop.op, Slice)
    start, step = crop.op.start, crop.op.step
    (x,) = crop.inputs
    planes_stay = crop.type.shape[:-2] == x.type.shape[:-2]
    if x.type.rank < 2 or not planes_stay or any(each != 1 for each in step):
        return None
    return start[-2], start[-1]


def _translation(top: Size, left: Size) -> Node:
    return AffineTranslation()(_number(left), _number(top))


def _number(size: Size) -> Node:
    if isinstance(size, int):
        return literal(float(size), DType.F32)
    return SizeValue(size)()


def _mirrored(node: Node) -> Node | None:
    """A mirror image of a warp is another warp."""
    assert isinstance(node.op, Slice)
    (first,) = node.inputs
    if not isinstance(first.op, AffineWarp) or first.op.alone or node.type != first.type:
        return None
    *others, down, across = node.op.step
    if any(step != 1 for step in others) or {down, across} - {1, -1}:
        return None
    x, inner = first.inputs
    mirror = AffineMirror(first.op.size, across == -1, down == -1)()
    return first.op(x, ComposeAffine()(inner, mirror))


def _fold_crops(graph: Graph) -> Graph:
    """Computes only what a crop keeps, where nothing else reads the warp.

    Such a warp stays alone from now on: composed with another, it would show what the crop cut.
    """
    once = single_use(graph)

    def step(node: Node, inputs: tuple[Node, ...]) -> Node:
        new = rebuild(node, inputs)
        if not isinstance(node.op, Slice) or not once[node.inputs[0]]:
            return new
        first = inputs[0]
        corner = _corner(new)
        if corner is None or not isinstance(first.op, AffineWarp) or first.op.alone:
            return new
        x, inner = first.inputs
        height, width = new.type.shape[-2:]
        part = replace(first.op, size=(height, width), alone=True)
        return part(x, ComposeAffine()(inner, _translation(*corner)))

    return transform(graph, step)
