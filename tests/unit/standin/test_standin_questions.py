"""Several questions in one message."""

from goldgate.standin.questions import BACKGROUND_WEIGHT, split_question


class TestSplitQuestion:
    def test_keeps_one_question_whole(self):
        (part,) = split_question("My pool is full. How do I grow it?")

        assert part.emphasis == {"pool": 1.0, "full": 1.0, "grow": 1.0}

    def test_lets_each_question_lead_and_the_others_stand_behind(self):
        first, second = split_question("Which port? How many workers?")

        assert first.emphasis == {"port": 1.0, "work": BACKGROUND_WEIGHT}
        assert (first.stems, second.stems) == ({"port"}, {"work"})

    def test_answers_three_questions_at_most(self):
        assert len(split_question("Cats? Dogs? Birds? Fish? Snakes?")) == 3

    def test_notices_that_a_number_is_asked_for(self):
        assert [part.asks_number for part in split_question("How many cats? Which dogs?")] == [True, False]
