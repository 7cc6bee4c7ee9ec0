"""What is done for a run, by its record and its pod."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from goldgate.contracts.resource_parts import NAME_PATTERN
from goldgate.domain.runs.launching import (
    AGENT_AGAIN_S,
    MOST_IN_VAIN,
    NODE_SILENT_S,
    AskPerson,
    Decision,
    Expire,
    Fail,
    Follow,
    Launch,
    Over,
    RunFacts,
    WaitForAgent,
    WaitForPod,
    decide,
    decide_postponed,
)
from goldgate.domain.runs.pods import Launches, LaunchPolicy, PodFacts, PodPhase, pod_name

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
RUN = RunFacts(name="run")
POLICY = LaunchPolicy(start_within_s=300, max_losses=3)
FIRST = replace(Launches().next("run", now=NOW), is_made=True)


def ended(code: int | None = None, reason: str = "", message: str = "", **more: object) -> PodFacts:
    return PodFacts(name="run-1", phase=PodPhase.ENDED, exit_code=code, reason=reason, message=message, **more)


SILENT = PodFacts(name="run-1", phase=PodPhase.ENDING, overdue_s=NODE_SILENT_S)
"""On a node that does not answer."""


def pending(reason: str = "", message: str = "", age_s: float = 1) -> PodFacts:
    return PodFacts(name="run-1", phase=PodPhase.PENDING, reason=reason, message=message, age_s=age_s)


def decided(
    pod: PodFacts | None,
    *,
    run: RunFacts = RUN,
    count: Launches = FIRST,
    policy: LaunchPolicy = POLICY,
    now: datetime = NOW,
) -> Decision:
    return decide(run, pod=pod, count=count, policy=policy, now=now)


class TestDecide:
    def test_launches_the_first_pod_of_a_run_that_has_none(self):
        decision = decided(None, count=Launches())

        assert decision == Launch(count=Launches(launched=1, pod="run-1", since=NOW))

    def test_makes_the_very_pod_that_was_counted_and_never_seen(self):
        """A launcher died between the two: the next one does not count again."""
        counted = replace(FIRST, is_made=False)

        decision = decided(None, count=counted)

        assert decision == Launch(count=counted)

    @pytest.mark.parametrize("phase", [PodPhase.RUNNING, PodPhase.PENDING])
    def test_follows_a_pod_that_works_or_is_about_to(self, phase):
        assert decided(PodFacts(name="run-1", phase=phase)) == Follow()

    @pytest.mark.parametrize(
        ("pod", "told"),
        [
            (None, "vanished"),
            (ended(None, "Evicted", "The node was low on resource: memory."), "low on resource: memory"),
            (ended(None, "EvictionByEvictionAPI", "Eviction API: evicting", is_disrupted=True), "taken away"),
            (ended(None, "PreemptionByScheduler", "for a pod that matters more", is_disrupted=True), "matters more"),
            (ended(None, "NodeLost", "Node n1 is gone"), "Node n1"),
            (ended(None, "OutOfcpu", "Node didn't have enough resource"), "taken away by the cluster: OutOfcpu"),
            (ended(137, "OOMKilled"), "memory"),
            (ended(0), "recorded no end"),
            (ended(1), "recorded no end"),
            (ended(137), "SIGKILL"),
            (ended(143), "SIGTERM"),
            (ended(139, message="Fatal Python error"), "Fatal Python error"),
            (ended(None), "no more is known"),
        ],
        ids=str,
    )
    def test_launches_another_after_one_that_was_lost_and_says_why(self, pod, told):
        decision = decided(pod)

        assert isinstance(decision, Launch)
        assert decision.count.launched == 2
        assert decision.count.pod == "run-2"
        assert decision.count.lost == 1
        assert told in decision.count.why

    def test_stops_after_so_many_losses_and_says_what_to_look_at(self):
        decision = decided(None, count=replace(FIRST, lost=3))

        assert isinstance(decision, Fail)
        assert "`maxLosses` of the PodSettings is 3" in decision.advice
        assert "vanished" in decision.advice

    def test_resumes_once_after_want_of_memory_and_then_says_what_to_raise(self):
        first = decided(ended(137, "OOMKilled"))
        assert isinstance(first, Launch)

        second = decided(ended(137, "OOMKilled"), count=first.count.made())

        assert isinstance(second, Fail)
        assert "resources.limits.memory" in second.advice

    def test_says_what_to_raise_at_the_first_want_of_memory_where_no_pod_may_be_lost(self):
        decision = decided(ended(137, "OOMKilled"), policy=replace(POLICY, max_losses=0))

        assert isinstance(decision, Fail)
        assert "Raise `resources.limits.memory`" in decision.advice

    def test_says_so_when_a_pod_wrote_too_much(self):
        pod = ended(None, "Evicted", 'Usage of EmptyDir volume "home" exceeds the limit "1M".')

        decision = decided(pod)

        assert isinstance(decision, Launch)
        assert "scratchBytes" in decision.count.why

    @pytest.mark.parametrize(
        ("pod", "told"),
        [
            (ended(137, "DeadlineExceeded", "Pod was active on the node longer"), "deadline: "),
            (ended(5, message="Found no key in the LLM; expected one.\n"), "Found no key in the LLM; expected one."),
            (ended(5), "impossible as it is"),
            (ended(2), "Correct `image`"),
            (ended(128, "StartError", "exec: no such file"), "no such file"),
            (pending("InvalidImageName", "must be lowercase"), "registry/name@sha256"),
        ],
        ids=str,
    )
    def test_fails_at_once_where_no_other_pod_could_do_better(self, pod, told):
        decision = decided(pod)

        assert isinstance(decision, Fail)
        assert told in decision.advice

    @pytest.mark.parametrize(
        ("reason", "said", "advice"),
        [
            ("Unschedulable", "0/3 nodes are available: 3 Insufficient cpu.", "resources.requests"),
            ("ErrImagePull", "not found", "Push the image"),
            ("ImagePullBackOff", "Back-off pulling image", "imagePullSecrets"),
            ("ErrImageNeverPull", "is not present", "Load the image"),
            ("CreateContainerConfigError", 'secret "model-key" not found', "Create the Secret"),
            ("RunContainerError", "no runtime", "runtimeClass"),
        ],
    )
    def test_waits_for_a_pod_that_may_yet_start_and_then_fails(self, reason, said, advice):
        early = decided(pending(reason, said, age_s=299))
        late = decided(pending(reason, said, age_s=300))

        assert isinstance(early, WaitForPod)
        assert isinstance(late, Fail)
        assert early.about in early.detail
        for text in (early.detail, late.advice):
            assert reason in text
            assert said.rstrip(".") in text
            assert advice in text
        assert "startWithinSeconds" in late.advice

    def test_fails_a_pod_that_does_not_start_for_no_known_reason(self):
        assert isinstance(decided(pending(age_s=300)), Fail)

    def test_lets_a_pod_end_in_its_time_and_takes_it_for_lost_after(self):
        ending = PodFacts(name="run-1", phase=PodPhase.ENDING)

        assert isinstance(decided(ending), Follow)
        assert isinstance(decided(replace(ending, overdue_s=NODE_SILENT_S)), Launch)

    @pytest.mark.parametrize("pod", [None, ended(6), ended(137), ended(0), SILENT], ids=str)
    def test_needs_no_pod_while_a_person_has_the_word(self, pod):
        assert decided(pod, run=replace(RUN, waits_for_person=True)) == AskPerson()

    def test_looks_for_a_missing_agent_again_after_a_while(self):
        run = replace(RUN, waits_for_agent=True)

        assert decided(ended(75), run=run) == WaitForAgent()
        later = decided(ended(75), run=run, now=NOW + timedelta(seconds=AGENT_AGAIN_S))
        assert isinstance(later, Launch)
        assert later.count.lost == 0

    @pytest.mark.parametrize("code", [6, 75])
    def test_counts_no_loss_where_a_pod_let_go_in_good_order(self, code):
        moved = replace(RUN, moved_at=NOW + timedelta(seconds=1))

        decision = decided(ended(code), run=moved, count=replace(FIRST, lost=3, in_vain=MOST_IN_VAIN))

        assert isinstance(decision, Launch)
        assert (decision.count.lost, decision.count.in_vain) == (3, 0)

    def test_takes_what_was_recorded_as_a_pod_was_counted_for_none_of_its_work(self):
        before = replace(RUN, moved_at=FIRST.since)

        decision = decided(ended(75), run=before)

        assert isinstance(decision, Launch)
        assert decision.count.in_vain == 1

    def test_knows_a_pod_that_was_removed_after_it_let_go_from_one_that_vanished(self):
        decision = decided(None, count=FIRST.done())

        assert isinstance(decision, Launch)
        assert decision.count.lost == 0

    @pytest.mark.parametrize("pod", [None, ended(75, "EvictionByEvictionAPI", is_disrupted=True)], ids=str)
    def test_counts_no_loss_where_a_node_was_drained_in_good_order(self, pod):
        let_go = replace(RUN, has_let_go=True, moved_at=NOW + timedelta(seconds=1))

        decision = decided(pod, run=let_go, count=replace(FIRST, lost=3))

        assert isinstance(decision, Launch)
        assert (decision.count.lost, decision.count.why) == (3, "")

    def test_takes_a_pod_for_lost_after_one_that_was_drained(self):
        """What the pod before it recorded says nothing of this one."""
        let_go = replace(RUN, has_let_go=True, moved_at=NOW - timedelta(seconds=1))

        decision = decided(None, run=let_go)

        assert isinstance(decision, Launch)
        assert decision.count.lost == 1

    def test_gives_up_on_pods_that_let_go_again_and_again_and_record_nothing(self):
        assert isinstance(decided(ended(75), count=replace(FIRST, in_vain=MOST_IN_VAIN)), Fail)
        assert isinstance(decided(ended(75), count=replace(FIRST, in_vain=MOST_IN_VAIN - 1)), Launch)


class TestARunWhoseTimeIsOver:
    PAST = replace(RUN, deadline=NOW)

    @pytest.mark.parametrize(
        ("pod", "count", "is_left"),
        [
            (pending("Unschedulable", "0/1 nodes are available"), FIRST, False),
            (pending(), FIRST, False),
            (ended(137), FIRST, True),
            (PodFacts(name="run-1", phase=PodPhase.ENDING, overdue_s=NODE_SILENT_S), FIRST, True),
            (None, FIRST, True),
            (None, replace(FIRST, is_made=False), False),
            (None, Launches(), False),
        ],
        ids=str,
    )
    def test_ends_where_no_pod_does_it(self, pod: PodFacts | None, count: Launches, is_left: bool):
        """A pod that begins this very moment, or is being made by another launcher, is not taken for dead."""
        assert decided(pod, run=self.PAST, count=count) == Expire(is_left=is_left)

    @pytest.mark.parametrize("waits", [{"waits_for_agent": True}, {"waits_for_person": True}], ids=str)
    def test_waits_for_nobody(self, waits: dict[str, bool]):
        assert isinstance(decided(ended(75), run=replace(self.PAST, **waits)), Expire)

    @pytest.mark.parametrize("phase", [PodPhase.RUNNING, PodPhase.ENDING])
    def test_is_left_to_a_pod_that_ends_it_itself(self, phase: PodPhase):
        assert isinstance(decided(PodFacts(name="run-1", phase=phase), run=self.PAST), Follow)

    def test_is_told_by_what_had_to_end_it_anyway(self):
        decision = decided(ended(5, message="Found no key."), run=self.PAST)

        assert decision == Fail(advice="Found no key.")

    def test_has_its_time_up_to_the_last_moment(self):
        run = replace(RUN, deadline=NOW + timedelta(microseconds=1))

        assert isinstance(decided(pending(), run=run), Follow)


class TestDecidePostponed:
    def test_waits_with_the_server_s_words_and_then_fails_with_them(self):
        said = "exceeded quota: pods, used: pods=2, limited: pods=2"

        early = decide_postponed(FIRST, policy=POLICY, now=NOW + timedelta(seconds=299), said=said)
        late = decide_postponed(FIRST, policy=POLICY, now=NOW + timedelta(seconds=300), said=said)

        assert isinstance(early, WaitForPod)
        assert said in early.detail
        assert isinstance(late, Fail)
        assert said in late.advice


NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)
LONG_NAMES = st.from_regex(r"[a-z0-9][-a-z0-9]{55,61}[a-z0-9]", fullmatch=True)


class TestPodName:
    @given(NAMES | LONG_NAMES, st.integers(1, 99_999))
    def test_is_made_of_dns_labels(self, run, number):
        name = pod_name(run, number)

        assert len(name) <= 63
        assert all(re.fullmatch(NAME_PATTERN, label) for label in name.split("."))
        assert name.endswith(f"-{number}")
        assert not name.removesuffix(f"-{number}").endswith("-")


class TestPodsOfTwoRuns:
    def test_have_other_names_however_long_those_of_the_runs_are(self):
        names = {pod_name("a" * 62 + last, 1) for last in "bcd"}

        assert len(names) == 3

    @given(LONG_NAMES, st.integers(1, 99_999))
    def test_have_other_names_whatever_the_other_run_is_called(self, run, number):
        """The token of a pod says its name: by it, its run is known."""
        alike = pod_name(run, number).removesuffix(f"-{number}")

        assert not re.fullmatch(NAME_PATTERN, alike) or pod_name(alike, number) != pod_name(run, number)


reasons = st.sampled_from(
    ["", "OOMKilled", "DeadlineExceeded", "Evicted", "OutOfmemory", "StartError", "Unschedulable", "ErrImagePull"]
) | st.text(max_size=8)
pods = st.builds(
    PodFacts,
    name=st.just("run-1"),
    phase=st.sampled_from(PodPhase),
    reason=reasons,
    message=st.text(max_size=8),
    exit_code=st.none() | st.integers(-1, 255),
    is_disrupted=st.booleans(),
    age_s=st.floats(0, 1e6),
    overdue_s=st.floats(0, 1e6),
)
runs = st.builds(
    RunFacts,
    name=st.just("run"),
    is_over=st.booleans(),
    waits_for_person=st.booleans(),
    waits_for_agent=st.booleans(),
    deadline=st.none() | st.datetimes(timezones=st.just(UTC)),
    has_let_go=st.booleans(),
    moved_at=st.none() | st.datetimes(timezones=st.just(UTC)),
)
counts = st.just(Launches()) | st.builds(
    Launches,
    launched=st.integers(1, 9),
    pod=st.just("run-1"),
    lost=st.integers(0, 9),
    starved=st.integers(0, 3),
    in_vain=st.integers(0, 30),
    is_made=st.booleans(),
    is_done=st.booleans(),
    since=st.none() | st.datetimes(timezones=st.just(UTC)),
)
policies = st.builds(LaunchPolicy, start_within_s=st.floats(0.1, 1e5), max_losses=st.integers(0, 9))
moments = st.datetimes(timezones=st.just(UTC))


class TestWhateverIsFound:
    @given(runs, st.none() | pods, counts, policies, moments)
    def test_there_is_an_answer_with_words_where_a_person_reads_it(self, run, pod, count, policy, now):
        decision = decide(run, pod=pod, count=count, policy=policy, now=now)

        match decision:
            case Fail(advice=text) | WaitForPod(detail=text):
                assert text.strip()
            case other:
                assert isinstance(other, Follow | Launch | AskPerson | WaitForAgent | Expire | Over)

    @given(runs, st.none() | pods, counts, policies, moments)
    @example(
        RunFacts(name="run"),
        PodFacts(name="run-1", phase=PodPhase.RUNNING),
        Launches(),
        LaunchPolicy(),
        datetime(2026, 1, 1, tzinfo=UTC),
    )
    def test_nothing_is_waited_for_when_the_time_is_over(self, run, pod, count, policy, now):
        decision = decide(replace(run, deadline=now), pod=pod, count=count, policy=policy, now=now)

        is_at_work = pod is not None and count.launched and isinstance(decision, Follow)
        assert is_at_work or isinstance(decision, Expire | Fail | Over)

    @given(runs, st.none() | pods, counts, policies, moments)
    def test_no_pod_is_taken_for_dead_that_may_begin(self, run, pod, count, policy, now):
        decision = decide(run, pod=pod, count=count, policy=policy, now=now)

        if isinstance(decision, Expire) and decision.is_left:
            assert count.is_made if pod is None else pod.phase in {PodPhase.ENDING, PodPhase.ENDED}

    @given(runs, st.none() | pods, counts, policies, moments)
    def test_a_deadline_that_is_to_come_changes_nothing(self, run, pod, count, policy, now):
        without = replace(run, deadline=None)
        later = replace(run, deadline=datetime.max.replace(tzinfo=UTC))

        decisions = [decide(each, pod=pod, count=count, policy=policy, now=now) for each in (without, later)]

        assert decisions[0] == decisions[1]

    @given(runs, pods, counts, policies, moments)
    def test_no_second_pod_is_made_beside_one_that_may_work(self, run, pod, count, policy, now):
        decision = decide(run, pod=pod, count=count, policy=policy, now=now)

        if isinstance(decision, Launch) and count.launched:
            is_silent = pod.phase is PodPhase.ENDING and pod.overdue_s >= NODE_SILENT_S
            assert pod.phase is PodPhase.ENDED or is_silent

    @given(runs, st.none() | pods, counts, policies, moments)
    def test_a_run_that_is_over_is_left_alone(self, run, pod, count, policy, now):
        assert decide(replace(run, is_over=True), pod=pod, count=count, policy=policy, now=now) == Over()

    @given(runs, st.none() | pods, counts, policies, moments)
    def test_a_count_never_goes_down(self, run, pod, count, policy, now):
        decision = decide(run, pod=pod, count=count, policy=policy, now=now)

        if isinstance(decision, Launch):
            assert decision.count.launched >= count.launched
            assert decision.count.lost >= count.lost
            assert decision.count.starved >= count.starved
            assert decision.count == count or decision.count.launched == count.launched + 1

    @given(st.lists(st.none() | pods.filter(lambda pod: pod.phase is PodPhase.ENDED)), policies)
    def test_it_ends_whatever_becomes_of_the_pods(self, fates, policy):
        """As long as nobody records anything: what records is bounded by the machine of runs."""
        most = policy.max_losses + 1 + (policy.max_losses + 1) * (MOST_IN_VAIN + 1)
        count, launched = Launches(), 0
        for fate in [*fates, *([None] * 2 * most)]:
            decision = decide(RUN, pod=fate, count=count, policy=policy, now=NOW)
            if isinstance(decision, Fail):
                break
            assert isinstance(decision, Launch)
            launched += 1
            count = decision.count.made()

        assert isinstance(decision, Fail)
        assert launched <= most
