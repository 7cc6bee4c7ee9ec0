"""The playbook, wired: each step of a release with its products, for Airflow's tasks and for the command line."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from goldgate.adapters.git_source import resolve_source
from goldgate.agent.bundle import verify_bundle
from goldgate.contracts.base import ContractError
from goldgate.contracts.canary import CanaryProgress
from goldgate.contracts.documents import read_yaml
from goldgate.contracts.durable import write_durably
from goldgate.contracts.policy import ReleasePolicy
from goldgate.contracts.release import (
    Build,
    CanaryRecord,
    Candidate,
    Closing,
    Evaluation,
    Judgement,
    Promotion,
    Registration,
    ReleaseOrder,
)
from goldgate.domain.canary import Step
from goldgate.domain.digest import Digest, digest_bytes, short
from goldgate.domain.errors import PermanentError
from goldgate.entrypoints.evaluations import About, gold_set_runner
from goldgate.entrypoints.foreign import callable_problems
from goldgate.entrypoints.freezing import FrozenBundle, freeze_agent
from goldgate.entrypoints.images import runtime_image
from goldgate.entrypoints.inspection import gold_problems, refuse_broken, tracked
from goldgate.entrypoints.wiring import Wiring
from goldgate.evals.report import render_report
from goldgate.evals.results import read_results, write_results
from goldgate.evals.scorecard import make_scorecard
from goldgate.release import canary
from goldgate.release.build import build_candidate
from goldgate.release.check import GoldSet, Inspection, check_candidate, read_gold_set, refuse_secrets
from goldgate.release.close import close_release
from goldgate.release.evaluate import evaluate_candidate
from goldgate.release.judge import judge_step
from goldgate.release.open import open_release
from goldgate.release.promote import promote
from goldgate.release.reach import refuse_out_of_reach
from goldgate.release.records import failure_noted, needed
from goldgate.release.register import register_candidate
from goldgate.release.rollback import rollback
from goldgate.release.trial import CANDIDATE, CHAMPION, Champion, EvaluationKit, OnRow, RunGoldSet, Trial

POLICY = "release.yaml"
_JUDGED_BY = "judged-by"
"""Copy of policy and gold set in the release's folder: what was checked is what is judged on, whatever happens to the
candidate's folder meanwhile."""


@dataclass(frozen=True, kw_only=True)
class Validated:
    """An agent's folder that passed every check."""

    policy: ReleasePolicy
    gold: GoldSet
    bundle: FrozenBundle


@dataclass(frozen=True)
class Playbook:
    """The steps of a release. Each may be called again after a crash, and goes on from what is recorded."""

    wiring: Wiring

    @property
    def _env(self) -> Mapping[str, str]:
        """What agents may refer to."""
        return self.wiring.settings.completed(os.environ)

    def open(self, order: ReleaseOrder) -> ReleaseOrder:
        """Claim the agent for a release.

        A folder is looked for first, so that a mistyped agent claims nothing. A git ref is for the check to find.

        Raises:
            PermanentError: There is no such agent or folder, or the agent cannot be claimed.
        """
        if self.wiring.store.read(order.release_id, ReleaseOrder) is None and not order.source.startswith("git:"):
            agents, into = self.wiring.settings.agents, self.wiring.settings.home / "sources" / order.agent
            resolve_source(order.source, agent=order.agent, agents=agents, into=into)
        return open_release(order, store=self.wiring.store, ledger=self.wiring.ledger)

    def check(self, release_id: str) -> Candidate:
        """Check the candidate's contracts and freeze it."""
        order = needed(self.wiring.store, release_id, ReleaseOrder)
        judged_by = self.judged_by(release_id)
        revision: str | None = None
        folder = judged_by
        if self.wiring.store.read(release_id, Candidate) is None:
            with failure_noted(self.wiring.ledger, order, step="check"):
                source = resolve_source(
                    order.source,
                    agent=order.agent,
                    agents=self.wiring.settings.agents,
                    into=self.wiring.store.folder(release_id) / "source",
                )
                folder, revision = source.folder, source.revision
                refuse_secrets(folder)
                _keep_judges(folder, judged_by)
        return check_candidate(
            release_id,
            folder=folder,
            source_revision=revision,
            policy=self._policy(release_id),
            policy_digest=self.policy_digest(release_id),
            inspect=lambda found: self._inspect(found, order.agent, self._policy(release_id)),
            store=self.wiring.store,
            ledger=self.wiring.ledger,
        )

    def evaluate(self, release_id: str, *, on_row: OnRow = lambda _: None) -> Evaluation:
        """Run the gold set on the candidate, and on the champion beside it."""
        candidate = needed(self.wiring.store, release_id, Candidate)
        with failure_noted(self.wiring.ledger, candidate.order, step="evaluate"):
            champion = self._champion(candidate)
            return self.evaluate_bundle(candidate, self._candidate_bundle(candidate), champion, on_row=on_row)

    def build(self, release_id: str) -> Build:
        """Log the candidate as a model, and build the image of the runtime."""
        candidate = needed(self.wiring.store, release_id, Candidate)
        with failure_noted(self.wiring.ledger, candidate.order, step="build"):
            return build_candidate(
                release_id,
                bundle=self._candidate_bundle(candidate),
                store=self.wiring.store,
                tracking=self.wiring.tracking,
                images=self.wiring.images,
                ledger=self.wiring.ledger,
                policy=self._policy(release_id),
                image=runtime_image("agent", env=os.environ),
            )

    def judge(self, release_id: str) -> Judgement:
        """Hold the candidate to its gates."""
        with failure_noted(self.wiring.ledger, needed(self.wiring.store, release_id, ReleaseOrder), step="judge"):
            policy = self._policy(release_id)
        return judge_step(
            release_id,
            policy=policy,
            gold=read_gold_set(self.judged_by(release_id), policy=policy).rows,
            read_results=read_results,
            render=render_report,
            store=self.wiring.store,
            validator=self.wiring.validator,
            tracking=self.wiring.tracking,
            ledger=self.wiring.ledger,
        )

    def register(self, release_id: str) -> Registration:
        """Make the candidate a version of the registered model."""
        return register_candidate(
            release_id, store=self.wiring.store, registry=self.wiring.registry, ledger=self.wiring.ledger
        )

    def start_canary(self, release_id: str) -> CanaryRecord | CanaryProgress:
        """Give the candidate its first share of live traffic."""
        return canary.start_canary(
            release_id,
            plan=self._policy(release_id).canary,
            store=self.wiring.store,
            registry=self.wiring.registry,
            ledger=self.wiring.ledger,
            clock=self.wiring.clock,
        )

    def look_at_canary(self, release_id: str) -> canary.Observed:
        """Look at the canary once, renew its lease, and decide."""
        return canary.observe(
            release_id,
            store=self.wiring.store,
            registry=self.wiring.registry,
            requests=self.wiring.requests,
            clock=self.wiring.clock,
        )

    def act_on_canary(self, release_id: str, step: Step) -> CanaryRecord | None:
        """Do what a look decided."""
        return canary.act(
            release_id,
            step,
            store=self.wiring.store,
            registry=self.wiring.registry,
            ledger=self.wiring.ledger,
            clock=self.wiring.clock,
        )

    def run_canary(self, release_id: str, *, on_look: Callable[[str], None]) -> CanaryRecord:
        """Watch the canary until it ends."""
        return canary.run_canary(
            release_id,
            plan=self._policy(release_id).canary,
            store=self.wiring.store,
            registry=self.wiring.registry,
            requests=self.wiring.requests,
            ledger=self.wiring.ledger,
            clock=self.wiring.clock,
            sleep_s=time.sleep,
            on_look=on_look,
        )

    def promote(self, release_id: str) -> Promotion:
        """Move the alias `champion` to the candidate, compare-and-set."""
        return promote(
            release_id,
            registry=self.wiring.registry,
            store=self.wiring.store,
            ledger=self.wiring.ledger,
            clock=self.wiring.clock,
            locks=self.wiring.locks,
        )

    def close(self, release_id: str, *, failed_step: str | None = None) -> Closing:
        """End the release, whatever became of it."""
        return close_release(
            release_id,
            store=self.wiring.store,
            registry=self.wiring.registry,
            ledger=self.wiring.ledger,
            clock=self.wiring.clock,
            locks=self.wiring.locks,
            failed_step=failed_step,
        )

    def rollback(self, agent: str, *, to: str | None, by: str, reason: str, request_id: str | None = None) -> Promotion:
        """Move the alias `champion` back."""
        return rollback(
            agent,
            to=to,
            by=by,
            reason=reason,
            registry=self.wiring.registry,
            ledger=self.wiring.ledger,
            clock=self.wiring.clock,
            locks=self.wiring.locks,
            request_id=request_id,
        )

    def validate(self, agent: str, *, source: str) -> Validated:
        """Check an agent's folder as the step `check` does, and keep nothing but its frozen bundle."""
        into = self.wiring.settings.home / "sources" / agent
        folder = resolve_source(source, agent=agent, agents=self.wiring.settings.agents, into=into).folder
        refuse_secrets(folder)
        refuse_broken(folder, policy=POLICY)
        policy = read_yaml(folder / POLICY, ReleasePolicy)
        gold = read_gold_set(folder, policy=policy)
        refuse_out_of_reach(policy, gold.rows)
        return Validated(policy=policy, gold=gold, bundle=self._freeze(folder, agent, policy, gold))

    def keep_judges(self, release_id: str) -> ReleasePolicy:
        """Copy policy and gold set of the agents folder, to judge by them."""
        order = needed(self.wiring.store, release_id, ReleaseOrder)
        _keep_judges(self.wiring.settings.agents / order.agent, self.judged_by(release_id))
        return self._policy(release_id)

    def evaluate_bundle(
        self, candidate: Candidate, bundle: Path, champion: Champion | None, *, on_row: OnRow = lambda _: None
    ) -> Evaluation:
        """Run the gold set on a bundle, and on the champion beside it if one is given."""
        release_id = candidate.order.release_id
        policy = self._policy(release_id)
        about = tracked(bundle)
        prompts = self.wiring.store.folder(release_id) / "prompts"
        for name, text in about.prompts.items():
            write_durably(prompts / name, text.encode())
        return evaluate_candidate(
            Trial(
                candidate=candidate,
                policy=policy,
                rows=read_gold_set(self.judged_by(release_id), policy=policy).rows,
                bundle=bundle,
                bundle_digest=verify_bundle(bundle),
                champion=champion,
            ),
            params=about.params,
            prompts=prompts,
            kit=EvaluationKit(
                run=self._gold_set_runner(candidate, champion),
                scorecard=make_scorecard,
                write_results=write_results,
                read_results=read_results,
            ),
            store=self.wiring.store,
            tracking=self.wiring.tracking,
            ledger=self.wiring.ledger,
            clock=self.wiring.clock,
            on_row=on_row,
        )

    def _champion(self, candidate: Candidate) -> Champion | None:
        """Find who serves now, to be asked beside the candidate."""
        agent, registry = candidate.order.agent, self.wiring.registry
        version = registry.traffic(agent).champion
        if version is None:
            return None
        bundle = registry.fetch_bundle(agent, version, into=self.wiring.settings.home / "bundles")
        return Champion(version=version, bundle=bundle, bundle_digest=verify_bundle(bundle))

    def _gold_set_runner(self, candidate: Candidate, champion: Champion | None) -> RunGoldSet:
        """Choose where the gold set is asked, and what its spans say."""
        versions = {CANDIDATE: "candidate"} | ({CHAMPION: champion.version} if champion else {})
        about = About(agent=candidate.order.agent, release_id=candidate.order.release_id, versions=versions)
        return gold_set_runner(about, settings=self.wiring.settings, env=self._env, access=self.wiring.access)

    def _inspect(self, folder: Path, agent: str, policy: ReleasePolicy) -> Inspection:
        gold = read_gold_set(folder, policy=policy)
        refuse_out_of_reach(policy, gold.rows)
        bundle = self._freeze(folder, agent, policy, gold)
        return Inspection(bundle_digest=bundle.digest, prompt=bundle.prompt_id, model=bundle.model, tools=bundle.tools)

    def _freeze(self, folder: Path, agent: str, policy: ReleasePolicy, gold: GoldSet) -> FrozenBundle:
        home = self.wiring.settings.home
        bundle = freeze_agent(
            folder,
            into=home / "candidates",
            env=self._env,
            corpus_cache=home / "corpora",
            leave_out=[policy.gold_set.path],
        )
        problems = gold_problems(gold.rows, bundle=bundle, agent=agent, folder=folder)
        problems += callable_problems(bundle.path, env=self._env, where=folder / "agent.yaml")
        if problems:
            raise ContractError(problems)
        return bundle

    def _candidate_bundle(self, candidate: Candidate) -> Path:
        return self.wiring.settings.home / "candidates" / candidate.bundle_digest

    def judged_by(self, release_id: str) -> Path:
        """Folder of the policy and the gold set that a release is judged by."""
        return self.wiring.store.folder(release_id) / _JUDGED_BY

    def policy_digest(self, release_id: str) -> Digest:
        """Digest of the policy that a release is judged by."""
        return digest_bytes((self.judged_by(release_id) / POLICY).read_bytes())

    def _policy(self, release_id: str) -> ReleasePolicy:
        """Read the policy of a release, which nobody may have changed since the check.

        Raises:
            PermanentError: Somebody did.
        """
        path = self.judged_by(release_id) / POLICY
        policy = read_yaml(path, ReleasePolicy)
        candidate = self.wiring.store.read(release_id, Candidate)
        if candidate is not None and candidate.policy_digest != (found := self.policy_digest(release_id)):
            raise PermanentError(
                f"The policy `{path}` has digest {short(found)}, but release `{release_id}` was checked with "
                f"{short(candidate.policy_digest)}. Start a new release: a policy is not changed during one."
            )
        return policy


def _keep_judges(folder: Path, judged_by: Path) -> None:
    """Copy policy and gold set, the policy last: it says that the copy is whole."""
    policy = read_yaml(folder / POLICY, ReleasePolicy)
    gold = folder / policy.gold_set.path
    if gold.is_file():
        write_durably(judged_by / policy.gold_set.path, gold.read_bytes())
    write_durably(judged_by / POLICY, (folder / POLICY).read_bytes())
