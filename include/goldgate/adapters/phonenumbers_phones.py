"""The numbering plans of the world, by phonenumbers (Google's libphonenumber)."""


class LibPhoneNumbers:
    """Implements `goldgate.ports.identifiers.PhoneNumbers`. A country's plan is loaded when it is first asked for."""

    def is_possible(self, number: str, *, region: str | None) -> bool:
        """Tell whether a number can be dialled.

        With a country's code its length decides, because made-up numbers name people as well; without one it must be
        of a range that is given out, because any digits would do.
        """
        import phonenumbers  # noqa: PLC0415 - 80 ms that a process pays when it sees its first number, not at its start

        try:
            parsed = phonenumbers.parse(number, region)
        except phonenumbers.NumberParseException:
            return False
        if region is None:
            # Not those that can be dialled within an area alone: `0012345678` is rather the number of an order.
            reason = phonenumbers.is_possible_number_with_reason(parsed)
            return bool(reason == phonenumbers.ValidationResult.IS_POSSIBLE)
        return bool(phonenumbers.is_valid_number_for_region(parsed, region))
