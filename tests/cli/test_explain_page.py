"""The page of ``explain --html``, in a browser."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Browser, Run
    from selenium.webdriver import Chrome

SENTENCE = "The otter that lives in the river eats fish."
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)> \u2028 & 'otter'"


@pytest.fixture
def shown(run: Run, tmp_path: Path, browser: Browser) -> Callable[..., Chrome]:
    def show(*arguments: str) -> Chrome:
        finished = run("explain", *arguments, "--html", "page.html")
        assert (finished.code, finished.err) == (0, "ragcli: page written to page.html\n")
        return browser.open(tmp_path / "page.html")

    return show


def _choose(page: Chrome, **values: str) -> None:
    from selenium.webdriver.support.select import Select

    for name, value in values.items():
        Select(page.find_element("id", name)).select_by_value(value)


def _table(page: Chrome, name: str) -> list[list[str]]:
    table: list[list[str]] = page.execute_script(
        "return [...document.getElementById(arguments[0]).rows]"
        ".map((row) => [...row.cells].map((cell) => cell.textContent))",
        name,
    )
    return table


def _shown(weight: float) -> str:
    """The weight in four places, a half rounded to the even one."""
    return f"{round(10_000 * weight) / 10_000:.4f}"


def _told(run: Run, *arguments: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(run("explain", *arguments, "--json").out)
    return told


@pytest.mark.parametrize("chosen", [{}, {"layer": "1", "head": "3"}, {"layer": "6"}, {"head": "2"}])
def test_every_layer_and_head_shows_the_numbers_of_json(
    run: Run, shown: Callable[..., Chrome], browser: Browser, chosen: dict[str, str]
) -> None:
    page = shown(SENTENCE)
    _choose(page, **chosen)
    told = _told(run, SENTENCE, *(part for n, v in chosen.items() for part in (f"--{n}", v)))
    weights = [[round(10_000 * weight) for weight in row] for row in told["weights"]]
    assert page.execute_script("return view.weights") == weights
    assert [row[1:] for row in _table(page, "map")[1:]] == [
        [str((weight + 50) // 100 or "") for weight in row] for row in weights
    ]
    links = _table(page, "links")
    assert [link[2] for link in links] == [_shown(link["weight"]) for link in told["links"]]
    assert [link[0].split(" (")[0] for link in links] == [
        link["from"]["text"] for link in told["links"]
    ]
    assert _table(page, "shares") == [[n, _shown(share)] for n, share in told["shares"].items()]
    assert browser.complaints() == []


def test_the_layer_and_head_asked_for_are_chosen(shown: Callable[..., Chrome]) -> None:
    page = shown(SENTENCE, "--layer", "2", "--head", "12", "--token", "otter")
    values = [page.find_element("id", name).get_attribute("value") for name in ("layer", "head")]
    assert values == ["2", "12"]
    steps = page.find_element("id", "steps").text
    assert "otter" in steps
    assert "layer 2,\nhead 12" in page.page_source


def test_a_cell_tells_its_weight_to_the_pointer_and_to_the_keyboard(
    run: Run, shown: Callable[..., Chrome]
) -> None:
    from selenium.webdriver import ActionChains, Keys

    page, weights = shown(SENTENCE), _told(run, SENTENCE)["weights"]
    told = page.find_element("id", "told")
    row = page.find_elements("css selector", "#map tbody tr")[2]
    ActionChains(page).move_to_element(row.find_elements("tag name", "td")[4]).perform()
    assert told.text == f"3 otter looks at 5 lives: {_shown(weights[2][4])}"
    ActionChains(page).move_to_element(row.find_element("tag name", "th")).perform()
    assert told.text.startswith(f"3 otter looks most at: 1 [CLS] {_shown(max(weights[2]))}, ")
    ActionChains(page).move_to_element(page.find_element("id", "links-title")).perform()
    assert told.text.startswith("Point at a cell")
    page.find_element("id", "head").send_keys(Keys.TAB)
    if page.switch_to.active_element.tag_name != "th":
        page.switch_to.active_element.send_keys(Keys.TAB)
    for key in (*[Keys.ARROW_DOWN] * 2, *[Keys.ARROW_RIGHT] * 5):
        page.switch_to.active_element.send_keys(key)
    assert told.text == f"3 otter looks at 5 lives: {_shown(weights[2][4])}"
    for _ in range(3):
        page.switch_to.active_element.send_keys(Keys.ARROW_UP)
    assert told.text.startswith("5 lives is looked at most by: ")
    _choose(page, layer="1", head="3")
    assert told.text.startswith("5 lives is looked at most by: 6 in 0.9")


def test_nothing_is_fetched_and_a_text_stays_text(
    shown: Callable[..., Chrome], browser: Browser, tmp_path: Path
) -> None:
    page = shown(HOSTILE)
    assert browser.requests() == [(tmp_path / "page.html").as_uri()]
    assert browser.complaints() == []
    assert page.find_element("tag name", "h1").text == HOSTILE.replace("\u2028", "\ufffd")
    assert page.find_elements("css selector", "img, iframe, link") == []
    assert len(page.find_elements("tag name", "script")) == 2
    source = (tmp_path / "page.html").read_text("utf-8")
    assert "<img" not in source
    assert "\u2028" not in source
