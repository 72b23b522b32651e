"""Errors that a person can mend: what happened, and how to mend it.

``RagcliError`` (exit 2)
├── ``UsageError``          an option or argument that cannot be meant
├── ``IndexMissingError``   no index here or above
├── ``IndexMismatchError``  the index was made by another encoder, setting or schema
│   └── ``IndexOutdatedError``  ... by an older ragcli: indexing brings it up to date
├── ``IndexBusyError``      another process is writing
├── ``NotHeldError``        the index does not hold what was named (exit 1)
├── ``ModelError``          weights missing, altered or not loadable
├── ``InputError``          a file of questions, queries or judgements that cannot be read
└── ``LoadError``           one document that cannot be read; the rest of the work goes on
"""

from __future__ import annotations


class RagcliError(Exception):
    """An expected error: ``message`` says what happened, ``remedy`` how to mend it."""

    exit_code = 2

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        """One or two lines for the person at the terminal."""
        return f"{self.message}\n{self.remedy}" if self.remedy else self.message


class UsageError(RagcliError):
    """An option or argument that cannot be meant."""


class IndexMissingError(RagcliError):
    """There is no index where one was looked for."""


class IndexMismatchError(RagcliError):
    """The index was made by another encoder, another setting or another schema."""


class IndexOutdatedError(IndexMismatchError):
    """The index has an older schema, which indexing again brings up to date."""


class IndexBusyError(RagcliError):
    """Another process holds the index's write lock."""


class NotHeldError(RagcliError):
    """The index does not hold a file, a document or a passage that was named."""

    exit_code = 1


class ModelError(RagcliError):
    """Model weights are missing, altered or cannot be loaded."""


class InputError(RagcliError):
    """A file of questions, queries or judgements cannot be read."""


class LoadError(RagcliError):
    """One document cannot be read; the rest of the work goes on."""
