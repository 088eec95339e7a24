"""Pages of one answer while the index goes on changing: no gaps and no duplicates.

What is found is in two parts: a window of the best hits, in whatever order ranking gave them, and
behind it the rest, in the order of the words (or of the sort). Three things keep the pages of one
answer together:

- the state of the index that was searched is kept for a while (`Kept`), and a token says which;
- a token carries the order of what is left of the window, so that a click, a new model or a model
  that fails between two pages changes nothing;
- it also says what the query was taken for: new words, synonyms and curations are for new searches;
- documents that are pinned or hidden are left out of the search itself (`TextQuery.without`), and
  pins stand at places of their own (`Places`).

A token is signed, and is only good for the query it was made for.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from inferd.errors import InvalidRequest

FIELD = "page_token"
GRACE_S = 2.0
"""How long a state is kept that nobody has a token for yet: about as long as a search takes."""

_VERSION = 2
_HEAD = struct.Struct("<B8sQ8sQIH")
_MAC_BYTES = 16
_SERVER_BYTES = 8

T = TypeVar("T")


class PageExpired(InvalidRequest):
    """The state of the index that a page is of is no more: begin with the first page again."""

    reason = "PAGE_EXPIRED"


@dataclass(frozen=True, slots=True)
class Page:
    """Where the next page begins."""

    epoch: int
    #: How many hits were shown, pins included.
    shown: int
    #: Places in the window, as the search found it, of those hits of it that were not shown.
    rest: tuple[int, ...] = ()
    #: A number for what the first page's query was taken for: places are of the window it found.
    meant: int = 0


class PageTokens:
    """Makes tokens of pages, and pages of tokens. Pure.

    `key` signs them, and `server` is nobody else's, not even that of the next start: the states of
    the index that tokens speak of are a server's own.
    """

    def __init__(self, key: bytes, server: bytes) -> None:
        self._key = key
        self._server = server[:_SERVER_BYTES].ljust(_SERVER_BYTES, b"\0")

    @classmethod
    def random(cls, key: str = "") -> "PageTokens":
        """Return those of a server that has just started. Without a key it has one of its own."""
        return cls(key.encode() or secrets.token_bytes(32), secrets.token_bytes(_SERVER_BYTES))

    def token(self, page: Page, query: str) -> str:
        """Return the token of a page. `query` says all that decides what is found, and where."""
        whose = (_VERSION, self._server, page.epoch, _digest(query))
        head = _HEAD.pack(*whose, page.meant, page.shown, len(page.rest))
        said = head + np.array(page.rest, "<u2").tobytes()
        return _written(said + self._mac(said))

    def page(self, token: str, query: str) -> Page:
        """Return the page of a token.

        Raises `InvalidRequest`: it was not made here, or not for this query; `PageExpired`: not by
        this server.
        """
        said = self._verified(token)
        version, server, epoch, digest, meant, shown, count = _HEAD.unpack_from(said)
        rest = np.frombuffer(said, "<u2", count, _HEAD.size)
        if version != _VERSION or server != self._server:
            raise PageExpired(
                f"{FIELD} is another server's, or of an earlier start: begin with the first page",
                field=FIELD,
            )
        if digest != _digest(query):
            raise InvalidRequest(
                f"{FIELD} was made for another request: send what the first page was asked for",
                field=FIELD,
            )
        return Page(epoch, shown, tuple(rest.tolist()), meant)

    def _verified(self, token: str) -> bytes:
        try:
            padded = token.encode() + b"=" * (-len(token) % 4)
            raw = base64.b64decode(padded, altchars=b"-_", validate=True)
        except (UnicodeEncodeError, binascii.Error):
            raw = b""
        said, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        genuine = hmac.compare_digest(mac, self._mac(said)) and _written(raw) == token
        if len(said) < _HEAD.size or not genuine:
            raise InvalidRequest(f"{FIELD} is none that this server made", field=FIELD)
        return said

    def _mac(self, said: bytes) -> bytes:
        return hmac.digest(self._key, said, "sha256")[:_MAC_BYTES]


@dataclass(frozen=True, slots=True)
class Shown:
    """What a page shows: each place is a pin's, the window's or the search's.

    The page is made of `pins`, by their place on the page, and between them of `window`, then of
    what the search finds from `offset` on, `count` of them at most.
    """

    pins: tuple[tuple[int, str], ...]
    window: tuple[int, ...]
    offset: int
    count: int
    next: Page | None


def shown(
    page: Page,
    size: int,
    *,
    window: int,
    total: int,
    depth: int,
    pins: Sequence[tuple[int, str]] = (),
) -> Shown:
    """Return what a page of `size` hits shows, and where the next one begins.

    `window` is how many hits were ranked, and `total` how many fit, pins not counted; nothing is
    shown behind `depth`. `pins` are the ids that have places of their own in the whole answer, from
    0. One whose place is behind the last hit comes directly after it.
    """
    length = min(total + len(pins), depth)
    places = placed(pins, length)
    end = min(page.shown + size, length)
    here = tuple(
        (place - page.shown, id) for place, id in places.items() if page.shown <= place < end
    )
    before = sum(place < page.shown for place in places)
    wanted = max(0, end - page.shown) - len(here)
    of_window = page.rest[:wanted]
    rest = page.rest[wanted:]
    offset = max(window, page.shown - before)
    following = Page(page.epoch, end, rest, page.meant) if end < length else None
    return Shown(here, of_window, offset, wanted - len(of_window), following)


def placed(pins: Sequence[tuple[int, str]], length: int) -> dict[int, str]:
    """Return the pins by place: its own, or the next that is free, but none behind the end."""
    taken: dict[int, str] = {}
    for place, id in sorted(pins):
        at = place
        while at in taken:
            at += 1
        taken[at] = id
    last = length - 1
    placed: dict[int, str] = {}
    for at, id in reversed(taken.items()):
        last = min(at, last)
        placed[last] = id
        last -= 1
    return {at: id for at, id in sorted(placed.items()) if at >= 0}


def among(place: int, pins: Mapping[int, str]) -> int:
    """Return where a hit stands that would be at a place without the pins, which are by place."""
    for at in sorted(pins):
        place += at <= place
    return place


class Kept(Generic[T]):
    """The newest state, and those before it of which pages may still be asked for. Pure."""

    def __init__(self, *, keep_s: float, at_most: int) -> None:
        self._keep_s = keep_s
        self._at_most = at_most
        self._newest = -1
        self._kept: dict[int, tuple[float, T]] = {}

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._kept)

    def add(self, epoch: int, state: T, now: float) -> None:
        """Keep the newest state, and the one before only as long as it has to be."""
        self._prolong(self._newest, now + GRACE_S)
        self._kept[epoch] = (now, state)
        self._newest = epoch
        self._forget(now)

    def get(self, epoch: int, now: float) -> T | None:
        """Return a state, if it is still kept."""
        until, state = self._kept.get(epoch, (now, None))
        return state if until > now or epoch == self._newest else None

    def prolong(self, epoch: int, now: float) -> bool:
        """Keep a state because somebody gets a token of it now. Return whether it is there."""
        if self.get(epoch, now) is None:
            return False
        self._prolong(epoch, now + self._keep_s)
        return True

    def _prolong(self, epoch: int, until: float) -> None:
        if epoch in self._kept:
            before, state = self._kept[epoch]
            self._kept[epoch] = (max(before, until), state)

    def _forget(self, now: float) -> None:
        older = {epoch: until for epoch, (until, _) in self._kept.items() if epoch != self._newest}
        first = sorted(older, key=older.__getitem__)
        for epoch in first[: max(0, len(older) - self._at_most)]:
            del self._kept[epoch]
        for epoch in first:
            if older[epoch] <= now:
                self._kept.pop(epoch, None)


def _written(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _digest(query: str) -> bytes:
    return hashlib.blake2b(query.encode("utf-8", "surrogatepass"), digest_size=8).digest()
