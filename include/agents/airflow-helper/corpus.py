"""Print the configuration reference of the installed Airflow, one option a line, as JSON: id, title, text.

Everything comes from the installed files: the core reference, the options that providers add, and the names that
options had in earlier versions. `vocabulary.yaml` adds the words that people use instead. Airflow itself is not
imported: that takes seconds and sets up logging.
"""

import ast
import importlib.metadata
import importlib.util
import json
import re
import runpy
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Vocabulary = tuple[tuple[re.Pattern[str], str], ...]
"""Terms of the reference, and what people say instead."""

Renames = Mapping[tuple[str, str], list[tuple[str, str]]]
"""Former (section, option) names by the present one."""

_MARKUP: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.MULTILINE), plain)
    for pattern, plain in (
        (r"^\s*\.\. code-block::.*$", ""),
        (r"\.\. (note|important|warning)::\s*", "Note: "),
        (r"^\s*```\s*$", ""),
        (r"\|experimental\|", "Experimental."),
        (r":ref:`config:(\w+?)__(\w+)`", r"[\1] \2"),
        (r":[a-z]+:`~?([^`]+)`", r"\1"),
        (r"`([^`<]+?)\s*<([^>`]+)>`_{0,2}", r"\1 (\2)"),
        (r"``([^`]+)``", r"\1"),
        (r"`([^`\n]+)`", r"\1"),
        (r"\*\*([^*]+)\*\*", r"\1"),
        (r"(?<!\w)\*(?=\S)([^*\n]+)(?<=\S)\*(?!\w)", r"\1"),
        (r"\\([\-.])", r"\1"),
    )
)
"""reStructuredText to plain prose. Order matters: roles before plain backquotes, double before single."""

_NEW_LINE = re.compile(r"^\s*(?:[-*] |\d+\. |def |#|Note: )")
"""A line that starts a new item; any other line goes on with the one before."""


@dataclass(frozen=True, kw_only=True)
class Option:
    """One option of one section, as its reference describes it."""

    section: str
    name: str
    reference: Mapping[str, Any]
    formerly: tuple[tuple[str, str], ...] = ()
    vocabulary: Vocabulary = ()

    @property
    def id(self) -> str:
        """`section.option` in lower case: the same from build to build."""
        return f"{self.section}.{self.name}".lower()

    @property
    def variable(self) -> str:
        """The environment variable that sets it, as Airflow builds the name."""
        return f"AIRFLOW__{self.section.replace('.', '_').upper()}__{self.name.upper()}"

    def chunk(self) -> dict[str, str]:
        """Write the passage: labelled lines around the description."""
        return {"id": self.id, "title": f"[{self.section}] {self.name}", "text": "\n".join(self._lines())}

    def _lines(self) -> Iterator[str]:
        reference = self.reference
        yield f"Option: [{self.section}] {self.name}"
        description = plain_text(reference.get("description") or "")
        if description:
            yield description
        if words := self._other_words(description):
            yield f"In other words: {words}"
        yield f"Type: {reference.get('type') or 'string'}"
        yield f"Default: {_default(reference)}"
        if reference.get("example"):
            yield f"Example: {' '.join(str(reference['example']).split())}"
        if reference.get("version_added"):
            yield f"Version added: {reference['version_added']}"
        yield f"Environment variable: {self.variable}"
        if reference.get("sensitive"):
            yield f"Sensitive: yes; may be read by a command or a secret: {self.variable}_CMD, {self.variable}_SECRET"
        if self.formerly:
            yield "Formerly: " + ", ".join(f"[{section}] {name}" for section, name in self.formerly)
        if reference.get("version_deprecated"):
            reason = " ".join((reference.get("deprecation_reason") or "").split())
            yield f"Deprecated: since {reference['version_deprecated']}. {reason}".rstrip()

    def _other_words(self, description: str) -> str:
        said = f"{self.section} {self.name} {description}"
        found = (word for term, words in self.vocabulary if term.search(said) for word in words.split(", "))
        return ", ".join(dict.fromkeys(found))


def read_vocabulary(path: Path) -> Vocabulary:
    """Read which words people use: a list of `term` and `words`."""
    entries = yaml.safe_load(path.read_text("utf-8"))
    return tuple((_term(entry["term"]), entry["words"]) for entry in entries)


def _term(term: str) -> re.Pattern[str]:
    words = re.split(r"[ _]", term)
    # A term in a name such as `max_active_runs` is a word of it: `_` separates words as a space does.
    return re.compile(rf"(?<![a-z0-9]){'[ _]'.join(map(re.escape, words))}s?(?![a-z0-9])", re.IGNORECASE)


def plain_text(markup: str) -> str:
    """Turn a description into prose: markup gone, wrapped lines joined, list items on lines of their own."""
    for pattern, plain in _MARKUP:
        markup = pattern.sub(plain, markup)
    lines: list[str] = []
    starts_new = True
    for line in markup.splitlines():
        if not line.strip():
            starts_new = True
            continue
        if starts_new or _NEW_LINE.match(line):
            lines.append(" ".join(line.split()))
        else:
            lines[-1] += " " + " ".join(line.split())
        starts_new = False
    return "\n".join(lines)


def _default(reference: Mapping[str, Any]) -> str:
    default = reference.get("default")
    if default is None:
        return "none"
    text = str(default).replace("%%", "%")
    if not reference.get("is_template"):
        text = text.replace("{{", "{").replace("}}", "}")
    return " ".join(text.split()) or "(empty)"


def options_of(description: Mapping[str, Any], *, renames: Renames, vocabulary: Vocabulary = ()) -> Iterator[Option]:
    """Read the sections of one reference."""
    for section, content in description.items():
        for name, reference in (content.get("options") or {}).items():
            former = tuple(renames.get((section, name), []))
            yield Option(section=section, name=name, reference=reference, formerly=former, vocabulary=vocabulary)


def unique(options: Iterator[Option]) -> Iterator[Option]:
    """Keep the first option of each id: a provider may repeat one of the core."""
    seen: set[str] = set()
    for option in options:
        if option.id in seen:
            print(f"`{option.id}` is described twice; the later one was left out.", file=sys.stderr)
            continue
        seen.add(option.id)
        yield option


def core_reference(airflow: Path) -> Mapping[str, Any]:
    """Read the reference that Airflow ships."""
    reference: Mapping[str, Any] = yaml.safe_load((airflow / "config_templates" / "config.yml").read_text("utf-8"))
    return reference


def provider_references() -> Iterator[Mapping[str, Any]]:
    """Read what the installed providers add, in the order of their names.

    Each entry point names a module that only returns a dictionary. It is run from its file: an import by its name
    would run `airflow/__init__.py` and the provider's own first.
    """
    entry_points = importlib.metadata.entry_points(group="apache_airflow_provider")
    for entry_point in sorted(entry_points, key=lambda found: found.value):
        if entry_point.dist is None:
            sys.exit(f"Found no distribution behind the provider `{entry_point.value}`; install it again.")
        file = entry_point.dist.locate_file(entry_point.module.replace(".", "/") + ".py")
        names = runpy.run_path(str(file))
        yield names[entry_point.attr]().get("config") or {}


def renames_in(source: str) -> Renames:
    """Read former names from the source of `airflow config lint`: each `ConfigChange(config=, renamed_to=)` in it."""
    renames: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "ConfigChange"):
            continue
        words = {word.arg: _parameter(word.value) for word in node.keywords if word.arg in {"config", "renamed_to"}}
        former, present = words.get("config"), words.get("renamed_to")
        if former and present and former != present:
            renames.setdefault(present, []).append(former)
    return renames


def _parameter(node: ast.expr) -> tuple[str, str] | None:
    if not isinstance(node, ast.Call):
        return None
    words = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
    return (str(words[0]), str(words[1])) if len(words) == 2 else None  # noqa: PLR2004 - section and option


def installed_airflow() -> Path:
    """Find the installed Airflow without importing it."""
    spec = importlib.util.find_spec("airflow")
    if spec is None or spec.origin is None:
        sys.exit("Found no Airflow beside this Python; the corpus is made of its reference. Install `apache-airflow`.")
    return Path(spec.origin).parent


def main() -> None:
    """Print every option of the core, then of the providers."""
    airflow = installed_airflow()
    renames = renames_in((airflow / "cli" / "commands" / "config_command.py").read_text("utf-8"))
    vocabulary = read_vocabulary(Path(__file__).with_name("vocabulary.yaml"))
    references = [core_reference(airflow), *provider_references()]
    options = (found for one in references for found in options_of(one, renames=renames, vocabulary=vocabulary))
    for option in unique(options):
        print(json.dumps(option.chunk(), ensure_ascii=False))


if __name__ == "__main__":
    main()
