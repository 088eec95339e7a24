"""configs/shop/search.yaml is for the documents that are sent and the model that was trained."""

from pathlib import Path

from inferd.app.settings import load
from shop.search_lessons import NAMES
from shop.searching import FIELDS, WINDOW

CONFIG = Path(__file__).parents[3] / "configs" / "shop" / "search.yaml"


def test_the_server_has_the_fields_the_window_and_the_inputs_that_the_model_learnt_from() -> None:
    search = load(CONFIG, {}, {}).search

    assert search.index is not None
    assert search.index.fields == FIELDS
    assert search.ranker is not None
    assert search.ranker.inputs == NAMES
    assert search.ranker.window == WINDOW
