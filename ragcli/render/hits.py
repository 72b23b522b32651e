"""Hits for a person: rank, score, place, heading and the passage with its best sentence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.text import Text

from ragcli.records import Highlight, PartialScore, ScoredPassage
from ragcli.render.neutral import printable, printable_block
from ragcli.render.place import place

HIGHLIGHT, MATCHED = "bold yellow", "underline"
_MARKED, _PLAIN = " > ", "   "
"""Gutter of a line: a mark shows where the best sentence stands, also without colour."""

_LEAST_TEXT_WIDTH = 20


class HitWriter:
    """Writes results for a person.

    ``with_query`` puts each query above its hits, ``explain`` shows what each score is made of.
    """

    def __init__(self, console: Console, *, with_query: bool, explain: bool = False) -> None:
        self._console = console
        self._with_query = with_query
        self._explain = explain
        self._is_first = True

    def write(
        self,
        query: str,
        query_id: str | None,
        hits: Sequence[ScoredPassage],
        highlights: Sequence[Highlight | None],
    ) -> None:
        """Write the hits of one query, a blank line between two.

        ``highlights[i]`` says what of ``hits[i]`` matched.
        """
        if self._with_query:
            self._block([Text(printable(query), style="bold underline")])
        for hit, highlight in zip(hits, highlights, strict=True):
            self._block(hit_lines(hit, highlight, self._console, explain=self._explain))

    def _block(self, lines: Iterable[Text]) -> None:
        if not self._is_first:
            self._console.print()
        self._is_first = False
        for line in lines:
            self._console.print(line, soft_wrap=True)


def hit_lines(
    hit: ScoredPassage,
    highlight: Highlight | None,
    console: Console,
    *,
    explain: bool = False,
) -> Iterator[Text]:
    """Yield one hit as lines that fit the console's width."""
    title = Text.assemble(
        (f"{hit.rank}", "bold"), f"  {hit.score:.3f}  ", (place(hit.stored), "cyan")
    )
    yield from title.wrap(console, console.width)
    if explain and hit.parts:
        told = " · ".join(map(_part, hit.parts))
        yield from _indent(Text(told, style="dim").wrap(console, _text_width(console)))
    heading = Text(printable(hit.stored.passage.heading), style="dim")
    if heading.plain:
        yield from _indent(heading.wrap(console, _text_width(console)))
    yield from _indent(passage_text(hit, highlight).wrap(console, _text_width(console)))


def _part(part: PartialScore) -> str:
    rank = "not found" if part.rank is None else f"rank {part.rank}"
    return f"{part.stage} {part.score:.3f} ({rank})"


def passage_text(hit: ScoredPassage, highlight: Highlight | None) -> Text:
    """Return the passage without blank ends, the best sentence and the words in it styled."""
    text = Text(printable_block(hit.stored.passage.text))
    if highlight is not None:
        text.stylize(HIGHLIGHT, *highlight.sentence)
        for word in highlight.words:
            text.stylize(MATCHED, *word)
    blank_start = len(text.plain) - len(text.plain.lstrip("\n "))
    return text[blank_start : len(text.plain.rstrip())] if text.plain.strip() else Text()


def _text_width(console: Console) -> int:
    return max(console.width - len(_PLAIN), _LEAST_TEXT_WIDTH)


def _indent(lines: Iterable[Text]) -> Iterator[Text]:
    for line in lines:
        line.rstrip()
        marked = any(span.style == HIGHLIGHT for span in line.spans)
        yield Text(_MARKED if marked else _PLAIN if line.plain else "").append_text(line)
