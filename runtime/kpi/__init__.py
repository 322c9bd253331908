"""Key performance indicators of a development: what was done, how long it took, who says so."""
