from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ragcli.reader import Reader


@pytest.fixture(scope="session")
def reader() -> Reader:
    """The shipped reader, loaded once."""
    from ragcli.reader import load_reader

    return load_reader()
