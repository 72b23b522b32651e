"""A soft error: one thing could not be read, the rest of the work goes on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """What could not be read, ``path`` as shown to the person, and a one-line ``reason``."""

    path: str
    reason: str
