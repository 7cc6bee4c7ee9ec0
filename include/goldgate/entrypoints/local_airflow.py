"""Airflow of the local stack: its configuration file, its secrets, its users and its database."""

import base64
import configparser
import io
import json
import os
import secrets
import string
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Final

from goldgate.domain.errors import PermanentError
from goldgate.entrypoints.airflow_settings import AirflowObjects, pools_json
from goldgate.entrypoints.settings import CHECKOUT, Settings

USERS: Final = {"admin": "admin", "viewer": "viewer"}
"""User to role."""

PASSWORDS = "passwords.json"
_CFG = "airflow.cfg"
_SECRETS = "secrets.json"
_ALPHABET = string.ascii_letters + string.digits


def airflow_home(settings: Settings) -> Path:
    """Where Airflow keeps its own things."""
    return settings.home / "airflow"


def passwords_file(settings: Settings) -> Path:
    """Where the passwords of the users lie."""
    return airflow_home(settings) / PASSWORDS


def prepare(settings: Settings) -> None:
    """Write Airflow's configuration, and once its secrets and passwords; only this user may read them.

    Airflow would make passwords by itself, but print them into its log.
    """
    home = airflow_home(settings)
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o700)
    keys = _once(home / _SECRETS, _new_secrets)
    _once(passwords_file(settings), lambda: {user: _password() for user in USERS})
    _write_private(home / _CFG, configuration(settings, keys=keys))


def configuration(settings: Settings, *, keys: Mapping[str, str]) -> str:
    """Make `airflow.cfg`. Times are short because people wait for them."""
    home, url = airflow_home(settings), settings.airflow_url
    sections: dict[str, dict[str, str]] = {
        "core": {
            "dags_folder": str(CHECKOUT / "dags"),
            "plugins_folder": str(CHECKOUT / "plugins"),
            "executor": "LocalExecutor",
            "parallelism": "4",
            "load_examples": "False",
            "dags_are_paused_at_creation": "False",
            "fernet_key": keys["fernet_key"],
            "simple_auth_manager_users": ",".join(f"{user}:{role}" for user, role in USERS.items()),
            "simple_auth_manager_passwords_file": str(passwords_file(settings)),
            "execution_api_server_url": f"{url}/execution/",
            "min_serialized_dag_update_interval": "5",
        },
        "database": {"sql_alchemy_conn": f"sqlite:///{home / 'airflow.db'}"},
        "api": {
            "base_url": url,
            "host": "127.0.0.1",
            "workers": "1",
            "secret_key": keys["secret_key"],
            "expose_config": "False",
        },
        "api_auth": {"jwt_secret": keys["jwt_secret"]},
        "logging": {"base_log_folder": str(home / "logs")},
        "dag_processor": {"refresh_interval": "30", "min_file_process_interval": "30", "parsing_processes": "1"},
        # A scheduler that was killed comes back within seconds; what it had started is found and taken up again.
        "scheduler": {
            "scheduler_idle_sleep_time": "0.5",
            "orphaned_tasks_check_interval": "15",
            "scheduler_health_check_threshold": "20",
            "task_instance_heartbeat_timeout": "60",
        },
        "triggerer": {"triggerer_health_check_threshold": "20"},
    }
    written = configparser.ConfigParser(interpolation=None)
    written.read_dict({name: {key: _plain(value) for key, value in pairs.items()} for name, pairs in sections.items()})
    out = io.StringIO()
    written.write(out)
    return out.getvalue()


def migrate(settings: Settings, *, env: Mapping[str, str]) -> None:
    """Bring the database up to date with this Airflow. Done already: nothing happens.

    Raises:
        PermanentError: Airflow could not do it; its last words are told.
    """
    stamp, release = airflow_home(settings) / "migrated", version("apache-airflow")
    if _says(stamp, release) and (airflow_home(settings) / "airflow.db").exists():
        return
    stamp.unlink(missing_ok=True)
    _airflow("db", "migrate", env=env)
    stamp.write_text(release, encoding="utf-8")


def import_pools(settings: Settings, *, objects: AirflowObjects, env: Mapping[str, str]) -> None:
    """Bring the pools into a migrated database. Done already for these pools: nothing happens.

    Raises:
        PermanentError: Airflow could not do it; its last words are told.
    """
    stamp, file = airflow_home(settings) / "pools-imported", airflow_home(settings) / "pools.json"
    pools = pools_json(objects)
    if _says(stamp, pools):
        return
    file.write_text(pools, encoding="utf-8")
    _airflow("pools", "import", str(file), env=env)
    stamp.write_text(pools, encoding="utf-8")


def password_of(settings: Settings, user: str) -> str:
    """Read a user's password.

    Raises:
        PermanentError: The stack was never started, or the file was changed.
    """
    path = passwords_file(settings)
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))[user])
    except (FileNotFoundError, ValueError, KeyError) as error:
        raise PermanentError(f"No password of user `{user}` in `{path}`. Start the stack with `make up`.") from error


def _airflow(*arguments: str, env: Mapping[str, str]) -> None:
    done = subprocess.run(  # noqa: S603 - our interpreter, our arguments
        [sys.executable, "-m", "airflow", *arguments], env=dict(env), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        told = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        raise PermanentError(f"`airflow {' '.join(arguments)}` ended with {done.returncode}:\n{told}")


def _says(stamp: Path, wanted: str) -> bool:
    return stamp.exists() and stamp.read_text(encoding="utf-8") == wanted


def _once(path: Path, make: Callable[[], dict[str, str]]) -> dict[str, str]:
    if not path.exists():
        _write_private(path, json.dumps(make(), indent=2) + "\n")
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise PermanentError(f"`{path}` is not JSON. Delete `{path.parent}` to start with a new Airflow.") from error


def _write_private(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


def _new_secrets() -> dict[str, str]:
    return {
        # A Fernet key is 32 random bytes in URL-safe base64: https://github.com/fernet/spec
        "fernet_key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "jwt_secret": secrets.token_urlsafe(48),
        "secret_key": secrets.token_urlsafe(48),
    }


def _password() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(20))


def _plain(value: str) -> str:
    """Airflow expands `%`."""
    return value.replace("%", "%%")
