"""What a TaskRun costs above a bare pod that does the same work: the same image, bundle, question, model and tool.

The bare pod runs a plain script that opens the bundle and asks it, its tools prepared while the model thinks, as ours.
Its interpreter ends in its own time, which ours is spared. It keeps no record, and its result is read from its log when
it has ended. Ours is what the operator does, without Airflow's own scheduling: tend, watch, tend; its result is read
from the record.

Both in turns, from the first request to the API server on, watched by a second watch where ours is seen to run; then
fifty at once, which nobody watches but who waits for them.

Run: `PYTHONPATH=.:include .venv/bin/python benchmarks/pods.py --json FILE`, on the cluster that `make test-cluster`
would use.
"""

import argparse
import base64
import json
import os
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from lightkube import Client

from goldgate.adapters.cluster.connection import connect
from goldgate.adapters.cluster.pod_facts import facts_of
from goldgate.adapters.cluster.pod_manifest import manifest_of
from goldgate.adapters.cluster.pods import PodResource
from goldgate.agent.bundle import read_manifest
from goldgate.agent.bundle_archive import pack_bundle
from goldgate.contracts.pods import PodSettings
from goldgate.domain.digest import Digest
from goldgate.domain.runs.pods import PodPhase
from goldgate.ports.pods import PodOrder
from tests.cluster.clusters import any_cluster, prepare
from tests.cluster.conftest import cluster_of, namespaced
from tests.cluster.tending import Tended, settings_of
from tests.cluster.world import AGENT, ANSWER, Place, World, settle

HAS_RUN = {PodPhase.RUNNING, PodPhase.ENDED}
MESSAGE = "Book the blue room."
BARE = """
import os, sys, threading
from pathlib import Path
from goldgate.agent.bundle_archive import unpack_bundle
from goldgate.contracts.prediction import PredictRequest
from goldgate.entrypoints.agents import load_agent
bundle = unpack_bundle(Path("/bundle/archive").read_bytes(), into=Path("/tmp/bundles"), digest=sys.argv[1])
agent = load_agent(bundle, env=os.environ)
threading.Thread(target=agent.prepare_tools, daemon=True).start()
print(agent.predict(PredictRequest(question=sys.argv[2])).answer)
agent.close()
"""


@dataclass(frozen=True, kw_only=True)
class Took:
    """Seconds from the first request on."""

    running_s: float
    result_s: float


class Bare:
    """Pods that do the work and nothing else."""

    def __init__(self, place: Place, digest: str, archive: bytes) -> None:
        self._place = place
        self._digest = digest
        cluster = place.cluster
        self._client: Client = connect(place.access, namespace=cluster.namespace).client
        content = {"archive": base64.b64encode(archive).decode()}
        held = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "bundle"}, "binaryData": content}
        cluster.kubectl("apply", "-f", "-", stdin=json.dumps(held))

    def run(self, name: str) -> Took:
        """Have one pod do the work, and read what it said."""
        settings = yaml.safe_load(self._place.settings_file.read_text())
        order = PodOrder(
            name=name,
            run=None,
            command=("python3", "-c", BARE, self._digest, MESSAGE),
            settings=PodSettings.model_validate(settings).spec,
        )
        manifest = manifest_of(order, namespace=self._place.cluster.namespace)
        manifest["spec"]["volumes"].append({"name": "bundle", "configMap": {"name": "bundle"}})
        container = manifest["spec"]["containers"][0]
        container["volumeMounts"].append({"name": "bundle", "mountPath": "/bundle"})
        began = time.monotonic()
        self._client.create(PodResource.from_dict(manifest))
        running_s = phase_s(self._client, {"metadata.name": name}, began)
        said = "".join(self._client.log(name)).strip()
        result_s = time.monotonic() - began
        assert said.splitlines()[-1] == ANSWER, said
        self._client.delete(PodResource, name)
        return Took(running_s=running_s, result_s=result_s)


def phase_s(client: Client, fields: dict[str, str], began: float) -> float:
    """Wait for the end of a pod's container, and tell when it was seen to run.

    The pod itself is called ended only some time later, when the node has cleared it away: ours is not waited for so
    long either.
    """
    running_s: float | None = None
    for _, pod in client.watch(PodResource, fields=fields):
        facts = facts_of(pod, now=datetime.now(UTC))
        if facts.phase in HAS_RUN and running_s is None:
            running_s = time.monotonic() - began
        if facts.phase is PodPhase.ENDED:
            if facts.exit_code != 0:
                raise RuntimeError(f"a bare pod failed: {''.join(client.log(pod['metadata']['name']))[-2000:]}")
            break
    assert running_s is not None
    return running_s


class Ours:
    """TaskRuns, as the operator has them done."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._client: Client = connect(place.access, namespace=place.cluster.namespace).client

    def run(self, name: str) -> Took:
        """Have one TaskRun done, read its result, and see when its pod ran."""
        seen: list[float] = []
        watching = threading.Thread(target=self._watch, args=(f"{name}-1", time.monotonic(), seen), daemon=True)
        watching.start()
        result_s = self.run_unseen(name)
        return Took(running_s=seen[0] if seen else result_s, result_s=result_s)

    def run_unseen(self, name: str) -> float:
        """Have one TaskRun done, and read its result: seconds from the first request on."""
        began = time.monotonic()
        told = Tended(self._place, name, spec={"agent": AGENT, "user_message": MESSAGE}).begin().over()
        result_s = time.monotonic() - began
        assert told["output"] == ANSWER, told
        return result_s

    def _watch(self, pod: str, began: float, seen: list[float]) -> None:
        for _, found in self._client.watch(PodResource, fields={"metadata.name": pod}):
            if facts_of(found, now=datetime.now(UTC)).phase in HAS_RUN:
                seen.append(time.monotonic() - began)
                return


def at_once(run: Callable[[str], object], *, count: int, prefix: str) -> tuple[float, int]:
    """Have many done at once: seconds for all, and how many did not come to their result."""
    began = time.monotonic()
    with ThreadPoolExecutor(max_workers=count) as threads:
        done = [threads.submit(run, f"{prefix}{number}") for number in range(count)]
        lost = sum(1 for each in done if each.exception() is not None)
    return time.monotonic() - began, lost


def measured(place: Place, *, rounds: int, many: int) -> list[dict[str, Any]]:
    """Measure both, in turns, and write rows."""
    [bundle] = [path.parent for path in (place.folder / "home" / "bundles").glob("*/bundle.json")]
    bare, ours = Bare(place, Digest(read_manifest(bundle).digest), pack_bundle(bundle)), Ours(place)
    bare.run("warm-bare"), ours.run("warm-ours")
    took: dict[str, list[Took]] = {"bare": [], "ours": []}
    for number in range(rounds):
        # A node looks once a second for containers that have ended: each run ends anywhere between two looks.
        time.sleep(number / rounds)
        took["bare"].append(bare.run(f"bare-{number}"))
        time.sleep(number / rounds)
        took["ours"].append(ours.run(f"ours-{number}"))
    rows = []
    for name, field in (("create to Running", "running_s"), ("create to result", "result_s")):
        median = {who: statistics.median(getattr(each, field) for each in took[who]) for who in took}
        rows.append({"name": name, "role": "bound", "value": round(median["bare"], 3), "unit": "s"})
        rows.append({"name": name, "role": "ours", "value": round(median["ours"], 3), "unit": "s"})
        above = median["ours"] / median["bare"] - 1
        rows.append({"name": f"{name}, above the bare pod", "role": "ours", "value": round(above, 3), "unit": "ratio"})
    every: list[tuple[str, Callable[[str], object]]] = [("bound", bare.run), ("ours", ours.run_unseen)]
    for who, run in every:
        all_s, lost = at_once(run, count=many, prefix=f"{who}-many-")
        rows.append({"name": f"{many} at once", "role": who, "value": round(all_s, 2), "unit": "s"})
        rows.append({"name": f"{many} at once, lost", "role": who, "value": lost, "unit": "runs"})
    return rows


def main() -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--many", type=int, default=50)
    parser.add_argument("--model-s", type=float, default=0.5, help="how long the model takes for each of two replies")
    parser.add_argument("--json", type=Path, help="file to write the rows to")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with any_cluster() as found, tempfile.TemporaryDirectory() as folder:
        os.environ.update(found.env)
        prepare(os.environ)
        whole = cluster_of(os.environ)
        assert whole is not None
        print(f"On {found.what}; the model takes {arguments.model_s:g} s for a reply.")
        with namespaced(whole) as cluster:
            world = World(cluster.host, model_s=arguments.model_s)
            place = settle(cluster, world, Path(folder))
            with settings_of(place):
                rows = measured(place, rounds=arguments.rounds, many=arguments.many)
            world.close()
    for row in rows:
        print(f"{row['name']:40} {row['role']:6} {row['value']:8} {row['unit']}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"rows": rows}, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
