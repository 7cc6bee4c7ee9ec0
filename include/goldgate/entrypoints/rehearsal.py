"""Judging without releasing: the agent of a pull request, and the champion every night. No alias moves."""

from dataclasses import dataclass

from goldgate.agent.folder import read_agent
from goldgate.contracts.release import Build, Candidate, Evaluation, Judgement, ReleaseOrder
from goldgate.domain.errors import PermanentError
from goldgate.entrypoints.playbook import Playbook
from goldgate.release.check import read_gold_set
from goldgate.release.trial import OnRow


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """What a release of the same agent would have been judged."""

    evaluation: Evaluation
    judgement: Judgement
    build: Build | None


def rehearse(
    playbook: Playbook, agent: str, *, source: str, by: str, rehearsal_id: str, on_row: OnRow = lambda _: None
) -> Rehearsal:
    """Check, evaluate beside the champion, build and judge an agent as a release would.

    Raises:
        PermanentError: A contract is broken, or the policy wants an image that cannot be built.
    """
    evaluation = rehearse_evaluation(playbook, agent, source=source, by=by, rehearsal_id=rehearsal_id, on_row=on_row)
    build = playbook.build(rehearsal_id)
    return Rehearsal(evaluation=evaluation, judgement=playbook.judge(rehearsal_id), build=build)


def rehearse_evaluation(
    playbook: Playbook, agent: str, *, source: str, by: str, rehearsal_id: str, on_row: OnRow = lambda _: None
) -> Evaluation:
    """Check and evaluate an agent; `Playbook.judge` may follow.

    Raises:
        PermanentError: A contract is broken.
    """
    order = _order(playbook, agent, source=source, reason="rehearsal", by=by, rehearsal_id=rehearsal_id)
    playbook.wiring.store.write(rehearsal_id, order)
    playbook.check(rehearsal_id)
    return playbook.evaluate(rehearsal_id, on_row=on_row)


def rehearse_champion(playbook: Playbook, agent: str, *, by: str, rehearsal_id: str) -> Rehearsal:
    """Hold the version that serves to the absolute gates of the policy in the agents folder.

    Raises:
        PermanentError: The agent has no champion.
    """
    wiring = playbook.wiring
    version = wiring.registry.traffic(agent).champion
    if version is None:
        raise PermanentError(f"Agent `{agent}` has no champion yet, so there is nothing to evaluate. Release it first.")
    order = _order(playbook, agent, source="", reason="nightly", by=by, rehearsal_id=rehearsal_id)
    wiring.store.write(rehearsal_id, order)
    policy = playbook.keep_judges(rehearsal_id)
    gold = read_gold_set(playbook.judged_by(rehearsal_id), policy=policy)
    bundle = wiring.registry.fetch_bundle(agent, version, into=wiring.settings.home / "bundles")
    frozen = read_agent(bundle)
    candidate = Candidate(
        order=order,
        bundle_digest=wiring.registry.version(agent, version).bundle_digest,
        gold_digest=gold.digest,
        policy_digest=playbook.policy_digest(rehearsal_id),
        rows=len(gold.rows),
        prompt=frozen.prompt_id,
        model=frozen.llm.spec.model,
        tools=[],
        source_revision=None,
    )
    wiring.store.write(rehearsal_id, candidate)
    evaluation = playbook.evaluate_bundle(candidate, bundle, None)
    return Rehearsal(evaluation=evaluation, judgement=playbook.judge(rehearsal_id), build=None)


def _order(playbook: Playbook, agent: str, *, source: str, reason: str, by: str, rehearsal_id: str) -> ReleaseOrder:
    kept = playbook.wiring.store.read(rehearsal_id, ReleaseOrder)
    return kept or ReleaseOrder(
        release_id=rehearsal_id,
        agent=agent,
        source=source,
        reason=reason,
        by=by,
        opened_at=playbook.wiring.clock.now(),
        kind="rehearsal",
    )
