"""`airflow_settings.yaml` for people without the Astro CLI: what Airflow reads from its environment, and its pools."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, JsonValue

from goldgate.contracts.base import Contract
from goldgate.contracts.documents import read_yaml
from goldgate.entrypoints.settings import CHECKOUT

FILE = CHECKOUT / "airflow_settings.yaml"


def _text(value: object) -> object:
    return "" if value is None else value


Text = Annotated[str, BeforeValidator(_text)]
"""The Astro CLI writes an empty value for "not set"."""


class AirflowConnection(Contract):
    """One connection. A password does not belong into this file."""

    conn_id: str = Field(min_length=1, pattern=r"^[a-z0-9_]+$")
    conn_type: str = Field(min_length=1)
    conn_host: Text = ""
    conn_schema: Text = ""
    conn_login: Text = ""
    conn_password: Annotated[Text, Field(max_length=0)] = ""
    conn_port: int | None = None
    conn_extra: dict[str, JsonValue] | None = None


class AirflowPool(Contract):
    """One pool: how many tasks of a kind run at once."""

    pool_name: str = Field(min_length=1)
    pool_slot: int = Field(ge=1)
    pool_description: Text = ""


class AirflowVariable(Contract):
    """One variable."""

    variable_name: str = Field(min_length=1)
    variable_value: Text


class AirflowObjects(Contract):
    """What Airflow is to know."""

    connections: list[AirflowConnection] = Field(default_factory=list)
    pools: list[AirflowPool] = Field(default_factory=list)
    variables: list[AirflowVariable] = Field(default_factory=list)


class AirflowSettings(Contract):
    """The file, in the format of the Astro CLI."""

    airflow: AirflowObjects


def read_airflow_settings(path: Path = FILE) -> AirflowObjects:
    """Read the file.

    Raises:
        ContractError: It is missing or breaks its contract; a password in it does.
    """
    return read_yaml(path, AirflowSettings).airflow


def airflow_env(objects: AirflowObjects, *, env: Mapping[str, str]) -> dict[str, str]:
    """Write connections and variables as Airflow reads them from its environment.

    Args:
        objects: What the file says.
        env: Where `AIRFLOW_CONN_<ID>` and `AIRFLOW_VAR_<NAME>` that somebody set already win over the file: the way to
            give a connection its password.
    """
    connections = {f"AIRFLOW_CONN_{one.conn_id.upper()}": _connection(one) for one in objects.connections}
    variables = {f"AIRFLOW_VAR_{one.variable_name.upper()}": one.variable_value for one in objects.variables}
    made = connections | variables
    own = ("AIRFLOW_CONN_", "AIRFLOW_VAR_")
    return made | {name: value for name, value in env.items() if name.startswith(own)}


def pools_json(objects: AirflowObjects) -> str:
    """Write the pools as `airflow pools import` reads them."""
    pools = {
        one.pool_name: {"slots": one.pool_slot, "description": one.pool_description, "include_deferred": False}
        for one in objects.pools
    }
    return json.dumps(pools, indent=2, sort_keys=True) + "\n"


def _connection(one: AirflowConnection) -> str:
    fields: dict[str, JsonValue] = {
        "conn_type": one.conn_type,
        "host": one.conn_host,
        "schema": one.conn_schema,
        "login": one.conn_login,
        "port": one.conn_port,
        "extra": one.conn_extra,
    }
    return json.dumps({name: value for name, value in fields.items() if value not in ("", None)}, sort_keys=True)
