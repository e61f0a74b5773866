"""`desk`: the operator's command line. Exit codes: 0 done, 1 a run failed, 2 the request itself is wrong."""

import sys

from desk.commands import facts, learning, machine, minds, orders, rehearsal, session
from desk.commands.options import app
from desk.output import say
from trading_assets.core.errors import DeskError

__all__ = ["app", "main"]
_PANELS = [module.PANEL for module in (session, rehearsal, orders, learning, minds, facts, machine)]
app.registered_commands.sort(key=lambda command: _PANELS.index(str(command.rich_help_panel)))


def main() -> None:
    """The entry point: an expected failure is one sentence, not a stack trace."""
    try:
        app()
    except DeskError as failure:
        say(f"desk: {failure}")
        sys.exit(2)


if __name__ == "__main__":
    main()
