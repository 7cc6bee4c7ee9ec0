from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from goldgate.ports.registry import CanaryTraffic, Traffic
from goldgate.serving.traffic_table import Ensure, Look, Route, Serving, Stop, Table, next_table, wanted_arms

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
GRACE = timedelta(seconds=60)


def canary(version: str = "2", *, ratio: float = 0.05, for_s: float = 20) -> CanaryTraffic:
    return CanaryTraffic(version=version, ratio=ratio, until=NOW + timedelta(seconds=for_s))


def look(champion: str | None, *ready: str, trial: CanaryTraffic | None = None, running: tuple[str, ...] = ()) -> Look:
    return Look(
        traffic={"a": Traffic(agent="a", champion=champion, canary=trial)},
        is_complete=True,
        addresses={("a", version): f"http://{version}" for version in ready},
        running={("a", version) for version in (*ready, *running)},
    )


def unseen(*ready: str, running: tuple[str, ...] = ()) -> Look:
    """The registry did not answer."""
    seen = look(None, *ready, running=running)
    return Look(traffic={}, is_complete=False, addresses=seen.addresses, running=seen.running)


def after(*looks: Look, now: datetime = NOW) -> Table:
    table = Table()
    for seen in looks:
        table, _ = next_table(table, seen, now=now, grace=GRACE)
    return table


class TestChampion:
    def test_is_started_before_it_serves(self):
        table, actions = next_table(Table(), look("1"), now=NOW, grace=GRACE)

        assert table.routes["a"].serving is None
        assert actions == [Ensure(agent="a", version="1")]

    def test_serves_once_it_is_ready(self):
        table, actions = next_table(after(look("1")), look("1", "1"), now=NOW, grace=GRACE)

        assert table.routes["a"].serving == Serving(version="1", address="http://1")
        assert actions == []

    def test_takes_over_only_when_it_is_ready(self):
        waiting = after(look("1", "1"), look("2", "1"))

        assert waiting.routes["a"].champion == "2"
        assert waiting.routes["a"].serving.version == "1"

        assert after(look("1", "1"), look("2", "1"), look("2", "1", "2")).routes["a"].serving.version == "2"

    def test_takes_over_at_once_when_it_was_warm(self):
        before = look("1", "1", "2", trial=canary("2"))

        assert after(before, look("2", "1", "2")).routes["a"].serving.version == "2"

    def test_leaves_the_one_before_warm(self):
        table, actions = next_table(after(look("1", "1")), look("2", "1", "2"), now=NOW, grace=timedelta(0))

        assert table.routes["a"].previous == "1"
        assert actions == []

    def test_goes_back_to_the_one_before_at_once(self):
        table = after(look("1", "1"), look("2", "1", "2"), look("1", "1", "2"))

        assert (table.routes["a"].serving.version, table.routes["a"].previous) == ("1", "2")

    def test_keeps_its_address_while_it_does_not_answer(self):
        """Its failures are seen where they happen; a probe that failed once must not end all service."""
        table, actions = next_table(after(look("1", "1")), look("1", running=("1",)), now=NOW, grace=GRACE)

        assert table.routes["a"].serving == Serving(version="1", address="http://1")
        assert actions == [Ensure(agent="a", version="1")]

    def test_moves_with_its_arm_to_another_port(self):
        moved = Look(
            traffic=look("1").traffic, is_complete=True, addresses={("a", "1"): "http://1:2"}, running={("a", "1")}
        )

        assert after(look("1", "1"), moved).routes["a"].serving.address == "http://1:2"

    def test_that_the_registry_takes_away_serves_no_more(self):
        assert after(look("1", "1"), look(None, "1")).routes["a"].serving is None


class TestCanary:
    def test_takes_traffic_when_its_arm_is_ready(self):
        waiting = after(look("1", "1", trial=canary()))
        ready = after(look("1", "1", "2", trial=canary()))

        assert waiting.routes["a"].canary_at(NOW) is None
        assert ready.routes["a"].canary_at(NOW) == canary()

    def test_is_started(self):
        _, actions = next_table(after(look("1", "1")), look("1", "1", trial=canary()), now=NOW, grace=GRACE)

        assert actions == [Ensure(agent="a", version="2")]

    def test_ends_by_itself_when_its_lease_runs_out(self):
        """Also between two looks, and also when the registry is down."""
        table = after(look("1", "1", "2", trial=canary(for_s=20)))
        later = NOW + timedelta(seconds=20)

        assert table.routes["a"].canary_at(later - timedelta(seconds=1)) is not None
        assert table.routes["a"].canary_at(later) is None

        table, _ = next_table(table, unseen("1", "2"), now=later, grace=GRACE)
        assert table.routes["a"].canary is None

    def test_that_was_ready_and_died_keeps_its_address(self):
        """So that its failures are its own: logged, and counted by the guardrails."""
        table = after(look("1", "1", "2", trial=canary()), look("1", "1", running=("2",), trial=canary()))

        assert table.routes["a"].canary_address == "http://2"

    def test_of_another_version_does_not_inherit_an_address(self):
        table = after(look("1", "1", "2", trial=canary("2")), look("1", "1", "2", trial=canary("3")))

        assert table.routes["a"].canary_address is None

    def test_that_is_champion_is_none(self):
        assert after(look("2", "2", trial=canary("2"))).routes["a"].canary is None


class TestArms:
    def test_that_nothing_needs_are_stopped_after_a_grace(self):
        table, actions = next_table(after(look("1", "1", "9")), look("1", "1", "9"), now=NOW, grace=GRACE)
        assert actions == []

        table, actions = next_table(table, look("1", "1", "9"), now=NOW + GRACE, grace=GRACE)
        assert actions == [Stop(agent="a", version="9")]
        assert table.unwanted_since == {}

    def test_that_are_needed_again_get_their_grace_anew(self):
        table = after(look("1", "1", "2"), look("1", "1", "2", trial=canary()))

        assert table.unwanted_since == {}

    def test_of_an_agent_that_is_gone_are_stopped(self):
        gone = Look(traffic={}, is_complete=True, addresses={}, running={("a", "1")})

        table, actions = next_table(after(look("1", "1")), gone, now=NOW, grace=timedelta(0))

        assert table.routes == {}
        assert actions == [Stop(agent="a", version="1")]

    def test_that_matter_are_those_served_and_those_asked_for(self):
        table = after(look("1", "1"), look("2", "1", "2"))

        assert wanted_arms(table, {"a": Traffic(agent="a", champion="2", canary=canary("3"))}) == {
            ("a", "1"),
            ("a", "2"),
            ("a", "3"),
        }


class TestWithoutTheRegistry:
    def test_everything_is_served_as_before(self):
        known = after(look("1", "1", "2", trial=canary()))

        table, actions = next_table(known, unseen("1", "2"), now=NOW, grace=GRACE)

        assert table == known
        assert actions == []


versions = st.sampled_from(["1", "2", "3"])
looks = st.builds(
    lambda champion, trial, ready, running, is_seen: (
        look(champion, *ready, trial=canary(trial) if trial else None, running=running)
        if is_seen
        else unseen(*ready, running=running)
    ),
    st.none() | versions,
    st.none() | versions,
    st.sets(versions).map(tuple),
    st.sets(versions).map(tuple),
    st.booleans(),
)


class TestAnyHistory:
    @given(history=st.lists(looks, min_size=1, max_size=8), grace_s=st.sampled_from([0, 60]))
    def test_never_stops_what_it_needs_and_starts_all_that_it_needs(self, history, grace_s):
        table = Table()
        for seen in history:
            table, actions = next_table(table, seen, now=NOW, grace=timedelta(seconds=grace_s))
            needed = wanted_arms(table, {})

            assert not {(a.agent, a.version) for a in actions if isinstance(a, Stop)} & needed
            assert {(a.agent, a.version) for a in actions if isinstance(a, Ensure)} == needed - seen.addresses.keys()

    @given(history=st.lists(looks, min_size=1, max_size=8))
    def test_serves_a_ready_champion_and_goes_on_serving_while_there_is_one(self, history):
        table = Table()
        for seen in history:
            before = table.routes.get("a", Route(agent="a", champion=None))
            table, _ = next_table(table, seen, now=NOW, grace=GRACE)
            route = table.routes.get("a", Route(agent="a", champion=None))

            if route.champion is not None and ("a", route.champion) in seen.addresses:
                assert route.serving.version == route.champion
            if route.champion is not None and before.serving is not None:
                assert route.serving is not None
