"""What the API server says of a document is what its contract says, and what people see of it is what they look for."""

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from goldgate.contracts.admission_rules import DEMANDS
from goldgate.domain.structural_schemas import structural
from goldgate.entrypoints.crds import KINDS
from goldgate.entrypoints.settings import CHECKOUT
from tests.cluster.api_server import ApiServer, Document, api_server
from tests.cluster.conftest import ClusterUnderTest
from tests.fakes.broken_documents import Broken, broken
from tests.fakes.resource_documents import ACCEPTED, REFUSED
from tests.fakes.schema_strategies import values_of
from tests.fakes.whole_resources import STATUS, WHOLE, contract_of, document

AGENTS = sorted((CHECKOUT / "include" / "agents").glob("*/agent.yaml"))

PAGES = sorted(
    page
    for page in [CHECKOUT / "README.md", *(CHECKOUT / "include" / "docs").glob("*.md")]
    if re.search(r"^```yaml\napiVersion: goldgate", page.read_text(encoding="utf-8"), re.MULTILINE)
)
"""Of the documentation: those that show resources."""

SCHEMAS = {kind.name: kind.schema() for kind in KINDS}


@dataclass(frozen=True, kw_only=True)
class Excuse:
    """Why the two may differ, and that it does no harm."""

    stricter: Literal["server", "contract"]
    why: str


DROPPED = Excuse(
    stricter="contract", why="an API server drops a null where none may stand, as if the field were left out"
)
CONVERTED = Excuse(stricter="server", why="Python reads it as what is wanted; an API server converts nothing")
TOO_LONG = Excuse(stricter="server", why="whole numbers of an API server have 64 bits")
MOMENT = Excuse(stricter="server", why="Python counts seconds; only we write moments, and as text")
UNSEEN = Excuse(stricter="contract", why="an API server holds a list to no `format`, nor to its being a text")

EXCUSES = {
    "null": DROPPED,
    "a number in quotation marks": CONVERTED,
    "a flag in quotation marks": CONVERTED,
    "a flag": CONVERTED,
    "a whole number with a point": CONVERTED,
    "a number beyond 64 bits": TOO_LONG,
}
"""By what was done to a document. Nothing else differs."""
MOMENTS = frozenset({"startTime", "updateTime", "completionTime", "at", "renewTime"})
PIECES_OF_ADDRESSES = (
    *(
        "http://",
        "//",
        "a",
        "host.example",
        "[::1]",
        "[fe80::1%25eth0]",
        "127.0.0.1",
        ":80",
        ":99999",
        ":",
        "@",
        "user",
    ),
    *(
        "p%40ss",
        "/",
        "/v1",
        "%20",
        "%zz",
        "%",
        "..",
        ".",
        "é",
        "bücher.example",
        "_x",
        "-",
        "?",
        "#",
        "*",
        "!",
        "$",
        "&",
    ),
    *("'", "(", ";", "=", "+", ",", "~", "|", "^", "{", "}", "<", '"', "\\", "`", "\t", "\n", "\u00a0", "\x00", "\x7f"),
    *("a" * 64, "{NAME}", " "),
)


def excuse_for(each: Broken) -> Excuse | None:
    if each.where[-1] not in MOMENTS:
        return EXCUSES.get(each.what)
    return UNSEEN if isinstance(value_of(each), list) else MOMENT


def value_of(each: Broken) -> object:
    found: object = each.document
    for step in each.where:
        if isinstance(found, dict) and step not in found:
            return None
        found = found[step]  # type: ignore[index]
    return found


def objection_of_contract(written: Document) -> str:
    try:
        contract_of(written).model_validate(written)
    except ValidationError as error:
        return str(error)
    return ""


def difference(each: Broken, refused: str) -> str:
    """Say who is stricter; empty if both say the same."""
    objection = objection_of_contract(each.document)
    if bool(refused) == bool(objection):
        return ""
    return f"server: {refused}" if refused else f"contract: {objection}"


def is_excused(each: Broken, differing: str) -> bool:
    excuse = excuse_for(each)
    return excuse is not None and differing.startswith(excuse.stricter)


def own_schema(name: str) -> Document:
    """Of the contract alone, which may be one of several of its kind."""
    contract = contract_of(WHOLE[name])
    return structural(contract.model_json_schema(by_alias=True), name=contract.__name__, demands={})


@pytest.fixture(scope="module")
def server(shared_cluster: ClusterUnderTest) -> Iterator[ApiServer]:
    with api_server(shared_cluster) as opened:
        yield opened


class TestVerdicts:
    """Of the API server and of the contract."""

    @pytest.mark.parametrize("name", [*WHOLE, *ACCEPTED])
    def test_accept_the_same(self, server: ApiServer, name: str):
        written = {**WHOLE, **ACCEPTED}[name]

        assert (server.refusal_of(written), objection_of_contract(written)) == ("", "")

    @pytest.mark.parametrize("name", REFUSED)
    def test_refuse_the_same(self, server: ApiServer, name: str):
        written = REFUSED[name]

        assert server.refusal_of(written)
        assert objection_of_contract(written)

    @pytest.mark.parametrize("name", WHOLE)
    def test_are_the_same_whatever_is_done_to_a_document(self, server: ApiServer, name: str):
        found = [(each, difference(each, server.refusal_of(each.document))) for each in broken(WHOLE[name])]

        assert [f"{each}: {unlike}" for each, unlike in found if unlike and not is_excused(each, unlike)] == []

    def test_are_the_same_whatever_is_done_to_a_status(self, server: ApiServer, shared_cluster: ClusterUnderTest):
        run = {**WHOLE["run"], "metadata": {"name": "recorded"}}
        shared_cluster.kubectl("create", "-f", "-", stdin=json.dumps(run))
        kept = json.loads(shared_cluster.kubectl("get", "taskrun", "recorded", "-o", "json"))

        assert server.refusal_of_status({**kept, "status": STATUS}) == ""
        found = [
            (each, difference(each, server.refusal_of_status({**kept, "status": each.document["status"]})))
            for each in broken({**run, "status": deepcopy(STATUS)}, part="status")
        ]

        assert [f"{each}: {unlike}" for each, unlike in found if unlike and not is_excused(each, unlike)] == []

    @pytest.mark.parametrize("name", WHOLE)
    def test_are_the_same_on_what_fits_field_by_field(self, server: ApiServer, name: str):
        """The rules alone decide: fields are there or not as chance will have it."""
        kind, near = WHOLE[name]["kind"], WHOLE[name]["spec"]
        specs = st.one_of(
            *(values_of(schema["properties"]["spec"], near=near) for schema in (own_schema(name), SCHEMAS[kind]))
        )

        @settings(derandomize=True, deadline=None, max_examples=80, suppress_health_check=list(HealthCheck))
        @given(specs)
        def holds(spec: Document) -> None:
            written = document(kind, spec)
            refused, objection = server.refusal_of(written), objection_of_contract(written)
            assert bool(refused) == bool(objection), f"server: {refused}; contract: {objection}"

        holds()

    def test_are_the_same_on_addresses(self, server: ApiServer):
        """Two parsers that were written apart read them."""

        @settings(derandomize=True, deadline=None, max_examples=600, suppress_health_check=list(HealthCheck))
        @given(st.lists(st.sampled_from(PIECES_OF_ADDRESSES), max_size=4).map("".join))
        def holds(rest: str) -> None:
            written = document("LLM", {"model": "m", "free": True, "baseUrl": f"http://{rest}"})
            refused, objection = server.refusal_of(written), objection_of_contract(written)
            assert bool(refused) == bool(objection), f"server: {refused}; contract: {objection}"

        holds()

    def test_differ_on_a_host_whose_name_grows_too_long_when_it_is_encoded(self, server: ApiServer):
        """CEL cannot encode it. An agent with such a model waits in Pending, and says why."""
        model = document("LLM", {"model": "m", "free": True, "baseUrl": f"http://{'é' * 60}.example/v1"})

        assert server.refusal_of(model) == ""
        assert "a broken host" in objection_of_contract(model)

    def test_differ_in_all_that_is_excused(self, server: ApiServer):
        """An excuse that is needed no more is taken from the list."""
        documents = [each for name in ("llm", "llm elsewhere") for each in broken(WHOLE[name])]

        differing = {each.what for each in documents if difference(each, server.refusal_of(each.document))}

        assert differing == EXCUSES.keys()

    def test_differ_on_a_pattern_whose_cost_has_to_be_counted(self, server: ApiServer):
        """CEL cannot read a regular expression. An agent with such a one waits in Pending, and says why."""
        rule = {"name": "r", "reason": "r", "pattern": "(a+)+b"}
        agent = deepcopy(WHOLE["agent of texts"])
        agent["spec"]["safety"] = {"refuse": [rule]}

        assert server.refusal_of(agent) == ""
        assert "every repeat with an end" in objection_of_contract(agent)


class TestRules:
    def test_are_all_broken_by_some_document(self, server: ApiServer):
        """A rule that refuses nothing would not be missed."""
        said = " ".join(server.refusal_of(each) for each in REFUSED.values())
        frozen = DEMANDS["PartSpec"].rules

        rules = {rule.message for demands in DEMANDS.values() for rule in demands.rules if rule not in frozen}
        assert sorted(message for message in rules if message not in said) == []

    @pytest.mark.parametrize(
        ("spec", "told"),
        [
            (
                {},
                "spec.taskRef: Required value: expected `taskRef`, required when `agentRef` and `userMessage` are",
            ),
            (
                {"agentRef": "a"},
                "spec.userMessage: Required value: expected `userMessage`: no message is given for `agentRef`",
            ),
            (
                {"userMessage": "m"},
                "spec.agentRef: Required value: expected `agentRef`: no agent is named for `userMessage`",
            ),
            (
                {"taskRef": "t", "agentRef": "a", "userMessage": "m"},
                "spec.taskRef: Forbidden: expected `taskRef` alone, or `agentRef` with `userMessage`, not both",
            ),
            ({"taskRef": "t", "colour": "red"}, 'unknown field "spec.colour"'),
        ],
    )
    def test_tell_whoever_applies_a_run_what_is_missing(self, cluster: ClusterUnderTest, spec: Document, told: str):
        refused = cluster.try_kubectl("apply", "-f", "-", stdin=json.dumps(document("TaskRun", spec)))

        assert refused.returncode != 0
        assert told in refused.stderr

    def test_tell_which_name_is_too_long(self, cluster: ClusterUnderTest):
        named = {**document("TaskRun", {"taskRef": "t"}), "metadata": {"name": "a" * 64}}

        refused = cluster.try_kubectl("apply", "-f", "-", stdin=json.dumps(named))

        assert "metadata.name: Invalid value: expected a DNS label: lower case, digits, dashes" in refused.stderr

    @pytest.mark.parametrize("name", ["run", "part"])
    def test_hold_what_was_written_once(self, cluster: ClusterUnderTest, name: str):
        kind = WHOLE[name]["kind"].lower()
        cluster.kubectl("create", "-f", "-", stdin=json.dumps(WHOLE[name]))
        field = {"run": "userMessage", "part": "text"}[name]

        refused = cluster.try_kubectl("patch", kind, "a", "--type=merge", "-p", json.dumps({"spec": {field: "other"}}))
        cluster.kubectl("label", kind, "a", "seen=yes")

        assert "it cannot be changed" in refused.stderr
        assert cluster.kubectl("get", kind, "a", "-o", f"jsonpath={{.spec.{field}}}") == WHOLE[name]["spec"][field]


class TestAgentsOfTheCheckout:
    @pytest.mark.parametrize("path", AGENTS, ids=lambda path: path.parent.name)
    def test_are_accepted_and_read_back_as_they_were_written(self, cluster: ClusterUnderTest, path):
        cluster.kubectl("apply", "--validate=strict", "-f", str(path))

        again = cluster.kubectl("diff", "-f", str(path))
        assert again == ""


class TestPages:
    """Kubernetes reads YAML more strictly than Python: a `?` before a bracket, for instance."""

    @pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
    def test_show_resources_that_the_server_takes(self, cluster: ClusterUnderTest, page):
        block = re.compile(r"^```yaml\n(apiVersion: goldgate.*?)^```", re.DOTALL | re.MULTILINE)
        for shown in block.findall(page.read_text(encoding="utf-8")):
            applied = cluster.try_kubectl("apply", "--dry-run=server", "-f", "-", stdin=shown)

            assert applied.returncode == 0, applied.stderr


class TestWhatPeopleSee:
    @pytest.fixture
    def run(self, cluster: ClusterUnderTest) -> ClusterUnderTest:
        cluster.kubectl("create", "-f", "-", stdin=json.dumps({**WHOLE["run"], "metadata": {"name": "why"}}))
        cluster.kubectl("annotate", "taskrun", "why", "goldgate.dev/pod=why-1")
        cluster.kubectl("create", "-f", "-", stdin=json.dumps({**WHOLE["run of a task"], "metadata": {"name": "day"}}))
        told = {**STATUS, "phase": "Failed", "status": "Error", "error": "timeout: 30 s", "output": "All\nof it"}
        patch = json.dumps({"status": told})
        cluster.kubectl("patch", "taskrun", "why", "--subresource=status", "--type=merge", "-p", patch)
        return cluster

    def test_is_a_line_for_each_run(self, run: ClusterUnderTest):
        head, of_task, asked = run.kubectl("get", "taskruns").splitlines()

        assert head.split() == ["NAME", "AGENT/TASK", "PHASE", "STATUS", "PREVIEW", "AGE"]
        assert of_task.split()[:4] == ["day", "daily", "Initializing", "Pending"]
        assert asked.split()[:4] == ["why", "ops", "Failed", "Error"]
        assert "Why is it …" in asked

    def test_is_more_if_they_ask_for_it(self, run: ClusterUnderTest):
        head, _, asked = run.kubectl("get", "tr", "-o", "wide").splitlines()

        wide = ["DETAIL", "OUTPUT", "TOKENS-IN", "TOKENS-OUT", "COST-USD", "POD", "ERROR"]
        assert head.split()[6:] == wide
        for told in ("Calls a tool.", "All...", " 10 ", " 5 ", "0.001", " why-1 ", "timeout: 30 s"):
            assert told in asked

    def test_is_that_nobody_has_begun_a_run(self, run: ClusterUnderTest):
        _, of_task, _ = run.kubectl("get", "tr", "-o", "wide").splitlines()
        described = run.kubectl("describe", "taskrun", "day")

        assert "Nobody has begun this run yet." in of_task
        assert re.search(r"^Status:\n  Phase: +Initializing\n  Status: +Pending\n", described, re.MULTILINE)

    def test_can_be_chosen_by_phase_and_agent(self, run: ClusterUnderTest):
        chosen = run.kubectl(
            "get", "taskruns", "--field-selector", "status.phase=Failed,spec.agentRef=ops", "-o", "name"
        )

        assert chosen.split() == ["taskrun.goldgate.dev/why"]

    def test_is_everything_of_ours_under_one_word(self, run: ClusterUnderTest):
        run.kubectl("create", "-f", "-", stdin=json.dumps(WHOLE["task"]))

        assert set(run.kubectl("get", "goldgate", "-o", "name").split()) == {
            "task.goldgate.dev/a",
            "taskrun.goldgate.dev/day",
            "taskrun.goldgate.dev/why",
        }
        assert "taskrun.goldgate.dev/why" in run.kubectl("get", "all", "-o", "name")

    def test_is_told_in_whole_by_describe(self, run: ClusterUnderTest):
        told = run.kubectl("describe", "taskrun", "why")

        for line in ("Agent Ref:", "Context Window:", "Phase:", "Status Detail:  Calls a tool.", "Tokens In:"):
            assert line in told

    @pytest.mark.parametrize(
        ("field", "told"),
        [
            ("taskrun.spec", "Name of the Agent that is asked."),
            ("taskrun.spec.limits", "the narrower holds"),
            ("agent.spec.limits.maxSteps", "Model calls. Default: 4"),
            ("llm.spec.model", "never `latest`"),
            ("mcpserver.spec", "read from the environment when the"),
        ],
    )
    def test_is_explained(self, cluster: ClusterUnderTest, field: str, told: str):
        assert told in cluster.kubectl("explain", field)

    @pytest.mark.parametrize(
        ("name", "kind", "shown"),
        [
            ("llm", "llms", ["a", "m-1", "openai"]),
            ("declared agent", "agents", ["a", "m"]),
            ("python agent", "agents", ["a", "m-1"]),
            ("endpoint agent", "agents", ["a", "m"]),
            ("program", "mcpservers", ["a", "python"]),
            ("address", "mcpservers", ["a", "https://tools.example/mcp"]),
            ("task", "tasks", ["a", "ops", "Why", "is", "it", "down?"]),
            ("part", "parts", ["a", "0", "1"]),
        ],
    )
    def test_says_what_each_is_about(self, cluster: ClusterUnderTest, name: str, kind: str, shown: list[str]):
        cluster.kubectl("create", "-f", "-", stdin=json.dumps(WHOLE[name]))

        assert cluster.kubectl("get", kind, "--no-headers").split()[:-1] == shown
