"""The images of this checkout: what each is made of, and the labels that tell where it comes from."""

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Final, Literal

from goldgate.adapters.git_source import last_change
from goldgate.contracts.prediction import PredictRequest, PredictResponse
from goldgate.domain.digest import Digest, digest_bytes, digest_json
from goldgate.entrypoints.settings import CHECKOUT
from goldgate.release.build import ImageSource

Runtime = Literal["agent", "router"]

_REVISION_ENV: Final = "GOLDGATE_REVISION"
"""The commit of this code where there is no repository: in the Airflow image."""


def runtime_image(which: Runtime, *, env: Mapping[str, str]) -> ImageSource:
    """Describe the image of the agent runtime or of the router.

    Its labels are part of it, so they hold nothing of a single release, and the revision is that of the last change of
    what the image is made of: the same runtime is the same image, whatever else was committed.
    """
    context = CHECKOUT / "include"
    folder = context / "images" / which
    revision = env.get(_REVISION_ENV) or last_change([context / "goldgate", folder, context / "images" / "sbom.py"])
    labels = {
        "org.opencontainers.image.title": f"goldgate-{which}",
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.version": _version(),
        "org.opencontainers.image.revision": revision,
        "dev.goldgate.lock-digest": f"sha256:{digest_bytes((folder / 'requirements.txt').read_bytes())}",
        "dev.goldgate.model-schema": f"sha256:{predict_digest()}",
    }
    return ImageSource(
        context=context,
        dockerfile=folder / "Dockerfile",
        name=f"goldgate-{which}",
        labels={key: value for key, value in labels.items() if value},
    )


def predict_digest() -> Digest:
    """Name the schema of `predict()`: images that speak the same one can stand in for each other."""
    return digest_json({each.__name__: each.model_json_schema() for each in (PredictRequest, PredictResponse)})


def _version() -> str | None:
    try:
        return version("goldgate")
    except PackageNotFoundError:
        return None  # a checkout on the path, not installed
