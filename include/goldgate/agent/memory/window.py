"""The conversation as it fits the window of a model whose tokenizer nobody knows.

Budgets count four bytes a token, which holds for prose. Logs, JSON, hashes and Chinese take up to three times as many
tokens, and a window that is exceeded is refused. So what is sent is counted once more, by what its characters are.
"""

import string
from collections.abc import Sequence
from typing import Final

from goldgate.agent.memory.compaction import ConversationTooLargeError, compact
from goldgate.agent.memory.tokens import count_tokens, definition_tokens, message_tokens
from goldgate.domain.conversation import ChatMessage
from goldgate.ports.model import ToolDefinition

_MOST_TRIES: Final = 8
"""Each brings the budget down by what was too much; three are the most that was seen."""

_WEIGHTS: Final = (
    (string.ascii_lowercase.encode(), 0.25),
    (string.ascii_uppercase.encode(), 0.7),
    (string.digits.encode(), 1.0),
    (string.punctuation.encode(), 0.7),
    # First bytes of letters of two bytes (Cyrillic, Greek), of three (Chinese, Japanese), of four (emoji).
    (bytes(range(0xC0, 0xE0)), 0.5),
    (bytes(range(0xE0, 0xF0)), 1.25),
    (bytes(range(0xF0, 0xF8)), 4.0),
)
"""Tokens by kind of byte. Against the Llama 2 tokenizer, which splits every number into its digits, it counts at least
0.88 of the true tokens of prose, logs, JSON, code, Chinese, Japanese, Russian and emoji (four bytes a token: 0.25), 0.8
of hexadecimal and 0.68 of base64 (0.3). Later tokenizers make fewer tokens of all these."""


_MOST_TOKENS_EACH: Final = 4
"""No byte weighs more than a token, and four make one of `count_tokens`: most conversations need no second look."""


def fit_window(messages: Sequence[ChatMessage], *, window: int, tools: Sequence[ToolDefinition]) -> list[ChatMessage]:
    """Make a conversation fit a window beside the definitions of tools.

    It fits by `message_tokens`; where system prompt and question allow it, by the careful count too.

    Raises:
        ConversationTooLargeError: Not even the system prompt and a few words of the question fit by `message_tokens`.
    """
    room = budget = window - definition_tokens(tools)
    if _MOST_TOKENS_EACH * sum(map(message_tokens, messages)) <= room:
        return list(messages)
    sent = compact(messages, budget=budget)
    for _ in range(_MOST_TRIES):
        if (careful := sum(map(_careful_tokens, sent))) <= room:
            break
        budget = min(budget, sum(map(message_tokens, sent))) * room // careful
        try:
            sent = compact(messages, budget=budget)
        except ConversationTooLargeError:
            # The count is a guess on the careful side: better to ask than to end the run for it.
            break
    return sent


def careful_tokens(text: str) -> int:
    """Estimate how many tokens a text takes, rather too many; never fewer than `count_tokens`."""
    raw = text.encode(errors="surrogatepass")
    weighed = sum(weight * (len(raw) - len(raw.translate(None, kind))) for kind, weight in _WEIGHTS)
    return max(count_tokens(text), round(weighed))


def _careful_tokens(message: ChatMessage) -> int:
    texts = [message.content, *(call.arguments for call in message.tool_requests)]
    return message_tokens(message) + sum(careful_tokens(text) - count_tokens(text) for text in texts)
