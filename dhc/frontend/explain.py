"""Explains tensors that an operator cannot take: where, which sizes, and what would fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dhc.errors import DhcError, Diagnostic, Related
from dhc.frontend.axes import axis_name, letters_for_numbers
from dhc.frontend.frame import Site
from dhc.frontend.scope import Scope
from dhc.frontend.values import Given
from dhc.ir.graph import Input, Node
from dhc.ops.base import TypeRuleError

if TYPE_CHECKING:
    from dhc.frontend.apply import Applier

MAX_TRIALS = 24  # other tensors tried in place of one that does not fit


@dataclass(frozen=True, slots=True)
class Failure:
    """An operator's refusal, with the call it came from."""

    problem: TypeRuleError
    site: Site
    attributes: Mapping[str, object]

    @property
    def tensors(self) -> tuple[Given, ...]:
        return self.site.inputs


def explain_shapes(applier: Applier, failure: Failure) -> DhcError:
    """The diagnostic for a refusal.

    It points at the call in the outermost body, where the tensors were chosen, and shows the
    operator inside the block, the tensors that flow in with their types, and one that would fit.
    """
    sites = applier.state.sites
    outer = sites[0] if sites else failure.site
    rank = _rank(failure)
    message = letters_for_numbers(failure.problem.message, rank, applier.batched)
    detail = _detail(applier, failure)
    related: list[Related] = []
    label = detail or "here"
    if sites:
        inside = f"inside block '{sites[-1].name}'"
        label = f"{inside}, {detail}" if detail else inside
        related.append(Related(failure.site.span, "this call in the block"))
    related += _typed_inputs(outer, failure)
    hints = [hint for hint in (failure.problem.hint, _replacement(applier, outer)) if hint]
    diagnostic = Diagnostic(
        "shape-mismatch", message, outer.span, label, tuple(related), hints=tuple(hints)
    )
    return DhcError(diagnostic)


def _rank(failure: Failure) -> int:
    for each in failure.tensors:
        if isinstance(each.value, Node):
            return each.value.type.rank
    return 0


def _detail(applier: Applier, failure: Failure) -> str:
    """Which axes differ, and who brought which size; or simply the types."""
    nodes = [each.value for each in failure.tensors if isinstance(each.value, Node)]
    if not nodes:
        return ""
    names = [_origin_name(applier, node) for node in nodes]
    ranks = {node.type.rank for node in nodes}
    if len(nodes) > 1 and len(ranks) == 1:
        axis = _differing_axis(nodes, failure)
        if axis is not None:
            letter = axis_name(axis, nodes[0].type.rank, applier.batched)
            sizes = [
                f"{n.type.shape[axis]} from {who}" for n, who in zip(nodes, names, strict=True)
            ]
            return f"axis {letter}: {', '.join(sizes)}"
    if len(nodes) == 1:
        return f"{names[0]} is {nodes[0].type}" if applier.state.sites else ""
    return ", ".join(f"{n.type} from {who}" for n, who in zip(nodes, names, strict=True))


def _differing_axis(nodes: Sequence[Node], failure: Failure) -> int | None:
    free = failure.attributes.get("axis")
    rank = nodes[0].type.rank
    skipped = free % rank if isinstance(free, int) and rank else None
    for axis in range(rank):
        if axis != skipped and len({str(node.type.shape[axis]) for node in nodes}) > 1:
            return axis
    return None


def _origin_name(applier: Applier, node: Node) -> str:
    """The name a tensor has in the innermost body, else the operator that made it."""
    for name, value in applier.frame.scope.names.items():
        if value is node:
            return f"'{name}'"
    if isinstance(node.op, Input):
        return f"'{node.op.label}'"
    return node.op.name


def _typed_inputs(site: Site, failure: Failure) -> Iterator[Related]:
    """The inputs of the call with their types; only the one at fault where that is known."""
    nodes = [each.value for each in failure.tensors]
    at_fault = failure.problem.input
    culprit = nodes[at_fault] if at_fault is not None and at_fault < len(nodes) else None
    known = [each for each in site.inputs if each.value is culprit] or [*site.inputs]
    for each in known:
        if isinstance(each.value, Node) and each.span != site.span:
            text = " ".join(each.span.text.split())
            shown = f"'{text}'" if text.isidentifier() else "this"
            yield Related(each.span, f"{shown} is {each.value.type}")


def _replacement(applier: Applier, site: Site) -> str:
    """Another tensor in scope with which the call would work."""
    if applier.trying or len(site.inputs) < 2:
        return ""
    for position, given in enumerate(site.inputs):
        for name, node in _candidates(site, given):
            others = list(site.inputs)
            others[position] = Given(None, node, given.span)
            if applier.works(site, tuple(others)):
                texts = [" ".join(each.span.text.split()) for each in site.inputs]
                texts[position] = name
                return f"the tensor that fits is '{name}'; did you mean ({', '.join(texts)})?"
    return ""


def _candidates(site: Site, given: Given) -> list[tuple[str, Node]]:
    used = [each.value for each in site.inputs]
    scope: Scope = site.scope
    found = [
        (name, value)
        for name, value in scope.names.items()
        if isinstance(value, Node) and not any(value is each for each in used)
    ]
    return [pair for pair in reversed(found) if _same_kind(pair[1], given)][:MAX_TRIALS]


def _same_kind(node: Node, given: Given) -> bool:
    return (
        isinstance(given.value, Node)
        and node.type.dtype is given.value.type.dtype
        and node.type.rank == given.value.type.rank
        and node.type != given.value.type
    )
