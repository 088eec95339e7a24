"""Search as you type: suggestions and hits for every key, and how long they took.

    make demo-search

Starts a server, puts the items of the shop into it, and asks it for suggestions with every key and
for hits whenever the typing pauses. Enter clicks the first hit, which counts from the next search
on; Escape, or Ctrl-C, ends it. Where there is no terminal, `--queries` says what is asked:

    python -m shop.demo_search --queries "red dress" "headphnes under 100 euros"
"""

import argparse
import os
import select
import signal
import sys
import tempfile
import termios
import time
import tty
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from inferd.v1 import search_pb2 as pb
from inferd_client import Client, HedgePolicy, InferdError, RetryPolicy
from shop.demo_server import serving
from shop.indexing import index, messages
from shop.world import SEED, World

SERVICE = "/inferd.v1.SearchService"
CONFIG: Final = Path(__file__).parents[2] / "configs" / "shop" / "search.yaml"
PATIENCE_S: Final = 1.0
PAUSE_S: Final = 0.15
"""Who types no key for so long wants to see what there is."""
KNOWN_S: Final = 30.0
"""The server knows all words long before that."""
HITS, SUGGESTIONS = 8, 5
USER = "you"
CLEAR, BOLD, PLAIN, DIM = "\x1b[H\x1b[J", "\x1b[1m", "\x1b[0m", "\x1b[2m"
BACKSPACE, ENTER, ENDS = {"\x7f", "\b"}, {"\r", "\n"}, {"\x1b", "\x03", "\x04"}
MOST_KEYS: Final = 64
"""Are taken at once."""
SETTINGS: Final = {"INFERD__SEARCH__SUGGEST__REFRESH_S": "1"}
"""Who has just started a server does not wait for suggestions."""
ONCE, UNHEDGED = RetryPolicy(max_attempts=1), HedgePolicy(max_attempts=1)


class Asking:
    """Asks a server, and knows how long it took."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def suggest(self, text: str) -> tuple[pb.SuggestResponse, float]:
        """Return how a text may go on, and the milliseconds."""
        request = pb.SuggestRequest(prefix=text, user_id=USER, count=SUGGESTIONS)
        return self._timed("Suggest", request, pb.SuggestResponse)

    def search(self, text: str) -> tuple[pb.SearchResponse, float]:
        """Return what is found, and the milliseconds."""
        facets = [pb.FacetRequest(field=each, count=4) for each in ("category", "brand")]
        request = pb.SearchRequest(
            query=text, user_id=USER, page_size=HITS, facets=facets, highlight=True
        )
        return self._timed("Search", request, pb.SearchResponse)

    def click(self, hit: pb.SearchHit, text: str, position: int) -> None:
        """Click a hit."""
        click = pb.Click(
            document_id=hit.id, query=text, user_id=USER, position=position, type=pb.Click.CLICK
        )
        self._timed("RecordClick", pb.RecordClickRequest(clicks=[click]), pb.RecordClickResponse)

    def until_known(self) -> None:
        """Return when the server knows the words of its documents: a moment after they came."""
        ends = time.monotonic() + KNOWN_S
        asked, answer = pb.DescribeIndexRequest(), pb.DescribeIndexResponse
        while time.monotonic() < ends:
            described, _ = self._timed("DescribeIndex", asked, answer)
            if described.terms and self.suggest("")[0].suggestions:
                return
            time.sleep(0.1)
        raise RuntimeError("the server does not get to know its documents")

    def _timed(self, name: str, request: Any, response: type[Any]) -> tuple[Any, float]:
        began = time.perf_counter()
        answer = self._client.call(f"{SERVICE}/{name}", request, response, timeout_s=PATIENCE_S)
        return answer.message, 1000 * (time.perf_counter() - began)


def shown(answer: pb.SearchResponse, took_ms: float) -> Iterator[str]:
    """Yield an answer, line by line."""
    source = pb.SearchResponse.Source.Name(answer.source).lower().replace("_", ", ")
    more = "+" if answer.total_is_lower_bound else ""
    yield f"{answer.total}{more} found in {took_ms:.1f} ms ({source})"
    yield from _understood(answer.understood)
    for number, hit in enumerate(answer.hits, 1):
        title = hit.highlights.get("title") or hit.fields["title"].text
        title = title.replace("<em>", BOLD).replace("</em>", PLAIN)
        price = hit.fields["price_minor"].number / 100
        yield f"{number:3}  {title}  {price:.2f} EUR  {DIM}{hit.score:.2f}{PLAIN}"
    for facet in answer.facets:
        counts = ", ".join(f"{each.value.text} {each.count}" for each in facet.counts)
        if counts:
            yield f"{DIM}{facet.field}: {counts}{PLAIN}"
    if answer.did_you_mean:
        yield f"did you mean: {answer.did_you_mean}"
    if not answer.coverage.full:
        told = ", ".join(f"{each.stage}: {each.reason}" for each in answer.degradations)
        yield f"not all was looked at ({told or 'time was over'})"


def _understood(it: pb.UnderstoodQuery) -> Iterator[str]:
    told = [f"{each.written} -> {each.taken_for}" for each in it.corrections]
    told += [f"{each.kind}: {each.value}" for each in it.entities]
    told += [f"relaxed: {it.relaxed}"] if it.relaxed else []
    if told:
        yield f"{DIM}{'; '.join(told)}{PLAIN}"


def asked(asking: Asking, queries: Sequence[str]) -> None:
    """Ask what was said on the command line."""
    for text in queries:
        found, took_ms = asking.suggest(text[: max(2, len(text) // 2)])
        print(f"> {text}")
        print(f"{took_ms:.1f} ms: {' | '.join(each.text for each in found.suggestions)}")
        print("\n".join(shown(*asking.search(text))) + "\n", flush=True)


def typed(asking: Asking) -> None:
    """Ask what somebody types, until they have enough."""
    text, hits = "", list[str]()
    answer: pb.SearchResponse | None = None
    with _keys():
        while True:
            found, took_ms = asking.suggest(text)
            suggestions = " | ".join(each.text for each in found.suggestions)
            sys.stdout.write(f"{CLEAR}search: {BOLD}{text}{PLAIN}\r\n")
            sys.stdout.write(f"{DIM}{took_ms:.1f} ms: {suggestions}{PLAIN}\r\n\r\n")
            sys.stdout.write("\r\n".join(hits) + "\r\n")
            sys.stdout.flush()
            if answer is None and text and not select.select([sys.stdin], [], [], PAUSE_S)[0]:
                answer, took_ms = asking.search(text)
                hits = [*shown(answer, took_ms)]
                continue
            keys = os.read(sys.stdin.fileno(), MOST_KEYS).decode(errors="ignore")
            if not keys or not ENDS.isdisjoint(keys):
                return
            if not ENTER.isdisjoint(keys) and answer is not None and answer.hits:
                asking.click(answer.hits[0], text, 0)
            for key in keys:
                if key in BACKSPACE:
                    text = text[:-1]
                elif key not in ENTER:
                    text += key
            answer = None


@contextmanager
def _keys() -> Iterator[None]:
    """Have every key read at once, for as long as the block lasts."""
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def main(arguments: Sequence[str] | None = None) -> int:
    """Show it."""
    parser = argparse.ArgumentParser(description="Search the items of the shop.")
    parser.add_argument("--queries", nargs="+", help="ask these instead of what is typed")
    parser.add_argument("--items", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=SEED)
    given = parser.parse_args(arguments)
    if not given.queries and not sys.stdin.isatty():
        parser.error("there is no terminal: say --queries")
    world = World.generate(given.seed, days=7, users=100, items=given.items)
    # Whoever ends this ends what it started, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with (
        tempfile.TemporaryDirectory(prefix="inferd-demo-") as name,
        serving(Path(name), CONFIG, SETTINGS) as address,
        Client(address, retry=ONCE, hedge=UNHEDGED) as client,
    ):
        began = time.monotonic()
        counts = index(address, messages(world))
        seconds = time.monotonic() - began
        print(f"{counts['indexed']} items indexed in {seconds:.1f} s\n", flush=True)
        asking = Asking(client)
        asking.until_known()
        try:
            if given.queries:
                asked(asking, given.queries)
            else:
                typed(asking)
        except InferdError as error:
            print(f"shop: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
