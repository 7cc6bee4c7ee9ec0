from goldgate.agent.foreign.requirements import pins, requirement_problems

HASH = f"--hash=sha256:{'0' * 64}"
LOCK = f"""\
# compiled
openai==3.54.0 \\
    {HASH} \\
    {HASH}
    # via agent
tomli==2.0.1 ; python_full_version < '3.11' \\
    {HASH}
uvloop[dev]==1.2 {HASH}
"""


class TestRequirementProblems:
    def test_are_none_in_a_compiled_lock(self):
        assert list(requirement_problems(LOCK)) == []
        assert list(requirement_problems("")) == []

    def test_name_the_first_line_of_what_pins_nothing(self):
        text = f"openai>=1\nhttpx \\\n  {HASH}\nanyio==1.0\n-e .\n--index-url https://x\ngit+https://a/b\n"

        found = [(problem.line, problem.found, problem.expected) for problem in requirement_problems(text)]

        assert found == [
            (1, "`openai>=1`", "`name==version`"),
            (2, "`httpx`", "`name==version`"),
            (4, "`anyio==1.0` without a hash", "a hash: `uv pip compile --generate-hashes` writes them"),
            (5, "`-e .`", "no options, only pinned packages"),
            (6, "`--index-url https://x`", "no options, only pinned packages"),
            (7, "`git+https://a/b`", "`name==version`"),
        ]

    def test_do_not_take_a_wildcard_for_a_pin(self):
        assert [problem.line for problem in requirement_problems(f"openai==3.* {HASH}\n")] == [1]


class TestPins:
    def test_keep_markers_and_extras_and_drop_hashes(self):
        assert pins(LOCK) == ["openai==3.54.0", "tomli==2.0.1 ; python_full_version < '3.11'", "uvloop[dev]==1.2"]
