"""The first room: folders and files become documents, documents become passages."""

from __future__ import annotations

from ragcli.corpus.chunking import CHUNKER_VERSION, Chunker
from ragcli.corpus.loaders import SUPPORTED_SUFFIXES, RecordFields, content_hash, load
from ragcli.corpus.problem import Problem
from ragcli.corpus.sentences import sentence_spans
from ragcli.corpus.walk import walk

__all__ = [
    "CHUNKER_VERSION",
    "SUPPORTED_SUFFIXES",
    "Chunker",
    "Problem",
    "RecordFields",
    "content_hash",
    "load",
    "sentence_spans",
    "walk",
]
