#!/usr/bin/env python3
"""Stands in for a command-line program: writes down how it was called, then does what the file beside it says.

`act.json` beside this file: `out` (written as it is), `status`, `sleep_s` before the answer, `child` (leave a helper that sleeps),
`flood` (bytes of chatter), `hungry` (take more memory than there is, and be killed for it), `deaf` (do not read the question),
`litter` (leave a file in the home).
"""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

here = Path(__file__).parent
act = json.loads((here / "act.json").read_text())
schema = sys.argv[sys.argv.index("--output-schema") + 1] if "--output-schema" in sys.argv else None
seen = {
    "pid": os.getpid(),
    "arguments": sys.argv[1:],
    "environment": dict(os.environ),
    "folder": str(Path.cwd()),
    "folder_holds": sorted(path.name for path in Path.cwd().iterdir()),
    "home_holds": sorted(path.name for path in Path(os.environ["HOME"]).iterdir()),
    "schema": json.loads(Path(schema).read_text()) if schema else None,
    "words": "" if act.get("deaf") else sys.stdin.read(),
}
if act.get("child"):
    sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
    seen["child"] = subprocess.Popen(sleeper, stdin=subprocess.DEVNULL).pid
if act.get("litter"):
    (Path(os.environ["HOME"]) / "history").write_text("what was asked")
(here / "seen.part").write_text(json.dumps(seen))
(here / "seen.part").rename(here / "seen.json")
if act.get("hungry"):
    resource.setrlimit(resource.RLIMIT_AS, (512 * 1024 * 1024, 512 * 1024 * 1024))
    try:
        bytearray(1024 * 1024 * 1024)
    except MemoryError:
        os.kill(os.getpid(), signal.SIGKILL)
time.sleep(act.get("sleep_s", 0))
sys.stdout.write("x" * act.get("flood", 0))
sys.stdout.write(act.get("out", ""))
sys.stdout.flush()
sys.stderr.write(act.get("err", ""))
sys.exit(act.get("status", 0))
