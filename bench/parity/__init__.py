"""Whole experiments on real images, by dhc and by PyTorch: equal quality, and how long it took."""
