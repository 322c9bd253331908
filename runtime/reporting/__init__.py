"""What a training run leaves behind for people: history, events, progress, a report."""
