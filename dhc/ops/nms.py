"""Non-maximum suppression as ONNX has it: the boxes of each sample and class that are left."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from dhc.ir.graph import Literal_, Node, literal
from dhc.ir.size import Size, count_size, largest, least
from dhc.ir.types import DType, Tensor
from dhc.ops.base import Composite, LayerContext, Onnx, TypeRuleError, layer, op
from dhc.ops.compare import GreaterEqual
from dhc.ops.elementwise import Max
from dhc.ops.found import FlatNonZero
from dhc.ops.lookup import Gather
from dhc.ops.movement import slice_axis
from dhc.ops.outward import Outward, Term
from dhc.ops.phrase import Phrase, plain_phrase, unusual
from dhc.ops.positions import Unravel
from dhc.ops.sample import Sample, sample
from dhc.ops.shape import Concat, Reshape
from dhc.ops.suppress import BoxesApart


@op("box_suppression", onnx=Onnx("NonMaxSuppression", since=11))
class BoxSuppression(Composite):
    """The boxes that are left of each sample and class, the best first; i64 [size, 3].

    A row is the number of a sample, of a class and of a box. The inputs are boxes [B, n, 4], their
    scores [B, C, n], how many boxes a class keeps at most, the part of the area of two boxes that
    they may share, and the score that a box must exceed.

    Attributes:
        size: A count; or the number of rows, of which those that are too many are of sample 0.
        room: How many boxes of a class there can be.
        centred: Whether a box is its centre and its size, not two opposite corners.
    """

    size: Size
    room: Size
    centred: bool = False

    finds: ClassVar[bool] = True

    def expand(self, boxes: Node, scores: Node, most: Node, overlap: Node, above: Node) -> Node:
        count = largest(boxes.type.shape[1])
        if isinstance(count, int) and isinstance(self.room, int):
            count = max(count, self.room)  # there may be fewer boxes than could be found
        apart = BoxesApart(count, self.centred)
        kept = slice_axis(apart(boxes, scores, most, overlap, above), 2, 0, self.room)
        shape = kept.type.shape
        row = Reshape((math.prod(shape),))(kept)
        zero = literal(0, DType.I64)
        places = FlatNonZero(self.size)(GreaterEqual()(row, zero))
        where = slice_axis(Unravel(shape)(places), 1, 0, 2)
        box = Max()(Gather(0)(row, places), zero)  # what is no box must be a number of one
        return Concat(1)(where, Reshape((self.size, 1))(box))

    def to_onnx(self, out: Outward, result: Tensor, *inputs: Term) -> Term:
        """ONNX has numbers in lists of one."""
        boxes, scores, *numbers = inputs
        if isinstance(self.size, int) or boxes.dtype is not DType.F32:
            return out.expanded(self, *inputs)
        listed = [out.reshape(each, (1,)) for each in numbers]
        attributes = {"center_point_box": 1} if self.centred else {}
        found = out.node("NonMaxSuppression", (boxes, scores, *listed), result, **attributes)
        return out.found(self.size, found)

    def phrase(self, boxes: Node, scores: Node, most: Node, overlap: Node, above: Node) -> Phrase:
        numbers = [each.op for each in (most, overlap, above)]
        if isinstance(self.size, int) or not all(isinstance(n, Literal_) for n in numbers):
            return plain_phrase(self, (boxes, scores, most, overlap, above))
        limit, shared, score = (n.value for n in numbers if isinstance(n, Literal_))
        said = {"limit": limit, "overlap": shared}
        more = unusual(score=(score, -math.inf), centred=(self.centred, False))
        return Phrase("nms", (boxes, scores), said | more)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        types = "f32[2, 6, 4]", "f32[2, 3, 6]", "i64[]", "f32[]", "f32[]"
        ranges = ((0.0, 1.0), (0.0, 1.0), (1, 5), (0.1, 0.5), (0.1, 0.5))
        return [
            sample(cls(30, 5), *types, ranges=ranges),
            sample(cls(7, 6, True), *types, ranges=ranges),
        ]


def suppressed(
    name: str,
    boxes: Node,
    scores: Node,
    limit: Node | int,
    overlap: Node | float = 0.0,
    above: Node | float = -math.inf,
    centred: bool = False,
) -> Node:
    """Returns the rows of `BoxSuppression`.

    Args:
        name: How to call the number of them.
        boxes: [B, n, 4].
        scores: [B, C, n].
        limit: How many boxes of a class are kept at most.
        overlap: The part of the area of two boxes that they may share.
        above: The score that a box must exceed.
        centred: Whether a box is its centre and its size.

    Raises:
        TypeRuleError: if they do not fit.
    """
    if boxes.type.rank != 3 or scores.type.rank != 3:
        raise TypeRuleError(f"'nms' needs boxes [B, n, 4] and scores [B, C, n], not {boxes.type}.")
    count = largest(boxes.type.shape[1])
    room = least(count, max(limit, 1)) if isinstance(limit, int) else count
    size = count_size(name, math.prod(scores.type.shape[:2]) * room)
    numbers = (
        literal(limit, DType.I64) if isinstance(limit, int) else limit,
        *(literal(n, boxes.type.dtype) if isinstance(n, float) else n for n in (overlap, above)),
    )
    return BoxSuppression(size, room, centred)(boxes, scores, *numbers)


@layer("nms")
def nms(
    context: LayerContext,
    boxes: Node,
    scores: Node,
    limit: int,
    overlap: float = 0.5,
    score: float | None = None,
    centred: bool = False,
) -> Node:
    """The boxes that are left of each sample and class without those that overlap a better one.

    Args:
        context: Where it stands.
        boxes: [N, B, 4], two opposite corners each; or, if `centred`, its centre and its size.
        scores: [N, C, B].
        limit: How many boxes of a class are kept at most.
        overlap: The part of the area of two boxes that they may share.
        score: What a score must exceed; without it all are good enough.
        centred: How boxes are given.

    Returns:
        i64 [K, 3]: sample, class and box, the best box of a class first; how many they are is known
        when the program runs.
    """
    above = -math.inf if score is None else score
    return suppressed(context.stream(), boxes, scores, limit, overlap, above, centred)
