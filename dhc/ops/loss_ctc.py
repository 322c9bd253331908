"""Connectionist temporal classification (Graves et al., 2006): losses of labels without times.

The labels of a sample, with a blank before, between and after them, are the *states* of a path: at
each step it stays, goes on by one state, or skips a blank between two labels that differ. State s
is the label (s - 1) / 2 where s is odd, else the blank. All is computed with logarithms, so that
long sequences do not vanish.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from dhc.ir.graph import Node, literal
from dhc.ir.kernel import For, Let, Statement, Store
from dhc.ir.scalar import (
    Buffer,
    Load,
    Scalar,
    Var,
    cast,
    clamp,
    exp,
    index,
    lift,
    log,
    maximum,
    reduce_over,
    select,
)
from dhc.ir.size import unify
from dhc.ir.types import DType, Tensor
from dhc.ops.base import (
    Array,
    Composite,
    Index,
    Operand,
    OperatorKind,
    Structured,
    TypeRuleError,
    axis_variable,
    op,
)
from dhc.ops.compare import GreaterEqual, Less
from dhc.ops.conv import int_size
from dhc.ops.elementwise import Add, Cast, Exp, Mul, Neg, Where
from dhc.ops.movement import Expand, SizeValue
from dhc.ops.reduce import ReduceSum
from dhc.ops.sample import Sample, sample
from dhc.ops.shape import Reshape
from dhc.ops.softmax import LogSoftmax

NEVER = -math.inf


@op("ctc")
class Ctc(Composite):
    """The negative logarithm of the probability that all paths to the labels have, one a sample.

    Logits are [N, T, C], labels [N, L] class numbers without the blank. Two more tensors [N] may
    say how many steps and how many labels each sample has; otherwise all steps count, and the
    labels before the first number below 0. The loss is infinite where the steps are too few.

    Attributes:
        blank: The class that stands for no label.
        zero_infinity: Whether a sample with too few steps has the loss 0, and no gradient.
    """

    blank: int = 0
    zero_infinity: bool = False

    def expand(self, logits: Node, labels: Node, *lengths: Node) -> Node:
        _require_sequences(self.name, logits.type, labels.type, tuple(n.type for n in lengths))
        steps, counts = _lengths(logits, labels, lengths)
        ahead = CtcPaths(self.blank)(LogSoftmax(2)(logits), labels, steps, counts)
        loss = CtcEnd()(ahead, steps, counts)
        if not self.zero_infinity:
            return loss
        dtype = loss.type.dtype
        return Where()(Less()(loss, literal(math.inf, dtype)), loss, literal(0.0, dtype))

    def grad(
        self, upstream: Node, output: Node, logits: Node, labels: Node, *lengths: Node
    ) -> tuple[Node | None, ...]:
        """From how likely it is, given the labels, to be in each state at each step."""
        steps, counts = _lengths(logits, labels, lengths)
        log_p = LogSoftmax(2)(logits)
        ahead = CtcPaths(self.blank)(log_p, labels, steps, counts)
        behind = CtcPaths(self.blank, backward=True)(log_p, labels, steps, counts)
        dtype = output.type.dtype
        possible = Less()(output, literal(math.inf, dtype))
        loss = Where()(possible, output, literal(NEVER, dtype))
        likely = Exp()(Add()(Add()(ahead, behind), _column(loss)))
        visits = CtcVisits(int_size(logits.type.shape[2]), self.blank)(likely, labels)
        own = Mul()(Neg()(_column(upstream)), visits)
        of_logits = LogSoftmax(2).grad(own, log_p, logits)[0]
        return (of_logits, None, *(None for _ in lengths))

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        numbers = ((-2.0, 2.0), (1, 3), (5, 6), (1, 2))
        lengths = ("i64[3]", "i64[3]")
        return [
            sample(cls(), "f32[3, 6, 4]", "i64[3, 2]", *lengths, ranges=numbers),
            sample(cls(3), "f32[2, 7, 4]", "i32[2, 3]", ranges=((-2.0, 2.0), (0, 2))),
            sample(cls(0, True), "f32[4, 3, 4]", "i64[4, 3]", ranges=((-2.0, 2.0), (-1, 3))),
        ]


def _require_sequences(
    name: str, logits: Tensor, labels: Tensor, lengths: tuple[Tensor, ...]
) -> None:
    if logits.rank != 3 or not logits.dtype.is_float:
        raise TypeRuleError(f"'{name}' needs logits [N, T, C], not {logits}.", 0)
    if labels.rank != 2 or not labels.dtype.is_integer:
        raise TypeRuleError(f"'{name}' needs labels [N, L] as whole numbers, not {labels}.", 1)
    if len(lengths) not in (0, 2):
        text = f"'{name}' takes the numbers of steps and of labels, or neither."
        raise TypeRuleError(text, 2)
    for position, each in enumerate((labels, *lengths), 1):
        fits = each.dtype.is_integer and (position == 1 or each.rank == 1)
        if not fits or unify(each.shape[0], logits.shape[0]) is None:
            raise TypeRuleError(f"'{name}' needs whole numbers for each sample: {each}.", position)


def _lengths(logits: Node, labels: Node, lengths: tuple[Node, ...]) -> tuple[Node, Node]:
    """How many steps and labels each sample has, i64[N]."""
    if lengths:
        steps, counts = (Cast(DType.I64)(each) for each in lengths)
        return steps, counts
    samples, time, _ = logits.type.shape
    steps = Expand((samples,))(SizeValue(time, DType.I64)())
    known = GreaterEqual()(labels, literal(0, labels.type.dtype))
    return steps, ReduceSum((1,))(Cast(DType.I64)(known))


def _column(value: Node) -> Node:
    return Reshape((value.type.shape[0], 1, 1))(value)


# ---- paths -------------------------------------------------------------------------------------


@op("ctc_paths")
class CtcPaths(Structured):
    """The logarithm of the probability of all paths to each state at each step.

    Log-probabilities [N, T, C], labels [N, L], and numbers of steps and labels [N] give
    [N, T, 2 L + 1]. Minus infinity stands where no path leads, and beyond a sample's own steps and
    states.

    Attributes:
        blank: The class of the blank.
        backward: Whether paths come from the end, and the step that they have come to is not yet
            counted; so both ways added are the paths through a state.
    """

    blank: int = 0
    backward: bool = False

    kind: ClassVar[OperatorKind] = "opaque"

    def infer(self, log_p: Tensor, labels: Tensor, steps: Tensor, counts: Tensor) -> Tensor:
        _require_sequences(self.name, log_p, labels, (steps, counts))
        samples, time, _ = log_p.shape
        return log_p.with_shape((samples, time, 2 * labels.shape[1] + 1))

    def loops(
        self, out: Buffer, log_p: Buffer, labels: Buffer, steps: Buffer, counts: Buffer
    ) -> tuple[Statement, ...]:
        """Steps in order, or from the last one; at each one all states from what was stored."""
        n, k, j = (Var(name, DType.I64) for name in "nkj")
        time, width = index(out.shape[1]), index(out.shape[2])
        own_steps, last = Var("own_steps", DType.I64), Var("last", DType.I64)
        table = _Table(self, (out, log_p, labels), (n, k, j), (own_steps, last))
        states = For(j, width, table.state())
        lets = (
            Let(own_steps, clamp(cast(Load(steps, (n,)), DType.I64), 0, time)),
            Let(last, clamp(cast(Load(counts, (n,)), DType.I64) * 2, 0, width - 1)),
        )
        body = (*lets, For(k, time, (states,)))
        return (For(n, index(out.shape[0]), body, "parallel"),)

    def numpy(self, log_p: Array, labels: Array, steps: Array, counts: Array) -> Array:
        samples, time, _ = log_p.shape
        result = np.full((samples, time, 2 * labels.shape[1] + 1), -np.inf, log_p.dtype)
        for n in range(samples):
            own, count = (np.clip(steps[n], 0, time), np.clip(counts[n], 0, labels.shape[1]))
            states = np.full(2 * count + 1, self.blank)
            states[1::2] = labels[n, :count]
            inside = (states >= 0) & (states < log_p.shape[2])
            emitted = np.where(inside, log_p[n][:own, np.where(inside, states, 0)], -np.inf)
            way = slice(None, None, -1) if self.backward else slice(None)
            found = self._one_way(emitted[way, way], states[way])
            result[n, :own, : len(states)] = found[way, way]
        return result

    def _one_way(self, emitted: Array, states: Array) -> Array:
        found = np.full(emitted.shape, -np.inf, emitted.dtype)
        skips = np.zeros(len(states), np.bool_)
        skips[3::2] = states[3::2] != states[1:-2:2]
        for k in range(len(emitted)):
            if k == 0:
                found[0, :2] = 0
            else:
                before = found[k - 1] + (emitted[k - 1] if self.backward else 0)
                by_one = np.append(-np.inf, before[:-1])
                by_two = np.where(skips, np.append([-np.inf] * 2, before)[: len(before)], -np.inf)
                found[k] = np.logaddexp(np.logaddexp(before, by_one), by_two)
            found[k] += 0 if self.backward else emitted[k]
        return found

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        types = ("f32[3, 5, 4]", "i64[3, 2]", "i64[3]", "i64[3]")
        ranges = ((-3.0, -0.1), (1, 3), (2, 5), (0, 2))
        return [sample(cls(0, way), *types, ranges=ranges) for way in (False, True)]


class _Table:
    """One entry of the table of paths, for the loops of a kernel.

    Args:
        op: What is computed.
        buffers: The table, log-probabilities, labels.
        place: Loop variables: the sample, the number of the step and of the state on the way.
        ends: The sample's number of steps, and its last state.
    """

    def __init__(
        self,
        op: CtcPaths,
        buffers: tuple[Buffer, Buffer, Buffer],
        place: tuple[Var, Var, Var],
        ends: tuple[Var, Var],
    ) -> None:
        self._op = op
        self._out, self._log_p, self._labels = buffers
        self._n, self._k, self._j = place
        self._steps, self._last = ends

    def state(self) -> tuple[Statement, ...]:
        """Computes and stores one entry; beyond the sample's own ends it is minus infinity."""
        inside = (self._k < self._steps) & (self._j <= self._last)
        dtype = self._out.type
        value = self._reached()
        if not self._op.backward:
            value = value + self._emitted(self._k, self._j)
        place = (self._n, self._time(self._k), self._state(self._j))
        entry, own = Var("entry", dtype), Var("own", DType.BOOL)
        apart = tuple(select(own, p, q) for p, q in zip(place[1:], (self._k, self._j), strict=True))
        return (
            Let(own, inside),
            Let(entry, select(own, value, NEVER)),
            Store(self._out, (self._n, *apart), entry),
        )

    def _reached(self) -> Scalar:
        """The paths that lead here from the step before."""
        stays, by_one = self._before(0), self._before(1)
        differs = self._class(self._j).differs(self._class(self._j - 2))
        skips = (self._j % 2).equals(1) & (self._j >= 2) & differs
        by_two = select(skips, self._before(2), NEVER)
        start = select(self._j <= 1, lift(0, self._out.type), NEVER)
        return select(self._k.equals(0), start, _log_sum(stays, by_one, by_two))

    def _before(self, back: int) -> Scalar:
        """The entry of the step before, so many states back."""
        step, state = self._k - 1, self._j - back
        there = (step >= 0) & (state >= 0) & (self._k < self._steps) & (self._j <= self._last)
        place = (self._n, self._time(step), self._state(state))
        found: Scalar = Load(self._out, place, there, lift(NEVER, self._out.type))
        if self._op.backward:
            found = found + select(there, self._emitted(step, state), NEVER)
        return found

    def _time(self, k: Scalar) -> Scalar:
        return self._steps - 1 - k if self._op.backward else k

    def _state(self, j: Scalar) -> Scalar:
        return self._last - j if self._op.backward else j

    def _class(self, j: Scalar) -> Scalar:
        state = self._state(j)
        odd = (state % 2).equals(1) & (state >= 0) & (state <= self._last)
        blank = lift(self._op.blank, self._labels.type)
        return cast(Load(self._labels, (self._n, state // 2), odd, blank), DType.I64)

    def _emitted(self, k: Scalar, j: Scalar) -> Scalar:
        """The log-probability of a state's class at a step; none for a class that is none."""
        time, own = self._time(k), self._class(j)
        there = (time >= 0) & (time < self._steps) & (own >= 0) & (own < self._log_p.shape[2])
        return Load(self._log_p, (self._n, time, own), there, lift(NEVER, self._log_p.type))


def _log_sum(*terms: Scalar) -> Scalar:
    """The logarithm of a sum of exponentials; of nothing but zeros it is minus infinity."""
    most = terms[0]
    for term in terms[1:]:
        most = maximum(most, term)
    some = most > NEVER
    base = select(some, most, 0)
    total = exp(terms[0] - base)
    for term in terms[1:]:
        total = total + exp(term - base)
    return select(some, base + log(total), NEVER)


# ---- what follows from paths -------------------------------------------------------------------


@op("ctc_end")
class CtcEnd(Structured):
    """The loss of each sample from paths [N, T, S] to its last step and last two states, [N]."""

    def infer(self, paths: Tensor, steps: Tensor, counts: Tensor) -> Tensor:
        if paths.rank != 3 or any(t.rank != 1 for t in (steps, counts)):
            raise TypeRuleError(f"'{self.name}' needs paths [N, T, S], not {paths}.", 0)
        return paths.with_shape(paths.shape[:1])

    def element(
        self, out: Tensor, index: Index, paths: Operand, steps: Operand, counts: Operand
    ) -> Scalar:
        time = cast(steps[index], DType.I64) - 1
        last = cast(counts[index], DType.I64) * 2
        ends = (paths.padded((*index, time, state), NEVER) for state in (last, last - 1))
        return -_log_sum(*ends)

    def numpy(self, paths: Array, steps: Array, counts: Array) -> Array:
        framed = np.pad(paths, ((0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
        n, time = np.arange(len(paths)), np.clip(steps, 0, paths.shape[1] + 1)
        last = np.clip(2 * counts + 1, 0, paths.shape[2] + 1)
        ends = [framed[n, time, np.maximum(last - k, 0)] for k in (0, 1)]
        return np.asarray(-np.logaddexp(*ends), paths.dtype)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        ranges = ((-5.0, -0.1), (0, 4), (0, 2))
        return [sample(cls(), "f32[5, 4, 5]", "i64[5]", "i64[5]", ranges=ranges)]


@op("ctc_visits")
class CtcVisits(Structured):
    """How likely each class is at each step: the sum over its states of [N, T, S], as [N, T, C].

    Attributes:
        classes: How many there are.
        blank: The class of the states that are no labels.
    """

    classes: int
    blank: int = 0

    def infer(self, likely: Tensor, labels: Tensor) -> Tensor:
        if likely.rank != 3 or labels.rank != 2 or not labels.dtype.is_integer:
            raise TypeRuleError(f"'{self.name}' needs states [N, T, S] and labels [N, L].", 0)
        return likely.with_shape((*likely.shape[:2], self.classes))

    def element(self, out: Tensor, index: Index, likely: Operand, labels: Operand) -> Scalar:
        n, t, c = index
        state = axis_variable("s", likely.type.shape[2])
        odd = (state % 2).equals(1)
        own = cast(labels.read((n, state // 2), odd, self.blank), DType.I64)
        return reduce_over("sum", (state,), select(own.equals(c), likely[(n, t, state)], 0))

    def numpy(self, likely: Array, labels: Array) -> Array:
        states = np.full((len(labels), likely.shape[2]), self.blank)
        states[:, 1::2] = labels
        mine = states[:, :, None] == np.arange(self.classes)
        return np.asarray(likely @ mine.astype(likely.dtype))

    def grad(self, upstream: Node, output: Node, likely: Node, labels: Node) -> tuple[None, None]:
        raise NotImplementedError("second derivatives of 'ctc' do not exist")

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        ranges = ((0.0, 1.0), (0, 3))
        return [sample(cls(4), "f32[2, 3, 5]", "i64[2, 2]", ranges=ranges)]
