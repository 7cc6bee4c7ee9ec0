"""The circuit breakers of a process: one for each endpoint and model, whoever asks."""

import threading
from collections.abc import Callable, Hashable, Sequence
from datetime import timedelta

from goldgate.domain.conversation import ChatMessage
from goldgate.domain.models.breaker import Breaker, BreakerRule, Outcome
from goldgate.domain.models.trouble import Trouble
from goldgate.ports.model import (
    ChatReply,
    ClosableModel,
    ModelRefusedError,
    ModelUnavailableError,
    ToolDefinition,
)


class Breakers:
    """All breakers, by what they guard. Safe to use from many threads."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        """Begin with every endpoint trusted; `clock` gives seconds that pass."""
        self._clock = clock
        self._lock = threading.Lock()
        self._states: dict[Hashable, Breaker] = {}

    def admit(self, key: Hashable, rule: BreakerRule) -> float:
        """Let a call through and return 0, or return how long nothing may be sent."""
        with self._lock:
            now_s = self._clock()
            state = self._states.get(key, Breaker())
            if (wait_s := state.wait_s(rule, now_s=now_s)) > 0:
                return wait_s
            self._states[key] = state.admitted(now_s=now_s)
            return 0.0

    def note(self, key: Hashable, rule: BreakerRule, outcome: Outcome) -> None:
        """Note what became of a call that was let through."""
        with self._lock:
            state = self._states.get(key, Breaker())
            self._states[key] = state.after(outcome, rule, now_s=self._clock())


class GuardedModel:
    """A model that is left alone for a while after it failed too often."""

    def __init__(self, model: ClosableModel, *, breakers: Breakers, key: Hashable, rule: BreakerRule) -> None:
        """Guard a model by the breaker of that key."""
        self._model = model
        self._breakers = breakers
        self._key = key
        self._rule = rule

    @property
    def name(self) -> str:
        """The pinned model name."""
        return self._model.name

    def close(self) -> None:
        """Give back the connections."""
        self._model.close()

    def complete(
        self,
        messages: Sequence[ChatMessage],
        *,
        tools: Sequence[ToolDefinition] = (),
        may_call: bool = True,
        within_s: float,
    ) -> ChatReply:
        """Ask, unless the breaker is open: then it raises at once, and says when to come back."""
        if (wait_s := self._breakers.admit(self._key, self._rule)) > 0:
            raise ModelUnavailableError(
                f"Model `{self.name}` was not asked: it failed {self._rule.failures} times in a row, and is left alone "
                f"for {wait_s:.3g} s more.",
                retry_after=timedelta(seconds=wait_s),
                trouble=Trouble.BREAKER,
            )
        outcome = Outcome.UNKNOWN
        try:
            reply = self._model.complete(messages, tools=tools, may_call=may_call, within_s=within_s)
            outcome = Outcome.ANSWERED
        except ModelUnavailableError as error:
            outcome = Outcome.FAILED if error.trouble.is_of_the_endpoint else Outcome.UNKNOWN
            raise
        except ModelRefusedError as error:
            was_sent = error.use.attempts > 0
            outcome = Outcome.ANSWERED if was_sent else Outcome.UNKNOWN
            raise
        finally:
            self._breakers.note(self._key, self._rule, outcome)
        return reply
