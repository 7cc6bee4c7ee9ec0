"""Write the custom resources of a cluster from the contracts, into `include/deploy/crds`.

`python -m goldgate.entrypoints.crds` writes them; with `--check` it only says which are not current.
"""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

import yaml
from pydantic import BaseModel

from goldgate.contracts.admission_rules import DEMANDS
from goldgate.contracts.cluster import GROUP, VERSION, ClusterTaskRun, Part
from goldgate.contracts.foreign import EndpointAgent, PythonAgent
from goldgate.contracts.llm import LLM
from goldgate.contracts.resources import Agent, MCPServer
from goldgate.contracts.task_runs import Task
from goldgate.domain.schema_variants import Variant, merged
from goldgate.domain.structural_schemas import Schema, structural
from goldgate.entrypoints import generated_files
from goldgate.entrypoints.settings import CHECKOUT

FOLDER = CHECKOUT / "include" / "deploy" / "crds"

_HEAD: Final = "# Made of the contracts by `python -m goldgate.entrypoints.crds`.\n"


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of `kubectl get`."""

    name: str
    path: str
    """JSONPath; of several values the first that is there."""
    kind: str = "string"
    wide: bool = False
    """Only in `-o wide`."""

    def written(self) -> Schema:
        """Write it as it stands in a definition."""
        column = {"name": self.name, "type": self.kind, "jsonPath": self.path}
        return {**column, "priority": 1} if self.wide else column


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A custom resource."""

    contract: type[BaseModel]
    plural: str
    short: str
    columns: tuple[Column, ...]
    others: tuple[tuple[type[BaseModel], str, str], ...] = ()
    """Other contracts that documents of this kind may keep: each with the field of `spec` that says so, and how such
    a one is called."""
    described: str = ""
    """How one that keeps `contract` is called, if there are others."""
    categories: tuple[str, ...] = ("goldgate",)
    selectable: tuple[str, ...] = ()
    """Fields that `kubectl get --field-selector` takes."""

    @property
    def name(self) -> str:
        """What documents of this kind call it."""
        (name,) = get_args(self.contract.model_fields["kind"].annotation)
        return str(name)

    def schema(self) -> Schema:
        """Write the schema of its documents."""
        schema = _schema(self.contract)
        if self.others:
            variants = [
                Variant(name=name, key=key, schema=_schema(contract)["properties"]["spec"])
                for contract, key, name in self.others
            ]
            variants.append(Variant(name=self.described, key=None, schema=schema["properties"]["spec"]))
            schema["properties"]["spec"] = merged(variants)
        return schema


_AGE: Final = Column(name="Age", path=".metadata.creationTimestamp", kind="date")

_TASK_RUN_COLUMNS: Final = (
    Column(name="Agent/Task", path=".spec['agentRef','taskRef']"),
    Column(name="Phase", path=".status.phase"),
    Column(name="Status", path=".status.status"),
    Column(name="Preview", path=".status.userMessagePreview"),
    _AGE,
    Column(name="Detail", path=".status.statusDetail", wide=True),
    Column(name="Output", path=".status.output", wide=True),
    Column(name="Tokens-In", path=".status.usage.tokensIn", kind="integer", wide=True),
    Column(name="Tokens-Out", path=".status.usage.tokensOut", kind="integer", wide=True),
    Column(name="Cost-USD", path=".status.usage.costUsd", wide=True),
    Column(name="Pod", path=r".metadata.annotations.goldgate\.dev/pod", wide=True),
    Column(name="Error", path=".status.error", wide=True),
)

KINDS: Final = (
    Kind(
        contract=LLM,
        plural="llms",
        short="llm",
        columns=(
            Column(name="Model", path=".spec.model"),
            Column(name="Provider", path=".spec.provider"),
            _AGE,
            Column(name="Address", path=".spec.baseUrl", wide=True),
            Column(name="Address-From", path=".spec.baseUrlFrom.env", wide=True),
            Column(name="Key-From", path=".spec.apiKeyFrom.env", wide=True),
        ),
    ),
    Kind(
        contract=Agent,
        plural="agents",
        short="ag",
        described="an agent declared on our runtime",
        others=(
            (PythonAgent, "python", "an agent that is a Python callable"),
            (EndpointAgent, "endpoint", "an agent that is an endpoint"),
        ),
        columns=(
            Column(name="LLM", path=".spec['llm','endpoint.llm','model.name']"),
            _AGE,
            Column(name="Description", path=".spec.description", wide=True),
            Column(name="Bundle", path=r".metadata.annotations.goldgate\.dev/bundle", wide=True),
        ),
    ),
    Kind(
        contract=MCPServer,
        plural="mcpservers",
        short="mcp",
        columns=(Column(name="Program/Address", path=".spec['command','url']"), _AGE),
    ),
    Kind(
        contract=Task,
        plural="tasks",
        short="gtask",
        columns=(
            Column(name="Agent", path=".spec.agentRef"),
            Column(name="Message", path=".spec.userMessage"),
            _AGE,
        ),
    ),
    Kind(
        contract=ClusterTaskRun,
        plural="taskruns",
        short="tr",
        columns=_TASK_RUN_COLUMNS,
        categories=("goldgate", "all"),
        selectable=(".status.phase", ".spec.agentRef", ".spec.taskRef"),
    ),
    Kind(
        contract=Part,
        plural="parts",
        short="gpart",
        columns=(
            Column(name="Index", path=".spec.index", kind="integer"),
            Column(name="Count", path=".spec.count", kind="integer"),
            _AGE,
            Column(name="Digest", path=".spec.digest", wide=True),
        ),
    ),
)


def definition(kind: Kind) -> Schema:
    """Write the definition of a custom resource."""
    schema = kind.schema()
    # The server has its own; a name is all that may be told of it here, and a rule tells about it.
    schema["properties"]["metadata"] = {"type": "object", "properties": {"name": {"type": "string"}}}
    version: dict[str, Any] = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": [column.written() for column in kind.columns],
        "schema": {"openAPIV3Schema": schema},
    }
    if kind.selectable:
        version["selectableFields"] = [{"jsonPath": path} for path in kind.selectable]
    if "status" in schema["properties"]:
        version["subresources"] = {"status": {}}
    names = {
        "kind": kind.name,
        "listKind": f"{kind.name}List",
        "plural": kind.plural,
        "singular": kind.name.lower(),
        "shortNames": [kind.short] if kind.short != kind.name.lower() else [],
        "categories": list(kind.categories),
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {key: value for key, value in names.items() if value},
            "versions": [version],
        },
    }


def files() -> dict[str, str]:
    """Make every file of the folder: name to text."""
    made = {f"{kind.plural}.yaml": _yaml(definition(kind)) for kind in KINDS}
    resources = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": sorted(made),
    }
    return {**made, "kustomization.yaml": _yaml(resources)}


def stale_in(folder: Path) -> list[str]:
    """Name the files in a folder that are missing, outdated, or of no contract any more."""
    return generated_files.stale_in(folder, files(), ending=".yaml")


def write_to(folder: Path) -> list[str]:
    """Bring a folder up to date, and name the files that changed."""
    return generated_files.write_to(folder, files(), ending=".yaml")


def _schema(contract: type[BaseModel]) -> Schema:
    return structural(contract.model_json_schema(by_alias=True), name=contract.__name__, demands=DEMANDS)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the signature of its base
        """Write everything out: `kubectl` reads references, people do not."""
        return True


# Readers of YAML 1.1 that are not PyYAML take these for true and false.
_Dumper.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^[yYnN]$"), list("yYnN"))


def _yaml(document: Schema) -> str:
    return _HEAD + yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def main(argv: Sequence[str] | None = None) -> int:
    """Write or check the custom resources; 1 if a check finds one that is not current."""
    return generated_files.command(
        argv,
        described=__doc__,
        module="goldgate.entrypoints.crds",
        folder=FOLDER,
        stale_in=stale_in,
        write_to=write_to,
    )


if __name__ == "__main__":
    sys.exit(main())
