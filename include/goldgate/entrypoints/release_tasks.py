"""What the tasks of the DAGs call: the playbook's steps with values that JSON carries in and out.

Records stay in the release's folder; a task returns only what people look at and other tasks branch on.
"""

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, assert_never

from pydantic import JsonValue

from goldgate.contracts.release import CanaryRecord, Evaluation, Judgement, ReleaseOrder
from goldgate.domain.canary import Abort, Advance, Complete, GiveUp, Hold, Step
from goldgate.domain.errors import PermanentError
from goldgate.entrypoints.playbook import Playbook
from goldgate.entrypoints.rehearsal import Rehearsal, rehearse, rehearse_champion
from goldgate.entrypoints.settings import Settings
from goldgate.entrypoints.wiring import Wiring
from goldgate.ports.records import ReleaseStore

if TYPE_CHECKING:
    from goldgate.adapters.cluster.connection import Access

Told = dict[str, JsonValue]


def open_release(agent: str, source: str, reason: str, by: str, release_id: str) -> Told:
    """Claim the agent for a release."""
    order = ReleaseOrder(
        release_id=release_id, agent=agent, source=source, reason=reason, by=by, opened_at=datetime.now(UTC)
    )
    return _playbook().open(order).model_dump(mode="json")


def check(release_id: str) -> Told:
    """Check the candidate's contracts and freeze it."""
    candidate = _playbook().check(release_id)
    return candidate.model_dump(
        mode="json", include={"bundle_digest", "gold_digest", "policy_digest", "rows", "prompt", "model"}
    )


def evaluate(release_id: str, access: "Access | None" = None) -> Told:
    """Run the gold set on the candidate and the champion, in a pod of a cluster if there is one."""
    evaluation = _playbook(access).evaluate(release_id)
    figures: Told = {str(name): figure.value for name, figure in evaluation.candidate.figures.items()}
    return {"run_url": evaluation.run_url, "champion_version": evaluation.champion_version, "figures": figures}


def forget_evaluation(release_id: str, agent: str = "", access: "Access | None" = None) -> None:
    """End the pod that asks a gold set for a release or a rehearsal that nobody wants any more.

    Args:
        release_id: As the step was given it.
        agent: As the step was given it, if it was: a rehearsal of a champion bears its name as well.
        access: The cluster. None: that of the settings.
    """
    settings = Settings.from_env(os.environ)
    where = access or settings.cluster
    if not where:
        return
    # Imported late: without a cluster nothing of it is needed.
    from goldgate.entrypoints.evaluation_in_pod import forget_in  # noqa: PLC0415 - as above

    for name in (release_id, rehearsal_of_champion(release_id, agent)):
        forget_in(where, settings=settings, release_id=name)


def rehearsal_of_champion(release_id: str, agent: str) -> str:
    """Name the evaluation of a champion: there is one for each agent in the same run."""
    return f"{release_id}-{agent}"


def build(release_id: str) -> Told:
    """Package the candidate and build the image."""
    return _playbook().build(release_id).model_dump(mode="json")


def judge(release_id: str) -> Told:
    """Hold the candidate to its gates."""
    judgement = _playbook().judge(release_id)
    return {
        "verdict": judgement.verdict.value,
        "gates": {gate.gate: gate.verdict.value for gate in judgement.gates},
        "broken_rows": [row.row_id for row in judgement.broken_rows],
        "report_url": judgement.report_url,
    }


def register(release_id: str) -> Told:
    """Make the candidate a version."""
    return _playbook().register(release_id).model_dump(mode="json")


def start_canary(release_id: str) -> Told:
    """Give the candidate its first share of traffic."""
    begun = _playbook().start_canary(release_id)
    if isinstance(begun, CanaryRecord):
        return {"outcome": begun.outcome, "reason": begun.reason}
    return {"outcome": "started", "look_every_s": begun.plan.look_every_s}


def look_at_canary(release_id: str) -> Told:
    """Look once, and decide."""
    observed = _playbook().look_at_canary(release_id)
    window = observed.window
    return {
        **_told(observed.step),
        "canary_requests": window.canary.requests,
        "champion_requests": window.champion.requests,
    }


def act_on_canary(release_id: str, decision: Told) -> Told:
    """Do what a look decided. `outcome` is `running` while the canary goes on."""
    record = _playbook().act_on_canary(release_id, _step(decision))
    if record is None:
        return {"outcome": "running", "reason": decision["reason"]}
    return {"outcome": record.outcome, "reason": record.reason}


def promote(release_id: str) -> Told:
    """Move the alias."""
    return _playbook().promote(release_id).model_dump(mode="json")


def close(release_id: str, failed_step: str | None = None) -> Told:
    """End the release, and say how it ended and where its evidence is."""
    playbook = _playbook()
    closing: Told = playbook.close(release_id, failed_step=failed_step).model_dump(mode="json")
    return closing | evidence_of(release_id, playbook.wiring.store)


def evidence_of(release_id: str, store: ReleaseStore) -> Told:
    """Name the pages of a release's evaluation and judgement, as far as it came."""
    evaluation, judgement = store.read(release_id, Evaluation), store.read(release_id, Judgement)
    told: Told = {}
    if evaluation:
        told["run_url"] = evaluation.run_url
    if judgement:
        told["report_url"] = judgement.report_url
    return told


def rollback(release_id: str, agent: str, to: str | None, reason: str, by: str) -> Told:
    """Move the alias back. Asked again with the same id, as a retry does, it does not move it once more."""
    moved = _playbook().rollback(agent, to=to, by=by, reason=reason, request_id=release_id)
    return moved.model_dump(mode="json")


def evaluate_champion(release_id: str, agent: str, access: "Access | None" = None) -> Told:
    """Hold the version that serves to the absolute gates."""
    rehearsal_id = rehearsal_of_champion(release_id, agent)
    return _rehearsed(rehearse_champion(_playbook(access), agent, by="airflow", rehearsal_id=rehearsal_id))


def champions() -> list[str]:
    """Name the agents that have a champion."""
    registry = _playbook().wiring.registry
    return [agent for agent in registry.agents() if registry.traffic(agent).champion is not None]


def ci(release_id: str, agent: str, source: str, access: "Access | None" = None) -> Told:
    """Check, evaluate, build and judge an agent, changing no version and no alias."""
    done = rehearse(_playbook(access), agent, source=source, by="airflow", rehearsal_id=release_id)
    return _rehearsed(done)


def _playbook(access: "Access | None" = None) -> Playbook:
    return Playbook(Wiring(Settings.from_env(os.environ), access=access))


def _rehearsed(done: Rehearsal) -> Told:
    figures: Told = {str(name): figure.value for name, figure in done.evaluation.candidate.figures.items()}
    return {
        "verdict": done.judgement.verdict.value,
        "gates": {gate.gate: gate.verdict.value for gate in done.judgement.gates},
        "reason": "; ".join(gate.reason for gate in done.judgement.stopping),
        "figures": figures,
        "run_url": done.evaluation.run_url,
        "report_url": done.judgement.report_url,
        "image": done.build.image.model_dump(mode="json") if done.build else None,
    }


def _told(step: Step) -> Told:
    match step:
        case Hold():
            return {"decision": "hold", "reason": step.reason}
        case Advance():
            return {"decision": "advance", "reason": step.reason, "to_ratio": step.to_ratio}
        case Complete():
            return {"decision": "complete", "reason": step.reason}
        case Abort():
            return {"decision": "abort", "reason": step.reason}
        case GiveUp():
            return {"decision": "give_up", "reason": step.reason}
        case _:
            assert_never(step)


def _step(decision: Told) -> Step:
    reason = str(decision["reason"])
    match decision["decision"]:
        case "hold":
            return Hold(reason=reason)
        case "advance":
            return Advance(reason=reason, to_ratio=float(str(decision["to_ratio"])))
        case "complete":
            return Complete(reason=reason)
        case "abort":
            return Abort(reason=reason)
        case "give_up":
            return GiveUp(reason=reason)
        case other:
            raise PermanentError(
                f"Found the canary decision `{other}`; expected hold, advance, complete, abort or give_up."
            )
