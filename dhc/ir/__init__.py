"""The intermediate languages: graph, kernel and scalar, with their types."""
