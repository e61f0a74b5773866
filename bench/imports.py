"""Loading the code location against `import dagster`: `python -m bench.imports --json`."""

import statistics

from bench.timing import emit, medians, process_seconds

RUNS = 7
HEAVY = (
    "polars",
    "pandas",
    "numpy",
    "sqlalchemy",
    "great_expectations",
    "dbt",
    "anthropic",
    "yfinance",
    "matplotlib",
    "talib",
    "numba",
    "scipy",
    "sklearn",
    "statsmodels",
    "ib_async",
)
_LOADED = f"import sys, trading_assets.definitions; sys.exit(any(m in sys.modules for m in {HEAVY!r}))"
_COMMANDS = {
    "interpreter_s": "pass",
    "dagster_s": "import dagster",
    "definitions_s": "import trading_assets.definitions",
    "desk_help_s": "import desk.main",
}


def main() -> None:
    """Times each import in processes of their own, in turn, and fails when a heavy library is loaded."""
    process_seconds(["-c", _LOADED])
    samples: dict[str, list[float]] = {name: [] for name in _COMMANDS}
    for _ in range(RUNS):
        for name, command in _COMMANDS.items():
            samples[name].append(process_seconds(["-c", command]))
    pairs = zip(samples["definitions_s"], samples["dagster_s"], samples["interpreter_s"], strict=True)
    ratio = statistics.median((ours - bare) / (dagster - bare) for ours, dagster, bare in pairs)
    emit({"bench": "imports", **medians(samples), "definitions_to_dagster": round(ratio, 2), "runs": RUNS})


if __name__ == "__main__":
    main()
