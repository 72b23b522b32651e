"""From attention weights to shares: how much of an answer is owed to which source.

Pure numpy over a ``Generation`` and over outcomes of ablations; nothing here runs a model.
"""

from __future__ import annotations

from ragcli.attribution.focus import answer_focus
from ragcli.attribution.heads import head_focus
from ragcli.attribution.methods import DEFAULT_METHOD, METHODS, score_sources
from ragcli.attribution.shares import attribute
from ragcli.attribution.word_shares import share_words

__all__ = [
    "DEFAULT_METHOD",
    "METHODS",
    "answer_focus",
    "attribute",
    "head_focus",
    "score_sources",
    "share_words",
]
