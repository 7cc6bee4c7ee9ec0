"""No text becomes markup."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.evals.html import Html, element, join, link


class Reader(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def read(html: Html) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader


class TestElement:
    @given(st.text(st.characters(exclude_categories=["C"])))
    def test_shows_any_text_as_it_is_and_nothing_else(self, text):
        page = read(element("p", text, title=text))

        assert page.text == text
        assert page.tags == [("p", {"title": text})]

    def test_nests_elements_and_leaves_out_nothing_but_none(self):
        assert element("p", "a & b", None, element("br"), element("i", "c"), class_="x", id=None) == (
            '<p class="x">a &amp; b<br><i>c</i></p>'
        )

    def test_writes_an_underscore_inside_a_name_as_a_dash(self):
        assert element("td", data_label="x") == '<td data-label="x"></td>'


class TestJoin:
    def test_escapes_text_between_elements(self):
        assert join("<", element("b", "x"), ">") == "&lt;<b>x</b>&gt;"


class TestLink:
    @pytest.mark.parametrize("address", ["https://example.org/a", "http://127.0.0.1:5000/#/x", "validation/index.html"])
    def test_links_to_pages(self, address):
        assert read(link("more", address)).tags == [("a", {"href": address})]

    @pytest.mark.parametrize("address", ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd"])
    def test_shows_any_other_address_as_text(self, address):
        page = read(link("more", address))

        assert page.tags == []
        assert page.text == f"more: {address}"
