from goldgate.domain.prompt_variables import system_problems, user_problems


class TestVariables:
    def test_of_a_system_prompt_are_all_problems(self):
        problems = list(system_problems("You are\n{name}."))

        assert [(p.line, p.found) for p in problems] == [(2, "`{name}`")]

    def test_of_a_user_prompt_are_question_and_context_once_each(self):
        assert list(user_problems('{context} {question} {"json": 1} {}')) == []

    def test_that_are_unknown_missing_or_repeated_are_told_together(self):
        found = [(p.line, p.found) for p in user_problems("{question}\n{question}\n{date}")]

        assert found == [(1, "no `{context}`"), (2, "`{question}` 2 times"), (3, "`{date}`")]
