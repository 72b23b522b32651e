"""Loaders of formats that are not text, on files made by other libraries."""

import zipfile
from pathlib import Path

import docx
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from fpdf import FPDF

from ragcli.corpus.loaders import load
from ragcli.errors import LoadError
from ragcli.records import Document

SENTENCE = "It has words that wrap over several lines of the page, so that we see how they come. "


def load_one(file: Path) -> Document:
    (document,) = load(file, file.name)
    assert isinstance(document, Document)
    return document


def make_pdf(file: Path, pages: list[str], password: str | None = None) -> Path:
    pdf = FPDF()
    pdf.set_title("Made for a test")
    pdf.set_font("helvetica", size=12)
    if password:
        pdf.set_encryption(owner_password="owner", user_password=password)
    for number, text in enumerate(pages, start=1):
        pdf.add_page()
        if text:
            pdf.start_section(f"Chapter {number}")
            pdf.multi_cell(0, text=f"Chapter {number}\n\n{text}")
    pdf.output(str(file))
    return file


def make_docx(file: Path) -> Path:
    word = docx.Document()
    word.add_heading("The title", 0)
    word.add_heading("One", 1)
    word.add_paragraph("First line\tand tab.").add_run().add_break()
    word.add_paragraph("item one", style="List Bullet")
    word.add_paragraph("item two", style="List Bullet")
    word.add_paragraph("")
    word.add_heading("Two", 2)
    table = word.add_table(rows=2, cols=2)
    for number, cell in enumerate(cell for row in table.rows for cell in row.cells):
        cell.text = f"cell\n{number}"
    word.add_paragraph("The end.")
    word.save(str(file))
    return file


def test_pdf_pages_and_outline(tmp_path: Path) -> None:
    document = load_one(make_pdf(tmp_path / "a.pdf", [SENTENCE * 3, "", SENTENCE]))
    assert document.title == "Made for a test"
    assert document.first_line is None
    first, second, third = document.page_starts
    assert first == 0
    assert document.text[first:second].startswith("Chapter 1\nIt has words")
    assert document.text[second:third].strip() == ""
    assert document.text[third:].startswith("Chapter 3\n")
    assert document.text.count("see how they come.") == 4
    assert "\r" not in document.text
    assert [(h.level, h.text, h.start) for h in document.headings] == [
        (1, "Chapter 1", first),
        (1, "Chapter 3", third),
    ]


def test_pdf_that_cannot_be_read(tmp_path: Path) -> None:
    whole = make_pdf(tmp_path / "a.pdf", [SENTENCE]).read_bytes()
    broken = tmp_path / "broken.pdf"
    for content in (whole[:600], b"hello", b"%PDF-1.7\n" + b"\0" * 100):
        broken.write_bytes(content)
        with pytest.raises(LoadError, match="damaged"):
            load_one(broken)
    broken.write_bytes(b"")
    with pytest.raises(LoadError, match="empty"):
        load_one(broken)


def test_pdf_with_a_password(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="password-protected"):
        load_one(make_pdf(tmp_path / "a.pdf", [SENTENCE], password="secret"))


def test_pdf_without_text_is_probably_a_scan(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="no text in its 2 pages"):
        load_one(make_pdf(tmp_path / "a.pdf", ["", ""]))


def test_docx_headings_lists_and_tables(tmp_path: Path) -> None:
    document = load_one(make_docx(tmp_path / "a.docx"))
    assert document.title == "The title"
    assert document.text == (
        "The title\n\nOne\n\nFirst line\tand tab.\n- item one\n- item two\n\nTwo\n\n"
        "cell 0 | cell 1\ncell 2 | cell 3\n\nThe end."
    )
    assert [(h.level, h.text) for h in document.headings] == [
        (1, "The title"),
        (1, "One"),
        (2, "Two"),
    ]
    assert all(document.text.startswith(h.text, h.start) for h in document.headings)


def test_docx_insertions_and_content_controls_are_read_deletions_not(tmp_path: Path) -> None:
    word = docx.Document()
    word.element.body.insert(
        0,
        parse_xml(
            f"""<w:sdt {nsdecls("w")}><w:sdtContent><w:p><w:r><w:t>kept </w:t></w:r>
            <w:ins><w:r><w:t>inserted</w:t></w:r></w:ins>
            <w:del><w:r><w:delText>deleted</w:delText></w:r></w:del></w:p></w:sdtContent></w:sdt>"""
        ),
    )
    word.add_paragraph("after")
    word.save(str(tmp_path / "a.docx"))
    assert load_one(tmp_path / "a.docx").text == "kept inserted\n\nafter"


def test_docx_that_cannot_be_read(tmp_path: Path) -> None:
    whole = make_docx(tmp_path / "a.docx").read_bytes()
    broken = tmp_path / "broken.docx"
    cases = [
        (whole[:5000], "damaged"),
        (b"hello", "damaged"),
        (b"", "empty"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 500, "password-protected"),
    ]
    for content, reason in cases:
        broken.write_bytes(content)
        with pytest.raises(LoadError, match=reason):
            load_one(broken)


def test_a_zip_that_is_no_word_document(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.docx", "w") as package:
        package.writestr("hello.txt", "hello")
    with pytest.raises(LoadError, match="not a Word document"):
        load_one(tmp_path / "a.docx")
