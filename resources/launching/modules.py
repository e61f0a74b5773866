"""What a fork server imports. tests/launching proves that PRELOAD and LOCATIONS start no thread; WARM may."""

LOCATIONS = ("trading_assets.definitions",)

PRELOAD = (
    "dagster._cli.api",
    "dagster._core.executor.in_process",
    "dagster._core.storage.local_compute_log_manager",
    "dagster._core.storage.runs.sqlite",
    "dagster._core.storage.schedules.sqlite",
    "dagster._core.storage.sqlite_storage",
    "resources.event_log",
    "resources.ledger.dispatch",
    "resources.ledger.store",
)

WARM = (
    "resources.keys",
    "resources.lake",
    "resources.llm.reasoner",
    "resources.sealing",
    "resources.standing",
    "trading_assets.agents",
    "trading_assets.execution.lanes",
    "trading_assets.plans.guide",
    "trading_assets.reasoning.budgets",
    "trading_assets.reasoning.registry",
    "trading_assets.reasoning.skills",
    "upath",
)
