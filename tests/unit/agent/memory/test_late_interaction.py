from hypothesis import given
from hypothesis import strategies as st

from goldgate.agent.memory.late_interaction import LateInteractionReranker, sentences
from goldgate.ports.knowledge import Chunk
from tests.fakes.in_memory_knowledge import InMemoryEmbedder


def chunk(chunk_id: str, text: str, title: str = "") -> Chunk:
    return Chunk(id=chunk_id, title=title, text=text)


LONG = chunk("long", "The moon is far away today. How many tasks may run. Cheese comes in many kinds here.")
FLAT = chunk("flat", "Tasks are nice to have around. People run in parks all day. Many dogs may bark.")


class TestSentences:
    def test_begin_with_the_title_and_leave_out_scraps(self):
        assert sentences(chunk("a", "One two three. Default: 32\nfour five six", title="T")) == [
            "T",
            "One two three.",
            "four five six",
        ]


class TestLateInteractionReranker:
    def test_prefers_one_telling_sentence_to_words_spread_over_many(self):
        ranked = LateInteractionReranker([FLAT, LONG], vectors=InMemoryEmbedder()).rerank(
            "how many tasks may run", [FLAT, LONG]
        )

        assert [scored.id for scored in ranked] == ["long", "flat"]

    def test_keeps_the_order_for_a_question_without_words(self):
        ranked = LateInteractionReranker([FLAT, LONG], vectors=InMemoryEmbedder()).rerank("?!", [FLAT, LONG])

        assert [(scored.id, scored.score) for scored in ranked] == [("flat", 0.0), ("long", 0.0)]

    def test_lets_words_that_every_passage_repeats_weigh_less(self):
        asked, other = chunk("asked", "Setting for the port"), chunk("other", "Setting for the for the setting")
        rare = LateInteractionReranker([asked], vectors=InMemoryEmbedder())
        common = LateInteractionReranker([other] * 9 + [asked], vectors=InMemoryEmbedder())

        scores = [reranker.rerank("setting for the port", [other])[0].score for reranker in (rare, common)]

        assert scores[1] < scores[0]

    def test_reads_a_word_once(self):
        embedder = InMemoryEmbedder()
        reranker = LateInteractionReranker([FLAT, LONG], vectors=embedder)

        for question in ("one", "two"):
            reranker.rerank(question, [FLAT])

        assert embedder.texts.count("parks") == 1

    @given(st.lists(st.text(max_size=40), max_size=8), st.text(max_size=40))
    def test_scores_every_passage_once_from_minus_one_to_one(self, texts, question):
        chunks = [chunk(str(n), text) for n, text in enumerate(texts)]

        ranked = LateInteractionReranker([FLAT, LONG], vectors=InMemoryEmbedder()).rerank(question, chunks)

        assert sorted(scored.id for scored in ranked) == sorted(each.id for each in chunks)
        assert all(-1.0001 <= scored.score <= 1.0001 for scored in ranked)
        assert [scored.score for scored in ranked] == sorted((s.score for s in ranked), reverse=True)
