from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

    from ragcli.reader import Reader

# A test may take long on a machine that does other work as well.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="session")
def reader() -> Reader:
    """The shipped reader, loaded once."""
    from ragcli.reader import load_reader

    return load_reader()


class Browser:
    """A headless browser, and what it asked for."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    def open(self, page: Path) -> Chrome:
        """Show a page; whatever was shown before is forgotten."""
        self.driver.get("about:blank")
        self.requests()
        self.driver.get_log("browser")
        self.driver.get(page.resolve().as_uri())
        return self.driver

    def requests(self) -> list[str]:
        """Addresses asked for since the last call, without those that a policy forbade."""
        entries = [json.loads(entry["message"]) for entry in self.driver.get_log("performance")]
        messages = [entry["message"] for entry in entries]
        asked = {
            message["params"]["requestId"]: message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        }
        for message in messages:
            if message["params"].get("blockedReason") == "csp":
                del asked[message["params"]["requestId"]]
        return list(asked.values())

    def complaints(self) -> list[str]:
        """What the browser's console said: errors of scripts, and what was forbidden."""
        return [entry["message"] for entry in self.driver.get_log("browser")]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, driven by Selenium; a test that needs it is skipped where there is none."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("no Chromium with its chromedriver is installed")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = program
    arguments = ["--headless=new", "--disable-dev-shm-usage", "--window-size=1280,1000"]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")
    for argument in arguments:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield Browser(chrome)
    chrome.quit()
