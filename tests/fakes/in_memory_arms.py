"""Arms that are ready when a test says so."""

from collections.abc import Sequence

from goldgate.domain.errors import TransientError


class InMemoryArms:
    """Implements `goldgate.ports.delivery.Arms`. Arms become ready by themselves if `starts_ready`."""

    def __init__(self, *, starts_ready: bool = False) -> None:
        self.starts_ready = starts_ready
        self.is_reachable = True
        self._arms: dict[tuple[str, str], str | None] = {}
        self._started = 0

    def ensure(self, agent: str, version: str) -> None:
        self._reach()
        if (agent, version) not in self._arms:
            self._arms[agent, version] = None
            if self.starts_ready:
                self.make_ready(agent, version)

    def address(self, agent: str, version: str) -> str | None:
        return self._arms.get((agent, version))

    def stop(self, agent: str, version: str) -> None:
        self._reach()
        self._arms.pop((agent, version), None)

    def running(self) -> Sequence[tuple[str, str]]:
        self._reach()
        return list(self._arms)

    def make_ready(self, agent: str, version: str) -> None:
        """Let an arm answer, on a port of its own each time."""
        self._started += 1
        self._arms[agent, version] = f"http://arm-{agent}-{version}:{self._started}"

    def make_unready(self, agent: str, version: str) -> None:
        """Let an arm be there and not answer."""
        self._arms[agent, version] = None

    def _reach(self) -> None:
        if not self.is_reachable:
            raise TransientError("No supervisor answers.")
