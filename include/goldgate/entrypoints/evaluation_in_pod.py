"""Have a gold set asked by a pod, and take its results from where the pod laid them down.

The pod is named after what it is to do, and how it is made. Whoever asks for the same again, because the first worker
died, finds the same pod and takes its results; asking the gold set changes nothing, so that a pod that is lost is
simply replaced.
"""

import base64
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from goldgate.adapters.cluster.connection import Access, connect
from goldgate.adapters.cluster.failures import Patience
from goldgate.adapters.cluster.parts import ClusterPartStore
from goldgate.adapters.cluster.pods import ClusterPods
from goldgate.adapters.system_clock import SystemClock
from goldgate.agent.bundle import AGENTS_FOLDER
from goldgate.agent.bundle_archive import pack_bundle
from goldgate.agent.folder import AGENT_FILE
from goldgate.contracts.cluster import StoredText
from goldgate.contracts.documents import parse_json, parse_jsonl, read_yaml
from goldgate.contracts.env_references import env_from_of
from goldgate.contracts.evaluation import JUDGE_VERSION, GoldSetPlan, ResultRow, Spent
from goldgate.contracts.evaluation_pods import EvaluationOrder, EvaluationTold, StoredContestant
from goldgate.contracts.gold import GoldRow
from goldgate.contracts.pods import PodSettings, PodSettingsSpec
from goldgate.contracts.resource_parts import EnvName, FromEnv
from goldgate.domain.digest import digest_bytes
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.entrypoints.agent_resources import documents_in, read_resource
from goldgate.entrypoints.evaluation_leftovers import POD_LABELS, Leftovers, use_of
from goldgate.entrypoints.evaluation_pod import OUTLIVES_S, RESULTS
from goldgate.entrypoints.evaluations import About
from goldgate.entrypoints.pods_in_turn import PodsInTurn
from goldgate.entrypoints.settings import Settings
from goldgate.ports.parts import PartStore
from goldgate.ports.pods import PodOrder
from goldgate.release.trial import Contestant, OnRow

log = logging.getLogger(__name__)

_STARTS_AND_ENDS_S: Final = 600.0
"""What a pod may take beside the time that the policy grants the evaluation itself: pulling its image, loading."""


@dataclass(frozen=True, kw_only=True)
class GoldSetInPod:
    """Asks a gold set in a pod. Implements `goldgate.release.trial.RunGoldSet`."""

    about: About
    settings: PodSettingsSpec
    pods: PodsInTurn
    parts: PartStore
    needs: Callable[[Sequence[Contestant]], Mapping[EnvName, FromEnv]]
    """Which variables the contestants read from Secrets."""
    leftovers: Leftovers
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
        plan: GoldSetPlan,
        on_row: OnRow,
    ) -> dict[str, list[ResultRow]]:
        """Return every result under its contestant.

        Raises:
            PermanentError: The pod cannot start, or it told why nothing can be asked; or results are missing.
            TransientError: The cluster cannot be reached: asked again, the same pod is found. Or what the pod needs
                does not answer: asked again, another is made.
        """
        try:
            self.leftovers.sweep()
            results = self._ask(rows, contestants, plan, on_row=on_row)
        except PermanentError:
            self._tidy(lambda: self.leftovers.forget_parts(self.about.release_id))
            raise
        except KeyboardInterrupt:
            self.leftovers.forget(self.about.release_id)
            raise
        else:
            self._tidy(lambda: self.leftovers.forget_parts(self.about.release_id))
        finally:
            self.on_close()
        _require_whole(results, contestants=contestants, rows=rows, repeats=plan.repeats)
        return results

    def _ask(
        self, rows: Sequence[GoldRow], contestants: Mapping[str, Contestant], plan: GoldSetPlan, *, on_row: OnRow
    ) -> dict[str, list[ResultRow]]:
        needs = self.needs(list(contestants.values()))
        settings = self.settings.model_copy(update={"service_account": self.settings.evaluation_service_account})
        papers = self._papers(rows, contestants, plan)
        name = self._pod_name(papers.order)

        def order(spent: Spent) -> PodOrder:
            _require_some_left(spent, plan)
            # Laid down for each pod: another worker that waited for the one before may have tidied up after it.
            for text in papers.texts:
                self.parts.put(text, use=self.use)
            return PodOrder(
                name=name,
                run=None,
                command=_command(papers.order, spent),
                settings=settings,
                env_from=needs,
                labels=POD_LABELS,
                deadline_s=plan.budget.max_evaluation_s - spent.seconds + _STARTS_AND_ENDS_S,
            )

        self._tidy(lambda: self.leftovers.end_pods(self.about.release_id, but=name))
        return self.pods.done(name, order=order, take=lambda said: self._taken(name, said), on_row=on_row)

    def _papers(self, rows: Sequence[GoldRow], contestants: Mapping[str, Contestant], plan: GoldSetPlan) -> "_Papers":
        """Write all that the pod reads."""
        archives = {who: _archive(each) for who, each in contestants.items()}
        gold = "".join(f"{row.model_dump_json()}\n" for row in rows)
        order = EvaluationOrder(
            agent=self.about.agent,
            release_id=self.about.release_id,
            contestants={who: self._stored(who, each, archives[who]) for who, each in contestants.items()},
            rows=self.parts.described(gold),
            plan=plan,
            judge_version=JUDGE_VERSION,
        ).model_dump_json()
        return _Papers(order=self.parts.described(order), texts=(*archives.values(), gold, order))

    def _stored(self, who: str, contestant: Contestant, archive: str) -> StoredContestant:
        return StoredContestant(
            archive=self.parts.described(archive),
            bundle_digest=contestant.bundle_digest,
            version=self.about.versions[who],
        )

    def _pod_name(self, order: StoredText) -> str:
        """Name a pod by its order and its settings: what another image answered is not taken for an answer of this."""
        made_of = f"{order.digest} {self.settings.model_dump_json()}"
        return f"{self.use}-{digest_bytes(made_of.encode())[:16]}"

    def _taken(self, pod: str, said: str) -> dict[str, list[ResultRow]]:
        """Read what a pod laid down, and take it away."""
        results: dict[str, StoredText] = {}
        try:
            results = parse_json(said, EvaluationTold, where=f"the last word of pod `{pod}`").results
            read = {who: self._read(where) for who, where in results.items()}
        except PermanentError:
            # Else whoever asks again finds this pod, and what it laid down, once more.
            self._tidy(lambda: self._let_go(pod, results))
            raise
        self._tidy(lambda: self._let_go(pod, results))
        return read

    def _let_go(self, pod: str, results: Mapping[str, StoredText]) -> None:
        # The pod first: as long as it is there, it says that its results are there too.
        self.leftovers.pods.end(pod)
        for where in results.values():
            self.parts.remove(where, use=RESULTS)

    def _tidy(self, tidy: Callable[[], None]) -> None:
        """Remove what is not needed any more. What was answered, and paid, is not lost with that."""
        try:
            tidy()
        except (PermanentError, TransientError) as error:
            log.warning("evaluation.leftovers_stay %s", error)

    def _read(self, where: StoredText) -> list[ResultRow]:
        return parse_jsonl(self.parts.get(where), ResultRow, where="the results of the pod")


@dataclass(frozen=True, kw_only=True)
class _Papers:
    """What a pod reads."""

    order: StoredText
    """Names all the others."""
    texts: tuple[str, ...]


def in_pod(settings: Settings, *, about: About, access: str | Access) -> GoldSetInPod:
    """Wire what asks gold sets in the pods of a cluster.

    Raises:
        PermanentError: The settings of pods are missing or wrong, or there is no way to the cluster.
    """
    if settings.pods is None:
        raise PermanentError("Found no GOLDGATE_PODS; expected the path of a file of kind PodSettings.")
    made = read_yaml(settings.pods, PodSettings).spec
    cluster = connect(access, namespace=settings.namespace)
    # A pod goes on while the API server is away, and so does whoever waits for it.
    patience = Patience(within_s=OUTLIVES_S)
    clock, parts = SystemClock(), ClusterPartStore(cluster, patience=patience)
    pods = ClusterPods(cluster, clock=clock, patience=patience)
    return GoldSetInPod(
        about=about,
        settings=made,
        pods=PodsInTurn(pods=pods, settings=made, clock=clock),
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


def _archive(contestant: Contestant) -> str:
    return base64.b64encode(pack_bundle(contestant.bundle)).decode("ascii")


def _command(order: StoredText, spent: Spent) -> tuple[str, ...]:
    program = ("python3", "-m", "goldgate.entrypoints.evaluation_pod", order.model_dump_json())
    return program if spent == Spent() else (*program, "--spent", spent.model_dump_json())


def _require_some_left(spent: Spent, plan: GoldSetPlan) -> None:
    budget = plan.budget
    if spent.usd >= budget.max_evaluation_cost_usd or spent.seconds >= budget.max_evaluation_s:
        raise PermanentError(
            f"The evaluation was stopped: pods that were lost used USD {spent.usd:.4f} and {spent.seconds:.0f} s, and "
            f"`budgets` grants USD {budget.max_evaluation_cost_usd:g} and {budget.max_evaluation_s:g} s. See why they "
            "were lost (above), or raise the budget in `release.yaml`."
        )


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
