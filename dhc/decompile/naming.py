"""Names that people would give: of values, and of the paths of weights.

What exporters leave tells them: parameters are called like `layer1.0.conv1.weight`, nodes like
`/layer1/layer1.0/conv1/Conv`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from dhc.decompile.modules import module_of
from dhc.decompile.statements import KEPT, Call, Statement

LONGEST = 40  # characters of a name


def pin_of(paths: Sequence[str], hint: str) -> str:
    """Returns the path of a layer: what its weights' names have in common, or its module."""
    parts = [path.rpartition(".") for path in paths]
    stems = {stem for stem, _, _ in parts}
    told = len(stems) == 1 and not any(re.search(r"\d", leaf) for _, _, leaf in parts)
    told = told and stems != {KEPT}
    return stems.pop() if told else (module_of(hint) if paths else "")


class ValueNames:
    """The names of values within one body.

    Args:
        taken: Words that mean something else there.
    """

    def __init__(self, taken: Iterable[str]) -> None:
        self._words = frozenset(taken)
        self._taken = set(taken)
        self._given: dict[int, str] = {}

    def __getitem__(self, number: int) -> str:
        return self._given[number]

    def has(self, number: int) -> bool:
        """Whether a value has a name."""
        return number in self._given

    def keep(self, number: int, name: str) -> None:
        """Gives a value exactly this name, as the inputs of models have one."""
        self._taken.add(name)
        self._given[number] = name

    def give(self, number: int, wanted: str) -> str:
        """Gives a value a name, with a number behind it if another value has it."""
        if number not in self._given:
            stem = f"{wanted}_out" if wanted in self._words else wanted
            name, count = stem, 2
            while name in self._taken:
                name, count = f"{stem}_{count}", count + 1
            self._taken.add(name)
            self._given[number] = name
        return self._given[number]


def name_of(statement: Statement) -> str:
    """Returns what the value of a statement might be called; several are called like their call."""
    for call in statement.calls if len(statement.targets) == 1 else statement.calls[-1:]:
        if call.pin:
            return _identifier(call.pin)
    for hint in reversed(statement.hints):
        found = _identifier(module_of(hint)) or _plain(hint)
        if found:
            return found
    return _of_call(statement.calls[-1])


def _of_call(call: Call) -> str:
    return {"add": "total", "mul": "product"}.get(call.callee, call.callee.removesuffix("_block"))


def _plain(hint: str) -> str:
    """A node's name, unless it is only its operator and a number."""
    name = _identifier(hint.rsplit("/", 1)[-1].rsplit(".", 1)[-1])
    return "" if re.fullmatch(r"[A-Za-z]+_?\d*|node_.*|\w*output_\d+", name) else name


def _identifier(text: str) -> str:
    words = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_").lower()
    plain = words.lstrip("0123456789_")
    words = plain if plain or not words else f"item_{words}"
    while len(words) > LONGEST and "_" in words:
        words = words.split("_", 1)[1]
    return words if words.isidentifier() else ""
