"""The report as PDF: printed by a browser that is already on the machine.

The HTML is laid out by a browser anyway, so the same engine prints it, and the desk carries no second one. The page has no script
and may load nothing; the browser gets a profile of its own, which is thrown away.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from trading_assets.core.errors import PermanentFailure, TransientFailure

BROWSERS = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
    *("chrome", "microsoft-edge", "msedge", "brave-browser"),
)
VARIABLE = "DESK_BROWSER"
TIMEOUT_S = 120.0
_MAGIC = b"%PDF-"
_HINT = "install one (apt-get install chromium), or print report.html from any browser: it is laid out for paper"


def browser(environment: Mapping[str, str]) -> str:
    """The program that prints: the one that the environment names, else the first on its PATH.

    Raises:
        PermanentFailure: There is none.
    """
    named = environment.get(VARIABLE, "")
    names = (named,) if named else BROWSERS
    found = next((where for name in names if (where := shutil.which(name, path=environment.get("PATH", "")))), None)
    if found is None:
        raise PermanentFailure(
            "no browser that could print a PDF", value=named or "none", bound=", ".join(BROWSERS), hint=_HINT
        )
    return found


def print_pdf(page: Path, target: Path, environment: Mapping[str, str]) -> Path:
    """Prints an HTML file; the PDF appears whole or not at all.

    Raises:
        PermanentFailure: No browser, or one that printed nothing.
        TransientFailure: It did not end in time.
    """
    program = browser(environment)
    with TemporaryDirectory(prefix="desk-pdf-") as folder:
        made = Path(folder) / "report.pdf"
        told = _run([program, *_options(Path(folder)), f"--print-to-pdf={made}", page.resolve().as_uri()], environment)
        if not made.exists() or not made.read_bytes().startswith(_MAGIC):
            last = told.strip().splitlines()[-1:] or ["it said nothing"]
            raise PermanentFailure(
                "the browser printed no PDF", value=f"{Path(program).name}: {last[0][:200]}", hint=_HINT
            )
        temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        shutil.copyfile(made, temporary)
        temporary.replace(target)
    return target


def _options(folder: Path) -> list[str]:
    options = ["--headless", "--disable-gpu", "--no-pdf-header-footer", "--no-first-run", "--disable-extensions"]
    # Chromium refuses its sandbox to root; the page is our own file, without script and without network.
    return [*options, f"--user-data-dir={folder / 'profile'}", *(["--no-sandbox"] if os.geteuid() == 0 else [])]


def _run(command: list[str], environment: Mapping[str, str]) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - a browser found on PATH and our own file, no shell
            command, capture_output=True, text=True, timeout=TIMEOUT_S, env=dict(environment), check=False
        )
    except subprocess.TimeoutExpired as late:
        raise TransientFailure("the browser did not print in time", value=f"{TIMEOUT_S:g} s", hint=_HINT) from late
    except OSError as failure:
        raise PermanentFailure("the browser could not be started", value=str(failure), hint=_HINT) from failure
    return done.stderr
