"""Phantom data sets: made by a program from a seed, so that a newcomer trains with no download."""

from dhc.runtime.synthetic.catalog import SYNTHETIC, Phantom, generate, synthetic_dataset

__all__ = ["SYNTHETIC", "Phantom", "generate", "synthetic_dataset"]
