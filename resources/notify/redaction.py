"""Secrets of the environment, taken out of whatever leaves the desk: an error text may quote the address that failed."""

import re
from collections.abc import Collection, Iterator, Mapping
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASS|PWD|CREDENTIAL|AUTH|WEBHOOK|_URL$|_DSN$|_URI$", re.IGNORECASE)
_HARMLESS = frozenset({"PWD", "OLDPWD", "SSH_AUTH_SOCK"})
_LOGIN = re.compile(r"(?<=://)[^/\s@]+@")
_SHORTEST, _SHORTEST_PART = 6, 8
HIDDEN = "[hidden]"


class Redactor:
    """Replaces secrets by the name of the variable that holds them.

    Args:
        environment: The process's.
        addresses: Variables that hold a URL of which every part may be the secret: the path of a webhook is its key.
    """

    def __init__(self, environment: Mapping[str, str], addresses: Collection[str] = ()) -> None:
        found: dict[str, str] = {}
        for name, value in sorted(environment.items()):
            if name in addresses or (_SECRET.search(name) and name not in _HARMLESS):
                for part in _parts(value, every=name in addresses):
                    found.setdefault(part, f"[{name}]")
        # The longest first: a part must not be replaced within the whole that it belongs to.
        self._found = sorted(found.items(), key=lambda each: (-len(each[0]), each[0]))

    def __call__(self, text: str) -> str:
        """The text without them; a login in any URL goes as well."""
        for secret, name in self._found:
            text = text.replace(secret, name)
        return _LOGIN.sub(f"{HIDDEN}@", text)


def _parts(value: str, *, every: bool) -> Iterator[str]:
    """The value, and what of it may stand alone in an error text, as written, decoded and encoded."""
    whole = value.strip()
    for part in {whole, *(_of_url(whole, every=every) if "://" in whole else ())}:
        shortest = _SHORTEST if part == whole else _SHORTEST_PART
        for written in {part, unquote(part), quote(part, safe="")}:
            if len(written) >= shortest:
                yield written


def _of_url(text: str, *, every: bool) -> Iterator[str]:
    try:
        url = urlsplit(text)
    except ValueError:
        return
    yield from _login(url)
    if every:
        # Apprise's own schemes carry tokens where a host would stand.
        yield from (url.netloc.rpartition("@")[2], url.path.lstrip("/"), *url.path.split("/"))
        yield from (value for _, value in parse_qsl(url.query))
        yield url.query


def _login(url: SplitResult) -> Iterator[str]:
    if "@" in url.netloc:
        login = url.netloc.rpartition("@")[0]
        yield login
        yield login.partition(":")[2]
