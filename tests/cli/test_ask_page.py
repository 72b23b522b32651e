"""The page of ``ask --html``, in a browser."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Browser, Run
    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement

WHEN = "When is the project review due?"
REVIEW = "The project review is due on 14 March 2025. Anna Berg leads the team."
HOSTILE = f"</script><script>alert(1)</script> <img src=x onerror=alert(2)> \u2028{REVIEW}"
OTHERS = ("Green tea is brewed at 80 degrees.", "The boiler was serviced in October 2024.")


@pytest.fixture
def shown(run: Run, tmp_path: Path, browser: Browser) -> Callable[..., Chrome]:
    """Answers from three documents, and shows the page of it."""
    for number, text in enumerate((*OTHERS, REVIEW)):
        (tmp_path / f"note{number}.txt").write_text(f"{text}\n", "utf-8")
    assert run("index", ".", "-q").code == 0

    def show(*arguments: str) -> Chrome:
        finished = run("ask", WHEN, *arguments, "--html", "page.html")
        assert finished.err == "ragcli: page written to page.html\n"
        return browser.open(tmp_path / "page.html")

    return show


def _choose(page: Chrome, **values: str) -> None:
    from selenium.webdriver.support.select import Select

    for name, value in values.items():
        Select(page.find_element("id", name)).select_by_value(value)


def _told(run: Run, *arguments: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(run("ask", WHEN, *arguments, "--json").out)
    return told


def _words(page: Chrome) -> list[WebElement]:
    return page.find_elements("css selector", "#answer [role=radio]:not(.whole)")


def _heaviest(page: Chrome) -> list[tuple[str, str, float]]:
    rows = page.find_elements("css selector", "#heaviest tr")
    cells = [[cell.text for cell in row.find_elements("tag name", "td")] for row in rows]
    return [(rank, word, float(weight)) for rank, word, weight in cells]


def _lit(page: Chrome) -> set[str]:
    """The words of the passages that are marked heavy, with the percents above them."""
    words = page.find_elements("css selector", ".text .heavy")
    return {f"{word.text} {word.get_attribute('data-percent') or ''}".strip() for word in words}


def _told_of(page: Chrome, word: str) -> bool:
    """Whether a word of the answer is shown to be owed to itself, in the table and in the text."""
    (_, best, weight), *_ = _heaviest(page)
    told = page.find_element("id", "told").text
    return (
        told == f"“{word}” is owed most to “{word}” in passage 1: {weight:.4f}"
        and best == word
        and any(mark.startswith(f"{word} ") for mark in _lit(page))
    )


def test_pointing_at_a_word_lights_its_sources(shown: Callable[..., Chrome]) -> None:
    from selenium.webdriver import ActionChains

    page = shown()
    assert [word.text for word in _words(page)] == ["14", "March", "2025"]
    whole = _lit(page)
    assert {"14", "March", "2025"} <= {mark.split()[0] for mark in whole}
    ActionChains(page).move_to_element(_words(page)[1]).perform()
    assert _told_of(page, "March")
    (copied,) = page.find_elements("css selector", ".text .copied")
    assert copied.text == "March"
    shade = copied.value_of_css_property("background-color")
    other = page.find_element("css selector", "#passage-2 .text span")
    assert shade != other.value_of_css_property("background-color")
    assert float(copied.value_of_css_property("border-bottom-width").removesuffix("px")) > 2
    # A pointer that leaves takes its preview with it, a click is kept.
    away = page.find_element("id", "passages-title")
    ActionChains(page).move_to_element(away).perform()
    assert _lit(page) == whole
    _words(page)[2].click()
    ActionChains(page).move_to_element(away).perform()
    assert _told_of(page, "2025")


def test_the_keyboard_does_what_the_pointer_does(shown: Callable[..., Chrome]) -> None:
    from selenium.webdriver import ActionChains, Keys

    page = shown()
    whole = _lit(page)

    def press(key: str) -> str:
        ActionChains(page).send_keys(key).perform()
        return page.find_element("id", "told").text.partition(" is owed")[0]

    assert press(Keys.TAB) == "The answer"
    assert page.switch_to.active_element.text == "the whole answer"
    assert press(Keys.ARROW_RIGHT) == "“14”"
    assert press(Keys.ARROW_RIGHT) == "“March”"
    assert page.switch_to.active_element.get_attribute("aria-checked") == "true"
    assert _told_of(page, "March")
    assert press(Keys.END) == "“2025”"
    assert press(Keys.ARROW_LEFT) == "“March”"
    assert press(Keys.HOME) == "“14”"
    assert press(Keys.ESCAPE) == "The answer"
    assert _lit(page) == whole
    press(Keys.ARROW_LEFT)
    # The word stays while a source is chosen.
    _choose(page, source="attention")
    assert page.find_element("id", "told").text.startswith("“2025” looked most at ")


@pytest.mark.parametrize("chosen", [{}, {"layer": "1", "head": "3"}, {"layer": "2"}, {"head": "7"}])
def test_every_head_shows_the_numbers_of_json(
    run: Run, shown: Callable[..., Chrome], browser: Browser, chosen: dict[str, str]
) -> None:
    page = shown()
    heads = page.find_elements("css selector", ".heads")
    assert not any(label.is_displayed() for label in heads)
    _choose(page, source="attention", **chosen)
    assert all(label.is_displayed() for label in heads)
    flags = [part for name, value in chosen.items() for part in (f"--{name}", value)]
    focus = _told(run, "--explain", *flags)["focus"]
    for word, told in zip(_words(page), focus["words"], strict=True):
        page.execute_script("arguments[0].focus()", word)
        *rows, others, outside = _heaviest(page)
        looked_at = [place for place in told["looked_at"] if place["weight"] > 0]
        assert [row[2] for row in rows] == [place["weight"] for place in looked_at]
        assert rows[0][1] == looked_at[0]["text"]
        assert (others[1:], outside[1:]) == (
            ("all other words", told["other_words"]),
            ("the question and special tokens", told["outside"]),
        )
    assert browser.complaints() == []


def test_the_head_asked_for_is_chosen(shown: Callable[..., Chrome]) -> None:
    page = shown("--layer", "2", "--head", "12")
    values = [page.find_element("id", name).get_attribute("value") for name in ("layer", "head")]
    assert values == ["2", "12"]


def test_shares_are_those_of_json_and_of_the_method_asked_for(
    run: Run, shown: Callable[..., Chrome]
) -> None:
    page, told = shown("--attribution", "copy"), _told(run, "--attribution", "copy")
    shares = [share.text for share in page.find_elements("css selector", ".share strong")]
    expected = [*(passage["attribution"] for passage in told["passages"]), told["vocabulary_share"]]
    assert shares == [f"{100 * share:.1f} %" for share in expected]
    source = page.find_element("css selector", "#source option").text
    assert source == "what it is owed to (copy)"
    *rows, others, own = _heaviest(page)
    assert sum(row[2] for row in rows) + others[2] + own[2] == pytest.approx(1, abs=2e-3)
    assert own[2] == pytest.approx(told["vocabulary_share"], abs=2e-4)


def test_what_made_the_answer_is_told(run: Run, shown: Callable[..., Chrome]) -> None:
    page = shown("--verify", "--record", "kept.jsonl", "-k", "2", "--rerank")
    folder = Path(page.current_url.removeprefix("file://")).parent
    record = json.loads((folder / "kept.jsonl").read_text("utf-8"))
    made = page.find_element("css selector", "[aria-labelledby=made-title]").text
    models = record["models"]
    for value in (
        models["encoder"]["name"],
        models["encoder"]["revision"],
        models["reader"]["revision"],
        models["calibration"],
        record["index"]["lineage"],
        "2 at most",
        "hybrid, reranked",
        "effect",
        "short",
    ):
        assert value in made
    trials = [row.text for row in page.find_elements("css selector", "#trials tbody tr")]
    assert trials[0].endswith("% 14 March 2025 yes")
    assert trials[1].startswith("without passage 1 ")
    assert len(trials) == 4
    verdict = record["verification"]["verdict"]
    assert page.find_element("id", "verified-title").text == f"Verification: {verdict}"


def test_an_abstention_says_why(run: Run, shown: Callable[..., Chrome], browser: Browser) -> None:
    page = shown("--min-confidence", "1")
    why = page.find_element("id", "why").text
    assert why.startswith("The documents do not answer this. The confidence that ")
    assert why.endswith("answers are given from 1.00.")
    assert page.find_elements("id", "answer") == []
    assert len(page.find_elements("class name", "passage")) == 3
    assert browser.complaints() == []


def test_nothing_is_fetched_and_a_document_stays_text(
    run: Run, tmp_path: Path, browser: Browser
) -> None:
    (tmp_path / "<b>evil.txt").write_text(HOSTILE, "utf-8")
    finished = run("ask", WHEN, "--context", "<b>evil.txt", "--html", "page.html", "--verify")
    assert finished.code == 0
    page = browser.open(tmp_path / "page.html")
    assert browser.requests() == [(tmp_path / "page.html").as_uri()]
    text = page.find_element("css selector", ".text").text
    assert text == HOSTILE.replace("\u2028", "\ufffd")
    assert page.find_element("css selector", "h3").text == "1 <b>evil.txt:1"
    assert page.find_elements("css selector", "img, b, iframe, link") == []
    assert len(page.find_elements("tag name", "script")) == 2
    # Nor would a script run that had found a way in.
    page.execute_script(
        "const script = document.createElement('script');"
        "script.textContent = 'window.ran = true'; document.body.append(script);"
        "const image = new Image(); image.src = 'https://example.org/x.png';"
        "document.body.append(image);"
    )
    assert page.execute_script("return window.ran") is None
    complaints = browser.complaints()
    assert len(complaints) == 2
    assert all("Content Security Policy" in complaint for complaint in complaints)
    assert browser.requests() == []
