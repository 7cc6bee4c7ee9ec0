"""Does what the operator of Airflow does, without Airflow: tend, watch, and tend again."""

import asyncio
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from goldgate.domain.errors import TransientError
from goldgate.entrypoints import pod_tasks
from tests.cluster.world import AGENT, Place

WITHIN_S: Final = 240.0
_AGAIN_S: Final = 0.5
_COUNT: Final = r"{.metadata.annotations.goldgate\.dev/pods}"


@contextmanager
def settings_of(place: Place) -> Iterator[None]:
    """Have the steps find how pods are made."""
    before = os.environ.get("GOLDGATE_PODS")
    os.environ["GOLDGATE_PODS"] = str(place.settings_file)
    try:
        yield
    finally:
        if before is None:
            del os.environ["GOLDGATE_PODS"]
        else:
            os.environ["GOLDGATE_PODS"] = before


class Tended:
    """A run that is tended from a thread until it is over, or somebody is asked."""

    def __init__(self, place: Place, name: str, *, spec: dict[str, Any] | None = None) -> None:
        self.place = place
        self.name = name
        self.said: list[str] = []
        self.reasons: list[str] = []
        """What kept it waiting, in order."""
        self.told: dict[str, Any] = {}
        self._spec = {"agent": AGENT, "user_message": f"Book the blue room for {name}."} if spec is None else spec
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._tend, daemon=True)

    def begin(self) -> "Tended":
        """Begin to tend it."""
        self._thread.start()
        return self

    def launched(self) -> int:
        """How many pods were ever made for it: the count moves before a pod is made."""
        noted = self.place.cluster.kubectl("get", "taskrun", self.name, "-o", f"jsonpath={_COUNT}")
        return int(json.loads(noted)["launched"])

    def over(self, *, within_s: float = WITHIN_S) -> dict[str, Any]:
        """Wait for the end, and give what the record says of it."""
        self._thread.join(within_s)
        if self._failure is not None:
            raise self._failure
        assert not self._thread.is_alive(), f"{self.name} is not over after {within_s:.0f} s: {self.told}"
        return self.told

    def await_reason(self, part: str) -> None:
        """Wait until it is told, by who tends it or by who watches its pod, why nothing happens."""
        give_up_at = time.monotonic() + WITHIN_S
        while not any(part in told for told in (*self.reasons, *self.said)):
            assert time.monotonic() < give_up_at, f"`{part}` is in none of {self.reasons} and {self.said}"
            time.sleep(0.1)

    def _tend(self) -> None:
        try:
            asyncio.run(self._follow())
        except BaseException as error:  # noqa: BLE001 - raised again where the end is waited for
            self._failure = error

    async def _follow(self) -> None:
        log_until: str | None = None
        spec: dict[str, Any] | None = dict(self._spec)
        while True:
            try:
                arguments = {"spec": spec, "access": self.place.access}
                self.told = await asyncio.to_thread(pod_tasks.tend_task, self.name, **arguments)
                spec = None  # it is there: one that goes is not made anew
                self.reasons.append(str(self.told["reason"]))
                if self.told["waits_for"] in {"", "person"}:
                    return
                watched = await pod_tasks.watch_task(
                    self.name, self.told["pod"], self.place.access, say=self.said.append, since=log_until
                )
                log_until = watched["log_until"]
            except TransientError as error:
                self.reasons.append(str(error))
                await asyncio.sleep(_AGAIN_S)
