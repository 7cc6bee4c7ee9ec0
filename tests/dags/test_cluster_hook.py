"""Which cluster a connection of Airflow leads to, compared with what the provider's own hook makes of it."""

import base64
import json
from itertools import count

import pytest
import yaml
from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook
from airflow.sdk.exceptions import AirflowNotFoundException

from goldgate.adapters.cluster.connection import IN_CLUSTER, connect
from goldgate.domain.errors import PermanentError
from goldgate_airflow.hooks.cluster import ClusterHook, access_of, conn_id_of_environment

numbers = count()


def kubeconfig(**users):
    users = users or {"one": {"token": "token-1"}, "two": {"token": "token-2"}}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": f"http://{name}.invalid:1"}} for name in users],
        "users": [{"name": name, "user": user} for name, user in users.items()],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}} for name in users],
        "current-context": next(iter(users)),
    }


@pytest.fixture
def connection(monkeypatch):
    """Makes a connection with that extra, and returns its id."""

    def make(**extra):
        conn_id = f"cluster_{next(numbers)}"
        value = json.dumps({"conn_type": "kubernetes", "extra": extra})
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", value)
        return conn_id

    return make


def ours(conn_id):
    """Server and authorization of the client that our steps make of a connection."""
    client = connect(access_of(conn_id), namespace="settings").client._client._client
    request = client.build_request("GET", "/api")
    flow = client.auth.sync_auth_flow(request) if client.auth else iter([request])
    asked = next(flow)
    return str(asked.url).removesuffix("/api"), asked.headers.get("Authorization")


def theirs(conn_id):
    """The same of the client that the provider's hook makes of it."""
    found = KubernetesHook(conn_id=conn_id).api_client.configuration
    return found.host, found.auth_settings().get("BearerToken", {}).get("value")


class TestClusterHook:
    @pytest.mark.parametrize("context", [None, "two"])
    def test_reads_a_kubeconfig_as_the_provider_does(self, connection, context):
        conn_id = connection(kube_config=json.dumps(kubeconfig()), cluster_context=context)

        found = ours(conn_id)

        assert found == theirs(conn_id)
        assert found[0] == f"http://{context or 'one'}.invalid:1"

    def test_reads_a_kubeconfig_that_is_no_text(self, connection):
        conn_id = connection(kube_config=kubeconfig())

        assert ours(conn_id) == theirs(conn_id)

    @pytest.mark.parametrize("context", [None, "two"])
    def test_reads_the_path_of_a_kubeconfig_as_the_provider_does(self, connection, tmp_path, context):
        file = tmp_path / "config"
        file.write_text(yaml.safe_dump(kubeconfig()))
        conn_id = connection(kube_config_path=str(file), cluster_context=context)

        assert ours(conn_id) == theirs(conn_id)
        assert access_of(conn_id).where.startswith(str(file))

    def test_reads_fields_with_the_prefix_of_older_connections(self, connection):
        conn_id = connection(extra__kubernetes__kube_config=json.dumps(kubeconfig()))

        assert ours(conn_id) == theirs(conn_id)

    def test_lets_the_provider_run_the_program_that_gives_the_token(self, connection, tmp_path):
        credential = {
            "apiVersion": "client.authentication.k8s.io/v1",
            "kind": "ExecCredential",
            "status": {"token": "token-of-a-program"},
        }
        program = tmp_path / "login"
        program.write_text(f"#!/bin/sh\necho '{json.dumps(credential)}'\n")
        program.chmod(0o755)
        run = {"apiVersion": credential["apiVersion"], "command": str(program), "interactiveMode": "Never"}
        conn_id = connection(kube_config=json.dumps(kubeconfig(one={"exec": run})))

        assert ours(conn_id) == ("http://one.invalid:1", "Bearer token-of-a-program") == theirs(conn_id)

    def test_lets_the_provider_find_the_cluster_when_nothing_is_given(self, connection, tmp_path, monkeypatch):
        file = tmp_path / "config"
        file.write_text(yaml.safe_dump(kubeconfig()))
        monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(file))
        conn_id = connection()

        assert ours(conn_id) == theirs(conn_id)

    def test_checks_no_certificate_where_the_connection_says_so(self, connection):
        conn_id = connection(kube_config=json.dumps(kubeconfig()), disable_verify_ssl=True)

        assert access_of(conn_id).server == "http://one.invalid:1"

    def test_asks_with_the_token_of_its_own_pod(self, connection):
        access = access_of(connection(in_cluster=True, namespace="agents"))

        assert (access.where, access.namespace) == (IN_CLUSTER, "agents")

    @pytest.mark.parametrize("form", [{"kube_config": json.dumps(kubeconfig())}, {}])
    def test_brings_the_namespace_of_the_connection(self, connection, form, tmp_path, monkeypatch):
        file = tmp_path / "config"
        file.write_text(yaml.safe_dump(kubeconfig()))
        monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(file))

        assert access_of(connection(**form, namespace="agents")).namespace == "agents"
        assert access_of(connection(**form)).namespace is None

    def test_refuses_a_connection_that_names_two_clusters(self, connection):
        with pytest.raises(PermanentError, match="in_cluster, kube_config_path"):
            access_of(connection(in_cluster=True, kube_config_path="/etc/config"))

    @pytest.mark.parametrize("wrong", [{"kube_config_path": "/no/such/file"}, {"kube_config": "{hidden-key"}])
    def test_says_which_kubeconfig_cannot_be_read_and_shows_no_key(self, connection, wrong):
        conn_id = connection(**wrong)

        with pytest.raises(PermanentError, match=conn_id) as raised:
            access_of(conn_id)
        assert "hidden-key" not in str(raised.value)

    def test_says_which_connection_is_missing(self):
        with pytest.raises(PermanentError, match="`nowhere`"):
            UnknownConnections("nowhere").get_conn()

    def test_shows_no_key_where_it_is_printed(self, connection):
        data = base64.b64encode(b"hidden-key").decode()
        access = access_of(connection(kube_config=json.dumps(kubeconfig(one={"token": data}))))

        assert data not in repr(access)


class UnknownConnections(ClusterHook):
    """A hook in an Airflow without any connection."""

    @classmethod
    def get_connection(cls, conn_id):
        raise AirflowNotFoundException(conn_id)


class TestAccessOf:
    def test_is_nothing_without_a_connection(self):
        assert access_of("") is None


class TestConnIdOfEnvironment:
    @pytest.mark.parametrize("value", ["", "cluster"])
    def test_is_read_when_it_is_asked(self, monkeypatch, value):
        monkeypatch.setenv("GOLDGATE_KUBERNETES_CONN_ID", value)

        assert conn_id_of_environment() == value
