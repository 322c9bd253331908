"""What the commands do. Each function returns the exit status."""
