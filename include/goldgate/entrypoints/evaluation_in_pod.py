"""Have a gold set asked by a pod, and take its results from where the pod laid them down.

The pod is named after what it is to do. Whoever asks for the same again, because the first worker died, finds the same
pod and takes its results; asking the gold set changes nothing, so that a pod that is lost is simply replaced.
"""

import base64
import contextlib
import json
import logging
import time
from collections import deque
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
from goldgate.contracts.evaluation import JUDGE_VERSION, ResultRow
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
from goldgate.entrypoints.evaluation_leftovers import POD_LABELS, Leftovers, use_of
from goldgate.entrypoints.evaluation_pod import ASKED, IMPOSSIBLE, PROGRESS, RESULTS, TRY_AGAIN
from goldgate.entrypoints.evaluations import About
from goldgate.entrypoints.settings import Settings
from goldgate.ports.parts import PartStore
from goldgate.ports.pods import PodOrder, Pods
from goldgate.release.trial import Contestant, OnRow

log = logging.getLogger(__name__)

_LAST_LINES: Final = 20
"""Of the log of a pod that did not do its work: they are told, since the pod may be gone when somebody looks."""

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
    leftovers: Leftovers
    pause: Callable[[float], None] = field(default=time.sleep)
    on_close: Callable[[], None] = field(default=lambda: None)
    """Called once a gold set was asked: it asks one."""

    @property
    def use(self) -> str:
        """What the parts of this evaluation are for: no other takes them away."""
        return use_of(self.about.release_id)

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
            TransientError: The cluster cannot be reached: asked again, the same pod is found. Or what the pod needs
                does not answer: asked again, another is made.
        """
        plan = _Plan(rows=rows, repeats=repeats, concurrency=concurrency, seed=seed, budget=budget)
        try:
            self.leftovers.sweep()
            return self._ask(plan, contestants, on_row=on_row)
        finally:
            self.on_close()

    def _ask(
        self, plan: "_Plan", contestants: Mapping[str, Contestant], *, on_row: OnRow
    ) -> dict[str, list[ResultRow]]:
        needs = self.needs(list(contestants.values()))
        pod = self._pod(self._laid_down(plan, contestants), within_s=plan.budget.max_evaluation_s, needs=needs)
        try:
            results = self._answered(pod, lay_down=lambda: self._laid_down(plan, contestants), on_row=on_row)
        except PermanentError:
            self.leftovers.forget_parts(self.about.release_id)
            raise
        except KeyboardInterrupt:
            self.leftovers.forget(self.about.release_id)
            raise
        self.leftovers.forget_parts(self.about.release_id)
        _require_whole(results, contestants=contestants, rows=plan.rows, repeats=plan.repeats)
        return results

    def _laid_down(self, plan: "_Plan", contestants: Mapping[str, Contestant]) -> StoredText:
        """Lay down all that the pod reads, and tell where its order lies. What is there already is left as it is."""
        order = EvaluationOrder(
            agent=self.about.agent,
            release_id=self.about.release_id,
            contestants={who: self._stored(who, each) for who, each in contestants.items()},
            rows=self.parts.put("".join(f"{row.model_dump_json()}\n" for row in plan.rows), use=self.use),
            repeats=plan.repeats,
            concurrency=plan.concurrency,
            seed=plan.seed,
            budget=plan.budget,
            judge_version=JUDGE_VERSION,
        )
        return self.parts.put(order.model_dump_json(), use=self.use)

    def _stored(self, who: str, contestant: Contestant) -> StoredContestant:
        archive = base64.b64encode(pack_bundle(contestant.bundle)).decode("ascii")
        return StoredContestant(
            archive=self.parts.put(archive, use=self.use),
            bundle_digest=contestant.bundle_digest,
            version=self.about.versions[who],
        )

    def _pod(self, order: StoredText, *, within_s: float, needs: Mapping[EnvName, FromEnv]) -> PodOrder:
        return PodOrder(
            name=f"{self.use}-{order.digest[:16]}",
            run=None,
            command=("python3", "-m", "goldgate.entrypoints.evaluation_pod", order.model_dump_json()),
            settings=self.settings.model_copy(update={"service_account": self.settings.evaluation_service_account}),
            env_from=needs,
            labels=POD_LABELS,
            deadline_s=within_s + _STARTS_AND_ENDS_S,
        )

    def _answered(self, pod: PodOrder, *, lay_down: Callable[[], object], on_row: OnRow) -> dict[str, list[ResultRow]]:
        """Have a pod do its work, and read what it laid down."""
        said = self._asked(pod, lay_down=lay_down, on_row=on_row)
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
        # The pod first: as long as it is there, it says that its results are there too.
        self.pods.end(pod.name)
        for where in results.values():
            self.parts.remove(where, use=RESULTS)

    def _asked(self, pod: PodOrder, *, lay_down: Callable[[], object], on_row: OnRow) -> str:
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
            self._tell_last_lines(pod.name)
            _refuse_hopeless(pod.name, ended)
            lost.append("it vanished" if ended is None else _why(ended))
            if len(lost) > self.settings.max_losses or (ended is not None and ended.reason == "OOMKilled"):
                raise PermanentError(
                    f"Pod `{pod.name}` did not come to its end: {'; '.join(lost)}. `maxLosses` of the PodSettings "
                    "grants others; one that needs more memory gets it by `resources.limits.memory` there."
                )
            self._remove(pod.name)
            # Another worker that waited for the same pod may have tidied up after it.
            lay_down()

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

    def _tell_last_lines(self, pod: str) -> None:
        with contextlib.suppress(TransientError):
            for line in deque(self.pods.log(pod), maxlen=_LAST_LINES):
                log.warning("evaluation.pod_said pod=%s %s", pod, line)


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """What is asked, and how."""

    rows: Sequence[GoldRow]
    repeats: int
    concurrency: int
    seed: int
    budget: Budgets


def in_pod(settings: Settings, *, about: About, access: str | Access) -> GoldSetInPod:
    """Wire what asks gold sets in the pods of a cluster.

    Raises:
        PermanentError: The settings of pods are missing or wrong, or there is no way to the cluster.
    """
    if settings.pods is None:
        raise PermanentError("Found no GOLDGATE_PODS; expected the path of a file of kind PodSettings.")
    made = read_yaml(settings.pods, PodSettings).spec
    cluster = connect(access, namespace=settings.namespace)
    clock, parts = SystemClock(), ClusterPartStore(cluster)
    pods = ClusterPods(cluster, clock=clock)
    return GoldSetInPod(
        about=about,
        settings=made,
        pods=pods,
        parts=parts,
        needs=needs_of_bundles,
        leftovers=Leftovers(pods=pods, parts=parts, clock=clock),
        on_close=cluster.client.close,
    )


def forget_in(access: str | Access, *, settings: Settings, release_id: str) -> None:
    """End an evaluation that nobody wants any more, in a cluster.

    Raises:
        PermanentError: There is no way to the cluster.
        TransientError: It cannot be reached.
    """
    cluster, clock = connect(access, namespace=settings.namespace), SystemClock()
    with contextlib.closing(cluster.client):
        pods, parts = ClusterPods(cluster, clock=clock), ClusterPartStore(cluster)
        Leftovers(pods=pods, parts=parts, clock=clock).forget(release_id)


def needs_of_bundles(contestants: Sequence[Contestant]) -> Mapping[EnvName, FromEnv]:
    """Name the variables that bundles read from Secrets.

    Raises:
        PermanentError: Two of them read one variable from different Secrets.
    """
    below = f"**/{AGENTS_FOLDER}/*/{AGENT_FILE}"
    bundles = [each.bundle for each in contestants]
    bundles += [file.parent for bundle in bundles for file in bundle.glob(below)]
    return env_from_of(*(read_resource(document) for bundle in bundles for document in documents_in(bundle)))


def _refuse_hopeless(name: str, ended: PodFacts | None) -> None:
    """Raise if a pod itself said that another would do no better now."""
    if ended is not None and ended.exit_code == IMPOSSIBLE:
        raise PermanentError(f"Pod `{name}` could not evaluate: {ended.message}")
    if ended is not None and ended.exit_code == TRY_AGAIN:
        raise TransientError(f"Pod `{name}` could not evaluate now: {ended.message}")


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
    results: Mapping[str, Sequence[ResultRow]],
    *,
    contestants: Mapping[str, Contestant],
    rows: Sequence[GoldRow],
    repeats: int,
) -> None:
    expected = [(row.id, repeat) for row in rows for repeat in range(repeats)]
    counts = {who: len(results.get(who, [])) for who in contestants}
    found = {who: [(one.row_id, one.repeat) for one in results.get(who, [])] for who in contestants}
    if set(results) != set(contestants) or any(each != expected for each in found.values()):
        raise PermanentError(
            f"Found {counts} results of {sorted(results)} from the pod; expected {len(expected)} of each of "
            f"{sorted(contestants)}: each row of the gold set, each repeat, once. Nothing was decided on them. "
            "Evaluate again."
        )
