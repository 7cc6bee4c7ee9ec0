"""A registry in memory. A test may lay bundles beside it, by version."""

import shutil
import threading
from collections.abc import Mapping
from pathlib import Path

from goldgate.contracts.bundle import check_bundle
from goldgate.domain.errors import PermanentError
from goldgate.ports.registry import AliasMoved, AliasSuperseded, CanaryTraffic, ModelVersion, Traffic


class InMemoryRegistry:
    """Implements `goldgate.ports.registry.Registry`."""

    def __init__(self) -> None:
        self.bundles: dict[str, Path] = {}
        """Model URI to the bundle that was packaged under it."""
        self.moves: list[tuple[str, str | None, str]] = []
        """Every alias move that was done: agent, from, to."""
        self._versions: dict[str, list[ModelVersion]] = {}
        self._uris: dict[tuple[str, str], str] = {}
        self._champions: dict[str, str] = {}
        self._canaries: dict[str, CanaryTraffic] = {}
        self._lock = threading.Lock()

    def agents(self) -> list[str]:
        return sorted(self._versions)

    def add(self, agent: str, version: str, *, champion: bool = False) -> None:
        """Lay a version down, and make it champion if the test says so."""
        while len(self._versions.get(agent, [])) < int(version):
            number = len(self._versions.get(agent, [])) + 1
            tags = {"release_id": f"made-{number}", "bundle_digest": f"{number:064x}"}
            self.register(agent=agent, model_uri=f"models:/m-{number}", run_id="run", tags=tags)
        if champion:
            self._champions[agent] = version

    def register(self, *, agent: str, model_uri: str, run_id: str, tags: Mapping[str, str]) -> ModelVersion:  # noqa: ARG002
        if missing := {"release_id", "bundle_digest"} - tags.keys():
            raise PermanentError(f"Tags are missing: {sorted(missing)}.")
        with self._lock:
            versions = self._versions.setdefault(agent, [])
            for version in versions:
                if version.release_id == tags["release_id"]:
                    if version.bundle_digest != tags["bundle_digest"]:
                        raise PermanentError(f"Release `{version.release_id}` registered another bundle.")
                    return version
            version = ModelVersion(
                agent=agent,
                version=str(len(versions) + 1),
                bundle_digest=tags["bundle_digest"],
                release_id=tags["release_id"],
                tags=dict(tags),
            )
            versions.append(version)
            self._uris[agent, version.version] = model_uri
            return version

    def version(self, agent: str, version: str) -> ModelVersion:
        for found in self._versions.get(agent, []):
            if found.version == version:
                return found
        raise PermanentError(f"Agent `{agent}` has no version `{version}`.")

    def traffic(self, agent: str) -> Traffic:
        return Traffic(agent=agent, champion=self._champions.get(agent), canary=self._canaries.get(agent))

    def move_champion(self, agent: str, *, to: str, expected: str | None) -> AliasMoved | AliasSuperseded:
        with self._lock:
            found = self._champions.get(agent)
            if found != expected:
                return AliasSuperseded(found=found)
            self.version(agent, to)
            self._champions[agent] = to
            self.moves.append((agent, found, to))
            return AliasMoved(previous=found)

    def set_canary(self, agent: str, canary: CanaryTraffic | None) -> None:
        if canary is None:
            self._canaries.pop(agent, None)
            return
        self.version(agent, canary.version)
        if not 0 < canary.ratio <= 0.5 or canary.until.tzinfo is None:
            raise PermanentError(f"Found {canary}; expected a ratio above 0 up to 0.5, and an aware time.")
        self._canaries[agent] = canary

    def fetch_bundle(self, agent: str, version: str, *, into: Path) -> Path:
        found = self.version(agent, version)
        folder = into / agent / version
        if folder.exists():
            try:
                check_bundle(folder, digest=found.bundle_digest)
            except PermanentError:
                folder.rename(folder.with_name(f"{version}.damaged-1"))
            else:
                return folder
        check_bundle(self.bundles[self._uris[agent, version]], digest=found.bundle_digest)
        shutil.copytree(self.bundles[self._uris[agent, version]], folder)
        return folder
