"""What a `train` can ask for besides operators: optimizers, schedules, changes of gradients."""
