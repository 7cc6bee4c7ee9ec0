"""Read contracts from YAML and JSON-lines files, and tell problems by file and line."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path as FilePath
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from goldgate.contracts.base import ContractError, Path, Problem, problems_of

C = TypeVar("C", bound=BaseModel)


def read_yaml(path: FilePath, contract: type[C]) -> C:
    """Read the one document of a YAML file.

    Raises:
        ContractError: The file is missing, is not YAML, holds not exactly one document, repeats a
            key, or breaks the contract.
    """
    documents = list(yaml_documents(path))
    if len(documents) != 1:
        raise ContractError([_problem(path, found=f"{len(documents)} YAML documents", expected="exactly one")])
    value, lines = documents[0]
    return parse(value, contract, where=str(path), lines=lines)


def read_json(path: FilePath, contract: type[C]) -> C:
    """Read one JSON file that we or a user wrote.

    Raises:
        ContractError: The file is missing, is not JSON, or breaks the contract.
    """
    return parse_json(text_of(path), contract, where=str(path))


def parse_json(text: str, contract: type[C], *, where: str) -> C:
    """Read one JSON value.

    Raises:
        ContractError: It is not JSON, or breaks the contract.
    """
    return parse(_json(text, where=where), contract, where=where)


def read_jsonl(path: FilePath, contract: type[C]) -> list[C]:
    """Read a file of one JSON value a line; every bad line is told at once.

    Raises:
        ContractError: The file is missing, a line is empty, is not JSON, or breaks the contract.
    """
    return parse_jsonl(text_of(path), contract, where=str(path))


def parse_jsonl(text: str, contract: type[C], *, where: str) -> list[C]:
    """Read one JSON value a line; every bad line is told at once.

    Raises:
        ContractError: A line is empty, is not JSON, or breaks the contract.
    """
    rows: list[C] = []
    problems: list[Problem] = []
    # Not `splitlines`: it also splits at U+2028 and its like, which JSON text may hold as they are.
    for number, line in enumerate(text.removesuffix("\n").split("\n") if text else [], start=1):
        place = f"{where}:{number}"
        try:
            rows.append(parse_json(line, contract, where=place))
        except ContractError as error:
            problems.extend(error.problems)
    if problems:
        raise ContractError(problems)
    return rows


def parse(value: object, contract: type[C], *, where: str, lines: dict[Path, int] | None = None) -> C:
    """Hold a value to its contract.

    Raises:
        ContractError: It breaks it; every problem is told.
    """
    try:
        return contract.model_validate(value)
    except ValidationError as error:
        raise ContractError(problems_of(error, where=where, lines=lines)) from error


def yaml_documents(path: FilePath) -> Iterator[tuple[object, dict[Path, int]]]:
    """Yield each document of a YAML file with the line of every path in it.

    Raises:
        ContractError: The file is missing, is not YAML, or repeats a key.
    """
    text = text_of(path)
    with _told_as_problems(path):
        for node in list(yaml.compose_all(text, Loader=yaml.SafeLoader)):
            if node is not None:
                lines: dict[Path, int] = {}
                _index_lines(node, (), lines, path)
                yield _construct(node), lines


@contextmanager
def _told_as_problems(path: FilePath) -> Iterator[None]:
    try:
        yield
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        found = error.problem or "broken YAML"
        raise ContractError([Problem(where=f"{path}:{line}", field="", found=found, expected="YAML")]) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # A date that does not exist, a number too long to read, a list inside itself.
        found = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ContractError([_problem(path, found=found, expected="YAML")]) from error


def _construct(node: yaml.Node) -> object:
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _index_lines(node: yaml.Node, at: Path, lines: dict[Path, int], path: FilePath) -> None:
    lines[at] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            where = f"{path}:{key.start_mark.line + 1}"
            if not isinstance(key, yaml.ScalarNode):
                field = ".".join(map(str, at))
                problem = Problem(where=where, field=field, found="a list or a mapping as key", expected="a name")
                raise ContractError([problem])
            if key.value in seen:
                field = ".".join(map(str, (*at, key.value)))
                raise ContractError([Problem(where=where, field=field, found="the key twice", expected="once")])
            seen.add(key.value)
            _index_lines(value, (*at, key.value), lines, path)
            lines[(*at, key.value)] = key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for position, value in enumerate(node.value):
            _index_lines(value, (*at, position), lines, path)


def _json(text: str, *, where: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        found = "an empty line" if not text.strip() else f"`{error.msg}` at column {error.colno}"
        problem = Problem(where=where, field="", found=found, expected="one JSON value")
        raise ContractError([problem]) from error


def text_of(path: FilePath) -> str:
    """Read a text file.

    Raises:
        ContractError: It is missing, is not UTF-8, or cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ContractError([_problem(path, found="no such file", expected="a file")]) from error
    except UnicodeDecodeError as error:
        raise ContractError([_problem(path, found=error.reason, expected="UTF-8")]) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise ContractError([_problem(path, found=reason, expected="a readable file")]) from error


def _problem(path: FilePath, *, found: str, expected: str) -> Problem:
    return Problem(where=str(path), field="", found=found, expected=expected)
