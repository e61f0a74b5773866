"""Compiled functions: numba with a cache that survives damage and is written by many processes at once.

The cache is, in this order: the folder that NUMBA_CACHE_DIR names; `cache/desk` of the Python environment, where `desk compile`
has made it (part of `make env`, so that no run waits for a compiler); `cache/numba` in DESK_HOME. numba writes each file under a
temporary name and renames it, and a file holds one signature of one function for one processor, so two processes that compile at
the same moment replace each other's file with an equal one. numba itself notices a change of a function's own file only; here
every text that a constant can come from is part of the folder's name (see `_texts`).
"""

import functools
import hashlib
import os
import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

from trading_assets.core.settings import desk_home

F = TypeVar("F", bound=Callable[..., Any])
_UNREADABLE = (
    EOFError,
    pickle.UnpicklingError,
    ValueError,
    TypeError,
    AttributeError,
    ImportError,
    IndexError,
    KeyError,
)
_ONE_AT_A_TIME = threading.RLock()
_DECLARED: list[Callable[[], Callable[..., Any]]] = []


def part(function: F) -> F:
    """A piece of a compiled function of the same module; it is compiled when a function that calls it is."""
    return cast(F, numba.njit(error_model="numpy")(function))


def compiled(signature: str) -> Callable[[F], F]:
    """Compiles a function for one signature (numba's notation) when it is first called, or takes it from the cache.

    It runs without Python's lock, so that threads may share the work. Divisions by zero give infinities and NaN, additions keep
    their order (no fast-math). Where the cache cannot be written (a read-only home), the function is compiled in memory; a
    cache file that cannot be read is replaced. Constants may come from the function's own module and from `features/kernel.py`.
    """

    def prepared(function: F) -> F:
        ready: list[Callable[..., Any]] = []

        def machine_code() -> Callable[..., Any]:
            with _ONE_AT_A_TIME:
                if not ready:
                    ready.append(_compiled(function, signature))
            return ready[0]

        @functools.wraps(function)
        def call(*arguments: Any) -> Any:
            return machine_code()(*arguments)

        _DECLARED.append(machine_code)
        return cast(F, call)

    return prepared


def compile_declared() -> int:
    """Compiles every function that the modules imported so far have declared, and says how many there are."""
    for machine_code in _DECLARED:
        machine_code()
    return len(_DECLARED)


def environment_cache() -> Path:
    """Where the Python environment keeps compiled functions, if `desk compile` has made it."""
    return Path(sys.prefix) / "cache" / "desk"


def cache_root() -> Path:
    """Where compiled functions are kept."""
    if named := os.environ.get("NUMBA_CACHE_DIR"):
        return Path(named)
    shared = environment_cache()
    return shared if os.access(shared, os.W_OK | os.X_OK) else desk_home().root / "cache" / "numba"


def _compiled(function: Callable[..., Any], signature: str) -> Any:
    folder = cache_root() / _texts(function)
    if not _is_writable(folder):
        return numba.njit(signature, error_model="numpy", nogil=True)(function)
    with _cached_in(folder):
        try:
            return numba.njit(signature, error_model="numpy", nogil=True, cache=True)(function)
        except _UNREADABLE:
            for damaged in folder.rglob(f"*.{function.__name__}-*.nb[ci]"):
                damaged.unlink(missing_ok=True)
            return numba.njit(signature, error_model="numpy", nogil=True, cache=True)(function)


def _texts(function: Callable[..., Any]) -> str:
    """A name for the texts that a compiled function depends on."""
    own = Path(cast(str, function.__globals__["__file__"]))
    digest = hashlib.sha256()
    for path in (Path(__file__), Path(__file__).with_name("kernel.py"), own):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


@contextmanager
def _cached_in(folder: Path) -> Iterator[None]:
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(folder)
    try:
        yield
    finally:
        numba.config.CACHE_DIR = before
