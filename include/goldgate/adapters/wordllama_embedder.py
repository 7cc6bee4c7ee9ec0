"""Static word vectors in the process, by wordllama: no download, no GPU, no network.

The package is MIT; its weights come from the token embeddings of Llama 2 (see NOTICE).
"""

import logging
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

_root = logging.getLogger()
_handlers, _level = _root.handlers[:], _root.level
import wordllama  # noqa: E402 - importing it reconfigures the root logger, which is put back below

_root.handlers[:], _root.level = _handlers, _level


class WordLlamaEmbedder:
    """Embeds a text as the mean of its tokens' vectors."""

    def __init__(self) -> None:
        """Load the weights that come with the package."""
        # Without the folder it looks for the tokenizer in the wrong place, and then tries the network.
        loaded = wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
        self._tokenizer = loaded.tokenizer
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._table: np.ndarray = loaded.embedding

    @property
    def name(self) -> str:
        """Package version, model and dimensions."""
        return f"wordllama-{version('wordllama')}/l2_supercat_{self._table.shape[1]}"

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Embed texts; no batch is larger than one text, so that a long one costs no padding of the others."""
        vectors = np.zeros((len(texts), self._table.shape[1]), dtype=np.float32)
        for row, text in enumerate(texts):
            tokens = self._token_ids(text)
            if len(tokens):
                mean = self._table[tokens].mean(axis=0)
                vectors[row] = mean / max(float(np.linalg.norm(mean)), np.finfo(np.float32).tiny)
        return vectors

    def word_vector(self, word: str) -> np.ndarray:
        """Take the mean of a word's tokens. The weights were trained by averaging: a telling token is longer."""
        tokens = self._token_ids(word)
        mean: np.ndarray = self._table[tokens].mean(axis=0) if len(tokens) else np.zeros_like(self._table[0])
        return mean

    def _token_ids(self, text: str) -> np.ndarray:
        if not text.strip():
            return np.zeros(0, dtype=np.int64)
        ids = np.array(self._tokenizer.encode(text, add_special_tokens=False).ids, dtype=np.int64)
        return ids[ids < len(self._table)]
