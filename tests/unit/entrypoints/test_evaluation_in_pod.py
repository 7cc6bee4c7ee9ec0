"""A gold set that a pod asks gives what it gives here; a pod that is lost is replaced, and nothing is left behind."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from goldgate.agent.bundle import seal
from goldgate.contracts.cluster import StoredText
from goldgate.contracts.documents import parse_json
from goldgate.contracts.evaluation import ResultRow
from goldgate.contracts.evaluation_pods import EvaluationOrder
from goldgate.contracts.pods import PodResources, PodSettingsSpec
from goldgate.contracts.policy import Budgets
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.domain.runs.pods import PodFacts, PodPhase
from goldgate.entrypoints.evaluation_in_pod import GoldSetInPod
from goldgate.entrypoints.evaluation_leftovers import LEFT_AFTER, Leftovers
from goldgate.entrypoints.evaluation_pod import RESULTS, carry_out, told_now_and_then
from goldgate.entrypoints.evaluations import About
from goldgate.evals.run import run_gold_set
from goldgate.ports.pods import PodOrder
from goldgate.release.trial import Contestant
from tests.fakes.agent_folders import write_folder
from tests.fakes.evaluations import ScriptedAgent, gold_rows, response
from tests.fakes.frozen_clock import FrozenClock
from tests.fakes.in_memory_parts import InMemoryParts

ROWS = gold_rows(3)
SETTINGS = PodSettingsSpec(
    image="localhost/agent@sha256:0",
    resources=PodResources(requests={"memory": "1Mi"}, limits={"memory": "1Mi"}),
    max_losses=1,
)
AGENTS = {"candidate": ScriptedAgent(), "champion": ScriptedAgent({"What is r0?": response("No idea.")})}

Fate = Callable[["WorkingPods", PodOrder], PodFacts | None]


def sealed(folder: Path, question: str) -> Contestant:
    manifest = seal(write_folder(folder, files={"README.md": question}), agent="tiny")
    return Contestant(bundle=folder, bundle_digest=manifest.digest)


@dataclass
class WorkingPods:
    """Pods that do their work the moment they are looked at; or meet another fate, one after the other."""

    parts: InMemoryParts
    folder: Path
    fates: list[Fate] = field(default_factory=list)
    made: list[PodOrder] = field(default_factory=list)
    there: dict[str, PodFacts | None] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def launch(self, order: PodOrder) -> None:
        if order.name not in self.there:
            self.made.append(order)
            fate = self.fates.pop(0) if self.fates else works
            self.there[order.name] = fate(self, order)

    def look(self, name: str, *, run_uid: str) -> PodFacts | None:
        assert run_uid == ""
        return self.there.get(name)

    def labelled(self, labels: Mapping[str, str]) -> list[PodFacts]:
        ours = {order.name for order in self.made if labels.items() <= order.labels.items()}
        return [pod for name, pod in self.there.items() if pod is not None and name in ours]

    def log(self, name: str, *, since: object = None) -> Iterator[str]:  # noqa: ARG002 - the port's signature
        yield from self.said

    def end(self, name: str) -> None:
        self.there.pop(name, None)


def ended(order: PodOrder, message: str = "", *, code: int = 0, reason: str = "") -> PodFacts:
    return PodFacts(name=order.name, phase=PodPhase.ENDED, exit_code=code, message=message, reason=reason)


def order_of(pods: WorkingPods, pod: PodOrder) -> EvaluationOrder:
    where = parse_json(pod.command[-1], StoredText, where="the order")
    return parse_json(pods.parts.get(where), EvaluationOrder, where="the order")


def works(pods: WorkingPods, pod: PodOrder) -> PodFacts:
    def ask(rows, *, contestants, **plan):
        assert all((each.bundle / "agent.yaml").is_file() for each in contestants.values())
        return run_gold_set(rows, agents={who: AGENTS[who] for who in contestants}, **plan)

    told = carry_out(order_of(pods, pod), parts=pods.parts, folder=pods.folder, ask=ask)
    return ended(pod, told.model_dump_json())


def vanishes_since_another_worker_took_its_results(pods: WorkingPods, _pod: PodOrder) -> None:
    pods.parts.texts.clear()


def finds_no_model(_pods: WorkingPods, pod: PodOrder) -> PodFacts:
    return ended(pod, "The model does not answer.", code=75)


def is_interrupted(_pods: WorkingPods, _pod: PodOrder) -> None:
    raise KeyboardInterrupt


def asks_one_row_twice(pods: WorkingPods, pod: PodOrder) -> PodFacts:
    def ask(rows, *, contestants, **plan):
        found = run_gold_set(rows, agents={who: AGENTS[who] for who in contestants}, **plan)
        return {who: [each[0], *each[:-1]] for who, each in found.items()}

    told = carry_out(order_of(pods, pod), parts=pods.parts, folder=pods.folder, ask=ask)
    return ended(pod, told.model_dump_json())


def vanishes(_pods: WorkingPods, _pod: PodOrder) -> None:
    return None


def is_taken_away(_pods: WorkingPods, pod: PodOrder) -> PodFacts:
    return ended(pod, "The node was low on memory.", code=137, reason="Evicted")


def wants_memory(_pods: WorkingPods, pod: PodOrder) -> PodFacts:
    return ended(pod, code=137, reason="OOMKilled")


def refuses(_pods: WorkingPods, pod: PodOrder) -> PodFacts:
    return ended(pod, "The evaluation was stopped: it used more than 600 s.", code=5)


def loses_a_row(pods: WorkingPods, pod: PodOrder) -> PodFacts:
    done = works(pods, pod)
    order = order_of(pods, pod)
    short = carry_out(
        order,
        parts=pods.parts,
        folder=pods.folder,
        ask=lambda rows, *, contestants, **plan: run_gold_set(
            rows[1:], agents={who: AGENTS[who] for who in contestants}, **plan
        ),
    )
    return ended(pod, short.model_dump_json(), code=done.exit_code or 0)


def cannot_start(_pods: WorkingPods, pod: PodOrder) -> PodFacts:
    return PodFacts(name=pod.name, phase=PodPhase.PENDING, reason="ImagePullBackOff", message="not found", age_s=301)


def never_starts(_pods: WorkingPods, pod: PodOrder) -> PodFacts:
    return PodFacts(name=pod.name, phase=PodPhase.PENDING, age_s=301)


def lays_down_what_cannot_be_read(pods: WorkingPods, pod: PodOrder) -> PodFacts:
    done = works(pods, pod)
    for key in [key for key in pods.parts.texts if key[-1] == RESULTS]:
        del pods.parts.texts[key]
    return done


def mumbles(_pods: WorkingPods, pod: PodOrder) -> PodFacts:
    return ended(pod, "no JSON")


def is_on_a_silent_node(_pods: WorkingPods, pod: PodOrder) -> PodFacts:
    return PodFacts(name=pod.name, phase=PodPhase.ENDING, overdue_s=61)


def cannot_be_reached(*_: object, **__: object) -> PodFacts | None:
    raise TransientError("The API server does not answer.")


@dataclass
class Bench:
    folder: Path
    fates: list[Fate] = field(default_factory=list)
    progress: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = FrozenClock()
        self.parts = InMemoryParts(clock=self.clock)
        self.pods = WorkingPods(self.parts, self.folder / "unpacked", self.fates)
        self.leftovers = Leftovers(pods=self.pods, parts=self.parts, clock=self.clock)
        self.contestants = {who: sealed(self.folder / who, who) for who in AGENTS}

    def ask(self, release_id: str = "rel-1", **plan: object) -> dict[str, list[ResultRow]]:
        asks = GoldSetInPod(
            about=About(agent="a", release_id=release_id, versions={"candidate": "candidate", "champion": "7"}),
            settings=SETTINGS,
            pods=self.pods,
            parts=self.parts,
            needs=lambda _: {},
            leftovers=self.leftovers,
            pause=lambda _: None,
        )
        budget = Budgets(max_evaluation_cost_usd=1, max_evaluation_s=60)
        chosen = {"repeats": 2, "concurrency": 2, "seed": 7, "budget": budget, **plan}
        return asks(ROWS, contestants=self.contestants, on_row=lambda *told: self.progress.append(told), **chosen)


class TestAGoldSetInAPod:
    def test_gives_what_it_gives_here(self, tmp_path):
        bench = Bench(tmp_path)

        results = bench.ask()

        assert {who: [(row.row_id, row.repeat, row.passed) for row in rows] for who, rows in results.items()} == {
            "candidate": [(row.id, repeat, True) for row in ROWS for repeat in (0, 1)],
            "champion": [(row.id, repeat, row.id != "r0") for row in ROWS for repeat in (0, 1)],
        }

    def test_leaves_neither_pod_nor_parts_behind(self, tmp_path):
        bench = Bench(tmp_path)

        bench.ask()

        assert bench.pods.there == {}
        assert bench.parts.texts == {}

    def test_belongs_to_no_run_and_may_use_parts_only(self, tmp_path):
        bench = Bench(tmp_path)

        bench.ask()

        [made] = bench.pods.made
        assert (made.run, made.settings.service_account) == (None, "goldgate-evaluation")

    def test_tells_its_progress_from_the_log(self, tmp_path):
        bench = Bench(tmp_path)
        looks = iter([PodPhase.RUNNING, PodPhase.ENDED])
        bench.pods.said = ["no JSON", '{"event": "evaluation.progress", "done": 3, "of": 12}']
        look = bench.pods.look

        def look_twice(name: str, *, run_uid: str) -> PodFacts | None:
            found = look(name, run_uid=run_uid)
            return (
                found if found is None or next(looks) is PodPhase.ENDED else PodFacts(name=name, phase=PodPhase.RUNNING)
            )

        bench.pods.look = look_twice
        bench.ask()

        assert bench.progress == [(3, 12)]

    @pytest.mark.parametrize("fate", [vanishes, is_taken_away])
    def test_is_asked_by_another_pod_when_one_is_lost(self, tmp_path, fate):
        bench = Bench(tmp_path, fates=[fate])

        results = bench.ask()

        assert len(results["candidate"]) == 6
        assert len(bench.pods.made) == 2

    def test_is_given_up_when_too_many_pods_are_lost(self, tmp_path):
        bench = Bench(tmp_path, fates=[vanishes, is_taken_away])

        with pytest.raises(PermanentError, match=r"it vanished; Evicted .*maxLosses"):
            bench.ask()

        assert bench.parts.texts == {}

    @pytest.mark.parametrize(
        ("fate", "told"),
        [
            (wants_memory, r"OOMKilled.*resources\.limits\.memory"),
            (refuses, r"could not evaluate: The evaluation was stopped: it used more than 600 s"),
            (cannot_start, r"did not start within 301 s: ImagePullBackOff \(not found\)\. Push the image"),
            (never_starts, r"did not start within 301 s: the cluster gives no reason"),
            (loses_a_row, r"expected 6 of each"),
            (asks_one_row_twice, r"each row of the gold set, each repeat, once"),
        ],
    )
    def test_fails_at_once_where_another_pod_would_do_no_better(self, tmp_path, fate, told):
        bench = Bench(tmp_path, fates=[fate])

        with pytest.raises(PermanentError, match=told):
            bench.ask()

        assert len(bench.pods.made) == 1

    @pytest.mark.parametrize("fate", [wants_memory, refuses, cannot_start, lays_down_what_cannot_be_read, mumbles])
    def test_is_asked_anew_after_it_failed(self, tmp_path, fate):
        """What it was asked has not changed, nor has the name of its pod."""
        bench = Bench(tmp_path, fates=[fate])
        with pytest.raises(PermanentError):
            bench.ask()

        results = bench.ask()

        assert len(results["candidate"]) == 6
        assert len(bench.pods.made) == 2

    def test_leaves_a_pod_that_failed_for_people_to_look_at(self, tmp_path):
        bench = Bench(tmp_path, fates=[wants_memory])

        with pytest.raises(PermanentError):
            bench.ask()

        assert len(bench.pods.there) == 1

    def test_waits_for_no_node_that_does_not_answer(self, tmp_path):
        bench = Bench(tmp_path, fates=[is_on_a_silent_node])

        with pytest.raises(TransientError, match="should have ended 61 s ago: its node does not answer"):
            bench.ask()

    def test_keeps_everything_when_the_cluster_cannot_be_reached(self, tmp_path):
        bench = Bench(tmp_path)
        reached = bench.pods.look

        bench.pods.look = cannot_be_reached
        with pytest.raises(TransientError):
            bench.ask()

        bench.pods.look = reached
        assert len(bench.ask()["candidate"]) == 6
        assert len(bench.pods.made) == 1

    def test_takes_nothing_from_another_that_asks_the_same(self, tmp_path):
        bench = Bench(tmp_path)
        # The other is done before the pod of this one has read anything.
        bench.fates.append(lambda pods, pod: bench.ask("rel-2") and works(pods, pod))

        assert len(bench.ask("rel-1")["champion"]) == 6
        assert bench.parts.texts == {}

    def test_is_laid_down_again_for_another_pod(self, tmp_path):
        bench = Bench(tmp_path, fates=[vanishes_since_another_worker_took_its_results])

        assert len(bench.ask()["candidate"]) == 6

    def test_is_left_to_whoever_tries_again_when_the_model_does_not_answer(self, tmp_path):
        bench = Bench(tmp_path, fates=[finds_no_model])

        with pytest.raises(TransientError, match="could not evaluate now: The model does not answer"):
            bench.ask()

        assert len(bench.ask()["candidate"]) == 6

    def test_is_not_asked_by_an_image_that_judges_differently(self, tmp_path):
        orders: list[EvaluationOrder] = []
        bench = Bench(tmp_path, fates=[lambda pods, pod: orders.append(order_of(pods, pod)) or works(pods, pod)])
        bench.ask()
        [order] = orders

        with pytest.raises(PermanentError, match=r"Found the judge `contains-v1`.*expected `older`"):
            carry_out(
                order.model_copy(update={"judge_version": "older"}),
                parts=bench.parts,
                folder=tmp_path,
                ask=run_gold_set,
            )

    def test_is_ended_by_whoever_interrupts_it(self, tmp_path):
        bench = Bench(tmp_path, fates=[is_interrupted])

        with pytest.raises(KeyboardInterrupt):
            bench.ask()

        assert bench.parts.texts == {}


class TestLeftovers:
    def left(self, tmp_path: Path, *, phase: PodPhase, after: timedelta) -> Bench:
        """Leave an evaluation behind whose worker was killed."""

        def is_made_and_seen_no_more(pods: WorkingPods, pod: PodOrder) -> PodFacts:
            pods.there[pod.name] = PodFacts(name=pod.name, phase=phase, age_s=after.total_seconds())
            raise TransientError("The API server does not answer.")

        bench = Bench(tmp_path, fates=[is_made_and_seen_no_more])
        with pytest.raises(TransientError):
            bench.ask("killed")
        bench.clock.advance(after)
        return bench

    def test_of_a_worker_that_never_came_back_go_with_the_next_evaluation_a_day_later(self, tmp_path):
        bench = self.left(tmp_path, phase=PodPhase.ENDED, after=LEFT_AFTER + timedelta(seconds=1))

        bench.ask("another")

        assert bench.pods.there == {}
        assert bench.parts.texts == {}

    @pytest.mark.parametrize(
        ("phase", "after"),
        [(PodPhase.ENDED, timedelta(hours=23)), (PodPhase.RUNNING, LEFT_AFTER + timedelta(seconds=1))],
    )
    def test_stay_while_somebody_may_wait_for_them(self, tmp_path, phase, after):
        bench = self.left(tmp_path, phase=phase, after=after)
        uses = bench.parts.uses()

        bench.ask("another")

        assert len(bench.pods.there) == 1
        assert bench.parts.uses() == uses

    def test_of_one_that_nobody_wants_go_at_once_and_no_other(self, tmp_path):
        bench = self.left(tmp_path, phase=PodPhase.RUNNING, after=timedelta())

        bench.leftovers.forget("another")
        kept = len(bench.pods.there), len(bench.parts.texts)
        bench.leftovers.forget("killed")

        assert kept == (1, 4)
        assert bench.pods.there == {}
        assert bench.parts.texts == {}

    def test_that_cannot_be_removed_keep_nobody_from_evaluating(self, tmp_path):
        bench = Bench(tmp_path)
        bench.pods.labelled = cannot_be_reached

        assert len(bench.ask()["candidate"]) == 6


class TestProgress:
    def test_is_told_about_ten_times(self):
        told: list[int] = []
        tell = told_now_and_then(lambda done, _: told.append(done))

        for done in range(1, 313):
            tell(done, 312)

        assert len(told) == 10
        assert told[-1] == 312

    def test_of_a_few_rows_is_told_for_each(self):
        told: list[int] = []
        tell = told_now_and_then(lambda done, _: told.append(done))

        for done in (1, 2, 3):
            tell(done, 3)

        assert told == [1, 2, 3]
