"""What came of it: trades, metrics, benchmarks and the improvement report."""
