"""The CUDA text with NVIDIA's compiler, which needs neither a GPU nor its driver."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from dhc.backends.base import Lowered, Target
from dhc.backends.cuda import preamble
from dhc.backends.cuda.nvrtc import compile_offline
from dhc.errors import DhcError

Lower = Callable[[str, Target], Lowered]
ELF = b"\x7fELF"


@pytest.fixture(scope="module")
def all_text(all_kernels: tuple[str, ...], lower: Lower) -> str:
    """All golden kernels as one translation unit, each named after its network."""
    pytest.importorskip("cuda.bindings.nvrtc")
    texts = [preamble()]
    for name in all_kernels:
        text = lower(name, Target("cuda")).source.text.removeprefix(preamble())
        texts.append(re.sub(r"\bk(\d+)_", rf"{name}_k\1_", text))
    return "\n".join(texts)


@pytest.mark.parametrize("architecture", ["sm_75", "sm_80", "sm_90"])
def test_all_kernels_compile(architecture: str, all_text: str) -> None:
    code = compile_offline(all_text, architecture)
    assert code.startswith(ELF)
    assert b"conv3x3_k0_conv" in code


def test_what_the_compiler_refuses_is_an_error_with_its_reasons() -> None:
    pytest.importorskip("cuda.bindings.nvrtc")
    with pytest.raises(DhcError) as caught:
        compile_offline("__global__ void broken() { undefined(); }", "sm_80")
    assert 'identifier "undefined" is undefined' in caught.value.diagnostics[0].notes[0]


def test_an_unknown_device_is_refused(lower: Lower) -> None:
    from dhc.backends.cuda import CudaBackend

    backend = CudaBackend(Target("cuda", options={"device": "tpu"}))
    with pytest.raises(DhcError, match="no device 'tpu'"):
        backend.build(lower("relu", Target("cuda")).source)
