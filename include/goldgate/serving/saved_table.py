"""The last known good table on disk, so that a router restarted while the registry is down goes on serving."""

import logging
from datetime import datetime
from pathlib import Path

from goldgate.contracts.base import Contract, ContractError
from goldgate.contracts.documents import read_json
from goldgate.contracts.durable import write_durably
from goldgate.ports.registry import CanaryTraffic
from goldgate.serving.traffic_table import Route, Serving, Table

log = logging.getLogger(__name__)


class _Serving(Contract):
    version: str
    address: str


class _Canary(Contract):
    version: str
    ratio: float
    until: datetime
    address: str | None


class _Route(Contract):
    agent: str
    champion: str | None
    serving: _Serving | None
    previous: str | None
    canary: _Canary | None
    release_ids: dict[str, str]


class SavedTable(Contract):
    """What is kept of a table: what the registry said last, and where its arms were."""

    routes: list[_Route]


def read_table(path: Path) -> Table:
    """Read what was saved. Nothing, or nothing that can be used (that is logged), is an empty table."""
    if not path.exists():
        return Table()
    try:
        saved = read_json(path, SavedTable)
    except ContractError as error:
        log.warning("router.table.unreadable", extra={"path": str(path), "reason": str(error)})
        return Table()
    return Table(
        routes={route.agent: _opened(route) for route in saved.routes},
        release_ids={
            (route.agent, version): id_ for route in saved.routes for version, id_ in route.release_ids.items()
        },
    )


def encode_table(table: Table) -> bytes:
    """Write a table as it is saved; equal tables make equal bytes."""
    routes = [_closed(route, table) for _, route in sorted(table.routes.items())]
    return SavedTable(routes=routes).model_dump_json(indent=1).encode() + b"\n"


def save_table(path: Path, encoded: bytes) -> None:
    """Replace what was saved."""
    write_durably(path, encoded)


def _opened(saved: _Route) -> Route:
    canary = saved.canary
    return Route(
        agent=saved.agent,
        champion=saved.champion,
        serving=Serving(version=saved.serving.version, address=saved.serving.address) if saved.serving else None,
        previous=saved.previous,
        canary=CanaryTraffic(version=canary.version, ratio=canary.ratio, until=canary.until) if canary else None,
        canary_address=canary.address if canary else None,
    )


def _closed(route: Route, table: Table) -> _Route:
    serving, canary = route.serving, route.canary
    return _Route(
        agent=route.agent,
        champion=route.champion,
        serving=_Serving(version=serving.version, address=serving.address) if serving else None,
        previous=route.previous,
        canary=None
        if canary is None
        else _Canary(version=canary.version, ratio=canary.ratio, until=canary.until, address=route.canary_address),
        release_ids={
            version: id_ for (agent, version), id_ in sorted(table.release_ids.items()) if agent == route.agent
        },
    )
