"""Loads thousands of damaged files of every format and tells what became of them.

    python tests/corpus/fuzz_loaders.py --inputs 1000 --seed 1 [--format pdf] [--save FOLDER]

Each file is loaded in a child process with limits of time and memory. A file may give documents,
problems or one ``LoadError``; it may not give another exception, break a law of documents, take
too long or too much memory, or end the process. Such a file is saved, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import copy
import gzip
import io
import json
import random
import re
import resource
import select
import subprocess
import sys
import tarfile
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from email.message import EmailMessage
from pathlib import Path
from typing import Any, NamedTuple

from lxml import etree

MOST_SECONDS = 10
MOST_MEMORY = 2 << 30

Chance = random.Random
Mutation = Callable[[bytes, Chance, Sequence[bytes]], bytes]

SENTENCE = "It has words that wrap over several lines, naïve ones and 中文 too. "


# Seeds: small whole files of every format


def _text_seeds() -> dict[str, list[str]]:
    markdown = "---\ntitle: Front\ntags: [a, b]\n---\n# One\n\nwords *a* `b`\n\n## Two ##\n\n- x\n"
    page = (
        '<!doctype html><html><head><meta charset="utf-8"><title>T</title></head><body><h1>One</h1>'
        "<p>words <b>bold</b><br>x</p><ul><li>a<li>b</ul><table><tr><td>1<td>2</table><pre>\n c\n"
        "</pre><h2>Two &amp; more</h2></body></html>"
    )
    records = [{"id": n, "title": f"t{n}", "text": SENTENCE, "year": 2000 + n} for n in range(4)]
    table = 'id,title,text\n1,T,"quoted, and\nbroken"\n2,,plain\n3,x,naïve 中文\n'
    book = (
        '<?xml version="1.0" encoding="utf-8"?><!DOCTYPE book SYSTEM "b.dtd"><book><title>B</title>'
        "<chapter><title>C</title><para>First&nbsp;<emphasis>x</emphasis> y</para><!-- c -->"
        "<![CDATA[<raw>]]></chapter><item><name>Bolt</name><price>3</price></item></book>"
    )
    notebook = {
        "cells": [
            {"cell_type": "markdown", "source": ["# Title\n", "words"]},
            {
                "cell_type": "code",
                "source": "print(1)",
                "outputs": [
                    {"output_type": "stream", "text": ["1\n"]},
                    {"output_type": "execute_result", "data": {"text/plain": "42"}},
                ],
            },
        ],
        "metadata": {"kernelspec": {"language": "python"}},
        "nbformat": 4,
    }
    tex = (
        "\\title{A \\emph{b}}\n\\author{X \\and Y}\n% c\n\\section[s]{One {two}}\ntext\n"
        "\\begin{verbatim}\n\\section{no}\n\\end{verbatim}\n\\subsection*{Three}\n"
    )
    return {
        "txt": [SENTENCE * 5, "\r\n one\r\ntwo\n\n  three  ", "Привет мир. مرحبا 👩‍👩‍👧 " * 5],
        "md": [markdown, "# A\n\nSetext\n===\n\n```\n# no\n```\n> # q\n"],
        "rst": ["=====\nTitle\n=====\n\nSub\n---\n\nwords\n\nDeep\n~~~~\n\nx\n"],
        "html": [page, f"<p>{SENTENCE}<p hidden>x<script>y</script><table><td>z"],
        "csv": [table, "text;id\na;1\nb;2\n"],
        "tsv": ['id\ttext\n1\ta\n2\t"b\tc"\n'],
        "jsonl": ["\n".join(map(json.dumps, records)), '{"text": "a"}\n\n{bad}\n{"text": "b"}\n'],
        "json": [
            json.dumps(records, indent=1),
            json.dumps({"a": {"b": [1, {"c": "d"}]}, "e": None}),
        ],
        "xml": [
            book,
            "<rss><channel><title>N</title><item><title>O</title></item></channel></rss>",
        ],
        "tex": [tex],
        "org": ["#+TITLE: T\n#+DATE: <2024-05-06>\n* TODO [#A] First :tag:\nwords\n** Second\n"],
        "ipynb": [json.dumps(notebook, indent=1)],
    }


def _mail_seeds() -> list[bytes]:
    message = EmailMessage()
    message["From"], message["To"] = "Ännchen <a@x.org>", "b@x.org, c@x.org"
    message["Subject"], message["Date"] = "Über alles", "Mon, 06 May 2024 10:00:00 +0200"
    message.set_content(SENTENCE)
    plain = bytes(message)
    message.add_alternative(f"<h1>Hi</h1><p>{SENTENCE}</p>", subtype="html")
    message.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="r é.pdf")
    return [plain, bytes(message)]


def _pdf_seed() -> bytes:
    from fpdf import FPDF

    pdf = FPDF()
    pdf.set_title("Made for a test")
    pdf.set_author("Ann")
    pdf.set_font("helvetica", size=12)
    for number in range(3):
        pdf.add_page()
        pdf.start_section(f"Chapter {number}")
        pdf.multi_cell(0, text=f"Chapter {number}\n\n" + "words that wrap " * 20)
    return bytes(pdf.output())


def _word_seed() -> bytes:
    import docx

    word = docx.Document()
    word.core_properties.title = "A report"
    word.add_heading("One", 1)
    word.add_paragraph("First\tline.").add_run().add_break()
    word.add_paragraph("item", style="List Bullet")
    table = word.add_table(rows=2, cols=2)
    for number, cell in enumerate(cell for row in table.rows for cell in row.cells):
        cell.text = f"cell {number}"
    stream = io.BytesIO()
    word.save(stream)
    return stream.getvalue()


def _slides_seed() -> bytes:
    from pptx import Presentation
    from pptx.util import Inches

    deck = Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.shapes.title.text = "First"
    slide.placeholders[1].text = "point one\npoint two"
    slide.notes_slide.notes_text_frame.text = "say hello"
    slide = deck.slides.add_slide(deck.slide_layouts[6])
    table = slide.shapes.add_table(2, 2, Inches(1), Inches(1), Inches(4), Inches(2)).table
    table.cell(0, 0).text = "cell"
    stream = io.BytesIO()
    deck.save(stream)
    return stream.getvalue()


def _sheets_seed() -> bytes:
    import datetime as dt

    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["Name", "Born", "Pay"])
    sheet.append(["Ann", dt.date(1990, 1, 2), 1234.5])
    sheet.append(["Bo", None, True])
    book.create_sheet("Free").append(["note"])
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def _book_seed() -> bytes:
    container = '<container><rootfiles><rootfile full-path="O/c.opf"/></rootfiles></container>'
    kind = "application/xhtml+xml"
    description = (
        "<package><metadata><dc:title xmlns:dc='d'>Book</dc:title></metadata><manifest>"
        f'<item id="a" href="a.xhtml" media-type="{kind}"/>'
        f'<item id="b" href="b.xhtml" media-type="{kind}"/></manifest>'
        '<spine><itemref idref="a"/><itemref idref="b"/></spine></package>'
    )
    chapter = '<?xml version="1.0" encoding="utf-8"?><html><head><title/></head><body><h1>{}</h1>'
    return _zipped(
        {
            "mimetype": b"application/epub+zip",
            "META-INF/container.xml": container.encode(),
            "O/c.opf": description.encode(),
            "O/a.xhtml": (chapter.format("One") + f"<p>{SENTENCE}</p></body></html>").encode(),
            "O/b.xhtml": (chapter.format("Two") + "<p>end</p></body></html>").encode(),
        }
    )


def _members() -> dict[str, bytes]:
    return {
        "notes/a.txt": SENTENCE.encode(),
        "b.md": b"# B\n\nwords",
        "c.jsonl": b'{"text": "one"}\n{"text": "two"}\n',
        "d.html": b"<h1>D</h1>",
        "img.png": b"\x89PNG",
    }


def _zipped(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def _tarred(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in {**members, "long/" * 30 + "é.txt": b"long"}.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def make_seeds() -> dict[str, list[bytes]]:
    """Whole files by suffix, without the dot."""
    seeds = {kind: [text.encode() for text in texts] for kind, texts in _text_seeds().items()}
    seeds["txt"].append("Café déjà vu. ".encode("cp1252") * 5)
    seeds["txt"].append(SENTENCE.encode("utf-16"))
    return {
        **seeds,
        "eml": _mail_seeds(),
        "pdf": [_pdf_seed()],
        "docx": [_word_seed()],
        "pptx": [_slides_seed()],
        "xlsx": [_sheets_seed()],
        "epub": [_book_seed()],
        "txt.gz": [gzip.compress(seed) for seed in seeds["txt"]],
        "html.gz": [gzip.compress(seed) for seed in seeds["html"]],
        "jsonl.gz": [gzip.compress(seed) for seed in seeds["jsonl"]],
        "zip": [_zipped(_members())],
        "tar": [_tarred(_members())],
        "tgz": [gzip.compress(_tarred(_members()))],
    }


# Mutations


ANYWHERE = rb"""
\0 | \xff | \xff\xfe | \xef\xbb\xbf | \xed\xa0\x80 | \r | \n\n | \t | \x85 | \xc2\x85
"""
MARKUP = rb"""
< | > | </ | /> | & | &amp; | &#0; | &#xD800; | &#x110000; | &x; | <!-- | --> | <![CDATA[ | ]]>
<!DOCTYPE a [<!ENTITY x "yyyy">]> | <?xml version='1.0'?> | <?xml version='1.0' encoding='utf-7'?>
<a><b> | </a> | <title> | <title></title> | <table><tr><td> | <h1> | <pre> | <li> | <br/> | <div>
r="A99999999" | r="XFD1048576" | t="s" | s="1" | r:id="rId1" | <v>1e999</v> | <v>-1</v> | <p/>
"""
TOKENS: dict[str, bytes] = {
    "md": rb"# | \n---\n | ```\n | [ | ]( | < | & | * | > | \t | !!python/ | &a | *a",
    "rst": rb"=====\n | \n---\n | :: | .. | ~~~~",
    "csv": rb"\x22 | \x22\x22 | , | ; | \t | \x7c | text, | \r",
    "json": rb"""
{ | } | [ | ] | \x22 | \\u0000 | \\ud800 | 1e999 | NaN | -Infinity | null | , | : | "text":
{"text":1} | {"a": | 99999999999999999999
""",
    "eml": rb"""
\r\n\r\n | -- | boundary= | Content-Type: multipart/mixed; boundary=x\r\n | =?utf-8?b? | ?= | \r\n\t
Content-Transfer-Encoding: base64\r\n | charset=utf-16\r\n | Content-Type: message/rfc822\r\n\r\n
filename*0*=utf-8''%ff; | charset=x
""",
    "tex": rb"\\ | { | } | % | \\section{ | \\title{ | \\begin{verbatim} | [ | ]",
    "org": rb"* | \n*  | #+title: | :tag: | [#A] | TODO ",
    "pdf": rb"""
endobj | stream | << | >> | /Kids [1 0 R] | /Count 999999999 | 0 R | /Length 999999999 | xref
/Filter /FlateDecode | /Encrypt 1 0 R | /Parent 1 0 R
""",
}
"""What has a meaning in a format, to be put where it has none; several stand on a line."""

FAMILIES = {"tsv": "csv", "jsonl": "json", "ipynb": "json"}
NUMBERS = (b"\xff" * 4, b"\0" * 4, b"\xff\xff\xff\x7f", b"\x01\0\0\0", b"\xff\xff", b"\x80")
ZIPPED = frozenset({"docx", "pptx", "xlsx", "epub", "zip"})


def flip(content: bytes, chance: Chance, _: Sequence[bytes]) -> bytes:
    changed = bytearray(content)
    for _number in range(chance.choice((1, 3, 10))):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def truncate(content: bytes, chance: Chance, _: Sequence[bytes]) -> bytes:
    return content[: chance.randrange(len(content))]


def _block(content: bytes, chance: Chance) -> tuple[int, int]:
    start = chance.randrange(len(content))
    return start, min(len(content), start + chance.choice((1, 8, 64, 512, len(content))))


def duplicate(content: bytes, chance: Chance, _: Sequence[bytes]) -> bytes:
    start, end = _block(content, chance)
    times = chance.choice((2, 2, 5, 200)) if end - start < 600 else 2
    return content[:start] + content[start:end] * times + content[end:]


def delete(content: bytes, chance: Chance, _: Sequence[bytes]) -> bytes:
    start, end = _block(content, chance)
    return content[:start] + content[end:]


def splice(content: bytes, chance: Chance, seeds: Sequence[bytes]) -> bytes:
    other = chance.choice(seeds)
    return content[: chance.randrange(len(content))] + other[chance.randrange(len(other)) :]


def number(content: bytes, chance: Chance, _: Sequence[bytes]) -> bytes:
    value = chance.choice(NUMBERS)
    start = chance.randrange(len(content))
    return content[:start] + value + content[start + len(value) :]


BINARY: tuple[Mutation, ...] = (flip, flip, truncate, duplicate, delete, splice, number)


def _inserting(table: bytes) -> Mutation:
    spelled = re.split(rb" \| |\n", table.strip(b"\n"))
    tokens = [token.decode("unicode_escape").encode("latin-1") for token in spelled]

    def insert(content: bytes, chance: Chance, _: Sequence[bytes]) -> bytes:
        start = chance.randrange(len(content) + 1)
        times = chance.choice((1, 1, 1, 1, 3, 3000))
        return content[:start] + chance.choice(tokens) * times + content[start:]

    return insert


ODD_VALUES = (None, True, -1, 1.5, 10**30, "", "x" * 500, "\0\ud800", [], {}, [[]], {"text": "t"})


def regrown(content: bytes, chance: Chance, _: Sequence[bytes]) -> bytes:
    """JSON that stays valid, with odd values in odd places."""
    try:
        top = json.loads(content)
    except (ValueError, RecursionError):
        return content
    for _number in range(chance.choice((1, 2, 5))):
        holder, key = _place(top, chance)
        if holder is None:
            return json.dumps(chance.choice(ODD_VALUES)).encode()
        other, other_key = _place(top, chance)
        odd = chance.choice(ODD_VALUES)
        holder[key] = odd if other is None or chance.random() < 0.6 else other[other_key]
        try:
            content = json.dumps(top).encode()
        except (ValueError, RecursionError):  # a value within itself
            break
    return content


def _place(top: object, chance: Chance) -> tuple[Any, Any]:
    """A list or an object somewhere in ``top``, and a place in it."""
    holder: Any = None
    key: Any = None
    value: Any = top
    while isinstance(value, dict | list) and value and (holder is None or chance.random() < 0.7):
        holder = value
        key = chance.choice(list(value) if isinstance(value, dict) else range(len(value)))
        value = holder[key]
    return holder, key


def regrafted(content: bytes, chance: Chance, _: Sequence[bytes]) -> bytes:
    """XML that stays well-formed, with elements and attributes in odd places."""
    try:
        top = etree.fromstring(content)
    except etree.XMLSyntaxError:
        return content
    for _number in range(chance.choice((1, 2, 5, 20))):
        elements = [element for element in top.iter() if isinstance(element.tag, str)]
        one, other = chance.choice(elements), chance.choice(elements)
        match chance.randrange(6):
            case 0 if one is not top:
                one.getparent().remove(one)
            case 1:
                other.insert(0, copy.deepcopy(one))
            case 2:
                one.tag = other.tag
            case 3 if one.attrib:
                one.set(chance.choice(list(one.attrib)), chance.choice(ODD_TEXTS))
            case 4:
                one.text = chance.choice(ODD_TEXTS)
            case _ if one.attrib:
                del one.attrib[chance.choice(list(one.attrib))]
        if len(etree.tostring(top)) > MOST_GROWN:
            break
    return bytes(etree.tostring(top))


KEEPING: dict[str, Mutation] = {"json": regrown, "ipynb": regrown, "xml": regrafted}
ODD_TEXTS = (
    "",
    "-1",
    "0",
    "1",
    "99999999999",
    "1e999",
    "rId1",
    "../../x",
    "title",
    "_xD800_",
    "é中",
)
MOST_GROWN = 1 << 20


def mutated(kind: str, seeds: Sequence[bytes], chance: Chance) -> bytes:
    """A damaged file of the kind; one inside a container may be damaged before it is packed."""
    content = chance.choice(seeds)
    if kind.endswith("gz") and chance.random() < 0.6:
        inner = "tar" if kind == "tgz" else kind.removesuffix(".gz")
        plain = [gzip.decompress(seed) for seed in seeds]
        return gzip.compress(mutated(inner, plain, chance))
    if kind in ZIPPED and chance.random() < 0.6:
        return _with_changed_members(content, chance)
    tokens = ANYWHERE + TOKENS.get(FAMILIES.get(kind, kind), MARKUP)
    mutations = (*BINARY, *([_inserting(tokens)] * 7), *([KEEPING.get(kind, flip)] * 7))
    for _ in range(chance.choice((1, 1, 2, 4))):
        if content:
            content = chance.choice(mutations)(content, chance, seeds)
    return content


def _with_changed_members(content: bytes, chance: Chance) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    mutations = (*BINARY, *([_inserting(ANYWHERE + MARKUP)] * 7), *([regrafted] * 28))
    for name in chance.sample(sorted(members), min(len(members), chance.choice((1, 1, 3)))):
        if chance.random() < 0.05:
            del members[name]
            continue
        for _ in range(chance.choice((1, 2))):
            if members[name]:
                others = list(filter(None, members.values()))
                members[name] = chance.choice(mutations)(members[name], chance, others)
    return _zipped(members)


# The child process: loads what it is told to


def serve() -> None:
    """Load the files whose names come by standard input, a line of JSON on each to the output."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    sys.setrecursionlimit(1000)
    for line in sys.stdin:
        sys.stdout.write(json.dumps(outcome_of(Path(line.rstrip("\n")))) + "\n")
        sys.stdout.flush()


def outcome_of(file: Path) -> dict[str, object]:
    """What becomes of a file in this process: a word for it, and what there is to tell."""
    from ragcli.corpus.loaders import Problem, load
    from ragcli.errors import LoadError

    documents = problems = 0
    ids: set[str] = set()
    try:
        for found in load(file, "shown"):
            if isinstance(found, Problem):
                problems += 1
                broken = None if _is_one_line(found.reason) else "a reason is not one line of text"
            else:
                documents += 1
                broken = _broken_law(found)
                if broken is None and found.document_id in ids:
                    broken = "an id is there twice"
                ids.add(found.document_id)
            if broken:
                return {"outcome": "broken law", "told": broken}
    except LoadError as error:
        outcome = "memory" if "memory" in error.message else "refused"
        if not _is_one_line(error.message):
            outcome = "broken law"
        return {"outcome": outcome, "told": error.message}
    except BaseException:  # noqa: BLE001 whatever it is, it should not be
        return {"outcome": "exception", "told": traceback.format_exc()}
    return {"outcome": "read", "documents": documents, "problems": problems}


def _broken_law(document: object) -> str | None:
    from ragcli.records import Document

    assert isinstance(document, Document)
    try:
        for text in (document.text, document.title, document.document_id):
            text.encode("utf-8")
        json.dumps(dict(document.metadata), allow_nan=False, ensure_ascii=False).encode("utf-8")
    except (TypeError, ValueError) as error:
        return f"not to be stored: {error}"
    length = len(document.text)
    starts = [heading.start for heading in document.headings]
    pages = list(document.page_starts)
    if starts != sorted(starts) or any(not 0 <= start <= length for start in starts):
        return "headings are not in order"
    if pages != sorted(pages) or any(not 0 <= start <= length for start in pages):
        return "pages are not in order"
    if any(not _is_one_line(heading.text) or heading.level < 1 for heading in document.headings):
        return "a heading is not a line of words"
    return None if document.path == "shown" else "the path is another one"


def _is_one_line(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return bool(text.strip()) and len(text.splitlines()) == 1


# The parent: makes files, keeps a child, counts


class Child:
    """A process that loads files one after the other; it is replaced when it fails."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def load(self, file: Path) -> tuple[str, dict[str, object]]:
        """What became of the file, and what the child told of it."""
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{file}\n")
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], MOST_SECONDS)
        line = process.stdout.readline() if ready else ""
        if line:
            told = json.loads(line)
            return str(told["outcome"]), told
        outcome = "died" if ready else "timeout"
        self.stop()
        return outcome, {"told": f"the process {outcome} (exit code {process.returncode})"}

    def stop(self) -> None:
        """End the process."""
        if self._process:
            self._process.kill()
            self._process.communicate()
        self._process = None

    def _start(self) -> subprocess.Popen[str]:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )
        return self._process


FAULTS = ("exception", "broken law", "timeout", "memory", "died")


class Report(NamedTuple):
    """What became of the files of one format."""

    kind: str
    inputs: int
    counts: Counter[str]
    slowest: float


def fuzz(kind: str, seeds: Sequence[bytes], inputs: int, seed: int, save: Path) -> Report:
    """Load ``inputs`` damaged files; those that show a fault are saved beside what was told."""
    counts: Counter[str] = Counter()
    chance = random.Random(f"{seed} {kind}")
    child = Child()
    slowest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for input_number in range(inputs):
            file = Path(folder) / f"a.{kind}"
            file.write_bytes(mutated(kind, seeds, chance))
            started = time.monotonic()
            outcome, told = child.load(file)
            slowest = max(slowest, time.monotonic() - started)
            counts[outcome] += 1
            for name in ("documents", "problems"):
                found = told.get(name, 0)
                counts[name] += found if isinstance(found, int) else 0
            if outcome in FAULTS:
                save.mkdir(parents=True, exist_ok=True)
                kept = save / f"{outcome.replace(' ', '-')}-{seed}-{input_number}.{kind}"
                kept.write_bytes(file.read_bytes())
                kept.with_name(f"{kept.name}.told").write_text(str(told.get("told")), "utf-8")
    child.stop()
    return Report(kind, inputs, counts, slowest)


COLUMNS = ("read", "documents", "problems", "refused", *FAULTS)


def _lines(reports: Iterator[Report]) -> Iterator[str]:
    yield "| format | inputs | " + " | ".join(COLUMNS) + " | slowest |"
    yield "|---" * (len(COLUMNS) + 3) + "|"
    for report in reports:
        cells = (str(report.counts[name]) for name in COLUMNS)
        shown = " | ".join(cells)
        yield f"| {report.kind} | {report.inputs} | {shown} | {report.slowest:.2f} s |"


def main() -> int:
    parser = argparse.ArgumentParser(description="Load damaged files of every format.")
    parser.add_argument("--inputs", type=int, default=1000, help="files of each format")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--format", action="append", help="only this one, such as pdf or txt.gz")
    parser.add_argument("--save", type=Path, help="folder for files that show a fault")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
        return 0
    seeds = make_seeds()
    kinds = options.format or list(seeds)
    save = options.save or Path(tempfile.mkdtemp(prefix="fuzz-"))
    reports: list[Report] = []

    def run() -> Iterator[Report]:
        for kind in kinds:
            reports.append(fuzz(kind, seeds[kind], options.inputs, options.seed, save))
            yield reports[-1]

    for line in _lines(run()):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    faults = sum(report.counts[name] for report in reports for name in FAULTS)
    if faults:
        sys.stdout.write(f"{faults} faults; their files are in {save}\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
