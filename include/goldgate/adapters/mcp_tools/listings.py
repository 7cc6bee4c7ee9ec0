"""Lists of tools, tool by tool: the SDK refuses a whole list for one tool that nobody may call.

A tool whose schema breaks the protocol is carried past it, so that whoever pins that very tool reads what is wrong.
"""

from typing import Any, Final

import mcp_types

from goldgate.ports.model import ToolDefinition

_AS_OFFERED: Final = "goldgate.dev/as-offered"
_USED: Final = ("name", "description", "inputSchema", "outputSchema")


def with_sound_tools(result: dict[str, Any]) -> dict[str, Any]:
    """Leave of each tool what is used, in a form that the SDK takes. What has no name is left out."""
    tools = result.get("tools")
    if not isinstance(tools, list):
        return result
    named = [each for each in tools if isinstance(each, dict) and isinstance(each.get("name"), str)]
    return {**result, "tools": [_sound(each) for each in named]}


def definition_of(tool: mcp_types.Tool) -> ToolDefinition:
    """Read a tool as its server offers it."""
    offered = (tool.meta or {}).get(_AS_OFFERED, {})
    return ToolDefinition(
        name=tool.name,
        description=tool.description or "",
        input_schema=dict(offered.get("inputSchema", tool.input_schema)),
        output_schema=offered.get("outputSchema", tool.output_schema),
    )


def _sound(tool: dict[str, Any]) -> dict[str, Any]:
    kept = {key: tool[key] for key in _USED if tool.get(key) is not None}
    if not isinstance(kept.get("description", ""), str):
        del kept["description"]
    offered = {}
    for key in ("inputSchema", "outputSchema"):
        schema = kept.get(key)
        if isinstance(schema, dict) and schema.get("type") == "object":
            continue
        if key == "inputSchema" or key in kept:
            # No schema at all is one without a type, which is refused where the tool is pinned.
            offered[key] = schema if isinstance(schema, dict) else {"type": type(schema).__name__} if schema else {}
            kept[key] = {"type": "object"}
    return {**kept, "_meta": {_AS_OFFERED: offered}} if offered else kept
