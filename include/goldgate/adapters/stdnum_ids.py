"""Check digits of identity numbers, by python-stdnum."""

import importlib
from functools import cache
from types import ModuleType

from goldgate.domain.errors import PermanentError


class StdnumIds:
    """Implements `goldgate.ports.identifiers.NationalIds`. A scheme's rules are loaded when it is first asked for."""

    def is_valid(self, number: str, *, scheme: str) -> bool:
        """Tell whether a number keeps the rules of a scheme."""
        return bool(_rules(scheme).is_valid(number))


@cache
def _rules(scheme: str) -> ModuleType:
    try:
        return importlib.import_module(f"stdnum.{scheme}")
    except ModuleNotFoundError as error:
        raise PermanentError(
            f"Found the scheme `{scheme}`; expected one of python-stdnum, such as `nl.bsn`. Correct its name."
        ) from error
