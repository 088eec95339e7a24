"""Fraud decisions over the wire: with models, on record, known again, and explained."""

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml

from inferd.app import main
from inferd.v1 import fraud_pb2 as pb
from inferd_client import Client, InvalidRequest, NotFound, Unavailable
from support.deciding import INPUTS, METHODS, MODELS, POLICY, RULES, a_transaction, written
from support.features import ONCE, UNHEDGED, now_us
from support.fraud_models import write_models
from support.redis import RedisServer
from support.server import Server, eventually, serving
from support.transports import TRANSPORTS, Transport

#: Far more than an answer takes, on any machine; how soon answers come is for the unit tests.
AMPLE_S = 30.0
#: No test is about what a busy machine does to a decision.
UNHURRIED = {"deadline_ms": 20_000, "features_ms": 5_000}
PATIENT = {
    f"INFERD__RESILIENCE__DEPENDENCIES__{name}": "{timeout_ms: 5000}"
    for name in ("FRAUD_ASSESSMENTS", "FRAUD_ASSESSMENTS_WRITE", "FRAUD_AUDIT")
}


class Bank:
    """Asks a `FraudService`."""

    def __init__(self, address: str, directory: Path) -> None:
        self.address = address
        self.directory = directory
        self._client = Client(address, retry=ONCE, hedge=UNHEDGED)

    def close(self) -> None:
        self._client.close()

    def call(self, rpc: str, request: Any, response: Any) -> Any:
        answer = self._client.call(f"{METHODS}/{rpc}", request, response, timeout_s=AMPLE_S)
        return answer.message

    def assess(self, transaction: pb.Transaction) -> pb.Assessment:
        request = pb.AssessTransactionRequest(transaction=transaction)
        answer: pb.Assessment = self.call("AssessTransaction", request, pb.Assessment)
        return answer

    def report(self, id: str, *, fraud: bool) -> str:
        label = pb.TransactionOutcome.FRAUD if fraud else pb.TransactionOutcome.LEGITIMATE
        outcome = pb.TransactionOutcome(transaction_id=id, label=label, time_us=now_us())
        request = pb.ReportOutcomeRequest(outcomes=[outcome])
        [result] = self.call("ReportOutcome", request, pb.ReportOutcomeResponse).results
        return pb.ReportOutcomeResponse.Status.Name(result.status)

    def explain(self, id: str) -> pb.ExplainAssessmentResponse:
        request = pb.ExplainAssessmentRequest(transaction_id=id)
        answer: pb.ExplainAssessmentResponse = self.call(
            "ExplainAssessment", request, pb.ExplainAssessmentResponse
        )
        return answer

    def verify(self) -> pb.VerifyAuditResponse:
        answer: pb.VerifyAuditResponse = self.call(
            "VerifyAudit", pb.VerifyAuditRequest(), pb.VerifyAuditResponse
        )
        return answer

    def records(self) -> list[dict[str, Any]]:
        """Return what is on record of decisions."""
        lines = [
            json.loads(line)
            for file in sorted((self.directory / "audit").glob("*.jsonl"))
            for line in file.read_text().splitlines()
        ]
        return [each for each in lines if each["kind"] == "assessment"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    repository = tmp_path_factory.mktemp("models")
    write_models(repository)
    return repository


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def a_server(stack: ExitStack, directory: Path, models: Path, **fraud: Any) -> tuple[Server, Bank]:
    environment = {"INFERD__" + key: str(value) for key, value in fraud.pop("env", {}).items()}
    exit_code = fraud.pop("exit_code", 0)
    transport: Transport = fraud.pop("transport", "grpcio")
    path = written(directory, **{**UNHURRIED, **fraud})
    server = stack.enter_context(
        serving(
            directory,
            "--config",
            str(path),
            repository=models,
            transport=transport,
            environment=PATIENT | environment,
            exit_code=exit_code,
        )
    )
    bank = Bank(server.address, directory)
    stack.callback(bank.close)
    return server, bank


@pytest.fixture(scope="module", params=TRANSPORTS)
def bank(
    request: pytest.FixtureRequest, models: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bank]:
    """One server for all tests that have transactions of their own."""
    with ExitStack() as stack:
        directory = tmp_path_factory.mktemp(request.param) / "server"
        yield a_server(stack, directory, models, transport=request.param)[1]


def test_a_decision_has_its_scores_reasons_and_place_on_record(bank: Bank) -> None:
    answer = bank.assess(a_transaction("whole", amount_minor=150_000))

    assert answer.decision == pb.Assessment.CHALLENGE, answer
    assert answer.basis == pb.Assessment.SCORE
    assert not answer.degradations
    assert [it.model for it in answer.model_scores] == sorted(MODELS)
    assert all(it.status == pb.ModelScore.SCORED for it in answer.model_scores)
    assert all(it.version == "1" for it in answer.model_scores)
    assert sum(it.weight for it in answer.model_scores) == pytest.approx(1)
    assert sum(it.contribution for it in answer.reasons) == pytest.approx(1)
    assert [it.rule_id for it in answer.shadow_violations] == ["trial"]
    assert not answer.rule_violations
    assert [it.stage for it in answer.timings] == ["features", "rules", "models"]
    assert answer.policy_band == "all"
    assert answer.audit_server == "inferd"
    [record] = [each for each in bank.records() if each["id"] == "whole"]
    assert record["seq"] == answer.audit_sequence
    assert record["body"]["decision"] == "CHALLENGE"


def test_a_grave_rule_decides_and_no_model_is_asked(bank: Bank) -> None:
    answer = bank.assess(a_transaction("grave", amount_minor=20_000_000))

    assert answer.decision == pb.Assessment.BLOCK
    assert answer.risk_level == pb.Assessment.HIGH
    assert answer.risk_score == 0.95
    assert answer.decided_by == "huge"
    assert not answer.model_scores
    assert [it.stage for it in answer.timings] == ["features", "rules"]


def test_transactions_count_for_those_that_follow(bank: Bank) -> None:
    for number in range(3):
        first = bank.assess(a_transaction(f"velocity {number}", user_id="runner"))
        assert first.decision == pb.Assessment.APPROVE

    def is_fast() -> bool:
        answer = bank.assess(a_transaction(f"velocity {now_us()}", user_id="runner"))
        return [it.rule_id for it in answer.rule_violations] == ["fast"]

    eventually(is_fast)


def test_the_same_transaction_gets_the_same_answer_and_another_is_refused(bank: Bank) -> None:
    transaction = a_transaction("again")
    first = bank.assess(transaction)

    assert bank.assess(transaction) == first
    assert len([each for each in bank.records() if each["id"] == "again"]) == 1
    transaction.amount_minor += 1
    with pytest.raises(InvalidRequest) as caught:
        bank.assess(transaction)
    assert [each.field for each in caught.value.violations] == ["transaction.id"]
    found = bank.call(
        "GetAssessment", pb.GetAssessmentRequest(transaction_id="again"), pb.Assessment
    )
    assert found == first
    with pytest.raises(NotFound):
        bank.call("GetAssessment", pb.GetAssessmentRequest(transaction_id="no"), pb.Assessment)


def test_all_that_is_wrong_with_a_transaction_is_told_at_once(bank: Bank) -> None:
    with pytest.raises(InvalidRequest) as caught:
        bank.assess(
            pb.Transaction(
                currency="eur",
                time_us=5,
                card_id="4111 1111 1111 1111",
                location={"latitude": 91, "longitude": float("nan")},
                device_info={"ip": "::gg"},
                country="Germany",
            )
        )

    assert {each.field.removeprefix("transaction.") for each in caught.value.violations} == {
        *("id", "user_id", "merchant_id", "currency", "time_us", "card_id", "country"),
        *("location.latitude", "location.longitude", "device_info.ip"),
    }


def test_a_stream_is_answered_in_its_order_and_one_that_is_wrong_harms_no_other(
    bank: Bank,
) -> None:
    ids = [f"streamed {number}" for number in range(100)]
    requests = [
        pb.AssessTransactionRequest(
            transaction=a_transaction(id, currency="no" if number == 50 else "EUR")
        )
        for number, id in enumerate(ids)
    ]
    with grpc.insecure_channel(bank.address) as channel:
        stream = channel.stream_stream(
            f"{METHODS}/AssessTransactions",
            request_serializer=pb.AssessTransactionRequest.SerializeToString,
            response_deserializer=pb.AssessTransactionsResponse.FromString,
        )
        answers = [*stream(iter(requests), timeout=AMPLE_S)]

    assert [each.transaction_id for each in answers] == ids
    wrong = answers.pop(50)
    assert wrong.failure.status == "INVALID_ARGUMENT"
    assert "transaction.currency" in wrong.failure.message
    assert {each.assessment.decision for each in answers} == {pb.Assessment.APPROVE}


def test_outcomes_are_learned_from_and_counted_once(bank: Bank) -> None:
    for number in range(4):
        bank.assess(a_transaction(f"turned out {number}", merchant_id="den"))
        assert bank.report(f"turned out {number}", fraud=True) == "TAKEN"
    request = pb.ReportOutcomeRequest(
        outcomes=[
            pb.TransactionOutcome(
                transaction_id="turned out 0", label=pb.TransactionOutcome.FRAUD, time_us=10**15
            ),
            pb.TransactionOutcome(
                transaction_id="nobody's", label=pb.TransactionOutcome.FRAUD, time_us=now_us()
            ),
            pb.TransactionOutcome(transaction_id="turned out 0"),
        ]
    )
    results = bank.call("ReportOutcome", request, pb.ReportOutcomeResponse).results
    names = [pb.ReportOutcomeResponse.Status.Name(each.status) for each in results]
    assert names == ["KNOWN", "UNKNOWN_TRANSACTION", "REJECTED"]
    assert {each.field for each in results[2].problems} == {
        "outcomes[2].label",
        "outcomes[2].time_us",
    }

    answer = bank.assess(a_transaction("in the den", merchant_id="den"))

    assert [it.rule_id for it in answer.rule_violations] == ["infamous"]
    assert bank.explain("turned out 0").outcome == pb.TransactionOutcome.FRAUD


def test_an_explanation_has_features_and_what_each_added(bank: Bank) -> None:
    assessment = bank.assess(a_transaction("explained", amount_minor=150_000))

    explained = bank.explain("explained")

    assert explained.assessment == assessment
    assert {it.name for it in explained.features} == {
        *("spending:count_1h", "reputation:fraud_rate", "unusual:ratio"),
    }
    added = {(it.model, it.feature): it.contribution for it in explained.contributions}
    assert added["trees", "transaction.amount"] == pytest.approx(3.0, abs=1e-3)
    assert explained.contributions[0].feature == INPUTS[0]


def test_lists_win_and_are_checked(bank: Bank) -> None:
    def entry(kind: Any, value: str, name: Any = pb.ListEntry.BLOCK) -> pb.ListEntry:
        return pb.ListEntry(list=name, entity=pb.FraudEntity(kind=kind, value=value))

    thief = entry(pb.FraudEntity.USER, "thief")
    add = pb.AddToListsRequest(entries=[thief])
    assert bank.call("AddToLists", add, pb.AddToListsResponse).added == 1
    assert bank.call("AddToLists", add, pb.AddToListsResponse).added == 0
    assert bank.assess(a_transaction("listed", user_id="thief")).decided_by == "listed"
    found = bank.call(
        "CheckLists", pb.CheckListsRequest(entity=thief.entity), pb.CheckListsResponse
    )
    assert [*found.entries] == [thief]
    remove = pb.RemoveFromListsRequest(entries=[thief])
    assert bank.call("RemoveFromLists", remove, pb.RemoveFromListsResponse).removed == 1
    assert not bank.assess(a_transaction("let off", user_id="thief")).decided_by
    wrong = pb.AddToListsRequest(entries=[thief, entry(pb.FraudEntity.IP, "no")])
    with pytest.raises(InvalidRequest) as caught:
        bank.call("AddToLists", wrong, pb.AddToListsResponse)
    assert [each.field for each in caught.value.violations] == ["entries[1].entity.value"]


def test_a_rule_that_is_snoozed_is_left_out_for_whom_it_is(bank: Bank) -> None:
    snooze = pb.SnoozeRuleRequest(
        rule_id="huge",
        entity=pb.FraudEntity(kind=pb.FraudEntity.USER, value="mogul"),
        until_us=now_us() + 3_600_000_000,
    )
    bank.call("SnoozeRule", snooze, pb.SnoozeRuleResponse)

    answers = [
        bank.assess(a_transaction(f"of {user}", user_id=user, amount_minor=20_000_000))
        for user in ("mogul", "other")
    ]

    assert [each.decided_by for each in answers] == ["", "huge"]


def test_a_snooze_until_what_was_meant_to_be_seconds_is_refused(bank: Bank) -> None:
    snooze = pb.SnoozeRuleRequest(
        rule_id="huge",
        entity=pb.FraudEntity(kind=pb.FraudEntity.USER, value="baron"),
        until_us=now_us() // 1_000_000 + 3600,
    )

    with pytest.raises(InvalidRequest) as caught:
        bank.call("SnoozeRule", snooze, pb.SnoozeRuleResponse)

    assert [each.field for each in caught.value.violations] == ["until_us"]


def test_rules_are_reloaded_only_if_all_of_them_are_right(bank: Bank) -> None:
    file = bank.directory / "rules.yaml"
    before = bank.call("ListRules", pb.ListRulesRequest(), pb.ListRulesResponse)
    assert {each.id for each in before.rules} == {each["id"] for each in RULES["rules"]}
    broken = {**RULES, "rules": [{"id": "x", "when": "spending.cuont_1h > 1", "action": "BLOCK"}]}
    file.write_text(yaml.safe_dump(broken))
    try:
        with pytest.raises(InvalidRequest) as caught:
            bank.call("ReloadRules", pb.ReloadRulesRequest(), pb.ReloadRulesResponse)
        [violation] = caught.value.violations
        assert violation.field == "rules.rules.x.when"
        assert "did you mean" in violation.description
        after = bank.call("ListRules", pb.ListRulesRequest(), pb.ListRulesResponse)
        assert after.rules_version == before.rules_version
    finally:
        file.write_text(yaml.safe_dump(RULES, sort_keys=False))
    answer = bank.call("ReloadRules", pb.ReloadRulesRequest(), pb.ReloadRulesResponse)
    assert not answer.changed


def test_rules_are_tried_on_what_is_on_record(bank: Bank) -> None:
    for number in range(3):
        bank.assess(a_transaction(f"past {number}", amount_minor=7_000_000 + number))
    bank.report("past 0", fraud=True)
    rule = {"id": "new", "when": "transaction.amount_minor >= 7000001", "action": "REVIEW"}
    text = yaml.safe_dump({"variables": {"transaction.amount_minor": "int64"}, "rules": [rule]})

    found = bank.call(
        "BacktestRules", pb.BacktestRulesRequest(rules_yaml=text), pb.BacktestRulesResponse
    )

    [new] = found.rules
    assert new.hits >= 2
    assert found.transactions >= 3
    assert found.labelled >= 1
    given = pb.RecordedTransaction(transaction_id="x")
    given.values["transaction.amount_minor"].int64_value = 8_000_000
    request = pb.BacktestRulesRequest(rules_yaml=text, transactions=[given])
    found = bank.call("BacktestRules", request, pb.BacktestRulesResponse)
    assert [(each.rule_id, each.hits) for each in found.rules] == [("new", 1)]


def test_what_is_no_decision_and_nobodys_trail_is_told(bank: Bank) -> None:
    odd: Any = 99
    request = pb.BacktestRulesRequest(transactions=[pb.RecordedTransaction(decision=odd)])
    with pytest.raises(InvalidRequest, match=r"there is no decision 99"):
        bank.call("BacktestRules", request, pb.BacktestRulesResponse)
    for rpc, asked, response in (
        ("GetAssessment", pb.GetAssessmentRequest(), pb.Assessment),
        ("ExplainAssessment", pb.ExplainAssessmentRequest(), pb.ExplainAssessmentResponse),
    ):
        with pytest.raises(InvalidRequest, match="transaction_id: it is required"):
            bank.call(rpc, asked, response)
    request = pb.BacktestRulesRequest(from_us=2, until_us=1)
    with pytest.raises(InvalidRequest, match="from_us, 2, is after until_us, 1"):
        bank.call("BacktestRules", request, pb.BacktestRulesResponse)
    for name in ("nobody", "../audit/inferd", "a\0b"):
        verify = pb.VerifyAuditRequest(server=name)
        with pytest.raises(NotFound, match="there is no chain"):
            bank.call("VerifyAudit", verify, pb.VerifyAuditResponse)


def test_ids_for_tests_say_what_is_decided(bank: Bank) -> None:
    for word in ("approve", "challenge", "review", "block"):
        answer = bank.assess(a_transaction(f"test-{word}-1", amount_minor=20_000_000))
        assert pb.Assessment.Decision.Name(answer.decision) == word.upper()
        assert answer.test
    with pytest.raises(InvalidRequest, match="test-approve"):
        bank.assess(a_transaction("test-nothing"))


def test_the_trail_is_whole_until_somebody_changes_a_byte(
    stack: ExitStack, tmp_path: Path, models: Path
) -> None:
    _, bank = a_server(stack, tmp_path / "server", models)
    for number in range(3):
        bank.assess(a_transaction(f"on record {number}"))
    whole = bank.verify()
    assert whole.intact
    [file] = (tmp_path / "server" / "audit").glob("*.jsonl")
    text = file.read_bytes()
    file.write_bytes(text.replace(b'"APPROVE"', b'"APPROVF"', 1))

    changed = bank.verify()

    assert not changed.intact
    assert changed.first_bad.sequence <= whole.records


def test_decisions_on_record_are_the_same_again_unless_rules_are_others(
    stack: ExitStack, tmp_path: Path, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = tmp_path / "server"
    _, bank = a_server(stack, directory, models)
    for number, amount_minor in enumerate((1999, 150_000, 20_000_000, 333_333)):
        bank.assess(a_transaction(f"again {number}", amount_minor=amount_minor))
    bank.assess(a_transaction("test-block"))
    replay = ["audit", "replay", "--config", str(directory / "config.yaml")]

    assert main(replay) == 0
    assert "4 of 4 decisions are the same to the last bit" in capsys.readouterr().out
    rules = yaml.safe_load((directory / "rules.yaml").read_text())
    rules["rules"].append({"id": "new", "when": "transaction.amount_minor < 0", "action": "REVIEW"})
    (directory / "rules.yaml").write_text(yaml.safe_dump(rules))
    assert main(replay) == 0
    said = capsys.readouterr().out
    assert said == ("4 of 4 decisions are the same to the last bit, 4 of them under other rules\n")
    assert main([*replay, "again 0"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(
        "again 0: the same decision under other rules\n  it was decided by rules"
    )
    assert "  rule new was not there, and would be NO_HIT\n" in said
    rules["rules"].pop()
    rules["rules"][3]["when"] = "transaction.amount_minor == 1999"
    (directory / "rules.yaml").write_text(yaml.safe_dump(rules))
    assert main([*replay, "again 0", "again 1"]) == 1
    said = capsys.readouterr().out
    for each in (
        "again 0: DIFFERENT",
        "it was decided by rules",
        "rule fast was NO_HIT, and would be HIT",
        "decision was APPROVE, and would be REVIEW",
        "1 of 2 decisions are the same",
    ):
        assert each in said
    assert main([*replay, "nobody's"]) == 2
    assert "nothing is on record of nobody's" in capsys.readouterr().err


def test_after_a_crash_the_same_transaction_has_the_same_answer_and_one_record(
    stack: ExitStack, tmp_path: Path, models: Path
) -> None:
    kept: dict[str, Any] = {"idempotency": {"store": "sqlite", "sqlite_path": "assessments.sqlite"}}
    server, bank = a_server(stack, tmp_path / "server", models, **kept, exit_code=-signal.SIGKILL)
    transactions = [a_transaction(f"crash {number}") for number in range(5)]
    before = [bank.assess(each) for each in transactions]
    server.signal(signal.SIGKILL)
    server.ended()

    _, bank = a_server(stack, tmp_path / "server", models, **kept)

    assert [bank.assess(each) for each in transactions] == before
    assert bank.verify().intact
    ids = [each["id"] for each in bank.records()]
    assert sorted(ids) == [each.id for each in transactions]


def test_two_servers_know_the_same_transactions_and_lists(
    stack: ExitStack, tmp_path: Path, models: Path, redis_server: RedisServer
) -> None:
    shared: dict[str, Any] = {
        "idempotency": {"store": "redis", "key_prefix": f"{tmp_path.name}:"},
        "env": {"REDIS__URL": redis_server.url},
    }
    (_, one), (_, other) = (
        a_server(
            stack,
            tmp_path / name,
            models,
            **shared,
            audit={"path": str(tmp_path / "audit"), "server": name},
        )
        for name in ("one", "other")
    )
    transaction = a_transaction("shared")
    first = one.assess(transaction)
    assert first.audit_server == "one"
    assert other.assess(transaction) == first

    entity = pb.FraudEntity(kind=pb.FraudEntity.USER, value="thief")
    entry = pb.ListEntry(list=pb.ListEntry.BLOCK, entity=entity)
    one.call("AddToLists", pb.AddToListsRequest(entries=[entry]), pb.AddToListsResponse)

    def knows() -> bool:
        request = pb.CheckListsRequest(entity=entity)
        return bool(other.call("CheckLists", request, pb.CheckListsResponse).entries)

    eventually(knows)


def test_the_shop_decides_by_all_of_its_models(stack: ExitStack, tmp_path: Path) -> None:
    server = stack.enter_context(
        serving(
            tmp_path,
            "--config",
            "configs/shop/fraud.yaml",
            repository=[],
            environment=PATIENT
            | {
                "INFERD__FRAUD__DEADLINE_MS": "20000",
                "INFERD__FRAUD__FEATURES_MS": "5000",
                "INFERD__FRAUD__AUDIT__PATH": str(tmp_path / "audit"),
            },
        )
    )
    bank = Bank(server.address, tmp_path)
    stack.callback(bank.close)
    transaction = a_transaction(
        "of the shop",
        card_id="c1",
        merchant_category="electronics",
        device_info={"id": "d1"},
        location={"latitude": 52.4, "longitude": 4.9},
        metadata={"address": "a1", "account_days": "12.5"},
    )

    answer = bank.assess(transaction)

    assert not answer.degradations
    assert [it.status for it in answer.model_scores] == [pb.ModelScore.SCORED] * 3
    assert not any(it.error for it in answer.rule_results)
    assert len(bank.explain("of the shop").contributions) > 10
    metrics = server.get("/metrics")
    for each in (
        'inferd_fraud_assessments_total{decision="',
        'inferd_fraud_rule_hits_total{mode="live",rule="',
        'inferd_fraud_stage_seconds_count{stage="models"} 1',
        'inferd_fraud_decisions_total{became="decided"} 1',
        'inferd_audit_records_total{became="written"} 1',
    ):
        assert each in metrics


def test_what_does_not_go_together_is_told_before_anything_is_served(
    tmp_path: Path, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(
        tmp_path,
        entities={"user": "transaction.usr_id", "robot": "transaction.user_id"},
        transaction_event={"event": "payment", "fields": {"amount": "transaction.currency"}},
    )

    assert main(["check", "--config", str(path), "--repository", str(models)]) != 0

    said = capsys.readouterr().err
    for each in (
        "fraud.entities.user: there is no variable transaction.usr_id; did you mean",
        "fraud.entities.robot",
        "fraud.transaction_event.fields.user: events payment need it",
        "fraud.transaction_event.fields.amount: it is float64, and transaction.currency is string",
    ):
        assert each in said


def test_models_that_are_not_there_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "models").mkdir()
    path = written(tmp_path / "server")

    code = main(["check", "--config", str(path), "--repository", str(tmp_path / "models")])

    assert code != 0
    assert "there is no model fraud_trees" in "".join(capsys.readouterr())
    assert not (tmp_path / "server" / "audit").exists()


def test_a_policy_without_a_model_is_refused(
    tmp_path: Path, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path)
    policy = {**POLICY, "scoring": {"models": {"trees": {}}}}
    (tmp_path / "policy.yaml").write_text(yaml.safe_dump(policy))

    assert main(["check", "--config", str(path), "--repository", str(models)]) != 0

    assert "fraud.policy: " in capsys.readouterr().err


def test_without_a_trail_nothing_is_answered_if_it_may_not_be(
    stack: ExitStack, tmp_path: Path, models: Path
) -> None:
    audit = {"path": "audit", "on_failure": "refuse", "max_waiting": 1}
    env = {"RESILIENCE__DEPENDENCIES__FRAUD_AUDIT": "{timeout_ms: 0.6}"}
    _, bank = a_server(stack, tmp_path / "server", models, audit=audit, env=env)
    with pytest.raises(Unavailable):
        bank.assess(a_transaction("refused"))
