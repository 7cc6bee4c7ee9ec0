"""How an Airflow connection of type `kubernetes` becomes what Goldgate's steps reach the cluster with."""

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml
from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from goldgate.domain.errors import PermanentError

if TYPE_CHECKING:
    from goldgate.adapters.cluster.connection import Access

CONN_ID_VARIABLE: Final = "GOLDGATE_KUBERNETES_CONN_ID"
"""Names the connection whose cluster TaskRuns run in. Unset or empty: there is none."""

_PREFIX: Final = "extra__kubernetes__"
_FORMS: Final = ("in_cluster", "kube_config_path", "kube_config")
_PLUGINS: Final = ("exec", "auth-provider")


def conn_id_of_environment() -> str:
    """Name the connection of the cluster; empty without one."""
    return os.environ.get(CONN_ID_VARIABLE, "")


def access_of(conn_id: str) -> "Access | None":
    """Say how to reach the cluster of a connection; None for no connection.

    Raises:
        PermanentError: There is no such connection, or it contradicts itself.
    """
    return ClusterHook(conn_id).get_conn() if conn_id else None


class ClusterHook(BaseHook):
    """Reads the connections of the provider's `KubernetesHook`, all fields with its meaning, and the namespace.

    What stands in a connection as it is used (a kubeconfig, its path, the token of this pod) is handed over. For all
    that must be worked out (a program or an account that gives the token, no field at all) the provider's hook is
    asked. It is not asked for everything because its import takes 3.3 s of processor time, in every task
    (`python -X importtime -c 'import airflow.providers.cncf.kubernetes.hooks.kubernetes'`).
    """

    conn_name_attr = "kubernetes_conn_id"
    default_conn_name = "kubernetes_default"
    conn_type = "kubernetes"
    hook_name = "Goldgate's cluster"

    def __init__(self, kubernetes_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.kubernetes_conn_id = kubernetes_conn_id

    def get_conn(self) -> "Access":
        """Say how to reach the cluster. Nothing is asked of it.

        Raises:
            PermanentError: There is no such connection, or it contradicts itself.
        """
        from goldgate.adapters.cluster.connection import IN_CLUSTER, Access

        given = [name for name in _FORMS if self._field(name)]
        namespace, context = self._field("namespace"), self._field("cluster_context")
        if len(given) > 1:
            raise PermanentError(
                f"Found {', '.join(given)} in the connection `{self.kubernetes_conn_id}`; expected one of them. "
                "Remove the others from its extra."
            )
        if self._field("in_cluster"):
            return Access(where=IN_CLUSTER, namespace=namespace)
        if self._asks_the_provider():
            return self._access_of_the_provider()
        if path := self._field("kube_config_path"):
            return Access(where=f"{path}#{context}" if context else path, namespace=namespace)
        return Access(kubeconfig=yaml.safe_dump(self._kubeconfig), context=context, namespace=namespace)

    @cached_property
    def _extra(self) -> Mapping[str, Any]:
        try:
            connection = self.get_connection(self.kubernetes_conn_id)
        except AirflowNotFoundException as error:
            if self.kubernetes_conn_id == self.default_conn_name:
                return {}  # as for the provider: this pod's token, or the kubeconfig of this user
            raise PermanentError(
                f"Found no Airflow connection `{self.kubernetes_conn_id}`; expected one of type `kubernetes`. "
                f"Create it, or correct {CONN_ID_VARIABLE}."
            ) from error
        extra: Mapping[str, Any] = connection.extra_dejson
        return extra

    def _field(self, name: str) -> Any:
        return self._extra.get(name, self._extra.get(f"{_PREFIX}{name}")) or None

    @cached_property
    def _kubeconfig(self) -> Mapping[str, Any]:
        """The kubeconfig of the connection; empty if it has none."""
        text = self._field("kube_config") or ""
        if isinstance(text, Mapping):
            return text
        path = self._field("kube_config_path")
        try:
            read = yaml.safe_load(Path(path).expanduser().read_text(encoding="utf-8") if path else text)
        except (OSError, yaml.YAMLError) as error:
            # Only its kind: the message would show a piece of the text, which holds keys.
            raise PermanentError(
                f"The kubeconfig of the connection `{self.kubernetes_conn_id}` cannot be read: {type(error).__name__}. "
                f"Correct {f'`{path}`' if path else '`kube_config`'}."
            ) from None
        return read if isinstance(read, Mapping) else {}

    def _asks_the_provider(self) -> bool:
        users = [one.get("user") or {} for one in self._kubeconfig.get("users") or []]
        plugged = any(user.get(name) for user in users for name in _PLUGINS)
        return not self._kubeconfig or plugged or str(self._field("disable_verify_ssl")).lower() == "true"

    def _access_of_the_provider(self) -> "Access":
        from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook

        from goldgate.adapters.cluster.connection import IN_CLUSTER, Access

        hook = KubernetesHook(conn_id=self.kubernetes_conn_id)
        try:
            found = hook.api_client.configuration
        except Exception as error:  # the kubernetes client has no common base for what is wrong with a kubeconfig
            raise PermanentError(
                f"The connection `{self.kubernetes_conn_id}` leads to no cluster: {error}. Expected a kubeconfig, its "
                "path, or `in_cluster` in its extra. Correct it."
            ) from error
        if hook.is_in_cluster:
            return Access(where=IN_CLUSTER, namespace=self._field("namespace"))
        bearer = found.auth_settings().get("BearerToken", {}).get("value") or ""
        return Access(
            server=found.host,
            ca_file=found.ssl_ca_cert,
            cert_file=found.cert_file,
            key_file=found.key_file,
            token=bearer.removeprefix("Bearer ") or None,
            skips_verification=not found.verify_ssl,
            namespace=self._field("namespace"),
        )
