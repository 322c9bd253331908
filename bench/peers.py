"""The contenders: each makes, from one network, a function that runs it once.

All compute in float32, one image at a time, with the same number of threads and the same weights.
What a contender can prepare in advance is not measured: the order of its weights and of its input
in memory, a compiled program, a buffer for the result.
"""

from __future__ import annotations

import copy
import importlib.util
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import dhc
from dhc.ir.graph import Array, Input

if TYPE_CHECKING:
    from torch import Tensor, nn

Call = Callable[[], Array]
OPSET = 17


@dataclass(frozen=True)
class Network:
    """A network with its weights, in the forms that the contenders take.

    Attributes:
        name: What it is called in its .dhm file.
        model: As dhc has it.
        shapes: Values of the model's size symbols.
        module: As PyTorch has it; None where that is not installed.
        onnx_file: As ONNX has it; None where it cannot be made.
    """

    name: str
    model: dhc.Model
    shapes: Mapping[str, int]
    module: nn.Module | None = None
    onnx_file: Path | None = None


@dataclass(frozen=True)
class Peer:
    """A contender.

    Attributes:
        name: What tables call it.
        packages: The modules that it needs.
        prepare: Makes the function from a network, an input and a number of threads.
    """

    name: str
    packages: tuple[str, ...]
    prepare: Callable[[Network, Array, int], Call]

    @property
    def missing(self) -> list[str]:
        """Those of its packages that are not installed."""
        return [name for name in self.packages if importlib.util.find_spec(name) is None]


def export(module: nn.Module, image: Array, path: Path) -> None:
    """Writes a module as ONNX, for those contenders that read it."""
    import torch

    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter that needs no further package is deprecated
        torch.onnx.export(
            module, (torch.from_numpy(image),), str(path), opset_version=OPSET, dynamo=False,
            input_names=["image"], output_names=["result"],
        )  # fmt: skip


def exact(module: nn.Module, image: Array) -> Array:
    """Returns what a module computes in float64."""
    import torch

    with torch.inference_mode():
        wide = copy.deepcopy(module).double()
        result: Array = wide(torch.from_numpy(image).double()).numpy()
    return result


def relative_error(found: Array, reference: Array) -> float:
    """Returns the largest absolute difference over the largest absolute value.

    Raises:
        ValueError: if the shapes differ.
    """
    if found.shape != reference.shape:
        raise ValueError(f"The result is {list(found.shape)}, not {list(reference.shape)}.")
    scale = float(np.max(np.abs(reference), initial=0.0)) or 1.0
    difference = np.subtract(found, reference, dtype=np.float64)
    return float(np.max(np.abs(difference), initial=0.0)) / scale


def relative_distance(found: Array, reference: Array) -> float:
    """Returns the root mean square of the differences over that of the values.

    Where a network jumps, at the kinks of activations and the ties of poolings, single gradients
    may differ in any calculation; this tells how many do.

    Raises:
        ValueError: if the shapes differ.
    """
    if found.shape != reference.shape:
        raise ValueError(f"The result is {list(found.shape)}, not {list(reference.shape)}.")
    difference = np.subtract(found, reference, dtype=np.float64)
    return float(np.linalg.norm(difference) / (np.linalg.norm(reference) or 1.0))


# ---- dhc -------------------------------------------------------------------------------------


def _dhc(network: Network, image: Array, threads: int) -> Call:
    program = dhc.compile(network.model, "cpu", network.shapes, threads=threads)
    (label,) = (n.op.label for n in network.model.graph.inputs if isinstance(n.op, Input))

    def call() -> Array:
        (result,) = program(**{label: image}).values()
        return result

    return call


# ---- PyTorch ---------------------------------------------------------------------------------


def _eager(network: Network, image: Array, threads: int) -> Call:
    import torch
    from torch.fx.experimental.optimization import fuse

    torch.set_num_threads(threads)
    module = _channels_last(fuse(_module(network)), image)
    x = _tensor(image)

    def call() -> Array:
        with torch.inference_mode():
            result: Array = module(x).numpy()
        return result

    return call


def _inductor(network: Network, image: Array, threads: int) -> Call:
    import torch
    import torch._inductor.config as settings

    torch.set_num_threads(threads)
    torch._dynamo.reset()
    settings.freezing = True  # weights are constants: normalisations fold, weights are packed
    compiled = torch.compile(_channels_last(copy.deepcopy(_module(network)), image))
    x = _tensor(image)

    def call() -> Array:
        with torch.no_grad():
            result: Array = compiled(x).numpy()
        return result

    return call


def _module(network: Network) -> nn.Module:
    assert network.module is not None
    return network.module


def _channels_last(module: nn.Module, image: Array) -> nn.Module:
    return module.to(memory_format=_format(image))  # type: ignore[call-overload, no-any-return]


def _tensor(image: Array) -> Tensor:
    import torch

    return torch.from_numpy(image).contiguous(memory_format=_format(image))


def _format(image: Array) -> Any:
    import torch

    return torch.channels_last if image.ndim == 4 else torch.channels_last_3d


# ---- ONNX ------------------------------------------------------------------------------------


def session(file: Path, threads: int) -> Any:
    """Returns a session of ONNX Runtime on the processor, with all its optimisations."""
    import onnxruntime  # type: ignore[import-untyped]

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3  # errors
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def _onnxruntime(network: Network, image: Array, threads: int) -> Call:
    assert network.onnx_file is not None
    opened = session(network.onnx_file, threads)

    def call() -> Array:
        (result,) = opened.run(None, {"image": image})
        return np.asarray(result)

    return call


def _openvino(network: Network, image: Array, threads: int) -> Call:
    import openvino  # type: ignore[import-untyped]

    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    compiled = openvino.Core().compile_model(str(network.onnx_file), "CPU", settings)
    request = compiled.create_infer_request()

    def call() -> Array:
        found = request.infer([image], share_inputs=True, share_outputs=True)
        return np.asarray(found[0])

    return call


OURS = Peer("dhc", (), _dhc)
PEERS = (
    Peer("eager", ("torch", "torchvision"), _eager),
    Peer("inductor", ("torch", "torchvision"), _inductor),
    Peer("onnxruntime", ("torch", "torchvision", "onnx", "onnxruntime"), _onnxruntime),
    Peer("openvino", ("torch", "torchvision", "onnx", "openvino"), _openvino),
)
