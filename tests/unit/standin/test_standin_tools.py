"""Which tool is called, and when none is."""

import json

import pytest

from goldgate.standin.reading import read_conversation
from goldgate.standin.tools import choose_tool
from goldgate.standin.wire import ChatRequest

CRON = {
    "name": "next_runs",
    "description": "Compute when a cron expression fires next",
    "parameters": {
        "type": "object",
        "properties": {"cron": {"type": "string", "pattern": r"^\S+ \S+ \S+ \S+ \S+$"}},
        "required": ["cron"],
    },
}
EXPLAIN = {**CRON, "name": "explain_cron", "description": "Explain a cron expression in words"}
LENGTH = {
    "name": "seconds_of",
    "description": "Convert a duration to seconds",
    "parameters": {
        "type": "object",
        "properties": {"duration": {"type": "string", "pattern": r"^PT\d+[HMS]$"}},
        "required": ["duration"],
    },
}


def chosen(question, *functions, after=(), **options):
    """Choose for a question, after some tools have answered."""
    messages = [{"role": "user", "content": question}]
    for position, (name, arguments) in enumerate(after):
        written = arguments if isinstance(arguments, str) else json.dumps(arguments)
        call = {"id": str(position), "function": {"name": name, "arguments": written}}
        messages.append({"role": "assistant", "tool_calls": [call]})
        messages.append({"role": "tool", "tool_call_id": str(position), "content": "done"})
    tools = [{"type": "function", "function": function} for function in functions]
    request = ChatRequest(model="standin-1", messages=messages, tools=tools, **options)
    choice = choose_tool(request, read_conversation(request.messages))
    return None if choice is None else (choice.name, choice.arguments)


class TestChooseTool:
    def test_calls_the_tool_that_the_question_is_about(self):
        assert chosen("When does 0 3 * * 1 fire next?", LENGTH, EXPLAIN, CRON) == ("next_runs", {"cron": "0 3 * * 1"})
        assert chosen("Explain 0 3 * * 1 in plain words.", CRON, EXPLAIN) == ("explain_cron", {"cron": "0 3 * * 1"})

    @pytest.mark.parametrize(
        "question",
        ["When does my cron expression fire next?", "Our server 10 3 2 1 0 crashed yesterday evening, why?"],
    )
    def test_calls_none_without_arguments_or_without_a_reason(self, question):
        assert chosen(question, CRON) is None

    def test_counts_no_words_of_the_value_itself(self):
        assert chosen("Do you like `next fires cron expression compute` poems?", CRON) is None

    def test_does_not_call_a_tool_twice_or_on_the_same_value(self):
        after = [("next_runs", {"cron": "0 3 * * 1"})]

        assert chosen("When does 0 3 * * 1 fire next?", CRON, EXPLAIN, after=after) is None

    def test_calls_again_after_a_call_that_was_broken(self):
        after = [("next_runs", '{"cron": "0 3')]

        assert chosen("When does 0 3 * * 1 fire next?", CRON, after=after) == ("next_runs", {"cron": "0 3 * * 1"})

    def test_goes_on_to_a_tool_for_the_next_value(self):
        question = "When does 0 3 * * 1 fire next, and how many seconds are a duration of PT5M?"

        first = chosen(question, CRON, LENGTH)
        second = chosen(question, CRON, LENGTH, after=[first])

        assert (first, second) == (("next_runs", {"cron": "0 3 * * 1"}), ("seconds_of", {"duration": "PT5M"}))
        assert chosen(question, CRON, LENGTH, after=[first, second]) is None

    def test_reads_missing_arguments_off_what_was_said_before(self):
        text = "<attachment>schedule: `0 3 * * 1`</attachment>When does this cron expression fire next?"

        assert chosen(text, CRON) == ("next_runs", {"cron": "0 3 * * 1"})

    def test_obeys_the_choice_of_the_caller(self):
        named = {"type": "function", "function": {"name": "seconds_of"}}

        assert chosen("When does 0 3 * * 1 fire next?", CRON, tool_choice="none") is None
        assert chosen("Hello.", LENGTH, CRON, tool_choice="required") == ("seconds_of", {})
        assert chosen("PT5M or 0 3 * * 1?", CRON, LENGTH, tool_choice=named) == ("seconds_of", {"duration": "PT5M"})
