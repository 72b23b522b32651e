"""Filters: conditions that a person writes → the passages that a search is made among."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from ragcli.corpus.globs import path_matcher
from ragcli.errors import UsageError
from ragcli.records import DocumentDescription, Json

if TYPE_CHECKING:
    from ragcli.store import Index

OPERATORS: Mapping[str, Callable[[float | str, float | str], bool]] = {
    "!=": lambda held, value: held != value,
    ">=": lambda held, value: held >= value,  # type: ignore[operator]
    "<=": lambda held, value: held <= value,  # type: ignore[operator]
    "=": lambda held, value: held == value,
    ">": lambda held, value: held > value,  # type: ignore[operator]
    "<": lambda held, value: held < value,  # type: ignore[operator]
    "~": lambda held, value: str(value).casefold() in str(held).casefold(),
}
_SIGNS = "!=<>~"
_CONDITION = re.compile(
    rf"\s*(?P<field>[^\s{_SIGNS}]+(?:\s+[^\s{_SIGNS}]+)*)\s*"
    rf"(?P<operator>{'|'.join(map(re.escape, OPERATORS))})\s*(?P<value>[^{_SIGNS}].*?|)\s*",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Condition:
    """``field operator value``, of a document.

    A field is one of the document's metadata, or ``suffix`` (of the file, with its dot),
    ``modified`` (the file's time, ISO 8601 in UTC, as exact as the value given) or ``title``, where
    the metadata have no field of that name. Numbers are compared as such, anything else as text;
    ``~`` means: contains, without case. A list fulfils what one of its items does; what a document
    does not have fulfils only ``!=``.
    """

    field: str
    operator: str
    value: str

    def __str__(self) -> str:
        """The condition as ``parse_condition`` reads it."""
        return f"{self.field}{self.operator}{self.value}"

    def holds(self, document: DocumentDescription) -> bool:
        """Whether ``document`` fulfils it."""
        if self.operator == "!=":
            return not Condition(self.field, "=", self.value).holds(document)
        compare = OPERATORS[self.operator]
        return any(
            compare(*_comparable(held, self.value, as_text=self.operator == "~"))
            for held in self._held(document)
        )

    def _held(self, document: DocumentDescription) -> Iterator[str]:
        """The document's values of the field, as texts."""
        if self.field in document.metadata:
            yield from _texts(document.metadata[self.field])
        elif self.field == "suffix":
            yield PurePosixPath(document.path).suffix.lower()
        elif self.field == "modified":
            yield document.modified[: len(self.value)]
        elif self.field == "title":
            yield document.title


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, bool):
        yield "true" if value else "false"
    elif isinstance(value, str | int | float):
        yield str(value)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _comparable(held: str, value: str, *, as_text: bool) -> tuple[float | str, float | str]:
    """Both as numbers if both are, else both as texts."""
    numbers = _number(held), _number(value)
    if as_text or numbers[0] is None or numbers[1] is None:
        return held, value
    return numbers[0], numbers[1]


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def parse_condition(text: str) -> Condition:
    """``"year>=2020"`` → its field, operator and value; raises ``UsageError`` for what is none."""
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise UsageError(
            f"the filter {text!r} is no condition",
            f"write it as FIELD, one of {' '.join(OPERATORS)}, VALUE: 'year>=2020'",
        )
    return Condition(found["field"], found["operator"], found["value"])


@dataclass(frozen=True, slots=True)
class Filters:
    """What a person restricts a search to: conditions that must all hold, and a check of paths.

    ``matches`` says of a path, as it is shown to the person, whether it may be found; ``globs`` are
    what it was made from.
    """

    conditions: tuple[Condition, ...] = ()
    matches: Callable[[str], bool] | None = None
    globs: tuple[str, ...] = ()

    def select(self, index: Index, shown: Callable[[str], str]) -> frozenset[int] | None:
        """Ids of the passages that fulfil them; ``None`` for everything.

        ``shown`` says how one of the index's paths is shown.
        """
        if not self.conditions and self.matches is None:
            return None
        by_path: dict[str, bool] = {}
        keys = []
        for document in index.described_documents():
            if self.matches is not None and document.path not in by_path:
                by_path[document.path] = self.matches(shown(document.path))
            if by_path.get(document.path, True) and all(
                condition.holds(document) for condition in self.conditions
            ):
                keys.append(document.key)
        return frozenset(index.passages_of(keys))


NO_FILTERS = Filters()


def make_filters(conditions: Sequence[str], globs: Sequence[str], base: str) -> Filters:
    """Read what a person wrote; ``base`` is the absolute folder that ``./`` and ``../`` mean.

    Raises ``UsageError`` for what is no condition or no glob.
    """
    try:
        matches = path_matcher(globs, base) if globs else None
    except ValueError as error:
        raise UsageError(str(error), "write it as in .gitignore: 'docs/**', '*.pdf'") from None
    return Filters(tuple(map(parse_condition, conditions)), matches, tuple(globs))
