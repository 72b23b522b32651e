"""Laws from the file to the passage, with the tokenizer as the encoder itself loads it."""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from ragcli.corpus import SUPPORTED_SUFFIXES, Chunker, Problem, load, sentence_spans, walk
from ragcli.encoder.minilm import load_tokenizer
from ragcli.records import Document

SAMPLES = Path(__file__).parents[2] / "sample_corpus"

MARKDOWN = ["# one two", "## three #", "   ### four", "five\nsix\n===", "```\n# no\n```", "> # no"]
MARKDOWN += ["- # no", "    # no", "seven eight.", "#no", "-----", "\t", ""]
HTML = [
    "<h1>",
    "</h1>",
    "<h3>",
    "</h3>",
    "<p>",
    "</p>",
    "<ul><li>",
    "</ul>",
    "<br>",
    "<pre>",
    "</pre>",
]
HTML += [
    "<table><tr><td>",
    "<td>",
    "</table>",
    "<b>",
    "</b>",
    "one ",
    "two\n",
    "&amp;",
    " ",
    "<div>",
]
WORDS = st.text(st.characters(categories=["Ll", "Lu", "Nd", "Po", "Sc"]), min_size=1, max_size=30)
GAPS = st.sampled_from([" ", "  ", "\n", "\n\n", "\t", "\u00a0", "\r\n"])


@pytest.fixture(scope="module")
def encoder_tokenizer() -> Tokenizer:
    return load_tokenizer()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that examples overwrite in turn."""
    return tmp_path_factory.mktemp("laws") / "file"


@pytest.fixture(scope="module")
def sample_documents() -> list[Document]:
    loaded = [found for found in _sample_results() if isinstance(found, Document)]
    assert {Path(document.path).suffix for document in loaded} <= SUPPORTED_SUFFIXES
    return loaded


def _sample_results() -> Iterator[object]:
    for found in walk([SAMPLES]):
        assert not isinstance(found, Problem)
        path = found.file
        yield from load(path, path.relative_to(SAMPLES).as_posix())


def load_text(file: Path, suffix: str, text: str) -> Document:
    named = file.with_suffix(suffix)
    named.write_bytes(text.encode())
    (document,) = load(named, named.name)
    assert isinstance(document, Document)
    return document


def test_the_tokenizer_neither_truncates_nor_pads(
    tokenizer: Tokenizer, encoder_tokenizer: Tokenizer
) -> None:
    long = "attention " * 2000
    assert Chunker(encoder_tokenizer).count_tokens(long) == 2000
    assert encoder_tokenizer.to_str() == tokenizer.to_str()


@pytest.mark.parametrize("max_tokens", [8, 64, 200])
def test_every_sample_is_rebuilt_within_the_budget(
    encoder_tokenizer: Tokenizer, sample_documents: list[Document], max_tokens: int
) -> None:
    chunker = Chunker(encoder_tokenizer, max_tokens)
    assert len({Path(document.path).suffix for document in sample_documents}) >= 5
    for document in sample_documents:
        passages = chunker.split(document)
        assert "".join(passage.text for passage in passages) == document.text, document.path
        for before, passage in pairwise(passages):
            assert before.end == passage.start
            assert before.text[-1].isspace() or _is_cut_word(chunker, document.text, before.end)
        assert max(chunker.count_tokens(passage.text) for passage in passages) <= max_tokens


def _is_cut_word(chunker: Chunker, text: str, offset: int) -> bool:
    """Whether the word around ``offset`` is one that no passage has room for."""
    words = (match for match in re.finditer(r"\S+", text) if match.end() > offset)
    return chunker.count_tokens(next(words)[0]) > chunker.max_tokens


@given(words=st.lists(st.tuples(WORDS, GAPS), max_size=40), max_tokens=st.integers(8, 24))
@settings(max_examples=60)
def test_only_a_word_beyond_the_budget_is_cut(
    encoder_tokenizer: Tokenizer, words: list[tuple[str, str]], max_tokens: int
) -> None:
    text = "".join(word + gap for word, gap in words)
    chunker = Chunker(encoder_tokenizer, max_tokens)
    passages = chunker.split(Document("d", "d.txt", text, "hash"))
    assert "".join(passage.text for passage in passages) == (text if text.strip() else "")
    for passage in passages:
        assert chunker.count_tokens(passage.text) <= max_tokens
    for passage in passages[1:]:
        if not text[passage.start - 1].isspace():
            assert _is_cut_word(chunker, text, passage.start)


@given(lines=st.lists(st.sampled_from(MARKDOWN), max_size=20), end=st.sampled_from(["\n", "\r\n"]))
@settings(max_examples=80)
def test_markdown_headings_stand_where_they_say(file: Path, lines: list[str], end: str) -> None:
    text = "\n".join(lines).replace("\n", end)
    document = load_text(file, ".md", text)
    assert document.text == text
    starts = [heading.start for heading in document.headings]
    assert starts == sorted(set(starts))
    for heading in document.headings:
        words = re.sub(r"^#+ +", "", text[heading.start :]).split()
        assert words[: len(heading.text.split())] == heading.text.split()
        assert not text[heading.start].isspace()
        assert text[: heading.start].rpartition("\n")[2].strip() == ""
    if "# one two" in lines[:1]:
        assert document.title == document.headings[0].text == "one two"


@given(parts=st.lists(st.sampled_from(HTML), max_size=30))
@settings(max_examples=80)
def test_html_headings_stand_where_they_say_and_no_word_is_lost(
    file: Path, parts: list[str]
) -> None:
    document = load_text(file, ".html", "<body>" + "".join(parts))
    assert sorted(re.findall("one|two", document.text)) == sorted(
        part.strip() for part in parts if part.strip() in ("one", "two")
    )
    starts = [heading.start for heading in document.headings]
    assert starts == sorted(set(starts))
    for heading in document.headings:
        assert heading.text
        assert document.text.startswith(heading.text, heading.start)


def test_sentences_of_the_samples_are_sorted_apart_and_trimmed(
    sample_documents: list[Document],
) -> None:
    for document in sample_documents:
        end = 0
        spans = sentence_spans(document.text)
        assert spans
        for start, stop in spans:
            assert end <= start < stop
            assert document.text[start:stop] == document.text[start:stop].strip()
            assert not re.search(r"\n[ \t]*\r?\n", document.text[start:stop])
            end = stop
