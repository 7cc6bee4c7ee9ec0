"""Make the reply to a chat request: a tool call, a refusal, a planted sentence, or an extract."""

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Literal

from goldgate.standin.answering import find_answers, write_answer
from goldgate.standin.injections import find_injections, is_obeyed
from goldgate.standin.reading import Passage, Reading, read_conversation
from goldgate.standin.rules import DEFAULT_REFUSAL
from goldgate.standin.settings import StandinSettings
from goldgate.standin.text import tokens
from goldgate.standin.tools import choose_tool
from goldgate.standin.wire import ChatRequest

MAX_VERBATIM_CHARS = 1200
"""A tool result up to this length is repeated whole; a longer one is read as a passage."""


@dataclass(frozen=True, kw_only=True)
class CallOut:
    """A tool call as the wire carries it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What the stand-in says."""

    content: str
    call: CallOut | None
    finish_reason: Literal["stop", "length", "tool_calls"]

    @property
    def output_tokens(self) -> int:
        """Tokens written, a call's name and arguments included."""
        called = len(tokens(self.call.name)) + len(tokens(self.call.arguments)) if self.call else 0
        return len(tokens(self.content)) + called


def make_reply(request: ChatRequest, *, settings: StandinSettings, malformed_call: bool = False) -> Reply:
    """Answer a request. The same request, settings and fault always give the same reply.

    Args:
        request: What was asked.
        settings: Seed and obedience; speed and other faults play no part here.
        malformed_call: Break the arguments of the tool call, if one is made.
    """
    reading = read_conversation(request.messages)
    seed = settings.seed if request.seed is None else request.seed
    planted = None if reading.rules.distrusts_context else _planted(reading, seed=seed, settings=settings)
    if planted is not None:
        return _limited(Reply(content=planted, call=None, finish_reason="stop"), request)
    choice = choose_tool(request, reading)
    if choice is None:
        return _limited(Reply(content=_answer(reading), call=None, finish_reason="stop"), request)
    arguments = choice.as_json[:-1] if malformed_call else choice.as_json
    identity = _call_id(choice.name, arguments, seed=seed, position=len(request.messages))
    call = CallOut(id=identity, name=choice.name, arguments=arguments)
    return _limited(Reply(content="", call=call, finish_reason="tool_calls"), request)


def _planted(reading: Reading, *, seed: int, settings: StandinSettings) -> str | None:
    given = (*reading.passages, *reading.attachments)
    texts = [*(passage.text for passage in given), *(answer.content for answer in reading.tool_answers)]
    for injection in find_injections(texts):
        if is_obeyed(injection, seed=seed, ratio=settings.injection_obedience_ratio):
            return injection.says or reading.prompt
    return None


def _answer(reading: Reading) -> str:
    if reading.tool_answers:
        return "\n".join(_from_tool(answer.content, reading) for answer in reading.tool_answers)
    findings = find_answers(
        reading.question,
        reading.passages or reading.attachments,
        background=" ".join(attachment.text for attachment in reading.attachments),
        skip_injections=reading.rules.distrusts_context,
    )
    if reading.rules.refusal is not None:
        findings = [finding for finding in findings if finding.is_supported]
    answer = write_answer(findings, cites=reading.rules.cites)
    return answer or reading.rules.refusal or DEFAULT_REFUSAL


def _from_tool(content: str, reading: Reading) -> str:
    if len(content) <= MAX_VERBATIM_CHARS:
        return content
    passage = Passage(id="", title="", text=content)
    findings = find_answers(reading.question, [passage], skip_injections=reading.rules.distrusts_context)
    return write_answer(findings, cites=False)


def _limited(reply: Reply, request: ChatRequest) -> Reply:
    """Cut a reply at its stop sequences and at the token limit."""
    for stop in request.stop or []:
        reply = replace(reply, content=reply.content.partition(stop)[0])
    limit = request.output_limit
    if limit is None or reply.output_tokens <= limit:
        return reply
    content, call = "".join(tokens(reply.content)[:limit]), reply.call
    if call is not None:
        left = max(0, limit - len(tokens(call.name)))
        call = replace(call, arguments="".join(tokens(call.arguments)[:left]))
    return Reply(content=content, call=call, finish_reason="length")


def _call_id(name: str, arguments: str, *, seed: int, position: int) -> str:
    named = json.dumps([name, arguments, seed, position]).encode()
    return f"call_{hashlib.sha256(named).hexdigest()[:24]}"
