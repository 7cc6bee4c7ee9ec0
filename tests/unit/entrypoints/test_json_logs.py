import json
import logging
import sys

from goldgate.entrypoints.logs import JsonFormatter


def line(message: str, *, level: int = logging.INFO, **facts: object) -> dict[str, object]:
    record = logging.getLogger("x").makeRecord("x", level, "f.py", 1, message, (), None, extra=facts)
    return json.loads(JsonFormatter().format(record))


class TestJsonFormatter:
    def test_writes_the_event_with_its_facts(self):
        found = line("router.serving", level=logging.WARNING, agent="helper", version=None)

        assert found.pop("at").endswith("+00:00")
        assert found == {"level": "warning", "event": "router.serving", "agent": "helper", "version": None}

    def test_stays_on_one_line_whatever_a_fact_holds(self):
        assert line("event", reason="a\nb", thing=object)["reason"] == "a\nb"

    def test_tells_what_was_raised(self):
        try:
            int("broken")
        except ValueError:
            record = logging.getLogger("x").makeRecord("x", logging.ERROR, "f.py", 1, "event", (), sys.exc_info())

        assert "ValueError: invalid literal" in json.loads(JsonFormatter().format(record))["exception"]

    def test_keeps_personal_data_out_of_what_others_wrote_about_a_failure(self):
        try:
            int("mail ada.byron@lovelace-mills.co.uk")
        except ValueError:
            record = logging.getLogger("x").makeRecord("x", logging.ERROR, "f.py", 1, "event", (), sys.exc_info())

        assert "ada.byron@lovelace-mills.co.uk" not in JsonFormatter().format(record)
        assert "ada.byron@lovelace-mills.co.uk" not in str(
            line("event", reason="no account ada.byron@lovelace-mills.co.uk")
        )

    def test_leaves_ids_as_they_are(self):
        trace_id = "4111111111111111" * 2

        assert line("event", trace_id=trace_id)["trace_id"] == trace_id
