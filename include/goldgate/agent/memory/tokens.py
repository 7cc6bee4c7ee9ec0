"""Count tokens without a tokenizer.

Which tokenizer an endpoint uses is unknown, and fetching one needs a network. Budgets only need a figure that is the
same everywhere and near the truth; what a request really used is the endpoint's own figure, in `Usage`.
"""

import json
import re
from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from goldgate.domain.conversation import ChatMessage
from goldgate.ports.model import ToolDefinition

_BYTES_PER_TOKEN = 4
"""English text holds about four bytes a token.

Source: OpenAI, "What are tokens and how to count them". Against the Llama 2 tokenizer over the options of Airflow's
configuration reference, which is full of snake_case names, it counts 0.86 of the true tokens.
"""

MESSAGE_TOKENS = 4
"""What a message takes beside its text: role and separators.

Source: OpenAI cookbook, "How to count tokens with tiktoken": three a message, and one more where it has a name.
"""

CALL_TOKENS = 8
"""What a call, or a tool's definition, takes beside its texts: the keys of its JSON. Our estimate, rather too high."""

CUT_MARK = " […]"
"""Ends a text that was cut, so that the model does not take the rest for told."""

LONGEST_WORD_BYTES = 40
"""A longer one is hardly a word, and not worth what stands before it."""

_LAST_WORD = re.compile(r"(?:\A|\s)\S*\Z")

CUT_MARK_TOKENS = 2
"""What the bare mark counts."""


def count_tokens(text: str) -> int:
    """Estimate how many tokens a text takes: its UTF-8 bytes by four, rounded up. 0 for no text."""
    return -(-len(_bytes(text)) // _BYTES_PER_TOKEN)


def message_tokens(message: ChatMessage) -> int:
    """Estimate how many tokens a message takes where it is sent: its text, its calls with arguments, its frame."""
    tokens = MESSAGE_TOKENS + count_tokens(message.content)
    if message.tool_call_id:
        tokens += count_tokens(message.tool_call_id)
    for call in message.tool_requests:
        tokens += CALL_TOKENS + sum(map(count_tokens, (call.id, call.name, call.arguments, call.extra)))
    return tokens


def definition_tokens(tools: Sequence[ToolDefinition]) -> int:
    """Estimate how many tokens the tools take that are sent beside a conversation: name, description, arguments."""
    return sum(
        CALL_TOKENS + count_tokens(tool.name) + count_tokens(tool.description) + count_tokens(_json(tool.input_schema))
        for tool in tools
    )


def cut_to_tokens(text: str, *, budget: int) -> str:
    """Cut a text at a word so that, with its mark, it counts at most `budget` tokens.

    A word longer than `LONGEST_WORD_BYTES`, such as a text in a language without spaces, is cut where it has to be.

    Returns:
        The text itself if it fits; else its beginning and `CUT_MARK`; empty if not even the mark and one word fit.
    """
    if count_tokens(text) <= budget:
        return text
    room = budget * _BYTES_PER_TOKEN - len(CUT_MARK.encode())
    if room <= 0:
        return ""
    kept = _bytes(text)[:room].decode(errors="ignore")
    whole_words = kept if text[len(kept) : len(kept) + 1].isspace() else _LAST_WORD.sub("", kept)
    if len(_bytes(kept)) - len(_bytes(whole_words)) > LONGEST_WORD_BYTES:
        whole_words = kept
    return whole_words.rstrip() + CUT_MARK if whole_words.strip() else ""


def cut_bytes(text: str, *, start: int = 0, budget: int) -> str:
    """Take at most `budget` tokens of a text, from `start` on: no word is spared, and nothing is marked."""
    most = budget * _BYTES_PER_TOKEN
    return _bytes(text[start : start + most])[:most].decode(errors="ignore")


def cut_middle(text: str, *, budget: int) -> str:
    """Cut a text in its middle so that, with a mark in the cut, it counts at most `budget` tokens.

    Beginning and end say most of a log, a listing, or a block that has to be closed. A greater budget never keeps less.

    Returns:
        The text itself if it fits; else two thirds of the room from its beginning and one from its end; the bare mark
        where that is all that fits, and nothing where not even the mark does.
    """
    if (tokens := count_tokens(text)) <= budget:
        return text
    mark = f" [… cut, of {tokens} tokens …] "
    room = budget * _BYTES_PER_TOKEN - len(mark.encode())
    if room <= 0:
        return CUT_MARK.strip() if budget >= CUT_MARK_TOKENS else ""
    whole = _bytes(text)
    tail = room // 3
    head = whole[: room - tail].decode(errors="ignore")
    return head + mark + (whole[-tail:].decode(errors="ignore") if tail else "")


def _json(schema: Mapping[str, JsonValue]) -> str:
    return json.dumps(schema, ensure_ascii=False)


def _bytes(text: str) -> bytes:
    # JSON may carry half a surrogate pair, which counts and is no reason to fail.
    return text.encode(errors="surrogatepass")
