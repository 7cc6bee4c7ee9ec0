"""What the router says of itself: pure views of the table."""

from collections.abc import Mapping
from datetime import datetime

from goldgate.serving.metrics import Labels
from goldgate.serving.traffic_table import Route, Table
from goldgate.serving.watch import WatchHealth


def status_of(table: Table, health: WatchHealth, *, now: datetime, dropped: int) -> dict[str, object]:
    """Write `GET /status`: each agent with its champion, canary and arms, and how well that is known."""
    age_s = None if health.looked_at is None else (now - health.looked_at).total_seconds()
    return {
        "agents": {agent: _route_status(route, health, now=now) for agent, route in sorted(table.routes.items())},
        "registry": {"age_s": age_s, "problem": health.registry_problem},
        "arms": {"problem": health.arms_problem},
        "request_log": {"dropped": dropped},
    }


def gauges_of(table: Table, health: WatchHealth, *, now: datetime) -> dict[str, Mapping[Labels, float]]:
    """Write the table as gauges for `/metrics`."""
    canaries = {agent: route.canary_at(now) for agent, route in sorted(table.routes.items())}
    serving = {agent: route.serving for agent, route in sorted(table.routes.items())}
    gauges: dict[str, Mapping[Labels, float]] = {
        "goldgate_canary_ratio": {(("agent", agent),): (c.ratio if c else 0.0) for agent, c in canaries.items()},
        "goldgate_serving": {
            (("agent", agent), ("version", arm.version)): 1.0 for agent, arm in serving.items() if arm is not None
        },
    }
    if health.looked_at is not None:
        gauges["goldgate_registry_age_seconds"] = {(): (now - health.looked_at).total_seconds()}
    return gauges


def _route_status(route: Route, health: WatchHealth, *, now: datetime) -> dict[str, object]:
    serving, canary = route.serving, route.canary
    return {
        "champion": route.champion,
        "champion_ready": (route.agent, route.champion) in health.ready,
        "serving": serving.version if serving else None,
        "is_following": serving is not None and serving.version == route.champion,
        "previous": route.previous,
        "previous_ready": (route.agent, route.previous) in health.ready,
        "canary": None
        if canary is None
        else {
            "version": canary.version,
            "ratio": canary.ratio,
            "until": canary.until.isoformat(),
            "ready": (route.agent, canary.version) in health.ready,
            "takes_traffic": route.canary_at(now) is not None,
        },
    }
