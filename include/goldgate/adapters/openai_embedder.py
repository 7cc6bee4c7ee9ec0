"""Embeddings of OpenAI-compatible endpoints, by the official client."""

from collections.abc import Mapping, Sequence

import numpy as np
import openai

from goldgate.contracts.resource_parts import FromEnv
from goldgate.contracts.resources import EmbedderSpec
from goldgate.domain.errors import PermanentError, TransientError

_NO_KEY = "none"
_BATCH = 128
_TIMEOUT_S = 10.0
_MAX_RETRIES = 2

_QUESTION_TIMEOUT_S = 3.0
"""For a text by itself, which is a question that somebody waits for; asked once more, and then done without."""


class OpenAIEmbedder:
    """One embedding model of one endpoint. Safe to call from many threads."""

    def __init__(
        self, spec: EmbedderSpec, *, env: Mapping[str, str], question_timeout_s: float = _QUESTION_TIMEOUT_S
    ) -> None:
        """Read address and key from the environment.

        Raises:
            PermanentError: A variable that the agent names is not set, or the agent names no endpoint.
        """
        base_url = spec.base_url or _required(env, spec.base_url_from)
        self._key = _required(env, spec.api_key_from) if spec.api_key_from else _NO_KEY
        self._model = spec.model or ""
        self._base_url = base_url
        client = openai.OpenAI(base_url=base_url, api_key=self._key, max_retries=_MAX_RETRIES, timeout=_TIMEOUT_S)
        self._client = _unmarked(client)
        self._question_client = _unmarked(client.with_options(timeout=question_timeout_s, max_retries=1))

    @property
    def name(self) -> str:
        """The model; its address may differ from machine to machine."""
        return f"openai/{self._model}"

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Embed texts, some at a time. A text without words is zeros, and is not sent.

        Raises:
            TransientError: The endpoint could not be reached, or had too much to do.
            PermanentError: It refuses, or answers with something else than one vector a text.
        """
        asked = [row for row, text in enumerate(texts) if text.strip()]
        found = [
            vector
            for start in range(0, len(asked), _BATCH)
            for vector in self._batch([texts[row] for row in asked[start : start + _BATCH]])
        ]
        width = len(found[0]) if found else 1
        vectors = np.zeros((len(texts), width), dtype=np.float32)
        if found:
            given = np.array(found, dtype=np.float32)
            norms = np.maximum(np.linalg.norm(given, axis=1, keepdims=True), np.finfo(np.float32).tiny)
            vectors[asked] = given / norms
        return vectors

    def _batch(self, texts: list[str]) -> list[list[float]]:
        try:
            client = self._client if len(texts) > 1 else self._question_client
            answer = client.embeddings.create(model=self._model, input=texts, encoding_format="float")
        except (
            openai.APIConnectionError,
            openai.RateLimitError,
            openai.InternalServerError,
            openai.ConflictError,
        ) as error:
            raise TransientError(self._told(error)) from None  # its traceback may show the key
        except openai.APIError as error:
            raise PermanentError(self._told(error)) from None
        vectors = [item.embedding for item in sorted(answer.data, key=lambda item: item.index)]
        if len(vectors) != len(texts) or len({len(vector) for vector in vectors}) != 1:
            raise PermanentError(
                f"Embedding model `{self._model}` at {self._base_url} gave {len(vectors)} vectors for {len(texts)} "
                "texts; expected one each, all of one length. Check the endpoint."
            )
        return vectors

    def _told(self, error: openai.APIError) -> str:
        text = error.message if self._key == _NO_KEY else error.message.replace(self._key, "[key]")
        return f"Embedding model `{self._model}` at {self._base_url}: {type(error).__name__}: {text[:300]}."


def _unmarked(client: openai.OpenAI) -> openai.OpenAI:
    """Take off what the client takes from the environment of the process and would send to any endpoint."""
    client.organization = client.project = None
    client._custom_headers = {}  # noqa: SLF001 - there is no other way
    return client


def _required(env: Mapping[str, str], source: FromEnv | None) -> str:
    name = source.env if source else ""
    if not (value := env.get(name)):
        raise PermanentError(
            f"Found no environment variable `{name}`; expected the one that the embedder names. Set it."
        )
    return value
