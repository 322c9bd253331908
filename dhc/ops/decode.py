"""Generation of sequences, word by word: the most probable next word, or a beam of hypotheses.

All of it is operators, so a decoder is compiled and runs where its network does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dhc.ir.graph import Node, literal
from dhc.ir.size import Size
from dhc.ir.types import DType
from dhc.ops.base import Body, LayerContext, TypeRuleError, layer
from dhc.ops.closure import close, placeholder
from dhc.ops.compare import Equal, Or
from dhc.ops.conv import int_size
from dhc.ops.elementwise import Add, Div, Mod, Mul, Pow, Where
from dhc.ops.lookup import Gather, GatherElements
from dhc.ops.movement import Expand
from dhc.ops.reduce import ReduceMax
from dhc.ops.scan import Scan
from dhc.ops.sequence import Positions, as_type
from dhc.ops.shape import Permute, Reshape, joined
from dhc.ops.softmax import LogSoftmax
from dhc.ops.statistics import ArgMax

States = tuple[Node, ...]


@layer("decode")
def decode(
    context: LayerContext,
    *states: Node,
    step: Body,
    start: int,
    end: int,
    length: int,
    beam: int = 1,
    length_penalty: float = 0.0,
) -> tuple[Node, ...]:
    """The words that a block generates: i64 [N, length], and how probable they are: [N].

    `step` takes the words of one place, i64 [N], and the states [N, ...]; it gives the scores of
    the next words [N, V], of any scale, and the next states. The first word is `start`, which is
    not part of the result; after `end` only `end` follows.

    One word after another is the most probable (`beam=1`), or so many hypotheses are kept: those of
    the largest total log-probability. The best of them is that of the largest total divided by
    ((5 + words) / 6) ^ length_penalty, the end among the words (arXiv:1609.08144, section 7). That
    quotient is the second result.
    """
    if not states or length < 1 or beam < 1 or length_penalty < 0:
        raise TypeRuleError(
            "'decode' needs a state, a length and a beam of at least 1, and no negative penalty."
        )
    search = _Search(step, start, end, length, beam, length_penalty, states[0].type.shape[0])
    return search.run(states)


@dataclass(frozen=True)
class _Hypotheses:
    """What is carried from word to word; each has axes [N, beam], states [N * beam, ...].

    Attributes:
        word: The last word.
        done: Whether that is the end, or follows it.
        total: The sum of log-probabilities.
        count: How many words there are, the end included.
    """

    word: Node
    done: Node
    total: Node
    count: Node
    states: States

    @property
    def nodes(self) -> States:
        return (self.word, self.done, self.total, self.count, *self.states)

    @staticmethod
    def of(nodes: Sequence[Node]) -> _Hypotheses:
        word, done, total, count, *states = nodes
        return _Hypotheses(word, done, total, count, tuple(states))


@dataclass(frozen=True)
class _Search:
    """A search for probable sequences; the attributes are the arguments of `decode`."""

    step: Body
    start: int
    end: int
    length: int
    beam: int
    penalty: float
    batch: Size

    def run(self, states: States) -> tuple[Node, ...]:
        first = self._first(states)
        carries = tuple(placeholder("carry", node.type) for node in first.nodes)
        following, parents = self._advance(_Hypotheses.of(carries))
        closure = close(carries, (*following.nodes, parents))
        scan = Scan(closure.body, 0, len(carries), self.length)
        inputs = (*first.nodes, *closure.captures)
        words = scan(*inputs)
        origins = replace(scan, output=len(carries))(*inputs)
        total, count = (replace(scan, output=k, last=True)(*inputs) for k in (2, 3))
        scores = self._scores(total, count)
        best = Reshape((self.batch, 1))(ArgMax(1)(scores))
        found = words if self.beam == 1 else self._trace(words, origins, best)
        one = Reshape((self.length, self.batch))(found)
        score = Reshape((self.batch,))(GatherElements(1)(scores, best))
        return Permute((1, 0))(one), score

    # ---- the beginning and the end

    def _first(self, states: States) -> _Hypotheses:
        """The start word; at first only one hypothesis of each sample counts."""
        dtype = states[0].type.dtype if states[0].type.dtype.is_float else DType.F32
        shape = (self.batch, self.beam)
        alone = Where()(
            Equal()(Positions(self.beam)(), literal(0, DType.I64)),
            literal(0.0, dtype),
            literal(_lowest(dtype), dtype),
        )
        return _Hypotheses(
            Expand(shape)(literal(self.start, DType.I64)),
            Expand(shape)(literal(False, DType.BOOL)),
            Expand(shape)(alone),
            Expand(shape)(literal(0, DType.I64)),
            tuple(map(self._repeated, states)),
        )

    def _repeated(self, state: Node) -> Node:
        """[N, ...] as [N * beam, ...], each row `beam` times."""
        batch, *rest = state.type.shape
        rows = Expand((batch, self.beam, *rest))(Reshape((batch, 1, *rest))(state))
        return Reshape((batch * self.beam, *rest))(rows)

    def _scores(self, total: Node, count: Node) -> Node:
        if not self.penalty:
            return total
        dtype = total.type.dtype
        words = Add()(as_type(count, dtype), literal(5.0, dtype))
        share = Mul()(words, literal(1 / 6, dtype))
        return Div()(total, Pow()(share, literal(self.penalty, dtype)))

    def _trace(self, words: Node, origins: Node, best: Node) -> Node:
        """Follows the best hypothesis back from its last word: [length, N, beam] to [length, N]."""
        word, origin = (
            placeholder(name, words.type.with_shape(words.type.shape[1:]))
            for name in ("word", "origin")
        )
        place = placeholder("place", best.type)
        outputs = [GatherElements(1)(each, place) for each in (origin, word)]
        closure = close((word, origin, place), outputs)
        scan = Scan(closure.body, 2, 1, self.length, output=1, reverse=True)
        return scan(words, origins, best, *closure.captures)

    # ---- one word

    def _advance(self, now: _Hypotheses) -> tuple[_Hypotheses, Node]:
        """The hypotheses with one more word, and which one each of them goes on from."""
        rows = self.batch * self.beam
        logits, *states = self.step(Reshape((rows,))(now.word), *now.states)
        self._check(logits, states, now.states)
        vocabulary = int_size(logits.type.shape[1])
        totals = self._candidates(now, logits, vocabulary)
        places, total = self._largest(totals)
        size = literal(vocabulary, DType.I64)
        origin, word = Div()(places, size), Mod()(places, size)
        done = GatherElements(1)(now.done, origin)
        count = GatherElements(1)(now.count, origin)
        more = Add()(count, literal(1, DType.I64))
        ends = Or()(done, Equal()(word, literal(self.end, DType.I64)))
        chosen = tuple(self._of_origin(state, origin) for state in states)
        following = _Hypotheses(word, ends, total, Where()(done, count, more), chosen)
        return following, origin

    def _check(self, logits: Node, states: Sequence[Node], before: States) -> None:
        wanted = [node.type for node in before]
        if logits.type.rank != 2 or [node.type for node in states] != wanted:
            raise TypeRuleError(
                "'decode' needs a step that gives scores [N, V] and the states that it takes; "
                f"it gives {logits.type} and {', '.join(str(node.type) for node in states)}."
            )
        size = int_size(logits.type.shape[1])
        if not (0 <= self.start < size and 0 <= self.end < size):
            raise TypeRuleError(f"'decode' has {size} words; the start and the end are among them.")
        if self.beam > size:
            raise TypeRuleError(f"'decode' cannot keep {self.beam} hypotheses of {size} words.")

    def _candidates(self, now: _Hypotheses, logits: Node, vocabulary: int) -> Node:
        """Totals with every next word, [N, beam * V]; after the end only the end may follow."""
        shape, dtype = (self.batch, self.beam, vocabulary), now.total.type.dtype
        gained = as_type(Reshape(shape)(LogSoftmax(-1)(logits)), dtype)
        is_end = Equal()(Positions(vocabulary)(), literal(self.end, DType.I64))
        nothing, lowest = literal(0.0, dtype), literal(_lowest(dtype), dtype)
        after = Where()(is_end, nothing, lowest)
        done = Reshape((self.batch, self.beam, 1))(now.done)
        total = Reshape((self.batch, self.beam, 1))(now.total)
        totals = Add()(Where()(done, after, gained), total)
        return Reshape((self.batch, self.beam * vocabulary))(totals)

    def _largest(self, totals: Node) -> tuple[Node, Node]:
        """The places and values of the largest elements of each row, [N, beam]."""
        dtype = totals.type.dtype
        numbers = Positions(totals.type.shape[1])()
        places: list[Node] = []
        values: list[Node] = []
        for _ in range(self.beam):
            place = ArgMax(1, True)(totals)
            places.append(place)
            values.append(ReduceMax((1,), True)(totals))
            taken = Equal()(numbers, place)
            totals = Where()(taken, literal(-np.inf, dtype), totals)
        return joined(places, 1), joined(values, 1)

    def _of_origin(self, state: Node, origin: Node) -> Node:
        """Rows of a state [N * beam, ...] for the hypotheses that they belong to now."""
        if self.beam == 1:
            return state
        first = Mul()(Positions(self.batch)(), literal(self.beam, DType.I64))
        rows = Add()(origin, Reshape((self.batch, 1))(first))
        return Gather(0)(state, Reshape((self.batch * self.beam,))(rows))


def _lowest(dtype: DType) -> float:
    """Less than any total, and still a number when so many are added."""
    return float(np.finfo(dtype.numpy).min) / 1e4 if dtype is not DType.F16 else -1e3
