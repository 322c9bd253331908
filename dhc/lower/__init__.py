"""From graphs to kernels and plans."""
