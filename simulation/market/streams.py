"""Independent streams of chance, each named by what it is for: no draw depends on what else was drawn, or in which order."""

from hashlib import blake2b

from numpy.random import Generator, Philox


def dice(seed: int, *names: str | int) -> Generator:
    """A generator of its own for the names: Philox keyed by the digest of seed and names.

    The same names give the same draws in every process; other names give draws that have nothing to do with them.
    """
    words = "\x1f".join(str(name) for name in (seed, *names))
    key = blake2b(words.encode(), digest_size=16).digest()
    return Generator(Philox(key=int.from_bytes(key, "little")))
