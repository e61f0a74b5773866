"""The Gateway in a process of its own, as a test sees it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PATIENCE_S = 20


class BrokerProcess:
    """A Gateway that lives until the test ends it.

    Attributes:
        port: Where clients connect.
        control: Where any other process may send commands, one JSON object on a line.
    """

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        hello = self._line()
        self.port: int = hello["port"]
        self.control: int = hello["control"]

    def do(self, name: str, **arguments: Any) -> dict[str, Any]:
        """One command of `tests.tws.serve`; a wrong one is a ValueError."""
        if self._process.stdin is None:
            raise ValueError("the Gateway has no standard input")
        self._process.stdin.write(json.dumps({"do": name, **arguments}) + "\n")
        self._process.stdin.flush()
        answer = self._line()
        if "error" in answer:
            raise ValueError(f"{name}: {answer['error']}")
        return answer

    def _line(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise ValueError("the Gateway has ended")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def broker_process(*arguments: str) -> Iterator[BrokerProcess]:
    """A Gateway with the arguments of `python -m tests.tws.serve`; it ends with the block, and with this process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.tws.serve", *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield BrokerProcess(process)
    finally:
        if process.stdin is not None:
            process.stdin.close()
        process.wait(PATIENCE_S)
        if process.stdout is not None:
            process.stdout.close()
