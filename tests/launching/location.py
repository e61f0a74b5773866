"""A code location that is light to load: jobs that end, fail, wait, or die in the ways of a real run."""

import os
import signal
import time
from pathlib import Path

import dagster as dg


class Where(dg.Config):
    """A file that tells the test what happened."""

    path: str = ""


def _note(path: str, word: str) -> None:
    with Path(path).open("a") as file:
        file.write(f"{word} {os.getpid()} {time.monotonic()}\n")


@dg.op
def say(config: Where) -> None:
    """Writes one line."""
    _note(config.path, "said")


@dg.op
def fail() -> None:
    """Ends as a failure of its own."""
    raise ValueError("as the test wants")


@dg.op
def wait(config: Where) -> None:
    """Waits for a signal, and tells whether it was allowed to clean up."""
    _note(config.path, "began")
    try:
        time.sleep(120)
    finally:
        _note(config.path, "cleaned")


@dg.op
def deaf(config: Where) -> None:
    """Waits and hears no signal that can be ignored."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    _note(config.path, "began")
    time.sleep(120)


@dg.op
def linger(config: Where) -> None:
    """Ends by itself after a while."""
    _note(config.path, "began")
    time.sleep(3)
    _note(config.path, "ended")


@dg.job(executor_def=dg.in_process_executor)
def says() -> None:
    """One line."""
    say()


@dg.job(executor_def=dg.in_process_executor)
def fails() -> None:
    """One failure."""
    fail()


@dg.job(executor_def=dg.in_process_executor)
def waits() -> None:
    """Until it is stopped."""
    wait()


@dg.job(executor_def=dg.in_process_executor)
def ignores() -> None:
    """Until it is killed."""
    deaf()


@dg.job(executor_def=dg.in_process_executor)
def lingers() -> None:
    """Three seconds."""
    linger()


defs = dg.Definitions(jobs=[says, fails, waits, ignores, lingers])
