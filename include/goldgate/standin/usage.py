"""Count the tokens of a request, and how many of them an endpoint with a prompt cache would have had."""

import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from goldgate.standin.text import tokens
from goldgate.standin.wire import ChatRequest

BLOCK_TOKENS = 64
"""Cached tokens are counted in whole blocks of this size."""

MAX_BLOCKS = 16_384
"""How many blocks the cache remembers, a million tokens; the least recently used go first."""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a request used."""

    input_tokens: int
    cached_tokens: int
    output_tokens: int = 0


def prompt_tokens(request: ChatRequest) -> list[str]:
    """List the tokens of a request in the order a prompt cache sees them: tools, then messages.

    A message costs one token for its role, its text, and its calls. The list of tools costs its JSON.
    """
    listed: list[str] = []
    if request.functions:
        listed += tokens(json.dumps([function.model_dump() for function in request.functions], ensure_ascii=False))
    for message in request.messages:
        listed.append(f"<{message.role}>")
        listed += tokens(message.text)
        for call in message.tool_calls or []:
            listed += tokens(call.function.name)
            listed += tokens(call.function.arguments)
    return listed


class PromptCache:
    """Remembers the beginnings of recent requests, each model's apart. Bounded; empty after a restart."""

    def __init__(self, *, max_blocks: int = MAX_BLOCKS) -> None:
        self._max_blocks = max_blocks
        self._seen: OrderedDict[int, None] = OrderedDict()

    def count_cached(self, model: str, prompt: Sequence[str]) -> int:
        """Count the leading tokens that an earlier request of the model had, and remember this one.

        A block is known by itself and all before it, so only a common beginning counts.
        """
        cached, is_prefix, chained = 0, True, hash(model)
        for end in range(BLOCK_TOKENS, len(prompt) + 1, BLOCK_TOKENS):
            chained = hash((chained, *prompt[end - BLOCK_TOKENS : end]))
            is_prefix = is_prefix and chained in self._seen
            cached = end if is_prefix else cached
            self._seen[chained] = None
            self._seen.move_to_end(chained)
        while len(self._seen) > self._max_blocks:
            self._seen.popitem(last=False)
        return cached
