"""Compiles CUDA text with NVRTC alone: a check that needs neither a GPU nor its driver."""

from __future__ import annotations

from dhc.backends.cuda.gpu import OPTIONS
from dhc.backends.grid import tool_missing
from dhc.errors import DhcError, Diagnostic


def compile_offline(text: str, architecture: str) -> bytes:
    """Returns the machine code of a text.

    Args:
        text: CUDA C++.
        architecture: Such as `sm_80`.

    Raises:
        DhcError: if NVRTC is not installed, or refuses the text.
    """
    try:
        from cuda.bindings import nvrtc
    except ImportError:
        raise tool_missing(
            "Compiling CUDA text needs NVRTC, which is not installed.",
            "pip install cuda-bindings nvidia-cuda-nvrtc",
        ) from None
    _, program = nvrtc.nvrtcCreateProgram(text.encode(), b"program.cu", 0, [], [])
    try:
        options = [o.encode() for o in (*OPTIONS, f"--gpu-architecture={architecture}")]
        (status,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
        if status != nvrtc.nvrtcResult.NVRTC_SUCCESS:
            _, size = nvrtc.nvrtcGetProgramLogSize(program)
            log = b" " * size
            nvrtc.nvrtcGetProgramLog(program, log)
            raise _refused(architecture, log.decode(errors="replace"))
        _, size = nvrtc.nvrtcGetCUBINSize(program)
        code: bytes = b" " * size
        nvrtc.nvrtcGetCUBIN(program, code)
        return code
    finally:
        nvrtc.nvrtcDestroyProgram(program)


def _refused(architecture: str, log: str) -> DhcError:
    message = f"NVRTC refused the generated text for {architecture}."
    return DhcError(Diagnostic("device-compiler", message, notes=(log.strip("\0 \n"),)))
