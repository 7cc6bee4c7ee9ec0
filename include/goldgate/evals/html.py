"""Write HTML in which no text can become markup: whatever is not an element already is escaped."""

from html import escape
from typing import Final
from urllib.parse import urlsplit

_VOID: Final = frozenset({"meta", "br"})


class Html(str):
    """Markup that was built here. Any other text is content, and is escaped."""

    __slots__ = ()


Child = str | None
"""Text, an element, or nothing."""


def element(name: str, /, *children: Child, **attributes: str | float | None) -> Html:
    """Build one element.

    Args:
        name: Of the element.
        children: Text and elements, in order. None is left out.
        attributes: `class_` is written `class`, an underscore inside a name as a dash. None is left out.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{join(*children)}</{name}>")


def join(*children: Child) -> Html:
    """Put text and elements one after the other."""
    return Html("".join(child if isinstance(child, Html) else escape(child) for child in children if child is not None))


def link(text: str, address: str) -> Html:
    """Link to a page, if the address is one: http, https, or a path without a scheme. Anything else stays text."""
    if urlsplit(address).scheme in {"http", "https", ""}:
        return element("a", text, href=address)
    return join(text, ": ", address)
