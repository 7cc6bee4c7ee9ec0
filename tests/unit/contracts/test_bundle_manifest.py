"""A folder is the bundle that its digest names, or it is refused."""

import json
from pathlib import Path

import pytest

from goldgate.contracts.base import ContractError
from goldgate.contracts.bundle import BundleError, check_bundle, digest_files
from goldgate.domain.digest import digest_tree


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    (folder / "prompts").mkdir(parents=True)
    (folder / "prompts" / "system.md").write_text("be kind")
    (folder / "agent.yaml").write_text("kind: Agent")
    files = digest_files(folder)
    manifest = {"agent": "a", "files": files, "digest": digest_tree(files)}
    (folder / "bundle.json").write_text(json.dumps(manifest))
    return folder


def digest_of(bundle: Path) -> str:
    return str(json.loads((bundle / "bundle.json").read_text())["digest"])


class TestCheckBundle:
    def test_takes_the_folder_as_it_was_frozen(self, bundle: Path):
        assert check_bundle(bundle, digest=digest_of(bundle)).agent == "a"

    @pytest.mark.parametrize("name", ["prompts/system.md", "prompts/new.md", "agent.yaml"])
    def test_names_the_file_that_differs(self, bundle: Path, name: str):
        (bundle / name).write_text("changed")

        with pytest.raises(BundleError, match=f"Against the manifest: `{name}`"):
            check_bundle(bundle, digest=digest_of(bundle))

    def test_names_the_file_that_is_gone(self, bundle: Path):
        (bundle / "agent.yaml").unlink()

        with pytest.raises(BundleError, match=r"`agent\.yaml`"):
            check_bundle(bundle, digest=digest_of(bundle))

    def test_refuses_another_bundle_that_is_whole(self, bundle: Path):
        with pytest.raises(BundleError, match="of another bundle"):
            check_bundle(bundle, digest="0" * 64)

    def test_refuses_a_link(self, bundle: Path):
        (bundle / "link.md").symlink_to(bundle / "agent.yaml")

        with pytest.raises(BundleError, match="link"):
            check_bundle(bundle, digest=digest_of(bundle))

    def test_refuses_a_folder_without_a_manifest(self, bundle: Path):
        digest = digest_of(bundle)
        (bundle / "bundle.json").unlink()

        with pytest.raises(ContractError, match=r"bundle\.json"):
            check_bundle(bundle, digest=digest)
