"""Damaged and untidy files: each gives documents, problems or one ``LoadError``, nothing else."""

import io
import json
import random
import re
import tracemalloc
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import docx
import pytest
from fpdf import FPDF

from ragcli.corpus.loaders import load
from ragcli.corpus.problem import Problem
from ragcli.errors import LoadError
from ragcli.records import Document


def load_bytes(folder: Path, name: str, content: bytes) -> list[Document | Problem]:
    file = folder / name
    file.write_bytes(content)
    return list(load(file, name))


def load_one(folder: Path, name: str, content: str | bytes) -> Document:
    data = content.encode() if isinstance(content, str) else content
    (document,) = load_bytes(folder, name, data)
    assert isinstance(document, Document)
    return document


@pytest.fixture(scope="session")
def pdf_bytes() -> bytes:
    pdf = FPDF()
    pdf.set_font("helvetica", size=12)
    for number in range(3):
        pdf.add_page()
        pdf.start_section(f"Chapter {number}")
        pdf.multi_cell(0, text=f"Chapter {number}\n\n" + "words that wrap " * 20)
    return bytes(pdf.output())


@pytest.fixture(scope="session")
def docx_bytes() -> bytes:
    word = docx.Document()
    word.core_properties.title = "A  named\nreport"
    word.add_heading("Heading", 1)
    word.add_paragraph("hello")
    stream = io.BytesIO()
    word.save(stream)
    return stream.getvalue()


def rewritten(package: bytes, change: Callable[[str, bytes], bytes | None]) -> bytes:
    """The zip ``package`` with its members changed, ``None`` leaves one out."""
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(package)) as old, zipfile.ZipFile(result, "w") as new:
        for name in old.namelist():
            content = change(name, old.read(name))
            if content is not None:
                new.writestr(name, content)
    return result.getvalue()


@pytest.mark.parametrize("kind", ["pdf", "docx"])
def test_no_damage_gets_through_as_another_error(
    tmp_path: Path, request: pytest.FixtureRequest, kind: str
) -> None:
    whole: bytes = request.getfixturevalue(f"{kind}_bytes")
    chance = random.Random(1)
    refused: list[str] = []
    for number in range(100):
        damaged = bytearray(whole)
        if number % 2:
            del damaged[chance.randrange(1, len(whole)) :]
        for _ in range(chance.choice([1, 4, 12])):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        try:
            load_bytes(tmp_path, f"a.{kind}", bytes(damaged))
        except LoadError as error:
            refused.append(error.message)
    assert len(refused) >= 40  # most of those that were cut short, at least
    for reason in refused:
        assert re.match("damaged|no text in its|password|unpacks to", reason)


@pytest.mark.parametrize(
    ("member", "content"),
    [
        ("word/document.xml", b"<a/>"),
        ("word/document.xml", b"\x89PNG"),
        (
            "word/document.xml",
            b'<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"/>',
        ),
        ("[Content_Types].xml", b"<a/>"),
        ("_rels/.rels", b"<a/>"),
        ("word/document.xml", None),
    ],
)
def test_a_word_package_with_a_foreign_part_is_damaged(
    tmp_path: Path, docx_bytes: bytes, member: str, content: bytes | None
) -> None:
    damaged = rewritten(docx_bytes, lambda name, old: content if name == member else old)
    with pytest.raises(LoadError, match="damaged, or not a Word document"):
        load_bytes(tmp_path, "a.docx", damaged)


def test_the_title_of_a_word_document_is_its_own_or_its_first_heading(
    tmp_path: Path, docx_bytes: bytes
) -> None:
    def without_properties(name: str, content: bytes) -> bytes | None:
        if name == "_rels/.rels":
            return re.sub(rb"<Relationship [^>]*core-properties[^>]*/>", b"", content)
        return None if name == "docProps/core.xml" else content

    assert load_one(tmp_path, "a.docx", docx_bytes).title == "A named report"
    bare = load_one(tmp_path, "a.docx", rewritten(docx_bytes, without_properties))
    assert bare.title == "Heading"
    foreign = rewritten(docx_bytes, lambda name, old: b"<a/>" if "core.xml" in name else old)
    document = load_one(tmp_path, "a.docx", foreign)
    assert (document.title, document.text) == ("Heading", "Heading\n\nhello")


@pytest.mark.parametrize("charset", ["utf-8", "utf-16", "ascii", "rot13", "hex", "undefined", "?"])
def test_a_page_that_misnames_its_encoding_is_read_all_the_same(
    tmp_path: Path, charset: str
) -> None:
    content = f'<meta charset="{charset}"><p>caf'.encode() + b"\xe9 \x93quoted\x94</p>"
    assert load_one(tmp_path, "a.html", content).text == "café “quoted”"


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("<td></td>", "after"),
        ("<td><p>in</p></td>", "in\n\nafter"),
        ("<td></td><td><div>in</div></td>", "in\n\nafter"),
        ("<td></td><td>in</td>", "| in\n\nafter"),
    ],
)
@pytest.mark.parametrize("after", ["after", "<p>after</p>", "<div>after</div>"])
def test_what_follows_a_cell_is_not_lost(
    tmp_path: Path, table: str, expected: str, after: str
) -> None:
    page = f"<body><table><tr>{table}</tr></table>{after}"
    assert load_one(tmp_path, "a.html", page).text == expected


def test_a_blank_heading_in_preformatted_text_is_none(tmp_path: Path) -> None:
    document = load_one(tmp_path, "a.html", "<pre><h1> </h1>words</pre>")
    assert (document.text, document.headings) == ("words", ())


def test_a_rule_above_the_text_is_no_front_matter(tmp_path: Path) -> None:
    text = "---\n\n# First\n\nwords\n\n---\n\n# Second\n"
    document = load_one(tmp_path, "a.md", text)
    assert [(h.start, h.text) for h in document.headings] == [
        (text.index("# First"), "First"),
        (text.index("# Second"), "Second"),
    ]


def test_a_heading_without_words_is_none(tmp_path: Path) -> None:
    document = load_one(tmp_path, "a.md", "#\n\nwords\n\n## \n\n# Real\n")
    assert [heading.text for heading in document.headings] == ["Real"]
    assert document.title == "Real"


def test_front_matter_cannot_blow_up(tmp_path: Path) -> None:
    rungs = [f"r{n}: &r{n} [{', '.join([f'*r{n - 1}'] * 10)}]" for n in range(1, 7)]
    block = "\n".join(["r0: &r0 [x]", *rungs])  # a million values in seven lines
    tracemalloc.start()
    try:
        document = load_one(tmp_path, "a.md", f"---\n{block}\n---\n# Body\n")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert document.metadata == {}
    assert [heading.text for heading in document.headings] == ["Body"]
    assert peak < 4_000_000


def test_metadata_can_always_be_printed_as_json(tmp_path: Path) -> None:
    document = load_one(tmp_path, "a.md", "---\nweight: .inf\nnone: .nan\n1: one\n---\n")
    assert document.metadata == {"weight": "Infinity", "none": "NaN", "1": "one"}
    results = load_bytes(tmp_path, "a.jsonl", b'{"text": "a", "n": 1e999}\n{"text": "b"}\n')
    problem, record = results
    assert problem == Problem("a.jsonl", "line 1: not usable JSON: 1e999 is too large a number")
    assert isinstance(record, Document)
    for loaded in (document, record):
        json.dumps(dict(loaded.metadata), allow_nan=False)


@pytest.mark.parametrize("blank", ["", "\n", "\r\n\r\n"])
def test_the_delimiter_is_that_of_the_header_below_blank_lines(tmp_path: Path, blank: str) -> None:
    document = load_one(tmp_path, "a.csv", f"{blank}id;text\n1;one, two\n")
    assert (document.document_id, document.text) == ("1", "one, two")


def test_a_spreadsheet_export_in_utf_16(tmp_path: Path) -> None:
    document = load_one(tmp_path, "a.csv", "id\ttext\n1\tnaïve 中文\n".encode("utf-16"))
    assert (document.document_id, document.text) == ("1", "naïve 中文")


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.rst", "a.html", "a.py", "a.csv", "a.jsonl"])
def test_random_bytes_are_text_a_problem_or_an_error(tmp_path: Path, name: str) -> None:
    chance = random.Random(5)
    for length in (1, 2, 3, 7, 40, 400):
        for _ in range(4):
            content = bytes(chance.randrange(256) for _ in range(length))
            with suppress(LoadError):
                for result in load_bytes(tmp_path, name, content):
                    text = result.text if isinstance(result, Document) else result.reason
                    assert "\0" not in text
                    assert text.encode("utf-8").decode("utf-8") == text
