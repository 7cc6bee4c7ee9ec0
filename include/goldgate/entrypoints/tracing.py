"""Opens the way of spans out of a process: to MLflow by default, to any OpenTelemetry collector, or nowhere."""

import base64
from collections.abc import Mapping
from functools import partial
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

from goldgate.adapters.otlp_traces import OtlpSpanSink, OtlpTarget
from goldgate.agent.trace import NoSink
from goldgate.agent.trace_names import SCHEMA_URL
from goldgate.entrypoints.settings import TRACES_OFF, Settings, SettingsError
from goldgate.ports.traces import Attribute, SpanSink

_PATH: Final = "/v1/traces"


def open_sink(
    settings: Settings, *, env: Mapping[str, str], agent: str, attributes: Mapping[str, Attribute] = {}
) -> SpanSink:
    """Open the sink of one agent's spans. Costs a thread; nothing is imported or connected before the first span.

    Args:
        settings: Where spans go.
        env: Holds headers and logins: `GOLDGATE_OTLP_HEADERS` (`name=value,name=value`, as in OpenTelemetry's own
            variable), `MLFLOW_TRACKING_TOKEN`, or `MLFLOW_TRACKING_USERNAME` and `MLFLOW_TRACKING_PASSWORD`.
        agent: Names the experiment in MLflow: the one that holds the agent's evaluations.
        attributes: What is true of every span of this process, such as the version that it serves.

    Raises:
        SettingsError: The headers cannot be read.
    """
    if settings.otlp_url == TRACES_OFF:
        return NoSink()
    headers = read_headers(env.get("GOLDGATE_OTLP_HEADERS", ""))
    resource = {"service.name": "goldgate", "gen_ai.agent.name": agent, **attributes}
    if settings.otlp_url:
        target = OtlpTarget(url=with_path(settings.otlp_url), headers=headers)
        return OtlpSpanSink(lambda: target, resource=resource, schema_url=SCHEMA_URL)
    find = partial(_mlflow_target, settings.mlflow_url, agent, headers={**_login(env), **headers})
    return OtlpSpanSink(find, resource=resource, schema_url=SCHEMA_URL)


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


def with_path(url: str) -> str:
    """Add OTLP's own path to an address that has none."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=_PATH)) if parts.path in {"", "/"} else url


def _mlflow_target(mlflow_url: str, agent: str, *, headers: Mapping[str, str]) -> OtlpTarget:
    # 0.1 s of httpx, in the sink's own thread.
    from goldgate.adapters.mlflow_experiments import find_or_make_experiment  # noqa: PLC0415

    experiment_id = find_or_make_experiment(mlflow_url, agent, headers=headers)
    return OtlpTarget(url=f"{mlflow_url}{_PATH}", headers={**headers, "x-mlflow-experiment-id": experiment_id})


def _login(env: Mapping[str, str]) -> dict[str, str]:
    """Log in at MLflow as its own client does, by the variables that it reads."""
    if token := env.get("MLFLOW_TRACKING_TOKEN"):
        return {"authorization": f"Bearer {token}"}
    if user := env.get("MLFLOW_TRACKING_USERNAME"):
        pair = f"{user}:{env.get('MLFLOW_TRACKING_PASSWORD', '')}".encode()
        return {"authorization": f"Basic {base64.b64encode(pair).decode()}"}
    return {}
