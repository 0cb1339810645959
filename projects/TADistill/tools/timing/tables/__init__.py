"""The tables of ``BENCHMARK.md``: each takes all that was recorded and yields its lines."""
