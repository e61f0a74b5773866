"""`desk compile`: machine code for the numeric kernels and the SQL of the metrics, kept with the Python environment."""

import time

from desk.output import show


def run_compile(*, as_json: bool) -> None:
    """Compiles every kernel that the desk uses; what is compiled already is left as it is."""
    import trading_assets.features.correlations
    import trading_assets.features.indicators
    import trading_assets.features.liquidity
    import trading_assets.regimes.jump
    import trading_assets.regimes.rules
    import trading_assets.watchlist.paths  # noqa: F401 - importing declares the functions
    from resources.metrics_plan import plan_of
    from trading_assets.core.settings import PROJECT, desk_home
    from trading_assets.features.compiling import cache_root, compile_declared, environment_cache

    begun = time.monotonic()
    environment_cache().mkdir(parents=True, exist_ok=True)
    functions = compile_declared()
    plan_of(PROJECT / "dbt_metrics", desk_home().root / "dbt")
    show(
        {"functions": functions, "seconds": round(time.monotonic() - begun, 1), "cache": cache_root()}, as_json=as_json
    )
