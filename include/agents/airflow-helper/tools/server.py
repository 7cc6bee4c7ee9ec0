"""Tools over the configuration reference, as an MCP server on standard input and output.

Run as `server.py corpus.jsonl`. Pure look-ups: no network, no state, nothing is changed.
"""

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp_types import ToolAnnotations
from pydantic import Field

_BOOLEANS = {"t", "true", "1", "f", "false", "0"}
"""What Airflow reads as a boolean, whatever the case. Source: `getboolean` of its configuration parser."""

READ_ONLY = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)

_FORMER = re.compile(r"\[([\w.]+)\] (\w+)")


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The options of the corpus, and the names they had before."""

    texts: Mapping[str, str]
    """Text of each option, by `section.option`."""
    former: Mapping[str, str]
    """Present `section.option` by the former one."""

    def field(self, option: str, label: str) -> str:
        """Read one labelled line of an option; empty if it has none."""
        found = re.search(rf"^{label}: (.*)$", self.texts[option], re.MULTILINE)
        return found.group(1) if found else ""

    def known(self, option: str) -> str:
        """Return the option in lower case, or tell the model what is wrong with it."""
        name = option.lower()
        if name in self.texts:
            return name
        if name in self.former:
            raise ToolError(f"`{name}` is called `{self.former[name]}` in this version. Ask again with that name.")
        near = get_close_matches(name, self.texts, n=3, cutoff=0.6)
        hint = f" Did you mean {', '.join(f'`{match}`' for match in near)}?" if near else ""
        raise ToolError(f"This version has no option `{name}`; expected `section.option`.{hint}")

    def section_pattern(self) -> str:
        """Write the sections of present and former names as a choice."""
        sections = {name.rpartition(".")[0] for name in (*self.texts, *self.former)}
        return "|".join(re.escape(section) for section in sorted(sections, key=lambda name: (-len(name), name)))


def read_reference(corpus: Path) -> Reference:
    """Read the corpus: one JSON object a line with `id` and `text`."""
    texts: dict[str, str] = {}
    former: dict[str, str] = {}
    for line in corpus.read_text(encoding="utf-8").splitlines():
        chunk = json.loads(line)
        texts[chunk["id"]] = chunk["text"]
        names = re.search(r"^Formerly: (.*)$", chunk["text"], re.MULTILINE)
        for section, name in _FORMER.findall(names.group(1)) if names else ():
            former[f"{section}.{name}".lower()] = chunk["id"]
    return Reference(texts=texts, former=former)


def is_of_type(value: str, kind: str) -> bool:
    """Tell whether Airflow could read a value as `integer`, `float` or `boolean`; any text is a string."""
    readers = {"integer": int, "float": float}
    if kind == "boolean":
        return value.lower() in _BOOLEANS
    if kind in readers:
        try:
            readers[kind](value)
        except ValueError:
            return False
    return True


def judge_setting(reference: Reference, setting: str) -> str:
    """Say whether the value of `section.option=value` has the option's type."""
    name, _, value = setting.partition("=")
    option = reference.known(name.strip())
    kind, default = reference.field(option, "Type"), reference.field(option, "Default")
    verdict = "is valid" if is_of_type(value.strip(), kind) else "is not valid"
    return f"`{value.strip()}` {verdict} for `{option}`: it takes a value of type {kind}. Default: {default}."


def name_variable(reference: Reference, option: str) -> str:
    """Say which environment variable sets an option."""
    known = reference.known(option)
    return f"`{known}` is set by the environment variable {reference.field(known, 'Environment variable')}."


def name_today(reference: Reference, option: str) -> str:
    """Say what an option of an earlier version is called now."""
    name = option.lower()
    if name in reference.former:
        present = reference.former[name]
        return f"`{name}` was renamed; in this version it is `{present}`."
    return f"`{reference.known(name)}` still has that name in this version."


def make_server(reference: Reference) -> MCPServer:
    """Offer the look-ups as tools."""
    option_pattern = rf"^({reference.section_pattern()})\.[a-z][a-z0-9_]*$"
    setting_pattern = rf"^({reference.section_pattern()})\.[a-z][a-z0-9_]* ?= ?[^\s=]+$"
    Option = Annotated[  # noqa: N806 - a type, made here because its pattern names the sections of the corpus
        str, Field(pattern=option_pattern, description="The option, written `section.option`, as in `core.parallelism`")
    ]
    Setting = Annotated[  # noqa: N806 - as above
        str, Field(pattern=setting_pattern, description="Option and value, as in `core.parallelism=64`")
    ]

    def environment_variable(option: Option) -> str:
        return name_variable(reference, option)

    def check_setting(setting: Setting) -> str:
        return judge_setting(reference, setting)

    def present_name(option: Option) -> str:
        return name_today(reference, option)

    descriptions = {
        environment_variable: "Name the environment variable (env var) that sets or overrides an option.",
        check_setting: "Check whether a value is valid and allowed for an option: does it accept that type of value?",
        present_name: "Tell the new name of an option that was renamed, moved or is gone after an upgrade.",
    }
    return MCPServer(
        name="airflow-reference",
        version="1.0.0",
        log_level="ERROR",
        tools=[
            _strict(Tool.from_function(tool, description=text, annotations=READ_ONLY, structured_output=False))
            for tool, text in descriptions.items()
        ],
    )


def _strict(tool: Tool) -> Tool:
    """Refuse arguments that the tool does not have: the SDK writes a schema that lets them pass."""
    return tool.model_copy(update={"parameters": {**tool.parameters, "additionalProperties": False}})


def main() -> None:
    """Serve until standard input closes."""
    if len(sys.argv) != 2:  # noqa: PLR2004 - program and corpus
        sys.exit("Found no corpus to look things up in; call as: server.py corpus.jsonl")
    corpus = Path(sys.argv[1])
    if not corpus.is_file():
        sys.exit(f"Found no corpus at `{corpus}`; expected the JSON-lines file that a frozen agent holds.")
    make_server(read_reference(corpus)).run("stdio")


if __name__ == "__main__":
    main()
