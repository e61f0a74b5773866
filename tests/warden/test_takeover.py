"""Whose place is taken: a gateway of this desk, machine and user that does not act, and no other process whatever its number."""

import os
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.exchange import Exchange, ScriptedBroker
from tests.gateway.world import Hand, World, run
from tests.warden.desk import Desk
from trading_assets.core.errors import TransientFailure
from warden.seen import Holder
from warden.takeover import DESK_GATEWAY, GatewayTakeover, command_line, is_command

NOW = datetime(2024, 3, 25, 15, 0, tzinfo=UTC)
LEASE = timedelta(seconds=10)
PROGRAM = "print(flush=True); input()"
OLD = NOW + LEASE - timedelta(seconds=5)


@dataclass
class Leases:
    """The only answer of the ledger that a takeover asks for."""

    told: Holder | None
    fails: bool = False

    def holder(self) -> Holder | None:
        if self.fails:
            raise TransientFailure("the ledger is locked")
        return self.told


@dataclass
class Case:
    """A takeover whose kills are written down."""

    holder: Holder | None
    ended: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.exchange = Exchange(Hand(at=NOW))
        self.broker = ScriptedBroker(self.exchange, 11)
        self.leases = Leases(self.holder)
        self.takeover = GatewayTakeover(
            self.leases,  # type: ignore[arg-type] # the one method that is asked for
            lambda: self.broker,
            lease=LEASE,
            commands=((Path(sys.executable).name, "-c"),),
            end=self.ended.append,
        )

    def take(self, as_of: datetime = NOW) -> Any:
        return run(lambda: self.takeover.take(as_of=as_of))


@pytest.fixture
def process() -> Any:
    """Something of this user that runs until the test is over."""
    started = subprocess.Popen([sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert started.stdout is not None
    started.stdout.readline()
    yield started
    started.kill()
    started.wait()


def here(pid: int, until: datetime = OLD) -> Holder:
    return Holder(socket.gethostname(), pid, until)


def test_a_gateway_that_does_not_act_is_ended_and_its_place_kept_until_it_is_given_back(process: Any) -> None:
    case = Case(here(process.pid))
    assert case.take() is case.broker
    assert case.take() is case.broker
    assert case.ended == [process.pid]
    assert case.broker.is_connected
    run(case.takeover.give_back)
    assert not case.broker.is_connected


def test_one_that_renewed_its_lease_just_now_gets_a_moment_and_no_more(process: Any) -> None:
    case = Case(here(process.pid, NOW + LEASE))
    case.take()
    assert case.ended == []
    run(case.broker.close)
    later = NOW + timedelta(seconds=2)
    case.leases.told = here(process.pid, later + LEASE)
    case.take(later)
    assert case.ended == [process.pid]


def test_a_place_that_is_not_free_is_not_had_and_nothing_waits_for_it() -> None:
    case = Case(None)
    case.broker.in_use = True
    assert case.take() is None
    case.broker.in_use, case.broker.refuses_connections = False, True
    assert case.take() is None
    case.broker.refuses_connections = False
    assert case.take() is case.broker


def test_a_ledger_that_fails_leaves_what_was_known_before(process: Any) -> None:
    case = Case(here(process.pid))
    case.broker.in_use = True
    case.take()
    case.leases.fails = True
    case.take()
    assert case.ended == [process.pid, process.pid]


@pytest.mark.parametrize("wrong", ["host", "command", "self", "init", "gone", "nobody"])
def test_nothing_else_is_ever_ended(process: Any, wrong: str) -> None:
    holders = {
        "host": Holder("elsewhere", process.pid, OLD),
        "command": here(process.pid),
        "self": here(os.getpid()),
        "init": here(1),
        "gone": here(2**22 + 1),
        "nobody": None,
    }
    case = Case(holders[wrong])
    if wrong == "command":
        case.takeover.commands = DESK_GATEWAY
    case.take()
    assert case.ended == []


@pytest.mark.parametrize(
    ("words", "is_one"),
    [
        (("python", "/opt/desk/bin/desk", "gateway"), True),
        (("python", "-m", "desk", "gateway", "--account", "U1"), True),
        (("python", "-m", "desk.main", "gateway"), True),
        (("python", "/opt/desk/bin/desk", "watchdog"), False),
        (("vi", "desk", "notes", "gateway"), False),
        (("gateway",), False),
        ((), False),
    ],
)
def test_a_gateway_is_known_by_its_command_line(words: tuple[str, ...], is_one: bool) -> None:
    assert is_command(words, DESK_GATEWAY) is is_one


def test_a_command_line_is_read_of_living_processes_of_this_user_alone(process: Any) -> None:
    assert command_line(process.pid)[1:] == ("-c", PROGRAM)
    assert command_line(2**22 + 1) == ()


def test_who_holds_the_lease_is_read_from_the_ledger(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    ledger = desk.watchdog.means.ledger
    assert ledger.holder() is None
    world: World = desk.world
    world.gateway().keeper.take_lease()
    told = ledger.holder()
    assert told is not None
    assert (told.host, told.pid) == (socket.gethostname(), os.getpid())
    assert told.until - world.hand.at == world.settings.lease
