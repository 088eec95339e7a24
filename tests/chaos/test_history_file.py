"""A history is read as it was written, and the table goes where the last one was."""

from collections import Counter
from pathlib import Path

from support.chaos import history, table
from support.chaos.cells import CELLS, LEAVING
from support.chaos.history import Record
from support.chaos.trial import Result
from support.chaos.verdict import Tally


def test_a_history_is_read_as_it_was_written(tmp_path: Path) -> None:
    calls = (
        Record(number=1, sent=1.5, timeout_s=0.1, finished=1.6, statuses=(0,), answer=b"\x00\xff"),
        Record(number=2, sent=1.6, timeout_s=0.1, finished=None, statuses=(), ended="unsent"),
    )
    history.write(tmp_path / "history", calls, slack_s=0.002)
    assert history.read(tmp_path / "history") == history.History(calls, 0.002)


def test_the_table_replaces_the_last_one_and_nothing_else(tmp_path: Path) -> None:
    document = tmp_path / "resilience.md"
    document.write_text(f"# Before\n\n{table.BEGIN}\n12345\n{table.END}\n\nAfter.\n")
    counted = Tally(calls=100, answered=97, degraded=40, refused=2, late=0, held_up=3, lost=1)
    results = [
        ("grpcio", Result(CELLS[0], counted, 0.25, 2, 0.001, Counter(), ())),
        ("envoy", Result(LEAVING[0], counted, None, 0, 0.001, Counter(), ())),
    ]
    table.write(document, table.table(results, "make chaos"))
    text = document.read_text()
    assert text.startswith(f"# Before\n\n{table.BEGIN}\n`make chaos`, ")
    assert text.endswith(f"{table.END}\n\nAfter.\n")
    assert "12345" not in text
    assert "**grpcio**: 1 cells, 100 calls, 0 late, 1 lost." in text
    assert "| 100 | 97 | 40 | 2 | 0 | 3 | 1 | 2 | 250 ms |" in text
    assert "| 100 | 97 | 40 | 2 | 0 | 3 | 1 | 0 | none |" in text
