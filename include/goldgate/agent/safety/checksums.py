"""Checksums of the numbers that are looked for without a book."""

import re

_IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29,
    "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29,
    "ES": 24, "FI": 18, "FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28,
    "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28,
    "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MN": 20,
    "MR": 27, "MT": 31, "MU": 30, "NI": 28, "NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29, "PT": 25,
    "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24, "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24, "SM": 27,
    "SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}  # fmt: skip
"""Source: SWIFT, IBAN Registry, release 99."""


def digits_of(text: str) -> str:
    """Keep the digits."""
    return "".join(char for char in text if char.isdigit())


def passes_luhn(digits: str) -> bool:
    """Source: ISO/IEC 7812-1, annex B."""
    numbers = [int(digit) for digit in digits]
    doubled = [number if place % 2 == 0 else sum(divmod(2 * number, 10)) for place, number in enumerate(numbers[::-1])]
    return len(set(digits)) > 1 and sum(doubled) % 10 == 0


_CARD = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}|(?:5[1-5]|2[2-7])\d{14}|35\d{14}|"
    r"(?:6\d|5[06-9]|62)\d{11,17}"
)
"""First digits and lengths of the schemes that give cards out. Source: what the schemes publish."""


def is_card(text: str) -> bool:
    """Tell whether digits are those of a payment card."""
    digits = digits_of(text)
    return _CARD.fullmatch(digits) is not None and passes_luhn(digits)


def iban_length(country: str) -> int | None:
    """Tell how many characters the IBANs of a country have; None if it gives none out."""
    return _IBAN_LENGTHS.get(country.upper())


def passes_iban(iban: str) -> bool:
    """Source: ISO 13616-1: country and check digits moved to the end, letters from A=10, modulo 97 is 1."""
    plain = iban.upper()
    return int("".join(str(int(char, 36)) for char in plain[4:] + plain[:4])) % 97 == 1


def passes_dni(text: str) -> bool:
    """Source: Real Decreto 1553/2005: the letter at number modulo 23; X, Y, Z of foreigners count 0, 1, 2."""
    plain = text.upper().replace("-", "")
    number = int({"X": "0", "Y": "1", "Z": "2"}.get(plain[0], plain[0]) + plain[1:8])
    return "TRWAGMYFPDXBNJZSQVHLCKE"[number % 23] == plain[8]


_ODD = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)


def passes_codice_fiscale(text: str) -> bool:
    """Source: Decreto ministeriale 23 dicembre 1976: odd places by table, even places by value, modulo 26."""
    values = [int(char) if char.isdigit() else ord(char) - ord("A") for char in text.upper()]
    total = sum(_ODD[value] if place % 2 == 0 else value for place, value in enumerate(values[:15]))
    return total % 26 == values[15]


def passes_nir(text: str) -> bool:
    """Source: INSEE: the key is 97 less the number modulo 97."""
    digits = digits_of(text)
    return 97 - int(digits[:13]) % 97 == int(digits[13:])


def passes_cpf(text: str) -> bool:
    """Source: Receita Federal: two check digits by weights 10..2 and 11..2, modulo 11."""
    digits = [int(digit) for digit in digits_of(text)]
    checks = [sum(d * w for d, w in zip(digits, range(n + 1, 1, -1), strict=False)) * 10 % 11 % 10 for n in (9, 10)]
    return len(set(digits)) > 1 and checks == digits[9:]
