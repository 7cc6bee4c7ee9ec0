"""What is tried when a model cannot answer: another model, a shorter prompt, or both, in the order of the agent."""

import dataclasses
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from goldgate.domain.conversation import ChatMessage
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.ports.model import (
    ChatReply,
    ClosableModel,
    ModelRefusedError,
    ModelUnavailableError,
    ModelUse,
    ToolDefinition,
)

_log = logging.getLogger(__name__)

KEPT_RATIO = 0.25
"""This share of the time left is kept for the models behind, or the time-outs of their attempts, if that is less.

A half would cut off models that are only slow; nothing would leave a hanging model's fallbacks no time at all."""


class Compact(Protocol):
    """Shortens a conversation to a number of tokens, and keeps what must be kept."""

    def __call__(self, messages: Sequence[ChatMessage], *, budget: int) -> list[ChatMessage]:
        """Return a conversation that fits."""


@dataclass(frozen=True, kw_only=True)
class Link:
    """One model of the chain."""

    model: ClosableModel
    timeout_s: float
    """Of one attempt."""
    context_tokens: int | None = None
    """The conversation is shortened to so many. None: sent as it is."""


class ModelChain:
    """A model and its fallbacks, asked in order until one answers."""

    def __init__(self, first: Link, fallbacks: Sequence[Link], *, compact: Compact, clock: Callable[[], float]) -> None:
        """Take over the models; one may stand in several links, and is closed once."""
        self._links = (first, *fallbacks)
        self._compact = compact
        self._clock = clock

    @property
    def name(self) -> str:
        """The pinned name of the first model."""
        return self._links[0].model.name

    def close(self) -> None:
        """Close all models."""
        for model in {id(link.model): link.model for link in self._links}.values():
            model.close()

    def complete(
        self,
        messages: Sequence[ChatMessage],
        *,
        tools: Sequence[ToolDefinition] = (),
        may_call: bool = True,
        within_s: float,
    ) -> ChatReply:
        """Ask one model after the other, all by `within_s` seconds.

        What failed attempts used counts in the reply's tokens and cost, or in `use` of the error.

        Raises:
            ModelUnavailableError: None answered, and at least one may later.
            ModelRefusedError: None answered, and none will.
        """
        deadline = self._clock() + within_s
        used = ModelUse()
        failures: list[tuple[Link, ModelRefusedError | ModelUnavailableError]] = []
        for position, link in enumerate(self._links):
            if failures and (self._clock() >= deadline or _is_in_vain(link, failures)):
                continue
            try:
                fitting = self._fitting(link, messages)
                left_s = deadline - self._clock()
                own_s = left_s - self._kept_s(position, left_s)
                reply = link.model.complete(fitting, tools=tools, may_call=may_call, within_s=own_s)
            except (ModelRefusedError, ModelUnavailableError) as error:
                used += error.use
                failures.append((link, error))
                told = {"model": link.model.name, "trouble": error.trouble.value, "status": error.status}
                _log.warning("model.attempt.failed", extra=told)
            else:
                return _with_use(reply, used, name=link.model.name)
        raise _verdict([error for _, error in failures], used) from None

    def _kept_s(self, position: int, left_s: float) -> float:
        behind = self._links[position + 1 :]
        return min(KEPT_RATIO * left_s, sum(link.timeout_s for link in behind)) if behind else 0.0

    def _fitting(self, link: Link, messages: Sequence[ChatMessage]) -> Sequence[ChatMessage]:
        if link.context_tokens is None:
            return messages
        try:
            return self._compact(messages, budget=link.context_tokens)
        except (PermanentError, TransientError) as error:
            raise ModelRefusedError(
                f"The conversation could not be cut to {link.context_tokens} tokens: {error}"
            ) from None


def _is_in_vain(link: Link, failures: Sequence[tuple[Link, ModelRefusedError | ModelUnavailableError]]) -> bool:
    """Tell whether the same model has failed in a way that a shorter prompt does not cure."""
    return any(failed.model is link.model and not error.trouble.may_heal_by_shortening for failed, error in failures)


def _with_use(reply: ChatReply, used: ModelUse, *, name: str) -> ChatReply:
    if not used.attempts:
        return reply if reply.model else dataclasses.replace(reply, model=name)
    return dataclasses.replace(
        reply,
        model=reply.model or name,
        attempts=reply.attempts + used.attempts,
        tokens_in=reply.tokens_in + used.tokens_in,
        tokens_out=reply.tokens_out + used.tokens_out,
        tokens_cached=reply.tokens_cached + used.tokens_cached,
        cost_usd=reply.cost_usd + used.cost_usd,
    )


def _verdict(
    errors: Sequence[ModelRefusedError | ModelUnavailableError], used: ModelUse
) -> ModelRefusedError | ModelUnavailableError:
    """Tell of all that failed by one error: the first that may pass, else the first."""
    passing = [error for error in errors if isinstance(error, ModelUnavailableError)]
    told = str(errors[0]) if len(errors) == 1 else "No model answered. " + " Then: ".join(map(str, errors))
    if not passing:
        return ModelRefusedError(told, status=errors[0].status, trouble=errors[0].trouble, use=used)
    waits = [error.retry_after for error in passing]
    soonest = min((wait for wait in waits if wait is not None), default=None) if None not in waits else None
    return ModelUnavailableError(
        told, status=passing[0].status, retry_after=soonest, trouble=passing[0].trouble, use=used
    )
