"""Optimizers: how a parameter follows its gradient.

An optimizer is a frozen dataclass; its fields are the arguments in the language. What it does to
one parameter is a graph of elementwise operators, which becomes one kernel. Numbers that change
from step to step, such as corrections of bias, are computed by the host in double precision and
come in as inputs.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeVar, dataclass_transform

from dhc.ir.graph import Node, literal
from dhc.ops.compare import Greater
from dhc.ops.elementwise import Abs, Add, Clip, Div, Max, Mul, Sign, Sqrt, Sub, Where
from dhc.ops.statistics import ReduceL2

Nodes = Mapping[str, Node]
_ALL = 8000  # factors below 0.9, after which a product is 0 in double precision


@dataclass(frozen=True)
class Updated:
    """The new value of a parameter, and of its moments."""

    value: Node
    moments: Mapping[str, Node]


class Optimizer(ABC):
    """The base of all optimizers; `lr` is the rate before any schedule.

    Attributes:
        name: In the language.
    """

    name: ClassVar[str] = ""

    @property
    @abstractmethod
    def moments(self) -> Mapping[str, float]:
        """What is kept for each element of a parameter, with the value at the beginning."""

    @abstractmethod
    def numbers(self, step: int, rate: float) -> dict[str, float]:
        """Returns what changes from step to step; steps count from 1."""

    @abstractmethod
    def update(self, value: Node, gradient: Node, moments: Nodes, numbers: Nodes) -> Updated:
        """Returns one step of one parameter; `numbers` are scalars of its element type."""


OPTIMIZERS: dict[str, type[Optimizer]] = {}
T = TypeVar("T", bound=Optimizer)


@dataclass_transform(frozen_default=True)
def optimizer(name: str) -> Callable[[type[T]], type[T]]:
    """Registers an optimizer under its name in the language."""

    def register(cls: type[T]) -> type[T]:
        frozen = dataclass(frozen=True)(cls)
        frozen.name = name
        OPTIMIZERS[name] = frozen
        return frozen

    return register


# ---- arithmetic of nodes ---------------------------------------------------------------------


def _number(value: float, like: Node) -> Node:
    return literal(value, like.type.dtype)


def _scaled(x: Node, factor: float) -> Node:
    return x if factor == 1 else Mul()(x, _number(factor, x))


def _mix(old: Node, new: Node, keep: float) -> Node:
    """`keep` of the old value and the rest of the new one."""
    return Add()(_scaled(old, keep), _scaled(new, 1 - keep))


def _decayed(value: Node, gradient: Node, decay: float) -> Node:
    """The gradient with that of the squared weights, `decay` times the value."""
    return Add()(gradient, _scaled(value, decay)) if decay else gradient


# ---- descent ---------------------------------------------------------------------------------


@optimizer("sgd")
class Sgd(Optimizer):
    """Stochastic gradient descent, with momentum if it is not 0 (Sutskever et al., ICML 2013)."""

    lr: float = 0.01
    momentum: float = 0.0
    weight_decay: float = 0.0
    nesterov: bool = False
    dampening: float = 0.0

    @property
    def moments(self) -> Mapping[str, float]:
        return {"velocity": 0.0} if self.momentum else {}

    def numbers(self, step: int, rate: float) -> dict[str, float]:
        first = {"gain": 1.0 if step == 1 else 1 - self.dampening} if self.dampening else {}
        return {"lr": rate, **(first if self.momentum else {})}

    def update(self, value: Node, gradient: Node, moments: Nodes, numbers: Nodes) -> Updated:
        gradient = _decayed(value, gradient, self.weight_decay)
        new: dict[str, Node] = {}
        if self.momentum:
            gained = Mul()(gradient, numbers["gain"]) if "gain" in numbers else gradient
            velocity = Add()(_scaled(moments["velocity"], self.momentum), gained)
            new["velocity"] = velocity
            ahead = Add()(gradient, _scaled(velocity, self.momentum))
            gradient = ahead if self.nesterov else velocity
        return Updated(Sub()(value, Mul()(gradient, numbers["lr"])), new)


# ---- adaptive rates --------------------------------------------------------------------------


class _AdamBase(Optimizer):
    """What Adam and its relatives share."""

    beta1: float
    beta2: float
    eps: float
    amsgrad: bool

    @property
    def moments(self) -> Mapping[str, float]:
        most = {"most": 0.0} if self.amsgrad else {}
        return {"mean": 0.0, "square": 0.0, **most}

    def _follow(self, value: Node, gradient: Node, moments: Nodes, numbers: Nodes) -> Updated:
        """One step along the mean over the root of the mean square, both corrected for bias."""
        mean = _mix(moments["mean"], gradient, self.beta1)
        square = _mix(moments["square"], Mul()(gradient, gradient), self.beta2)
        new = {"mean": mean, "square": square}
        if self.amsgrad:
            new["most"] = Max()(moments["most"], square)
        root = Mul()(Sqrt()(new.get("most", square)), numbers["inverse_root"])
        pace = Div()(mean, Add()(root, _number(self.eps, value)))
        return Updated(Sub()(value, Mul()(pace, numbers["pace"])), new)

    def _corrections(self, step: int, rate: float) -> dict[str, float]:
        return {
            "pace": rate / (1 - self.beta1**step),
            "inverse_root": 1 / math.sqrt(1 - self.beta2**step),
        }


@optimizer("adam")
class Adam(_AdamBase):
    """Adam (arXiv:1412.6980), or AMSGrad (arXiv:1904.09237).

    `weight_decay` is added to the gradient.
    """

    lr: float = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0
    amsgrad: bool = False

    def numbers(self, step: int, rate: float) -> dict[str, float]:
        return self._corrections(step, rate)

    def update(self, value: Node, gradient: Node, moments: Nodes, numbers: Nodes) -> Updated:
        decayed = _decayed(value, gradient, self.weight_decay)
        return self._follow(value, decayed, moments, numbers)


@optimizer("adamw")
class AdamW(_AdamBase):
    """Adam whose weight decay goes past the moments (arXiv:1711.05101)."""

    lr: float = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.01
    amsgrad: bool = False

    def numbers(self, step: int, rate: float) -> dict[str, float]:
        return {**self._corrections(step, rate), "keep": 1 - rate * self.weight_decay}

    def update(self, value: Node, gradient: Node, moments: Nodes, numbers: Nodes) -> Updated:
        return self._follow(Mul()(value, numbers["keep"]), gradient, moments, numbers)


@optimizer("nadam")
class NAdam(Optimizer):
    """Adam with Nesterov's momentum (Dozat, ICLR 2016 workshop)."""

    lr: float = 0.002
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0
    momentum_decay: float = 0.004

    @property
    def moments(self) -> Mapping[str, float]:
        return {"mean": 0.0, "square": 0.0}

    def numbers(self, step: int, rate: float) -> dict[str, float]:
        done = math.prod(self._share(k) for k in range(1, min(step, _ALL) + 1))
        now, following = self._share(step), self._share(step + 1)
        return {
            "of_gradient": rate * (1 - now) / (1 - done),
            "of_mean": rate * following / (1 - done * following),
            "inverse_root": 1 / math.sqrt(1 - self.beta2**step),
        }

    def _share(self, step: int) -> float:
        return self.beta1 * (1 - 0.5 * math.pow(0.96, step * self.momentum_decay))

    def update(self, value: Node, gradient: Node, moments: Nodes, numbers: Nodes) -> Updated:
        gradient = _decayed(value, gradient, self.weight_decay)
        mean = _mix(moments["mean"], gradient, self.beta1)
        square = _mix(moments["square"], Mul()(gradient, gradient), self.beta2)
        root = Mul()(Sqrt()(square), numbers["inverse_root"])
        along = Add()(Mul()(gradient, numbers["of_gradient"]), Mul()(mean, numbers["of_mean"]))
        move = Div()(along, Add()(root, _number(self.eps, value)))
        return Updated(Sub()(value, move), {"mean": mean, "square": square})


@optimizer("adamax")
class Adamax(Optimizer):
    """Adam with the largest gradient in place of the root mean square (arXiv:1412.6980)."""

    lr: float = 0.002
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0

    @property
    def moments(self) -> Mapping[str, float]:
        return {"mean": 0.0, "most": 0.0}

    def numbers(self, step: int, rate: float) -> dict[str, float]:
        return {"pace": rate / (1 - self.beta1**step)}

    def update(self, value: Node, gradient: Node, moments: Nodes, numbers: Nodes) -> Updated:
        gradient = _decayed(value, gradient, self.weight_decay)
        mean = _mix(moments["mean"], gradient, self.beta1)
        size = Add()(Abs()(gradient), _number(self.eps, value))
        most = Max()(_scaled(moments["most"], self.beta2), size)
        move = Mul()(Div()(mean, most), numbers["pace"])
        return Updated(Sub()(value, move), {"mean": mean, "most": most})


@optimizer("rmsprop")
class RmsProp(Optimizer):
    """The gradient over the root of its mean square (Tieleman and Hinton, 2012)."""

    lr: float = 0.01
    rho: float = 0.99
    eps: float = 1e-8
    momentum: float = 0.0
    centered: bool = False
    weight_decay: float = 0.0

    @property
    def moments(self) -> Mapping[str, float]:
        found = {"square": 0.0}
        found |= {"mean": 0.0} if self.centered else {}
        return found | ({"velocity": 0.0} if self.momentum else {})

    def numbers(self, step: int, rate: float) -> dict[str, float]:
        return {"lr": rate}

    def update(self, value: Node, gradient: Node, moments: Nodes, numbers: Nodes) -> Updated:
        gradient = _decayed(value, gradient, self.weight_decay)
        new = {"square": _mix(moments["square"], Mul()(gradient, gradient), self.rho)}
        spread = new["square"]
        if self.centered:
            new["mean"] = _mix(moments["mean"], gradient, self.rho)
            spread = Sub()(spread, Mul()(new["mean"], new["mean"]))
        move = Div()(gradient, Add()(Sqrt()(spread), _number(self.eps, value)))
        if self.momentum:
            move = Add()(_scaled(moments["velocity"], self.momentum), move)
            new["velocity"] = move
        return Updated(Sub()(value, Mul()(move, numbers["lr"])), new)


@optimizer("adagrad")
class Adagrad(Optimizer):
    """The gradient over the root of the sum of all its squares (Duchi et al., JMLR 2011)."""

    lr: float = 0.01
    lr_decay: float = 0.0
    eps: float = 1e-10
    initial: float = 0.0
    weight_decay: float = 0.0

    @property
    def moments(self) -> Mapping[str, float]:
        return {"sum": self.initial}

    def numbers(self, step: int, rate: float) -> dict[str, float]:
        return {"lr": rate / (1 + (step - 1) * self.lr_decay)}

    def update(self, value: Node, gradient: Node, moments: Nodes, numbers: Nodes) -> Updated:
        gradient = _decayed(value, gradient, self.weight_decay)
        total = Add()(moments["sum"], Mul()(gradient, gradient))
        move = Div()(gradient, Add()(Sqrt()(total), _number(self.eps, value)))
        return Updated(Sub()(value, Mul()(move, numbers["lr"])), {"sum": total})


@optimizer("adadelta")
class Adadelta(Optimizer):
    """Steps in the units of the parameter (arXiv:1212.5701)."""

    lr: float = 1.0
    rho: float = 0.9
    eps: float = 1e-6
    weight_decay: float = 0.0

    @property
    def moments(self) -> Mapping[str, float]:
        return {"square": 0.0, "moved": 0.0}

    def numbers(self, step: int, rate: float) -> dict[str, float]:
        return {"lr": rate}

    def update(self, value: Node, gradient: Node, moments: Nodes, numbers: Nodes) -> Updated:
        gradient = _decayed(value, gradient, self.weight_decay)
        small = _number(self.eps, value)
        square = _mix(moments["square"], Mul()(gradient, gradient), self.rho)
        reach = Sqrt()(Add()(moments["moved"], small))
        move = Mul()(Div()(reach, Sqrt()(Add()(square, small))), gradient)
        moved = _mix(moments["moved"], Mul()(move, move), self.rho)
        new = {"square": square, "moved": moved}
        return Updated(Sub()(value, Mul()(move, numbers["lr"])), new)


# ---- others ----------------------------------------------------------------------------------


@optimizer("lion")
class Lion(Optimizer):
    """The sign of a mean gradient (arXiv:2302.06675)."""

    lr: float = 1e-4
    beta1: float = 0.9
    beta2: float = 0.99
    weight_decay: float = 0.0

    @property
    def moments(self) -> Mapping[str, float]:
        return {"mean": 0.0}

    def numbers(self, step: int, rate: float) -> dict[str, float]:
        return {"lr": rate, "keep": 1 - rate * self.weight_decay}

    def update(self, value: Node, gradient: Node, moments: Nodes, numbers: Nodes) -> Updated:
        ahead = Sign()(_mix(moments["mean"], gradient, self.beta1))
        mean = _mix(moments["mean"], gradient, self.beta2)
        kept = Mul()(value, numbers["keep"])
        return Updated(Sub()(kept, Mul()(ahead, numbers["lr"])), {"mean": mean})


@optimizer("lamb")
class Lamb(Optimizer):
    """Adam with a rate for each layer, from the norms of weight and step (arXiv:1904.00962)."""

    lr: float = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-6
    weight_decay: float = 0.01
    most: float = 10.0

    @property
    def moments(self) -> Mapping[str, float]:
        return {"mean": 0.0, "square": 0.0}

    def numbers(self, step: int, rate: float) -> dict[str, float]:
        return {
            "lr": rate,
            "inverse_mean": 1 / (1 - self.beta1**step),
            "inverse_root": 1 / math.sqrt(1 - self.beta2**step),
        }

    def update(self, value: Node, gradient: Node, moments: Nodes, numbers: Nodes) -> Updated:
        mean = _mix(moments["mean"], gradient, self.beta1)
        square = _mix(moments["square"], Mul()(gradient, gradient), self.beta2)
        root = Add()(Mul()(Sqrt()(square), numbers["inverse_root"]), _number(self.eps, value))
        pace = Div()(Mul()(mean, numbers["inverse_mean"]), root)
        pace = _decayed(value, pace, self.weight_decay)
        move = Mul()(Mul()(pace, self._trust(value, pace)), numbers["lr"])
        return Updated(Sub()(value, move), {"mean": mean, "square": square})

    def _trust(self, value: Node, pace: Node) -> Node:
        """The norm of the weight, at most `most`, over that of the step; 1 where one is 0."""
        zero, one = _number(0.0, value), _number(1.0, value)
        size, length = ReduceL2()(value), ReduceL2()(pace)
        ratio = Div()(Clip(0.0, self.most)(size), Where()(Greater()(length, zero), length, one))
        usable = Mul()(size, length)
        return Where()(Greater()(usable, zero), ratio, one)
