"""Settings: a flag wins over ``RAGCLI_*``, which wins over ``ragcli.toml``, then the default."""

from __future__ import annotations

import difflib
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ragcli.errors import UsageError

CONFIG_NAME = "ragcli.toml"
ENVIRONMENT_PREFIX = "RAGCLI_"


@dataclass(frozen=True, slots=True)
class Settings:
    """What a person may set once for all commands; ``None`` leaves a command its own default.

    ``index`` is the index folder, ``k`` the number of passages, ``encoder`` a model's name or
    folder, ``mode``, ``fusion``, ``dense_weight`` in [0, 1] and ``rerank`` say how passages are
    ranked, ``min_score`` is the least score by that ranking, ``min_confidence`` a probability in
    [0, 1] and ``attribution`` a method's name.
    """

    index: Path | None = None
    k: int | None = None
    encoder: str | None = None
    mode: str | None = None
    fusion: str | None = None
    dense_weight: float | None = None
    rerank: bool | None = None
    min_score: float | None = None
    min_confidence: float | None = None
    attribution: str | None = None


def _folder(value: object, base: Path) -> Path:
    return base / Path(_name(value, base)).expanduser()


def _name(value: object, base: Path) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a text that is not empty")
    return value


def _model(value: object, base: Path) -> str:
    """Resolve a folder, and ``./model`` and ``../model``, against ``base``; others are names."""
    name = _name(value, base)
    is_path = name.startswith(("./", "../")) or (base / name).is_dir()
    return str(base / name) if is_path else name


def _count(value: object, base: Path) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str) or not _is_count(value):
        raise ValueError("a whole number from 1 up")
    return int(value)


def _is_count(value: int | str) -> bool:
    try:
        return int(value) >= 1
    except ValueError:
        return False


def _yes_or_no(value: object, base: Path) -> bool:
    if isinstance(value, bool):
        return value
    named = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    if not isinstance(value, int | str) or str(value).lower() not in named:
        raise ValueError("yes or no")
    return named[str(value).lower()]


def _number(value: object, base: Path) -> float:
    expected = "a number"
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(expected)
    try:
        number = float(value)
    except ValueError:
        raise ValueError(expected) from None
    if not math.isfinite(number):
        raise ValueError(expected)
    return number


def _share(value: object, base: Path) -> float:
    number = _number(value, base)
    if not 0 <= number <= 1:
        raise ValueError("a number from 0 to 1")
    return number


_READERS: dict[str, Callable[[object, Path], Any]] = {
    "index": _folder,
    "k": _count,
    "encoder": _model,
    "mode": _name,
    "fusion": _name,
    "dense_weight": _share,
    "rerank": _yes_or_no,
    "min_score": _number,
    "min_confidence": _number,
    "attribution": _name,
}
"""How each setting is read; a value that cannot be meant raises ``ValueError(what is expected)``.

A relative path is meant from the folder that names it: the configuration file's, else the
current one.
"""

KEYS = tuple(field.name for field in fields(Settings))


def resolve_settings(
    flags: Mapping[str, object], environ: Mapping[str, str], folder: Path
) -> Settings:
    """Merge ``flags`` (``None`` = not given), the environment and the file at or above ``folder``.

    Raises ``UsageError`` for a key or value that cannot be meant, naming the nearest known key.
    """
    values = read_config(find_config(folder))
    for key in KEYS:
        name = ENVIRONMENT_PREFIX + key.upper()
        if environ.get(name):
            values[key] = _read(key, environ[name], folder, name)
    for key, value in flags.items():
        if value is not None:
            given = str(value) if isinstance(value, Path) else value
            values[key] = _read(key, given, folder, "--" + key.replace("_", "-"))
    return Settings(**values)


def find_config(folder: Path) -> Path | None:
    """Return the nearest ``ragcli.toml`` in ``folder`` or above, ``None`` when there is none."""
    candidates = (parent / CONFIG_NAME for parent in (folder, *folder.parents))
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def read_config(file: Path | None) -> dict[str, Any]:
    """Read the settings of ``file``; raise ``UsageError`` when it cannot be read or meant."""
    if file is None:
        return {}
    table = _load_toml(file)
    for key in table:
        if key not in KEYS:
            raise UsageError(f"{file}: unknown setting {key!r}", _nearest(key))
    return {key: _read(key, value, file.parent, f"{file}: {key}") for key, value in table.items()}


def _load_toml(file: Path) -> dict[str, object]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{file}: cannot be read: {error}", "mend or remove the file") from error


def _nearest(key: str) -> str:
    close = difflib.get_close_matches(key, KEYS, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else f"known settings: {', '.join(KEYS)}"


def _read(key: str, value: object, base: Path, named: str) -> object:
    try:
        return _READERS[key](value, base)
    except ValueError as expected:
        message = f"{named} must be {expected}, not {value!r}"
        raise UsageError(message) from None
