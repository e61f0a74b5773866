"""What every test gets: a home of its own, no network, and no clock but the one that it asks for."""

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from trading_assets.core.settings import Home

# Random worlds on a developer's machine; on every CI run the same ones, and fewer where a test names no number.
settings.register_profile("ci", derandomize=True, print_blob=True, max_examples=25)
if os.environ.get("CI"):
    settings.load_profile("ci")


# Where the two databases differ most; the rest of the ledger's tests meet a server where make test runs outside CI.
_ON_A_SERVER_TOO = {
    *("test_engine", "test_history", "test_migrations", "test_money", "test_store", "test_state", "test_bus"),
    *("test_dispatch", "test_proposals", "test_experiments", "test_health", "test_memory", "test_roles"),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """CI has twenty minutes: there the longest of those that prove something a second time are left out."""
    if os.environ.get("CI"):
        for item in items:
            if item.get_closest_marker("slow") or _is_a_twin(item):
                item.add_marker(pytest.mark.skip(reason="left out on CI, for time; make test runs it elsewhere"))


def _is_a_twin(item: pytest.Item) -> bool:
    """Whether the test proves on a server what it proves on a file as well."""
    values = item.callspec.params.values() if isinstance(item, pytest.Function) and hasattr(item, "callspec") else ()
    on_a_server = any(isinstance(value, str) and value == "postgresql" for value in values)
    return on_a_server and item.path.stem not in _ON_A_SERVER_TOO


SHARED = Path(__file__).parents[1].parent / "shared" / "data"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """An empty DESK_HOME; nothing is written elsewhere."""
    monkeypatch.setenv("DESK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home" / "dagster"))
    monkeypatch.delenv("DESK_CLOCK", raising=False)
    monkeypatch.delenv("DESK_CONFIG", raising=False)
    return Home((tmp_path / "home").resolve())


@pytest.fixture
def shared_data() -> Path:
    """Real market files beside the checkout; tests that need them skip where they are absent."""
    if not SHARED.is_dir():
        pytest.skip(f"the shared market files are not at {SHARED.parent.name}/{SHARED.name} beside the checkout")
    return SHARED


@pytest.fixture(autouse=True)
def _no_keys_and_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own keys and ledger stay out of every test."""
    for name in ("LEDGER_URL", "ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "DEEPSEEK_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _no_instance_of_another_test() -> None:
    """Dagster remembers the storage of the instance that was opened last, also when that one is gone."""
    base = sys.modules.get("dagster._core.storage.defs_state.base")
    if base is not None:
        base._current_storage.set(None)


@pytest.fixture(autouse=True)
def _only_loopback(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Refuses connections to anything but this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        host = address[0] if isinstance(address, tuple) else "unix"
        if host not in {"127.0.0.1", "::1", "localhost", "unix"}:
            raise OSError(f"tests may not connect to {host}")
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", guarded)
    umask = os.umask(0o022)
    yield
    os.umask(umask)
