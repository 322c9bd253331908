"""Names of models as names of dhm: letters, digits and underscores, and different ones differ."""

from __future__ import annotations

import re

_PART = r"[A-Za-z_]\w*(\[\d+\])*(#\d+)?"
_OWN = re.compile(rf"{_PART}(\.{_PART})*", re.ASCII)  # paths of dhm


_NUMBERED = re.compile(r"(?i)\W*|unk_*\d+|none|\S*dynamic_?dim\w*\W*\d+|s\d+|axis 0 of .*")


class Names:
    """Remembers which name stands for which, among inputs, outputs, sizes or parameters."""

    def __init__(self) -> None:
        self._given: dict[str, str] = {}

    def of(self, text: str) -> str:
        """Returns the name for a name of the model, the same one every time."""
        return self._new(text, _identifier(text))

    def size_of(self, text: str, axis: int) -> str:
        """The same for a size; the batch is N where an exporter has only numbered it."""
        return self._new(
            text, "N" if axis == 0 and _NUMBERED.fullmatch(text) else _identifier(text)
        )

    def path_of(self, text: str) -> str:
        """The same for a parameter, whose name may have parts."""
        if _OWN.fullmatch(text):
            return self._new(text, text)
        parts = [
            part if part.isdecimal() else _identifier(part)
            for part in re.split(r"[./:]+", text)
            if part
        ]
        return self._new(text, ".".join(parts))

    def _new(self, text: str, wanted: str) -> str:
        if text not in self._given:
            stem, name, number = wanted or "unnamed", wanted or "unnamed", 2
            while name in self._given.values():
                name, number = f"{stem}_{number}", number + 1
            self._given[text] = name
        return self._given[text]


def _identifier(text: str) -> str:
    plain = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_")
    return f"x{plain}" if plain[:1].isdigit() else plain
