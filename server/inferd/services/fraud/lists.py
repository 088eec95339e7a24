"""Whom to trust and whom not, whatever anything else says: lists of users, cards, addresses.

Rules see them as booleans: `lists.blocked_user`, `lists.allowed_card`. What is not known of a
transaction is on no list.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple

from inferd.features.kinds import Kind
from inferd.services.fraud.expiring import FOREVER_US, Expiring
from inferd.services.fraud.vocabulary import EntityKind

MAX_ENTRIES = 100_000
MAX_VALUE_BYTES = 512

Entities = Mapping[EntityKind, str]
"""Who and what is involved in a transaction, as `canonical` writes it."""


class ListName(StrEnum):
    """Which list."""

    ALLOW = "allowed"
    BLOCK = "blocked"


class Entry(NamedTuple):
    """One value on one list."""

    list: ListName
    kind: EntityKind
    value: str


_NAMES = {(name, kind): f"lists.{name}_{kind}" for name in ListName for kind in EntityKind}
VARIABLES: Mapping[str, Kind] = dict.fromkeys(_NAMES.values(), Kind("bool"))
"""What rules see."""
ON_NONE: Mapping[str, bool] = dict.fromkeys(VARIABLES, False)
"""What they see of a transaction when all lists are empty."""


@lru_cache(maxsize=4096)
def canonical(kind: EntityKind, value: str) -> str:
    """Return a value as it is compared: one address can be written in many ways.

    Raises `ValueError`.
    """
    if not 1 <= len(value.encode(errors="replace")) <= MAX_VALUE_BYTES:
        raise ValueError(f"a {kind} has 1 to {MAX_VALUE_BYTES} bytes")
    if kind is EntityKind.IP:
        address = ip_address(value)
        return str(getattr(address, "ipv4_mapped", None) or address)
    if kind is EntityKind.COUNTRY:
        value = value.upper()
        if not (len(value) == 2 and value.isascii() and value.isalpha()):
            raise ValueError(f"a country is two letters, as in ISO 3166-1, not {value!r:.80}")
    return value


class Lists:
    """All lists. Lives on the event loop."""

    def __init__(self, max_entries: int = MAX_ENTRIES) -> None:
        self._entries: Expiring[Entry] = Expiring(max_entries)
        #: How many there are of a kind on a list: most are empty, and need no look.
        self._used: set[tuple[ListName, EntityKind]] = set()

    def __len__(self) -> int:
        """Return how many entries there are."""
        return len(self._entries)

    def add(self, entry: Entry, now_us: int, until_us: int = FOREVER_US) -> bool:
        """Put a value on a list until then. Return whether it was not there.

        Raises `ValueError` for a value that is none of its kind, and `NoRoom`.
        """
        new = self._entries.add(_canonical(entry), until_us, now_us)
        self._used.add(entry[:2])
        return new

    def remove(self, entry: Entry, now_us: int) -> bool:
        """Take a value off a list. Return whether it was there. Raises `ValueError` as `add`."""
        return self._entries.remove(_canonical(entry), now_us)

    def of(self, kind: EntityKind, value: str, now_us: int) -> Mapping[ListName, int]:
        """Return the lists that a value is on, and until when. Raises `ValueError` as `add`."""
        ends = {
            name: self._entries.until_us(_canonical(Entry(name, kind, value)), now_us)
            for name in ListName
        }
        return {name: until for name, until in ends.items() if until is not None}

    def entries(self, now_us: int) -> Iterator[tuple[Entry, int]]:
        """Yield all entries, and until when they are there."""
        return self._entries.items(now_us)

    def facts(self, entities: Entities, now_us: int) -> dict[str, bool]:
        """Return what rules see of a transaction."""
        facts = dict(ON_NONE)
        for name, kind in self._used:
            value = entities.get(kind)
            if value is not None:
                entry = Entry(name, kind, value)
                facts[_NAMES[name, kind]] = self._entries.until_us(entry, now_us) is not None
        return facts


def _canonical(entry: Entry) -> Entry:
    return entry._replace(value=canonical(entry.kind, entry.value))
