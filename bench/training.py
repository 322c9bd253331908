"""Training: one step of dhc beside PyTorch's, forward, backward, Adam and running statistics."""

from __future__ import annotations

import argparse
import copy
import gc
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Protocol

from bench.machine import describe, keep_memory, print_description
from bench.networks import Result, Row, as_content, print_result, print_summary
from bench.options import add_contenders
from bench.output import add_output, write_json
from bench.peers import relative_distance
from bench.steps import CASES, RATE, Lesson, StepCase, Trainee, build, flat
from bench.timing import Plan, Times, interleave
from dhc.ir.graph import Array
from dhc.summary import summarise

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

BACKWARD = 3  # a step does about three times the work of a forward pass


class Contender(Protocol):
    """Something that trains."""

    def __call__(self) -> None:
        """Makes one step."""

    def learned(self) -> Array:
        """What one step from the beginning leaves: means of gradients, and running statistics."""


@dataclass(frozen=True)
class Peer:
    """A way of PyTorch to make a step; `prepare` takes the number of threads too."""

    name: str
    prepare: Callable[[Lesson, int], Contender]


class TorchStep:
    """A step of PyTorch.

    Args:
        lesson: What to learn.
        format: How images lie in memory.
        compiled: Whether forward and backward are compiled.
        wide: Whether to compute in double precision.
    """

    def __init__(
        self,
        lesson: Lesson,
        format: torch.memory_format,
        compiled: bool = False,
        wide: bool = False,
    ) -> None:
        import torch

        assert lesson.module is not None
        dtype = torch.float64 if wide else torch.float32
        self._lesson = lesson
        self._module = copy.deepcopy(lesson.module).to(dtype).to(memory_format=format).train()  # type: ignore[call-overload]
        self._adam = torch.optim.Adam(self._module.parameters(), lr=RATE, fused=True)
        self._image = torch.from_numpy(lesson.image).to(dtype).contiguous(memory_format=format)
        truth = torch.from_numpy(lesson.truth)
        self._truth = truth.to(dtype) if truth.is_floating_point() else truth
        self._loss: Callable[..., Tensor] = torch.compile(_loss) if compiled else _loss

    def __call__(self) -> None:
        self._adam.zero_grad(set_to_none=True)
        self._loss(self._module, self._image, self._truth).backward()
        self._adam.step()

    def learned(self) -> Array:
        state = self._adam.state
        found: dict[str, Tensor] = dict(self._module.named_buffers())
        found |= {n: state[p]["exp_avg"] for n, p in self._module.named_parameters()}
        order = [name for name, tensor in self._module.state_dict().items() if tensor.ndim]
        by_path = self._lesson.by_path([(name, found[name].numpy()) for name in order])
        return flat([by_path[param.path] for param in self._lesson.graph.params])


def _loss(module: nn.Module, image: Tensor, truth: Tensor) -> Tensor:
    from torch.nn import functional

    result = module(image)
    if truth.is_floating_point():
        return functional.binary_cross_entropy(result, truth)
    return functional.cross_entropy(result, truth)


def _eager(lesson: Lesson, threads: int) -> TorchStep:
    import torch

    torch.set_num_threads(threads)
    return TorchStep(lesson, torch.contiguous_format)


def _channels_last(lesson: Lesson, threads: int) -> TorchStep:
    import torch

    torch.set_num_threads(threads)
    return TorchStep(lesson, torch.channels_last)


def _inductor(lesson: Lesson, threads: int) -> TorchStep:
    import torch

    torch.set_num_threads(threads)
    torch._dynamo.reset()
    return TorchStep(lesson, torch.channels_last, compiled=True)


PEERS = (
    Peer("eager", _eager),
    Peer("channels_last", _channels_last),
    Peer("inductor", _inductor),
)


# ---- one network -----------------------------------------------------------------------------


def measure(case: StepCase, peers: Sequence[Peer], threads: int, plan: Plan) -> Result:
    """Measures all contenders on one step; the first call of each tells its error."""
    lesson = build(case)
    absent: dict[str, str] = {}
    if lesson.module is None:
        absent = {peer.name: "needs torch, torchvision" for peer in peers}
    contenders: dict[str, Contender] = {}
    learned: dict[str, Array] = {}
    for peer in (OURS, *(peer for peer in peers if not absent)):
        try:
            start = time.perf_counter()
            made = peer.prepare(lesson, threads)
            made()
            print(f"{peer.name}: ready after {time.perf_counter() - start:.1f} s", flush=True)
            contenders[peer.name], learned[peer.name] = made, made.learned()
        except Exception as error:  # one that cannot run this network does not stop the others
            if peer is OURS:
                raise
            absent[peer.name] = f"{type(error).__name__}: {error}".splitlines()[0]
    exact = _exact(lesson)
    times = interleave(contenders, plan)
    rows = tuple(_row(name, times[name], learned[name], exact) for name in contenders)
    return Result(case.name, BACKWARD * summarise(lesson.graph).flop, rows, absent)


OURS = Peer("dhc", Trainee)


def _row(name: str, times: Times, learned: Array, exact: Array | None) -> Row:
    error = None if exact is None else relative_distance(learned, exact)
    return Row(name, times.median, times.least, times.rounds, error)


def _exact(lesson: Lesson) -> Array | None:
    """What a step in double precision leaves."""
    if lesson.module is None:
        return None
    import torch

    step = TorchStep(lesson, torch.contiguous_format, wide=True)
    step()
    return step.learned()


# ---- the command -----------------------------------------------------------------------------


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    names, peers = [case.name for case in CASES], [peer.name for peer in PEERS]
    parser = argparse.ArgumentParser(prog="python -m bench.training", description=__doc__)
    add_contenders(parser, names, peers)
    add_output(parser, "training")
    return parser.parse_args(arguments)


def main() -> int:
    """Measures what the command line names."""
    options = parse(sys.argv[1:])
    keep_memory()
    machine = describe(options.threads)
    print_description(machine)
    plan = Plan(options.rounds, options.seconds_per_network, turn=0.3)
    peers = [peer for peer in PEERS if peer.name in options.peers]
    results: list[Result] = []
    for case in (case for case in CASES if case.name in options.networks):
        results.append(measure(case, peers, options.threads, plan))
        print_result(results[-1])
        gc.collect()
    print_summary(results)
    content = {"machine": machine, "plan": asdict(plan), **as_content(results)}
    write_json(options.output, content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
