"""Build a candidate: the agent as a pyfunc model, and the container image of the runtime that runs it.

The image carries the runtime and knows no agent; prompts, configuration, index and pins travel in the model version.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import JsonValue

from goldgate.contracts.policy import ReleasePolicy
from goldgate.contracts.release import Build, Evaluation, ImageBuilt, ReleaseOrder
from goldgate.domain.digest import digest_json
from goldgate.domain.errors import PermanentError
from goldgate.ports.delivery import ImageBuilder
from goldgate.ports.records import Ledger, ReleaseStore
from goldgate.ports.tracking import Tracking
from goldgate.release.records import needed, note_once, refuse_closed

BLOCKED: Final = "blocked"
_PROMPT_BUNDLE: Final = "bundle"


class BuildBlockedError(PermanentError):
    """The policy asks for a container image, and none could be built."""


@dataclass(frozen=True, kw_only=True)
class ImageSource:
    """What the image of the agent runtime is built from."""

    context: Path
    dockerfile: Path
    name: str = "goldgate-agent"
    labels: Mapping[str, str]
    """Part of the image, so nothing of a single release: the same runtime is the same image."""


def build_candidate(
    release_id: str,
    *,
    bundle: Path,
    store: ReleaseStore,
    tracking: Tracking,
    images: ImageBuilder,
    ledger: Ledger,
    policy: ReleasePolicy,
    image: ImageSource,
) -> Build:
    """Log the frozen bundle as a model of the evaluation's run, and build the image.

    Raises:
        BuildBlockedError: The policy requires an image and none could be built. The record is kept, so the release
            closes as blocked, with the reason.
    """
    order = needed(store, release_id, ReleaseOrder)
    build = store.read(release_id, Build)
    if build is None:
        refuse_closed(store, release_id)
        run_id = needed(store, release_id, Evaluation).run_id
        tracking.attach(run_id, sorted(bundle.iterdir()), folder=_PROMPT_BUNDLE)
        packaged = tracking.package(bundle, run_id=run_id, name=order.agent)
        build = Build(
            model_uri=packaged.model_uri,
            signature_digest=digest_json(packaged.signature),
            image=images.build(
                context=image.context, dockerfile=image.dockerfile, name=image.name, labels=dict(image.labels)
            ),
        )
        store.write(release_id, build)
    is_blocked = policy.image == "required" and not isinstance(build.image, ImageBuilt)
    note_once(ledger, order, step="build", outcome=BLOCKED if is_blocked else "built", evidence=_evidence(build))
    if is_blocked:
        raise BuildBlockedError(
            f"Release `{release_id}` is blocked: its policy says `image: required`, but {_evidence(build)['reason']}. "
            "Make a builder work, or say `image: optional` in release.yaml, and start a new release."
        )
    return build


def _evidence(build: Build) -> dict[str, JsonValue]:
    evidence: dict[str, JsonValue] = {"model_uri": build.model_uri, "signature_digest": build.signature_digest}
    if isinstance(build.image, ImageBuilt):
        pushed: dict[str, JsonValue] = {"pushed": build.image.pushed} if build.image.pushed else {}
        return evidence | {"image_digest": build.image.digest, "builder": build.image.builder, **pushed}
    return evidence | {"reason": build.image.reason}
