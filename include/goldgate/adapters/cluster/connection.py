"""How a process reaches the API server: inside a pod, by a kubeconfig, or by an address and keys it was given."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import yaml
from lightkube import AsyncClient, Client
from lightkube.config.kubeconfig import KubeConfig, SingleConfig
from lightkube.config.models import Cluster as Server
from lightkube.config.models import User
from lightkube.core.exceptions import ConfigError

from goldgate.contracts.cluster import ROOT_LABEL, TENDED_LABEL
from goldgate.domain.errors import PermanentError

IN_CLUSTER: Final = "in-cluster"
"""Value of `GOLDGATE_CLUSTER` for a process in a pod, which has a token of its own."""


@dataclass(frozen=True, kw_only=True)
class Access:
    """An API server and who asks. Files are read again when the server refuses, so that rotated tokens are followed."""

    server: str = ""
    where: str = ""
    """As `GOLDGATE_CLUSTER` says it, in place of an address and keys: `in-cluster`, or a kubeconfig and its context."""
    namespace: str | None = None
    """None: the namespace of the settings."""
    kubeconfig: str = field(default="", repr=False)
    """The text of a kubeconfig, in place of an address and keys."""
    context: str | None = None
    """Of the text. None: its current one."""
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    token: str | None = field(default=None, repr=False)
    token_file: str | None = None
    skips_verification: bool = False


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """One namespace of a cluster."""

    client: Client
    """For many threads."""
    new_async_client: Callable[[], AsyncClient]
    """Makes a client for the event loop of whoever calls."""
    namespace: str
    labels: Mapping[str, str] = field(default_factory=dict)
    """On every object that is made through it."""


def connect(where: str | Access, *, namespace: str, pod: str = "") -> Cluster:
    """Reach a namespace. Nothing is asked of the server yet.

    Args:
        where: `in-cluster`, the path of a kubeconfig (`#context` behind it names one of its contexts), or an access.
        namespace: The namespace that everything is in, unless the access names one.
        pod: The pod of a TaskRun that this is: what it makes bears its mark, and nobody tends it but the pod.

    Raises:
        PermanentError: There is no such kubeconfig or context, or this is no pod.
    """
    if isinstance(where, Access):
        namespace = where.namespace or namespace
        where = where.where or where
    try:
        config = _config(where)
        client = Client(config, namespace=namespace, field_manager="goldgate")
    except (ConfigError, OSError, KeyError, ValueError) as error:
        place = where if isinstance(where, str) else where.server or "in the text of a kubeconfig"
        raise PermanentError(
            f"Found no way to the cluster `{place}`: {error}. Expected `{IN_CLUSTER}` inside a pod, or the path of a "
            "kubeconfig, with `#` and the context where it is not the current one. Correct GOLDGATE_CLUSTER."
        ) from error
    return Cluster(
        client=client,
        new_async_client=lambda: AsyncClient(config, namespace=namespace, field_manager="goldgate"),
        namespace=namespace,
        labels=_marks_of(pod),
    )


def _marks_of(pod: str) -> dict[str, str]:
    """Name whose work something is, in a way that the pod which follows this one has too."""
    family, _, number = pod.rpartition("-")
    return {ROOT_LABEL: family, TENDED_LABEL: family} if family and number.isdecimal() else {}


def _config(where: str | Access) -> SingleConfig:
    if isinstance(where, Access) and where.kubeconfig:
        return _single(_kubeconfig(where.kubeconfig), context=where.context)
    if isinstance(where, Access):
        server = Server(server=where.server, certificate_auth=where.ca_file, insecure=where.skips_verification)
        user = User(
            client_cert=where.cert_file, client_key=where.key_file, token=where.token, token_file=where.token_file
        )
        return _single(KubeConfig.from_one(cluster=server, user=user))
    if where == IN_CLUSTER:
        return _single(KubeConfig.from_service_account())
    path, _, context = where.partition("#")
    file = Path(path).expanduser()
    return _single(_kubeconfig(file.read_text(encoding="utf-8"), file=file), context=context or None)


def _kubeconfig(text: str, *, file: Path | None = None) -> KubeConfig:
    """Read a kubeconfig; paths in it are relative to its file."""
    mapping = _mapping(text)
    try:
        return KubeConfig.from_dict(mapping, fname=file)
    except (AttributeError, LookupError, TypeError, ValueError):
        # As with YAML: its message might show a piece of the text.
        raise ConfigError("it is no kubeconfig, which has `clusters`, `contexts` and `users`, each a list") from None


def _mapping(text: str) -> dict[str, object]:
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        # Its message would show a piece of the text, which holds keys.
        raise ConfigError("it is no YAML") from None
    if not isinstance(found, dict):
        raise ConfigError("it is no mapping")
    return found


def _single(config: KubeConfig, *, context: str | None = None) -> SingleConfig:
    found = config.get(context)
    if found is None:
        raise ConfigError(f"no context `{context}`" if context else "no current context")
    return found
