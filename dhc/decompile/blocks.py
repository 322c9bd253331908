"""Blocks for what repeats: the same calls on other values, with other numbers and other weights.

The longest stretch of statements that saves most is made a block, and so on until nothing repeats.
Numbers that differ between its uses become its parameters.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from dhc.decompile.parameters import Parameters, leaves, shaped
from dhc.decompile.statements import Call, Loop, Spelled, Statement, Term, Value, stages

LONGEST = 64  # statements of a block
MOST_BLOCKS = 24
MOST_ENDS = 6  # inputs and outputs of a block


@dataclass(frozen=True)
class Block:
    """A definition.

    Attributes:
        name: Its name.
        parameters: The names of its parameters.
        inputs: The values that flow in, by their numbers in its first use.
        outputs: The values that it gives, likewise.
        statements: Its body, with the numbers of its first use.
    """

    name: str
    parameters: tuple[str, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    statements: tuple[Statement, ...]


@dataclass(frozen=True)
class Stretch:
    """Statements in a row, and what goes in and out."""

    start: int
    statements: tuple[Statement, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @property
    def end(self) -> int:
        return self.start + len(self.statements)


class Folding:
    """Statements while blocks are made of them."""

    def __init__(self, statements: Sequence[Statement], kept: frozenset[int]) -> None:
        self.statements = list(statements)
        self.blocks: list[Block] = []
        self._kept = kept  # values that are needed at the end
        self._names: set[str] = set()
        self._last: dict[int, int] = {}  # the last statement that reads a value

    def run(self) -> None:
        """Makes blocks until nothing repeats."""
        while len(self.blocks) < MOST_BLOCKS:
            found = self._best()
            if found is None:
                return
            self._make(found)

    def _best(self) -> list[Stretch] | None:
        """The stretches that are alike and whose replacement saves most."""
        keys = [_key(each) for each in self.statements]
        self._last = {n: k for k, each in enumerate(self.statements) for n in each.reads}
        best: tuple[int, list[Stretch]] | None = None
        for length in range(min(LONGEST, len(keys) // 2), 0, -1):
            for starts in _repeats(keys, length):
                gain = self._gain(starts, length)
                if best is not None and 2 * gain <= best[0]:
                    continue
                alike = self._alike(starts, length)
                worth = 0 if len(alike) < 2 else self._worth(alike)
                if worth > 0 and (best is None or worth > best[0]):
                    best = (worth, alike)
        return best[1] if best else None

    def _gain(self, starts: Sequence[int], length: int) -> int:
        calls = stages(self.statements[starts[0] : starts[0] + length])
        return (len(starts) - 1) * (calls - 1)

    def _worth(self, alike: Sequence[Stretch]) -> int:
        first = alike[0]
        ends = len(first.inputs) + len(first.outputs)
        if ends > MOST_ENDS or not first.outputs or not first.inputs:
            return 0
        calls = stages(first.statements)
        saved = (len(alike) - 1) * (calls - 1) - calls // 2 - 2 * (ends - 2)
        if any(_all_pins(first)):  # what has names of its own is kept together by them
            return 2 * saved if _pins(alike) else 0
        return saved

    def _alike(self, starts: Sequence[int], length: int) -> list[Stretch]:
        """The largest group of stretches of one structure that do not overlap."""
        groups: dict[Hashable, list[Stretch]] = {}
        for start in starts:
            stretch = self._stretch(start, length)
            group = groups.setdefault(_structure(stretch), [])
            if not group or group[-1].end <= start:
                group.append(stretch)
        return max(groups.values(), key=len)

    def _stretch(self, start: int, length: int) -> Stretch:
        inside = tuple(self.statements[start : start + length])
        made = {number for each in inside for number in each.targets}
        read = [number for each in inside for number in each.reads]
        inputs = tuple(dict.fromkeys(number for number in read if number not in made))
        end = start + length
        outputs = tuple(
            n
            for each in inside
            for n in each.targets
            if n in self._kept or self._last.get(n, -1) >= end
        )
        return Stretch(start, inside, inputs, outputs)

    def _make(self, alike: Sequence[Stretch]) -> None:
        parameters = Parameters([_leaves(each) for each in alike])
        pins = _pins(alike)
        name = self._name(alike[0])
        body = _with_leaves(alike[0].statements, parameters.inside)
        body = _pinned(body, pins)
        first = alike[0]
        self.blocks.append(Block(name, parameters.names, first.inputs, first.outputs, body))
        for number, each in reversed(list(enumerate(alike))):
            paths = tuple(path for s in each.statements for path in _paths(s))
            prefix = pins[number] if pins else ""
            call = Call(name, (), parameters.arguments(number), prefix, paths, is_block=True)
            sources = tuple(Value(n) for n in each.inputs)
            hints = (_common([h for s in each.statements for h in s.hints]),)
            self.statements[each.start : each.end] = [
                Statement(each.outputs, sources, (call,), hints)
            ]

    def _name(self, stretch: Stretch) -> str:
        stem = _stem(stretch)
        name, number = stem, 2
        while name in self._names:
            name, number = f"{stem}_{number}", number + 1
        self._names.add(name)
        return name


# ---- likeness --------------------------------------------------------------------------------


def _key(statement: Statement) -> Hashable:
    """What stretches of a repetition have in common, place by place."""
    calls = tuple(map(_of_stage, statement.calls))
    return len(statement.targets), tuple(map(_kind, statement.sources)), calls


def _of_stage(call: Call) -> Hashable:
    if isinstance(call, Loop):
        return id(call)  # no loop is like another
    others = tuple(map(_kind, call.others))
    return call.callee, len(call.paths), others, shaped(call.attributes)


def _kind(term: Term) -> Hashable:
    match term:
        case Value():
            return "value"
        case Call():
            return term.callee, shaped(term.attributes)
        case Spelled(text):
            return text
    return type(term).__name__


def _repeats(keys: Sequence[Hashable], length: int) -> list[list[int]]:
    places: dict[Hashable, list[int]] = {}
    for start in range(len(keys) - length + 1):
        places.setdefault(tuple(keys[start : start + length]), []).append(start)
    return [starts for starts in places.values() if len(starts) > 1]


def _structure(stretch: Stretch) -> Hashable:
    """Which value is read where, with values numbered as they first appear."""
    seen: dict[int, int] = {}
    for statement in stretch.statements:
        for number in (*statement.reads, *statement.targets):
            seen.setdefault(number, len(seen))
    reads = tuple(tuple(seen[n] for n in each.reads) for each in stretch.statements)
    return reads, tuple(seen[n] for n in stretch.inputs), tuple(seen[n] for n in stretch.outputs)


# ---- numbers ---------------------------------------------------------------------------------


def _leaves(stretch: Stretch) -> list[tuple[str, object]]:
    """All numbers in a stretch in order, each with the name of its argument."""
    found: list[tuple[str, object]] = []
    for statement in stretch.statements:
        for term in statement.sources:
            found += _of_term(term)
        for call in statement.calls:
            found += _of_call(call)
    return found


def _of_call(call: Call) -> list[tuple[str, object]]:
    inner = [leaf for term in call.others for leaf in _of_term(term)]
    return inner + [(name, leaf) for name, value in call.attributes for leaf in leaves(value)]


def _of_term(term: Term) -> list[tuple[str, object]]:
    if isinstance(term, Call):
        return _of_call(term)
    return [] if isinstance(term, (Value, Spelled)) else [("factor", term)]


def _with_leaves(statements: Sequence[Statement], given: Sequence[object]) -> tuple[Statement, ...]:
    """The statements with other numbers, in the same order."""
    queue = iter(given)

    def term(each: Term) -> Term:
        if isinstance(each, Call):
            return call(each)
        if isinstance(each, (Value, Spelled)):
            return each
        found = next(queue)
        assert isinstance(found, (int, float, Spelled))
        return found

    def call(each: Call) -> Call:
        others = tuple(map(term, each.others))
        attributes = tuple((name, refill(value)) for name, value in each.attributes)
        return replace(each, others=others, attributes=attributes)

    def refill(value: object) -> object:
        if isinstance(value, tuple):
            return tuple(map(refill, value))
        return next(queue) if leaves(value) else value

    made = []
    for each in statements:
        sources = tuple(map(term, each.sources))
        made.append(replace(each, sources=sources, calls=tuple(map(call, each.calls))))
    return tuple(made)


# ---- names -----------------------------------------------------------------------------------


def _paths(statement: Statement) -> tuple[str, ...]:
    terms = [*statement.sources, *(o for call in statement.calls for o in call.others)]
    inner = [path for term in terms if isinstance(term, Call) for path in term.paths]
    return (*inner, *(path for call in statement.calls for path in call.paths))


def _pins(alike: Sequence[Stretch]) -> tuple[str, ...]:
    """The paths of the uses, if the weights within are called the same in all; else nothing."""
    prefixes = [_common(_all_pins(each)) for each in alike]
    if not all(prefixes) or len(set(prefixes)) < len(prefixes):
        return ()
    rests = [
        tuple(pin[len(prefix) + 1 :] for pin in _all_pins(each))
        for each, prefix in zip(alike, prefixes, strict=True)
    ]
    same = len(set(rests)) == 1 and all(rests[0]) and len(set(rests[0])) == len(rests[0])
    return tuple(prefixes) if same else ()


def _all_pins(stretch: Stretch) -> list[str]:
    """The pins of all calls that have weights; "" for those that have none."""
    found = []
    for statement in stretch.statements:
        terms = [*statement.sources, *(o for call in statement.calls for o in call.others)]
        calls = [*(term for term in terms if isinstance(term, Call)), *statement.calls]
        found += [call.pin for call in calls if call.paths or call.pin]
    return found


def _pinned(statements: Sequence[Statement], prefixes: tuple[str, ...]) -> tuple[Statement, ...]:
    """The body of a block: its pins begin behind that of its first use.

    Where the uses have no paths of their own, layers are named by the values; blocks, in which
    names may be pinned, get one each.
    """
    cut = len(prefixes[0]) + 1 if prefixes else None
    numbers = itertools.count(1)

    def of(call: Call) -> Call:
        others = tuple(of(o) if isinstance(o, Call) else o for o in call.others)
        pin = "" if cut is None else call.pin[cut:]
        if cut is None and call.is_block and call.paths:
            pin = f"part{next(numbers)}"
        return replace(call, others=others, pin=pin)

    made = []
    for each in statements:
        sources = tuple(of(s) if isinstance(s, Call) else s for s in each.sources)
        made.append(replace(each, sources=sources, calls=tuple(map(of, each.calls))))
    return tuple(made)


def _common(paths: Sequence[str]) -> str:
    """The parts with which all paths begin, and which are not all of any of them."""
    parts = [path.split(".") for path in paths]
    if not parts:
        return ""
    shared: list[str] = []
    for column in zip(*(each[:-1] for each in parts), strict=False):
        if len(set(column)) > 1:
            break
        shared.append(column[0])
    return ".".join(shared)


def _stem(stretch: Stretch) -> str:
    """A name for a block: a part of its weights' path that says something, or what it calls."""
    for part in reversed(_common([p for p in _all_pins(stretch) if p]).split(".")):
        plain = part.rstrip("0123456789").strip("_")
        if plain.isidentifier():
            return f"{plain}_block"
    callees = list(dict.fromkeys(c.callee for each in stretch.statements for c in each.calls))
    return "_".join(callees[:3])
