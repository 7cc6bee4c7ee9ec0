import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.adapters.cluster.arm_manifests import (
    ARM_LABEL,
    ORDER_ANNOTATION,
    ArmOrder,
    arm_name,
    deployment,
    service,
)
from goldgate.contracts.pods import PodSettingsSpec
from goldgate.contracts.resource_parts import FromEnv, SecretKey
from goldgate.domain.errors import PermanentError

NAMES = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,62}", fullmatch=True)


def settings(**changes) -> PodSettingsSpec:
    resources = {"requests": {"cpu": "100m"}, "limits": {"memory": "1Gi"}}
    return PodSettingsSpec(**{"image": "agent@sha256:1", "resources": resources, **changes})


def pod_of(order: ArmOrder) -> dict:
    return deployment("helper", "7", order=order)["spec"]["template"]["spec"]


class TestArmName:
    @given(agent=NAMES, version=NAMES)
    def test_is_a_dns_label(self, agent, version):
        assert re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])", arm_name(agent, version))

    @given(one=st.tuples(NAMES, NAMES), other=st.tuples(NAMES, NAMES))
    def test_is_another_for_another_arm(self, one, other):
        assert (arm_name(*one) == arm_name(*other)) == (one == other)


class TestDeployment:
    def test_takes_secrets_by_reference(self):
        key = FromEnv(env="OPENAI_API_KEY", secret=SecretKey(name="openai", key="api-key"))

        (container,) = pod_of(ArmOrder(settings=settings(env_from={"OPENAI_API_KEY": key})))["containers"]

        found = {"secretKeyRef": {"name": "openai", "key": "api-key"}}
        assert {"name": "OPENAI_API_KEY", "valueFrom": found} in container["env"]

    def test_is_refused_when_a_secret_is_not_named(self):
        order = ArmOrder(settings=settings(env_from={"KEY": FromEnv(env="KEY")}))

        with pytest.raises(PermanentError, match=r"no Secret for the variable `KEY`.*secret: \{name, key\}"):
            deployment("helper", "7", order=order)

    def test_lets_the_settings_overrule_the_routers_variables(self):
        order = ArmOrder(settings=settings(env={"A": "settings"}), env={"A": "router", "B": "router"})

        (container,) = pod_of(order)["containers"]

        env = {one["name"]: one["value"] for one in container["env"]}
        assert (env["A"], env["B"]) == ("settings", "router")

    def test_gives_its_pods_no_token_and_no_right(self):
        pod = pod_of(ArmOrder(settings=settings(service_account="goldgate-arm")))

        assert pod["automountServiceAccountToken"] is False
        assert pod["serviceAccountName"] == "goldgate-arm"
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["containers"][0]["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }

    def test_gives_it_as_long_to_start_as_the_settings_say(self):
        (container,) = pod_of(ArmOrder(settings=settings(start_within_seconds=61)))["containers"]

        probe = container["startupProbe"]
        assert probe["periodSeconds"] * probe["failureThreshold"] == 62

    def test_is_marked_with_what_it_was_made_from(self):
        def mark(**changes) -> str:
            made = deployment("helper", "7", order=ArmOrder(settings=settings(**changes)))
            return made["metadata"]["annotations"][ORDER_ANNOTATION]

        assert mark() == mark()
        assert mark() != mark(image="agent@sha256:2")


class TestService:
    def test_stands_before_the_pods_of_its_arm_and_goes_with_it(self):
        made = deployment("helper", "7", order=ArmOrder(settings=settings()))

        stands = service("helper", "7", owner_uid="u", is_headless=False)

        labels = made["spec"]["template"]["metadata"]["labels"]
        assert stands["spec"]["selector"] == {ARM_LABEL: labels[ARM_LABEL]}
        assert [one["uid"] for one in stands["metadata"]["ownerReferences"]] == ["u"]
        assert "clusterIP" not in stands["spec"]

    def test_has_no_address_of_its_own_where_pods_are_asked_directly(self):
        assert service("helper", "7", owner_uid="u", is_headless=True)["spec"]["clusterIP"] == "None"
