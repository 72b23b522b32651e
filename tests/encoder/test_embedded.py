from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ragcli.encoder import Encoder, default_fingerprint, load_encoder, minilm
from ragcli.encoder.embedded import EmbeddedEncoder
from ragcli.errors import ModelError

TEXTS = [
    "Green tea is brewed at 80 degrees.",
    "",
    "An otter",
    "Größe, naïve, 東京 and 😀",
    "The boiler in the cellar was serviced in March. " * 40,
    "def attend(query, key): return query @ key.T",
]


@pytest.fixture(scope="module")
def embedded() -> Encoder:
    return load_encoder()


@pytest.fixture(scope="module")
def external() -> Encoder:
    """The same model by way of sentence-transformers, from its folder."""
    return load_encoder(str(minilm.folder()))


def test_vectors_are_those_of_sentence_transformers(embedded: Encoder) -> None:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(minilm.folder()), device="cpu", local_files_only=True)
    wanted = model.encode(TEXTS, normalize_embeddings=True, show_progress_bar=False)
    assert (embedded.encode_passages(TEXTS) * wanted).sum(1).min() >= 0.999
    exact = EmbeddedEncoder(torch.float32).encode_queries(TEXTS)
    assert (exact * wanted).sum(1).min() >= 0.99999


def test_vectors_have_length_1(embedded: Encoder) -> None:
    vectors = embedded.encode_passages(TEXTS)
    assert (vectors.shape, vectors.dtype) == ((len(TEXTS), 384), np.float32)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert embedded.encode_queries([]).shape == (0, 384)


def test_a_vector_does_not_depend_on_its_batch(embedded: Encoder) -> None:
    together = embedded.encode_passages(TEXTS)
    alone = np.concatenate([embedded.encode_passages([text]) for text in TEXTS])
    assert (together * alone).sum(1).min() >= 0.999
    turned = embedded.encode_passages(TEXTS[::-1])[::-1]
    assert (together * turned).sum(1).min() >= 0.999


def test_token_states_are_those_of_sentence_transformers(
    embedded: Encoder, external: Encoder
) -> None:
    texts = [*TEXTS, "word " * 300, ""]
    pairs = zip(embedded.encode_tokens(texts), external.encode_tokens(texts), strict=True)
    for text, (ours, theirs) in zip(texts, pairs, strict=True):
        assert ours.spans.tolist() == theirs.spans.tolist()
        assert (ours.states * theirs.states).sum(axis=1).min() >= 0.99, text
    assert embedded.encode_tokens([]) == external.encode_tokens([]) == []


def test_tokens_are_found_by_their_characters(embedded: Encoder) -> None:
    (tokens,) = embedded.encode_tokens(["Otters hold hands."])
    assert tokens.spans[tokens.inside(7, 12)].tolist() == [[7, 11]]
    assert tokens.spans[tokens.inside(10, 13)].tolist() == [[7, 11], [12, 17]]
    assert not tokens.inside(0, 0).any()


def test_text_behind_the_limit_is_cut(embedded: Encoder) -> None:
    long = "word " * 254
    ends = [long, f"{long} otters hold hands"]
    first, second = embedded.encode_passages(ends)
    assert np.allclose(first, second, atol=1e-3)


def test_related_texts_are_nearer(embedded: Encoder) -> None:
    tea, otter, query = embedded.encode_passages([TEXTS[0], TEXTS[2], "how hot is tea made?"])
    assert query @ tea > query @ otter + 0.2


def test_the_fingerprint_is_known_without_loading(embedded: Encoder) -> None:
    assert embedded.fingerprint == default_fingerprint()
    assert load_encoder(minilm.NAME).fingerprint == default_fingerprint()


def _other_package(folder: Path, content: bytes) -> None:
    model = folder / minilm.PACKAGE / "model"
    model.mkdir(parents=True)
    (model.parent / "__init__.py").touch()
    (model / "model.safetensors").write_bytes(content)


def test_altered_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytearray((minilm.folder() / "model.safetensors").read_bytes())
    content[-1] ^= 1
    _other_package(tmp_path, bytes(content))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, minilm.PACKAGE, raising=False)
    assert minilm.folder() == tmp_path / minilm.PACKAGE / "model"
    with pytest.raises(ModelError, match="differ from the published ones") as caught:
        minilm.load_tensors.__wrapped__()
    assert "--force-reinstall" in caught.value.remedy


def test_a_local_folder_can_be_the_encoder(external: Encoder, embedded: Encoder) -> None:
    assert (external.encode_queries(TEXTS) * embedded.encode_queries(TEXTS)).sum(1).min() >= 0.999
    fingerprint = external.fingerprint
    assert fingerprint.name == str(minilm.folder())
    assert (fingerprint.dimension, fingerprint.max_tokens) == (384, 256)
    assert len(fingerprint.revision) == 64
    assert external.encode_passages([]).shape[0] == 0


def test_loading_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    load_encoder(str(minilm.folder()))
    assert tuple(capfd.readouterr()) == ("", "")


def test_its_tokenizer_cuts_and_pads_nothing(external: Encoder) -> None:
    tokenizer = external.tokenizer
    assert (tokenizer.truncation, tokenizer.padding) == (None, None)
    assert len(tokenizer.encode("word " * 1000).ids) == 1002


@pytest.mark.parametrize("content", [None, "{}", "no json"])
def test_a_folder_without_a_model_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content, "utf-8")
    with pytest.raises(ModelError, match="cannot load the encoder") as caught:
        load_encoder(str(tmp_path))
    assert "\n" not in caught.value.message
