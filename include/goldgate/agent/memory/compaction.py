"""The conversation as it is sent: never longer than the model's window, whatever came in.

What is recorded of a run stays whole; this makes the copy that one call of the model carries. One number decides what
is left, so that a larger budget never keeps less of anything: the *level*, in tokens. A text of the newest round may
take the level, one of the round before it half of it, then a third, and so on; a round whose share falls under
`LEAST_TOKENS` is left out with all before it. The greatest level that fits is taken.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from goldgate.agent.memory.tokens import (
    CUT_MARK,
    CUT_MARK_TOKENS,
    MESSAGE_TOKENS,
    count_tokens,
    cut_middle,
    cut_to_tokens,
    message_tokens,
)
from goldgate.domain.conversation import ChatMessage, ToolRequest
from goldgate.domain.errors import PermanentError
from goldgate.domain.runs.steps import NOTE

LEAST_TOKENS: Final = 32
"""A text cut shorter than this says little: its round is left out instead, the newest excepted."""

_LEAST_QUESTION: Final = 16
"""A question is not cut shorter than this."""

_CUT_ARGUMENTS: Final = '{"_cut": "arguments"}'
"""Stands for arguments that were cut: JSON still, because some endpoints read it."""

_LEFT_OUT: Final = re.compile(re.escape(NOTE) + r"(\d+) earlier messages? left out here\.")
_MARK_TOKENS: Final = MESSAGE_TOKENS + count_tokens(f"{NOTE}1000000 earlier messages left out here.")
_CONTEXT_BLOCK: Final = re.compile(r"(<(passage|attachment)\b[^>]*>)(.*?)(</\2>)", re.DOTALL)
_CONTEXT_LEFT_OUT: Final = "[… context left out …]"


class ConversationTooLargeError(PermanentError):
    """Not even the system prompt and a few words of the question fit."""

    def __init__(self, *, least: int, budget: int) -> None:
        """Say what would be needed."""
        super().__init__(
            f"Found a budget of {budget} tokens for a conversation; expected at least {least}, which the system prompt "
            "and the beginning of the question take. Shorten the system prompt, grant fewer tools, or raise "
            "`contextWindowTokens` of the agent's limits or `contextTokens` of its fallback."
        )
        self.least = least
        self.budget = budget


def compact(messages: Sequence[ChatMessage], *, budget: int) -> list[ChatMessage]:
    """Make a conversation fit.

    A conversation that fits is returned as it is. Otherwise the system prompt and the question (the last message of
    the user that is no note of the runtime) stay whole, the newest rounds stay longest, and a call stays with its
    result. What is cut or left out is marked. Where system prompt, question and the least of the newest round do not
    fit, first the passages and attachments of the question are cut, then the newest round is cut to its marks and left
    out, then the question is cut. A result without its call, or a call without its result, is left out.

    Args:
        messages: Oldest first.
        budget: Tokens, as `goldgate.agent.memory.tokens.message_tokens` counts them.

    Raises:
        ConversationTooLargeError: Not even the system prompt and a few words of the question fit.
    """
    if sum(map(message_tokens, messages)) <= budget:
        return list(messages)
    return _Compaction(messages).fit(budget)


@dataclass(frozen=True, kw_only=True)
class _Round:
    """What stays or goes together: a reply with its calls and their results, or one message."""

    messages: tuple[ChatMessage, ...]
    age: int
    """0 is the newest. A note of the runtime is as old as what it follows."""
    left_out: int = 0
    """It is no round, but stands for so many messages that were left out before."""

    @property
    def is_whole(self) -> bool:
        """Whether every call has its result, and every result its call."""
        asked = {call.id for message in self.messages for call in message.tool_requests}
        told = [message.tool_call_id for message in self.messages if message.role == "tool"]
        return not self.left_out and asked == set(told) and len(told) == len(set(told))


class _Compaction:
    """One conversation that is too long, on its way to one that fits."""

    def __init__(self, messages: Sequence[ChatMessage]) -> None:
        question = max((at for at, message in enumerate(messages) if _is_question(message)), default=None)
        self._question = None if question is None else messages[question]
        self._parts = _parts(messages, question)
        rounds = [part for part in self._parts if isinstance(part, _Round)]
        whole = [held for held in rounds if held.is_whole]
        self._costs = [(held.age, *_round_costs(held)) for held in whole]
        self._most = max((tokens for _, _, texts in self._costs for tokens, _ in texts), default=0)
        self._oldest = max((held.age for held in whole), default=0)
        pinned = [part for part in self._parts if isinstance(part, ChatMessage) and part.role == "system"]
        most_marks = _gaps(self._parts) + len(rounds) - len(whole)
        self._pinned = sum(map(message_tokens, pinned)) + _MARK_TOKENS * most_marks

    def fit(self, budget: int) -> list[ChatMessage]:
        """Give up as little as possible, in the order that `compact` tells."""
        room = budget - self._pinned
        asked = _tokens(self._question)
        # Above this level nothing is cut or left out.
        top = max(self._most, LEAST_TOKENS) * (self._oldest + 1)
        if (level := _greatest(LEAST_TOKENS, top, lambda at: asked + self._cost(at) <= room)) is not None:
            return self._written(level, self._question)
        if (shorter := self._shorter_context(room - self._cost(LEAST_TOKENS))) is not None:
            return self._written(LEAST_TOKENS, shorter)
        bare = self._question and _with_context(self._question, 0)
        asked = _tokens(bare)
        if (level := _greatest(CUT_MARK_TOKENS, LEAST_TOKENS, lambda at: asked + self._cost(at) <= room)) is not None:
            return self._written(level, bare)
        return self._written(0, self._shortest(bare, room=room, budget=budget))

    def _cost(self, level: int) -> int:
        """Bound what the rounds take at a level; never falls when the level rises."""
        tokens = 0
        for age, frame, texts in self._costs:
            if (share := _share(level, age)) is not None:
                tokens += frame + sum(min(text, max(share, least)) for text, least in texts)
        return tokens

    def _shorter_context(self, room: int) -> ChatMessage | None:
        """Cut the question's context to what fits; None if the question does not fit without any either."""
        if (question := self._question) is None:
            return None
        most = max((count_tokens(found.group(3)) for found in _CONTEXT_BLOCK.finditer(question.content)), default=0)
        level = _greatest(LEAST_TOKENS, most, lambda at: message_tokens(_with_context(question, at)) <= room)
        shorter = _with_context(question, level or 0)
        return shorter if message_tokens(shorter) <= room else None

    def _shortest(self, question: ChatMessage | None, *, room: int, budget: int) -> ChatMessage | None:
        if question is None:
            if room < 0:
                raise ConversationTooLargeError(least=budget - room, budget=budget)
            return None
        least = min(count_tokens(question.content), _LEAST_QUESTION)
        left = room - MESSAGE_TOKENS
        if left < least:
            raise ConversationTooLargeError(least=budget + least - left, budget=budget)
        return replace(question, content=cut_middle(question.content, budget=left))

    def _written(self, level: int, question: ChatMessage | None) -> list[ChatMessage]:
        """Write the conversation at a level, with one mark in each place where something was left out."""
        written: list[ChatMessage] = []
        gone = 0
        for part in (*self._parts, None):
            share = _share(level, part.age) if isinstance(part, _Round) else None
            if isinstance(part, _Round) and (share is None or not part.is_whole):
                gone += part.left_out or len(part.messages)
                continue
            if gone:
                written.append(_mark(gone))
                gone = 0
            if isinstance(part, _Round):
                written.extend(_cut(message, share or 0) for message in part.messages)
            elif part is not None:
                written.append(question if question and part.role == "user" else part)
        return written


def _parts(messages: Sequence[ChatMessage], question: int | None) -> list[ChatMessage | _Round]:
    """Tell what is kept whole from the rounds, and number the rounds by age."""
    parts: list[ChatMessage | _Round] = []
    for at, group in _groups(messages):
        first = group[0]
        if first.role == "system" or at == question:
            parts.append(first)
        else:
            marked = _LEFT_OUT.fullmatch(first.content) if first.role == "user" else None
            parts.append(_Round(messages=group, age=0, left_out=int(marked.group(1)) if marked else 0))
    age = 0
    for at in range(len(parts) - 1, -1, -1):
        if isinstance(part := parts[at], _Round):
            parts[at] = replace(part, age=age)
            age += not _is_note(part.messages[0])
    return parts


def _groups(messages: Sequence[ChatMessage]) -> Iterator[tuple[int, tuple[ChatMessage, ...]]]:
    """Yield where a reply stands, and it with the results that follow it; any other message by itself."""
    at = 0
    while at < len(messages):
        end = at + 1
        asked = {call.id for call in messages[at].tool_requests}
        while end < len(messages) and messages[end].role == "tool" and messages[end].tool_call_id in asked:
            end += 1
        yield at, tuple(messages[at:end])
        at = end


def _gaps(parts: Sequence[ChatMessage | _Round]) -> int:
    """Count the places where a mark may come to stand: rounds between what is kept whole."""
    kinds = [isinstance(part, _Round) for part in parts]
    return sum(is_round and not before for before, is_round in zip([False, *kinds], kinds, strict=False))


def _round_costs(held: _Round) -> tuple[int, list[tuple[int, int]]]:
    """Tell what a round takes in any case, and for each text its tokens and what it takes when cut to nothing."""
    texts: list[tuple[int, int]] = []
    for message in held.messages:
        texts.append((count_tokens(message.content), CUT_MARK_TOKENS))
        texts += [(count_tokens(call.arguments), count_tokens(_CUT_ARGUMENTS)) for call in message.tool_requests]
    return sum(map(message_tokens, held.messages)) - sum(tokens for tokens, _ in texts), texts


def _share(level: int, age: int) -> int | None:
    """Tell what a text of a round may take at a level; None if the round is left out."""
    share = level // (age + 1)
    if age == 0:
        return share if share >= CUT_MARK_TOKENS else None
    return share if share >= LEAST_TOKENS else None


def _cut(message: ChatMessage, share: int) -> ChatMessage:
    """Cut the texts of a message to their share. A message that needs no cut is itself."""
    content = cut_middle(message.content, budget=max(share, CUT_MARK_TOKENS))
    calls = tuple(_cut_call(call, share) for call in message.tool_requests)
    if content == message.content and calls == tuple(message.tool_requests):
        return message
    return replace(message, content=content, tool_requests=calls)


def _cut_call(call: ToolRequest, share: int) -> ToolRequest:
    if count_tokens(call.arguments) <= max(share, count_tokens(_CUT_ARGUMENTS)):
        return call
    return replace(call, arguments=_CUT_ARGUMENTS)


def _with_context(question: ChatMessage, level: int) -> ChatMessage:
    """Cut every passage and attachment of a question to a level; at 0 all of them give way to one mark."""
    found = list(_CONTEXT_BLOCK.finditer(question.content))
    if not found:
        return question
    if level == 0:
        before, after = question.content[: found[0].start()], question.content[found[-1].end() :]
        return replace(question, content=before + _CONTEXT_LEFT_OUT + after)
    return replace(question, content=_CONTEXT_BLOCK.sub(lambda block: _cut_block(block, level), question.content))


def _cut_block(block: re.Match[str], level: int) -> str:
    opening, text, closing = block.group(1), block.group(3), block.group(4)
    return f"{opening}{cut_to_tokens(text, budget=level) or (text and CUT_MARK.strip())}{closing}"


def _greatest(low: int, high: int, fits: Callable[[int], bool]) -> int | None:
    """Find the greatest number from `low` to `high` that fits, where every smaller one does too."""
    count = bisect_right(range(low, max(high, low) + 1), 0, key=lambda at: 0 if fits(at) else 1)
    return low + count - 1 if count else None


def _tokens(message: ChatMessage | None) -> int:
    return 0 if message is None else message_tokens(message)


def _mark(messages: int) -> ChatMessage:
    return ChatMessage(role="user", content=f"{NOTE}{messages} earlier message{'s' * (messages > 1)} left out here.")


def _is_note(message: ChatMessage) -> bool:
    return message.role == "user" and message.content.startswith(NOTE)


def _is_question(message: ChatMessage) -> bool:
    return message.role == "user" and not _is_note(message)
