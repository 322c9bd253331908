"""Initialisers: how weights are drawn when a run begins.

`fan_in` and `fan_out` are how many numbers go into and come out of each sum of a layer; the layers
know them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from dhc.errors import ArgumentError
from dhc.ir.graph import Distribution, Initializer

WEIGHTS = "*.weight"


@dataclass(frozen=True)
class Draw:
    """The base; a subclass says with `names` which paths it is for, by a pattern."""

    kind: ClassVar[Distribution]
    needs_fans: ClassVar[bool] = False

    @property
    def names(self) -> str:
        """A pattern of paths."""
        raise NotImplementedError

    @property
    def value(self) -> float:
        """The number that the distribution has besides the fans, if it has one."""
        return 0.0

    def instead_of(self, own: Initializer) -> Initializer:
        """Returns the initialiser of a weight in place of the layer's own."""
        return replace(own, kind=self.kind, value=self.value)


@dataclass(frozen=True)
class Scaled(Draw):
    """The base of those whose scale comes from the fans of the weight."""

    needs_fans: ClassVar[bool] = True
    names: str = WEIGHTS


@dataclass(frozen=True)
class GlorotUniform(Scaled):
    """Between -b and b, b^2 = 6 / (fan_in + fan_out) (Glorot and Bengio, AISTATS 2010)."""

    kind = "glorot_uniform"


@dataclass(frozen=True)
class GlorotNormal(Scaled):
    """Normal with variance 2 / (fan_in + fan_out) (Glorot and Bengio, AISTATS 2010)."""

    kind = "glorot_normal"


@dataclass(frozen=True)
class HeUniform(Scaled):
    """Between -b and b, b^2 = 6 / fan_in (arXiv:1502.01852)."""

    kind = "he_uniform"


@dataclass(frozen=True)
class HeNormal(Scaled):
    """Normal with variance 2 / fan_in (arXiv:1502.01852)."""

    kind = "he_normal"


@dataclass(frozen=True)
class LecunUniform(Scaled):
    """Between -b and b, b^2 = 3 / fan_in (LeCun et al., 1998)."""

    kind = "lecun_uniform"


@dataclass(frozen=True)
class LecunNormal(Scaled):
    """Normal with variance 1 / fan_in (LeCun et al., 1998)."""

    kind = "lecun_normal"


@dataclass(frozen=True)
class TruncatedNormal(Draw):
    """Normal with deviation `std`, without what is farther than twice that from 0."""

    kind = "truncated_normal"
    std: float = 0.02
    names: str = WEIGHTS

    def __post_init__(self) -> None:
        if self.std <= 0:
            raise ArgumentError("'truncated_normal' needs 'std' above 0.")

    @property
    def value(self) -> float:
        return self.std


@dataclass(frozen=True)
class Orthogonal(Draw):
    """Units whose weights are orthogonal and of norm `gain` (arXiv:1312.6120).

    Where there are more units than weights of each, the columns are.
    """

    kind = "orthogonal"
    gain: float = 1.0
    names: str = WEIGHTS

    @property
    def value(self) -> float:
        return self.gain


@dataclass(frozen=True)
class Fixed(Draw):
    """The same number everywhere."""

    kind = "constant"
    number: float = 0.0
    names: str = WEIGHTS

    @property
    def value(self) -> float:
        return self.number


INITIALIZERS: dict[str, type[Draw]] = {
    "glorot_uniform": GlorotUniform,
    "glorot_normal": GlorotNormal,
    "he_uniform": HeUniform,
    "he_normal": HeNormal,
    "lecun_uniform": LecunUniform,
    "lecun_normal": LecunNormal,
    "truncated_normal": TruncatedNormal,
    "orthogonal": Orthogonal,
    "fixed": Fixed,
}
