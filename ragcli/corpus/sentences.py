"""Where the sentences of a text begin and end, by rules on its punctuation and its lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby, zip_longest

Span = tuple[int, int]
"""First and past-the-last character offset."""

_HEADING_OR_TABLE = re.compile(r"\s*(?:#{1,6}\s|\||```|~~~)")
_MARKED_HEADING = re.compile(r"#{1,6}\s")
_BULLET = re.compile(r"[-*+•‣◦]\s")
_CELL_GAP = " | "
_RULE = re.compile(r"([=\-~^\"'*+#_])\1{2,}")
_LIST_ITEM = re.compile(r"\s*(?:[-*+•‣◦]|\(?\d{1,3}(?:\.\d{1,3})*[.)]|\(?[a-z][.)])\s+\S")
_SHORT_LINE_SHARE = 0.6
_LINE_ENDERS = ".!?…,;:。！？"

# The look-behinds keep a run of signs from being tried again at each of them, which would take
# quadratic time.
_TERMINATOR = re.compile(
    r"(?<![.!?…])(?P<mark>[.!?…]+)[\"'”’»)\]*_]*\s+(?=(?P<next>\S{1,24}))"
    r"|(?<![。！？｡])[。！？｡]+[」』”’）]*\s*(?=[^\s。！？｡」』”’）])"
)
_WORD_BEFORE = re.compile(r"[^\s(\[\"'“‘«]*$")
_MOST_WORD_CHARACTERS = 24
_INITIALS = re.compile(r"(?:[A-Za-z]\.)*[A-Za-z]")
_ENUMERATOR = re.compile(r"\d{1,3}(?:\.\d{1,3})*|[a-zA-Z]")
_CLOSERS = "\"'”’»)]*_`"
_OPENERS = "\"'“‘«([*_"

_NEVER_LAST = frozenset(
    "approx capt cf col dr ed eds eq eqs e.g eg fig figs gen gov hon i.e ie incl lt mr mrs ms"
    " messrs mt prof ref refs rep rev sen sgt st tab vs viz".split()
)
"""Abbreviations that always lead on to something."""

_NOT_LAST_BEFORE_NUMBER = frozenset(
    "app apr art aug ca ch chap dec feb jan jul jun mar no nos nov nr oct p par para pp pt sec sect"
    " sep sept vol".split()
)
"""Abbreviations that lead on when a number follows."""

_MAYBE_LAST = frozenset("a.m al bros co corp dept est etc inc jr llc ltd p.m ph.d sr univ".split())
"""Abbreviations that end a sentence when a word follows that usually begins one; so do initials."""

_STARTERS = frozenset(
    "A After All Also Although An And As At Because Before Both But By Each Every For From He Her"
    " Here His How However If In It Its Many Most My No Not On Once One Our She Since So Some Such"
    " That The Their Then There These They This Those Though Thus To Under Until We What When"
    " Where Which While Who Why With You Your".split()
)


def sentence_spans(text: str) -> list[Span]:
    """Spans of the sentences of ``text``: sorted, apart, trimmed of white space, never empty.

    No span crosses a blank line or the border of a heading line, a list item or a table row, nor
    that of a line which is clearly shorter than its neighbours, such as a title without
    punctuation. Rules and other pieces without a letter or digit are left out. The time taken is
    linear in the length of ``text``.
    """
    pieces = (piece for block in _blocks(text) for piece in _sentences(text, *block))
    trimmed = (_trim(text, *piece) for piece in pieces)
    return [(start, end) for start, end in trimmed if any(map(str.isalnum, text[start:end]))]


def heading_spans(text: str) -> list[Span]:
    """Those of ``sentence_spans`` that are headings: they head a text and do not end a sentence.

    A line marked as a heading is one. So is another line that ends without a full stop or the like
    when a sentence that ends with one stands on the next line of text; a list item with a bullet
    and a table row are not.
    """
    spans = sentence_spans(text)
    return [
        span
        for span, following in zip_longest(spans, spans[1:])
        if _is_heading(text, span, following)
    ]


def _is_heading(text: str, span: Span, following: Span | None) -> bool:
    piece = text[slice(*span)]
    if _MARKED_HEADING.match(piece):
        return True
    if following is None or "\n" in piece or _CELL_GAP in piece or _BULLET.match(piece):
        return False
    goes_on_below = "\n" in text[span[1] : following[0]]
    return goes_on_below and not _is_ended(piece) and _is_ended(text[slice(*following)])


def _is_ended(piece: str) -> bool:
    return piece.rstrip(_CLOSERS)[-1:] in _LINE_ENDERS


def _trim(text: str, start: int, end: int) -> Span:
    piece = text[start:end].rstrip()
    return start + len(piece) - len(piece.lstrip()), start + len(piece)


def _blocks(text: str) -> Iterator[Span]:
    """Runs of lines that a sentence may flow through."""
    for is_blank, lines in groupby(_lines(text), key=lambda line: not text[slice(*line)].strip()):
        if not is_blank:
            yield from _blocks_of_paragraph(text, list(lines))


def _lines(text: str) -> Iterator[Span]:
    start = 0
    for line in text.split("\n"):
        yield start, start + len(line)
        start += len(line) + 1


def _blocks_of_paragraph(text: str, lines: list[Span]) -> Iterator[Span]:
    short = _SHORT_LINE_SHARE * max(end - start for start, end in lines)
    block_start, previous_end = lines[0]
    previous = text[block_start:previous_end]
    for start, end in lines[1:]:
        line = text[start:end]
        if _is_border(previous, line, short):
            yield block_start, previous_end
            block_start = start
        previous, previous_end = line, end
    yield block_start, previous_end


def _is_border(previous: str, line: str, short: float) -> bool:
    """Whether no sentence flows from the line ``previous`` into ``line``."""
    if _LIST_ITEM.match(line) or _stands_alone(line) or _stands_alone(previous):
        return True
    words = previous.strip()
    is_title = len(previous) < short and words[-1] not in _LINE_ENDERS
    return is_title and not line.lstrip()[0].islower()


def _stands_alone(line: str) -> bool:
    if _CELL_GAP in line or _HEADING_OR_TABLE.match(line):
        return True
    return _RULE.fullmatch(line.strip()) is not None


def _sentences(text: str, start: int, end: int) -> Iterator[Span]:
    """Cut one block at the marks that end a sentence."""
    block = _trim(text, start, end)[0]
    sentence = block
    for match in _TERMINATOR.finditer(text, start, end):
        if match["mark"] is None:
            cut = match.end()
        elif _ends_sentence(text, block, match):
            cut = match.start("next")
        else:
            continue
        yield sentence, cut
        sentence = cut
    yield sentence, end


def _ends_sentence(text: str, block: int, match: re.Match[str]) -> bool:
    following = match["next"].lstrip(_OPENERS)
    if following and (following[0].islower() or following[0] in "–—-,;:"):
        return False
    if match["mark"] != ".":
        return True
    stop = match.start()
    found = _WORD_BEFORE.search(text, max(block, stop - _MOST_WORD_CHARACTERS), stop)
    word = found[0] if found else ""
    if stop - len(word) == block and _ENUMERATOR.fullmatch(word):
        return False
    return _full_stop_ends(word, following)


def _full_stop_ends(word: str, following: str) -> bool:
    """Whether the full stop after ``word`` ends a sentence, when ``following`` is what follows."""
    lower = word.lower()
    if lower in _NEVER_LAST:
        return False
    if lower in _NOT_LAST_BEFORE_NUMBER:
        return not following[:1].isdigit()
    if lower in _MAYBE_LAST or _INITIALS.fullmatch(word):
        return following.rstrip(",") in _STARTERS
    return True
