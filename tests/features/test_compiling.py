"""Compiled functions: where their cache lies, and that no state of it can stop the desk."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from trading_assets.core.settings import Home
from trading_assets.features import compiling

MODULE = '''"""A module of the test."""
from trading_assets.features.compiling import compiled, part
FACTOR = {factor}

@part
def times(x):
    return FACTOR * x

@compiled("float64(float64)")
def scaled(x):
    return times(x)
'''
_IMPORT = "from trading_assets.features.kernel import LOOK_BACK"
# An environment without a cache of its own, whatever `desk compile` has made in the real one.
_ELSEWHERE = "import sys; sys.path.insert(0, sys.argv[1]); sys.prefix = sys.argv[1]; "
RUN = _ELSEWHERE + "import made; print(made.scaled(2.0))"


def made_in(folder: Path, factor: float = 3.0) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "made.py").write_text(MODULE.format(factor=factor))
    return folder


def run(folder: Path, home: Path, *, python: tuple[str, ...] = (RUN,)) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    return subprocess.Popen(
        [sys.executable, "-B", "-c", *python, str(folder)],
        env={**environment, "DESK_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def said(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out.strip()


def kept(home: Path) -> list[Path]:
    return sorted(path for path in home.rglob("*") if path.suffix in {".nbi", ".nbc"})


def test_the_cache_lies_in_the_home_and_nowhere_beside_the_code(tmp_path: Path) -> None:
    folder = made_in(tmp_path / "code")
    assert said(run(folder, tmp_path / "home")) == "6.0"
    assert [path.name.split("-")[0] for path in kept(tmp_path / "home" / "cache" / "numba")] == ["made.scaled"] * 2
    assert sorted(path.name for path in folder.iterdir()) == ["made.py"]


def test_a_second_process_takes_it_from_the_cache(tmp_path: Path) -> None:
    folder, home = made_in(tmp_path / "code"), tmp_path / "home"
    said(run(folder, home))
    before = [(path, path.stat().st_mtime_ns) for path in kept(home)]
    assert said(run(folder, home)) == "6.0"
    assert [(path, path.stat().st_mtime_ns) for path in kept(home)] == before


@pytest.mark.parametrize("damage", [b"", b"\x80", b"not a cache file at all"])
def test_a_damaged_cache_is_replaced(tmp_path: Path, damage: bytes) -> None:
    folder, home = made_in(tmp_path / "code"), tmp_path / "home"
    said(run(folder, home))
    for path in kept(home):
        path.write_bytes(damage)
    assert said(run(folder, home)) == "6.0"
    assert all(path.read_bytes() != damage for path in kept(home))


def test_a_changed_constant_is_compiled_anew(tmp_path: Path) -> None:
    """The text counts, not its date: it is put back to what it was."""
    folder, home = made_in(tmp_path / "code"), tmp_path / "home"
    said(run(folder, home))
    status = (folder / "made.py").stat()
    made_in(folder, factor=5.0)
    os.utime(folder / "made.py", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert said(run(folder, home)) == "10.0"


def test_a_constant_of_the_kernel_that_changes_compiles_its_users_anew(tmp_path: Path) -> None:
    """Numba by itself looks at the user's own file only. The code is a copy, because a line of it is changed."""
    copy, home = tmp_path / "code", tmp_path / "home"
    source = Path(compiling.__file__).parents[1]
    shutil.copytree(source / "core", copy / "trading_assets" / "core")
    (copy / "trading_assets" / "features").mkdir()
    for name in ("__init__.py", "features/__init__.py", "features/compiling.py", "features/kernel.py"):
        shutil.copy(source / name, copy / "trading_assets" / name)
    (copy / "made.py").write_text(MODULE.format(factor="LOOK_BACK").replace("FACTOR =", f"{_IMPORT}\nFACTOR ="))
    assert said(run(copy, home)) == "504.0"
    kernel = copy / "trading_assets" / "features" / "kernel.py"
    kernel.write_text(kernel.read_text().replace("LOOK_BACK = 252", "LOOK_BACK = 253"))
    assert said(run(copy, home)) == "506.0"


def test_a_home_that_cannot_be_written_costs_time_only(tmp_path: Path) -> None:
    """A file stands where the folder should be, which stops root as well."""
    folder, home = made_in(tmp_path / "code"), tmp_path / "home"
    home.write_text("")
    assert said(run(folder, home)) == "6.0"
    assert home.read_text() == ""


def test_processes_that_compile_at_the_same_moment_all_get_the_answer(tmp_path: Path) -> None:
    folder, home = made_in(tmp_path / "code"), tmp_path / "home"
    assert [said(process) for process in [run(folder, home) for _ in range(4)]] == ["6.0"] * 4
    assert said(run(folder, home)) == "6.0"
    assert not list(home.rglob("*.tmp.*"))


def test_loading_the_code_location_or_the_tables_loads_no_compiler(tmp_path: Path) -> None:
    check = (
        "import sys; import trading_assets.definitions, trading_assets.features.model; print('numba' in sys.modules)"
    )
    assert said(run(made_in(tmp_path / "code"), tmp_path / "home", python=(check,))) == "False"


def test_the_operators_cache_counts_first_then_the_environments_then_the_homes(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "environment"))
    assert compiling.cache_root() == home.root / "cache" / "numba"
    compiling.environment_cache().mkdir(parents=True)
    assert compiling.cache_root() == tmp_path / "environment" / "cache" / "desk"
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "shared"))
    assert compiling.cache_root() == tmp_path / "shared"


def test_everything_declared_is_compiled_ahead_of_its_first_call(tmp_path: Path) -> None:
    folder = made_in(tmp_path / "code")
    ahead = "import made; from trading_assets.features.compiling import compile_declared; print(compile_declared())"
    assert said(run(folder, tmp_path / "home", python=(_ELSEWHERE + ahead,))) == "1"
    assert len(kept(tmp_path / "home")) == 2


def test_desk_compile_knows_every_module_that_declares_a_kernel() -> None:
    source = Path(compiling.__file__).parents[1]
    declaring = {path for path in source.rglob("*.py") if "@compiled(" in path.read_text()}
    check = (
        "import sys; from desk.compiling import run_compile; run_compile(as_json=True); print(*sys.modules, sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    modules = {".".join(path.relative_to(source.parent).with_suffix("").parts) for path in declaring}
    assert modules <= set(done.stdout.splitlines())
