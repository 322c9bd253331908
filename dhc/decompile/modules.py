"""What exporters tell of the modules that nodes came from: `/layer1/layer1.0/conv1/Conv`."""

from __future__ import annotations

import re
from collections.abc import Iterable


def module_of(hint: str) -> str:
    """Returns the path of the module that a node's name tells, or nothing."""
    if not hint.startswith("/"):
        return ""
    parts: list[str] = []
    for part in hint.strip("/").split("/")[:-1]:
        inner = part.startswith(f"{parts[-1]}.") if parts else False
        parts = [*parts[:-1], part] if inner else [*parts, part]
    return ".".join(part for part in parts if re.fullmatch(r"[\w.]+", part, re.ASCII))


class Items:
    """The items of lists of modules, such as `layer1.0`, that hold modules of their own.

    Args:
        hints: The names of all nodes.
    """

    def __init__(self, hints: Iterable[str]) -> None:
        modules = {module_of(hint) for hint in hints}
        self._holders = {
            ".".join(parts[:k])
            for parts in (module.split(".") for module in modules)
            for k in range(1, len(parts))
        }

    def of(self, hint: str) -> str:
        """Returns the path of the item in which a node stands, or nothing."""
        parts = module_of(hint).split(".")
        number = next((k for k, part in enumerate(parts) if part.isdigit()), -1)
        path = ".".join(parts[: number + 1])
        return path if path in self._holders else ""
