"""What can be said of include/deploy without a cluster: its pieces fit each other, and the code that they are for."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from goldgate.adapters.cluster.arm_manifests import ARM_PORT, ArmOrder, deployment
from goldgate.adapters.cluster.pod_manifest import manifest_of
from goldgate.contracts.documents import parse, read_yaml
from goldgate.contracts.llm import LLM
from goldgate.contracts.pods import PodSettings
from goldgate.entrypoints.router_arms import IN_CLUSTER
from goldgate.entrypoints.settings import CHECKOUT, Settings
from goldgate.ports.pods import PodOrder

DEPLOY = CHECKOUT / "include" / "deploy"
FILES = sorted(path for path in DEPLOY.rglob("*.yaml") if path.parent.name != "crds")
SETTINGS = sorted(path for path in FILES if path.name in {"arms.yaml", "pod-settings.yaml"})
HELM_VALUES = sorted((DEPLOY / "airflow").glob("values-*.yaml"))


def documents(*paths: Path) -> Iterator[dict]:
    for path in paths:
        yield from filter(None, yaml.safe_load_all(path.read_text()))


def policies() -> Iterator[dict]:
    found = documents(DEPLOY / "network" / "policies.yaml", DEPLOY / "components" / "network" / "places.yaml")
    yield from (one for one in found if one["kind"] == "NetworkPolicy")


def router_pod() -> dict:
    (router,) = documents(DEPLOY / "router" / "deployment.yaml")
    return router["spec"]["template"]


def pods() -> dict[str, dict]:
    """The pods that we make, by the value of `app.kubernetes.io/name`."""
    settings = read_yaml(SETTINGS[0], PodSettings).spec
    task_run = PodOrder(name="ask-1", run="ask", run_uid="u", command=("run",), settings=settings)
    evaluation = PodOrder(
        name="evaluation-1",
        run=None,
        command=("run",),
        settings=settings,
        labels={"app.kubernetes.io/name": "goldgate-evaluation"},
    )
    made = [
        router_pod(),
        deployment("helper", "7", order=ArmOrder(settings=settings))["spec"]["template"],
        *(manifest_of(order, namespace="goldgate") for order in (task_run, evaluation)),
    ]
    return {pod["metadata"]["labels"]["app.kubernetes.io/name"]: pod for pod in made}


def selects(selector: dict, labels: dict[str, str]) -> bool:
    wanted = selector.get("matchLabels", {}).items() <= labels.items()
    return wanted and all(labels.get(one["key"]) in one["values"] for one in selector.get("matchExpressions", []))


class TestNetworkPolicies:
    @pytest.mark.parametrize("name", sorted(pods()))
    def test_deny_every_pod_of_ours_what_is_not_allowed(self, name):
        labels = pods()[name]["metadata"]["labels"]

        closing = [
            one
            for one in policies()
            if selects(one["spec"]["podSelector"], labels)
            and set(one["spec"]["policyTypes"]) == {"Ingress", "Egress"}
            and not one["spec"].keys() & {"ingress", "egress"}
        ]

        assert [one["metadata"]["name"] for one in closing] == ["goldgate-deny"]

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("goldgate-task-run", {"dns", "to-api-server", "to-model", "to-tools", "to-traces"}),
            ("goldgate-evaluation", {"dns", "to-api-server", "to-model", "to-tools", "to-traces"}),
            ("goldgate-arm", {"dns", "to-model", "to-tools", "to-traces"}),
            ("goldgate-router", {"dns", "router", "to-api-server", "to-traces"}),
        ],
    )
    def test_let_each_pod_reach_what_its_work_needs(self, name, expected):
        labels = pods()[name]["metadata"]["labels"]

        found = {
            one["metadata"]["name"]
            for one in policies()
            if "egress" in one["spec"] and selects(one["spec"]["podSelector"], labels)
        }

        assert found == {f"goldgate-{one}" for one in expected}

    def test_open_nothing_to_everybody(self):
        for one in policies():
            assert all(rule.get("to") for rule in one["spec"].get("egress", [])), one
            assert "0.0.0.0/0" not in str(one)

    def test_let_routers_ask_arms_where_these_listen(self):
        (asks,) = [one for one in policies() if one["metadata"]["name"] == "goldgate-router"]
        (answers,) = [one for one in policies() if one["metadata"]["name"] == "goldgate-arm"]

        assert asks["spec"]["egress"][0]["ports"] == [{"protocol": "TCP", "port": ARM_PORT}]
        assert answers["spec"]["ingress"][0]["ports"] == [{"protocol": "TCP", "port": ARM_PORT}]


class TestRouter:
    def test_reads_the_settings_that_it_is_given(self):
        (container,) = router_pod()["spec"]["containers"]
        plain = {one["name"]: one["value"] for one in container["env"] if "value" in one}
        lines = (DEPLOY / "router" / "router.env").read_text().split()

        settings = Settings.from_env({**dict(line.split("=", 1) for line in lines), **plain})

        assert settings.cluster == IN_CLUSTER
        mounted = {one["mountPath"]: one["name"] for one in container["volumeMounts"]}
        assert mounted[str(settings.pods.parent)] == "settings"
        assert mounted[str(settings.home)] == "home"

    def test_has_time_to_end_before_it_is_killed(self):
        """Until nobody sends any more, for requests under way, and for what is queued."""
        pod = router_pod()["spec"]

        drained_s = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]

        assert pod["terminationGracePeriodSeconds"] >= drained_s + 6 + 10


@pytest.mark.parametrize("path", SETTINGS, ids=lambda path: str(path.relative_to(DEPLOY)))
class TestPodSettings:
    def test_hold_to_the_contract(self, path):
        assert read_yaml(path, PodSettings).spec.image

    def test_pin_the_image_by_digest(self, path):
        assert "@sha256:" in read_yaml(path, PodSettings).spec.image


@pytest.mark.parametrize("path", HELM_VALUES, ids=lambda path: path.stem)
class TestHelmValues:
    def test_set_what_goldgate_reads(self, path):
        (values,) = documents(path)
        env = {one["name"]: one["value"] for one in values["env"]}

        settings = Settings.from_env(env)

        mounts = {one["mountPath"]: one["name"] for one in values["volumeMounts"]}
        volumes = {one["name"] for one in values["volumes"]}
        assert {mounts[str(settings.home)], mounts[str(settings.pods.parent)]} <= volumes
        assert settings.router_url == "http://goldgate-router.goldgate.svc:8800"

    def test_let_nobody_but_workers_and_triggerer_be_the_operator(self, path):
        (values,) = documents(path)
        (binding,) = documents(DEPLOY / "components" / "airflow" / "role-binding.yaml")

        found = {part for part, value in values.items() if "goldgate-operator" in str(value)}

        assert found == {"workers", "triggerer"}
        assert binding["subjects"][0]["name"] == values["workers"]["serviceAccount"]["name"]

    def test_run_as_the_user_whose_files_the_routers_share(self, path):
        (values,) = documents(path)

        assert values["uid"] == router_pod()["spec"]["securityContext"]["runAsUser"]


def allowed(what: str) -> list[str]:
    """What the namespace of the example lists."""
    (namespace,) = documents(DEPLOY / "overlays" / "example" / "allowed.yaml")
    return str(namespace["metadata"]["annotations"][f"goldgate.dev/{what}"]).split()


class TestAllowed:
    def test_lists_the_image_of_the_arms(self):
        arms = read_yaml(DEPLOY / "overlays" / "example" / "arms.yaml", PodSettings).spec

        assert arms.image.partition("@")[0] in allowed("images")

    def test_lists_the_secrets_that_the_examples_name(self):
        arms = read_yaml(DEPLOY / "overlays" / "example" / "arms.yaml", PodSettings).spec
        (llm,) = documents(DEPLOY / "examples" / "plain-secret.yaml")

        named = {source.secret.name for source in arms.env_from.values()} | {
            llm["spec"]["apiKeyFrom"]["secret"]["name"]
        }

        assert named == set(allowed("secrets"))

    def test_is_nothing_until_an_installation_says_so(self):
        (namespace,) = documents(DEPLOY / "base" / "namespace.yaml")

        assert namespace["metadata"]["annotations"] == {"goldgate.dev/images": "", "goldgate.dev/secrets": ""}


class TestSecrets:
    def test_are_nowhere_in_these_files(self):
        assert [one["metadata"]["name"] for one in documents(*FILES) if one.get("kind") == "Secret"] == []

    def test_of_every_store_have_the_name_by_which_an_llm_asks_for_them(self):
        (llm,) = documents(DEPLOY / "examples" / "plain-secret.yaml")
        del llm["metadata"]["namespace"]
        secret = parse(llm, LLM, where="example").spec.api_key_from.secret

        for path in sorted((DEPLOY / "examples").glob("*.yaml")):
            assert f"name: {secret.name}\n" in path.read_text() or f"secretName: {secret.name}\n" in path.read_text()
        assert secret.key == "api-key"
