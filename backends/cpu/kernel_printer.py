"""Prints kernels as LLVM functions: loops, accumulators and stores, with explicit vectors.

A printed kernel takes its buffers' addresses, then the number of this worker and of all workers.
Loops marked `parallel` are split among the workers; loops marked `vector` run `lanes` turns at
once, and the rest one by one.
"""

from __future__ import annotations

from dataclasses import replace

from dhc.backends.cpu.folding import WAYS, Fold, fold_of, has_rows_across, reads_rows
from dhc.backends.cpu.function import FunctionText
from dhc.backends.cpu.scalar_printer import ScalarPrinter, Scope
from dhc.backends.cpu.values import Value, constant, llvm_type
from dhc.ir.kernel import Assign, Declare, For, If, Kernel, Let, Statement, Store
from dhc.ir.scalar import Const, Scalar
from dhc.ir.types import DType
from dhc.lower.expand_math import expand_math_in_kernel


def print_kernel(kernel: Kernel, lanes: int) -> FunctionText:
    """Returns the LLVM function of a kernel."""
    parameters = [(_attributes(k, kernel), f"b{k}") for k in range(len(kernel.buffers))]
    parameters += [("i64", size.name) for size in kernel.sizes]
    parameters += [("i64", "worker"), ("i64", "workers")]
    function = FunctionText(kernel.name, parameters)
    kernel = expand_math_in_kernel(kernel)
    pointers = {buffer: f"%b{k}" for k, buffer in enumerate(kernel.buffers)}
    values = {size: Value(f"%{size.name}", DType.I64) for size in kernel.sizes}
    printer = KernelPrinter(function, lanes)
    printer.scalars.use(pointers)
    printer.body(kernel.body, Scope(values))
    return function


def _attributes(position: int, kernel: Kernel) -> str:
    return "ptr noalias" if position < kernel.outputs else "ptr readonly"


def share_of(function: FunctionText, extent: int | str) -> tuple[int | str, int | str]:
    """Returns the part [first, last) of `extent` turns that falls to this worker."""
    extent = function.size(extent)
    first = function.let(f"mul i64 {extent}, %worker")
    first = function.let(f"udiv i64 {first}, %workers")
    following = function.let("add i64 %worker, 1")
    last = function.let(f"mul i64 {extent}, {following}")
    return first, function.let(f"udiv i64 {last}, %workers")


class KernelPrinter:
    """Prints statements into a function."""

    def __init__(self, function: FunctionText, lanes: int) -> None:
        self.function = function
        self.lanes = lanes
        self.scalars = ScalarPrinter(function, lanes)

    def body(self, statements: tuple[Statement, ...], scope: Scope) -> None:
        for statement in statements:
            self._statement(statement, scope)

    def _statement(self, statement: Statement, scope: Scope) -> None:
        match statement:
            case Let():
                self._let(statement, scope)
            case Declare():
                self._declare(statement, scope)
            case Assign():
                self._assign(statement, scope, None)
            case Store(buffer, index, value):
                self.scalars.store(buffer, index, self.scalars.value(value, scope), scope)
            case If():
                self._branch(statement, scope)
            case For():
                self._loop(statement, scope)
            case _:
                raise TypeError(f"cannot print {type(statement).__name__} for the processor")

    def _let(self, statement: Let, scope: Scope) -> None:
        var, value = statement.var, statement.value
        scope.steps[var] = self.scalars.step(value, scope)
        if scope.steps[var] == 0 and value.dtype is DType.I64:
            scope.values[var] = Value(self.scalars.at_lane(value, scope, 0), DType.I64)
        else:
            scope.values[var] = self.scalars.value(value, scope)
        if value.dtype is DType.I64 and self.scalars.is_aligned(value, scope):
            scope.aligned.add(var)

    def _declare(self, statement: Declare, scope: Scope) -> None:
        lanes = self.lanes if scope.lane is not None else 1
        memory = self.function.alloca(llvm_type(statement.var.dtype, lanes))
        scope.cells[statement.var] = Value(memory, statement.var.dtype, lanes)
        scope.steps[statement.var] = None if lanes > 1 else 0
        self._write(scope.cells[statement.var], self.scalars.value(statement.value, scope))

    def _assign(self, statement: Assign, scope: Scope, mask: Value | None) -> None:
        cell = scope.cells[statement.var]
        value = self.scalars.value(statement.value, scope)
        if mask is not None:
            old = self.scalars.value(statement.var, scope)
            value = self.scalars.select(mask, value, old)
        self._write(cell, value)

    def _write(self, cell: Value, value: Value) -> None:
        wide = self.scalars.spread(value) if cell.lanes > 1 else value
        self.function.do(f"store {cell.type} {wide.text}, ptr {cell.text}")

    def _branch(self, statement: If, scope: Scope) -> None:
        condition = self.scalars.value(statement.condition, scope)
        if condition.lanes > 1:
            self._masked(statement, scope, condition)
            return
        with self.function.when(condition.text):
            self.body(statement.then, scope.copy())
        if statement.otherwise:
            negated = self.function.let(f"xor i1 {condition.text}, true")
            with self.function.when(negated):
                self.body(statement.otherwise, scope.copy())

    def _masked(self, statement: If, scope: Scope, mask: Value) -> None:
        """A branch that lanes take differently: assignments keep the old value where it is off."""
        if statement.otherwise or not all(isinstance(s, Assign) for s in statement.then):
            raise TypeError("only assignments may depend on a lane's own condition")
        for inner in statement.then:
            assert isinstance(inner, Assign)
            self._assign(inner, scope, mask)

    # ---- loops -----------------------------------------------------------------------------------

    def _loop(self, loop: For, scope: Scope) -> None:
        extent = self._integer(loop.extent, scope)
        if loop.kind == "parallel":
            first, last = share_of(self.function, extent)
            self._turns(loop, scope, first, last)
        elif scope.lane is None and self.lanes > 1:
            self._wide_loop(loop, scope, extent)
        else:
            self._turns(loop, scope, 0, extent)

    def _wide_loop(self, loop: For, scope: Scope, extent: int | str) -> None:
        """A loop whose turns, or whose own folds, may be taken a vector at a time."""
        fold = fold_of(loop)
        if fold is not None and reads_rows(fold, self.scalars, scope):
            self._fold(fold, scope)
        elif loop.kind == "vector" and not has_rows_across(loop, self.scalars, scope):
            self._vector_loop(loop, scope, extent)
        else:
            self._turns(loop, scope, 0, extent)

    def _turns(self, loop: For, scope: Scope, first: int | str, last: int | str) -> None:
        with self.function.loop(first, last) as counter:
            inner = scope.copy()
            inner.values[loop.var] = Value(counter, DType.I64)
            self.body(loop.body, inner)

    def _vector_loop(self, loop: For, scope: Scope, extent: int | str) -> None:
        whole = self.function.let(f"and i64 {extent}, {-self.lanes}")
        with self.function.loop(0, whole, self.lanes) as counter:
            inner = replace(scope.copy(), lane=loop.var)
            inner.values[loop.var] = Value(counter, DType.I64)
            self.body(loop.body, inner)
        if not (isinstance(extent, int) and extent % self.lanes == 0):
            self._turns(loop, scope, whole, extent)

    def _fold(self, fold: Fold, scope: Scope) -> None:
        """Vectors of numbers fold into as many variables, and these into one at last."""
        vectors = fold.extent // self.lanes
        cells = [self._vector_cell(fold, scope) for _ in range(min(WAYS, vectors))]
        most = vectors // len(cells) * len(cells) * self.lanes
        self._fold_vectors(fold, scope, cells, (0, most))
        self._fold_vectors(fold, scope, cells[:1], (most, vectors * self.lanes))
        total = self._read_cell(cells[0])
        for cell in cells[1:]:
            total = self.scalars.binary(fold.function, total, self._read_cell(cell))
        one = self.scalars.across(fold.function, total)
        old = self._read_cell(scope.cells[fold.target])
        self._write(scope.cells[fold.target], self.scalars.binary(fold.function, old, one))
        if fold.extent % self.lanes:
            self._turns(fold.loop, scope, vectors * self.lanes, fold.extent)

    def _fold_vectors(
        self, fold: Fold, scope: Scope, cells: list[Value], turns: tuple[int, int]
    ) -> None:
        """Some turns of a fold, each vector into another of the variables."""
        if turns[0] == turns[1]:
            return
        with self.function.loop(*turns, len(cells) * self.lanes) as counter:
            for way, cell in enumerate(cells):
                inner = replace(scope.copy(), lane=fold.loop.var)
                first = self.function.add(counter, way * self.lanes)
                inner.values[fold.loop.var] = Value(str(first), DType.I64)
                inner.cells[fold.target], inner.steps[fold.target] = cell, None
                self.body(fold.loop.body, inner)

    def _vector_cell(self, fold: Fold, scope: Scope) -> Value:
        """A variable for each lane: it begins with nothing, or with an extreme so far."""
        dtype = fold.target.dtype
        cell = Value(self.function.alloca(llvm_type(dtype, self.lanes)), dtype, self.lanes)
        zero = Value(constant(0, dtype), dtype)
        start = zero if fold.function == "add" else self._read_cell(scope.cells[fold.target])
        self._write(cell, start)
        return cell

    def _read_cell(self, cell: Value) -> Value:
        return replace(cell, text=self.function.let(f"load {cell.type}, ptr {cell.text}"))

    def _integer(self, expression: Scalar, scope: Scope) -> int | str:
        if isinstance(expression, Const):
            return int(expression.value)
        return self.scalars.value(expression, scope).text
