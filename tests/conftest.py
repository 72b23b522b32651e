from __future__ import annotations

import json
import os
import re
import shutil
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

    from ragcli.reader import Reader
    from ragcli.records import Document
    from ragcli.store import Index, IndexFingerprint, SourceState

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


class Holding:
    """Makes indexes of documents that were never read from a disk, with vectors of their own."""

    modified_ns = 1_700_000_000_000_000_000

    @property
    def fingerprint(self) -> IndexFingerprint:
        from ragcli.store import IndexFingerprint

        return IndexFingerprint("tiny", "revision-1", 4, "", "", 200, 1)

    def document(
        self, path: str, text: str, record_id: str | None = None, title: str = ""
    ) -> Document:
        """The document of a file, or one of its records."""
        from ragcli.records import Document

        return Document(
            record_id or path, path, text, "hash", title, 1, is_record=record_id is not None
        )

    def source(self, path: str, content_hash: str = "hash", age: int = 0) -> SourceState:
        """A source that is so many seconds older than others."""
        from ragcli.store import SourceState

        return SourceState(path, content_hash, 1234, self.modified_ns - age * 10**9)

    def __call__(
        self,
        folder: Path,
        *documents: Document,
        content_hash: str = "hash",
        age: int = 0,
        fingerprint: IndexFingerprint | None = None,
    ) -> Path:
        """Add documents to the index in ``folder``, all of a path as one source; the folder."""
        from ragcli.store import Index

        with Index.create_or_open(folder, fingerprint or self.fingerprint) as index:
            self.put(index, *documents, content_hash=content_hash, age=age)
            index.commit()
        return folder

    def put(
        self, index: Index, *documents: Document, content_hash: str = "hash", age: int = 0
    ) -> None:
        """Add documents, all of a path as one source.

        A passage is a paragraph; its vector is made of its words.
        """
        by_path: dict[str, list[Document]] = {}
        for document in documents:
            by_path.setdefault(document.path, []).append(document)
        for path, of_source in by_path.items():
            source = self.source(path, content_hash, age)
            index.replace_source(source, [self._embedded(each) for each in of_source])

    def _embedded(self, document: Document) -> tuple[Document, Sequence[object], object]:
        import numpy as np

        from ragcli.records import Passage

        passages, line, before = [], 1, 0
        for found in re.finditer(r"(?:[^\n]|\n(?!\n))+", document.text):
            line += document.text.count("\n", before, found.start())
            before = found.start()
            passages.append(Passage(found.start(), found.end(), found[0], "", line))
        seeds = [zlib.crc32(passage.text.encode("utf-8", "surrogatepass")) for passage in passages]
        rows = [np.random.default_rng(seed).standard_normal(4) for seed in seeds]
        vectors = np.array([row / np.linalg.norm(row) for row in rows], "f4").reshape(-1, 4)
        return document, passages, vectors


@pytest.fixture(scope="session")
def hold() -> Holding:
    return Holding()
