"""The signers' keys: made once, for the desk's user alone, shown to nobody, and refused when anything about them is not as made."""

import copy
import hmac
import json
import logging
import os
import pickle
import stat
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.keys import KeyRing, could_write
from trading_assets.core.errors import ConfigurationError, PermanentFailure
from trading_assets.core.settings import PROJECT, Home
from trading_assets.signatures.model import SIGNERS
from trading_assets.signatures.signing import KEY_BYTES, seal

NOW = datetime(2026, 11, 20, 14, 30, tzinfo=UTC)
MAKER = """
import sys
from pathlib import Path
from resources.keys import KeyRing
from trading_assets.core.settings import Home
ring = KeyRing(Home(Path(sys.argv[1])))
print("ready", flush=True)
sys.stdin.readline()
print(",".join(bytes(key).hex() for key in ring.verifying().values()))
"""


def ring(tmp_path: Path) -> KeyRing:
    return KeyRing(Home(tmp_path / "home"))


def file_of(tmp_path: Path, signer: str = "risk_gate") -> Path:
    return tmp_path / "home" / "keys" / f"{signer}.key"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_each_signer_gets_a_key_of_its_own_that_stays(tmp_path: Path) -> None:
    keys = ring(tmp_path)
    made = {signer: keys.signing(signer) for signer in SIGNERS}
    assert {len(key) for key in made.values()} == {KEY_BYTES}
    assert len(set(made.values())) == len(SIGNERS)
    assert {signer: ring(tmp_path).signing(signer) for signer in SIGNERS} == made
    assert dict(ring(tmp_path).verifying()) == made
    assert sorted(path.name for path in file_of(tmp_path).parent.iterdir()) == sorted(f"{s}.key" for s in SIGNERS)


def test_a_signer_makes_no_key_but_its_own(tmp_path: Path) -> None:
    ring(tmp_path).signing("fact_checker")
    assert [path.name for path in file_of(tmp_path).parent.iterdir()] == ["fact_checker.key"]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
def test_folder_and_files_are_closed_to_others_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    (tmp_path / "home").mkdir()
    before = os.umask(umask)
    try:
        ring(tmp_path).verifying()
    finally:
        os.umask(before)
    assert mode(file_of(tmp_path).parent) == 0o700
    assert {mode(file_of(tmp_path, signer)) for signer in SIGNERS} == {0o600}


def test_of_many_processes_that_make_the_keys_at_once_all_read_the_same(tmp_path: Path) -> None:
    command = [sys.executable, "-c", MAKER, str(tmp_path / "home")]
    makers = [
        subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for maker in makers:
        assert maker.stdout is not None
        assert maker.stdout.readline() == "ready\n"
    for maker in makers:
        assert maker.stdin is not None
        maker.stdin.write("\n")
        maker.stdin.flush()
    read = {maker.communicate(timeout=60)[0] for maker in makers}
    assert len(read) == 1
    assert read == {",".join(bytes(key).hex() for key in ring(tmp_path).verifying().values()) + "\n"}


@settings(max_examples=10, deadline=None)
@given(threads=st.integers(2, 8))
def test_of_many_threads_too(tmp_path_factory: pytest.TempPathFactory, threads: int) -> None:
    home, found = tmp_path_factory.mktemp("keys"), list[bytes]()
    start = threading.Barrier(threads)

    def read() -> None:
        start.wait()
        found.append(ring(home).signing("risk_gate"))

    workers = [threading.Thread(target=read) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == threads
    assert len(set(found)) == 1
    assert [path.name for path in file_of(home).parent.iterdir()] == ["risk_gate.key"]


def no_key(path: Path) -> None:
    path.write_bytes(b"")


def short(path: Path) -> None:
    path.write_bytes(b"x" * (KEY_BYTES - 1))


def long(path: Path) -> None:
    path.write_bytes(b"x" * (KEY_BYTES + 1))


def open_to_the_group(path: Path) -> None:
    path.chmod(0o640)


def open_to_all(path: Path) -> None:
    path.chmod(0o604)


def read_only(path: Path) -> None:
    path.chmod(0o400)


def link(path: Path) -> None:
    elsewhere = path.with_name("elsewhere")
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("nowhere"))


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir(0o600)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def open_folder(path: Path) -> None:
    path.parent.chmod(0o755)


def linked_folder(path: Path) -> None:
    elsewhere = path.parent.with_name("elsewhere")
    path.parent.rename(elsewhere)
    path.parent.symlink_to(elsewhere)


def file_for_folder(path: Path) -> None:
    path.unlink()
    path.parent.rmdir()
    path.parent.write_text("keys")


@pytest.mark.parametrize(
    "spoil",
    [
        *(no_key, short, long, open_to_the_group, open_to_all, read_only, link, dangling, folder, pipe),
        *(open_folder, linked_folder, file_for_folder),
    ],
)
def test_a_key_that_is_not_as_it_was_made_is_refused_with_the_next_command(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    made = ring(tmp_path).signing("risk_gate")
    spoil(file_of(tmp_path))
    for read in (lambda: ring(tmp_path).signing("risk_gate"), ring(tmp_path).verifying):
        with pytest.raises(ConfigurationError) as refused:
            read()
        assert "cannot hold a signer's key" in refused.value.what
        assert refused.value.hint.startswith(("chmod 0", "rm "))
        assert str(tmp_path) in refused.value.hint
        assert bytes(made).hex() not in str(refused.value)


def test_what_the_hint_says_mends_it(tmp_path: Path) -> None:
    made = ring(tmp_path).signing("risk_gate")
    file_of(tmp_path).chmod(0o666)
    with pytest.raises(ConfigurationError) as refused:
        ring(tmp_path).signing("risk_gate")
    subprocess.run(refused.value.hint, shell=True, check=True)
    assert ring(tmp_path).signing("risk_gate") == made


def test_another_users_key_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ring(tmp_path).signing("risk_gate")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(ConfigurationError, match="user"):
        ring(tmp_path).signing("risk_gate")


def test_a_home_that_cannot_be_made_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(ConfigurationError):
        ring(tmp_path).signing("risk_gate")


@pytest.mark.parametrize("name", ["", "gateway", "../../etc/passwd", "risk_gate/../risk_gate"])
def test_only_signers_have_keys(tmp_path: Path, name: str) -> None:
    with pytest.raises(PermanentFailure, match="no such signer"):
        ring(tmp_path).signing(name)  # type: ignore[arg-type]


def test_a_key_works_as_a_key_and_shows_itself_nowhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    keys = ring(tmp_path)
    key, every = keys.signing("risk_gate"), keys.verifying()
    assert hmac.digest(key, b"words", "sha256") == hmac.digest(bytes(key), b"words", "sha256")
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("desk").warning("key %s of %r in %s and %s", key, key, every, keys)
    things: list[object] = [key, every, keys]
    shown = [
        repr(key),
        *map(str, things),
        *(f"{thing}" for thing in things),
        f"{key!r:>50}",
        repr([key]),
        repr(every),
        str(every),
        repr(keys),
        caplog.text,
    ]
    shown += [f"{vars(keys)}", f"{vars(every)}", json.dumps({"key": key}, default=str)]
    for text in shown:
        assert bytes(key).hex() not in text
        assert repr(bytes(key))[2:-1] not in text


def test_a_key_is_neither_pickled_nor_told_in_a_traceback(tmp_path: Path) -> None:
    keys = ring(tmp_path)
    key = keys.signing("risk_gate")
    for write in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="not written"):
            write(key)
    told = ""
    try:
        seal("i", "d", 1, "l", signer="risk_gate", key=key[:5], signed_at=NOW, valid=timedelta(1))
    except PermanentFailure as failed:
        told = "".join(traceback.TracebackException.from_exception(failed, capture_locals=True).format())
    assert "cannot sign" in told
    assert repr(bytes(key))[2:-1] not in told


def test_a_file_that_this_process_could_change_counts_as_writable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = tmp_path / "limits" / "preferences.yaml"
    limits.parent.mkdir()
    limits.write_text("a: 1")
    limits.chmod(0o444)
    limits.parent.chmod(0o555)
    assert could_write(limits), "its owner can give itself the right"
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    monkeypatch.setattr(os, "access", lambda path, _: path == limits.parent)
    assert could_write(limits), "whoever may write the folder can replace it"
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert not could_write(limits)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert could_write(limits), "the superuser can do anything"
    assert could_write(tmp_path / "absent.yaml")


def test_a_link_to_the_limits_is_judged_where_it_leads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = tmp_path / "real" / "preferences.yaml"
    real.parent.mkdir()
    real.write_text("a: 1")
    named = tmp_path / "named" / "preferences.yaml"
    named.parent.mkdir()
    named.symlink_to(real)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    for writable in (real.parent, named.parent):
        monkeypatch.setattr(os, "access", lambda path, _, folder=writable: path == folder)
        assert could_write(named)
