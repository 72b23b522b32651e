from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragcli.records import EncoderToken, Explanation, Word
from ragcli.render.explanation_page import explanation_page
from ragcli.render.neutral import printable, printable_block
from ragcli.render.page import whole_weights

HOSTILE = "</script><script>alert(1)</script> <img src=x onerror=alert(1)> <!-- \u2028 '\"&"
TAGS = frozenset(
    "html head meta title style body main header p h1 h2 div section label select option table "
    "thead tbody tr th td span small dl dt dd code footer noscript script".split()
)


class Page(HTMLParser):
    """The elements of a page, the text of some of them, and what its attributes name."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.contents: dict[str, list[str]] = {}
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        if self.tags:
            self.contents.setdefault(self.tags[-1], []).append(data)


def _explanation(text: str) -> Explanation:
    token = EncoderToken(text, 0, len(text), 0)
    weights = np.ones((1, 1), dtype=np.float32)
    word = Word(text, 0, len(text), (0,), is_special=False)
    return Explanation(
        text, text, "0" * 64, None, None, (token,), weights, np.ones((1, 1, 1, 1), np.float32),
        (word,), (), {"itself": 1.0},
    )  # fmt: skip


def _page(text: str) -> str:
    explanation = _explanation(text)
    return explanation_page(explanation, [[explanation] * 2] * 2)


@settings(max_examples=50)
@given(st.one_of(st.just(HOSTILE), st.text(st.characters(exclude_categories=()), min_size=1)))
def test_whatever_a_text_holds_it_stays_text(text: str) -> None:
    page = _page(text)
    page.encode()
    parsed = Page(page)
    assert set(parsed.tags) <= TAGS
    assert parsed.tags.count("script") == 2
    assert not [name for name, _ in parsed.attributes if name in {"src", "href", "style"}]
    assert not [name for name, _ in parsed.attributes if name.startswith("on")]
    data = parsed.contents["script"][0]
    assert not re.search(r"[<>&'\u2028\u2029]", data)
    assert json.loads(data)["tokens"] == [printable(text)]
    shown = "".join(parsed.contents["h1"]).replace("\r", "\n").strip("\n")
    assert printable_block(text).strip("\n") in shown


def test_the_page_allows_its_own_script_and_style_and_nothing_else() -> None:
    page = _page("An otter.")
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy
    hashes = {
        name: base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        for name, content in re.findall(r"<(style|script)>(.*?)</", page, re.DOTALL)
    }
    assert policy[1].split("; ") == [
        "default-src 'none'",
        f"style-src 'sha256-{hashes['style']}'",
        f"script-src 'sha256-{hashes['script']}'",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    assert "://" not in page


def test_a_weight_is_a_whole_number_of_its_last_place() -> None:
    assert whole_weights([[0.12346, 1.0], [0.0, 0.00004]], 6) == [[1235, 10_000], [0, 0]]
    assert whole_weights(np.float32(0.5), 4) == 5000
    # As JSON rounds first, so does a page: 0.12344996 is 0.12345 there, and then 0.1234.
    assert whole_weights(0.12344996, 6) == round(10_000 * round(0.12344996, 6))


@pytest.mark.parametrize("text", ["x" * 121, "short"])
def test_a_long_text_is_set_smaller(text: str) -> None:
    assert ('class="long"' in _page(text)) == (len(text) > 120)
