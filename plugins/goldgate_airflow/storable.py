"""What Airflow's database can take of what others wrote."""

import re
from typing import Any, Final

_REFUSED: Final = re.compile("[\x00\ud800-\udfff]")
"""PostgreSQL takes no JSON with these. An event that has one ends the triggerer, with all that it waits for; it comes
again to the next one. An XCom that has one fails its task, at every try."""


def storable(value: Any) -> Any:
    """Copy a value of JSON, with U+FFFD in place of signs that no database takes."""
    match value:
        case str():
            return _REFUSED.sub("\ufffd", value)
        case dict():
            return {storable(key): storable(each) for key, each in value.items()}
        case list() | tuple():
            return [storable(each) for each in value]
        case _:
            return value
