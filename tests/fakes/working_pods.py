"""Pods that ask gold sets in memory, or meet another fate; and all that somebody needs who waits for them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from goldgate.agent.bundle import seal
from goldgate.contracts.cluster import StoredText
from goldgate.contracts.documents import parse_json
from goldgate.contracts.evaluation import GoldSetPlan, Progress, ResultRow
from goldgate.contracts.evaluation_pods import EvaluationOrder
from goldgate.contracts.pods import PodResources, PodSettingsSpec
from goldgate.contracts.policy import Budgets
from goldgate.domain.errors import TransientError
from goldgate.domain.runs.pods import PodFacts, PodPhase
from goldgate.entrypoints.evaluation_in_pod import GoldSetInPod
from goldgate.entrypoints.evaluation_leftovers import Leftovers
from goldgate.entrypoints.evaluation_pod import RESULTS, carry_out
from goldgate.entrypoints.evaluations import About
from goldgate.entrypoints.pods_in_turn import PodsInTurn
from goldgate.evals.run import run_gold_set
from goldgate.ports.parts import PartStore
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
PLAN = GoldSetPlan(repeats=2, concurrency=2, seed=7, budget=Budgets(max_evaluation_cost_usd=1, max_evaluation_s=60))

Fate = Callable[["WorkingPods", PodOrder], PodFacts | None]


def sealed(folder: Path, question: str) -> Contestant:
    manifest = seal(write_folder(folder, files={"README.md": question}), agent="tiny")
    return Contestant(bundle=folder, bundle_digest=manifest.digest)


@dataclass
class WorkingPods:
    """Pods that do their work the moment they are made; or meet another fate, one after the other."""

    parts: PartStore
    folder: Path
    fates: list[Fate] = field(default_factory=list)
    made: list[PodOrder] = field(default_factory=list)
    there: dict[str, PodFacts | None] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    """Lines of the logs of all of them."""
    before: dict[str, list[PodFacts]] = field(default_factory=dict)
    """What is found of a pod at the first looks, before what has become of it."""
    held_back: list[Exception] = field(default_factory=list)
    """Why none can be made, at the first attempts."""

    def launch(self, order: PodOrder) -> None:
        if self.held_back:
            raise self.held_back.pop(0)
        if order.name not in self.there:
            self.made.append(order)
            fate = self.fates.pop(0) if self.fates else works
            self.there[order.name] = fate(self, order)

    def look(self, name: str, *, run_uid: str) -> PodFacts | None:
        assert run_uid == ""
        if self.before.get(name):
            return self.before[name].pop(0)
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
    where = parse_json(pod.command[3], StoredText, where="the order")
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


def cannot_run(_pods: WorkingPods, pod: PodOrder) -> PodFacts:
    return ended(pod, 'exec: "python3": not found', code=128, reason="StartError")


def understands_no_order(_pods: WorkingPods, pod: PodOrder) -> PodFacts:
    return ended(pod, code=2)


def has_no_image_of_that_name(_pods: WorkingPods, pod: PodOrder) -> PodFacts:
    return PodFacts(name=pod.name, phase=PodPhase.PENDING, reason="InvalidImageName", message="no reference")


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
    return PodFacts(name=pod.name, phase=PodPhase.PENDING, reason="ImagePullBackOff", message="not found")


def never_starts(_pods: WorkingPods, pod: PodOrder) -> PodFacts:
    return PodFacts(name=pod.name, phase=PodPhase.PENDING)


def lays_down_what_cannot_be_read(pods: WorkingPods, pod: PodOrder) -> PodFacts:
    done = works(pods, pod)
    for key in [key for key in pods.parts.texts if key[-1] == RESULTS]:
        del pods.parts.texts[key]
    return done


def misses_a_part(_pods: WorkingPods, pod: PodOrder) -> PodFacts:
    return ended(pod, "Found 0 of 1 parts of the text.", code=74)


def mumbles(_pods: WorkingPods, pod: PodOrder) -> PodFacts:
    return ended(pod, "no JSON")


def is_on_a_silent_node(_pods: WorkingPods, pod: PodOrder) -> PodFacts:
    return PodFacts(name=pod.name, phase=PodPhase.ENDING)


def cannot_be_reached(*_: object, **__: object) -> PodFacts | None:
    raise TransientError("The API server does not answer.")


def with_progress(**told: float) -> Fate:
    """A pod that works, says how far it is, and is taken away."""

    def fate(pods: WorkingPods, pod: PodOrder) -> PodFacts:
        pods.said = [Progress(**told).model_dump_json().replace("{", '{"event": "evaluation.progress", ', 1)]
        pods.before[pod.name] = [PodFacts(name=pod.name, phase=PodPhase.RUNNING)] * 3
        return is_taken_away(pods, pod)

    return fate


@dataclass
class Bench:
    """Somebody who waits for pods, on a clock that goes on when they pause."""

    folder: Path
    fates: list[Fate] = field(default_factory=list)
    progress: list[Progress] = field(default_factory=list)
    settings: PodSettingsSpec = SETTINGS
    now_s: float = 0.0

    def __post_init__(self) -> None:
        self.clock = FrozenClock()
        self.parts = InMemoryParts(clock=self.clock)
        self.pods = WorkingPods(self.parts, self.folder / "unpacked", self.fates)
        self.leftovers = Leftovers(pods=self.pods, parts=self.parts, clock=self.clock)
        self.contestants = {who: sealed(self.folder / who, who) for who in AGENTS}

    def pause(self, seconds: float) -> None:
        self.now_s += seconds
        self.clock.advance(timedelta(seconds=seconds))

    def ask(self, release_id: str = "rel-1", *, plan: GoldSetPlan = PLAN) -> dict[str, list[ResultRow]]:
        asks = GoldSetInPod(
            about=About(agent="a", release_id=release_id, versions={"candidate": "candidate", "champion": "7"}),
            settings=self.settings,
            pods=PodsInTurn(
                pods=self.pods,
                settings=self.settings,
                clock=self.clock,
                pause=self.pause,
                monotonic_s=lambda: self.now_s,
            ),
            parts=self.parts,
            needs=lambda _: {},
            leftovers=self.leftovers,
        )
        return asks(ROWS, contestants=self.contestants, plan=plan, on_row=self.progress.append)
