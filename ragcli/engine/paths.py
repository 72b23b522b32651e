"""How the path of a stored source is shown to a person who stands somewhere else."""

from __future__ import annotations

from pathlib import Path


def shown_path(file: Path, folder: Path) -> str:
    """Return ``file`` relative to ``folder`` when beneath it, else absolute; always with ``/``.

    Both are absolute.
    """
    return (file.relative_to(folder) if file.is_relative_to(folder) else file).as_posix()
