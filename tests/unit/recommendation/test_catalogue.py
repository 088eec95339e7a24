import numpy as np
import pytest

from inferd.services.recommendation.catalogue import Catalogue, CatalogueFull, Upserted, unit
from inferd.services.recommendation.columns import UNKNOWN_STOCK
from inferd.services.recommendation.items import decoded, encoded
from support.recommendation import filled, item

ONE = np.ones((1, 2), np.float32)


def test_an_item_comes_back_as_it_was_said() -> None:
    lamp = item(
        "lamp",
        title="Lamp",
        price_minor=1990,
        currency="EUR",
        tags=("light", "home"),
        attributes={"colour": "red", "watts": 5.0, "dimmable": True},
    )
    catalogue = filled([lamp])
    assert catalogue.get("lamp") == lamp
    assert catalogue.get("chair") is None
    assert len(catalogue) == 1


def test_an_items_own_vector_is_kept_with_it() -> None:
    lamp = item("lamp", vector=np.array([3, 4], np.float32))
    again = decoded(encoded(lamp)).vector
    assert again is not None
    assert again.tolist() == [3, 4]


def test_it_is_said_what_became_of_each_item() -> None:
    catalogue = filled([item("a"), item("b")])
    items = [item("a"), item("b", title="B"), item("c"), item("c", title="C")]
    told = catalogue.upsert(items, np.zeros((4, 2), np.float32), 1)
    assert told == [Upserted.UNCHANGED, Upserted.REPLACED, Upserted.ADDED, Upserted.REPLACED]
    assert [len(catalogue), catalogue.get("c")] == [3, item("c", title="C")]


def test_another_vector_is_a_change() -> None:
    catalogue = filled([item("a")])
    assert catalogue.upsert([item("a")], ONE, 1) == [Upserted.REPLACED]
    assert catalogue.upsert([item("a")], 5 * ONE, 1) == [Upserted.UNCHANGED]


def test_the_epoch_grows_with_what_changes_and_with_nothing_else() -> None:
    catalogue = filled([item("a")])
    epochs = [catalogue.epoch]
    catalogue.upsert([item("a")], 0 * ONE, 1)
    epochs.append(catalogue.epoch)
    catalogue.upsert([item("a", title="A")], 0 * ONE, 1)
    epochs.append(catalogue.epoch)
    catalogue.delete(["nothing"])
    epochs.append(catalogue.epoch)
    catalogue.delete(["a"])
    epochs.append(catalogue.epoch)
    assert epochs == [1, 1, 2, 2, 3]


def test_what_is_deleted_is_gone() -> None:
    catalogue = filled([item("a"), item("b")])
    assert catalogue.delete(["a", "a", "x"]) == [True, False, False]
    assert [catalogue.get("a"), catalogue.table.row("a")] == [None, None]
    assert catalogue.table.rows(["a", "b", "x"]).tolist() == [-1, 1, -1]
    assert catalogue.table.alive.tolist() == [False, True]


def test_a_row_that_somebody_holds_never_changes() -> None:
    catalogue = filled([item("a", title="old", price_minor=1, category="lamps")])
    table, row = catalogue.table, catalogue.table.row("a")
    assert row is not None
    catalogue.upsert([item("a", title="new", price_minor=2)], ONE, 1)
    assert [table.titles[row], int(table.price_minor[row])] == ["old", 1]
    assert table.categories.texts[table.category[row]] == "lamps"
    assert not table.alive[row]


def test_columns_say_what_items_say() -> None:
    table = filled(
        [item("a", brand="X", stock=3, released_us=7), item("b", brand="X"), item("c", brand="Y")]
    ).table
    assert [table.brands.texts[code] for code in table.brand] == ["X", "X", "Y"]
    assert table.stock.tolist() == [3, UNKNOWN_STOCK, UNKNOWN_STOCK]
    assert table.released_us.tolist() == [7, 0, 0]


def test_vectors_have_a_length_of_one_or_none() -> None:
    made = unit(np.array([[3, 4], [0, 0]], np.float32))
    assert made == pytest.approx(np.array([[0.6, 0.8], [0, 0]]))


def test_an_item_is_as_old_as_the_first_of_its_id() -> None:
    catalogue = Catalogue(dimensions=2, max_items=10)
    catalogue.upsert([item("a")], ONE, 5)
    catalogue.upsert([item("a", title="A")], ONE, 9)
    assert catalogue.table.added_us.tolist() == [5, 5]


def test_a_full_catalogue_takes_none_of_a_batch_that_is_too_large() -> None:
    catalogue = filled([item("a")], max_items=2)
    with pytest.raises(CatalogueFull, match="at most 2 items"):
        catalogue.upsert([item("b"), item("c")], np.zeros((2, 2), np.float32), 1)
    assert [len(catalogue), catalogue.epoch] == [1, 1]
    assert catalogue.upsert([item("a", title="A")], ONE, 1) == [Upserted.REPLACED]
    assert catalogue.upsert([item("b")], ONE, 1) == [Upserted.ADDED]


def test_there_are_only_so_many_different_attributes() -> None:
    catalogue = filled([item("a")])
    with pytest.raises(CatalogueFull, match="256 different attributes"):
        catalogue.upsert([item("b", attributes={f"n{n}": 1.0 for n in range(257)})], ONE, 1)


def test_dead_rows_are_cleared_away_and_everything_living_stays() -> None:
    items = [item(f"i{n}", tags=("even",) * (n % 2 == 0), brand=f"b{n}") for n in range(300)]
    catalogue = filled(items)
    first = catalogue.table
    vectors = np.tile(ONE, (300, 1))
    for price in range(1, 12):
        again = [
            item(f"i{n}", price_minor=price, tags=items[n].tags, attributes={"n": float(n)})
            for n in range(300)
        ]
        catalogue.upsert(again, vectors, price)
        catalogue.delete([f"i{price}"])
    table = catalogue.table
    assert table is not first
    assert table.size < 3000
    assert len(catalogue) == 299
    assert catalogue.get("i200") == again[200]
    assert catalogue.get("i11") is None
    rows = table.rows(f"i{n}" for n in range(300))
    assert (rows < 0).sum() == 1
    living = rows[rows >= 0]
    assert set(table.price_minor[living].tolist()) == {11}
    assert [int(table.attributes["n"].values[row]) for row in living[:5]] == [0, 1, 2, 3, 4]
    assert table.tags[living].any(axis=1).sum() == 150
    assert first.titles[0] == ""  # whoever holds the old table may go on
