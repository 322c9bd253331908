"""Builds the text of one LLVM function: instructions, blocks and counted loops."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

Operand = str | int


class FunctionText:
    """Collects instructions; values are LLVM names such as `%v3`, or integers.

    Args:
        name: The function's name.
        parameters: Type and name of each parameter, such as ("ptr noalias", "out").
    """

    def __init__(self, name: str, parameters: list[tuple[str, str]]) -> None:
        self.name = name
        self.declarations: set[str] = set()
        self.definitions: dict[str, str] = {}  # functions of the module that it calls
        self.sizes: list[int] = []  # what callers pass after the parameters
        self._own_parameters = parameters
        self._allocas: list[str] = []
        self._lines: list[str] = []
        self._count = 0
        self._block = "body"

    def fresh(self, stem: str = "v") -> str:
        self._count += 1
        return f"%{stem}{self._count}"

    def do(self, instruction: str) -> None:
        """Appends an instruction without a result."""
        self._lines.append(f"  {instruction}")

    def let(self, instruction: str) -> str:
        """Appends an instruction and returns the name of its result."""
        name = self.fresh()
        self._lines.append(f"  {name} = {instruction}")
        return name

    def alloca(self, type: str, align: int = 64) -> str:
        """Returns memory that lives as long as the call; in the entry block, to be promoted."""
        name = self.fresh("m")
        self._allocas.append(f"  {name} = alloca {type}, align {align}")
        return name

    def call(self, result: str, function: str, *arguments: tuple[str, Operand]) -> str:
        """Calls a function; one that is not among the definitions is declared."""
        types = ", ".join(type for type, _ in arguments)
        if function not in self.definitions:
            self.declarations.add(f"declare {result} @{function}({types})")
        given = ", ".join(f"{type} {value}" for type, value in arguments)
        return self.let(f"call {result} @{function}({given})")

    # ---- integers (i64), folded where both are known --------------------------------------------

    def add(self, a: Operand, b: Operand) -> Operand:
        if isinstance(a, int) and isinstance(b, int):
            return a + b
        if a == 0:
            return b
        return a if b == 0 else self.let(f"add nsw i64 {a}, {b}")

    def multiply(self, a: Operand, b: Operand) -> Operand:
        if isinstance(a, int) and isinstance(b, int):
            return a * b
        if 0 in (a, b):
            return 0
        if a == 1:
            return b
        return a if b == 1 else self.let(f"mul nsw i64 {a}, {b}")

    def address(self, base: str, offset: Operand) -> str:
        """Returns `base` plus an offset in bytes."""
        return base if offset == 0 else self.let(f"getelementptr i8, ptr {base}, i64 {offset}")

    def size(self, value: Operand) -> str:
        """Returns an integer that callers pass, so that the text is the same for any value.

        It is for what grows with the batch: functions of steps for batches of several sizes are
        then the same, and are compiled once.
        """
        if isinstance(value, str):
            return value
        self.sizes.append(value)
        return f"%size{len(self.sizes)}"

    # ---- control flow ------------------------------------------------------------------------

    def label(self, name: str) -> None:
        self._lines.append(f"{name}:")
        self._block = name

    @contextmanager
    def loop(self, start: Operand, stop: Operand, step: int = 1) -> Iterator[str]:
        """A loop over start, start + step, ... below stop; yields the counter."""
        self._count += 1
        n = self._count
        self.do(f"br label %head{n}")
        before = self._block
        self.label(f"head{n}")
        counter = f"%i{n}"
        self.do(f"{counter} = phi i64 [ {start}, %{before} ], [ %next{n}, %latch{n} ]")
        self.do(f"%more{n} = icmp slt i64 {counter}, {stop}")
        self.do(f"br i1 %more{n}, label %body{n}, label %done{n}")
        self.label(f"body{n}")
        yield counter
        self.do(f"br label %latch{n}")
        self.label(f"latch{n}")
        self.do(f"%next{n} = add nsw i64 {counter}, {step}")
        self.do(f"br label %head{n}")
        self.label(f"done{n}")

    @contextmanager
    def when(self, condition: str) -> Iterator[None]:
        """Runs what is inside only where the condition (i1) holds."""
        self._count += 1
        n = self._count
        self.do(f"br i1 {condition}, label %then{n}, label %after{n}")
        self.label(f"then{n}")
        yield
        self.do(f"br label %after{n}")
        self.label(f"after{n}")

    @property
    def _parameters(self) -> list[tuple[str, str]]:
        sizes = [("i64", f"size{k}") for k in range(1, len(self.sizes) + 1)]
        return [*self._own_parameters, *sizes]

    def prototype(self) -> str:
        """Declares the function for another module."""
        types = ", ".join(type for type, _ in self._parameters)
        return f"declare hidden void @{self.name}({types})"

    def text(self, linkage: str = "internal") -> str:
        """The whole function; `linkage` is `hidden` if another module calls it."""
        parameters = ", ".join(f"{type} %{name}" for type, name in self._parameters)
        lines = [
            f"define {linkage} void @{self.name}({parameters}) #0 {{",
            "entry:",
            *self._allocas,
            "  br label %body",
            "body:",
            *self._lines,
            "  ret void",
            "}",
        ]
        return "\n".join(lines) + "\n"
