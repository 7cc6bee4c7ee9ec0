"""The prompts of an agent: how they are named, and how a question is put into them."""

import html
from collections.abc import Sequence
from dataclasses import dataclass

from goldgate.agent.safety.blocks import inside_block
from goldgate.domain.digest import digest_json, short
from goldgate.domain.prompt_variables import VARIABLE
from goldgate.ports.knowledge import Chunk


@dataclass(frozen=True, kw_only=True)
class Prompts:
    """The text of both prompts."""

    system: str
    user: str


def prompt_id(agent: str, prompts: Prompts) -> str:
    """Name both prompts together: `<agent>@<12 digits of their digest>`."""
    return f"{agent}@{short(digest_json({'system': prompts.system, 'user': prompts.user}))}"


def render_user(template: str, *, question: str, context: str) -> str:
    """Put question and context into a user prompt, in one pass: what they hold is no variable and no block."""
    values = {"question": inside_block(question), "context": context}
    return VARIABLE.sub(lambda match: values.get(match.group(1), match.group()), template)


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
