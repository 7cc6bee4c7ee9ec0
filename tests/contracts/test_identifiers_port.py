"""The books of numbers, on published examples."""

import pytest

from goldgate.agent.safety.national_ids import _SCHEMES, COUNTRIES
from goldgate.domain.errors import PermanentError
from goldgate.entrypoints.identifier_parts import identifier_books

BOOKS = identifier_books()


class TestNationalIds:
    # Numbers of python-stdnum's own documentation.
    @pytest.mark.parametrize(
        ("scheme", "number", "is_valid"),
        [
            ("nl.bsn", "111222333", True),
            ("nl.bsn", "111252333", False),
            ("pl.pesel", "44051401359", True),
            ("de.idnr", "36 574 261 809", True),
            ("de.idnr", "36574261890", False),
            ("nl.bsn", "not a number", False),
        ],
    )
    def test_know_check_digits(self, scheme, number, is_valid):
        assert BOOKS.national_ids.is_valid(number, scheme=scheme) is is_valid

    def test_know_every_scheme_that_is_looked_for(self):
        for scheme, *_ in _SCHEMES:
            assert BOOKS.national_ids.is_valid("0", scheme=scheme) is False

    def test_refuse_a_scheme_that_is_none(self):
        with pytest.raises(PermanentError, match=r"`xx\.none`"):
            BOOKS.national_ids.is_valid("1", scheme="xx.none")

    def test_are_of_the_countries_that_the_safety_page_names(self):
        assert len(COUNTRIES) == 36


class TestPhoneNumbers:
    @pytest.mark.parametrize(
        ("number", "region", "is_possible"),
        [
            ("+49 170 1234567", None, True),
            ("+49 1", None, False),
            ("030 901820", "DE", True),
            ("030 901820", "US", False),
            ("words", "DE", False),
            ("0170 1234567", None, False),
        ],
    )
    def test_know_what_can_be_dialled(self, number, region, is_possible):
        assert BOOKS.phones.is_possible(number, region=region) is is_possible
