"""Benchmarks: each prints one JSON line with --json; ratios are taken in one run, medians over several."""
