"""The prompts of an agent: which variables they may hold, and how a question is put into them."""

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from goldgate.agent.safety.blocks import inside_block
from goldgate.domain.digest import digest_json, short
from goldgate.ports.knowledge import Chunk

_VARIABLE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_USER_VARIABLES = ("question", "context")


@dataclass(frozen=True, kw_only=True)
class Prompts:
    """The text of both prompts."""

    system: str
    user: str


@dataclass(frozen=True, kw_only=True)
class VariableProblem:
    """A variable that a prompt holds and should not, or should and does not."""

    line: int
    found: str
    expected: str


def prompt_id(agent: str, prompts: Prompts) -> str:
    """Name both prompts together: `<agent>@<12 digits of their digest>`."""
    return f"{agent}@{short(digest_json({'system': prompts.system, 'user': prompts.user}))}"


def system_problems(text: str) -> Iterator[VariableProblem]:
    """Find variables in a system prompt, which is sent as it is."""
    for match in _VARIABLE.finditer(text):
        yield VariableProblem(
            line=_line(text, match.start()), found=f"`{match.group()}`", expected="no variable in a system prompt"
        )


def user_problems(text: str) -> Iterator[VariableProblem]:
    """Find unknown, missing and repeated variables in a user prompt."""
    places: dict[str, list[int]] = {}
    for match in _VARIABLE.finditer(text):
        places.setdefault(match.group(1), []).append(_line(text, match.start()))
    for name in _USER_VARIABLES:
        if name not in places:
            yield VariableProblem(line=1, found=f"no `{{{name}}}`", expected=f"`{{{name}}}` exactly once")
    for name, lines in places.items():
        if name not in _USER_VARIABLES:
            yield VariableProblem(line=lines[0], found=f"`{{{name}}}`", expected="only `{question}` and `{context}`")
        elif len(lines) > 1:
            yield VariableProblem(
                line=lines[1], found=f"`{{{name}}}` {len(lines)} times", expected=f"`{{{name}}}` exactly once"
            )


def render_user(template: str, *, question: str, context: str) -> str:
    """Put question and context into a user prompt, in one pass: what they hold is no variable and no block."""
    values = {"question": inside_block(question), "context": context}
    return _VARIABLE.sub(lambda match: values.get(match.group(1), match.group()), template)


def render_context(passages: Sequence[Chunk], attachments: Sequence[str]) -> str:
    """Write passages, best first, then attachments, one block each."""
    blocks = [passage_block(passage) for passage in passages]
    blocks += [f"<attachment>{inside_block(text)}</attachment>" for text in attachments]
    return "\n".join(blocks)


def passage_block(passage: Chunk) -> str:
    """Write one passage so that its text can neither close its block nor open another."""
    return (
        f'<passage id="{html.escape(passage.id)}" title="{html.escape(passage.title)}">'
        f"{inside_block(passage.text)}</passage>"
    )


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1
