"""From attention weights to shares: how much of an answer is owed to which source.

Pure numpy over a ``Generation``; nothing here runs a model.
"""

from __future__ import annotations

from ragcli.attribution.heads import head_focus
from ragcli.attribution.methods import DEFAULT_METHOD, METHODS, token_weights
from ragcli.attribution.shares import attribute

__all__ = ["DEFAULT_METHOD", "METHODS", "attribute", "head_focus", "token_weights"]
