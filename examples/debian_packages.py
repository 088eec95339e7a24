"""The packages of Debian as documents to search for: tens of thousands, written by thousands.

They come from the machine's own `apt-cache dumpavail`. With them come known-item queries: words of
what is said of a package, or its name with a typing error; whoever asks is after that package.
"""

import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from inferd.config.search.index import IndexField
from inferd.services.search.text_query import Values
from inferd.services.search.words import words_of
from shop.search_typos import LEAST, misspelt

FIELDS: Final = {
    "name": IndexField(type="text", boost=3.0),
    "summary": IndexField(type="text", boost=1.5),
    "description": IndexField(type="text"),
    "section": IndexField(type="keyword", facet=True),
    "maintainer": IndexField(type="keyword", facet=True),
    "installed_kb": IndexField(type="number", sortable=True),
}
"""What a package says, for the index."""

WORDS: Final = 3
"""Of what is said of a package, in a query."""
COMMON: Final = 0.01
"""Words of a larger share of the packages are not asked for."""


class KnownItem(NamedTuple):
    """A query of somebody who knows what they are after."""

    query: str
    package: str


def is_there() -> bool:
    """Return whether this machine has apt, and apt knows packages."""
    return shutil.which("apt-cache") is not None and next(iter(dumped()), None) is not None


def dumped() -> Iterator[str]:
    """Yield the lines of `apt-cache dumpavail`."""
    command = ["apt-cache", "dumpavail"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stdout is not None, "it was asked for"
        try:
            yield from process.stdout
        finally:
            process.kill()


def packages(lines: Iterable[str]) -> Iterator[tuple[str, Values]]:
    """Yield packages as documents: each once, the first version that is there."""
    seen = set[str]()
    for said in _paragraphs(lines):
        name = said.get("package", "")
        if name and name not in seen:
            seen.add(name)
            yield name, _document(name, said)


def described(of: Sequence[tuple[str, Values]], count: int, seed: int = 0) -> list[KnownItem]:
    """Return queries of words that are said of packages."""
    said = [(name, dict.fromkeys(_words(fields))) for name, fields in of]
    frequency = Counter(word for _, words in said for word in words)
    most, draws = COMMON * len(of), np.random.default_rng(seed)
    queries = list[KnownItem]()
    for place in draws.permutation(len(of)).tolist():
        name, words = said[place]
        rare = [word for word in words if frequency[word] <= most and word.isalpha()]
        if len(rare) >= WORDS:
            some = sorted(draws.permutation(len(rare))[:WORDS].tolist())
            queries.append(KnownItem(" ".join(rare[each] for each in some), name))
        if len(queries) == count:
            break
    return queries


def mistyped(of: Sequence[tuple[str, Values]], count: int, seed: int = 0) -> list[KnownItem]:
    """Return names of packages with a typing error each."""
    draws = np.random.default_rng(seed)
    queries = list[KnownItem]()
    for place in draws.permutation(len(of)).tolist():
        name = of[place][0]
        spelt = " ".join(words_of(name))
        if any(len(word) >= LEAST and word.isalpha() for word in spelt.split()):
            queries.append(KnownItem(misspelt(spelt, draws), name))
        if len(queries) == count:
            break
    return queries


def _paragraphs(lines: Iterable[str]) -> Iterator[dict[str, str]]:
    """Yield what is said in each paragraph, by the names of fields in small letters."""
    said, last = dict[str, str](), ""
    for line in lines:
        if not line.strip():
            if said:
                yield said
            said, last = {}, ""
        elif line[0] in " \t":
            said[last] = f"{said.get(last, '')}\n{line.strip()}"
        else:
            last, _, value = line.partition(":")
            last = last.lower()
            said[last] = value.strip()
    if said:
        yield said


def _document(name: str, said: dict[str, str]) -> Values:
    text = said.get("description-en") or said.get("description", "")
    summary, _, description = text.partition("\n")
    fields: dict[str, str | float] = {"name": name, "summary": summary, "description": description}
    for field in ("section", "maintainer"):
        if value := said.get(field):
            fields[field] = value
    size = said.get("installed-size", "")
    if size.isdigit():
        fields["installed_kb"] = float(size)
    return fields


def _words(fields: Values) -> list[str]:
    return words_of(f"{fields['summary']} {fields['description']}")
