"""Worker threads: they spin for a moment between calls, then sleep.

On Linux the workers wait in generated code, so a call costs about two microseconds. Elsewhere, or
when asked to, ordinary Python threads do the same.
"""

from __future__ import annotations

import ctypes
import platform
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Protocol

import numpy as np

from dhc.backends.cpu.calling import pause
from dhc.backends.cpu.features import Isa
from dhc.backends.cpu.jit import Code, RunFunction, cached_object, link

SPINS = 20_000
_MAILBOX_BYTES = 512
_FUTEX = {"x86_64": 202, "AMD64": 202, "aarch64": 98}


class Pool(Protocol):
    """Runs a function on all workers at once."""

    workers: int

    def run(self, function: int, bases: int) -> None:
        """Calls the function at an address with (bases, worker, workers) on every worker."""


@lru_cache(maxsize=256)
def _callable(function: int) -> Callable[[int, int, int], None]:
    """The function at an address; making the object takes longer than the call."""
    return RunFunction(function)


class SingleWorker:
    """No threads at all."""

    workers = 1

    def run(self, function: int, bases: int) -> None:
        _callable(function)(bases, 0, 1)


class PortablePool:
    """Python threads that wait on condition variables."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._changed = threading.Condition()
        self._call = threading.Lock()
        self._generation = 0
        self._left = 0
        self._job = (0, 0)
        for worker in range(1, workers):
            threading.Thread(target=self._work, args=(worker,), daemon=True).start()

    def run(self, function: int, bases: int) -> None:
        with self._call:
            with self._changed:
                self._job, self._left = (function, bases), self.workers - 1
                self._generation += 1
                self._changed.notify_all()
            RunFunction(function)(bases, 0, self.workers)
            with self._changed:
                self._changed.wait_for(lambda: self._left == 0)

    def _work(self, worker: int) -> None:
        seen = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda seen=seen: self._generation != seen)  # type: ignore[misc]
                seen, (function, bases) = self._generation, self._job
            RunFunction(function)(bases, worker, self.workers)
            with self._changed:
                self._left -= 1
                self._changed.notify_all()


class SpinningPool:
    """Threads that wait in generated code: spinning first, then asleep on a futex."""

    def __init__(self, workers: int, isa: Isa) -> None:
        self.workers = workers
        self._call = threading.Lock()
        self._code = _pool_code(isa)
        self._mailbox = np.zeros(_MAILBOX_BYTES, np.uint8)
        launch = ctypes.CFUNCTYPE(
            None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64
        )
        work = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)
        self._launch = launch(self._code["launch"].address)
        self._work = work(self._code["work"].address)
        for worker in range(1, workers):
            arguments = (self._mailbox.ctypes.data, worker)
            threading.Thread(target=self._work, args=arguments, daemon=True).start()

    def run(self, function: int, bases: int) -> None:
        with self._call:
            self._launch(self._mailbox.ctypes.data, function, bases, self.workers)


def make_pool(workers: int, isa: Isa, portable: bool = False) -> Pool:
    """Returns the pool for a number of workers; pools are shared between programs."""
    key = (workers, portable)
    with _lock:
        if key not in _pools:
            _pools[key] = _new_pool(workers, isa, portable)
        return _pools[key]


_pools: dict[tuple[int, bool], Pool] = {}
_lock = threading.Lock()


def _new_pool(workers: int, isa: Isa, portable: bool) -> Pool:
    if workers == 1:
        return SingleWorker()
    if portable or platform.system() != "Linux" or platform.machine() not in _FUTEX:
        return PortablePool(workers)
    return SpinningPool(workers, isa)


def _pool_code(isa: Isa) -> dict[str, Code]:
    code = cached_object(_pool_text(_FUTEX[platform.machine()]), isa)
    return {name: link(code, name) for name in ("launch", "work")}


def _pool_text(futex: int) -> str:
    """The mailbox: 0 generation, 64 function, 72 bases, 80 workers, 128 done, 192 sleepers."""
    wake, wait = (
        f"i64 {futex}, ptr %mail, i32 {operation}, i32 {count}, ptr null, ptr null, i32 0"
        for operation, count in ((129, 2147483647), (128, "%seen"))
    )
    declaration, relax = pause()
    return f"""{declaration}
declare i64 @syscall(i64, ...)

define void @launch(ptr %mail, ptr %function, ptr %bases, i64 %workers) {{
entry:
  %functionat = getelementptr i8, ptr %mail, i64 64
  %basesat = getelementptr i8, ptr %mail, i64 72
  %workersat = getelementptr i8, ptr %mail, i64 80
  %doneat = getelementptr i8, ptr %mail, i64 128
  %sleepersat = getelementptr i8, ptr %mail, i64 192
  store ptr %function, ptr %functionat
  store ptr %bases, ptr %basesat
  store i64 %workers, ptr %workersat
  store atomic i64 0, ptr %doneat monotonic, align 8
  %old = atomicrmw add ptr %mail, i32 1 seq_cst, align 4
  %asleep = load atomic i64, ptr %sleepersat seq_cst, align 8
  %any = icmp ne i64 %asleep, 0
  br i1 %any, label %wake, label %work
wake:
  %woken = call i64 (i64, ...) @syscall({wake})
  br label %work
work:
  call void %function(ptr %bases, i64 0, i64 %workers)
  %wanted = sub i64 %workers, 1
  br label %wait
wait:
  %done = load atomic i64, ptr %doneat acquire, align 8
  %all = icmp eq i64 %done, %wanted
  br i1 %all, label %end, label %pause
pause:
  {relax}
  br label %wait
end:
  ret void
}}

define void @work(ptr %mail, i64 %worker) {{
entry:
  %functionat = getelementptr i8, ptr %mail, i64 64
  %basesat = getelementptr i8, ptr %mail, i64 72
  %workersat = getelementptr i8, ptr %mail, i64 80
  %doneat = getelementptr i8, ptr %mail, i64 128
  %sleepersat = getelementptr i8, ptr %mail, i64 192
  br label %next
next:
  %seen = phi i32 [ 0, %entry ], [ %now, %go ]
  br label %spin
spin:
  %turn = phi i64 [ 0, %next ], [ %following, %pause ], [ 0, %slept ]
  %now = load atomic i32, ptr %mail acquire, align 4
  %called = icmp ne i32 %now, %seen
  br i1 %called, label %go, label %more
more:
  %following = add i64 %turn, 1
  %long = icmp ugt i64 %following, {SPINS}
  br i1 %long, label %sleep, label %pause
pause:
  {relax}
  br label %spin
sleep:
  %before = atomicrmw add ptr %sleepersat, i64 1 seq_cst, align 8
  %slept_for = call i64 (i64, ...) @syscall({wait})
  %after = atomicrmw sub ptr %sleepersat, i64 1 seq_cst, align 8
  br label %slept
slept:
  br label %spin
go:
  %function = load ptr, ptr %functionat
  %bases = load ptr, ptr %basesat
  %workers = load i64, ptr %workersat
  call void %function(ptr %bases, i64 %worker, i64 %workers)
  %finished = atomicrmw add ptr %doneat, i64 1 release, align 8
  br label %next
}}
"""
