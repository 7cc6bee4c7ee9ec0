from goldgate.evals.detection import SpanCase, measure_spans, measure_texts


class TestSpanCase:
    def test_counts_as_found_what_is_covered_by_whatever_kind(self):
        case = SpanCase(text="x 12-34 y", there=[(2, 7, "card")], found=[(2, 4, "phone"), (5, 7, "phone")])

        assert (case.missed, case.false_alarms) == ([], [])

    def test_misses_what_keeps_a_digit(self):
        case = SpanCase(text="x 12-34 y", there=[(2, 7, "card")], found=[(2, 6, "card")])

        assert case.missed == [(2, 7, "card")]

    def test_takes_what_touches_nothing_for_a_false_alarm(self):
        case = SpanCase(text="x 12-34 y", there=[(2, 4, "card")], found=[(4, 7, "card")])

        assert case.false_alarms == [(4, 7, "card")]


class TestMeasureSpans:
    def test_gives_each_kind_and_all_with_intervals(self):
        cases = [
            SpanCase(text="1 2", there=[(0, 1, "a"), (2, 3, "a")], found=[(0, 1, "a")]),
            SpanCase(text="3", there=[], found=[(0, 1, "b")]),
        ]

        a, b, everything = measure_spans(cases)

        assert (a.kind, a.recall.value, a.precision.value) == ("a", 0.5, 1.0)
        assert (b.kind, b.recall, b.precision.value) == ("b", None, 0.0)
        assert (everything.recall.value, everything.precision.value) == (0.5, 0.5)
        assert everything.recall.low < 0.5 < everything.recall.high


class TestMeasureTexts:
    def test_gives_recall_by_family_and_precision_of_all(self):
        found = measure_texts(
            [("role", True, True), ("role", True, False), ("docs", False, True), ("docs", False, False)]
        )

        assert [(d.kind, d.recall.value, d.precision and d.precision.value) for d in found] == [
            ("role", 0.5, None),
            ("all", 0.5, 0.5),
        ]
