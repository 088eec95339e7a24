"""The log of decisions."""

from inferd_perf.simulation.decisions import DecisionLog


def test_the_same_decisions_have_the_same_fingerprint_and_no_others() -> None:
    def fingerprint(t_ns: int, what: str, *numbers: int) -> str:
        log = DecisionLog()
        log.note(t_ns, what, numbers)
        return log.fingerprint

    same = fingerprint(5, "run", 1, 2)

    assert same == fingerprint(5, "run", 1, 2)
    others = {fingerprint(6, "run", 1, 2), fingerprint(5, "drop", 1, 2), fingerprint(5, "run", 12)}
    assert len(others | {same}) == 4


def test_it_keeps_the_text_only_if_asked() -> None:
    log = DecisionLog(keep=True)
    log.note(7, "refuse", [3])

    assert log.lines == ["7 refuse 3\n"]
    assert DecisionLog().lines is None
