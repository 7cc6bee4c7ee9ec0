"""Register a candidate that passed every gate as a version of its model, with all that it was judged on."""

from goldgate.contracts.release import Build, Candidate, Evaluation, ImageBuilt, Judgement, Registration, ReleaseOrder
from goldgate.domain.errors import PermanentError
from goldgate.domain.verdict import Verdict
from goldgate.ports.records import Ledger, ReleaseStore
from goldgate.ports.registry import Registry
from goldgate.release.records import failure_noted, needed, note_once, refuse_closed


def register_candidate(release_id: str, *, store: ReleaseStore, registry: Registry, ledger: Ledger) -> Registration:
    """Make the model version, once.

    Raises:
        PermanentError: The candidate was not judged, or not judged fit.
    """
    order = needed(store, release_id, ReleaseOrder)
    registration = store.read(release_id, Registration)
    if registration is None:
        refuse_closed(store, release_id)
        with failure_noted(ledger, order, step="register"):
            registration = _register(order, store=store, registry=registry, ledger=ledger)
        store.write(release_id, registration)
    evidence = {"version": registration.version, "model_name": registration.model_name}
    note_once(ledger, order, step="register", outcome="registered", evidence=evidence)
    return registration


def _register(order: ReleaseOrder, *, store: ReleaseStore, registry: Registry, ledger: Ledger) -> Registration:
    judgement = needed(store, order.release_id, Judgement)
    if judgement.verdict is not Verdict.PASS or not judgement.results_valid:
        raise PermanentError(
            f"Release `{order.release_id}` was judged `{judgement.verdict.value}`"
            f"{'' if judgement.results_valid else ' on results that are not valid'}; only a candidate judged `pass` "
            "is registered. Improve the candidate and start a new release."
        )
    candidate = needed(store, order.release_id, Candidate)
    evaluation = needed(store, order.release_id, Evaluation)
    build = needed(store, order.release_id, Build)
    if evaluation.candidate.bundle_digest != candidate.bundle_digest:
        raise PermanentError(
            f"Release `{order.release_id}` evaluated bundle {evaluation.candidate.bundle_digest[:12]}, but its "
            f"candidate is {candidate.bundle_digest[:12]}: the evidence is of another agent. Start a new release."
        )
    version = registry.register(
        agent=order.agent,
        model_uri=build.model_uri,
        run_id=evaluation.run_id,
        tags=_tags(candidate, evaluation, build, judgement, ledger_head=_head(ledger)),
    )
    return Registration(version=version.version, model_name=version.agent)


def _tags(
    candidate: Candidate, evaluation: Evaluation, build: Build, judgement: Judgement, *, ledger_head: str
) -> dict[str, str]:
    """Everything the candidate was judged on, by digest."""
    tags = {
        "release_id": candidate.order.release_id,
        "bundle_digest": candidate.bundle_digest,
        "gold_digest": candidate.gold_digest,
        "policy_digest": candidate.policy_digest,
        "signature_digest": build.signature_digest,
        "run_id": evaluation.run_id,
        "prompt": candidate.prompt,
        "model": candidate.model,
        "verdict": judgement.verdict.value,
        "champion_judged_against": evaluation.champion_version or "none",
        "ledger_head": ledger_head,
        "source_revision": candidate.source_revision or "unknown",
    }
    if isinstance(build.image, ImageBuilt):
        return tags | {"image_digest": build.image.digest, "image": build.image.pushed or build.image.reference}
    return tags | {"image_unavailable": build.image.reason}


def _head(ledger: Ledger) -> str:
    entries = ledger.entries()
    return entries[-1].hash if entries else "empty"
