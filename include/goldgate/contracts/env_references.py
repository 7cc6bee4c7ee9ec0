"""Which variables the resources of an agent read from Secrets. The Secrets themselves are nobody's business here."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel

from goldgate.contracts.resource_parts import EnvName, FromEnv, SecretKey
from goldgate.domain.errors import PermanentError


class ClashingSecretsError(PermanentError):
    """One variable is to come from two Secrets: a pod has it once."""


class ReservedVariableError(PermanentError):
    """A Secret is to say how the pod itself works: its token, and what it runs, could be led elsewhere by that."""


_RESERVED: Final = re.compile(
    r"(KUBERNETES_|LD_|PYTHON)\w*|PATH|HOME|SSL_CERT_(FILE|DIR)|GOLDGATE_(CLUSTER|NAMESPACE|POD|HOME|TERMINATION_LOG)"
)


def references_in(value: object) -> Iterator[FromEnv]:
    """Find every value that is read from the environment, wherever it stands in a resource."""
    match value:
        case FromEnv():
            yield value
        case BaseModel():
            for name in type(value).model_fields:
                yield from references_in(getattr(value, name))
        case Mapping():
            for each in value.values():
                yield from references_in(each)
        case list() | tuple():
            for each in value:
                yield from references_in(each)


def env_from_of(*resources: object, more: Iterable[FromEnv] = ()) -> dict[EnvName, FromEnv]:
    """Name the variables that a pod needs from Secrets, so that these resources find them.

    Args:
        resources: Agents, and the LLMs and MCPServers that they use.
        more: What others need in the same pod.

    Returns:
        By variable, in their order; without those that name no Secret, which every pod has anyway.

    Raises:
        ClashingSecretsError: Two of them read one variable from different Secrets.
        ReservedVariableError: One reads a variable that says how the pod itself works.
    """
    found: dict[EnvName, FromEnv] = {}
    for each in (*references_in(resources), *more):
        if each.secret is None:
            continue
        if _RESERVED.fullmatch(each.env):
            raise ReservedVariableError(
                f"Found the variable `{each.env}` from {_told(each.secret)}; expected one that says nothing of how the "
                "pod works, its programs are found, or the API server is reached. Name another variable."
            )
        known = found.setdefault(each.env, each)
        if known.secret != each.secret:
            raise ClashingSecretsError(
                f"Found the variable `{each.env}` from {_told(known.secret)} and from {_told(each.secret)}; expected "
                "one Secret for it, because all that runs in a pod shares its environment. Name another variable in "
                "one of the resources."
            )
    return dict(sorted(found.items()))


def without_secrets(value: Any) -> Any:
    """Leave out where variables come from: two resources that differ in nothing else say the same of an agent.

    Args:
        value: A resource as JSON, written by a contract.
    """
    match value:
        case {"env": str(), "secret": _} if len(value) == 2:  # noqa: PLR2004 - a `FromEnv`, whole
            return {"env": value["env"]}
        case dict():
            return {key: without_secrets(each) for key, each in value.items()}
        case list():
            return [without_secrets(each) for each in value]
    return value


def _told(secret: SecretKey | None) -> str:
    return "no Secret" if secret is None else f"`{secret.key}` of Secret `{secret.name}`"
