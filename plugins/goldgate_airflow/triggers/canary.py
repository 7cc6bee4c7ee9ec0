"""Watches a canary from the triggerer, so that no worker slot is held while traffic is gathered."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

from airflow.triggers.base import BaseTrigger, TriggerEvent

from goldgate.domain.errors import PermanentError, TransientError
from goldgate_airflow.playbook import PLAYBOOK, step_of

PATIENCE_S: Final = 300.0
"""How long looks may fail in a row. No failed look renews the lease of canary traffic, so by then it has long ended."""

SETTLES_S: Final = 2.0
"""Within which Airflow knows that a task is deferred, with room to spare."""


class CanaryTrigger(BaseTrigger):
    """Looks at the canary again and again, and wakes the task when there is something to do.

    All state is in the records of the release: a triggerer that was restarted goes on with the next look.

    Args:
        release_id: The release on trial.
        look_every_s: Seconds between looks.
        playbook: Module of the steps.
        patience_s: Seconds that looks may fail in a row before the task is told.
    """

    def __init__(
        self, *, release_id: str, look_every_s: float, playbook: str = PLAYBOOK, patience_s: float = PATIENCE_S
    ) -> None:
        super().__init__()
        self.release_id = release_id
        self.look_every_s = look_every_s
        self.playbook = playbook
        self.patience_s = patience_s

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Write what another triggerer needs to go on."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "release_id": self.release_id,
            "look_every_s": self.look_every_s,
            "playbook": self.playbook,
            "patience_s": self.patience_s,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event: a decision other than `hold`, or why no more looks are possible."""
        loop = asyncio.get_running_loop()
        # Airflow 3.3.2 takes a task that is woken within a moment of its deferral for a failed one.
        await asyncio.sleep(min(self.look_every_s, SETTLES_S))
        seen = loop.time()
        while True:
            try:
                decision = await asyncio.to_thread(self._look)
            except PermanentError as error:
                yield TriggerEvent({"decision": "failed", "reason": str(error)})
                return
            except TransientError as error:
                if loop.time() - seen >= self.patience_s:
                    reason = f"No look at the canary succeeded for {self.patience_s:.0f} s; the last said: {error}"
                    yield TriggerEvent({"decision": "failed", "reason": reason})
                    return
                self.log.warning("canary.look.failed %s", error)
            else:
                seen = loop.time()
                if decision["decision"] != "hold":
                    yield TriggerEvent(decision)
                    return
            await asyncio.sleep(self.look_every_s)

    def _look(self) -> dict[str, Any]:
        decision: dict[str, Any] = step_of(self.playbook, "look_at_canary")(release_id=self.release_id)
        return decision
