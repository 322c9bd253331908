"""Native kernels: text from generators, with each operator's own definition as their oracle."""
