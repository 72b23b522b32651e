import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from ragcli.corpus.chunking import Chunker
from ragcli.records import Document, Heading

WORDS = ["attention", "the", "U.S.", "3.14", "query,", "end.", "Why?", "naïve", "re-ranking", "x"]
GAPS = [" ", "  ", "\n", "\n\n", "\t", "\r\n", " \n \n"]

prose = st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(GAPS)), max_size=120).map(
    lambda pairs: "".join(word + gap for word, gap in pairs)
)
anything = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=400)


def document(text: str, **fields: object) -> Document:
    return Document("d", "d.txt", text, "hash", **fields)  # type: ignore[arg-type]


def sentence(topic: str) -> str:
    return f"A sentence about {topic} that is as long as the others are. "


@given(text=prose | anything, max_tokens=st.integers(8, 60))
def test_passages_rebuild_the_text_within_the_budget(
    tokenizer: Tokenizer, text: str, max_tokens: int
) -> None:
    chunker = Chunker(tokenizer, max_tokens)
    passages = chunker.split(document(text))
    assert "".join(passage.text for passage in passages) == (text if text.strip() else "")
    for passage in passages:
        assert passage.text == text[passage.start : passage.end]
        assert chunker.count_tokens(passage.text) <= max_tokens


@given(text=prose, max_tokens=st.integers(8, 60))
def test_no_passage_begins_or_ends_inside_a_word(
    tokenizer: Tokenizer, text: str, max_tokens: int
) -> None:
    for passage in Chunker(tokenizer, max_tokens).split(document(text))[1:]:
        assert text[passage.start - 1].isspace()
        assert not text[passage.start].isspace()


@given(levels=st.lists(st.integers(1, 6), max_size=12), body=prose)
def test_headings_do_not_spoil_the_law(tokenizer: Tokenizer, levels: list[int], body: str) -> None:
    text, headings = "", []
    for level in levels:
        headings.append(Heading(len(text), level, f"H{level}"))
        text += f"{'#' * level} H{level}\n\n{body}\n\n"
    chunker = Chunker(tokenizer, 40)
    passages = chunker.split(document(text, headings=tuple(headings)))
    assert "".join(passage.text for passage in passages) == text
    assert all(chunker.count_tokens(passage.text) <= 40 for passage in passages)


def test_one_long_word_is_cut_and_its_neighbours_are_not(tokenizer: Tokenizer) -> None:
    long_word = "qx" * 45
    text = f"before {long_word} after"
    passages = Chunker(tokenizer, 8).split(document(text))
    assert len(passages) > 2
    assert "".join(passage.text for passage in passages) == text
    assert passages[0].text == "before "
    assert passages[-1].text.endswith(" after")


def test_a_word_that_hides_behind_the_unknown_token_is_cut_too(tokenizer: Tokenizer) -> None:
    chunker = Chunker(tokenizer)
    passages = chunker.split(document("0123456789abcdef" * 4000))
    assert max(len(passage.text) for passage in passages) == chunker.max_characters


def test_top_headings_begin_a_passage_once_a_quarter_is_filled(tokenizer: Tokenizer) -> None:
    first, second = "# One\n\n" + sentence("one") * 6 + "\n\n", "## Two\n\n" + sentence("two")
    headings = (Heading(0, 1, "One"), Heading(len(first), 2, "Two"))
    passages = Chunker(tokenizer).split(document(first + second, headings=headings))
    assert [passage.text for passage in passages] == [first, second]
    assert [passage.heading for passage in passages] == ["One", "One > Two"]


def test_tiny_sections_share_a_passage(tokenizer: Tokenizer) -> None:
    text = "# One\n\nTiny.\n\n# Two\n\nTiny too.\n"
    headings = (Heading(0, 1, "One"), Heading(text.index("# Two"), 1, "Two"))
    (passage,) = Chunker(tokenizer).split(document(text, headings=headings))
    assert passage.heading == "One"


def test_no_heading_is_parted_from_its_section(tokenizer: Tokenizer) -> None:
    text = sentence("a") * 3 + "\n\n### Deep\n\n" + sentence("b") * 4
    headings = (Heading(text.index("### Deep"), 3, "Deep"),)
    passages = Chunker(tokenizer, 60).split(document(text, headings=headings))
    assert len(passages) > 1
    assert passages[1].text.startswith("### Deep\n\nA sentence about b")
    assert not any(passage.text.rstrip().endswith("Deep") for passage in passages)


def test_paragraphs_are_better_breaks_than_sentences(tokenizer: Tokenizer) -> None:
    first, second = sentence("a") * 3 + "\n\n", sentence("b") * 3
    passages = Chunker(tokenizer, 60).split(document(first + second))
    assert [passage.text for passage in passages] == [first, second]


def test_sentences_are_better_breaks_than_words(tokenizer: Tokenizer) -> None:
    passages = Chunker(tokenizer, 40).split(document(sentence("a") * 20))
    assert all(passage.text.endswith("are. ") for passage in passages)


def test_lines_and_pages_are_those_of_the_start(tokenizer: Tokenizer) -> None:
    lines = [sentence(str(n)).strip() + "\n" for n in range(20)]
    text = "".join(lines)
    page_starts = (0, len("".join(lines[:10])))
    passages = Chunker(tokenizer, 40).split(
        document(text, first_line=5, page_starts=page_starts),
    )
    assert len(passages) > 4
    for passage in passages:
        assert passage.line == 5 + text.count("\n", 0, passage.start)
        assert passage.page == (2 if passage.start >= page_starts[1] else 1)


def test_a_record_has_one_line_and_a_file_without_lines_none(tokenizer: Tokenizer) -> None:
    text = "Title\n\n" + sentence("a") * 20
    record = Chunker(tokenizer, 40).split(document(text, first_line=7, is_record=True))
    assert {passage.line for passage in record} == {7}
    assert {passage.line for passage in Chunker(tokenizer, 40).split(document(text))} == {None}
    assert {passage.page for passage in record} == {None}


@pytest.mark.parametrize("text", ["", " ", "\n\n\t \n"])
def test_blank_documents_have_no_passages(tokenizer: Tokenizer, text: str) -> None:
    assert Chunker(tokenizer).split(document(text)) == []


def test_east_asian_text_breaks_without_spaces(tokenizer: Tokenizer) -> None:
    passages = Chunker(tokenizer, 50).split(document("这是一个测试句子。它检查分词！" * 20))
    assert len(passages) > 5
    assert all(passage.text[-1] in "。！" for passage in passages)


def test_one_huge_line_takes_time_in_proportion(tokenizer: Tokenizer) -> None:
    def seconds(repeats: int) -> float:
        start = time.process_time()
        Chunker(tokenizer).split(document("words of one line without any end " * repeats))
        return time.process_time() - start

    seconds(100)
    small, large = seconds(1_500), seconds(15_000)
    assert large < 40 * small  # ten times the text; quadratic time would be a hundred times


def test_counts_that_would_be_wrong_are_refused(tokenizer: Tokenizer) -> None:
    truncating = Tokenizer.from_str(tokenizer.to_str())
    truncating.enable_truncation(128)
    with pytest.raises(ValueError, match="truncation"):
        Chunker(truncating)
    with pytest.raises(ValueError, match="fewer than 8"):
        Chunker(tokenizer, 7)
