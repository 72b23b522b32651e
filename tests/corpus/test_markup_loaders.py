"""XML, JSON, notebooks, LaTeX, Org and mail: structure, metadata, and true offsets."""

import json
import time
from contextlib import suppress
from email.message import EmailMessage
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from ragcli.corpus import Chunker
from ragcli.corpus.loaders import RecordFields, load
from ragcli.corpus.problem import Problem
from ragcli.errors import LoadError
from ragcli.records import Document, Heading


def load_all(folder: Path, name: str, content: str | bytes) -> tuple[list[Document], list[str]]:
    """Documents, and reasons of problems."""
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    found = list(load(file, name))
    documents = [result for result in found if isinstance(result, Document)]
    return documents, [result.reason for result in found if isinstance(result, Problem)]


def load_one(folder: Path, name: str, content: str | bytes) -> Document:
    (document,), reasons = load_all(folder, name, content)
    assert reasons == []
    return document


def headings(document: Document) -> list[tuple[int, str]]:
    """Levels and words, after a look that the words stand where they say."""
    for heading in document.headings:
        assert document.text.startswith(heading.text, heading.start)
    return [(heading.level, heading.text) for heading in document.headings]


# XML


def test_xml_of_prose(tmp_path: Path) -> None:
    document = load_one(
        tmp_path,
        "a.xml",
        """<?xml version="1.0"?><!DOCTYPE book SYSTEM "http://example.org/book.dtd">
        <book xmlns:d="d"><d:title>The Book</d:title><!-- no --><?no no?>
        <chapter><title>One <em>x</em></title>
        <para>First&nbsp;para with <emphasis>stress</emphasis>, &mdash; &amp; &lt;b&gt;
        over lines.</para><para>Second.</para>
        <section><title>Deeper</title><para><![CDATA[raw <text>]]></para></section></chapter>
        <chapter><title>Two</title><programlisting>a
  b</programlisting></chapter></book>""",
    )
    assert document.text == (
        "The Book\n\nOne x\n\nFirst para with stress, — & <b> over lines.\n\nSecond.\n\n"
        "Deeper\n\nraw <text>\n\nTwo\n\na\n  b"
    )
    assert document.title == "The Book"
    assert headings(document) == [(1, "The Book"), (2, "One x"), (3, "Deeper"), (2, "Two")]


def test_xml_of_data_names_its_fields(tmp_path: Path) -> None:
    document = load_one(
        tmp_path,
        "a.xml",
        "<list><part><name>Bolt</name><price>3</price></part>\n"
        "<part><name>Nut</name>\n<price>1</price></part></list>",
    )
    assert document.text == "name: Bolt\nprice: 3\n\nname: Nut\nprice: 1"


@pytest.mark.parametrize(
    ("content", "reason", "text"),
    [
        ("<a><b>one</b><c>two &lt; x</a>", "mismatched tag: line 1", "one\ntwo < x"),
        ("<a>one <b>two", "no element found", "one\ntwo"),
        ("just words & more", "syntax error", "just words & more"),
        ("<a>x & y</a>", "not well-formed", "x & y"),
        ("<?xml version='1.0' standalone='yes'?><a>x&nbsp;y</a>", "undefined entity", "x\xa0y"),
    ],
)
def test_xml_that_is_not_well_formed_keeps_its_words(
    tmp_path: Path, content: str, reason: str, text: str
) -> None:
    (document,), (told,) = load_all(tmp_path, "a.xml", content)
    assert told.startswith("not valid XML, read without its structure: ")
    assert reason in told
    assert document.text == text


LAUGHS = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    "subset",
    [
        f'<!ENTITY e0 "ha">{LAUGHS}',
        '<!ENTITY e9 "ha">',
        f'<!ENTITY e9 "{"ha" * 50_000}">',
        '<!ENTITY % e0 "ha">',
        '<!ATTLIST b c CDATA "ha">',
    ],
)
def test_entities_of_xml_are_never_expanded(tmp_path: Path, subset: str) -> None:
    content = f'<!DOCTYPE a [{subset}]><a><b c="&e9;">one &e9; two</b></a>'
    (document,), (told,) = load_all(tmp_path, "a.xml", content)
    assert "it declares" in told
    assert "one" in document.text
    assert len(document.text) < 100
    assert "haha" not in document.text


@pytest.mark.parametrize("place", ["file:///etc/hostname", "http://127.0.0.1:9/x"])
def test_nothing_outside_an_xml_file_is_fetched(tmp_path: Path, place: str) -> None:
    subset = f"<!ENTITY x SYSTEM '{place}'><!ENTITY % p SYSTEM '{place}'>%p;"
    content = f"<!DOCTYPE a SYSTEM '{place}' [{subset}]><a>one &x; two</a>"
    assert load_one(tmp_path, "a.xml", content).text == "one two"


@pytest.mark.parametrize("encoding", ["utf-16", "iso-8859-1", "windows-1251", "gb2312"])
def test_xml_may_name_its_encoding(tmp_path: Path, encoding: str) -> None:
    words = {"iso-8859-1": "déjà", "windows-1251": "Привет"}.get(encoding, "中文")
    content = f'<?xml version="1.0" encoding="{encoding}"?><a>{words}</a>'.encode(encoding)
    assert load_one(tmp_path, "a.xml", content).text == f"a: {words}".removeprefix("a: ")


def test_an_empty_xml_file_is_a_blank_document(tmp_path: Path) -> None:
    for name in ("a.xml", "a.json", "a.tex", "a.org"):
        assert load_one(tmp_path, name, " \n").text.strip() == ""


# JSON


def test_a_list_of_objects_with_texts_is_made_of_records(tmp_path: Path) -> None:
    content = '[\n {"id": "a", "text": "one", "n": 1e999},\n\n {"text":\n "two"}, {"title": "t"}\n]'
    documents, problems = load_all(tmp_path, "a.json", content)
    assert [(d.document_id, d.text, d.first_line) for d in documents] == [
        ("a", "one", 2),
        ("a.json#2", "two", 4),
    ]
    assert all(document.is_record for document in documents)
    assert documents[0].metadata == {"n": "1e999"}
    assert problems == ["record 3: no field 'text'; there is: title"]


def test_records_on_one_line_are_told_apart(tmp_path: Path) -> None:
    content = '[{"text": "one"}, {"text": "two"}, {"id": 1, "text": "x"}, {"id": 1, "text": "y"}]'
    documents, problems = load_all(tmp_path, "a.json", content)
    assert [d.document_id for d in documents] == ["a.json#1", "a.json#2", "1"]
    assert problems == ["record 4: id '1' is already that of record 3"]


def test_the_field_of_the_text_may_be_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('[{"body": "words"}]')
    (document,) = load(tmp_path / "a.json", "a.json", RecordFields(text="body"))
    assert isinstance(document, Document)
    assert (document.text, document.is_record) == ("words", True)


def test_any_other_json_reads_by_its_paths(tmp_path: Path) -> None:
    value = {
        "title": "The  server",
        "ports": [80, 443],
        "users": [{"name": "ann", "roles": ["a", "b"]}, {"name": "bo", "note": "more\nlines"}],
        "x": {"y": {"z": None, "on": True}},
        "empty": {},
    }
    document = load_one(tmp_path, "a.json", json.dumps(value, indent=2))
    assert document.text == (
        "title: The  server\nports: 80, 443\n\nusers[0].name: ann\nusers[0].roles: a, b\n\n"
        "users[1].name: bo\nusers[1].note: more\nlines\n\nx.y.z: null\nx.y.on: true"
    )
    assert document.title == "The server"
    assert not document.is_record


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ('"words"', "words"),
        ("[1, 2]", "1, 2"),
        ('[{"a": 1}, {"text": "x"}, {"b": 2}]', "[0].a: 1\n\n[1].text: x\n\n[2].b: 2"),
        ('["\\ud800\\u0000", NaN, 1e999]', "\ufffd\ufffd, NaN, 1e999"),
        ('{"' + "k" * 500 + '": {"b": 1}}', "k" * 80 + ".b: 1"),
    ],
)
def test_odd_json(tmp_path: Path, content: str, text: str) -> None:
    assert load_one(tmp_path, "a.json", content).text == text


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"a": 1, // note\n}', "at line 1, column 10"),
        ('[{"text": "one"}, {"te', "Unterminated string"),
        ("[1, 2", "Expecting ',' delimiter"),
        ('{"a": 1} x', "Extra data"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
    ],
)
def test_broken_json_is_read_as_it_is_written(tmp_path: Path, content: str, reason: str) -> None:
    (document,), (told,) = load_all(tmp_path, "a.json", content)
    assert told.startswith("not valid JSON, read as it is written: ")
    assert reason in told
    assert (document.text, document.first_line) == (content, 1)


def test_json_lines_by_another_name_are_read_as_such(tmp_path: Path) -> None:
    documents, problems = load_all(tmp_path, "a.json", '{"text": "one"}\n{"text": "two"}\n{bad\n')
    assert [document.text for document in documents] == ["one", "two"]
    assert problems[0].startswith("line 3: not valid JSON")


def test_paths_of_json_do_not_outgrow_the_file(tmp_path: Path) -> None:
    value = {"k" * 100_000: {"j" * 100_000: [{"a": n} for n in range(2000)]}}
    document = load_one(tmp_path, "a.json", json.dumps(value))
    assert len(document.text) < 2000 * 150
    assert document.text.endswith("[1999].a: 1999")


# Notebooks


def notebook(*cells: object, **metadata: object) -> str:
    return json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4})


def test_notebook_cells_in_order(tmp_path: Path) -> None:
    outputs = [
        {"output_type": "stream", "text": ["printed\n", "twice\n"]},
        {"output_type": "execute_result", "data": {"text/plain": "42", "image/png": "iVBO"}},
        {"output_type": "error", "ename": "ValueError", "evalue": "\x1b[31mbad\x1b[0m"},
    ]
    content = notebook(
        {"cell_type": "markdown", "source": ["# Title\n", "\n", "words\n", "## Sub\n"]},
        {"cell_type": "code", "source": "x = 1\nprint(x)", "outputs": outputs},
        {"cell_type": "code", "source": "", "outputs": []},
        {"cell_type": "raw", "source": "raw text"},
        kernelspec={"language": "python"},
        authors=[{"name": "Ann"}, {"name": "Bo"}],
    )
    document = load_one(tmp_path, "a.ipynb", content)
    text = "# Title\n\nwords\n## Sub\n\nx = 1\nprint(x)\nprinted\ntwice\n42\nValueError: bad"
    assert document.text == f"{text}\n\nraw text"
    assert document.title == "Title"
    assert document.headings == (
        Heading(0, 1, "Title"),
        Heading(text.index("## Sub"), 2, "Sub"),
        Heading(text.index("x = 1"), 7, "cell 2"),
    )
    assert document.metadata == {"language": "python", "author": "Ann, Bo"}


def test_long_outputs_are_cut_and_odd_cells_left_out(tmp_path: Path) -> None:
    outputs = [{"output_type": "stream", "text": "log line\n" * 1000}, 5, {"data": []}]
    content = notebook({"cell_type": "code", "source": ["a", 1], "outputs": outputs}, 7, None, {})
    text = load_one(tmp_path, "a.ipynb", content).text
    assert text.startswith("a\nlog line\nlog line")
    assert len(text) <= 1002


def test_a_notebook_of_version_3(tmp_path: Path) -> None:
    cells = [
        {"cell_type": "heading", "level": 2, "source": "Old"},
        {"cell_type": "code", "input": "y = 2"},
    ]
    content = json.dumps({"worksheets": [{"cells": cells}], "nbformat": 3})
    document = load_one(tmp_path, "a.ipynb", content)
    assert document.text == "Old\n\ny = 2"
    assert [(h.level, h.text) for h in document.headings] == [(2, "Old"), (7, "cell 2")]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"cells": [', "[" * 100_000, "words"])
def test_what_is_no_notebook_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(LoadError, match="not a Jupyter notebook"):
        load_all(tmp_path, "a.ipynb", content)


# LaTeX and Org


def test_latex_sections(tmp_path: Path) -> None:
    text = r"""% \section{no}
\title[short]{The \emph{Great} Paper\thanks{us}}
\author{Ann \and Bo}\date{2024-01-02}
\section*{Intro \& more \label{x}}
text \% \section[short]{Long {nested} one}
\begin{verbatim}
\section{not}
\end{verbatim}
\subsubsection{Deep~one}
\section{never closed
"""
    document = load_one(tmp_path, "a.tex", text)
    assert (document.text, document.first_line) == (text, 1)
    assert document.title == "The Great Paper"
    assert document.metadata == {"author": "Ann, Bo", "created": "2024-01-02"}
    assert document.headings == (
        Heading(text.index("\\section*"), 1, "Intro & more"),
        Heading(text.index("\\section["), 1, "Long nested one"),
        Heading(text.index("\\subsub"), 2, "Deep one"),
    )


def test_org_headings(tmp_path: Path) -> None:
    text = """#+title: My  notes
#+AUTHOR: Me
#+DATE: <2024-05-06 Mon>
* TODO [#A] First thing   :tag:x:
** Second
*not a heading
 * nor this
* :alone:
"""
    document = load_one(tmp_path, "a.org", text)
    assert (document.text, document.first_line) == (text, 1)
    assert document.title == "My notes"
    assert document.metadata == {"author": "Me", "created": "2024-05-06"}
    assert document.headings == (
        Heading(text.index("* TODO"), 1, "First thing"),
        Heading(text.index("** S"), 2, "Second"),
    )


# Mail


def message() -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = "Ann Böll <a@x.org>"
    mail["To"] = "b@x.org, Cé <c@x.org>"
    mail["Subject"] = "Der Boiler: " + "über alles " * 8
    mail["Date"] = "Mon, 06 May 2024 10:00:00 +0200"
    return mail


def test_mail_has_its_headers_above_its_text(tmp_path: Path) -> None:
    mail = message()
    mail.set_content("Hello café,\n\nthe boiler.\n", charset="iso-8859-1")
    mail.add_alternative("<p>Hello HTML</p>", subtype="html")
    mail.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="réport.pdf")
    mail.add_attachment("a note", filename="note.txt")
    mail.add_attachment(message())
    document = load_one(tmp_path, "a.eml", bytes(mail))
    subject = "Der Boiler: " + " ".join(["über alles"] * 8)
    assert document.text == (
        f"{subject}\n\nFrom: Ann Böll <a@x.org>\nTo: b@x.org, Cé <c@x.org>\n"
        "Date: 2024-05-06T08:00:00Z\n\nHello café,\n\nthe boiler."
    )
    assert document.title == subject
    assert headings(document) == [(1, subject)]
    assert document.metadata == {
        "from": "Ann Böll <a@x.org>",
        "to": "b@x.org, Cé <c@x.org>",
        "date": "2024-05-06T08:00:00Z",
        "attachments": ["réport.pdf", "note.txt", "unnamed (message/rfc822)"],
    }


def test_mail_in_an_encoding_of_escape_sequences(tmp_path: Path) -> None:
    mail = message()
    mail.set_content("これは日本語です。", charset="iso-2022-jp", cte="7bit")
    assert load_one(tmp_path, "a.eml", bytes(mail)).text.endswith("\n\nこれは日本語です。")
    plain = b"Content-Type: text/plain; charset=iso-2022-jp\n\n" + "é plain".encode()
    assert load_one(tmp_path, "b.eml", plain).text == "é plain"


def test_mail_of_html_alone(tmp_path: Path) -> None:
    mail = message()
    mail.set_content("<h1>Hi</h1><p>there</p>", subtype="html")
    document = load_one(tmp_path, "a.eml", bytes(mail))
    assert document.text.endswith("\n\nHi\n\nthere")
    assert headings(document)[1] == (1, "Hi")


def test_all_plain_parts_around_an_attachment_are_read(tmp_path: Path) -> None:
    mail = message()
    mail.set_content("before\n")
    mail.add_attachment(b"x", maintype="image", subtype="png", filename="p.png")
    mail.attach(EmailMessage())
    mail.get_payload()[2].set_content("after\n")  # type: ignore[union-attr, index]
    assert load_one(tmp_path, "a.eml", bytes(mail)).text.endswith("\n\nbefore\n\nafter")


@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Type: text/plain; charset=nonsense",
        b"Content-Type: text/plain; charset=\xff\xfe",
        b"Content-Type: nonsense",
        b"Content-Type: multipart/mixed",
        b"Content-Transfer-Encoding: base64",
        b"Content-Transfer-Encoding: uuencode",
        b"Subject: =?utf-8?b?!!!?= =?x?q?=FF?= \xff\x00",
        b"Date: long ago",
        b"Content-Disposition: inline; filename*=utf-8''%ff%fe; filename*1*=x",
        b"From: " + b"<" * 5000,
    ],
)
def test_odd_mail_is_read_all_the_same(tmp_path: Path, headers: bytes) -> None:
    content = b"X-First: 1\r\n" + headers + b"\r\n\r\nAAAA words AAAA\r\n"
    (document,), _ = load_all(tmp_path, "a.eml", content)
    document.text.encode()
    json.dumps(dict(document.metadata), ensure_ascii=False).encode()


def test_mail_within_mail_within_mail_ends(tmp_path: Path) -> None:
    part = "Content-Type: multipart/mixed; boundary=b{0}\n\n--b{0}\n"
    content = "".join(part.format(number) for number in range(3000))
    with pytest.raises(LoadError, match="damaged, or not a mail message"):
        load_all(tmp_path, "a.eml", content)


@pytest.mark.parametrize("content", [b"no header at all", b"\n\nwords", b""])
def test_what_is_no_mail_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(LoadError, match=r"no header|empty"):
        load_all(tmp_path, "a.eml", content)


# All of them


SAMPLES: dict[str, str | bytes] = {
    "a.xml": "<book><title>B</title>" + "<p>Words of a longer paragraph.</p>" * 60 + "</book>",
    "a.json": json.dumps([{"name": f"n{n}", "note": "words that are many"} for n in range(60)]),
    "a.ipynb": notebook(*[{"cell_type": "markdown", "source": "# H\n\nwords " * 5}] * 30),
    "a.tex": "\\section{One}\nwords that are many\n\n" * 60,
    "a.org": "* One\nwords that are many\n\n" * 60,
    "a.eml": "Subject: S\n\n" + "words that are many\n\n" * 60,
}


@pytest.mark.parametrize("name", SAMPLES)
def test_passages_rebuild_the_text(tmp_path: Path, tokenizer: Tokenizer, name: str) -> None:
    document = load_one(tmp_path, name, SAMPLES[name])
    passages = Chunker(tokenizer, 40).split(document)
    assert len(passages) > 3
    assert "".join(passage.text for passage in passages) == document.text


HOSTILE = {
    "a.xml": ["<a>", "<a> ", "<a> </a>", "<", "&", "<!--", "]>", "<![CDATA[", "<a b='"],
    "a.html": ["<div>", "<ul><li>", "\x1f", "<!--", "<select><option>", "<b><p>", "&"],
    "a.json": ["[", '{"a":', "[1,", '"\\u0000"', "1", '{"a":1}\n'],
    "a.tex": ["\\section{", "\\section ", "\\begin{verbatim}", "{", "%", "\\section["],
    "a.org": ["*", "* ", "* x :a", "#+title:", "*\n"],
    "a.eml": ["Subject: =?utf-8?q?", "X: y\n", "--X\n", "To: a@b.c, ", "Date: (", ";a=b"],
    "a.md": ["# [", "*a_ ", ">", "- ", "a\n", "[a]: <b\n", "`"],
    "a.rst": ["=", "a\n=\n", "-----\n"],
    "a.csv": ["text,", '"', '"a', ";\n"],
    "a.txt": ["\ud7ff", "é", "a ", "\r"],
}


@pytest.mark.parametrize(("name", "pattern"), [(n, p) for n, ps in HOSTILE.items() for p in ps])
def test_repetition_takes_linear_time(tmp_path: Path, name: str, pattern: str) -> None:
    content = pattern * (100_000 // len(pattern))
    started = time.monotonic()
    with suppress(LoadError):
        load_all(tmp_path, name, content)
    assert time.monotonic() - started < 5  # what is quadratic takes minutes
