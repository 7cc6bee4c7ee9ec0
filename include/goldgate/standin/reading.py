"""Read a conversation: rules, passages, the question, and what tools have said.

Passages come as blocks such as `<passage id="a-1" title="A">text</passage>`, text of the caller as
`<attachment>text</attachment>`, the question as `<question>...</question>` or as the text after the last block. A
message with no block at all is read as paragraphs, the last of which (or what follows `Question:`) is the question.
What a tool said may stand in a block `<tool_result>`.
"""

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic_core import from_json

from goldgate.domain.runs.steps import NOTE
from goldgate.standin.rules import Rules, read_rules
from goldgate.standin.wire import Message

_BLOCK = re.compile(
    r"<(?P<tag>passage|document|source|attachment)(?P<attributes>(?:\s+[\w-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'))*)\s*>"
    r"(?P<text>.*?)(?:</(?P=tag)\s*>|\Z)",
    re.DOTALL | re.IGNORECASE,
)
_ATTRIBUTE = re.compile(r"([\w-]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_TOOL_BLOCK = re.compile(r"\s*<tool_result\b[^>]*>(.*)</tool_result>\s*", re.DOTALL)
_QUESTION_BLOCK = re.compile(r"<question>(.*?)(?:</question>|\Z)", re.DOTALL | re.IGNORECASE)
_WRAPPER = re.compile(r"</?[a-z_-]+>", re.IGNORECASE)
_QUESTION_LABEL = re.compile(r"^\s*(?:question|query|q)\s*:\s*", re.IGNORECASE | re.MULTILINE)
_ANSWER_LABEL = re.compile(r"\n\s*(?:answer|a)\s*:\s*\Z", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Passage:
    """A text to answer from."""

    id: str
    """What a citation names. Empty: it cannot be cited."""
    title: str
    text: str


@dataclass(frozen=True, kw_only=True)
class ToolAnswer:
    """A call that was made for the question at hand, and what came back."""

    name: str
    arguments: Mapping[str, object]
    content: str


@dataclass(frozen=True, kw_only=True)
class Reading:
    """All that an answer may be made of."""

    prompt: str
    """The system prompt, as it was given."""
    rules: Rules
    passages: tuple[Passage, ...]
    """In the order given."""
    attachments: tuple[Passage, ...]
    """What the caller sent along. Read for an answer only if there is no passage."""
    question: str
    earlier: str
    """What the caller said before and beside the question: attachments, then earlier turns, newest first."""
    tool_answers: tuple[ToolAnswer, ...]


def read_conversation(messages: Sequence[Message]) -> Reading:
    """Take a conversation apart. The question is in its last user message; with none, it is empty.

    What an agent's runtime notes in the role of the user is an instruction, and never the question.
    """
    prompt = "\n".join(message.text for message in messages if message.role in {"system", "developer"})
    asked = [
        position
        for position, message in enumerate(messages)
        if message.role == "user" and not message.text.startswith(NOTE)
    ]
    current = messages[asked[-1]].text if asked else ""
    passages, attachments, question = _take_apart(current)
    in_prompt, _, _ = _blocks(prompt)
    turns = [messages[position].text for position in reversed(asked[:-1])]
    return Reading(
        prompt=prompt,
        rules=read_rules(_BLOCK.sub(" ", prompt)),
        passages=(*passages, *in_prompt),
        attachments=tuple(attachments),
        question=html.unescape(question),
        earlier="\n".join([*(attachment.text for attachment in attachments), *turns]),
        tool_answers=_tool_answers(messages[asked[-1] :] if asked else messages),
    )


def _take_apart(text: str) -> tuple[list[Passage], list[Passage], str]:
    passages, attachments, end = _blocks(text)
    if not end:
        return _plain(text)
    marked = list(_QUESTION_BLOCK.finditer(_BLOCK.sub(" ", text)))
    if marked:
        return passages, attachments, marked[-1][1].strip()
    after = _bare_question(text[end:])
    before = _bare_question(_BLOCK.sub("\n", text))
    return passages, attachments, after or before


def _blocks(text: str) -> tuple[list[Passage], list[Passage], int]:
    """Return passages, attachments, and where the last block ends; 0 for no block."""
    passages: list[Passage] = []
    attachments: list[Passage] = []
    end = 0
    for block in _BLOCK.finditer(text):
        attributes = {name.lower(): html.unescape(a or b) for name, a, b in _ATTRIBUTE.findall(block["attributes"])}
        is_attachment = block["tag"].lower() == "attachment"
        (attachments if is_attachment else passages).append(
            Passage(
                id=attributes.get("id", ""),
                title=attributes.get("title", ""),
                text=html.unescape(block["text"]).strip(),
            )
        )
        end = block.end()
    return passages, attachments, end


def _plain(text: str) -> tuple[list[Passage], list[Passage], str]:
    """Read text without blocks: the last paragraph asks, those before it are passages that nothing can cite."""
    marked = list(_QUESTION_BLOCK.finditer(text))
    labels = list(_QUESTION_LABEL.finditer(text))
    if marked:
        body, question = text[: marked[-1].start()], marked[-1][1].strip()
    elif labels:
        body, question = text[: labels[-1].start()], _bare_question(text[labels[-1].start() :])
    else:
        body, _, question = text.strip().rpartition("\n\n")
        question = _bare_question(question)
    paragraphs = [part.strip() for part in re.split(r"\n\s*\n", body) if part.strip()]
    return [Passage(id="", title="", text=paragraph) for paragraph in paragraphs], [], question


def _bare_question(text: str) -> str:
    """Strip wrapping tags and the labels that templates write around a question."""
    bare = _ANSWER_LABEL.sub("", _WRAPPER.sub("", text).rstrip())
    labels = list(_QUESTION_LABEL.finditer(bare))
    return bare[labels[-1].end() :].strip() if labels else bare.strip()


def _tool_answers(messages: Sequence[Message]) -> tuple[ToolAnswer, ...]:
    """List what tools said. What came back for arguments that are not JSON is no answer: the call was broken."""
    calls = {call.id: call.function for message in messages for call in message.tool_calls or []}
    answered = [(calls.get(message.tool_call_id or ""), message.text) for message in messages if message.role == "tool"]
    return tuple(
        ToolAnswer(name=call.name, arguments=arguments, content=_unwrapped(content))
        for call, content in answered
        if call is not None and (arguments := _object(call.arguments)) is not None
    )


def _unwrapped(content: str) -> str:
    block = _TOOL_BLOCK.fullmatch(content)
    return html.unescape(block[1]) if block else content


def _object(text: str) -> Mapping[str, object] | None:
    try:
        value = from_json(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
