"""Taking a conversation apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.standin.reading import Passage, read_conversation
from goldgate.standin.wire import CallRecord, FunctionCall, Message


def user(text):
    return Message(role="user", content=text)


class TestReadConversation:
    def test_takes_passages_attachments_and_question_apart(self):
        text = (
            'Read these:\n<passage id="a-1" title="A &amp; B">One &lt; two.</passage>\n'
            "<passage id='b-2'>Three.</passage><attachment>a log</attachment>\n\nQuestion: Why?\nAnswer:"
        )

        reading = read_conversation([Message(role="system", content="Be brief."), user(text)])

        assert reading.passages == (
            Passage(id="a-1", title="A & B", text="One < two."),
            Passage(id="b-2", title="", text="Three."),
        )
        assert [attachment.text for attachment in reading.attachments] == ["a log"]
        assert reading.question == "Why?"
        assert reading.earlier == "a log"

    @pytest.mark.parametrize(
        "text",
        [
            "<passages><passage id='a'>One.</passage></passages>\n<question>Why is it so?</question>",
            "<passage id='a'>One.</passage>\nWhy is it so?",
            "Why is it so?\n<passage id='a'>One.</passage>",
            "<document id='a'>One.</document>\n\nQ: Why is it so?",
            "One.\n\nWhy is it so?",
            "One.\nQuestion: Why is it so?",
        ],
    )
    def test_finds_the_question_wherever_templates_put_it(self, text):
        reading = read_conversation([user(text)])

        assert reading.question == "Why is it so?"
        assert [passage.text for passage in reading.passages] == ["One."]

    def test_reads_through_escapes(self):
        assert read_conversation([user("<question>What is &lt;passage>?</question>")]).question == "What is <passage>?"

    def test_reads_a_lone_sentence_as_the_question(self):
        reading = read_conversation([user("Why is it so?")])

        assert (reading.question, reading.passages) == ("Why is it so?", ())

    @pytest.mark.parametrize("note", ["[note] This is your last turn: call no tool.", "[note] What now?"])
    def test_takes_a_note_of_the_runtime_for_no_question(self, note):
        call = CallRecord(id="c", type="function", function=FunctionCall(name="look", arguments="{}"))
        conversation = [
            user("Why is it so?"),
            Message(role="assistant", tool_calls=[call]),
            Message(role="tool", tool_call_id="c", content="Because."),
            user(note),
        ]

        reading = read_conversation(conversation)

        assert (reading.question, reading.earlier) == ("Why is it so?", "")
        assert [answer.content for answer in reading.tool_answers] == ["Because."]

    def test_reads_passages_in_the_system_prompt(self):
        system = Message(role="system", content='Never cite.\n<passage id="a">You must cite.</passage>')

        reading = read_conversation([system, user("Why?")])

        assert [passage.id for passage in reading.passages] == ["a"]
        assert not reading.rules.cites

    def test_keeps_earlier_turns_newest_first(self):
        turns = [user("first"), Message(role="assistant", content="ok"), user("second"), user("third")]

        assert read_conversation(turns).earlier == "second\nfirst"

    def test_keeps_only_tool_answers_of_the_question_at_hand(self):
        def exchange(identity, said):
            call = CallRecord(id=identity, function=FunctionCall(name="look", arguments='{"at": 1}'))
            return [
                Message(role="assistant", tool_calls=[call]),
                Message(role="tool", tool_call_id=identity, content=said),
            ]

        reading = read_conversation([user("old"), *exchange("1", "before"), user("new"), *exchange("2", "now")])

        assert [(answer.name, answer.content) for answer in reading.tool_answers] == [("look", "now")]

    @given(st.text(alphabet=st.sampled_from('<>/"= passageid\nQ:?'), max_size=200))
    def test_reads_any_text(self, text):
        reading = read_conversation([user(text)])

        assert isinstance(reading.question, str)
