"""A client id in use: a lock that the kernel drops when its process dies, and keeps while it is stopped."""

import fcntl
import os
from pathlib import Path

from trading_assets.broker.ports import ClientIdInUse
from trading_assets.core.errors import PermanentFailure


class ClientIdLock:
    """The one holder of a client id at an account; the file beside the account says which process it is."""

    def __init__(self, account: Path, client_id: int) -> None:
        self.path = account.with_name(f"{account.name}.client-{client_id}.lock")
        self._client_id = client_id
        self._file: int | None = None

    def take(self) -> None:
        """Takes the client id, or raises ClientIdInUse."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as refused:
            raise PermanentFailure(
                f"the lock of the client id cannot be written: {refused.strerror}", value=self.path
            ) from refused
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as held:
            holder = os.read(file, 20).decode(errors="replace").strip() or "unknown"
            os.close(file)
            raise ClientIdInUse(
                f"client id {self._client_id} is in use at the paper account",
                value=f"process {holder}",
                bound="one connection for each client id",
                hint="end the other process, which is another gateway or watchdog",
            ) from held
        os.ftruncate(file, 0)
        os.write(file, f"{os.getpid()}\n".encode())
        self._file = file

    def give_back(self) -> None:
        """Lets the client id go."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
