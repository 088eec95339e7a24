"""A log of what was decided, in order, and its fingerprint.

Two runs with the same fingerprint decided the same at the same nanosecond for the same calls.
`tests/golden/decisions.json` has one per policy, workload and seed, so that a change of
behaviour is always meant: after such a change, `inferd-perf simulate --golden FILE` writes
them anew.
"""

import hashlib
from collections.abc import Iterable


class DecisionLog:
    """Takes decisions down. Keeps the text only if asked to."""

    def __init__(self, *, keep: bool = False) -> None:
        self._hash = hashlib.blake2b(digest_size=16)
        self.lines: list[str] | None = [] if keep else None

    def note(self, t_ns: int, what: str, numbers: Iterable[int]) -> None:
        """Take down that something was decided for the calls with these numbers."""
        line = f"{t_ns} {what} {','.join(map(str, numbers))}\n"
        self._hash.update(line.encode())
        if self.lines is not None:
            self.lines.append(line)

    @property
    def fingerprint(self) -> str:
        """What was noted so far, in 32 hexadecimal digits."""
        return self._hash.hexdigest()
