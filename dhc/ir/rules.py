"""Rewrite rules: plain functions over Python's `match`, registered for the operator at the root."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from dhc.ir.graph import Graph, Node, Op
from dhc.ir.rewrite import rebuild, transform

Rule = Callable[[Node], Node | None]
"""Returns what to use in place of a node, or None where the rule does not apply."""

_MAX_TURNS = 32


@dataclass
class RuleSet:
    """The rules of one pass, by the class of the root operator."""

    rules: dict[type[Op], list[Rule]] = field(default_factory=dict)

    def rule(self, root: type[Op]) -> Callable[[Rule], Rule]:
        """Registers a rule for nodes whose operator is exactly of class `root`."""

        def register(function: Rule) -> Rule:
            self.rules.setdefault(root, []).append(function)
            return function

        return register

    def apply(self, graph: Graph) -> Graph:
        """Rewrites bottom-up until no rule applies to any node."""

        def step(node: Node, inputs: tuple[Node, ...]) -> Node:
            return self._rewrite(rebuild(node, inputs))

        return transform(graph, step)

    def _rewrite(self, node: Node) -> Node:
        for _ in range(_MAX_TURNS):
            new = self._first_match(node)
            if new is None:
                return node
            assert new.type == node.type, f"a rule changed {node.type} to {new.type}"
            node = new
        raise AssertionError(f"the rules for '{node.op.name}' never come to rest")

    def _first_match(self, node: Node) -> Node | None:
        for rule in self.rules.get(type(node.op), ()):
            new = rule(node)
            if new is not None and new is not node:
                return new
        return None


def single_use(graph: Graph) -> Mapping[Node, bool]:
    """Returns for each node whether exactly one other node reads it and it is no output."""
    from dhc.ir.graph import users

    roots = set(graph.roots)
    return {n: len(found) == 1 and n not in roots for n, found in users(graph.roots).items()}
