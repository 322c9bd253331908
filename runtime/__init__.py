"""The runtime: programs, their parameters, and everything around running them."""
