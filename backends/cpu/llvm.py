"""From LLVM text to machine code, also as a process of its own: `python llvm.py`.

LLVM's binding lets one thread of a process compile at a time, so several modules are compiled by
several processes. This file imports nothing of dhc, so that they begin at once.
"""

from __future__ import annotations

import json
import struct
import sys
import threading
from collections.abc import Sequence
from typing import Any, BinaryIO

_LENGTH = struct.Struct("<Q")
_ready = threading.Lock()


def initialise() -> None:
    """Makes LLVM know this kind of processor; it may be called again."""
    import llvmlite.binding as llvm

    with _ready:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()


def compile_text(text: str, cpu: str, features: str) -> bytes:
    """Returns the object file of a module.

    Vectors are explicit in the text, so LLVM's own vectorisers and unrolling are off.
    """
    import llvmlite.binding as llvm

    initialise()
    target = llvm.Target.from_triple(llvm.get_process_triple())
    machine: Any = target.create_target_machine(
        cpu=cpu, features=features, opt=3, reloc="pic", codemodel="default"
    )
    module = llvm.parse_assembly(text)
    module.triple = llvm.get_process_triple()
    module.data_layout = str(machine.target_data)
    module.verify()
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = False
    options.slp_vectorization = False
    options.loop_unrolling = False
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return bytes(machine.emit_object(module))


def write_blocks(file: BinaryIO, blocks: Sequence[bytes]) -> None:
    """Writes blocks of bytes, each after its length."""
    for block in blocks:
        file.write(_LENGTH.pack(len(block)))
        file.write(block)


def read_blocks(content: bytes) -> list[bytes]:
    """Reads what `write_blocks` wrote.

    Raises:
        ValueError: if it is something else.
    """
    found, place = [], 0
    while place < len(content):
        if place + _LENGTH.size > len(content):
            raise ValueError("a length is cut off")
        (size,) = _LENGTH.unpack_from(content, place)
        place += _LENGTH.size
        if place + size > len(content):
            raise ValueError("a block is cut off")
        found.append(content[place : place + size])
        place += size
    return found


def main() -> None:
    """Reads processor, features and texts from standard input; writes object files."""
    kind, *texts = read_blocks(sys.stdin.buffer.read())
    cpu, features = json.loads(kind)
    write_blocks(sys.stdout.buffer, [compile_text(t.decode(), cpu, features) for t in texts])


if __name__ == "__main__":
    main()
