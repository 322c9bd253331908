"""Compares candidates on the same folds, chooses by validation alone, and opens the test once."""
