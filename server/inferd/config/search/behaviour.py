"""What everybody does with what they find: how it is counted, how much is kept, and where."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from inferd.config.journal import Count
from inferd.config.section import Positive, Section

Share = Annotated[float, Field(gt=0, le=1)]


class SearchBehaviour(Section):
    """What was shown, clicked, put into carts and bought, by document and by query."""

    path: Path | None = None
    """A file where it is kept over restarts. None: nowhere."""
    snapshot_s: Positive = 60.0
    """How often it is written. What came after is lost in a crash."""
    max_documents: Annotated[int, Field(ge=4, le=10_000_000)] = 200_000
    """Documents that are counted. With more, those with the least to them are forgotten."""
    max_queries: Annotated[int, Field(ge=1, le=10_000_000)] = 20_000
    """Queries whose clicks are counted by document. With more, those are forgotten that were
    without a click for longest."""
    query_documents: Count = 50
    """Documents that are counted for one query: those with the most clicks."""
    examined: Annotated[tuple[Share, ...], Field(min_length=1)] = (
        *(1.0, 0.7, 0.55, 0.45, 0.35, 0.3, 0.27, 0.24, 0.22, 0.2),
    )
    """How likely the places of a list are looked at, compared with the first; all that follow are
    as the last. A click where few people look is worth more. It can be told from lists that were
    in random order, as examples/shop/train_search.py does."""
    ctr_clicks: Positive = 1.0
    ctr_looks: Positive = 10.0
    """A document that nobody has seen is taken to be clicked `ctr_clicks` of `ctr_looks` times."""
    pair_clicks: Positive = 5.0
    """So many clicks on a query are as good as none, when a document's share of them is told."""
