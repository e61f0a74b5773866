"""Telemetry of this process as the settings say, opened once and closed at its end."""

import atexit
import logging
import os
from contextlib import AbstractContextManager
from functools import lru_cache
from pathlib import Path

from resources.telemetry.logs import begin_logging, logging_to_file
from resources.telemetry.spans import OFF, Tracer, open_tracer
from trading_assets.core.errors import DeskError
from trading_assets.core.operations import load_operations
from trading_assets.core.settings import config_folder, desk_home


def tracer_of(process: str) -> Tracer:
    """The tracer of this process; a forked child opens one of its own, and so does another home."""
    return _opened(process, os.getpid(), desk_home().root, config_folder())


@lru_cache(maxsize=4)
def _opened(process: str, _pid: int, home: Path, folder: Path) -> Tracer:
    try:
        settings = load_operations(folder).telemetry
        tracer = open_tracer(settings, home, process, os.environ)
    except DeskError as refused:
        logging.getLogger("desk.telemetry").warning("no traces: %s", refused)
        return OFF
    if settings.traces == "otlp":
        atexit.register(tracer.close)
    return tracer


def logs_of(process: str) -> None:
    """Logs of a process that is the desk's own, as the settings say."""
    begin_logging(process, load_operations(config_folder()).telemetry, desk_home().root, os.environ)


def logs_within(process: str) -> AbstractContextManager[None]:
    """Inside, the desk's lines also go to the file of the process, in a program that is not the desk's own."""
    return logging_to_file(process, load_operations(config_folder()).telemetry, desk_home().root, os.environ)
