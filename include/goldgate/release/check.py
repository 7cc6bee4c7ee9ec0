"""Check a candidate before anything is spent on it: no secrets, the pinned gold set, enough rows, a sound agent.

What makes an agent sound (prompts, tools, corpus) the runtime knows; it comes in as a function and leaves a frozen
bundle.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from goldgate.contracts.documents import read_jsonl
from goldgate.contracts.gold import GoldRow
from goldgate.contracts.policy import ReleasePolicy
from goldgate.contracts.release import Candidate, ReleaseOrder
from goldgate.domain.digest import Digest, digest_bytes, short
from goldgate.domain.errors import PermanentError
from goldgate.ports.records import Ledger, ReleaseStore
from goldgate.release.records import failure_noted, needed, note_once, refuse_closed
from goldgate.release.secret_scan import SecretFound, find_secrets

_EVIDENCE: Final = {"bundle_digest", "gold_digest", "policy_digest", "rows", "prompt", "model"}


class SecretsFoundError(PermanentError):
    """The candidate's folder holds what looks like secrets."""

    def __init__(self, message: str, *, found: tuple[SecretFound, ...]) -> None:
        """Keep where they are, never what they are."""
        super().__init__(message)
        self.found = found


class GoldSetDriftError(PermanentError):
    """The gold set is not the one that the policy pins."""

    def __init__(self, message: str, *, name: str, found: str, pinned: str) -> None:
        """Keep both digests."""
        super().__init__(message)
        self.name = name
        self.found = found
        self.pinned = pinned


class GoldSetTooSmallError(PermanentError):
    """The gold set cannot decide anything."""


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What the runtime says of an agent that it read, checked and froze."""

    bundle_digest: str
    prompt: str
    """`<agent>@<first digits of the digest of its prompts>`."""
    model: str
    tools: list[str]


@dataclass(frozen=True, kw_only=True)
class GoldSet:
    """The rows that a candidate is judged on, and their digest."""

    digest: Digest
    rows: list[GoldRow]


def check_candidate(
    release_id: str,
    *,
    folder: Path,
    source_revision: str | None,
    policy: ReleasePolicy,
    policy_digest: str,
    inspect: Callable[[Path], Inspection],
    store: ReleaseStore,
    ledger: Ledger,
) -> Candidate:
    """Check the folder, freeze the agent, and keep what it is.

    Secrets are looked for first: no later error, which may quote the folder's files, can then carry one.

    Args:
        release_id: The release.
        folder: The candidate's folder.
        source_revision: The commit it was at, if known.
        policy: What it is held to.
        policy_digest: Digest of the file that the policy was read from.
        inspect: Reads, checks and freezes the agent in the folder; raises PermanentError if it is not sound.
        store: Keeps the record.
        ledger: Gets the outcome.

    Raises:
        SecretsFoundError: A file holds what looks like a secret.
        GoldSetDriftError: The gold set was changed and not pinned again.
        GoldSetTooSmallError: Fewer rows than the policy needs.
        PermanentError: Rows with the same id, or whatever `inspect` finds.
    """
    order = needed(store, release_id, ReleaseOrder)
    candidate = store.read(release_id, Candidate)
    if candidate is None:
        refuse_closed(store, release_id)
        with failure_noted(ledger, order, step="check"):
            refuse_secrets(folder)
            gold = read_gold_set(folder, policy=policy)
            found = inspect(folder)
        candidate = Candidate(
            order=order,
            bundle_digest=found.bundle_digest,
            gold_digest=gold.digest,
            policy_digest=policy_digest,
            rows=len(gold.rows),
            prompt=found.prompt,
            model=found.model,
            tools=found.tools,
            source_revision=source_revision,
        )
        store.write(release_id, candidate)
    evidence = candidate.model_dump(mode="json", include=_EVIDENCE)
    note_once(ledger, order, step="check", outcome="sound", evidence=evidence)
    return candidate


def refuse_secrets(folder: Path) -> None:
    """Hold a folder to having no secrets.

    Raises:
        SecretsFoundError: With every place.
    """
    found = tuple(find_secrets(folder))
    if not found:
        return
    places = "\n".join(f"  {secret.where}: {secret.kind}" for secret in found)
    raise SecretsFoundError(
        f"Found what looks like secrets in `{folder}`; expected none. Revoke them, take them out, and name an "
        f"environment variable instead (`apiKeyFrom`):\n{places}",
        found=found,
    )


def read_gold_set(folder: Path, *, policy: ReleasePolicy) -> GoldSet:
    """Read the gold set of a folder, if it is the pinned one and large enough.

    Raises:
        ContractError: The file is missing, or rows break the contract.
        GoldSetDriftError: Its digest is not the pinned one.
        GoldSetTooSmallError: It has fewer rows than the policy needs.
        PermanentError: Two rows have the same id.
    """
    path = folder / policy.gold_set.path
    rows = read_jsonl(path, GoldRow)
    digest = digest_bytes(path.read_bytes())
    if digest != policy.gold_set.digest:
        raise GoldSetDriftError(
            f"Gold set `{path}` has digest {short(digest)}, but release.yaml pins {short(policy.gold_set.digest)}. "
            f"Restore the file, or review the change and set `gold_set.digest` to {digest}.",
            name=policy.gold_set.path,
            found=digest,
            pinned=policy.gold_set.digest,
        )
    ids = [row.id for row in rows]
    if repeated := sorted({row_id for row_id in ids if ids.count(row_id) > 1}):
        raise PermanentError(
            f"Gold set `{path}` has more than one row `{repeated[0]}`. Give each row an id of its own."
        )
    if len(rows) < policy.evaluation.min_rows:
        raise GoldSetTooSmallError(
            f"Gold set `{path}` has {len(rows)} rows, but release.yaml needs {policy.evaluation.min_rows} "
            "(`evaluation.min_rows`). Write more rows: fewer decide nothing."
        )
    return GoldSet(digest=digest, rows=rows)
