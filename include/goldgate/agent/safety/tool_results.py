"""What a tool said is data: it stands in a block of its own, which the text inside can neither close nor leave."""

import html
from dataclasses import replace

from goldgate.agent.safety.blocks import inside_block
from goldgate.agent.safety.guards import Guarded, guard_tool_text
from goldgate.agent.safety.injection import readable
from goldgate.contracts.resources import SafetySpec
from goldgate.ports.identifiers import IdentifierBooks


def as_data(text: str, *, tool: str, spec: SafetySpec, books: IdentifierBooks | None = None) -> Guarded:
    """Make a tool's result, or its error, a text that may stand in the conversation.

    Personal data is redacted, instructions are marked, and all of it is wrapped as `<tool_result tool="...">`. Cut a
    long result before: what is cut afterwards would lose the end of its block.

    Args:
        text: What the tool said.
        tool: Its name, as the model knows it.
        spec: What the agent declares. The block is made in any case.
        books: What knows national numbers; see `personal_data`.
    """
    guarded = guard_tool_text(readable(text), tool=tool, spec=spec, books=books)
    block = f'<tool_result tool="{html.escape(tool)}">{inside_block(guarded.text)}</tool_result>'
    return replace(guarded, text=block)
