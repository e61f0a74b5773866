"""Running a model's command-line program: scrubbed environment, empty home and working folder, killed whole when it must end."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

# What a program needs to find its way out, and nothing that carries a key or a setting of the desk.
PASSED = (
    "PATH", "LANG", "LC_ALL", "TZ", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS",
)  # fmt: skip
OUTPUT_BYTES_MAX = 16 * 1024 * 1024
# A killed program is gone at once; one that left its session may hold the pipes for longer.
_PATIENCE_S = 5.0


class TooMuchOutput(Exception):
    """The program wrote more than an answer can be."""


@dataclass(frozen=True, slots=True)
class Finished:
    """How a program ended; a negative status is the signal that ended it."""

    status: int
    out: bytes
    errors: bytes


@contextmanager
def empty_room() -> Iterator[Path]:
    """A folder that is empty, readable by this user alone, and gone afterwards, with whatever was put into it."""
    with tempfile.TemporaryDirectory(prefix="desk-model-", ignore_cleanup_errors=True) as room:
        (Path(room) / "home").mkdir()
        (Path(room) / "work").mkdir()
        yield Path(room)


def scrubbed_environment(environment: Mapping[str, str], room: Path, extra: Mapping[str, str]) -> dict[str, str]:
    """The few variables that a program may see, those that it is given, and an empty home."""
    kept = {name: environment[name] for name in PASSED if name in environment}
    return {**kept, "HOME": str(room / "home"), "TMPDIR": str(room), **extra}


async def run_command(
    arguments: Sequence[str], words: str, *, environment: Mapping[str, str], folder: Path, timeout_s: float
) -> Finished:
    """Runs the program with the words on its standard input.

    Whatever ends the wait (time-out, cancellation, an interrupt) kills the program and everything that it started.

    Raises:
        OSError: it could not be started.
        TimeoutError: it did not end in time.
        TooMuchOutput: it wrote more than an answer can be.
    """
    process = await asyncio.create_subprocess_exec(
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=dict(environment),
        cwd=folder,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(timeout_s):
            return await _talk(process, words.encode())
    finally:
        _kill(process)
        await _to_its_end(asyncio.ensure_future(_let_go(process)))


async def _talk(process: asyncio.subprocess.Process, words: bytes) -> Finished:
    stdin, stdout, stderr = _pipes(process)
    tasks = [asyncio.create_task(_drain(pipe)) for pipe in (stdout, stderr)]
    feeding = asyncio.create_task(_feed(stdin, words))
    try:
        out, errors = await asyncio.gather(*tasks)
        return Finished(await process.wait(), out, errors)
    finally:
        for task in (*tasks, feeding):
            task.cancel()
        await asyncio.gather(*tasks, feeding, return_exceptions=True)


def _pipes(
    process: asyncio.subprocess.Process,
) -> tuple[asyncio.StreamWriter, asyncio.StreamReader, asyncio.StreamReader]:
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise OSError("the program has no pipes")
    return process.stdin, process.stdout, process.stderr


async def _to_its_end(work: asyncio.Future[None]) -> None:
    """Waits for the work however often the wait is cancelled (a cancel scope does so at each step), then passes that on."""
    cancelled: asyncio.CancelledError | None = None
    while not work.done():
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError as again:
            cancelled = again
    if cancelled is not None:
        raise cancelled


async def _let_go(process: asyncio.subprocess.Process) -> None:
    """Waits for the end of a killed program and of its pipes, so that nothing of it stays open."""
    stdin, *outputs = _pipes(process)
    stdin.close()
    with suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE_S):
            # Reading comes first: a pipe that nobody reads is paused and never seen to end.
            for pipe in outputs:
                while await pipe.read(65_536):
                    pass
            await process.wait()
            with suppress(BrokenPipeError, ConnectionResetError):
                await stdin.wait_closed()
    # The transport closes itself in callbacks that the last end of a pipe has scheduled.
    await asyncio.sleep(0)


async def _feed(pipe: asyncio.StreamWriter, words: bytes) -> None:
    # A program may answer without reading everything.
    with suppress(BrokenPipeError, ConnectionResetError):
        pipe.write(words)
        await pipe.drain()
        pipe.close()


async def _drain(pipe: asyncio.StreamReader) -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := await pipe.read(65_536):
        size += len(part)
        if size > OUTPUT_BYTES_MAX:
            raise TooMuchOutput(f"more than {OUTPUT_BYTES_MAX} bytes")
        parts.append(part)
    return b"".join(parts)


def _kill(process: asyncio.subprocess.Process) -> None:
    """Kills the program's whole session: a helper that it left behind would hold the prompt and the subscription."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
