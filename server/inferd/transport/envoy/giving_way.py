"""Envoy's rules for who gives way to whom under overload: a filter that refuses, and routes.

The filter (Envoy calls it a fault filter) does nothing unless the route that a call takes says
how many of its kind to refuse; and that is looked up, call by call, in Envoy's runtime, which
is told by files. There is one route for each class of calls. It would also do to have one filter
for each class, but every filter costs every call something, and a route next to nothing.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from inferd.call import CRITICALITY, Criticality
from inferd.transport.envoy.shares import ORDER

Plain = dict[str, Any]

SHARES = "shares"
"""A link beside the admin socket to a directory with a file for each class that gives way,
named by `key_of`: how many of its calls Envoy refuses, as `fraction` writes it. Have it point
elsewhere (rename), do not write into the directory; without it, or without a file, it is none."""

STATISTIC = "fault.aborts_injected"
"""How many calls were refused."""

_FILTER = "envoy.filters.http.fault"
_TYPE = "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault"
_LAYER = "shares"
_OF = 10_000
#: Envoy's own statistics by who calls: anybody could make up names without end.
_COMMON: Plain = {"@type": _TYPE, "disable_downstream_cluster_stats": True}


def key_of(each: Criticality) -> str:
    """Return the runtime's key for a class."""
    return f"inferd.shed.{each.value.lower()}"


def fraction(share: float) -> bytes:
    """Return a share, 0 to 1, as Envoy's runtime reads it."""
    return b"numerator: %d\ndenominator: TEN_THOUSAND\n" % round(share * _OF)


def runtime_layer(link: str) -> Plain:
    """Return the layer of Envoy's runtime that the shares are in."""
    return {"name": _LAYER, "disk_layer": {"symlink_root": link}}


def refusing_filter() -> Plain:
    """Return the filter. It refuses nothing by itself: `routes` does."""
    return {"name": _FILTER, "typed_config": _COMMON}


def routes(unconditional: Sequence[str]) -> Iterator[Plain]:
    """Yield a route for each class. Paths that begin as `unconditional` says are in none."""
    for prefix in unconditional:
        yield _route({"prefix": prefix})
    yield _route(_named(Criticality.CRITICAL_PLUS))
    for each in ORDER:
        match = {"prefix": "/"} if each is Criticality.CRITICAL else _named(each)
        yield {**_route(match), "typed_per_filter_config": {_FILTER: _refusing(each)}}


def _route(match: Plain) -> Plain:
    return {"match": match, "non_forwarding_action": {}}


def _named(each: Criticality) -> Plain:
    said = {"name": CRITICALITY, "string_match": {"exact": each.value, "ignore_case": True}}
    return {"prefix": "/", "headers": [said]}


def _refusing(each: Criticality) -> Plain:
    none = {"numerator": 0, "denominator": "TEN_THOUSAND"}
    return {
        **_COMMON,
        "abort": {"http_status": 503, "percentage": none},
        "abort_percent_runtime": key_of(each),
    }
