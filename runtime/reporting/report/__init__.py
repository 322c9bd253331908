"""The report of a run: one page of HTML, made of the run's files alone."""
