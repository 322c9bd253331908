"""The front end: .dhm text to checked programs and graphs."""
