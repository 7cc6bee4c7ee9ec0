"""Gold sets that are asked by pods of a real cluster: whole, apart from each other, and gone when nobody wants them."""

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing

import pytest
import yaml

from goldgate.adapters.cluster.connection import connect
from goldgate.agent.bundle import read_manifest
from goldgate.contracts.evaluation import GoldSetPlan, ResultRow
from goldgate.contracts.policy import Budgets
from goldgate.domain.errors import PermanentError
from goldgate.entrypoints.agent_applying import frozen_folder
from goldgate.entrypoints.evaluation_in_pod import forget_in, in_pod
from goldgate.entrypoints.evaluation_leftovers import use_of
from goldgate.entrypoints.evaluations import About
from goldgate.entrypoints.settings import Settings
from goldgate.release.trial import Contestant
from tests.cluster.stores import parts_in
from tests.cluster.world import Place, agent_documents, apply_accounts
from tests.fakes.agent_folders import write_folder
from tests.fakes.evaluations import gold_rows
from tests.waiting import until

ROWS = gold_rows(3)
PLAN = GoldSetPlan(repeats=2, concurrency=1, seed=7, budget=Budgets(max_evaluation_cost_usd=1, max_evaluation_s=300))


class Evaluations:
    """What asks gold sets for releases, each in a thread."""

    def __init__(self, place: Place, threads: ThreadPoolExecutor) -> None:
        self.place = place
        self._threads = threads
        apply_accounts(place.cluster, "evaluation")
        home, pods = str(place.folder / "home"), str(place.settings_file)
        env = {"GOLDGATE_HOME": home, "GOLDGATE_AGENTS": str(place.folder), "GOLDGATE_PODS": pods}
        self.settings = Settings.from_env(env)
        folder = write_folder(place.folder / "speaker", agent_documents(place.world, name="speaker"), files={})
        bundle = frozen_folder(folder, settings=self.settings, env={})
        self.contestant = Contestant(bundle=bundle, bundle_digest=read_manifest(bundle).digest)

    def begin(self, release_id: str) -> "Future[dict[str, list[ResultRow]]]":
        about = About(agent="speaker", release_id=release_id, versions={"champion": "7"})
        asks = in_pod(self.settings, about=about, access=self.place.access)
        return self._threads.submit(
            asks,
            ROWS,
            contestants={"champion": self.contestant},
            plan=PLAN,
            on_row=lambda _: None,
        )

    def forget(self, release_id: str) -> None:
        forget_in(self.place.access, settings=self.settings, release_id=release_id)

    def pods_of(self, release_id: str) -> list[str]:
        listed = self.place.cluster.kubectl("get", "pods", "-o", "name").split()
        return [name for name in listed if name.startswith(f"pod/{use_of(release_id)}-")]

    def parts(self) -> set[str]:
        """Tell what the parts are for that an evaluation was given, or laid down."""
        with closing((reached := connect(self.place.access, namespace="")).client):
            uses = {part["metadata"]["labels"].get("goldgate.dev/use", "") for part in parts_in(reached)}
        return {use for use in uses if use.startswith("evaluation") or use == "results"}


@pytest.fixture
def evaluations(place: Place):
    with ThreadPoolExecutor(2) as threads:
        yield Evaluations(place, threads)


class TestEvaluationsInPods:
    def test_of_the_same_champion_at_once_take_nothing_from_each_other(self, evaluations: Evaluations):
        answering = evaluations.place.world.answering
        with answering.held():
            first = evaluations.begin("first")
            answering.await_one()
            second = evaluations.begin("second")
            answering.await_one()

        found = [each.result(timeout=240)["champion"] for each in (first, second)]

        expected = [(row.id, repeat) for row in ROWS for repeat in (0, 1)]
        assert [[(row.row_id, row.repeat) for row in rows] for rows in found] == [expected, expected]
        assert evaluations.parts() == set()
        until(lambda: not evaluations.pods_of("first") and not evaluations.pods_of("second"))

    def test_are_asked_again_in_another_pod_when_theirs_is_gone_with_all_it_was_given(self, evaluations: Evaluations):
        answering = evaluations.place.world.answering
        with answering.held():
            asked = evaluations.begin("lost")
            answering.await_one()
            evaluations.forget("lost")
            answering.await_one()

        assert len(asked.result(timeout=240)["champion"]) == 6

    def test_leave_nothing_behind_when_nobody_waits_for_them_any_more(self, evaluations: Evaluations):
        answering = evaluations.place.world.answering
        made = yaml.safe_load(evaluations.place.settings_file.read_text())
        # So long a pod might go on that does not hear that it is to end.
        made["spec"] |= {"maxLosses": 0, "graceSeconds": 600}
        evaluations.place.settings_file.write_text(yaml.safe_dump(made))
        with answering.held():
            asked = evaluations.begin("unwanted")
            answering.await_one()

            evaluations.forget("unwanted")

            with pytest.raises(PermanentError, match=r"did not come to its end: (it vanished|ended with)"):
                asked.result(timeout=120)

        assert evaluations.parts() == set()
        until(lambda: not evaluations.pods_of("unwanted"))
