"""Tokens in, and how many of them were cached."""

from hypothesis import given
from hypothesis import strategies as st

from goldgate.standin.usage import BLOCK_TOKENS, PromptCache, prompt_tokens
from goldgate.standin.wire import ChatRequest


class TestPromptTokens:
    def test_counts_roles_texts_calls_and_tools(self):
        call = {"id": "1", "function": {"name": "look", "arguments": "{}"}}
        messages = [
            {"role": "user", "content": "hello world"},
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "1", "content": "ok"},
        ]
        tool = {"type": "function", "function": {"name": "look"}}

        bare = prompt_tokens(ChatRequest(model="standin-1", messages=messages))
        offered = prompt_tokens(ChatRequest(model="standin-1", messages=messages, tools=[tool]))

        assert len(bare) == (1 + 2) + (1 + 1 + 2) + (1 + 1)
        assert offered[-len(bare) :] == bare
        assert len(offered) > len(bare)


class TestPromptCache:
    def test_counts_the_common_beginning_in_whole_blocks(self):
        cache = PromptCache()
        first = [str(i) for i in range(200)]

        assert cache.count_cached("standin-1", first) == 0
        assert cache.count_cached("standin-1", first) == 192
        assert cache.count_cached("standin-1", [*first[:130], "other", *first[131:]]) == 128
        assert cache.count_cached("standin-1", ["other", *first]) == 0

    def test_keeps_models_apart(self):
        cache = PromptCache()
        prompt = ["x"] * 64

        cache.count_cached("standin-1", prompt)

        assert cache.count_cached("standin-2", prompt) == 0

    def test_forgets_what_was_not_used_for_long(self):
        cache = PromptCache(max_blocks=2)
        old, new = ["old"] * 64, ["new"] * 128

        cache.count_cached("standin-1", old)
        cache.count_cached("standin-1", new)

        assert cache.count_cached("standin-1", old) == 0

    @given(st.lists(st.lists(st.sampled_from("ab"), max_size=200), max_size=5))
    def test_never_counts_more_than_there_is(self, prompts):
        cache = PromptCache()

        for prompt in prompts:
            cached = cache.count_cached("standin-1", prompt)

            assert 0 <= cached <= len(prompt)
            assert cached % BLOCK_TOKENS == 0
