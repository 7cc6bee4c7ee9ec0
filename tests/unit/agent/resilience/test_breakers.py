import threading

import pytest

from goldgate.agent.resilience.breakers import Breakers, GuardedModel
from goldgate.domain.conversation import ChatMessage
from goldgate.domain.models.breaker import BreakerRule
from goldgate.domain.models.trouble import Trouble
from goldgate.ports.model import ModelRefusedError, ModelUnavailableError, ModelUse
from tests.fakes.scripted_chat_model import ScriptedChatModel, says

ASKED = [ChatMessage(role="user", content="Hi")]
RULE = BreakerRule(failures=2, open_s=30)
BUSY = ModelUnavailableError("busy", trouble=Trouble.SERVER, use=ModelUse(attempts=1))
BAD = ModelRefusedError("bad", trouble=Trouble.BAD_REQUEST, use=ModelUse(attempts=1))
LATE = ModelUnavailableError("late", trouble=Trouble.OUT_OF_TIME)


class HandMovedClock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Script(ScriptedChatModel):
    def close(self) -> None:
        pass


def guarded(*script, breakers: Breakers | None = None, key: str = "k") -> tuple[GuardedModel, Script, HandMovedClock]:
    clock, model = HandMovedClock(), Script(*script)
    return GuardedModel(model, breakers=breakers or Breakers(clock=clock), key=key, rule=RULE), model, clock


def ask(model: GuardedModel) -> str:
    try:
        return model.complete(ASKED, within_s=5).content
    except (ModelUnavailableError, ModelRefusedError) as error:
        return error.trouble.value


class TestGuardedModel:
    def test_is_left_alone_after_failures_and_says_when_to_come_back(self):
        model, script, clock = guarded(BUSY)
        ask(model), ask(model)
        clock.now_s = 10

        with pytest.raises(ModelUnavailableError, match="was not asked") as caught:
            model.complete(ASKED, within_s=5)

        assert caught.value.trouble is Trouble.BREAKER
        assert caught.value.retry_after.total_seconds() == 20
        assert len(script.conversations) == 2

    def test_is_tried_once_when_the_time_is_over_and_trusted_when_it_answers(self):
        model, _, clock = guarded(BUSY, BUSY, says("Hello."))
        ask(model), ask(model)
        clock.now_s = 30

        assert [ask(model), ask(model)] == ["Hello.", "Hello."]

    @pytest.mark.parametrize("error", [BAD, LATE])
    def test_is_not_blamed_for_what_is_not_its_fault(self, error):
        model, script, _ = guarded(error)
        for _ in range(5):
            ask(model)

        assert len(script.conversations) == 5

    def test_that_refuses_a_request_is_alive(self):
        model, script, _ = guarded(BUSY, BAD, BUSY, BAD, BUSY)
        for _ in range(5):
            ask(model)

        assert len(script.conversations) == 5

    def test_shares_what_is_learnt_with_others_of_the_same_key_only(self):
        breakers = Breakers(clock=HandMovedClock())
        one, _, _ = guarded(BUSY, breakers=breakers)
        same, _, _ = guarded(says("Hello."), breakers=breakers)
        other, _, _ = guarded(says("Hello."), breakers=breakers, key="other")
        ask(one), ask(one)

        assert [ask(same), ask(other)] == ["breaker", "Hello."]

    def test_that_breaks_in_an_unknown_way_gives_its_trial_back(self):
        clock = HandMovedClock()
        breakers = Breakers(clock=clock)
        model, _, _ = guarded(BUSY, BUSY, KeyError("bug"), says("Hello."), breakers=breakers)
        ask(model), ask(model)
        clock.now_s = 30
        with pytest.raises(KeyError):
            model.complete(ASKED, within_s=5)

        assert ask(model) == "Hello."


class TestBreakers:
    def test_let_exactly_one_of_many_threads_try(self):
        clock = HandMovedClock()
        breakers = Breakers(clock=clock)
        model, _, _ = guarded(BUSY, breakers=breakers)
        ask(model), ask(model)
        clock.now_s = 30
        admitted: list[float] = []
        start = threading.Barrier(8)

        def look() -> None:
            start.wait()
            admitted.append(breakers.admit("k", RULE))

        threads = [threading.Thread(target=look) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert admitted.count(0.0) == 1
