"""From a `train` block to a compiled step, and to a run that uses it."""
