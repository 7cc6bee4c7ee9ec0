import pytest

from goldgate.domain.models.usage import TokenUse, read_use


class TestReadUse:
    @pytest.mark.parametrize(
        ("usage", "use"),
        [
            ({"prompt_tokens": 10, "completion_tokens": 5}, (10, 5, 0)),
            ({"prompt_tokens": 10, "completion_tokens": 0}, (10, 0, 0)),
            ({"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}, (10, 5, 4)),
            (
                {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 40}},
                (10, 5, 10),
            ),
            ({"prompt_tokens": 10, "completion_tokens": 5, "prompt_cache_hit_tokens": 4}, (10, 5, 4)),  # DeepSeek
            ({"prompt_tokens": 10, "completion_tokens": 5, "cached_tokens": 4}, (10, 5, 4)),  # Moonshot
            (  # Anthropic's own fields: what came from the cache is not in the input
                {
                    "input_tokens": 10,
                    "output_tokens": 5,
                    "cache_read_input_tokens": 4,
                    "cache_creation_input_tokens": 2,
                },
                (16, 5, 4),
            ),
            (  # those of OpenAI's other API: there it is
                {"input_tokens": 10, "output_tokens": 5, "input_tokens_details": {"cached_tokens": 4}},
                (10, 5, 4),
            ),
            ({"prompt_tokens": 10, "completion_tokens": None, "output_tokens": 5}, (10, 5, 0)),
        ],
    )
    def test_knows_the_fields_of_several_providers(self, usage, use):
        tokens_in, tokens_out, cached = use
        expected = TokenUse(tokens_in=tokens_in, tokens_out=tokens_out, tokens_cached=cached, is_told=True)

        assert read_use(usage) == expected

    @pytest.mark.parametrize(
        ("usage", "tokens_out"),
        [
            # As xAI answered grok-3-mini (https://github.com/vercel/ai/pull/12425): 12 + 1 + 386.
            (
                {
                    "prompt_tokens": 12,
                    "completion_tokens": 1,
                    "total_tokens": 399,
                    "completion_tokens_details": {"reasoning_tokens": 386},
                },
                387,
            ),
            # As Google does: https://github.com/router-for-me/CLIProxyAPI/issues/5733.
            ({"prompt_tokens": 21, "completion_tokens": 0, "total_tokens": 81}, 60),
            # As OpenAI does: thinking is in what was written.
            (
                {
                    "prompt_tokens": 10,
                    "completion_tokens": 300,
                    "total_tokens": 310,
                    "completion_tokens_details": {"reasoning_tokens": 256},
                },
                300,
            ),
            ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 3}, 5),
        ],
    )
    def test_counts_what_the_model_thought(self, usage, tokens_out):
        """It is charged as what it wrote, wherever the endpoint counts it."""
        assert read_use(usage).tokens_out == tokens_out

    @pytest.mark.parametrize(
        "usage",
        [
            None,
            "10",
            {},
            {"prompt_tokens": "10", "completion_tokens": "5"},
            {"prompt_tokens": -1, "completion_tokens": 5},
            {"prompt_tokens": 10, "completion_tokens": None},
            {"prompt_tokens": True, "completion_tokens": 5},
            {"prompt_tokens": 1.5, "completion_tokens": 5},
            {"prompt_tokens": 10**400, "completion_tokens": 5},
            {"prompt_tokens": 0, "completion_tokens": 0},
            {"total_tokens": 15},
        ],
    )
    def test_takes_what_cannot_be_for_none(self, usage):
        """What nobody measured is unmeasured, never 0 tokens for 0 dollars."""
        assert read_use(usage) == TokenUse()
