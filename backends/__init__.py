"""The backends: each folder turns plans into programs for one kind of device."""
