"""How the ranks of a run share its work."""

from __future__ import annotations

from dataclasses import dataclass

MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class DataParallel:
    """Synchronous training: every rank has the network and a part of each batch.

    Attributes:
        buckets: The size of a bucket of gradients, in MiB.
        sync_batchnorm: Whether batch normalisation uses the statistics of all ranks' samples, or
            each rank those of its own; running statistics are the means over the ranks then.
    """

    buckets: int = 25
    sync_batchnorm: bool = False

    def __post_init__(self) -> None:
        if self.buckets < 1:
            raise ValueError(f"data_parallel needs 'buckets' to be at least 1, not {self.buckets}.")

    @property
    def bucket_bytes(self) -> int:
        return self.buckets * MEBIBYTE
