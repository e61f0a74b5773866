"""Which dagster.yaml a home gets."""

import os
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.instance import InstanceRef
from dagster._core.launcher import DefaultRunLauncher

from desk.runner import prepare_home
from resources.launching.run_files import QuickEventLogStorage
from resources.launching.warm import WarmRunLauncher
from trading_assets.core.errors import ConfigurationError
from trading_assets.core.settings import Home


def _with_launcher(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "operations.yaml").write_text(text)
    monkeypatch.setenv("DESK_CONFIG", str(folder))


def _launcher(home: Home) -> type:
    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home.dagster))) as instance:
        assert isinstance(instance.event_log_storage, QuickEventLogStorage)
        return type(instance.run_launcher)


def test_the_setting_names_the_launcher_of_the_next_start(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for words, kind in (("stock", DefaultRunLauncher), ("warm", WarmRunLauncher), ("stock", DefaultRunLauncher)):
        _with_launcher(tmp_path / "config", f"runs: {{launcher: {words}}}\n", monkeypatch)
        assert prepare_home().dagster == home.dagster
        assert _launcher(home) is kind


def test_a_launcher_that_does_not_exist_is_refused_and_the_file_stays(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _with_launcher(tmp_path / "config", "runs: {launcher: warm}\n", monkeypatch)
    prepare_home()
    before = (home.dagster / "dagster.yaml").read_bytes()
    _with_launcher(tmp_path / "config", "runs: {launcher: lukewarm}\n", monkeypatch)
    with pytest.raises(ConfigurationError, match="lukewarm"):
        prepare_home()
    assert (home.dagster / "dagster.yaml").read_bytes() == before


def test_a_file_that_is_right_is_not_touched(home: Home) -> None:
    prepare_home()
    target = home.dagster / "dagster.yaml"
    os.utime(target, ns=(1, 1))
    prepare_home()
    assert target.stat().st_mtime_ns == 1
    target.write_text("telemetry: {enabled: true}\n")
    prepare_home()
    assert yaml.safe_load(target.read_text())["telemetry"] == {"enabled": False}
    assert [path.name for path in home.dagster.iterdir()] == ["dagster.yaml"]
