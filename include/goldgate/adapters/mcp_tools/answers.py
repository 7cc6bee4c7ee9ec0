"""What a tool server answered, as a result: texts as they are, everything else described."""

import json
from typing import Any

import mcp_types
from pydantic import BaseModel, TypeAdapter, ValidationError

from goldgate.ports.tools import ToolResult

_BLOCK: TypeAdapter[BaseModel] = TypeAdapter(mcp_types.ContentBlock)
_LONGEST_NAME = 200
_TEXT_TYPES = ("text/", "application/json", "application/xml", "application/yaml")


def result_of(raw: dict[str, Any], *, name: str) -> ToolResult:
    """Read the result of a call."""
    if raw.get("resultType") == "input_required":
        text = f"Tool `{name}` asks for input that this client does not give, and did not finish."
        return ToolResult(content=text, is_error=True)
    try:
        result = mcp_types.CallToolResult.model_validate(raw, by_name=False)
    except ValidationError:
        return unreadable(name)
    content = "\n".join(map(_told, result.content))
    structured = result.structured_content
    if not content and structured is not None:
        content = json.dumps(structured, ensure_ascii=False)
    return ToolResult(content=content, is_error=bool(result.is_error), structured=structured)


def with_texts(result: dict[str, Any]) -> dict[str, Any]:
    """Tell every block of a result in words, each by itself: what is wrong with one costs nothing of the others.

    Done before the SDK looks at a result, which it refuses whole for one block that it does not know.
    """
    blocks = result.get("content", [] if isinstance(result.get("structuredContent"), dict) else None)
    if not isinstance(blocks, list):
        return result
    return {**result, "content": [{"type": "text", "text": _read(block)} for block in blocks]}


def unreadable(name: str) -> ToolResult:
    """Say that a tool was called, and that nobody can read what it gave."""
    return ToolResult(content=f"Tool `{name}` was called, and answered with what is no result of MCP.", is_error=True)


def _read(raw: object) -> str:
    try:
        return _told(_BLOCK.validate_python(raw, by_name=False))
    except ValidationError:
        text = raw.get("text") if isinstance(raw, dict) else None
        return text if isinstance(text, str) else "[content of unknown type, not shown]"


def _told(block: BaseModel) -> str:
    match block:
        case mcp_types.TextContent():
            return block.text
        case mcp_types.ImageContent() | mcp_types.AudioContent():
            return f"[{block.type}, {_short(block.mime_type)}, {_bytes_of(block.data)} bytes, not shown]"
        case mcp_types.ResourceLink():
            return f"[link to {_short(block.uri)}: {_short(block.title or block.name)}]"
        case mcp_types.EmbeddedResource():
            return _embedded(block.resource)
        case _:
            return "[content of unknown type, not shown]"


def _embedded(held: mcp_types.TextResourceContents | mcp_types.BlobResourceContents) -> str:
    kind = _short(held.mime_type or "of unknown type")
    if isinstance(held, mcp_types.BlobResourceContents):
        return f"[resource {_short(held.uri)}, {kind}, {_bytes_of(held.blob)} bytes, not shown]"
    if held.mime_type is None or held.mime_type.startswith(_TEXT_TYPES):
        return f"[resource {_short(held.uri)}, {kind}]\n{held.text}"
    return f"[resource {_short(held.uri)}, {kind}, {len(held.text)} characters, not shown]"


def _short(text: object) -> str:
    return str(text)[:_LONGEST_NAME]


def _bytes_of(base64: str) -> int:
    return len(base64) * 3 // 4 - base64[-2:].count("=")
