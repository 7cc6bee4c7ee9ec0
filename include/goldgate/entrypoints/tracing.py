"""Opens the way of spans out of a process: to MLflow by default, to any OpenTelemetry collector, or nowhere."""

import base64
import threading
from collections.abc import Mapping
from functools import partial
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

from goldgate.adapters.otlp_traces import OtlpOptions, OtlpSpanSink, OtlpTarget
from goldgate.agent.trace import NoSink
from goldgate.agent.trace_names import SCHEMA_URL
from goldgate.entrypoints.settings import TRACES_OFF, Settings, SettingsError
from goldgate.ports.traces import Attribute, SpanSink

SERVING_CLOSE_WITHIN_S: Final = 1.5
"""With the grace of requests under way, still below the supervisor's `stopwaitsecs`."""

_PATH: Final = "/v1/traces"


def open_sink(
    settings: Settings,
    *,
    env: Mapping[str, str],
    agent: str,
    attributes: Mapping[str, Attribute] = {},
    close_within_s: float = 5.0,
) -> SpanSink:
    """Open the sink of one agent's spans. Costs a thread; nothing is imported or connected before the first span.

    Args:
        settings: Where spans go.
        env: Holds headers and logins: `GOLDGATE_OTLP_HEADERS` (`name=value,name=value`, as in OpenTelemetry's own
            variable), `MLFLOW_TRACKING_TOKEN`, or `MLFLOW_TRACKING_USERNAME` and `MLFLOW_TRACKING_PASSWORD`.
        agent: Names the experiment in MLflow: the one that holds the agent's evaluations.
        attributes: What is true of every span of this process, such as the version that it serves.
        close_within_s: How long closing may take to send what is left.

    Raises:
        SettingsError: The headers cannot be read.
    """
    if settings.otlp_url == TRACES_OFF:
        return NoSink()
    headers = read_headers(env.get("GOLDGATE_OTLP_HEADERS", ""))
    resource = {"service.name": "goldgate", "gen_ai.agent.name": agent, **attributes}
    options = OtlpOptions(close_within_s=close_within_s)
    if settings.otlp_url:
        target = OtlpTarget(url=with_path(settings.otlp_url), headers=headers)
        return OtlpSpanSink(lambda: target, resource=resource, schema_url=SCHEMA_URL, options=options)
    find = partial(_mlflow_target, settings.mlflow_url, agent, headers={**mlflow_login(env), **headers})
    return OtlpSpanSink(find, resource=resource, schema_url=SCHEMA_URL, options=options)


class AgentSinks:
    """The sinks of a process that works for many agents. Each is opened at the agent's first span."""

    def __init__(self, settings: Settings, *, env: Mapping[str, str]) -> None:
        """Open nothing yet."""
        self._settings = settings
        self._env = env
        self._lock = threading.Lock()
        self._sinks: dict[str, SpanSink] = {}

    @property
    def dropped(self) -> int:
        """How many spans were lost since the start."""
        return sum(sink.dropped for sink in list(self._sinks.values()))

    def of(self, agent: str) -> SpanSink:
        """Return the sink of an agent. To be asked for agents that exist, not for whatever a caller names."""
        with self._lock:
            if agent not in self._sinks:
                self._sinks[agent] = open_sink(
                    self._settings, env=self._env, agent=agent, close_within_s=SERVING_CLOSE_WITHIN_S
                )
            return self._sinks[agent]

    def close(self) -> None:
        """Close all of them at once, so that it takes no longer than one."""
        closing = [threading.Thread(target=sink.close) for sink in self._sinks.values()]
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join()


def read_headers(text: str) -> dict[str, str]:
    """Read `name=value,name=value`; values are percent-encoded.

    Source: https://opentelemetry.io/docs/specs/otel/protocol/exporter/, which takes the format of W3C Baggage.

    Raises:
        SettingsError: A part is no pair. The text is not repeated: it may hold a key.
    """
    headers = {}
    for position, part in enumerate(filter(None, map(str.strip, text.split(","))), start=1):
        name, equals, value = part.partition("=")
        if not equals or not name.strip():
            raise SettingsError(
                f"Found no `name=value` in part {position} of GOLDGATE_OTLP_HEADERS; expected pairs with commas "
                "between them, values percent-encoded. Correct it."
            )
        headers[name.strip().lower()] = unquote(value.strip())
    return headers


def check_headers(env: Mapping[str, str]) -> None:
    """Refuse headers that cannot be read, before anybody waits for an answer. Raises `SettingsError`."""
    read_headers(env.get("GOLDGATE_OTLP_HEADERS", ""))


def with_path(url: str) -> str:
    """Add OTLP's own path to an address that has none."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=_PATH)) if parts.path in {"", "/"} else url


def _mlflow_target(mlflow_url: str, agent: str, *, headers: Mapping[str, str]) -> OtlpTarget:
    # 0.1 s of httpx, in the sink's own thread.
    from goldgate.adapters.mlflow_experiments import find_or_make_experiment  # noqa: PLC0415

    experiment_id = find_or_make_experiment(mlflow_url, agent, headers=headers)
    return OtlpTarget(url=f"{mlflow_url}{_PATH}", headers={**headers, "x-mlflow-experiment-id": experiment_id})


def mlflow_login(env: Mapping[str, str]) -> dict[str, str]:
    """Log in at MLflow as its own client does, by the variables that it reads."""
    if token := env.get("MLFLOW_TRACKING_TOKEN"):
        return {"authorization": f"Bearer {token}"}
    if user := env.get("MLFLOW_TRACKING_USERNAME"):
        pair = f"{user}:{env.get('MLFLOW_TRACKING_PASSWORD', '')}".encode()
        return {"authorization": f"Basic {base64.b64encode(pair).decode()}"}
    return {}
