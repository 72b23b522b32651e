"""What rankings compute with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

from ragcli.retrieval.passage_states import PassageStates

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ragcli.encoder import Encoder

Model = TypeVar("Model")


class PassageReader(Protocol):
    """Something that looks for an answer in several passages at once."""

    def attend(
        self, questions: Sequence[str], contexts: Sequence[Sequence[str]]
    ) -> list[NDArray[np.float32]]:
        """For each question the share ``(n_contexts,)`` of its attention on each of its contexts.

        A question's shares sum to 1, or are all 0 where there is nothing to read.
        """


@dataclass(frozen=True, slots=True)
class Models:
    """The models at hand; a lexical ranking needs none, and only reranking needs the reader.

    ``states`` are what the encoder made of passages lately.
    """

    encoder: Encoder | None = None
    reader: PassageReader | None = None
    states: PassageStates = field(default_factory=PassageStates)


def needed(model: Model | None, what: str) -> Model:
    """Return the model that a ranking needs; raises ``ValueError`` when it is not at hand."""
    if model is None:
        raise ValueError(f"this ranking needs {what}")
    return model
