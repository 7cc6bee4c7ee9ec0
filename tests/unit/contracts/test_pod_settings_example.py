"""The example of how pods are made."""

import re
from pathlib import Path

import pytest

from goldgate.contracts.base import ContractError
from goldgate.contracts.documents import read_yaml
from goldgate.contracts.pods import PodSettings, PodSettingsSpec
from goldgate.entrypoints.settings import CHECKOUT

EXAMPLE = CHECKOUT / "include" / "deploy" / "pod-settings.yaml"


class TestTheExample:
    def test_keeps_to_its_contract_and_pins_its_image(self):
        settings = read_yaml(EXAMPLE, PodSettings).spec

        assert "@sha256:" in settings.image

    def test_says_what_is_so_anyway_wherever_it_says_it(self):
        """A reader takes the values in it for the ones that hold without it."""
        settings = read_yaml(EXAMPLE, PodSettings).spec
        own = {"image", "resources", "env"}

        for name, field in PodSettingsSpec.model_fields.items():
            if name not in own:
                assert getattr(settings, name) == field.get_default(call_default_factory=True), name


class TestPodSettings:
    @pytest.mark.parametrize("field", ["deadlineSeconds", "startWithinSeconds", "scratchBytes"])
    @pytest.mark.parametrize("amount", [".inf", "1e300", "0"])
    def test_take_no_amount_that_no_cluster_could_hold_to(self, tmp_path: Path, field: str, amount: str):
        written = EXAMPLE.read_text(encoding="utf-8")
        path = tmp_path / "pods.yaml"
        path.write_text(re.sub(rf"(?m)^  {field}: .*$", f"  {field}: {amount}", written), encoding="utf-8")

        with pytest.raises(ContractError, match=f"spec.{field}"):
            read_yaml(path, PodSettings)
