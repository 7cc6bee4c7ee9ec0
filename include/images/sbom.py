"""Write what an image is made of: a CycloneDX 1.6 document, the same for the same contents.

It runs inside the build of an image, so it needs nothing but Python. Packages that pip installed carry the hash of the
very file that was installed, by pip's own report; packages of the base have none. Not listed is what a wheel carries
inside (such as a BLAS), and what a base that is not made of Debian's packages holds beside Python.
"""

import argparse
import json
import platform
import re
import sys
import uuid
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any
from urllib.parse import quote

Component = dict[str, Any]
Lines = Mapping[str, str]

_NAMES = uuid.UUID("6d1e7b0e-7b3c-5c55-9d0f-3f9a6a1f6f10")
"""Where the serial numbers of these documents come from, so that they follow from what is listed."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the report and the machine, and write the document."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--image", required=True, help="name of the image")
    parser.add_argument("--report", required=True, type=Path, help="what `pip install --report` wrote")
    parser.add_argument("--lock", required=True, type=Path, help="the requirements file that was installed")
    parser.add_argument("--root", default="/", type=Path, help="folder that holds etc/os-release and var/lib/dpkg")
    parser.add_argument("--into", required=True, type=Path, help="the document to write")
    options = parser.parse_args(arguments)
    report = json.loads(options.report.read_text(encoding="utf-8"))
    system = _system(options.root)
    document = describe(
        options.image,
        components=[
            *_interpreter(),
            *python_components(report["install"], distributions()),
            *_operating_system(system),
            *debian_components(_dpkg(options.root), system=system),
        ],
        lock_digest=sha256(options.lock.read_bytes()).hexdigest(),
    )
    options.into.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def describe(image: str, *, components: Sequence[Component], lock_digest: str) -> dict[str, Any]:
    """Make the document: each component once, sorted, and a serial number that follows from all the rest."""
    unique = {component["bom-ref"]: component for component in components}
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "lifecycles": [{"phase": "build"}],
            "component": {"type": "container", "name": image, "bom-ref": image},
            "properties": [{"name": "dev.goldgate.lock-digest", "value": f"sha256:{lock_digest}"}],
        },
        "components": [unique[reference] for reference in sorted(unique)],
        "dependencies": [{"ref": image, "dependsOn": sorted(unique)}],
    }
    content = json.dumps(document, sort_keys=True)
    return {**document, "serialNumber": uuid.uuid5(_NAMES, content).urn}


def python_components(installed: Sequence[Mapping[str, Any]], present: Iterable[Distribution]) -> list[Component]:
    """List the Python packages: those of pip's report with their hashes, and those that the base had before."""
    hashes_of = {
        (_normal(each["metadata"]["name"]), each["metadata"]["version"]): each["download_info"]["archive_info"][
            "hashes"
        ]
        for each in installed
    }
    components = []
    for distribution in present:
        name = _normal(distribution.metadata["Name"])
        component = _component(name, distribution.version, purl=f"pkg:pypi/{name}@{quote(distribution.version)}")
        if hashes := hashes_of.get((name, distribution.version)):
            component["hashes"] = [{"alg": "SHA-256", "content": hashes["sha256"]}]
        if "License-Expression" in distribution.metadata:
            component["licenses"] = [{"expression": distribution.metadata["License-Expression"]}]
        components.append(component)
    return components


def debian_components(packages: Sequence[Lines], *, system: Lines) -> list[Component]:
    """List the packages that dpkg knows as installed."""
    distribution = system.get("ID", "debian")
    release = f"{distribution}-{system['VERSION_ID']}" if "VERSION_ID" in system else distribution
    return [
        _component(
            package["Package"],
            package["Version"],
            purl=f"pkg:deb/{distribution}/{quote(package['Package'])}@{quote(package['Version'], safe='')}"
            f"?arch={package['Architecture']}&distro={release}",
        )
        for package in packages
        if package.get("Status", "install ok installed").endswith(" installed")
    ]


def _interpreter() -> list[Component]:
    version = platform.python_version()
    return [{**_component("python", version, purl=f"pkg:generic/python@{quote(version)}"), "type": "platform"}]


def _operating_system(system: Lines) -> list[Component]:
    if "ID" not in system:
        return []
    version = {"version": system["VERSION_ID"]} if "VERSION_ID" in system else {}
    return [{"type": "operating-system", "bom-ref": "operating-system", "name": system["ID"], **version}]


def _component(name: str, version: str, *, purl: str) -> Component:
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def _normal(name: str) -> str:
    """Write the name of a Python package as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _system(root: Path) -> dict[str, str]:
    path = root / "etc" / "os-release"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {key: value.strip("\"'") for key, _, value in (line.partition("=") for line in lines) if value}


def _dpkg(root: Path) -> list[dict[str, str]]:
    """Read dpkg's lists: one file on Debian, one for each package where there is no dpkg itself."""
    folder = root / "var" / "lib" / "dpkg"
    split = sorted(path for path in (folder / "status.d").glob("*") if path.suffix != ".md5sums")
    texts = [path.read_text(encoding="utf-8") for path in [folder / "status", *split] if path.is_file()]
    packages = [
        dict(re.findall(r"^([A-Z][\w-]*): (.*)$", paragraph, flags=re.MULTILINE))
        for text in texts
        for paragraph in text.split("\n\n")
    ]
    return [package for package in packages if "Package" in package]


if __name__ == "__main__":
    main(sys.argv[1:])
