"""What an image is made of is told by a valid CycloneDX document that depends on nothing but the contents."""

import json
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given
from hypothesis import strategies as st

from include.images import sbom

HASH = "a" * 64
REPORT = {
    "version": "1",
    "install": [
        {
            "metadata": {"name": "Some_Package", "version": "1.0+x"},
            "download_info": {"url": "https://me:pw@mirror/x", "archive_info": {"hashes": {"sha256": HASH}}},
        }
    ],
}
OS_RELEASE = 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian"\n'
STATUS = """\
Package: libstdc++6
Status: install ok installed
Architecture: amd64
Version: 1:12.2.0-14+deb12u1
Description: a library
 Version: not this one

Package: removed
Status: deinstall ok config-files
Architecture: all
Version: 1
"""


def installed(folder: Path, *packages: tuple[str, str, str]) -> list[Distribution]:
    for name, version, more in packages:
        info = folder / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n{more}")
    return list(distributions(path=[str(folder)]))


def machine(folder: Path) -> Path:
    for name, text in {"etc/os-release": OS_RELEASE, "var/lib/dpkg/status": STATUS}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def write(folder: Path, *, root: Path) -> str:
    (folder / "report.json").write_text(json.dumps(REPORT))
    (folder / "lock.txt").write_text("some-package==1.0")
    words = {"--image": "x", "--report": "report.json", "--lock": "lock.txt", "--into": "out.json"}
    files = {key: name if key == "--image" else str(folder / name) for key, name in words.items()}
    sbom.main(["--root", str(root), *(word for pair in files.items() for word in pair)])
    return (folder / "out.json").read_text()


class TestDocument:
    def test_is_valid(self, tmp_path: Path):
        text = write(tmp_path, root=machine(tmp_path / "root"))

        assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None

    def test_is_the_same_for_the_same_contents(self, tmp_path: Path):
        root = machine(tmp_path / "root")

        assert write(tmp_path, root=root) == write(tmp_path, root=root)

    def test_holds_no_address_from_which_something_was_fetched(self, tmp_path: Path):
        text = write(tmp_path, root=machine(tmp_path / "root"))

        assert "mirror" not in text

    @given(st.permutations(["a", "b", "c", "d"]))
    def test_does_not_depend_on_the_order_in_which_things_are_found(self, names: list[str]):
        def document(order: list[str]) -> dict[str, object]:
            components = [{"bom-ref": name, "type": "library", "name": name} for name in order]
            return sbom.describe("x", components=components, lock_digest=HASH)

        assert document(names) == document(sorted(names))

    def test_has_another_number_when_something_in_it_changed(self):
        numbers = {
            sbom.describe("x", components=[{"bom-ref": name}], lock_digest=HASH)["serialNumber"] for name in ("a", "b")
        }

        assert len(numbers) == 2


class TestPythonPackages:
    def test_carry_the_hash_of_the_file_that_was_installed(self, tmp_path: Path):
        found = installed(tmp_path, ("some_package", "1.0+x", "License-Expression: MIT\n"))

        assert sbom.python_components(REPORT["install"], found) == [
            {
                "type": "library",
                "bom-ref": "pkg:pypi/some-package@1.0%2Bx",
                "name": "some-package",
                "version": "1.0+x",
                "purl": "pkg:pypi/some-package@1.0%2Bx",
                "hashes": [{"alg": "SHA-256", "content": HASH}],
                "licenses": [{"expression": "MIT"}],
            }
        ]

    @pytest.mark.parametrize("package", [("pip", "23.0", ""), ("some_package", "0.9", "")])
    def test_of_the_base_have_none(self, tmp_path: Path, package: tuple[str, str, str]):
        (component,) = sbom.python_components(REPORT["install"], installed(tmp_path, package))

        assert "hashes" not in component


class TestDebianPackages:
    def test_are_those_that_dpkg_has_installed(self, tmp_path: Path):
        document = json.loads(write(tmp_path, root=machine(tmp_path / "root")))

        assert [each["purl"] for each in document["components"] if "pkg:deb" in each["bom-ref"]] == [
            "pkg:deb/debian/libstdc%2B%2B6@1%3A12.2.0-14%2Bdeb12u1?arch=amd64&distro=debian-12"
        ]

    def test_are_found_where_each_has_a_file_of_its_own(self, tmp_path: Path):
        """So it is in bases without dpkg itself, made of nothing but a language's runtime."""
        folder = tmp_path / "root" / "var" / "lib" / "dpkg" / "status.d"
        folder.mkdir(parents=True)
        (folder / "base").write_text("Package: base-files\nVersion: 12\nArchitecture: amd64\n")
        (folder / "base.md5sums").write_text("0 x")

        document = json.loads(write(tmp_path, root=tmp_path / "root"))

        assert "pkg:deb/debian/base-files@12?arch=amd64&distro=debian" in document["dependencies"][0]["dependsOn"]

    def test_are_not_made_up_elsewhere(self, tmp_path: Path):
        document = json.loads(write(tmp_path, root=tmp_path / "nothing"))

        assert {each["type"] for each in document["components"]} == {"library", "platform"}
        assert not [each for each in document["components"] if "pkg:deb" in each["bom-ref"]]
