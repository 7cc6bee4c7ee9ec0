"""What asks gold sets in the pods of a test's namespace, and what it leaves there."""

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any

import yaml

from goldgate.adapters.cluster.connection import Access, connect
from goldgate.agent.bundle import read_manifest
from goldgate.contracts.evaluation import GoldSetPlan, ResultRow
from goldgate.contracts.policy import Budgets
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

    def begin(self, release_id: str, *, access: Access | None = None) -> "Future[dict[str, list[ResultRow]]]":
        """Ask for a release, by another way to the cluster if one is given."""
        about = About(agent="speaker", release_id=release_id, versions={"champion": "7"})
        asks = in_pod(self.settings, about=about, access=access or self.place.access)
        return self._threads.submit(
            asks,
            ROWS,
            contestants={"champion": self.contestant},
            plan=PLAN,
            on_row=lambda _: None,
        )

    def begin_and_lose(self, release_id: str) -> "Future[dict[str, list[ResultRow]]]":
        """Ask for a release whose pod goes, with all it was given, while the model is asked; and another asks it."""
        answering = self.place.world.answering
        with answering.held():
            asked = self.begin(release_id)
            answering.await_one()
            self.forget(release_id)
            answering.await_one()
        return asked

    def change_pods(self, **spec: Any) -> None:
        """Have pods made otherwise from now on."""
        made = yaml.safe_load(self.place.settings_file.read_text())
        made["spec"] |= spec
        self.place.settings_file.write_text(yaml.safe_dump(made))

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
