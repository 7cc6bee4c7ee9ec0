"""Have a gold set asked by a pod, and take its results from where the pod laid them down.

The pod is named after what it is to do. Whoever asks for the same again, because the first worker died, finds the same
pod and takes its results; asking the gold set changes nothing, so that a pod that is lost is simply replaced.
"""

import base64
import contextlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from goldgate.adapters.cluster.connection import Access, connect
from goldgate.adapters.cluster.parts import ClusterPartStore
from goldgate.adapters.cluster.pods import ClusterPods
from goldgate.adapters.system_clock import SystemClock
from goldgate.agent.bundle import AGENTS_FOLDER
from goldgate.agent.bundle_archive import pack_bundle
from goldgate.agent.folder import AGENT_FILE
from goldgate.contracts.cluster import StoredText
from goldgate.contracts.documents import parse_json, parse_jsonl, read_yaml
from goldgate.contracts.env_references import env_from_of
from goldgate.contracts.evaluation import ResultRow
from goldgate.contracts.evaluation_pods import EvaluationOrder, EvaluationTold, StoredContestant
from goldgate.contracts.gold import GoldRow
from goldgate.contracts.pods import PodSettings, PodSettingsSpec
from goldgate.contracts.policy import Budgets
from goldgate.contracts.resource_parts import EnvName, FromEnv
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.domain.runs.launching import NODE_SILENT_S
from goldgate.domain.runs.pod_troubles import trouble_of
from goldgate.domain.runs.pods import PodFacts, PodPhase
from goldgate.entrypoints.agent_resources import documents_in, read_resource
from goldgate.entrypoints.evaluation_pod import ASKED, IMPOSSIBLE, PROGRESS, RESULTS
from goldgate.entrypoints.evaluations import About
from goldgate.entrypoints.settings import Settings
from goldgate.ports.parts import PartStore
from goldgate.ports.pods import PodOrder, Pods
from goldgate.release.trial import Contestant, OnRow

USE: Final = "evaluation"
"""What the parts are for that the pod is given."""

_LOOK_EVERY_S: Final = 1.0
_STARTS_AND_ENDS_S: Final = 600.0
"""What a pod may take beside the time that the policy grants the evaluation itself: pulling its image, loading."""


@dataclass(frozen=True, kw_only=True)
class GoldSetInPod:
    """Asks a gold set in a pod. Implements `goldgate.release.trial.RunGoldSet`."""

    about: About
    settings: PodSettingsSpec
    pods: Pods
    parts: PartStore
    needs: Callable[[Sequence[Contestant]], Mapping[EnvName, FromEnv]]
    """Which variables the contestants read from Secrets."""
    pause: Callable[[float], None] = field(default=time.sleep)

    def __call__(
        self,
        rows: Sequence[GoldRow],
        *,
        contestants: Mapping[str, Contestant],
        repeats: int,
        concurrency: int,
        seed: int,
        budget: Budgets,
        on_row: OnRow,
    ) -> dict[str, list[ResultRow]]:
        """Return every result under its contestant.

        Raises:
            PermanentError: The pod cannot start, or it told why nothing can be asked; or results are missing.
            TransientError: The cluster cannot be reached. Asked again, the same pod is found.
        """
        order = EvaluationOrder(
            agent=self.about.agent,
            release_id=self.about.release_id,
            contestants={who: self._stored(who, each) for who, each in contestants.items()},
            rows=self.parts.put("".join(f"{row.model_dump_json()}\n" for row in rows), use=USE),
            repeats=repeats,
            concurrency=concurrency,
            seed=seed,
            budget=budget,
        )
        stored = self.parts.put(order.model_dump_json(), use=USE)
        pod = self._pod(stored, within_s=budget.max_evaluation_s, needs=self.needs(list(contestants.values())))
        laid_down = [stored, order.rows, *(each.archive for each in order.contestants.values())]
        try:
            results = self._answered(pod, on_row=on_row)
        except PermanentError:
            self._forget(laid_down, use=USE)
            raise
        self._forget(laid_down, use=USE)
        _require_whole(results, contestants=contestants, expected=len(rows) * repeats)
        return results

    def _stored(self, who: str, contestant: Contestant) -> StoredContestant:
        archive = base64.b64encode(pack_bundle(contestant.bundle)).decode("ascii")
        return StoredContestant(
            archive=self.parts.put(archive, use=USE),
            bundle_digest=contestant.bundle_digest,
            version=self.about.versions[who],
        )

    def _pod(self, order: StoredText, *, within_s: float, needs: Mapping[EnvName, FromEnv]) -> PodOrder:
        return PodOrder(
            name=f"evaluation-{order.digest[:16]}",
            run=None,
            command=("python3", "-m", "goldgate.entrypoints.evaluation_pod", order.model_dump_json()),
            settings=self.settings.model_copy(update={"service_account": self.settings.evaluation_service_account}),
            env_from=needs,
            labels={"app.kubernetes.io/name": "goldgate-evaluation"},
            deadline_s=within_s + _STARTS_AND_ENDS_S,
        )

    def _answered(self, pod: PodOrder, *, on_row: OnRow) -> dict[str, list[ResultRow]]:
        """Have a pod do its work, and read what it laid down."""
        said = self._asked(pod, on_row=on_row)
        results: dict[str, StoredText] = {}
        try:
            results = parse_json(said, EvaluationTold, where=f"the last word of pod `{pod.name}`").results
            read = {who: self._read(where) for who, where in results.items()}
        except PermanentError:
            # Else whoever asks again finds this pod, and what it laid down, once more.
            self._let_go(pod, results)
            raise
        self._let_go(pod, results)
        return read

    def _let_go(self, pod: PodOrder, results: Mapping[str, StoredText]) -> None:
        self._forget(results.values(), use=RESULTS)
        self.pods.end(pod.name)

    def _asked(self, pod: PodOrder, *, on_row: OnRow) -> str:
        """Follow pods of that name until one has done its work, or no other would; give its last word."""
        before = self._look(pod.name)
        if before is not None and before.phase is PodPhase.ENDED and before.exit_code != ASKED:
            # It was left for people to look at, by an evaluation that failed: this one is asked for anew.
            self._remove(pod.name)
        lost: list[str] = []
        while True:
            ended = self._ended(pod, on_row=on_row)
            if ended is not None and ended.exit_code == ASKED:
                return ended.message
            why = "it vanished" if ended is None else _why(ended)
            if ended is not None and ended.exit_code == IMPOSSIBLE:
                raise PermanentError(f"Pod `{pod.name}` could not evaluate: {ended.message}")
            lost.append(why)
            if len(lost) > self.settings.max_losses or (ended is not None and ended.reason == "OOMKilled"):
                raise PermanentError(
                    f"Pod `{pod.name}` did not come to its end: {'; '.join(lost)}. `maxLosses` of the PodSettings "
                    "grants others; one that needs more memory gets it by `resources.limits.memory` there."
                )
            self._remove(pod.name)

    def _ended(self, pod: PodOrder, *, on_row: OnRow) -> PodFacts | None:
        """Make a pod, or find it, and wait for its end. None: it vanished."""
        self.pods.launch(pod)
        while True:
            found = self._look(pod.name)
            if found is None or found.phase is PodPhase.ENDED:
                return found
            if found.phase is PodPhase.PENDING and found.age_s > self.settings.start_within_seconds:
                self.pods.end(pod.name)
                trouble = trouble_of(found) or found.reason or "the cluster gives no reason"
                raise PermanentError(f"Pod `{pod.name}` did not start within {found.age_s:.0f} s: {trouble}.")
            for done, of in _progress(self.pods.log(pod.name)):
                on_row(done, of)
            self.pause(_LOOK_EVERY_S)

    def _look(self, name: str) -> PodFacts | None:
        found = self.pods.look(name, run_uid="")
        if found is not None and found.phase is PodPhase.ENDING and found.overdue_s >= NODE_SILENT_S:
            raise TransientError(
                f"Pod `{name}` should have ended {found.overdue_s:.0f} s ago: its node does not answer, and there can "
                "be no other of that name. Mend or remove the node; the same evaluation then goes on."
            )
        return found

    def _remove(self, name: str) -> None:
        self.pods.end(name)
        while self._look(name) is not None:
            self.pause(_LOOK_EVERY_S)

    def _read(self, where: StoredText) -> list[ResultRow]:
        return parse_jsonl(self.parts.get(where), ResultRow, where="the results of the pod")

    def _forget(self, texts: Iterable[StoredText], *, use: str) -> None:
        for text in texts:
            self.parts.remove(text, use=use)


def in_pod(settings: Settings, *, about: About, access: str | Access) -> GoldSetInPod:
    """Wire what asks gold sets in the pods of a cluster.

    Raises:
        PermanentError: The settings of pods are missing or wrong, or there is no way to the cluster.
    """
    cluster = connect(access, namespace=settings.namespace)
    if settings.pods is None:
        raise PermanentError("Found no GOLDGATE_PODS; expected the path of a file of kind PodSettings.")
    return GoldSetInPod(
        about=about,
        settings=read_yaml(settings.pods, PodSettings).spec,
        pods=ClusterPods(cluster, clock=SystemClock()),
        parts=ClusterPartStore(cluster),
        needs=needs_of_bundles,
    )


def needs_of_bundles(contestants: Sequence[Contestant]) -> Mapping[EnvName, FromEnv]:
    """Name the variables that bundles read from Secrets.

    Raises:
        PermanentError: Two of them read one variable from different Secrets.
    """
    below = f"**/{AGENTS_FOLDER}/*/{AGENT_FILE}"
    bundles = [each.bundle for each in contestants]
    bundles += [file.parent for bundle in bundles for file in bundle.glob(below)]
    return env_from_of(*(read_resource(document) for bundle in bundles for document in documents_in(bundle)))


def _why(pod: PodFacts) -> str:
    said = f" ({pod.message.strip()[:300]})" if pod.message.strip() else ""
    return f"{pod.reason or f'ended with {pod.exit_code}'}{said}"


def _progress(lines: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Yield the latest of what a pod's log tells of its progress."""
    found: tuple[int, int] | None = None
    for line in lines:
        with contextlib.suppress(ValueError, TypeError, KeyError):
            told = json.loads(line)
            if told["event"] == PROGRESS:
                found = int(told["done"]), int(told["of"])
    if found is not None:
        yield found


def _require_whole(
    results: Mapping[str, Sequence[ResultRow]], *, contestants: Mapping[str, Contestant], expected: int
) -> None:
    counts = {who: len(results.get(who, [])) for who in contestants}
    if set(results) != set(contestants) or any(count != expected for count in counts.values()):
        raise PermanentError(
            f"Found {counts} results of {sorted(results)} from the pod; expected {expected} of each of "
            f"{sorted(contestants)}. Nothing was decided on them. Evaluate again."
        )
