"""Who may write a TaskRun: what is written to take it, and the conditions that only its holder fulfils. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from goldgate.adapters.cluster.objects import Object, expect
from goldgate.adapters.cluster.statuses import held_of
from goldgate.contracts.cluster import HeldStatus
from goldgate.domain.errors import PermanentError
from goldgate.ports.task_runs import Lease, LeaseLostError, RunHeldError


@dataclass(frozen=True, kw_only=True)
class KnownRun:
    """What is known of a run since its lease was taken."""

    uid: str
    told: int
    """Lines of its history that others have told."""
    may_have_parts: bool
    """Parts of an older status may be left, of this process or of one that was killed."""


def next_holder(
    name: str, *, held: HeldStatus, owner: str, for_s: float, now: datetime, is_dead: Callable[[str], bool]
) -> HeldStatus:
    """Tell who holds a run once it is taken.

    Args:
        name: Of the run.
        held: Who holds it now.
        owner: Who takes it.
        for_s: For how long.
        now: The time.
        is_dead: Whether an owner is known to have ended.

    Raises:
        RunHeldError: Somebody works on it.
    """
    until = held.renew_time and held.renew_time + timedelta(seconds=held.lease_seconds)
    if held.holder and until is not None and until > now and not is_dead(held.holder):
        raise RunHeldError(
            f"Run `{name}` is worked on by `{held.holder}` until {until.isoformat(timespec='seconds')} at least. "
            "Try again then, or look what it is doing.",
            retry_after=until - now,
        )
    return HeldStatus(holder=owner, epoch=held.epoch + 1, renew_time=now, lease_seconds=for_s)


def taking(obj: Object, wanted: HeldStatus) -> list[Object]:
    """Write the patch that takes a run as it was looked at: anything written since then makes it fail."""
    held = wanted.model_dump(mode="json", by_alias=True)
    path, value = ("/status/held", held) if obj.get("status") is not None else ("/status", {"held": held})
    metadata = obj["metadata"]
    return [
        expect("/metadata/uid", metadata["uid"]),
        expect("/metadata/resourceVersion", metadata["resourceVersion"]),
        {"op": "add", "path": path, "value": value},
    ]


def known_of(obj: Object, *, predecessor: HeldStatus) -> KnownRun:
    """Tell what is known of a run as it was looked at before it was taken."""
    status = obj.get("status") or {}
    told = status.get("eventsDropped", 0) + len(status.get("events", []))
    return KnownRun(uid=obj["metadata"]["uid"], told=told, may_have_parts=predecessor.epoch > 0)


def conditions_of(lease: Lease, known: KnownRun | None) -> list[Object]:
    """Write what only the holder of a lease fulfils, in the very TaskRun that it was taken of."""
    tests = [expect("/status/held/epoch", lease.epoch), expect("/status/held/holder", lease.owner)]
    return tests if known is None else [*tests, expect("/metadata/uid", known.uid)]


def require_held(obj: Object | None, lease: Lease, known: KnownRun | None) -> Object:
    """Give a run that a lease is held of.

    Raises:
        LeaseLostError: It is not, or the run is gone.
    """
    if obj is None or (known is not None and obj["metadata"]["uid"] != known.uid):
        raise LeaseLostError(f"Run `{lease.run}` was deleted. Nothing was written: this process stops.")
    held = held_of(obj)
    if (held.epoch, held.holder) != (lease.epoch, lease.owner):
        now_owner = f"`{held.holder}`" if held.holder else "nobody"
        raise LeaseLostError(
            f"Run `{lease.run}` is held by {now_owner} in epoch {held.epoch}; expected epoch {lease.epoch}. "
            "Nothing was written: this process stops."
        )
    return obj


def refused(lease: Lease) -> PermanentError:
    """Say that a change was not taken though the lease is held."""
    return PermanentError(
        f"The API server did not take a change of run `{lease.run}`, though epoch {lease.epoch} of `{lease.owner}` "
        "holds it. Nothing was written. Look whether its status was edited by hand."
    )
