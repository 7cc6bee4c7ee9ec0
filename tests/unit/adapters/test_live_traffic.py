import threading

import pytest

from goldgate.adapters.live_traffic import Asked, LiveTraffic, VersionProbe
from tests.fakes.scripted_web import ScriptedWeb, Told

QUESTIONS = [Asked(question=f"question {number}", context=[]) for number in range(3)]


def served_by(version):
    return Told(body={}, headers={"x-goldgate-version": version})


def sent_until(count, answer):
    """A router that answers by `answer`, and an event that is set once it was asked `count` times."""
    enough, seen = threading.Event(), []

    def tell(asked):
        seen.append(asked)
        if len(seen) >= count:
            enough.set()
        return answer

    return ScriptedWeb(tell), enough


def count_after(requests, answer):
    web, enough = sent_until(requests, answer)
    with web:
        traffic = LiveTraffic(web.url, agent="a", questions=QUESTIONS, per_second=50, callers=5)
        traffic.start()
        assert enough.wait(20)
        return traffic.stop(), web.asked


class TestLiveTraffic:
    def test_asks_the_agent_as_many_callers_in_turn(self):
        count, asked = count_after(30, served_by("7"))

        assert count.answered == count.sent >= 30
        assert count.by_version == {"7": count.sent}
        assert {one.body["model"] for one in asked} == {"a"}
        assert len({one.headers["x-goldgate-caller"] for one in asked}) == 5
        assert len({one.body["messages"][0]["content"] for one in asked}) == 3

    @pytest.mark.parametrize("status", [404, 503])
    def test_tells_not_served_from_failed(self, status):
        count, _ = count_after(10, Told(status=status, body={}))

        assert (count.not_served, count.failed, count.answered) == (count.sent, 0, 0)

    def test_counts_a_broken_answer_as_failed(self):
        count, _ = count_after(10, Told(status=500, body={}))

        assert count.failed == count.sent

    def test_ends_when_it_is_stopped(self):
        web, enough = sent_until(1, served_by("1"))
        with web:
            traffic = LiveTraffic(web.url, agent="a", questions=QUESTIONS, per_second=200, callers=5)
            traffic.start()
            enough.wait(20)

            stopped = traffic.stop()

            assert traffic.count() == stopped
            assert len(web.asked) == stopped.sent


class TestVersionProbe:
    def probe(self, web, version):
        probe = VersionProbe(web.url, agent="a", asked=QUESTIONS[0], version=version)
        probe.start()
        return probe

    def test_notes_when_the_version_first_answers(self):
        answers = iter([served_by("2"), served_by("2"), served_by("1")])
        with ScriptedWeb(lambda _: next(answers)) as web:
            seen_at = self.probe(web, "1").seen_at(within_s=20)

        assert seen_at is not None
        assert len(web.asked) == 3

    def test_sees_nothing_when_it_never_answers(self):
        web, enough = sent_until(3, served_by("2"))
        with web:
            probe = self.probe(web, "1")
            assert enough.wait(20)

            assert probe.seen_at(within_s=0) is None
