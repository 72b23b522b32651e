"""Semantic search and attributed answers over your own documents."""

__version__ = "0.1.0"
