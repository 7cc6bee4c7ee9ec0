import dataclasses
from collections.abc import Sequence
from datetime import timedelta

import pytest

from goldgate.agent.resilience.fallbacks import Link, ModelChain
from goldgate.domain.conversation import ChatMessage
from goldgate.domain.errors import PermanentError
from goldgate.domain.models.trouble import Trouble
from goldgate.ports.model import ChatReply, ModelRefusedError, ModelUnavailableError, ModelUse
from tests.fakes.scripted_chat_model import ScriptedChatModel, says

ASKED = [ChatMessage(role="system", content="Be brief."), ChatMessage(role="user", content="Hi")]
SHORT = [ChatMessage(role="user", content="cut")]
USED = ModelUse(attempts=3, tokens_in=100, tokens_out=7, tokens_cached=2, cost_usd=0.5)


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class SlowModel(ScriptedChatModel):
    """Takes its time, or all the time that it is given if it would fail."""

    def __init__(self, *script: ChatReply | Exception, name: str, clock: Clock, takes_s: float = 0.0) -> None:
        super().__init__(*script, name=name)
        self._clock = clock
        self._takes_s = takes_s
        self.closed = 0

    def complete(self, messages: Sequence[ChatMessage], **more) -> ChatReply:
        self._clock.now_s += min(self._takes_s, more["within_s"])
        return super().complete(messages, **more)

    def close(self) -> None:
        self.closed += 1


def busy(trouble: Trouble = Trouble.SERVER, **more) -> ModelUnavailableError:
    return ModelUnavailableError("busy", trouble=trouble, use=USED, **more)


def bad(trouble: Trouble = Trouble.BAD_REQUEST) -> ModelRefusedError:
    return ModelRefusedError("bad", trouble=trouble, use=USED)


def cut(_: Sequence[ChatMessage], *, budget: int) -> list[ChatMessage]:
    assert budget == 200
    return SHORT


def chain(first: Link, *fallbacks: Link, clock: Clock | None = None, compact=cut) -> ModelChain:
    return ModelChain(first, fallbacks, compact=compact, clock=clock or Clock())


def link(*script, name: str = "first", tokens: int | None = None, clock: Clock | None = None, takes_s=0.0) -> Link:
    model = SlowModel(*script, name=name, clock=clock or Clock(), takes_s=takes_s)
    return Link(model=model, timeout_s=10, context_tokens=tokens)


class TestModelChain:
    def test_asks_the_first_alone_while_it_answers(self):
        second = link(says("B"), name="second")
        reply = chain(link(says("A")), second).complete(ASKED, within_s=30)

        assert (reply.content, reply.model, reply.attempts) == ("A", "first", 1)
        assert second.model.conversations == []

    @pytest.mark.parametrize("error", [busy(), busy(Trouble.BREAKER), bad(), bad(Trouble.CONTEXT_LENGTH)])
    def test_asks_the_next_when_one_cannot_answer(self, error):
        reply = chain(link(error), link(error, name="second"), link(says("C"), name="third")).complete(
            ASKED, within_s=30
        )

        assert (reply.content, reply.model, reply.attempts) == ("C", "third", 7)

    def test_counts_what_failed_attempts_cost(self):
        reply = chain(link(bad()), link(says("B"), name="second")).complete(ASKED, within_s=30)

        assert (reply.tokens_in, reply.tokens_out, reply.tokens_cached) == (110, 12, 6)
        assert reply.cost_usd == pytest.approx(0.501)

    def test_tells_what_all_of_them_cost_when_none_answers(self):
        with pytest.raises(ModelRefusedError, match=r"No model answered\. bad Then: bad") as caught:
            chain(link(bad()), link(bad(), name="second")).complete(ASKED, within_s=30)

        assert caught.value.use == USED + USED

    def test_may_pass_if_one_of_them_may(self):
        with pytest.raises(ModelUnavailableError) as caught:
            chain(link(bad()), link(busy(retry_after=timedelta(seconds=9)), name="second")).complete(ASKED, within_s=30)

        assert caught.value.retry_after == timedelta(seconds=9)

    def test_shortens_the_prompt_for_a_fallback_that_says_so(self):
        second = link(says("B"), name="second", tokens=200)
        chain(link(bad(Trouble.CONTEXT_LENGTH)), second).complete(ASKED, within_s=30)

        assert second.model.conversations == [SHORT]

    def test_shortens_the_prompt_for_the_same_model(self):
        first = link(bad(Trouble.CONTEXT_LENGTH), says("A"))
        reply = chain(first, dataclasses.replace(first, context_tokens=200)).complete(ASKED, within_s=30)

        assert (reply.content, first.model.conversations) == ("A", [ASKED, SHORT])

    @pytest.mark.parametrize("trouble", [Trouble.UNAUTHORIZED, Trouble.NOT_FOUND, Trouble.QUOTA])
    def test_does_not_ask_the_same_model_again_where_length_is_not_the_matter(self, trouble):
        first = link(bad(trouble))
        with pytest.raises(ModelRefusedError):
            chain(first, dataclasses.replace(first, context_tokens=200)).complete(ASKED, within_s=30)

        assert len(first.model.conversations) == 1

    def test_goes_on_when_a_prompt_cannot_be_shortened(self):
        def refuse(_, *, budget):
            raise PermanentError(f"the question alone is longer than {budget}")

        links = link(bad()), link(says("B"), name="second", tokens=200), link(says("C"), name="third")

        assert chain(*links, compact=refuse).complete(ASKED, within_s=30).content == "C"

    def test_keeps_time_for_those_behind(self):
        clock = Clock()
        first = link(busy(Trouble.TIMEOUT), clock=clock, takes_s=1000)
        second = link(says("B"), name="second", clock=clock, takes_s=1)
        reply = chain(first, second, clock=clock).complete(ASKED, within_s=20)

        assert (reply.content, clock.now_s) == ("B", 16)
        assert (first.model.limits_s, second.model.limits_s) == ([15], [5])

    def test_keeps_no_more_time_than_those_behind_can_use(self):
        first = link(says("A"))
        chain(first, link(says("B"), name="second")).complete(ASKED, within_s=600)

        assert first.model.limits_s == [590]

    def test_never_takes_longer_than_it_may(self):
        clock = Clock()
        links = [link(busy(), name=str(number), clock=clock, takes_s=1000) for number in range(4)]
        with pytest.raises(ModelUnavailableError):
            chain(*links, clock=clock).complete(ASKED, within_s=20)

        assert clock.now_s <= 20

    def test_hands_a_content_filter_on_and_asks_nobody_else(self):
        """Another model is no way around what one may not say."""
        second = link(says("B"), name="second")
        reply = chain(link(says("", finish_reason="content_filter")), second).complete(ASKED, within_s=30)

        assert (reply.finish_reason, second.model.conversations) == ("content_filter", [])

    def test_closes_each_model_once(self):
        first = link(says("A"))
        chain(first, dataclasses.replace(first, context_tokens=200)).close()

        assert first.model.closed == 1
