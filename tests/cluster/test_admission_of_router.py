"""Which Deployments and Services the router may make and end: those of arms, and no others."""

import json

import pytest

from goldgate.adapters.cluster.arm_manifests import ARM_LABEL, arm_name
from tests.cluster.bearers import Bearer, Deployed, labelled
from tests.cluster.ordered_pods import arm

NAME = arm_name("helper", "7")
ARM = {ARM_LABEL: NAME, **labelled("goldgate-arm")}


class TestRouter:
    def told(self, cluster: Deployed, document: dict) -> str:
        return Bearer.unbound(cluster, "goldgate-router").told(
            "create", "--dry-run=server", "--validate=false", "-f", "-", document=document
        )

    def test_makes_arms(self, deployed):
        assert self.told(deployed, arm(deployed)) == ""

    def test_makes_no_other_deployment(self, deployed):
        made = arm(deployed)
        made["metadata"]["labels"] = {"app": "mine"}

        assert "makes arms only" in self.told(deployed, made)

    @pytest.mark.parametrize("label", sorted(ARM))
    def test_makes_no_pod_that_passes_for_another(self, deployed, label):
        made = arm(deployed)
        bears = {**ARM, "app": "mine", label: "goldgate-router"}
        if label == "goldgate.dev/arm":
            del bears[label]
        made["spec"]["template"]["metadata"]["labels"] = bears
        made["spec"]["selector"] = {"matchLabels": {"app": "mine"}}

        assert "pods of arms bear the labels" in self.told(deployed, made)

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            ({"serviceAccountName": "goldgate-operator"}, "arms run as goldgate-arm"),
            ({"automountServiceAccountToken": True}, "without a token"),
        ],
    )
    def test_makes_no_arm_with_rights(self, deployed, change, why):
        made = arm(deployed)
        made["spec"]["template"]["spec"] |= change

        assert why in self.told(deployed, made)

    def test_mounts_nothing_of_others(self, deployed):
        made = arm(deployed)
        made["spec"]["template"]["spec"]["volumes"].append({"name": "a", "secret": {"secretName": "openai"}})

        assert "empty folders only" in self.told(deployed, made)

    def test_takes_no_whole_secret(self, deployed):
        made = arm(deployed)
        made["spec"]["template"]["spec"]["containers"][0]["envFrom"] = [{"secretRef": {"name": "openai"}}]

        assert "name each variable" in self.told(deployed, made)

    def test_ends_no_other_deployment(self, deployed):
        made = arm(deployed)
        made["metadata"] = {"name": "mine", "labels": {"app": "mine"}}
        deployed.kubectl("create", "--validate=false", "-f", "-", stdin=json.dumps(made))

        told = Bearer.unbound(deployed, "goldgate-router").told("delete", "deployment", "mine", "--wait=false")

        assert "changes and ends arms only" in told

    @pytest.mark.parametrize(
        ("spec", "why"),
        [
            ({"selector": ARM, "type": "LoadBalancer"}, "outside the cluster"),
            ({"selector": ARM, "externalIPs": ["192.0.2.1"]}, "outside the cluster"),
            ({"selector": {"app": "airflow"}}, "stand before arms"),
        ],
    )
    def test_opens_nothing_but_arms_and_not_to_the_outside(self, deployed, spec, why):
        made = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": NAME, "labels": ARM}}
        made["spec"] = {"ports": [{"port": 8080}], **spec}

        assert why in self.told(deployed, made)

    def test_ends_the_service_of_an_arm_and_no_other(self, deployed):
        ports = {"ports": [{"port": 8080}]}
        for name, labels in ((NAME, ARM), ("mine", {})):
            made = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "labels": labels}, "spec": ports}
            deployed.kubectl("create", "-f", "-", stdin=json.dumps(made))
        router = Bearer.unbound(deployed, "goldgate-router")

        assert router.told("delete", "service", NAME, "--wait=false") == ""
        assert "changes and ends Services of arms only" in router.told("delete", "service", "mine", "--wait=false")

    def test_gives_the_service_of_an_arm_its_next_owner(self, deployed):
        """One that an arm of the same name left behind; the one-node cluster asks for the right to delete it."""
        router = Bearer.unbound(deployed, "goldgate-router")
        told = []
        for name in ("before", "after"):
            owner = {**arm(deployed), "metadata": {"name": name}}
            uid = deployed.kubectl("create", "-f", "-", "-o", "jsonpath={.metadata.uid}", stdin=json.dumps(owner))
            made = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "arm-helper-8", "labels": ARM}}
            made["metadata"]["ownerReferences"] = [
                {"apiVersion": "apps/v1", "kind": "Deployment", "name": name, "uid": uid}
            ]
            made["spec"] = {"ports": [{"port": 8080}], "selector": ARM}
            told.append(router.told("apply", "--server-side", "--validate=false", "-f", "-", document=made))

        assert told == ["", ""]
