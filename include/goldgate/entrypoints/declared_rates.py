"""What each version of an agent allows one caller, as its bundle on this machine declares it."""

import logging
from pathlib import Path

from pydantic import ValidationError

from goldgate.contracts.base import ContractError
from goldgate.contracts.documents import yaml_documents
from goldgate.contracts.resources import RateLimit
from goldgate.domain.rate_limit import Rate

log = logging.getLogger(__name__)


class DeclaredRates:
    """Reads `spec.safety.rateLimit` of bundles, each once: a version never changes.

    A version whose bundle is not here yet has no limit of its own; the router's limits hold in any case.

    Args:
        bundles: The folder with `<agent>/<version>/agent.yaml`, where arms keep what they fetched.
    """

    def __init__(self, bundles: Path) -> None:
        self._bundles = bundles
        self._known: dict[tuple[str, str], Rate | None] = {}

    def of(self, agent: str, version: str) -> Rate | None:
        """Tell the limit of a version; None if it declares none."""
        name = (agent, version)
        if name not in self._known:
            path = self._bundles / agent / version / "agent.yaml"
            if not path.exists():
                return None
            self._known[name] = _declared(path)
        return self._known[name]


def _declared(path: Path) -> Rate | None:
    try:
        for document, _ in yaml_documents(path):
            safety = (document.get("spec") or {}).get("safety") or {} if isinstance(document, dict) else {}
            if (declared := safety.get("rateLimit")) is not None:
                limit = RateLimit.model_validate(declared)
                return Rate(per_minute=limit.requests_per_minute, burst=limit.burst)
    except (ContractError, ValidationError, AttributeError) as error:
        # The arm holds its bundle to the contract, and says what is wrong with it.
        log.warning("router.rate_limit.unreadable", extra={"path": str(path), "reason": str(error)})
    return None
