"""Links machine code into this process."""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from dhc.backends.cpu.features import Isa
from dhc.backends.cpu.llvm import compile_text, initialise
from dhc.runtime.cache import default_cache


@dataclass(frozen=True)
class Code:
    """Machine code in this process; it stays as long as this object does."""

    address: int
    owner: object


def version() -> str:
    """Returns the versions of the compiler."""
    import llvmlite
    import llvmlite.binding as llvm

    return f"llvmlite {llvmlite.__version__} LLVM {llvm.llvm_version_info}"


def cached_object(text: str, isa: Isa) -> bytes:
    """Returns the object file of a module from the cache, else compiles it."""
    name = f"object {version()} {isa} {hashlib.sha256(text.encode('utf-8')).hexdigest()}"
    cache = default_cache()
    code = cache.get(name)
    if code is None:
        code = compile_text(text, isa.cpu, isa.features)
        cache.put(name, code)
    return code


def link(code: bytes, name: str) -> Code:
    """Makes an object file's function `name` callable."""
    return link_all([code], [name])[0]


def link_all(objects: Sequence[bytes], names: Sequence[str]) -> tuple[Code, ...]:
    """Makes several functions of object files callable, which may call each other's."""
    import llvmlite.binding as llvm

    initialise()
    jit = llvm.create_lljit_compiler()
    library = llvm.JITLibraryBuilder()
    for code in objects:
        library.add_object_img(code)
    library.add_current_process()
    for name in names:
        library.export_symbol(name)
    tracker = library.link(jit, f"dhc_{id(jit)}")
    return tuple(Code(tracker[name], (jit, tracker)) for name in names)


RunFunction = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
