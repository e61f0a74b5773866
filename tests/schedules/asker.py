"""A process that asks for the same part as others do at the same moment; says on stdout whether it got it."""

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from resources.day.claims import Claims
from resources.ledger.engine import open_ledger
from tests.schedules.outlines import part
from trading_assets.core.asking import Ask

if __name__ == "__main__":
    file, starts, rounds = Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    claims = Claims(open_ledger(file, durability="NORMAL"), "desk", sys.argv[4])
    of = part("postclose", "2024-03-25")
    machine = datetime(2030, 1, 1, tzinfo=UTC)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    won = []
    for attempt in range(rounds):
        before = claims.read([of.key]).get(of.key)
        if (before.attempt if before else 0) != attempt:
            continue
        time.sleep(starts)
        taken = claims.take(Ask(of, of.at), before, machine=machine)
        won.append(taken.attempt if taken else 0)
    sys.stdout.write(" ".join(map(str, won)))
