"""Measures of retrieval and reading: pure functions of rankings and texts."""
