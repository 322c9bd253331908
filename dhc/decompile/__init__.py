"""From a graph back to a program that people read: chains, names, and blocks for what repeats."""

from __future__ import annotations

from dhc.decompile.program import Decompiled, decompile

__all__ = ["Decompiled", "decompile"]
