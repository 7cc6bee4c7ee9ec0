"""The model is logged with its prompts beside it, and a missing image blocks if the policy says so."""

from pathlib import Path

import pytest

from goldgate.contracts.policy import AbsoluteGate, ChampionGate, GoldSetPin, ReleasePolicy
from goldgate.contracts.release import Build, ImageBuilt, ImageUnavailable
from goldgate.release.build import BuildBlockedError, ImageSource, build_candidate
from goldgate.release.records import StepMissingError
from tests.fakes.in_memory_tracking import InMemoryTracking
from tests.fakes.release_desk import ReleaseDesk, evaluation
from tests.fakes.scripted_images import ScriptedImages

BUILT = ImageBuilt(builder="buildah", reference="localhost/x:1", digest="sha256:1", reused=False)
UNAVAILABLE = ImageUnavailable(reason="no container builder works here")


class Bench:
    def __init__(self, folder: Path, *answers: ImageBuilt | ImageUnavailable) -> None:
        self.desk, self.tracking, self.images = ReleaseDesk(), InMemoryTracking(), ScriptedImages(*answers)
        self.bundle = folder / "bundle"
        for name in ("prompts/system.md", "agent.yaml", "bundle.json"):
            path = self.bundle / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
        run = self.tracking.log_evaluation(experiment="e", name="n", tags={}, params={}, metrics={}, artifacts=[])
        self.desk.store.write("r1", self.desk.order())
        self.evaluation = evaluation("0" * 64, champion=None).model_copy(update={"run_id": run.run_id})

    def build(self, *, image: str = "required") -> Build:
        policy = ReleasePolicy(
            version=1,
            gold_set=GoldSetPin(digest="0" * 64),
            gates=[AbsoluteGate(metric="quality", at_least=0.8)],
            champion_gates=[ChampionGate(metric="quality", margin=0.03)],
            image=image,  # type: ignore[arg-type] # one of the two words
        )
        return build_candidate(
            "r1",
            bundle=self.bundle,
            store=self.desk.store,
            tracking=self.tracking,
            images=self.images,
            ledger=self.desk.ledger,
            policy=policy,
            image=ImageSource(context=Path("include"), dockerfile=Path("include/images/agent/Dockerfile"), labels={}),
        )


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path, BUILT)
    made.desk.store.write("r1", made.evaluation)
    return made


class TestBuildCandidate:
    def test_logs_the_model_and_attaches_the_prompt_bundle(self, bench: Bench):
        build = bench.build()

        assert build.image == BUILT
        assert bench.tracking.packaged == [bench.bundle]
        assert bench.tracking.attached == {("run-1", "bundle"): ["agent.yaml", "bundle.json", "prompts"]}
        assert bench.desk.ledger.story() == [("build", "built")]
        assert bench.desk.ledger.entries()[0].evidence["image_digest"] == "sha256:1"

    def test_builds_once_however_often_it_runs(self, bench: Bench):
        assert bench.build() == bench.build()
        assert len(bench.tracking.packaged) == len(bench.images.asked) == 1
        assert bench.desk.ledger.story() == [("build", "built")]

    def test_goes_on_without_an_image_if_the_policy_lets_it(self, tmp_path: Path):
        bench = Bench(tmp_path, UNAVAILABLE)
        bench.desk.store.write("r1", bench.evaluation)

        assert bench.build(image="optional").image == UNAVAILABLE
        assert bench.desk.ledger.entries()[0].evidence["reason"] == UNAVAILABLE.reason

    def test_blocks_without_an_image_if_the_policy_asks_for_one(self, tmp_path: Path):
        bench = Bench(tmp_path, UNAVAILABLE)
        bench.desk.store.write("r1", bench.evaluation)

        for _ in range(2):
            with pytest.raises(BuildBlockedError, match="no container builder works here"):
                bench.build()

        assert bench.desk.store.read("r1", Build) is not None
        assert bench.desk.ledger.story() == [("build", "blocked")]

    def test_needs_the_evaluation_first(self, tmp_path: Path):
        with pytest.raises(StepMissingError, match="Evaluation"):
            Bench(tmp_path, BUILT).build()
