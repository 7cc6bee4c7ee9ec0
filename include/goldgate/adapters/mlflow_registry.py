"""The model registry in MLflow: a registered model for each agent, an alias for each role.

Who serves is read in one request: alias `champion`, alias `canary`, and the tag `goldgate.canary` that says the
share, the expiry and which version they are meant for. The alias and the tag are two writes, so a reader may see one
without the other: then there is no canary. MLflow's own aliases know no compare-and-set: it holds among all who take
the same lock.
"""

import contextlib
import itertools
import json
import logging
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import mlflow.artifacts
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion as MlflowVersion
from mlflow.entities.model_registry import RegisteredModel
from mlflow.exceptions import MlflowException
from pydantic import AwareDatetime, Field

from goldgate.contracts.base import Contract, ContractError
from goldgate.contracts.bundle import check_bundle
from goldgate.contracts.documents import parse
from goldgate.domain.digest import canonical_json
from goldgate.domain.errors import PermanentError, TransientError, connection_problem, first_line
from goldgate.ports.records import Locks
from goldgate.ports.registry import AliasMoved, AliasSuperseded, CanaryTraffic, ModelVersion, Traffic

log = logging.getLogger(__name__)

CHAMPION: Final = "champion"
CANARY: Final = "canary"
AGENT_TAG: Final = "goldgate.agent"
CANARY_TAG: Final = "goldgate.canary"
BUNDLE_ARTIFACT: Final = "artifacts/bundle"

# MLflow retries seven times by default, for four minutes: our callers decide themselves what to do without it. And it
# prints progress bars, where a command may be writing JSON.
_ENVIRONMENT: Final = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
_PASSING: Final = {"INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED"}
_PASSING_STATUS: Final = {408, 429}
_COLLISION: Final = re.compile(r"IntegrityError|UniqueViolation")
_NOT_THERE: Final = "RESOURCE_DOES_NOT_EXIST"
_ALREADY_THERE: Final = {"RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS"}
_LOCK_WITHIN_S: Final = 30.0
_NEEDED_TAGS: Final = ("release_id", "bundle_digest")


class _CanaryTag(Contract):
    """What the tag `goldgate.canary` holds, as JSON."""

    version: str
    ratio: float = Field(gt=0, le=0.5)
    until: AwareDatetime


class MlflowRegistry:
    """Versions, aliases and canary traffic in one MLflow server. See `goldgate.ports.registry.Registry`."""

    def __init__(self, tracking_uri: str, *, locks: Locks) -> None:
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        self._uri = tracking_uri
        self._client = MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)
        self._locks = locks

    def agents(self) -> list[str]:
        """List every agent that was ever registered, by name. Models of others in the same server are not ours."""
        found: list[str] = []
        token: str | None = None
        with self._reached("list the agents"):
            while True:
                page = self._client.search_registered_models(
                    filter_string=f"tags.`{AGENT_TAG}` = 'true'", page_token=token
                )
                found += [model.name for model in page]
                if not (token := page.token):
                    return sorted(found)

    def register(self, *, agent: str, model_uri: str, run_id: str, tags: Mapping[str, str]) -> ModelVersion:
        """Make a version, or return the one made for the same release before."""
        if missing := [tag for tag in _NEEDED_TAGS if not tags.get(tag)]:
            raise PermanentError(f"A version of `{agent}` was to be registered without the tags {', '.join(missing)}.")
        what = f"register release `{tags['release_id']}` of `{agent}`"
        with self._locks.hold(f"register-{agent}", within_s=_LOCK_WITHIN_S), self._reached(what):
            self._ensure_model(agent)
            found = self._client.search_model_versions(
                f"name = '{agent}' and tags.`release_id` = '{tags['release_id']}'"
            )
            if found:
                return _same_release(_version(found[0]), tags)
            created = self._client.create_model_version(
                agent, source=model_uri, run_id=run_id, tags=dict(tags), model_id=_model_id(model_uri)
            )
            return _version(created)

    def version(self, agent: str, version: str) -> ModelVersion:
        """Look one version up."""
        with self._reached(f"look up version `{version}` of `{agent}`"):
            return _version(self._client.get_model_version(agent, version))

    def traffic(self, agent: str) -> Traffic:
        """Read who serves the agent, in one request."""
        with self._reached(f"read who serves `{agent}`"):
            model = self._model(agent)
        if model is None:
            return Traffic(agent=agent, champion=None, canary=None)
        return Traffic(agent=agent, champion=_alias(model, CHAMPION), canary=_canary(model))

    def move_champion(self, agent: str, *, to: str, expected: str | None) -> AliasMoved | AliasSuperseded:
        """Compare and set the alias `champion`, and read it back."""
        what = f"make version `{to}` champion of `{agent}`"
        with self._locks.hold(f"alias-{agent}", within_s=_LOCK_WITHIN_S), self._reached(what):
            found = self._alias_of(agent)
            if found != expected:
                return AliasSuperseded(found=found)
            self._client.set_registered_model_alias(agent, CHAMPION, to)
            if (kept := self._alias_of(agent)) != to:
                return AliasSuperseded(found=kept)
            return AliasMoved(previous=expected)

    def set_canary(self, agent: str, canary: CanaryTraffic | None) -> None:
        """Send a share of traffic to a version, renew it, or end it.

        The tag goes first and the alias last, and in the other order at the end, so that whatever a reader sees
        between the writes is no canary or a whole one. A renewal is one write.
        """
        what = f"end the canary of `{agent}`" if canary is None else f"set the canary of `{agent}`"
        with self._locks.hold(f"alias-{agent}", within_s=_LOCK_WITHIN_S), self._reached(what):
            model = self._model(agent)
            if canary is None:
                self._end_canary(agent, model)
                return
            if model is None:
                raise PermanentError(f"Agent `{agent}` has no version yet, so version `{canary.version}` is no canary.")
            self._client.get_model_version(agent, canary.version)
            self._client.set_registered_model_tag(agent, CANARY_TAG, _canary_tag(canary))
            if _alias(model, CANARY) != canary.version:
                self._client.set_registered_model_alias(agent, CANARY, canary.version)

    def fetch_bundle(self, agent: str, version: str, *, into: Path) -> Path:
        """Download the frozen agent folder of a version, and check it before it gets its name.

        The folder is `<into>/<agent>/<version>`. A damaged one of that name makes way once another is at hand: it is
        kept as `<version>.damaged-<n>`, for whoever wants to know what happened to it.
        """
        found = self.version(agent, version)
        folder = into / agent / version
        if _is_whole(folder, digest=found.bundle_digest):
            return folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder.parent, prefix=".fetching-") as temporary:
            with self._reached(f"fetch the bundle of `{agent}` version `{version}`"):
                fetched = mlflow.artifacts.download_artifacts(
                    artifact_uri=self._bundle_uri(agent, version), dst_path=temporary, tracking_uri=self._uri
                )
            check_bundle(Path(fetched), digest=found.bundle_digest)
            with self._locks.hold(f"bundle-{agent}", within_s=_LOCK_WITHIN_S):
                if not _is_whole(folder, digest=found.bundle_digest):
                    _set_aside(folder)
                    Path(fetched).rename(folder)
        return folder

    def _bundle_uri(self, agent: str, version: str) -> str:
        """Name the bundle by where its model lies.

        By `models:/<name>/<version>`, MLflow 3.17 also asks the process-wide tracking server, and makes a database in
        the working directory if none is set.
        """
        source = str(self._client.get_model_version(agent, version).source)
        model_id = _model_id(source)
        if model_id is None:
            raise PermanentError(
                f"Version `{version}` of `{agent}` was made of `{source}`; expected a logged model, `models:/m-...`. "
                "Release the agent again."
            )
        return f"{self._client.get_logged_model(model_id).artifact_location}/{BUNDLE_ARTIFACT}"

    def _ensure_model(self, agent: str) -> None:
        try:
            self._client.create_registered_model(agent, tags={AGENT_TAG: "true"})
        except MlflowException as error:
            if error.error_code not in _ALREADY_THERE:
                raise

    def _model(self, agent: str) -> RegisteredModel | None:
        try:
            return self._client.get_registered_model(agent)
        except MlflowException as error:
            if error.error_code == _NOT_THERE:
                return None
            raise

    def _alias_of(self, agent: str) -> str | None:
        model = self._model(agent)
        return None if model is None else _alias(model, CHAMPION)

    def _end_canary(self, agent: str, model: RegisteredModel | None) -> None:
        if model is None:
            return
        if _alias(model, CANARY) is not None:
            self._client.delete_registered_model_alias(agent, CANARY)
        if CANARY_TAG in model.tags:
            self._client.delete_registered_model_tag(agent, CANARY_TAG)

    @contextlib.contextmanager
    def _reached(self, what: str) -> Iterator[None]:
        """Translate what MLflow raises. A failed connection or a broken server passes; a refusal does not."""
        try:
            yield
        except MlflowException as error:
            if _passes(error):
                raise TransientError(f"MLflow at {self._uri} did not {what}: {connection_problem(error)}") from error
            raise PermanentError(f"MLflow at {self._uri} refuses to {what}: {first_line(error)}") from error
        except OSError as error:
            if _is_refusal(error):
                raise PermanentError(f"MLflow at {self._uri} refuses to {what}: {first_line(error)}") from error
            raise TransientError(f"MLflow at {self._uri} did not {what}: {connection_problem(error)}") from error


def _version(found: MlflowVersion) -> ModelVersion:
    tags = dict(found.tags)
    if missing := [tag for tag in _NEEDED_TAGS if not tags.get(tag)]:
        raise PermanentError(
            f"Version `{found.version}` of `{found.name}` lacks the tags {', '.join(missing)}: it was not registered "
            "by a release. Release the agent again."
        )
    return ModelVersion(
        agent=found.name,
        version=str(found.version),
        bundle_digest=tags["bundle_digest"],
        release_id=tags["release_id"],
        tags=tags,
    )


def _same_release(found: ModelVersion, tags: Mapping[str, str]) -> ModelVersion:
    if found.bundle_digest != tags["bundle_digest"]:
        raise PermanentError(
            f"Release `{found.release_id}` registered version `{found.version}` of `{found.agent}` with bundle "
            f"{found.bundle_digest[:12]} already, not {tags['bundle_digest'][:12]}. Start a new release."
        )
    return found


def _alias(model: RegisteredModel, alias: str) -> str | None:
    version = model.aliases.get(alias)
    return None if version is None else str(version)


def _canary(model: RegisteredModel) -> CanaryTraffic | None:
    version, text = _alias(model, CANARY), model.tags.get(CANARY_TAG)
    if version is None:
        return None
    try:
        tag = parse(json.loads(text or "null"), _CanaryTag, where=f"tag {CANARY_TAG} of {model.name}")
    except (ValueError, ContractError) as error:
        log.warning("registry.canary.unreadable", extra={"agent": model.name, "reason": str(error)})
        return None
    if tag.version != version:
        log.warning("registry.canary.inconsistent", extra={"agent": model.name, "alias": version, "tag": tag.version})
        return None
    return CanaryTraffic(version=version, ratio=tag.ratio, until=tag.until)


def _canary_tag(canary: CanaryTraffic) -> str:
    value = {"version": canary.version, "ratio": canary.ratio, "until": canary.until.isoformat()}
    parse(value, _CanaryTag, where="canary")
    return canonical_json(value).decode()


def _model_id(model_uri: str) -> str | None:
    tail = model_uri.removeprefix("models:/")
    return tail if tail != model_uri and tail.startswith("m-") and "/" not in tail else None


def _is_whole(folder: Path, *, digest: str) -> bool:
    if not folder.exists():
        return False
    try:
        check_bundle(folder, digest=digest)
    except PermanentError as error:
        log.warning("registry.bundle.damaged", extra={"folder": str(folder), "reason": str(error)})
        return False
    return True


def _set_aside(folder: Path) -> None:
    if not folder.exists():
        return
    names = (folder.with_name(f"{folder.name}.damaged-{number}") for number in itertools.count(1))
    aside = next(name for name in names if not name.exists())
    folder.rename(aside)
    log.warning("registry.bundle.set_aside", extra={"folder": str(folder), "aside": str(aside)})


def _passes(error: MlflowException) -> bool:
    """Whether the same may succeed later.

    MLflow's client sends again what a busy server has not answered in time, while that is still being written: the two
    collide in the database, and the server calls the second one a bad request.
    """
    return error.error_code in _PASSING or (error.error_code == "BAD_REQUEST" and bool(_COLLISION.search(str(error))))


def _is_refusal(error: OSError) -> bool:
    """Whether an upload or download was answered, and with a no: requests tells that as an OSError with a response."""
    status: int = getattr(getattr(error, "response", None), "status_code", 0)
    return 400 <= status < 500 and status not in _PASSING_STATUS  # noqa: PLR2004 - HTTP's range
