"""Which file systems may carry an SQLite file: its write-ahead log is shared memory, which machines do not share over a network."""

import re
from pathlib import Path

from trading_assets.core.errors import PermanentFailure

MOUNTS = Path("/proc/self/mounts")
# fmt: off
_LOCAL = frozenset({
    "apfs", "bcachefs", "btrfs", "ecryptfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs", "fuse-overlayfs",
    "fuse.fuse-overlayfs", "fuseblk", "hfs", "hfsplus", "jfs", "msdos", "nilfs2", "ntfs3", "overlay", "overlayfs",
    "ramfs", "reiserfs", "rootfs", "tmpfs", "ubifs", "udf", "ufs", "vfat", "xfs", "zfs",
})
# fmt: on
# As the root of the whole tree they are the disk of a virtual machine or a sandbox, which nobody else writes to.
_LOCAL_AS_ROOT = frozenset({"9p", "gofer", "virtiofs"})


def require_local_disk(path: Path, mounts: str | None = None) -> None:
    """Refuses a ledger file on a file system that is not known to be of this machine alone.

    Args:
        path: The file, or where it is going to be.
        mounts: The kernel's list of mounts; read from the kernel by default, and nothing is refused where it keeps no such list.

    Raises:
        PermanentFailure: a network share, a folder of the machine that hosts this one, or a type that nobody has vouched for.
    """
    if mounts is None:
        if not MOUNTS.exists():
            return
        mounts = MOUNTS.read_text()
    point, kind = file_system_of(path.resolve(), mounts)
    if kind in _LOCAL or (kind in _LOCAL_AS_ROOT and point == "/"):
        return
    raise PermanentFailure(
        f"SQLite loses data on a file system that is not of this machine alone: {point} is {kind}",
        value=path,
        bound="a local disk",
        hint="keep DESK_HOME on a local disk, or give LEDGER_URL a PostgreSQL server",
    )


def file_system_of(path: Path, mounts: str) -> tuple[str, str]:
    """Where the file system of the path is mounted, and its type; of two mounts on one folder the later one counts."""
    found = ("/", "unknown")
    for line in mounts.splitlines():
        _, point, kind, *_ = line.split(" ")
        folder = Path(_plain(point))
        if path.is_relative_to(folder) and len(folder.parts) >= len(Path(found[0]).parts):
            found = (str(folder), kind)
    return found


def _plain(point: str) -> str:
    """Blanks and backslashes stand in the list as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), point)
