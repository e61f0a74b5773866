"""The signers' keys: one file of 32 random bytes for each signer, made once, readable by the desk's own user alone.

A key is read when it is used and kept nowhere; its value shows itself in no representation, text or pickle. Whoever may read
another signer's file can sign as that signer: run signers as different users, or accept that this user holds all three.
"""

import os
import secrets
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from trading_assets.core.errors import ConfigurationError, PermanentFailure
from trading_assets.core.settings import Home
from trading_assets.signatures.model import SIGNERS, Signer
from trading_assets.signatures.signing import KEY_BYTES

HIDDEN = "[key]"
_FOLDER_MODE, _FILE_MODE = 0o700, 0o600
_READING = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_MAKING = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class SealKey(bytes):
    """A key as `hmac` takes it, that shows itself nowhere else."""

    def __repr__(self) -> str:
        return HIDDEN

    def __str__(self) -> str:
        return HIDDEN

    def __format__(self, _: str) -> str:
        return HIDDEN

    def __reduce_ex__(self, _: object) -> tuple[object, ...]:
        raise TypeError("a key is not written anywhere")


class _Keys(Mapping[Signer, bytes]):
    """Every signer's key."""

    def __init__(self, keys: Mapping[Signer, SealKey]) -> None:
        self._keys = keys

    def __getitem__(self, signer: Signer) -> bytes:
        return self._keys[signer]

    def __iter__(self) -> Iterator[Signer]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


class KeyRing:
    """The keys in `DESK_HOME/keys`; a key that is not there is made, once, whoever asks first."""

    def __init__(self, home: Home) -> None:
        self._folder = home.root / "keys"

    def signing(self, signer: Signer) -> bytes:
        """One signer's key.

        Raises:
            ConfigurationError: Folder or file is not what `desk` makes: a link, another user's, open to others, of another length.
        """
        if signer not in SIGNERS:
            raise PermanentFailure("there is no such signer", value=signer, bound=", ".join(SIGNERS))
        self._check_folder()
        path = self._folder / f"{signer}.key"
        try:
            return _read(path)
        except FileNotFoundError:
            _make(path)
        return _read(path)

    def verifying(self) -> Mapping[Signer, bytes]:
        """Every signer's key, for the process that checks seals. ConfigurationError as above."""
        return _Keys({signer: SealKey(self.signing(signer)) for signer in SIGNERS})

    def _check_folder(self) -> None:
        try:
            self._folder.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                self._folder.mkdir(_FOLDER_MODE)
                self._folder.chmod(_FOLDER_MODE)
            found = self._folder.lstat()
        except OSError as refused:
            raise _unusable(self._folder, refused.strerror or "", "a folder that can be made") from None
        _check(self._folder, found, stat.S_ISDIR, _FOLDER_MODE)


def could_write(path: Path) -> bool:
    """Whether this process could change a file: by writing it, by replacing it in its folder, or by giving itself the right to.

    A file that cannot be looked at counts as one that could.
    """
    try:
        places = (path, path.parent, path.resolve().parent)
        owners = {place.stat().st_uid for place in places}
    except OSError:
        return True
    return os.geteuid() in {0, *owners} or any(os.access(place, os.W_OK) for place in places)


def _read(path: Path) -> SealKey:
    """The key in a file that is as `_make` leaves it; FileNotFoundError where there is none."""
    try:
        opened = os.open(path, _READING)
    except FileNotFoundError:
        raise
    except OSError as refused:
        raise _unusable(path, refused.strerror or "", "a regular file, no link") from None
    try:
        _check(path, os.fstat(opened), stat.S_ISREG, _FILE_MODE)
        key = os.read(opened, KEY_BYTES + 1)
    finally:
        os.close(opened)
    if len(key) != KEY_BYTES:
        raise _unusable(path, f"{len(key)} bytes" if len(key) < KEY_BYTES else "more bytes", f"{KEY_BYTES} bytes")
    return SealKey(key)


def _make(path: Path) -> None:
    """Writes a new key under a name of its own and links it to its place: of several callers the first wins."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(8)}")
    try:
        _write(draft)
        os.link(draft, path, follow_symlinks=False)
    except FileExistsError:
        pass
    except OSError as refused:
        raise _unusable(path, refused.strerror or "", "a file that can be made") from None
    finally:
        draft.unlink(missing_ok=True)
    _sync(path.parent)


def _write(draft: Path) -> None:
    made = os.open(draft, _MAKING, _FILE_MODE)
    try:
        os.fchmod(made, _FILE_MODE)
        os.write(made, secrets.token_bytes(KEY_BYTES))
        os.fsync(made)
    finally:
        os.close(made)


def _sync(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _check(path: Path, found: os.stat_result, is_kind: Callable[[int], bool], mode: int) -> None:
    if not is_kind(found.st_mode):
        raise _unusable(path, "a link or something else", "a folder" if mode == _FOLDER_MODE else "a regular file")
    if found.st_uid != os.geteuid():
        raise _unusable(path, f"user {found.st_uid}", f"user {os.geteuid()}")
    if stat.S_IMODE(found.st_mode) != mode:
        raise _unusable(path, f"mode {stat.S_IMODE(found.st_mode):04o}", f"mode {mode:04o}", f"chmod {mode:04o} {path}")


def _unusable(path: Path, value: str, bound: str, hint: str = "") -> ConfigurationError:
    again = f"rm -r {path}, and the next start makes a new one; what was signed before no longer counts"
    return ConfigurationError(f"{path} cannot hold a signer's key", value=value, bound=bound, hint=hint or again)
