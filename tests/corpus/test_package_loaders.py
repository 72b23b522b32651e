"""Slides, sheets and books: files made by other libraries, and what is done to harm by them."""

import datetime as dt
import io
import re
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import docx
import openpyxl
import pptx
import pytest
import xlsxwriter
from fpdf import FPDF
from pptx.util import Inches
from tokenizers import Tokenizer

from ragcli.corpus import Chunker
from ragcli.corpus.loaders import load
from ragcli.corpus.problem import Problem
from ragcli.errors import LoadError
from ragcli.records import Document

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def load_one(file: Path) -> Document:
    (document,) = load(file, file.name)
    assert isinstance(document, Document)
    return document


def headings(document: Document) -> list[tuple[int, str, str]]:
    """Level, words, and the line that each stands on."""
    lines = (document.text[heading.start :].partition("\n")[0] for heading in document.headings)
    return [(h.level, h.text, line) for h, line in zip(document.headings, lines, strict=True)]


def rewritten(package: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """The zip ``package`` with its members changed, ``None`` leaves one out."""
    result = io.BytesIO()
    with (
        zipfile.ZipFile(package) as old,
        zipfile.ZipFile(result, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            content = change(name, old.read(name))
            if content is not None:
                new.writestr(name, content)
    package.write_bytes(result.getvalue())
    return package


def make_slides(file: Path) -> Path:
    deck = pptx.Presentation()
    deck.core_properties.title = "The  deck"
    deck.core_properties.author = "Ann"
    deck.core_properties.created = dt.datetime(2024, 1, 2, 3, 4, 5)
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.shapes.title.text = "First slide"
    slide.placeholders[1].text = "point one\npoint two"
    slide.notes_slide.notes_text_frame.text = "say hello"
    deck.slides.add_slide(deck.slide_layouts[6])
    slide = deck.slides.add_slide(deck.slide_layouts[5])
    slide.shapes.title.text = "Figures"
    size = (Inches(1), Inches(1), Inches(4), Inches(2))
    table = slide.shapes.add_table(2, 2, *size).table
    for number, words in enumerate(("part", "price", "bolt", "3\nEUR")):
        table.cell(number // 2, number % 2).text = words
    group = slide.shapes.add_group_shape()
    group.shapes.add_textbox(*size).text_frame.text = "grouped\vline"
    deck.save(str(file))
    return file


def make_sheets(file: Path) -> Path:
    book = openpyxl.Workbook()
    book.properties.creator = "Cy"
    book.properties.title = "Staff"
    sheet = book.active
    sheet.title = "People"
    sheet.append(["Staff of 2024"])
    sheet.append(["Name", "Born", "Pay", "Seen"])
    sheet.append(["Ann", dt.date(1990, 1, 2), 0.1 + 0.2, dt.datetime(2024, 1, 2, 3, 4, 5)])
    sheet.append([None, None, None, None])
    sheet.append(["Bo\nLi", None, True, dt.time(12, 30)])
    sheet["J5"] = "far"
    free = book.create_sheet("Free text")
    free["A1"], free["A3"], free["B3"], free["A4"], free["B4"] = "a note", 5, "x", 6, "y"
    book.create_chartsheet("chart")
    book.save(str(file))
    return file


CONTAINER = '<container><rootfiles><rootfile full-path="OEBPS/c.opf"/></rootfiles></container>'
KIND = "application/xhtml+xml"
BOOK = f"""<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>The Book</dc:title>
<dc:creator>Ann</dc:creator><dc:creator>Bo</dc:creator><dc:date>2020-05-01</dc:date></metadata>
<manifest><item id="b" href="text/two.xhtml" media-type="{KIND}"/>
<item id="a" href="text/on%20e.xhtml" media-type="{KIND}"/>
<item id="p" href="p.png" media-type="image/png"/></manifest>
<spine><itemref idref="a"/><itemref idref="p"/><itemref idref="b"/></spine></package>"""
FIRST = """<?xml version="1.0" encoding="iso-8859-1"?><html xmlns="http://www.w3.org/1999/xhtml">
<head><title/><script src="x"/></head><body><h1>One</h1>
<p>café<a id="x"/> words</p></body></html>"""


def make_book(file: Path, **changed: str | None) -> Path:
    members: dict[str, str | bytes] = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": CONTAINER,
        "OEBPS/c.opf": BOOK,
        "OEBPS/text/on e.xhtml": FIRST.encode("latin-1"),
        "OEBPS/text/two.xhtml": "<html><body><h2>Two</h2><p>the end</p></body></html>",
    }
    with zipfile.ZipFile(file, "w") as package:
        for name, content in members.items():
            package.writestr(name, content)
        for name, added in changed.items():
            package.writestr(f"META-INF/{name}.xml", added or "")
    return file


# Slides


def test_slides_are_pages_and_their_titles_headings(tmp_path: Path) -> None:
    document = load_one(make_slides(tmp_path / "a.pptx"))
    assert document.text == (
        "First slide\n\npoint one\npoint two\n\nNotes:\n\nsay hello\n\n"
        "Figures\n\npart | price\nbolt | 3 EUR\n\ngrouped\nline"
    )
    assert document.title == "The deck"
    assert headings(document) == [(1, "First slide", "First slide"), (1, "Figures", "Figures")]
    first, second, third = document.page_starts
    assert first == 0
    assert document.text[second:third].strip() == ""
    assert document.text[third:].startswith("Figures")
    assert document.metadata["author"] == "Ann"
    assert document.metadata["created"] == "2024-01-02T03:04:05Z"


def test_a_passage_of_slides_knows_its_slide(tmp_path: Path, tokenizer: Tokenizer) -> None:
    deck = pptx.Presentation()
    for number in range(1, 6):
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = f"Slide {number}"
        slide.placeholders[1].text = "words that are many " * 10
    deck.save(str(tmp_path / "a.pptx"))
    document = load_one(tmp_path / "a.pptx")
    passages = Chunker(tokenizer, 60).split(document)
    assert "".join(passage.text for passage in passages) == document.text
    assert {(p.page, p.heading) for p in passages} == {(n, f"Slide {n}") for n in range(1, 6)}


def test_a_damaged_slide_is_told_and_the_others_are_read(tmp_path: Path) -> None:
    def damage(name: str, content: bytes) -> bytes:
        return content[:700] if name == "ppt/slides/slide1.xml" else content

    problem, document = load(rewritten(make_slides(tmp_path / "a.pptx"), damage), "a.pptx")
    assert isinstance(problem, Problem)
    assert problem.reason.startswith("slide 1 cannot be read: damaged: its part ppt/slides/slide1")
    assert isinstance(document, Document)
    assert document.text.startswith("Figures")
    assert document.page_starts == (0, 0, 0)


# Sheets


def test_sheets_are_headings_and_rows_have_their_columns_names(tmp_path: Path) -> None:
    document = load_one(make_sheets(tmp_path / "a.xlsx"))
    assert document.text == (
        "People\n\nStaff of 2024\nName | Born | Pay | Seen\n"
        "Name: Ann | Born: 1990-01-02 | Pay: 0.3 | Seen: 2024-01-02T03:04:05\n"
        "Name: Bo Li | Pay: TRUE | Seen: 12:30:00 | far\n\n"
        "Free text\n\na note\n5 | x\n6 | y"
    )
    assert [(level, words) for level, words, _ in headings(document)] == [
        (1, "People"),
        *((3, f"row {number}") for number in (1, 2, 3, 5)),
        (1, "Free text"),
        *((3, f"row {number}") for number in (1, 3, 4)),
    ]
    assert headings(document)[4][2].startswith("Name: Bo Li")
    assert document.title == "Staff"
    assert document.metadata["sheets"] == ["People", "Free text"]
    assert document.metadata["author"] == "Cy"


def test_a_passage_of_a_sheet_knows_its_row(tmp_path: Path, tokenizer: Tokenizer) -> None:
    book = openpyxl.Workbook()
    book.active.append(["City", "Note"])
    for number in range(2, 60):
        book.active.append([f"Town {number}", "a place with a market and a church"])
    book.save(str(tmp_path / "a.xlsx"))
    document = load_one(tmp_path / "a.xlsx")
    passages = Chunker(tokenizer, 100).split(document)
    assert "".join(passage.text for passage in passages) == document.text
    assert len(passages) > 5
    for passage in passages[1:]:
        row = int(passage.heading.removeprefix("Sheet > row "))
        assert passage.text.startswith(f"City: Town {row} | Note: a place")


def test_what_sheets_of_another_writer_hold(tmp_path: Path) -> None:
    book = xlsxwriter.Workbook(str(tmp_path / "a.xlsx"))
    sheet = book.add_worksheet("S")
    formats = ["yyyy-mm-dd", "[h]:mm", '0.0 "days"', "dd/mm/yyyy hh:mm", "#,##0;[Red]-#,##0"]
    for row, form in enumerate(formats):
        sheet.write_number(row, 0, 32.5 if row else 45_000, book.add_format({"num_format": form}))
    sheet.write_formula(5, 0, "=A1", None, 42)
    sheet.write_rich_string(6, 0, "a ", book.add_format({"bold": True}), "bold", " word")
    sheet.write_string(7, 0, "_x0041_ \x01 x")
    sheet.write_number(8, 0, 123456789012345)
    book.close()
    lines = load_one(tmp_path / "a.xlsx").text.split("\n")[2:]
    assert lines == [
        "2023-03-15",
        "780:00:00",
        "32.5",
        "1900-02-01T12:00:00",
        "32.5",
        "42",
        "a bold word",
        "_x0041_ x",
        "123456789012345",
    ]


def _sheet(rows: bytes) -> Callable[[str, bytes], bytes]:
    def change(name: str, content: bytes) -> bytes:
        if name != "xl/worksheets/sheet1.xml":
            return content
        start = f'<worksheet xmlns="{MAIN}"><sheetData>'.encode()
        return start + rows + b"</sheetData></worksheet>"

    return change


def test_far_cells_and_absurd_places_make_no_rectangle(tmp_path: Path) -> None:
    rows = b'<row r="1"><c r="A1"><v>1</v></c><c r="XFD1"><v>2</v></c></row>'
    rows += b'<row r="99999999999999"><c r="ZZZZ1"><v>3</v></c><c t="s"><v>77777</v></c></row>'
    rows += b'<row><c s="-1"><v>1e999</v></c><c t="s"><v>x</v></c><c><v>y</v></c></row>'
    book = rewritten(make_sheets(tmp_path / "a.xlsx"), _sheet(rows))
    text = load_one(book).text
    assert text.startswith("People\n\n1 | 2\n3\ninf\n\nFree text")


def _shared(size: int, rows: bytes) -> Callable[[str, bytes], bytes]:
    """A sheet of ``rows`` whose cells may refer to one shared text."""
    change = _sheet(rows)

    def changed(name: str, content: bytes) -> bytes:
        if name == "xl/sharedStrings.xml":
            return f'<sst xmlns="{MAIN}"><si><t>{"x" * size}</t></si></sst>'.encode()
        return change(name, content)

    return changed


def make_shared(file: Path, rows: bytes) -> Path:
    book = xlsxwriter.Workbook(str(file))
    book.add_worksheet("S").write_string(0, 0, "shared")
    book.close()
    return rewritten(file, _shared(1_000_000, rows))


def test_a_text_that_many_cells_share_is_no_bomb(tmp_path: Path) -> None:
    cell = b'<c t="s"><v>0</v></c>'
    problem, document = load(
        make_shared(tmp_path / "a.xlsx", (b"<row>" + cell + b"</row>") * 5000), "a.xlsx"
    )
    assert isinstance(problem, Problem)
    assert problem.reason.endswith("unpacks to more than 134,217,728 characters")
    assert isinstance(document, Document)
    assert len(document.text) < 136_000_000
    row = make_shared(tmp_path / "b.xlsx", b"<row>" + cell * 5000 + b"</row>")
    with pytest.raises(LoadError, match="unpacks to more than 134,217,728 characters"):
        load_one(row)


# Books


def test_chapters_are_read_in_the_order_of_the_spine(tmp_path: Path) -> None:
    document = load_one(make_book(tmp_path / "a.epub"))
    assert document.text == "One\n\ncafé words\n\nTwo\n\nthe end"
    assert headings(document) == [(1, "One", "One"), (2, "Two", "Two")]
    assert document.title == "The Book"
    assert document.metadata == {"author": "Ann, Bo", "created": "2020-05-01"}


def test_an_encrypted_chapter_is_told_and_a_whole_book_of_them_refused(tmp_path: Path) -> None:
    cipher = '<encryption><CipherReference URI="OEBPS/text/{}.xhtml"/>{}</encryption>'
    one = make_book(tmp_path / "a.epub", encryption=cipher.format("two", ""))
    problem, document = load(one, "a.epub")
    assert isinstance(problem, Problem)
    assert problem.reason == "chapter OEBPS/text/two.xhtml: encrypted (copy-protected?)"
    assert isinstance(document, Document)
    assert document.text == "One\n\ncafé words"
    more = '<CipherReference URI="OEBPS/text/on%20e.xhtml"/>'
    both = make_book(tmp_path / "b.epub", encryption=cipher.format("two", more))
    with pytest.raises(LoadError, match="copy-protected"):
        load_one(both)


# What all packages share


MAKERS: dict[str, Callable[[Path], Path]] = {}


def _maker(suffix: str) -> Callable[[Callable[[Path], Path]], Callable[[Path], Path]]:
    def enter(make: Callable[[Path], Path]) -> Callable[[Path], Path]:
        MAKERS[suffix] = make
        return make

    return enter


@_maker("docx")
def make_word(file: Path) -> Path:
    word = docx.Document()
    word.core_properties.author = "Dee"
    word.core_properties.created = dt.datetime(2023, 5, 6, 7, 8, 9)
    word.add_paragraph("words of the report")
    word.save(str(file))
    return file


MAKERS |= {"pptx": make_slides, "xlsx": make_sheets, "epub": make_book}
MARKUP = {
    "docx": "word/document.xml",
    "pptx": "ppt/presentation.xml",
    "xlsx": "xl/workbook.xml",
    "epub": "OEBPS/c.opf",
}


@pytest.fixture(params=sorted(MAKERS))
def package(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A whole file of each kind."""
    suffix: str = request.param
    return MAKERS[suffix](tmp_path / f"a.{suffix}")


def test_author_and_dates_are_kept(tmp_path: Path) -> None:
    word = load_one(make_word(tmp_path / "a.docx"))
    assert (word.metadata["author"], word.metadata["created"]) == ("Dee", "2023-05-06T07:08:09Z")
    pdf = FPDF()
    pdf.set_author("Eve  Adams")
    pdf.set_creation_date(dt.datetime(2022, 3, 4, 5, 6, 7, tzinfo=dt.timezone.utc))
    pdf.set_font("helvetica", size=12)
    pdf.add_page()
    pdf.cell(text="words")
    pdf.output(str(tmp_path / "a.pdf"))
    loaded = load_one(tmp_path / "a.pdf")
    assert loaded.metadata["author"] == "Eve Adams"
    assert loaded.metadata["created"] == "2022-03-04T05:06:07Z"


def test_a_password_is_told(package: Path) -> None:
    whole = package.read_bytes()
    flagged = bytearray(whole)
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        for found in re.finditer(re.escape(magic), whole):
            flagged[found.start() + offset] |= 1
    package.write_bytes(flagged)
    with pytest.raises(LoadError, match=r"^password-protected; save a copy without its password$"):
        load_one(package)
    name = "EncryptedPackage".encode("utf-16-le")
    package.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500) + name + bytes(500))
    with pytest.raises(LoadError, match=r"^password-protected; save a copy without its password$"):
        load_one(package)


def test_old_and_empty_and_foreign_files_are_told(package: Path) -> None:
    suffix = package.suffix
    package.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500))
    with pytest.raises(LoadError, match=f"or an old .*save it as a plain {suffix}"):
        load_one(package)
    package.write_bytes(b"")
    with pytest.raises(LoadError, match="empty"):
        load_one(package)
    with zipfile.ZipFile(package, "w") as foreign:
        foreign.writestr("hello.txt", "hello")
    with pytest.raises(LoadError, match=r"damaged, or not an? (Word|Power|Excel|EPUB)"):
        load_one(package)


def test_a_part_that_unpacks_to_too_much_is_refused(package: Path) -> None:
    def swell(name: str, content: bytes) -> bytes:
        return content + b" " * (80 << 20) if name == MARKUP[package.suffix[1:]] else content

    with pytest.raises(LoadError, match="unpacks to more than"):
        load_one(rewritten(package, swell))


def test_a_part_that_lies_about_its_size_takes_no_memory(package: Path) -> None:
    part = MARKUP[package.suffix[1:]]
    rewritten(package, lambda name, old: old + b" " * (60 << 20) if name == part else old)
    content = bytearray(package.read_bytes())
    at = content.index(part.encode(), content.index(b"PK\x01\x02")) - 46
    content[at + 24 : at + 28] = struct.pack("<I", 100)  # the size in the list of parts
    package.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(LoadError, match="damaged"):
            load_one(package)
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()


def _with_entities(content: bytes) -> bytes:
    rungs = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    doctype = f'<!DOCTYPE x [<!ENTITY e0 "ha">{rungs}]>'.encode()
    start = content.index(b"?>") + 2 if content.startswith(b"<?xml") else 0
    body = re.sub(rb">(\s*)</", rb">&e9;</", content[start:])
    return content[:start] + doctype + body


def test_entities_are_not_expanded(package: Path) -> None:
    part = MARKUP[package.suffix[1:]]
    rewritten(package, lambda name, old: _with_entities(old) if name == part else old)
    with pytest.raises(LoadError, match=r"document type|declares the entity"):
        load_one(package)


def test_entities_in_utf_16_or_an_odd_encoding_are_not_expanded_either(tmp_path: Path) -> None:
    word = make_word(tmp_path / "a.docx")

    def widen(name: str, content: bytes) -> bytes:
        if name != "word/document.xml":
            return content
        return _with_entities(content.replace(b"UTF-8", b"UTF-16")).decode().encode("utf-16")

    with pytest.raises(LoadError, match="document type"):
        load_one(rewritten(word, widen))
    word = make_word(tmp_path / "b.docx")
    with pytest.raises(LoadError, match="encoding"):
        load_one(rewritten(word, lambda _, content: content.replace(b"UTF-8", b"UTF-7")))


def test_pictures_are_never_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(make_word(tmp_path / "a.docx"), "a", zipfile.ZIP_DEFLATED) as package:
        package.writestr("word/media/film.png", bytes(90 << 20))
    assert load_one(tmp_path / "a.docx").text == "words of the report"
