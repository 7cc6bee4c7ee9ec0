"""A pod that is lost is replaced, one that cannot do its work is told of, and none is waited for without end."""

import pytest

from goldgate.domain.errors import PermanentError, TransientError
from goldgate.domain.runs.pods import PodFacts, PodPhase
from goldgate.ports.pods import PodOrder, QuotaExceededError
from tests.fakes.working_pods import (
    SETTINGS,
    Bench,
    WorkingPods,
    cannot_be_reached,
    cannot_run,
    cannot_start,
    ended,
    has_no_image_of_that_name,
    is_on_a_silent_node,
    is_taken_away,
    misses_a_part,
    never_starts,
    refuses,
    understands_no_order,
    vanishes,
    wants_memory,
    with_progress,
    works,
)


def is_leaving(then: PodFacts | None):
    """A pod that somebody has asked to end, and what is found when it has."""

    def fate(pods: WorkingPods, pod: PodOrder) -> PodFacts | None:
        pods.before[pod.name] = [PodFacts(name=pod.name, phase=PodPhase.ENDING)] * 3
        return None if then is None else PodFacts(**{**vars(then), "name": pod.name})

    return fate


class TestAPodThatAsks:
    @pytest.mark.parametrize("fate", [vanishes, is_taken_away, misses_a_part])
    def test_is_replaced_when_it_is_lost(self, tmp_path, fate):
        bench = Bench(tmp_path, fates=[fate])

        results = bench.ask()

        assert len(results["candidate"]) == 6
        assert len(bench.pods.made) == 2

    def test_is_given_up_when_too_many_are_lost(self, tmp_path):
        bench = Bench(tmp_path, fates=[vanishes, is_taken_away])

        with pytest.raises(PermanentError, match=r"it vanished; Evicted .*maxLosses"):
            bench.ask()

        assert bench.parts.texts == {}

    def test_is_replaced_a_little_later_each_time_since_a_node_may_turn_all_away(self, tmp_path):
        settings = SETTINGS.model_copy(update={"max_losses": 3})
        bench = Bench(tmp_path, fates=[is_taken_away] * 3, settings=settings)

        bench.ask()

        assert bench.now_s == 5 + 10 + 20

    @pytest.mark.parametrize(
        ("fate", "told"),
        [
            (wants_memory, r"OOMKilled.*resources\.limits\.memory"),
            (refuses, r"could not evaluate: The evaluation was stopped: it used more than 600 s"),
            (cannot_start, r"did not start within 301 s: ImagePullBackOff \(not found\)\. Push the image"),
            (never_starts, r"did not start within 301 s: the cluster gives no reason"),
            (has_no_image_of_that_name, r"does not start: InvalidImageName \(no reference\)\. Correct `image`"),
            (cannot_run, r"StartError \(exec: .*does not hold the program.*Correct `image`"),
            (understands_no_order, r"ended with 2\. Its image does not hold the program"),
        ],
    )
    def test_fails_at_once_where_another_would_do_no_better(self, tmp_path, fate, told):
        bench = Bench(tmp_path, fates=[fate])

        with pytest.raises(PermanentError, match=told):
            bench.ask()

        assert len(bench.pods.made) == 1

    def test_is_left_for_people_to_look_at_when_it_failed(self, tmp_path):
        bench = Bench(tmp_path, fates=[wants_memory])

        with pytest.raises(PermanentError):
            bench.ask()

        assert len(bench.pods.there) == 1

    def test_may_start_as_late_by_the_clock_of_a_cluster_that_is_behind(self, tmp_path):
        def starts(pods: WorkingPods, pod: PodOrder) -> PodFacts:
            pods.before[pod.name] = [PodFacts(name=pod.name, phase=PodPhase.PENDING, age_s=3600)] * 2
            return works(pods, pod)

        bench = Bench(tmp_path, fates=[starts])

        assert len(bench.ask()["candidate"]) == 6

    def test_is_not_waited_for_where_its_node_does_not_answer(self, tmp_path):
        bench = Bench(tmp_path, fates=[is_on_a_silent_node])

        with pytest.raises(TransientError, match="should have ended 60 s ago: its node does not answer"):
            bench.ask()

    def test_is_not_waited_for_where_something_holds_it_back(self, tmp_path):
        bench = Bench(tmp_path, fates=[is_taken_away])
        bench.pods.end = lambda _name: None

        with pytest.raises(TransientError, match=r"is still there 60 s after its time.*metadata\.finalizers"):
            bench.ask()

    def test_is_made_as_soon_as_there_is_room(self, tmp_path):
        bench = Bench(tmp_path)
        bench.pods.held_back = [QuotaExceededError("no room")] * 3

        assert len(bench.ask()["candidate"]) == 6
        assert bench.now_s >= 3

    def test_is_not_waited_for_without_end_where_there_is_no_room(self, tmp_path):
        bench = Bench(tmp_path)
        bench.pods.held_back = [QuotaExceededError("no room")] * 1000

        with pytest.raises(QuotaExceededError):
            bench.ask()

        assert 300 < bench.now_s < 310

    def test_that_leaves_is_no_loss_of_an_evaluation_that_is_asked_now(self, tmp_path):
        """Somebody interrupted it, and asks again before it is gone."""
        bench = Bench(tmp_path, fates=[cannot_be_reached])
        with pytest.raises(TransientError):
            bench.ask()
        [order] = bench.pods.made
        bench.fates.extend([vanishes])
        is_leaving(ended(order, code=143))(bench.pods, order)
        bench.pods.there[order.name] = ended(order, code=143)

        assert len(bench.ask()["candidate"]) == 6

        assert [each.name for each in bench.pods.made] == [order.name] * 3


class TestProgressOfAPod:
    def test_is_read_from_its_log_and_told_once(self, tmp_path):
        bench = Bench(tmp_path, fates=[with_progress(done=3, of=12, spent_usd=0.1)])
        said = bench.pods.log

        bench.pods.log = lambda name, **_: ["no JSON", '{"event": "evaluation.progress"}', "[" * 100_000, *said(name)]
        bench.ask()

        assert (bench.progress[0].done, bench.progress[0].of) == (3, 12)
        # Of the first pod, and of the one after it, which is heard to say the same.
        assert len(bench.progress) == 2

    def test_is_read_on_from_where_it_was_read(self, tmp_path):
        bench = Bench(tmp_path, fates=[with_progress(done=3, of=12)])
        began, asked = bench.clock.now(), []
        bench.pods.log = lambda _name, since=None: asked.append(since) or []

        bench.ask()

        ago_s = [None if since is None else (since - began).total_seconds() for since in asked]
        # Four looks at the first pod and its last lines, one look at the second.
        assert ago_s == [None, -2, -1, 0, None, None]

    def test_that_cannot_be_heard_is_no_reason_to_give_it_up(self, tmp_path):
        bench = Bench(tmp_path, fates=[with_progress(done=3, of=12)])
        bench.pods.log = cannot_be_reached

        assert len(bench.ask()["candidate"]) == 6
