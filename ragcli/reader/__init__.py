"""The generator: reads a question with its passages and writes the answer, attention and all."""

from __future__ import annotations

from ragcli.reader.generator import Reader, ReaderFingerprint, load_reader

__all__ = ["Reader", "ReaderFingerprint", "load_reader"]
