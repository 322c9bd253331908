"""Phantom data sets: made by a program from a seed, so that a newcomer trains with no download."""
