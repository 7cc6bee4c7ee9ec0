"""Pods in memory, with the rules of the API server as far as launchers see them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from goldgate.domain.runs.pods import Launches, PodFacts, PodPhase
from goldgate.ports.pods import Counted, PodOrder

UID = "uid-of-the-run"


@dataclass
class InMemoryPods:
    """Implements `goldgate.ports.pods.Pods`."""

    refuses: Exception | None = None
    """What every launch raises."""
    orders: list[PodOrder] = field(default_factory=list)
    """Those that made a pod."""
    ended: list[str] = field(default_factory=list)
    pods: dict[str, PodFacts] = field(default_factory=dict)
    before_look: Callable[[], object] | None = None
    """What happens just before the next look."""

    def launch(self, order: PodOrder) -> None:
        if self.refuses is not None:
            raise self.refuses
        if order.name not in self.pods:
            self.orders.append(order)
            self.pods[order.name] = PodFacts(name=order.name, phase=PodPhase.PENDING, owner=order.run_uid)

    def look(self, name: str, *, run_uid: str) -> PodFacts | None:
        happens, self.before_look = self.before_look, None
        if happens is not None:
            happens()
        found = self.pods.get(name)
        return found if found is not None and found.owner == run_uid else None

    def labelled(self, labels: Mapping[str, str]) -> list[PodFacts]:
        ours = {order.name for order in self.orders if labels.items() <= order.labels.items()}
        return [pod for name, pod in self.pods.items() if name in ours]

    def log(self, name: str, *, since: datetime | None = None) -> Iterator[str]:  # noqa: ARG002 - the port's signature
        yield from [f"{name} says nothing"] if name in self.pods else []

    def end(self, name: str) -> None:
        self.ended.append(name)
        self.pods.pop(name, None)

    def become(self, name: str, phase: PodPhase, *, reason: str = "", exit_code: int | None = None) -> None:
        """Have something happen to a pod."""
        self.pods[name] = replace(self.pods[name], phase=phase, reason=reason, exit_code=exit_code)

    def vanish(self, name: str) -> None:
        self.pods.pop(name, None)


@dataclass
class InMemoryLaunchCounts:
    """Implements `goldgate.ports.pods.LaunchCounts`, for every run there is."""

    counts: dict[str, Launches] = field(default_factory=dict)
    versions: int = 0
    is_leaving: bool = False
    is_gone: bool = False
    """There is no run any more."""
    may_have_words: bool = True
    after_move: Callable[[], object] = lambda: None
    """What happens once a count was written."""

    def read(self, run: str) -> Counted | None:
        if self.is_gone:
            return None
        count = self.counts.get(run)
        mark = None if count is None else repr(count)
        return Counted(
            uid=UID,
            launches=count or Launches(),
            version=str(self.versions),
            mark=mark,
            may_have_words=self.may_have_words,
            is_leaving=self.is_leaving,
        )

    def move(self, run: str, *, counted: Counted, to: Launches) -> Counted | None:
        if self.counts.get(run, Launches()) != counted.launches:
            return None
        self.counts[run] = to
        self.versions += 1
        written = self.read(run)
        self.after_move()
        return written
