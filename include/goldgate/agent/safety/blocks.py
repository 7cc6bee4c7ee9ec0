"""The blocks in which a conversation holds text of others, and how that text is kept inside."""

import re

TAGS = ("passage", "attachment", "question", "tool_result")

_TAG = re.compile(
    rf"[<\uff1c\ufe64](?=[\s/\uff0f\u00ad\u200b-\u200f\u2060-\u2064\ufeff]{{0,20}}(?:{'|'.join(TAGS)})\b)",
    re.IGNORECASE,
)


def inside_block(text: str) -> str:
    """Write text so that it can neither close the block it stands in nor open another."""
    return _TAG.sub("&lt;", text)
