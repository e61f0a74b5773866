"""The budget of docs/architecture.md as a test: sizes, dead files, leftovers, marks of the workplace."""

import ast
import re
import statistics
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CODE = ("trading_assets", "resources", "sensors", "schedules", "gateway", "warden", "desk", "simulation", "bench")
LINES_PER_FILE_MAX = 500
LINES_PER_FUNCTION_MAX = 70
LINES_PER_FUNCTION_MEDIAN = 10
# Modules that a tool or a command line starts by name.
STARTED_BY_NAME = {
    "bench.backfill",
    "bench.backtest",
    "bench.bus",
    "bench.costs",
    "bench.cycle",
    "bench.evaluation",
    "bench.experiments",
    "bench.features",
    "bench.gateway",
    "bench.imports",
    "bench.lake",
    "bench.ledger",
    "bench.narratives",
    "bench.pairs",
    "bench.plain",
    "bench.prove",
    "bench.reasoner",
    "bench.rehearsal",
    "bench.simulation",
    "bench.slot_latency",
    "bench.storage",
    "bench.watchdog",
    "bench.watchlist",
    "desk.main",
    "desk.rehearsing.past",
    "desk.rehearsing.switching",
    "resources.event_log",
    "resources.launching.queue",
    "resources.ledger.migrations.env",
    "resources.ledger.migrations.versions.v0001_first_ledger",
    "resources.ledger.migrations.versions.v0002_bus_journal_models",
    "resources.ledger.migrations.versions.v0003_memory",
    "resources.ledger.migrations.versions.v0004_orders_at_a_broker",
    "resources.ledger.migrations.versions.v0005_learning",
    "trading_assets.definitions",
}


def tracked() -> list[Path]:
    """Files that git knows, and new ones that it would not ignore."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    return [ROOT / name for name in listed if name and (ROOT / name).is_file()]


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_no_file_is_longer_than_five_hundred_lines() -> None:
    long = {str(p.relative_to(ROOT)): n for p in python_files(*CODE, "tests") if (n := _lines(p)) > LINES_PER_FILE_MAX}
    assert not long


def test_no_function_is_longer_than_seventy_lines() -> None:
    long = [
        f"{path.relative_to(ROOT)}:{node.name} {length(node)}"
        for path in python_files(*CODE, "tests")
        if "migrations" not in path.parts
        for node in functions(path)
        if length(node) > LINES_PER_FUNCTION_MAX
    ]
    assert not long


def test_the_median_function_has_at_most_ten_lines() -> None:
    lengths = [length(node) for path in python_files(*CODE) for node in functions(path)]
    assert statistics.median(lengths) <= LINES_PER_FUNCTION_MEDIAN


def test_every_module_is_imported_by_another_or_started_by_name() -> None:
    modules = {_module(path): path for path in python_files(*CODE) if path.name != "__init__.py"}
    imported = {name for path in python_files(*CODE) for name in _imports(path)}
    assert modules.keys() - imported - STARTED_BY_NAME == set()


def test_tests_are_longer_than_the_code_they_hold() -> None:
    code = sum(_lines(path) for path in python_files(*CODE))
    tests = sum(_lines(path) for path in python_files("tests"))
    assert tests >= code


def test_mocks_are_rare() -> None:
    uses = [p for p in python_files("tests") if re.search(r"unittest\.mock|mocker\b|MagicMock", p.read_text())]
    assert [path for path in uses if path != Path(__file__)] == []


def test_every_path_that_a_page_names_exists() -> None:
    missing = [
        f"{page.relative_to(ROOT)}: {name}"
        for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
        for name in re.findall(
            r"`((?:trading_assets|resources|desk|docs|config|tests|bench|dbt_metrics)/[\w./-]+)`", page.read_text()
        )
        if not (ROOT / name).exists()
    ]
    assert not missing


def test_every_link_between_pages_leads_somewhere() -> None:
    missing = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert not missing


@pytest.mark.parametrize("word", ["TO" + "DO", "FIX" + "ME", "NotImplemented" + "Error", "breakpoint" + "("])
def test_nothing_unfinished_is_left(word: str) -> None:
    found = [p for p in tracked() if p.suffix in {".py", ".sql", ".yaml", ".yml"} and word in p.read_text()]
    assert not found


def test_no_file_names_an_index_host_or_a_path_of_a_machine() -> None:
    marks = re.compile(
        "py" + r"pi\.org|python" + r"hosted|npm" + r"js\.org|(?<![\w.])/(?:wo" + "rk|ro" + "ot|fa" + r"rm)/"
    )
    texts = [p for p in tracked() if p.suffix not in {".png", ".parquet", ".duckdb"}]
    assert [str(p.relative_to(ROOT)) for p in texts if marks.search(p.read_text(errors="ignore"))] == []


def test_the_lock_pins_every_package_by_hash() -> None:
    entries = re.findall(
        r"^([\w.-]+)==\S+.*?(?=^\w|\Z)", (ROOT / "requirements.lock").read_text(), re.MULTILINE | re.DOTALL
    )
    blocks = re.split(r"^(?=\w)", (ROOT / "requirements.lock").read_text(), flags=re.MULTILINE)[1:]
    assert len(entries) == len(blocks) > 100
    assert all("--hash=sha256:" in block for block in blocks)


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
