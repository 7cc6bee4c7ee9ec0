import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.agent.safety.personal_data import asks_for_personal_data, find_personal_data, redact
from goldgate.entrypoints.identifier_parts import identifier_books


def kinds(text: str) -> list[str]:
    return [datum.kind for datum in find_personal_data(text)]


class TestFindPersonalData:
    @pytest.mark.parametrize(
        ("text", "kind"),
        [
            ("write to maria.keller@firm.de today", "e-mail"),
            ("mail:maria@firm.co.uk", "e-mail"),
            ("call +49 170 1234567 now", "phone"),
            ("call (415) 555-2671", "phone"),
            ("my phone number: 030 1234567", "phone"),
            # Test numbers of the card schemes; the IBAN of the German example in ISO 13616.
            ("card 4111 1111 1111 1111", "card"),
            ("card 378282246310005", "card"),
            ("DE89 3704 0044 0532 0130 00", "iban"),
            ("GB82WEST12345698765432", "iban"),
            ("DNI 12345678Z", "national id"),
            ("NIE X1234567L", "national id"),
            ("codice RSSMRA85T10A562S", "national id"),
            ("NIR 2 55 08 14 168 025 38", "national id"),
            ("CPF 529.982.247-25", "national id"),
            ("SSN 536-22-8145", "national id"),
        ],
    )
    def test_knows(self, text, kind):
        assert kinds(text) == [kind]

    @pytest.mark.parametrize(
        "text",
        [
            "card 4111 1111 1111 1112",
            "DE88 3704 0044 0532 0130 00",
            "DNI 12345678A",
            "codice RSSMRA85T10A562T",
            "NIR 2 55 08 14 168 025 39",
            "CPF 529.982.247-26",
            "SSN 000-22-8145",
            "0000 0000 0000 0000",
        ],
    )
    def test_wants_checksums_to_hold(self, text):
        assert kinds(text) == []

    @pytest.mark.parametrize(
        "text",
        [
            "redis at 192.168.100.12:6379",
            "since 3.3.2, on 2026-11-21 11:53:04",
            "postgresql+psycopg2://airflow:airflow@db.firm.com:5432/airflow",
            "git@github.com:apache/airflow.git",
            "alerts from airflow@example.com and noreply@firm.com",
            "set core.parallelism to 32 and sql_alchemy_pool_recycle to 1800",
            "job 20261121115304 took 1800.25 s",
            "uuid 123e4567-e89b-12d3-a456-426614174000",
            "pip install apache-airflow==3.3.2 --constraint constraints-3.11.txt",
        ],
    )
    def test_leaves_what_software_talks_about(self, text):
        assert kinds(text) == []

    @given(st.text())
    def test_gives_places_that_hold_what_it_names_and_do_not_overlap(self, text):
        found = find_personal_data(f"{text} maria@firm.de {text}")

        assert all(f"{text} maria@firm.de {text}"[d.start : d.end] == d.text for d in found)
        assert all(one.end <= two.start for one, two in itertools.pairwise(found))


class TestRedact:
    def test_replaces_each_datum_by_its_kind(self):
        text, gone = redact("maria@firm.de or +49 170 1234567.")

        assert text == "[redacted: e-mail] or [redacted: phone]."
        assert [datum.text for datum in gone] == ["maria@firm.de", "+49 170 1234567"]

    def test_keeps_what_is_known_to_the_public(self):
        assert redact("dev@apache.org", keep=["ask dev@apache.org"]) == ("dev@apache.org", [])

    @given(st.lists(st.sampled_from(["maria@firm.de", "4111 1111 1111 1111", "+49 170 1234567", "hello", ", "])))
    def test_leaves_nothing_that_would_be_found_again(self, parts):
        assert find_personal_data(redact(" ".join(parts))[0]) == []


@pytest.mark.timeout(60)
class TestALargeText:
    """Each of these was read to its end again from each of its places: a minute and more for this size."""

    def test_full_of_addresses_is_redacted_in_time_that_grows_with_its_length(self):
        text, gone = redact("ab@cd.eu " * 8_000)

        assert text == "[redacted: e-mail] " * 8_000
        assert len(gone) == 8_000

    def test_full_of_names_is_read_in_time_that_grows_with_its_length(self):
        assert not asks_for_personal_data("Aa " * 20_000)


class TestWhatOthersWrite:
    """Forms of tickets, logs and JSON that were missed, and lists that were taken for cards and phones."""

    @pytest.mark.parametrize(
        ("text", "kind"),
        [
            ("reach me on 415.555.2671x89", "phone"),
            ("(415)555-2671x12", "phone"),
            ("cell 415-555-2671 ext. 12", "phone"),
            ("call me back at 4155552671", "phone"),
            ('{"phone_number": "4155552671"}', "phone"),
            ("phone_no=4155552671&x=1", "phone"),
            ("<phone>4155552671</phone>", "phone"),
            ("contact_number: 4155552671", "phone"),
            ("Mob: 07911123456", "phone"),
            ("Ruf mich an: 015123456789", "phone"),
            ("Appelez le 0612345678", "phone"),
            ("Llámame al 612345678", "phone"),
            ('"date_of_birth":"1984-03-12"', "date of birth"),
            ("Geburtstag: 12.03.1984", "date of birth"),
            ("driver license D1234567", "passport"),
            ("rijksregisternummer 85073003328", "national id"),
        ],
    )
    def test_is_known(self, text, kind):
        assert [datum.kind for datum in find_personal_data(text, books=identifier_books())] == [kind]

    @pytest.mark.parametrize(
        "text",
        ["order 0012345678 was shipped", "ports 2220,2221,2222,2223,2224 open", "5399.4111.1111.1111.1111 is a path"],
    )
    def test_is_left_alone(self, text):
        assert find_personal_data(text, books=identifier_books()) == []


class TestAsksForPersonalData:
    @pytest.mark.parametrize(
        "question",
        [
            "What is the phone number of Jane Doe?",
            "what's my colleague's home address",
            "Where does Jane Doe live?",
            "How much does our CEO earn?",
            "Give me the email addresses of all users",
            "List every customer's date of birth",
            "What is Jane Doe's password?",
            "How much money does Jane Doe make?",
            "How old is Jane Doe?",
            "How do I find my boss's home address?",
            "How do I show Jane Doe's salary?",
        ],
    )
    def test_recognises(self, question):
        assert asks_for_personal_data(question)

    @pytest.mark.parametrize(
        "question",
        [
            "Which e-mail address do alerts come from?",
            "How do I set the password of the database?",
            "Where do the logs live?",
            "How do I set the default owner of a task?",
            "What is the phone setting for?",
            "How do I hide the email field in the user form?",
            "Where is the age of a cached file set?",
            "How much memory does the scheduler need?",
            "What does Apache Airflow cost?",
            "What does Great Expectations do?",
            "What does Celery Executor mean?",
            "Where does Postgres Operator work best?",
            "What is Kubernetes Executor's age limit for pods?",
            "What is the Default Pool's pin?",
            "How much does Amazon Redshift make use of memory?",
            "Where is the author's email configured in a DAG?",
            "What is the manager's salary field called in the schema?",
            "How do I mask the customer's phone number in the logs?",
            "How do I send all users' emails through SMTP?",
        ],
    )
    def test_lets_pass(self, question):
        assert not asks_for_personal_data(question)
