"""The desk's own code location can be forked: everything that is imported before a fork starts no thread."""

from importlib.util import find_spec
from pathlib import Path

from resources.launching.modules import LOCATIONS, PRELOAD, WARM
from resources.launching.warm import Preparation
from tests.launching.parts import children, forking, launcher_of, server_of, until


def test_the_desk_is_imported_once_and_forks_wait_with_the_data_libraries(tmp_path: Path) -> None:
    """The server refuses to start with a second thread; its waiting fork has polars, which has several."""
    real = {"locations": list(LOCATIONS), "preload": list(PRELOAD), "warm": list(WARM), "start_seconds": 120.0}
    with forking(tmp_path / "dagster", **real) as instance:
        launcher_of(instance).prepare()
        server = server_of(instance).pid
        assert _threads(server) == 1
        until(lambda: children(server), "one fork waits")
        (waiting,) = children(server)
        until(lambda: _threads(waiting) > 1, "the fork has the data libraries")
        assert _threads(server) == 1


def test_every_module_that_is_imported_in_advance_exists() -> None:
    assert [name for name in (*LOCATIONS, *PRELOAD, *WARM) if find_spec(name) is None] == []
    assert (tuple(Preparation().warm), tuple(Preparation().preload)) == (WARM, PRELOAD)


def _threads(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))
