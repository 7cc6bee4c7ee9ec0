"""Open the books that personal numbers are checked by."""

from goldgate.adapters.phonenumbers_phones import LibPhoneNumbers
from goldgate.adapters.stdnum_ids import StdnumIds
from goldgate.ports.identifiers import IdentifierBooks


def identifier_books() -> IdentifierBooks:
    """Open both. Nothing is loaded before the first number is looked up."""
    return IdentifierBooks(national_ids=StdnumIds(), phones=LibPhoneNumbers())
