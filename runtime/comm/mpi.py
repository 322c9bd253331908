"""Ranks that an MPI launcher started: `mpiexec -n N dhc train FILE`."""

from __future__ import annotations

import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from dhc.errors import DhcError, Diagnostic
from dhc.runtime.comm.agree import ElsewhereError, together
from dhc.runtime.comm.base import Alone, Communicator, Numbers, Pending

if TYPE_CHECKING:
    from mpi4py import MPI

# What launchers tell the processes that they start: MPICH and its kin, Open MPI, and PMIx.
_RANKS = ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "PMIX_RANK")
_SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE")
REMEDY = "pip install mpi4py mpich"


def open_communicator() -> Communicator:
    """Returns the ranks that this process was started with; itself alone without a launcher.

    Raises:
        DhcError: if a launcher started it, and its MPI is not the one that can be used here.
    """
    rank = next((os.environ[name] for name in _RANKS if name in os.environ), "")
    if not rank:
        return Alone()
    try:
        world = _world()
    except DhcError:
        if rank != "0":
            raise ElsewhereError(1) from None
        raise
    return MpiCommunicator(world) if world.size > 1 else Alone()


def require_alone(command: str) -> None:
    """Refuses a launcher for what each process would do for itself, in the same folder.

    Raises:
        DhcError: on rank 0.
        ElsewhereError: on the others.
    """
    ranks = open_communicator()

    def check() -> None:
        if ranks.size > 1:
            text = f"`{command}` does not share its work; there are {ranks.size} ranks."
            raise DhcError(Diagnostic("distribute", text, hints=("start it without mpiexec",)))

    together(ranks, check)


def _world() -> MPI.Intracomm:
    """MPI's own ranks, of which there must be as many as the launcher has started."""
    world: MPI.Intracomm = _import().COMM_WORLD
    started = max((int(os.environ.get(name, "1")) for name in _SIZES), default=1)
    if world.size < started:
        text = f"A launcher started {started} processes; the MPI of mpi4py sees {world.size}."
        hint = "use the mpiexec of the MPI library that mpi4py loads: `dhc doctor` names it"
        raise DhcError(Diagnostic("mpi", text, hints=(hint,)))
    return world


def _import() -> ModuleType:
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as problem:
        there = sys.modules.get("mpi4py") is not None
        text = "An MPI launcher started this process, but "
        text += "mpi4py finds no MPI library." if there else "mpi4py is not installed."
        hint = f"{REMEDY}; or mpi4py with the MPI of your cluster"
        notes = (str(problem).splitlines()[0],) if there else ()
        raise DhcError(Diagnostic("mpi", text, notes=notes, hints=(hint,))) from None
    return MPI


class MpiCommunicator(Communicator):
    """Ranks of an MPI communicator.

    MPI asks of sums only that all ranks should get the same bits; runs compare their weights.
    """

    def __init__(self, world: MPI.Intracomm) -> None:
        from mpi4py import MPI

        self._mpi = MPI
        self._world = world
        self.rank, self.size = world.rank, world.size
        self.neighbours = world.Split_type(MPI.COMM_TYPE_SHARED).size

    def start(self, array: Numbers) -> Pending:
        return _Request(self._world.Iallreduce(self._mpi.IN_PLACE, array, self._mpi.SUM), array)

    def allgather(self, content: bytes) -> list[bytes]:
        lengths = np.zeros(self.size, np.int64)
        self._world.Allgather(np.array([len(content)], np.int64), lengths)
        if not lengths.any():
            return [b""] * self.size
        whole = np.empty(int(lengths.sum()), np.uint8)
        own = np.frombuffer(content, np.uint8)
        self._world.Allgatherv(own, [whole, lengths.tolist()])
        ends = np.cumsum(lengths)
        return [whole[e - n : e].tobytes() for n, e in zip(lengths, ends, strict=True)]

    def broadcast(self, content: bytes) -> bytes:
        length = np.array([len(content)], np.int64)
        self._world.Bcast(length)
        whole = np.empty(int(length[0]), np.uint8)
        if self.rank == 0:
            whole[:] = np.frombuffer(content, np.uint8)
        self._world.Bcast(whole)
        return whole.tobytes()

    def abort(self, status: int) -> NoReturn:
        sys.stdout.flush()
        sys.stderr.flush()
        self._world.Abort(status)
        raise SystemExit(status)


class _Request:
    """A sum under way; it keeps its array alive."""

    def __init__(self, request: MPI.Request, array: Numbers) -> None:
        self._request = request
        self._array = array

    def wait(self) -> None:
        self._request.Wait()
