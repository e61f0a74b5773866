"""A thread with an event loop of its own: model clients keep their connections between questions of any thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")
STOP_S = 30.0


class LoopThread:
    """Runs coroutines for callers on other threads; the thread starts with the first one."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The coroutine's result. An interrupt of the caller cancels it and is raised once it has tidied up."""
        running = self.start(work)
        try:
            return running.result()
        except BaseException:
            running.stop()
            raise

    def start(self, work: Coroutine[Any, Any, T]) -> Running[T]:
        """Starts the coroutine and does not wait for it."""
        return Running(work, self._running_loop())

    def close(self, last: Coroutine[Any, Any, None] | None = None) -> None:
        """Cancels what runs, waits until it has tidied up, runs the last coroutine, and ends the thread."""
        with self._lock:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is None or thread is None:
            if last is not None:
                last.close()
            return
        asyncio.run_coroutine_threadsafe(_cancel_all(), loop).result(STOP_S)
        if last is not None:
            asyncio.run_coroutine_threadsafe(last, loop).result(STOP_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(STOP_S)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=_serve, args=(self._loop,), name=self._name, daemon=True)
                self._thread.start()
            return self._loop


class Running(Future[T]):
    """A coroutine on the loop's thread. Unlike a future of asyncio it is done only when the coroutine has ended."""

    def __init__(self, work: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._loop = loop
        self._task: asyncio.Task[T] | None = None
        self._ended = threading.Event()
        loop.call_soon_threadsafe(self._begin, work)

    def stop(self) -> None:
        """Cancels the coroutine and waits until it has ended."""
        self._loop.call_soon_threadsafe(self._cancel_task)
        self._ended.wait(STOP_S)

    def _begin(self, work: Coroutine[Any, Any, T]) -> None:
        self._task = self._loop.create_task(work)
        self._task.add_done_callback(self._finish)

    def _cancel_task(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _finish(self, task: asyncio.Task[T]) -> None:
        self._ended.set()
        if task.cancelled():
            self.cancel()
        elif (error := task.exception()) is not None:
            self.set_exception(error)
        else:
            self.set_result(task.result())


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.close()


async def _cancel_all() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
