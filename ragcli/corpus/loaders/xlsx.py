"""Excel workbooks: every sheet a heading, every row a line, its cells with their columns' names.

Read from the XML itself, as a stream: a library that pads rows and columns to a rectangle makes of
two cells in far corners as many as memory holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ragcli.corpus.loaders.builder import LINE_GAP, PARAGRAPH_GAP, TextBuilder
from ragcli.corpus.loaders.markup import MarkupReader
from ragcli.corpus.loaders.package import MOST_PACKAGE_BYTES, Package, Relation, opened_package
from ragcli.corpus.loaders.source import Source
from ragcli.corpus.problem import Problem
from ragcli.errors import LoadError
from ragcli.records import Document, Heading

_KIND = "an Excel workbook"
_CELL_GAP = " | "
_ROW_LEVEL = 3  # deeper than the headings that begin a passage, so that rows share one
_LONGEST_NAME = 60
_FEWEST_NAMES = 2
_COLUMN = re.compile(r"[A-Z]{1,3}")
_LAST_COLUMN = 1 << 14
_LONGEST_NUMBER = 9  # digits of a row or of a place in a list
_LONGEST_FORMAT = 256
_MOST_CHARACTERS = 1 << 27
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")

# Numbers of Excel's own formats of dates and times
_DATE_FORMATS = frozenset((*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)))
_NOT_DATE_PARTS = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?!h+\]|m+\]|s+\])[^\]]*\]', re.IGNORECASE)
_DATE_PART = re.compile(r"[dmyhs]", re.IGNORECASE)
_EPOCH = datetime(1899, 12, 30)
_EPOCH_1904 = datetime(1904, 1, 1)
_LAST_DAY = 2_958_466  # the end of the year 9999
_FALSE_LEAP_DAY = 60  # Excel's 1900 has a 29th of February


def load(source: Source) -> Iterator[Document | Problem]:
    """Yield the file as one document, and a ``Problem`` for every sheet that cannot be read.

    When a sheet's first row is names (at least two texts, no two alike), a later row reads
    ``name: cell | name: cell``, so that it is understood alone; else ``cell | cell``. Empty cells
    are left out, formulas give the result that was last computed, dates are ISO. Every row is a
    heading below its sheet's, so that a citation names it. Metadata are the ``sheets``, the
    ``author`` and the dates ``created`` and ``changed``. Raises ``LoadError`` for damaged,
    encrypted and foreign files.
    """
    builder = _Lines()
    reasons: list[str] = []
    with opened_package(source.file, _KIND, MOST_PACKAGE_BYTES) as package:
        properties = package.properties()
        workbook = _workbook(package)
        for sheet in workbook.sheets:
            builder.begin(sheet.name)
            try:
                package.read_into(sheet.part, _Sheet(workbook, builder.add_row))
            except LoadError as error:
                reasons.append(f"sheet {sheet.name!r} cannot be read to its end: {error.message}")
    if workbook.sheets and len(reasons) == len(workbook.sheets) and not builder.rows:
        raise LoadError(reasons[0])
    yield from source.problems(*reasons)
    yield source.document(
        builder.text,
        title=properties.title,
        headings=builder.headings,
        metadata={"sheets": [sheet.name for sheet in workbook.sheets], **properties.metadata},
    )


class _Lines:
    """Puts sheets and rows into a text, and knows the names of the columns of the sheet at hand."""

    def __init__(self) -> None:
        self._builder = TextBuilder()
        self._names: dict[int, str] | None = None
        self._gap = PARAGRAPH_GAP
        self.rows = 0

    @property
    def text(self) -> str:
        """All sheets."""
        return self._builder.text

    @property
    def headings(self) -> tuple[Heading, ...]:
        """The sheets' and the rows'."""
        return self._builder.headings

    def begin(self, sheet: str) -> None:
        """Begin a sheet."""
        self._builder.add_heading(" ".join(sheet.split()) or "sheet", 1)
        self._names = None
        self._gap = PARAGRAPH_GAP

    def add_row(self, row: _Row) -> None:
        """Append a row that is not blank; the first of several cells may be the columns' names."""
        names = self._names or {}
        cells = (
            f"{names[column]}: {text}" if column in names else text
            for column, text in row.cells.items()
        )
        start = self._builder.add(_CELL_GAP.join(cells), self._gap)
        self._builder.mark_heading(start, _ROW_LEVEL, f"row {row.number}")
        self._gap = LINE_GAP
        self.rows += 1
        if self._names is None and len(row.cells) >= _FEWEST_NAMES:
            self._names = row.cells if _are_names(row) else {}
        _check_length(self._builder.length)


def _check_length(length: int) -> None:
    """Refuse what many cells make of one text that they share."""
    if length > _MOST_CHARACTERS:
        raise LoadError(f"unpacks to more than {_MOST_CHARACTERS:,} characters")


@dataclass(slots=True)
class _Row:
    """The cells of a row that are not blank, by column, and which of them are texts."""

    number: int
    cells: dict[int, str] = field(default_factory=dict)
    texts: set[int] = field(default_factory=set)


def _are_names(row: _Row) -> bool:
    names = list(row.cells.values())
    are_short = all(len(name) <= _LONGEST_NAME for name in names)
    return are_short and len(set(names)) == len(names) and len(row.texts) == len(names)


@dataclass(frozen=True, slots=True)
class _SheetEntry:
    """A sheet's name, and the part that holds it, "" when it is missing."""

    name: str
    part: str


@dataclass(frozen=True, slots=True)
class _WorkbookParts:
    """What the cells of all sheets refer to."""

    sheets: tuple[_SheetEntry, ...]
    strings: list[str]
    formats: list[str]
    epoch: datetime


def _workbook(package: Package) -> _WorkbookParts:
    main = [found.target for found in package.relations() if found.kind == "officeDocument"]
    if not main:
        raise package.damaged()
    workbook, strings, styles = _Workbook(), _Strings(), _Styles()
    package.read_into(main[0], workbook)
    if not workbook.is_one:
        raise package.damaged()
    relations = package.relations(main[0])
    for kind, reader in (("sharedStrings", strings), ("styles", styles)):
        for found in relations:
            if found.kind == kind and package.has(found.target):
                package.read_into(found.target, reader)
    return _WorkbookParts(
        sheets=tuple(_sheets(workbook, relations)),
        strings=strings.values,
        formats=[styles.kind(number) for number in styles.cell_formats],
        epoch=_EPOCH_1904 if workbook.counts_from_1904 else _EPOCH,
    )


def _sheets(workbook: _Workbook, relations: list[Relation]) -> Iterator[_SheetEntry]:
    """The sheets that have cells; a chart may fill one alone."""
    targets = {found.id: found for found in relations}
    for name, id_ in workbook.sheets:
        found = targets.get(id_)
        if found is None or found.kind == "worksheet":
            yield _SheetEntry(name, found.target if found else "")


class _Workbook(MarkupReader):
    """Lists the sheets: names and ids, which the relations explain."""

    def __init__(self) -> None:
        self.is_one = False
        self.sheets: list[tuple[str, str]] = []
        self.counts_from_1904 = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "workbook":
            self.is_one = True
        elif tag == "workbookPr":
            self.counts_from_1904 = attributes.get("date1904", "") in ("1", "true")
        elif tag == "sheet":
            id_ = next((value for key, value in attributes.items() if key.endswith(":id")), "")
            self.sheets.append((attributes.get("name", ""), id_))


class _Strings(MarkupReader):
    """Collects the texts that cells share; how a text is pronounced is no part of it."""

    def __init__(self) -> None:
        self.values: list[str] = []
        self._parts: list[str] = []
        self._in_text = False
        self._in_phonetic = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "si":
            self._parts = []
        self._in_phonetic = self._in_phonetic or tag == "rPh"
        self._in_text = tag == "t" and not self._in_phonetic

    def characters(self, text: str) -> None:
        if self._in_text:
            self._parts.append(text)

    def end(self, tag: str) -> None:
        self._in_text = False
        if tag == "rPh":
            self._in_phonetic = False
        elif tag == "si":
            self.values.append(_tidy("".join(self._parts)))


class _Styles(MarkupReader):
    """Learns which of the cells' formats are dates."""

    def __init__(self) -> None:
        self.cell_formats: list[str] = []
        self._codes: dict[str, str] = {}
        self._in_cell_formats = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "numFmt":
            self._codes[attributes.get("numFmtId", "")] = attributes.get("formatCode", "")
        elif tag == "cellXfs":
            self._in_cell_formats = True
        elif tag == "xf" and self._in_cell_formats:
            self.cell_formats.append(attributes.get("numFmtId", ""))

    def end(self, tag: str) -> None:
        if tag == "cellXfs":
            self._in_cell_formats = False

    def kind(self, number: str) -> str:
        """``date``, ``elapsed`` (hours beyond 24) or "" for other numbers."""
        code = self._codes.get(number)
        if code is None:
            return "date" if number.isdecimal() and int(number[:4]) in _DATE_FORMATS else ""
        meant = _NOT_DATE_PARTS.sub("", code[:_LONGEST_FORMAT].partition(";")[0])
        if "[" in meant:
            return "elapsed"
        return "date" if _DATE_PART.search(meant) else ""


class _Sheet(MarkupReader):
    """Hands every row that is not blank to ``take``, as soon as it ends."""

    def __init__(self, workbook: _WorkbookParts, take: Callable[[_Row], None]) -> None:
        self._workbook = workbook
        self._take = take
        self._row = _Row(0)
        self._column = 0
        self._length = 0  # of all rows
        self._cell: dict[str, str] = {}
        self._value: list[str] = []
        self._in_value = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "row":
            number = attributes.get("r", "")
            known = number.isdecimal() and len(number) <= _LONGEST_NUMBER
            self._row = _Row(int(number) if known else self._row.number + 1)
            self._column = 0
        elif tag == "c":
            self._cell, self._value = attributes, []
            self._column = _column(attributes.get("r", "")) or self._column + 1
        self._in_value = tag in ("v", "t")

    def characters(self, text: str) -> None:
        if self._in_value:
            self._value.append(text)

    def end(self, tag: str) -> None:
        self._in_value = False
        if tag == "c":
            kind = self._cell.get("t", "n")
            text = self._shown(kind, "".join(self._value))
            if text:
                self._length += len(text)
                _check_length(self._length)
                self._row.cells[self._column] = text
                if kind in ("s", "str", "inlineStr"):
                    self._row.texts.add(self._column)
        elif tag == "row" and self._row.cells:
            self._take(self._row)

    def _shown(self, kind: str, value: str) -> str:
        if kind == "s":
            known = value.isdecimal() and len(value) <= _LONGEST_NUMBER
            strings = self._workbook.strings
            return strings[int(value)] if known and int(value) < len(strings) else ""
        if kind == "b":
            return {"0": "FALSE", "1": "TRUE"}.get(value, "")
        return self._number(value) if kind == "n" else _tidy(value)

    def _number(self, value: str) -> str:
        try:
            number = float(value)
        except ValueError:
            return ""
        style = self._cell.get("s", "")
        formats = self._workbook.formats
        known = style.isdecimal() and len(style) <= _LONGEST_NUMBER and int(style) < len(formats)
        kind = formats[int(style)] if known else ""
        if kind and 0 <= number < _LAST_DAY:
            return _elapsed(number) if kind == "elapsed" else _date(number, self._workbook.epoch)
        return f"{number:.15g}"


def _column(reference: str) -> int:
    """The number, from 1, of the column of a cell such as ``AB12``, 0 when there is none."""
    letters = _COLUMN.match(reference)
    number = 0
    for letter in letters[0] if letters else "":
        number = 26 * number + ord(letter) - ord("A") + 1
    return number if number <= _LAST_COLUMN else 0


def _date(days: float, epoch: datetime) -> str:
    """The ISO date of a serial number, with the time unless it is midnight; below 1 a time."""
    if epoch == _EPOCH and days < _FALSE_LEAP_DAY:
        epoch += timedelta(days=1)
    moment = epoch + timedelta(seconds=round(days * 86_400))
    if days < 1:
        return moment.time().isoformat()
    return moment.date().isoformat() if days == int(days) else moment.isoformat()


def _elapsed(days: float) -> str:
    minutes, seconds = divmod(round(days * 86_400), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"


def _tidy(text: str) -> str:
    """One line, characters that Excel spells out as themselves."""
    return " ".join(_ESCAPED.sub(_unescaped, text).split())


def _unescaped(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return character if character.isprintable() else " "
