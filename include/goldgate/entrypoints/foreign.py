"""Agents that were written elsewhere, wired: copied for freezing, checked in their own environment, loaded to answer.

`python -m goldgate.entrypoints.foreign FOLDER --into ENVIRONMENTS` builds the environment of an agent's folder or
bundle ahead of time, for an image that needs no package index when it starts.
"""

import argparse
import logging
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

from goldgate.adapters.callable_process import CallableProcess, ProcessSpec
from goldgate.adapters.file_locks import FileLocks
from goldgate.adapters.uv_environments import UvEnvironments
from goldgate.agent.bundle import copy_folder, verify_bundle
from goldgate.agent.foreign import runner
from goldgate.agent.foreign.endpoint_agent import EndpointAsker
from goldgate.agent.foreign.folder import ForeignFolder, kind_of, read_foreign
from goldgate.agent.foreign.python_agent import PythonAsker
from goldgate.agent.foreign.requirements import pins
from goldgate.agent.foreign.runtime import ForeignEquipment, ForeignRuntime
from goldgate.agent.foreign.said import Asker
from goldgate.agent.safety import personal_data
from goldgate.agent.trace import NoSink
from goldgate.contracts.base import Problem
from goldgate.contracts.documents import read_json
from goldgate.contracts.foreign import ENVIRONMENT_FILE, AgentEnvironment, PythonAgentSpec, PythonSpec
from goldgate.contracts.llm import LLMSpec
from goldgate.domain.digest import canonical_json, digest_bytes
from goldgate.domain.errors import PermanentError, TransientError
from goldgate.entrypoints import model_parts
from goldgate.entrypoints.identifier_parts import identifier_books
from goldgate.entrypoints.settings import Settings
from goldgate.ports.traces import SpanSink

BAKED = "GOLDGATE_ENVIRONMENTS"
"""Folders of environments that are only read, joined by `:`. The agent image names its own."""

_BUILD_LOCK_S = 900
_log = logging.getLogger(__name__)


def copy_foreign(folder: Path, *, into: Path, leave_out: Collection[str] = ()) -> ForeignFolder:
    """Copy what serves of the folder into a bundle that is being made, with the environment of a callable pinned.

    Raises:
        ContractError: The folder breaks its contracts.
    """
    agent = read_foreign(folder)
    copy_folder(folder, into=into, leave_out=leave_out)
    spec = agent.agent.spec
    if isinstance(spec, PythonAgentSpec):
        pinned = environment_of(spec.python, folder=into)
        (into / ENVIRONMENT_FILE).write_bytes(canonical_json(pinned.model_dump(mode="json")) + b"\n")
    return agent


def environment_of(spec: PythonSpec, *, folder: Path) -> AgentEnvironment:
    """Pin the environment of a callable: its Python by minor version, its packages by their file."""
    requirements = (folder / spec.requirements).read_bytes() if spec.requirements else b""
    return AgentEnvironment(
        python=spec.python_version or f"{sys.version_info.major}.{sys.version_info.minor}",
        callable=spec.callable,
        requirements=spec.requirements,
        requirements_digest=digest_bytes(requirements),
        pins=pins(requirements.decode()),
    )


def load_foreign(bundle: Path, *, env: Mapping[str, str], sink: SpanSink | None = None) -> ForeignRuntime:
    """Make a bundle answer. A callable's environment is built if it is not here; its process starts when it is asked.

    Raises:
        PermanentError: A file of the bundle is not what was frozen, a variable that the agent names is not set, or its
            environment cannot be built.
        TransientError: The package index did not answer.
    """
    digest = verify_bundle(bundle)
    folder = read_foreign(bundle)
    asker = _asker(folder, env=env)
    return ForeignRuntime(
        ForeignEquipment(folder=folder, asker=asker, digest=digest, sink=sink or NoSink(), books=identifier_books())
    )


def load_packaged(bundle: Path, *, env: Mapping[str, str]) -> ForeignRuntime:
    """Load a callable where MLflow has made its environment already: this interpreter is that of the agent.

    Raises:
        PermanentError: A file of the bundle is not what was frozen, or a variable that the agent names is not set.
    """
    digest = verify_bundle(bundle)
    folder = read_foreign(bundle)
    asker = _asker(folder, env=env, program=Path(sys.executable))
    # Without books: their libraries are no part of the agent's environment.
    return ForeignRuntime(ForeignEquipment(folder=folder, asker=asker, digest=digest))


def callable_problems(bundle: Path, *, env: Mapping[str, str], where: Path) -> list[Problem]:
    """Import the callable of a bundle in its own environment, and tell why it cannot be.

    Raises:
        TransientError: The package index did not answer.
    """
    if kind_of(bundle) != "python":
        return []
    folder = read_foreign(bundle)
    spec = folder.agent.spec
    if not isinstance(spec, PythonAgentSpec):
        return []
    try:
        asker = _asker(folder, env=env)
    except PermanentError as error:
        return [Problem(where=str(where), field="spec.python", found=str(error), expected="an environment for it")]
    try:
        found = asker.warm_up(within_s=spec.python.start_seconds)
    finally:
        asker.close()
    expected = "a callable that can be imported in its own environment"
    return [Problem(where=str(where), field="spec.python.callable", found=each, expected=expected) for each in found]


def environments(env: Mapping[str, str]) -> UvEnvironments:
    """Open the environments of this machine."""
    home = Settings.from_env(env).home
    baked = [Path(folder) for folder in env.get(BAKED, "").split(":") if folder]
    hold = partial(FileLocks(home / "locks").hold, within_s=_BUILD_LOCK_S)
    return UvEnvironments(home / "environments", baked=baked, env=env, lock=hold)


def interpreter(folder: Path, spec: PythonSpec, found: UvEnvironments) -> Path:
    """Give the interpreter of a callable's environment, built if need be."""
    written = folder / ENVIRONMENT_FILE
    pinned = read_json(written, AgentEnvironment) if written.exists() else environment_of(spec, folder=folder)
    return found.interpreter(
        folder / pinned.requirements if pinned.requirements else None,
        requirements_digest=pinned.requirements_digest,
        python=pinned.python,
    )


def _asker(folder: ForeignFolder, *, env: Mapping[str, str], program: Path | None = None) -> Asker:
    spec = folder.agent.spec
    if isinstance(spec, PythonAgentSpec):
        return PythonAsker(spec, target=_process(folder, spec, env=env, program=program))
    llm: LLMSpec = folder.llm.spec if folder.llm else _no_llm(folder)
    return EndpointAsker(folder, llm=llm, model=model_parts.open_llm(llm, env=env))


def _process(
    folder: ForeignFolder, spec: PythonAgentSpec, *, env: Mapping[str, str], program: Path | None
) -> CallableProcess:
    python = spec.python
    if missing := sorted({source.env for source in python.env_from.values() if not env.get(source.env)}):
        raise PermanentError(
            f"Found no environment variable `{'`, `'.join(missing)}`; expected what `envFrom` of agent "
            f"`{folder.name}` names. Set it."
        )
    secrets = {name: env[source.env] for name, source in python.env_from.items()}
    program = program or interpreter(folder.folder, python, environments(env))
    own = {
        "PATH": f"{program.parent}:{env.get('PATH', os.defpath)}",
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",  # a bundle with a file more is no longer that bundle
        "PYTHONUNBUFFERED": "1",
    }
    command = [str(program), "-B", str(runner.__file__), python.callable, "--concurrency", str(python.max_concurrency)]
    return CallableProcess(
        ProcessSpec(
            command=command,
            folder=folder.folder.resolve(),
            env={**own, **python.env, **secrets},
            secrets=tuple(secrets.values()),
            max_concurrency=python.max_concurrency,
            max_restarts=python.max_restarts,
            start_within_s=python.start_seconds,
            max_answer_bytes=spec.limits.max_answer_bytes,
        ),
        say=partial(_say, folder.name),
    )


def _say(agent: str, line: str, trace_id: str) -> None:
    """Log what the agent printed, without a person's data."""
    text, _ = personal_data.redact(line)
    _log.info("agent.said", extra={"agent": agent, "trace_id": trace_id, "line": text})


def _no_llm(folder: ForeignFolder) -> LLMSpec:
    raise PermanentError(f"Found no LLM for the endpoint of agent `{folder.name}`; expected the one that it names.")


def main(argv: Sequence[str] | None = None, *, env: Mapping[str, str] | None = None) -> int:
    """Build an environment ahead of time; 0 when it is there."""
    parser = argparse.ArgumentParser(
        prog="python -m goldgate.entrypoints.foreign",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="an agent's folder, or its bundle")
    parser.add_argument("--into", type=Path, help="folder of environments; `<home>/environments` by default")
    arguments = parser.parse_args(argv)
    env = dict(os.environ if env is None else env)
    try:
        spec = read_foreign(arguments.folder).agent.spec
        if not isinstance(spec, PythonAgentSpec):
            print("An endpoint needs no environment.")  # noqa: T201 - a command that talks to people
            return 0
        found = environments(env)
        if arguments.into is not None:
            hold = partial(FileLocks(arguments.into / ".locks").hold, within_s=_BUILD_LOCK_S)
            found = UvEnvironments(arguments.into, env=env, lock=hold)
        print(interpreter(arguments.folder, spec.python, found))  # noqa: T201 - as above
    except (PermanentError, TransientError) as error:
        print(f"foreign: {error}", file=sys.stderr)  # noqa: T201 - as above
        return 75 if isinstance(error, TransientError) else 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
