"""What every resource of Kubernetes' kind begins with, and the small values in it."""

from datetime import datetime
from pathlib import PurePosixPath
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from goldgate.contracts.base import API_VERSION, ResourceContract

NAME_PATTERN: Final = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"

Name = Annotated[str, Field(pattern=NAME_PATTERN)]
"""A DNS label, as Kubernetes wants it: lower case, digits, dashes, at most 63."""

EnvName = Annotated[str, Field(pattern=r"^[A-Z_][A-Z0-9_]*$")]


def _inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\\" in path:
        msg = "a path inside the agent's folder: not absolute, not through `..`"
        raise ValueError(msg)
    return path


_STEP: Final = r"([^/\\.][^/\\]*|\.[^/\\.][^/\\]*|\.\.[^/\\]+)"
"""The name of a file or a folder: not empty, `.` or `..`."""

RelativePath = Annotated[
    str,
    AfterValidator(_inside),
    Field(json_schema_extra={"pattern": rf"^(\./+)*{_STEP}(/({_STEP}|\.)?)*$"}),
]
"""A path inside the agent's folder: never absolute, never through `..`."""


_LABEL_NAME: Final = r"[a-zA-Z0-9]([-_.a-zA-Z0-9]{0,61}[a-zA-Z0-9])?"
_DOMAIN: Final = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"

LabelKey = Annotated[str, Field(pattern=rf"^({_DOMAIN}/)?{_LABEL_NAME}$")]
LabelValue = Annotated[str, Field(pattern=rf"^({_LABEL_NAME})?$")]
"""What an API server takes, and may be searched by."""


class Metadata(ResourceContract):
    """What every resource is called by."""

    name: Name
    labels: dict[LabelKey, LabelValue] = Field(default_factory=dict)
    annotations: dict[LabelKey, str] = Field(default_factory=dict)
    creation_timestamp: datetime | None = None
    """When it was recorded first: said by whoever keeps it, and of no consequence in what people write."""


class Resource(ResourceContract):
    """What every resource begins with."""

    api_version: Literal["goldgate.dev/v1alpha1"] = API_VERSION
    metadata: Metadata


class SecretKey(ResourceContract):
    """One value of a Secret of the namespace that a pod runs in."""

    name: Name
    key: str = Field(pattern=r"^[-._a-zA-Z0-9]{1,253}$")
    """Of the value in the Secret."""


class FromEnv(ResourceContract):
    """A value that is read from the environment when the agent starts, and never stored."""

    env: EnvName
    """Name of the variable."""
    secret: SecretKey | None = None
    """In a cluster: where the variable comes from. Left out: every pod has it anyway. Elsewhere it says nothing."""
