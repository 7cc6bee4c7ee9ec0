from goldgate.serving.metrics import RouterMetrics


class TestRouterMetrics:
    def test_writes_counters_by_their_labels(self):
        metrics = RouterMetrics()
        for _ in range(2):
            metrics.add("goldgate_requests_total", labels={"outcome": "ok", "agent": "a"})

        lines = metrics.render(gauges={}).splitlines()

        assert "# TYPE goldgate_requests_total counter" in lines
        assert 'goldgate_requests_total{agent="a",outcome="ok"} 2' in lines

    def test_writes_a_histogram_that_adds_up(self):
        metrics = RouterMetrics()
        for seconds in (0.005, 0.02, 99):
            metrics.observe_latency(seconds, labels={"agent": "a"})

        text = metrics.render(gauges={})

        assert 'goldgate_latency_seconds_bucket{agent="a",le="0.005"} 1\n' in text
        assert 'goldgate_latency_seconds_bucket{agent="a",le="0.025"} 2\n' in text
        assert 'goldgate_latency_seconds_bucket{agent="a",le="+Inf"} 3\n' in text
        assert 'goldgate_latency_seconds_count{agent="a"} 3\n' in text
        assert 'goldgate_latency_seconds_sum{agent="a"} 99.025\n' in text

    def test_writes_gauges_with_and_without_labels(self):
        text = RouterMetrics().render(gauges={"up": {(): 1}, "share": {(("agent", "a"),): 0.05}})

        assert text.endswith('# TYPE up gauge\nup 1\n# TYPE share gauge\nshare{agent="a"} 0.05\n')

    def test_escapes_what_a_label_may_not_hold(self):
        metrics = RouterMetrics()
        metrics.add("goldgate_refused_total", labels={"reason": 'a"b\\c\nd'})

        assert r'goldgate_refused_total{reason="a\"b\\c\nd"} 1' in metrics.render(gauges={})
