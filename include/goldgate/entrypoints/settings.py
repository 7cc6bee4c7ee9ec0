"""Where everything is. Read once from the environment, named all at once, and passed."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from goldgate.domain.errors import PermanentError

CHECKOUT = Path(__file__).resolve().parents[3]
"""The folder that holds `include/`."""

_DEFAULTS = {
    "GOLDGATE_AIRFLOW_URL": "http://127.0.0.1:8080",
    "GOLDGATE_MLFLOW_URL": "http://127.0.0.1:5000",
    "GOLDGATE_MODEL_URL": "http://127.0.0.1:8700/v1",
    "GOLDGATE_ROUTER_URL": "http://127.0.0.1:8800",
}


RUN_LOG = "task-run-log"
"""Folder below the home folder: a line for every TaskRun that is over."""

TRACES_OFF = "off"
"""Value of `GOLDGATE_OTLP_URL` for who wants no traces."""


class SettingsError(PermanentError):
    """The environment is not as it must be."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Folders and addresses."""

    home: Path
    """Everything that a run leaves on the machine. `GOLDGATE_HOME`, else `.goldgate/` in the checkout."""
    agents: Path
    """One folder for each agent. `GOLDGATE_AGENTS`, else `include/agents/`."""
    airflow_url: str
    mlflow_url: str
    model_url: str
    """The OpenAI-compatible endpoint of the stand-in model, with `/v1`."""
    router_url: str
    otlp_url: str = ""
    """An OpenTelemetry collector for traces. `GOLDGATE_OTLP_URL`; empty: MLflow takes them; `off`: nobody does."""
    cluster: str = ""
    """Where TaskRuns are kept and run. `GOLDGATE_CLUSTER`; empty: on this machine; `in-cluster`: by the token of this
    pod; else the path of a kubeconfig, with `#context` behind it where it is not the current one."""
    namespace: str = "goldgate"
    """Of the cluster. `GOLDGATE_NAMESPACE`."""
    pods: Path | None = None
    """A file of kind PodSettings: how pods are made. `GOLDGATE_PODS`."""
    pod: str = ""
    """The pod of a TaskRun that this process is. `GOLDGATE_POD`; set by whoever makes the pod, and not passed on."""

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Settings":
        """Read the settings.

        Raises:
            SettingsError: An address is not an `http(s)://host:port` URL; all that are wrong are named.
        """
        urls = {name: env.get(name, default).rstrip("/") for name, default in _DEFAULTS.items()}
        wrong = [f"{name}=`{url}`" for name, url in urls.items() if not _is_url(url)]
        otlp_url = env.get("GOLDGATE_OTLP_URL", "")
        if not _is_collector(otlp_url):
            # The address may hold a key.
            raise SettingsError(
                "Found GOLDGATE_OTLP_URL, which is no address; expected one such as `http://127.0.0.1:4318/v1/traces`, "
                "or `off`. Correct it, or unset it: traces then go to MLflow."
            )
        if wrong:
            raise SettingsError(
                f"Found {', '.join(wrong)}; expected addresses such as `{_DEFAULTS['GOLDGATE_ROUTER_URL']}`. "
                "Correct or unset them."
            )
        return cls(
            home=Path(env.get("GOLDGATE_HOME") or CHECKOUT / ".goldgate").resolve(),
            agents=Path(env.get("GOLDGATE_AGENTS") or CHECKOUT / "include" / "agents").resolve(),
            airflow_url=urls["GOLDGATE_AIRFLOW_URL"],
            mlflow_url=urls["GOLDGATE_MLFLOW_URL"],
            model_url=urls["GOLDGATE_MODEL_URL"],
            router_url=urls["GOLDGATE_ROUTER_URL"],
            otlp_url=otlp_url,
            cluster=env.get("GOLDGATE_CLUSTER", ""),
            namespace=env.get("GOLDGATE_NAMESPACE") or "goldgate",
            pods=Path(env["GOLDGATE_PODS"]).resolve() if env.get("GOLDGATE_PODS") else None,
            pod=env.get("GOLDGATE_POD", ""),
        )

    def as_env(self) -> dict[str, str]:
        """Write them as the environment of a child process, which then reads the same settings."""
        return {
            "GOLDGATE_HOME": str(self.home),
            "GOLDGATE_AGENTS": str(self.agents),
            "GOLDGATE_AIRFLOW_URL": self.airflow_url,
            "GOLDGATE_MLFLOW_URL": self.mlflow_url,
            "GOLDGATE_MODEL_URL": self.model_url,
            "GOLDGATE_ROUTER_URL": self.router_url,
            **({"GOLDGATE_OTLP_URL": self.otlp_url} if self.otlp_url else {}),
            **({"GOLDGATE_CLUSTER": self.cluster, "GOLDGATE_NAMESPACE": self.namespace} if self.cluster else {}),
            **({"GOLDGATE_PODS": str(self.pods)} if self.pods else {}),
        }

    def completed(self, env: Mapping[str, str]) -> dict[str, str]:
        """Add to an environment what is not set in it, as it was read: agents refer to variables, not to settings."""
        return {**self.as_env(), **env}


def _is_collector(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return text in {"", TRACES_OFF} or (parts.scheme in {"http", "https"} and bool(parts.hostname))
    except ValueError:
        return False


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port is not None
    except ValueError:
        return False
