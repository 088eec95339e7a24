from inferd.v1 import common_pb2 as _common_pb2
from inferd.v1 import features_pb2 as _features_pb2
from inferd.v1 import streaming_pb2 as _streaming_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Transaction(_message.Message):
    __slots__ = ("id", "user_id", "amount", "currency", "merchant_id", "payment_method", "location", "device_info", "time_us", "metadata", "amount_minor", "card_id", "merchant_category", "country", "segment")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    MERCHANT_ID_FIELD_NUMBER: _ClassVar[int]
    PAYMENT_METHOD_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    DEVICE_INFO_FIELD_NUMBER: _ClassVar[int]
    TIME_US_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    CARD_ID_FIELD_NUMBER: _ClassVar[int]
    MERCHANT_CATEGORY_FIELD_NUMBER: _ClassVar[int]
    COUNTRY_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_FIELD_NUMBER: _ClassVar[int]
    id: str
    user_id: str
    amount: float
    currency: str
    merchant_id: str
    payment_method: str
    location: _streaming_pb2.Location
    device_info: DeviceInfo
    time_us: int
    metadata: _containers.ScalarMap[str, str]
    amount_minor: int
    card_id: str
    merchant_category: str
    country: str
    segment: str
    def __init__(self, id: _Optional[str] = ..., user_id: _Optional[str] = ..., amount: _Optional[float] = ..., currency: _Optional[str] = ..., merchant_id: _Optional[str] = ..., payment_method: _Optional[str] = ..., location: _Optional[_Union[_streaming_pb2.Location, _Mapping]] = ..., device_info: _Optional[_Union[DeviceInfo, _Mapping]] = ..., time_us: _Optional[int] = ..., metadata: _Optional[_Mapping[str, str]] = ..., amount_minor: _Optional[int] = ..., card_id: _Optional[str] = ..., merchant_category: _Optional[str] = ..., country: _Optional[str] = ..., segment: _Optional[str] = ...) -> None: ...

class DeviceInfo(_message.Message):
    __slots__ = ("id", "type", "ip", "user_agent")
    ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    IP_FIELD_NUMBER: _ClassVar[int]
    USER_AGENT_FIELD_NUMBER: _ClassVar[int]
    id: str
    type: str
    ip: str
    user_agent: str
    def __init__(self, id: _Optional[str] = ..., type: _Optional[str] = ..., ip: _Optional[str] = ..., user_agent: _Optional[str] = ...) -> None: ...

class AssessTransactionRequest(_message.Message):
    __slots__ = ("transaction",)
    TRANSACTION_FIELD_NUMBER: _ClassVar[int]
    transaction: Transaction
    def __init__(self, transaction: _Optional[_Union[Transaction, _Mapping]] = ...) -> None: ...

class AssessTransactionsResponse(_message.Message):
    __slots__ = ("transaction_id", "assessment", "failure")
    class Failure(_message.Message):
        __slots__ = ("status", "reason", "message", "retry_after_ms")
        STATUS_FIELD_NUMBER: _ClassVar[int]
        REASON_FIELD_NUMBER: _ClassVar[int]
        MESSAGE_FIELD_NUMBER: _ClassVar[int]
        RETRY_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
        status: str
        reason: str
        message: str
        retry_after_ms: int
        def __init__(self, status: _Optional[str] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., retry_after_ms: _Optional[int] = ...) -> None: ...
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    ASSESSMENT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    transaction_id: str
    assessment: Assessment
    failure: AssessTransactionsResponse.Failure
    def __init__(self, transaction_id: _Optional[str] = ..., assessment: _Optional[_Union[Assessment, _Mapping]] = ..., failure: _Optional[_Union[AssessTransactionsResponse.Failure, _Mapping]] = ...) -> None: ...

class Assessment(_message.Message):
    __slots__ = ("transaction_id", "risk_score", "risk_level", "decision", "reasons", "model_scores", "rule_violations", "processing_time_us", "time_us", "shadow_violations", "rule_results", "basis", "decided_by", "policy_band", "policy_version", "rules_version", "degradations", "timings", "test", "audit_sequence", "audit_server")
    class Decision(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        DECISION_UNSPECIFIED: _ClassVar[Assessment.Decision]
        APPROVE: _ClassVar[Assessment.Decision]
        CHALLENGE: _ClassVar[Assessment.Decision]
        REVIEW: _ClassVar[Assessment.Decision]
        BLOCK: _ClassVar[Assessment.Decision]
    DECISION_UNSPECIFIED: Assessment.Decision
    APPROVE: Assessment.Decision
    CHALLENGE: Assessment.Decision
    REVIEW: Assessment.Decision
    BLOCK: Assessment.Decision
    class RiskLevel(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        RISK_LEVEL_UNSPECIFIED: _ClassVar[Assessment.RiskLevel]
        LOW: _ClassVar[Assessment.RiskLevel]
        MEDIUM: _ClassVar[Assessment.RiskLevel]
        HIGH: _ClassVar[Assessment.RiskLevel]
        CRITICAL: _ClassVar[Assessment.RiskLevel]
    RISK_LEVEL_UNSPECIFIED: Assessment.RiskLevel
    LOW: Assessment.RiskLevel
    MEDIUM: Assessment.RiskLevel
    HIGH: Assessment.RiskLevel
    CRITICAL: Assessment.RiskLevel
    class Basis(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        BASIS_UNSPECIFIED: _ClassVar[Assessment.Basis]
        RULE: _ClassVar[Assessment.Basis]
        SCORE: _ClassVar[Assessment.Basis]
        CONSERVATIVE: _ClassVar[Assessment.Basis]
    BASIS_UNSPECIFIED: Assessment.Basis
    RULE: Assessment.Basis
    SCORE: Assessment.Basis
    CONSERVATIVE: Assessment.Basis
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    RISK_SCORE_FIELD_NUMBER: _ClassVar[int]
    RISK_LEVEL_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    MODEL_SCORES_FIELD_NUMBER: _ClassVar[int]
    RULE_VIOLATIONS_FIELD_NUMBER: _ClassVar[int]
    PROCESSING_TIME_US_FIELD_NUMBER: _ClassVar[int]
    TIME_US_FIELD_NUMBER: _ClassVar[int]
    SHADOW_VIOLATIONS_FIELD_NUMBER: _ClassVar[int]
    RULE_RESULTS_FIELD_NUMBER: _ClassVar[int]
    BASIS_FIELD_NUMBER: _ClassVar[int]
    DECIDED_BY_FIELD_NUMBER: _ClassVar[int]
    POLICY_BAND_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    RULES_VERSION_FIELD_NUMBER: _ClassVar[int]
    DEGRADATIONS_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    TEST_FIELD_NUMBER: _ClassVar[int]
    AUDIT_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    AUDIT_SERVER_FIELD_NUMBER: _ClassVar[int]
    transaction_id: str
    risk_score: float
    risk_level: Assessment.RiskLevel
    decision: Assessment.Decision
    reasons: _containers.RepeatedCompositeFieldContainer[Reason]
    model_scores: _containers.RepeatedCompositeFieldContainer[ModelScore]
    rule_violations: _containers.RepeatedCompositeFieldContainer[RuleViolation]
    processing_time_us: int
    time_us: int
    shadow_violations: _containers.RepeatedCompositeFieldContainer[RuleViolation]
    rule_results: _containers.RepeatedCompositeFieldContainer[RuleResult]
    basis: Assessment.Basis
    decided_by: str
    policy_band: str
    policy_version: str
    rules_version: str
    degradations: _containers.RepeatedCompositeFieldContainer[_common_pb2.Degradation]
    timings: _containers.RepeatedCompositeFieldContainer[StageTiming]
    test: bool
    audit_sequence: int
    audit_server: str
    def __init__(self, transaction_id: _Optional[str] = ..., risk_score: _Optional[float] = ..., risk_level: _Optional[_Union[Assessment.RiskLevel, str]] = ..., decision: _Optional[_Union[Assessment.Decision, str]] = ..., reasons: _Optional[_Iterable[_Union[Reason, _Mapping]]] = ..., model_scores: _Optional[_Iterable[_Union[ModelScore, _Mapping]]] = ..., rule_violations: _Optional[_Iterable[_Union[RuleViolation, _Mapping]]] = ..., processing_time_us: _Optional[int] = ..., time_us: _Optional[int] = ..., shadow_violations: _Optional[_Iterable[_Union[RuleViolation, _Mapping]]] = ..., rule_results: _Optional[_Iterable[_Union[RuleResult, _Mapping]]] = ..., basis: _Optional[_Union[Assessment.Basis, str]] = ..., decided_by: _Optional[str] = ..., policy_band: _Optional[str] = ..., policy_version: _Optional[str] = ..., rules_version: _Optional[str] = ..., degradations: _Optional[_Iterable[_Union[_common_pb2.Degradation, _Mapping]]] = ..., timings: _Optional[_Iterable[_Union[StageTiming, _Mapping]]] = ..., test: _Optional[bool] = ..., audit_sequence: _Optional[int] = ..., audit_server: _Optional[str] = ...) -> None: ...

class Reason(_message.Message):
    __slots__ = ("code", "description", "contribution")
    CODE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    CONTRIBUTION_FIELD_NUMBER: _ClassVar[int]
    code: str
    description: str
    contribution: float
    def __init__(self, code: _Optional[str] = ..., description: _Optional[str] = ..., contribution: _Optional[float] = ...) -> None: ...

class ModelScore(_message.Message):
    __slots__ = ("model", "version", "status", "raw", "calibrated", "weight", "reason", "duration_us")
    class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATUS_UNSPECIFIED: _ClassVar[ModelScore.Status]
        SCORED: _ClassVar[ModelScore.Status]
        FAILED: _ClassVar[ModelScore.Status]
    STATUS_UNSPECIFIED: ModelScore.Status
    SCORED: ModelScore.Status
    FAILED: ModelScore.Status
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    RAW_FIELD_NUMBER: _ClassVar[int]
    CALIBRATED_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DURATION_US_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: str
    status: ModelScore.Status
    raw: float
    calibrated: float
    weight: float
    reason: str
    duration_us: int
    def __init__(self, model: _Optional[str] = ..., version: _Optional[str] = ..., status: _Optional[_Union[ModelScore.Status, str]] = ..., raw: _Optional[float] = ..., calibrated: _Optional[float] = ..., weight: _Optional[float] = ..., reason: _Optional[str] = ..., duration_us: _Optional[int] = ...) -> None: ...

class RuleViolation(_message.Message):
    __slots__ = ("rule_id", "severity", "score", "action", "description")
    RULE_ID_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    rule_id: str
    severity: Assessment.RiskLevel
    score: float
    action: Rule.Action
    description: str
    def __init__(self, rule_id: _Optional[str] = ..., severity: _Optional[_Union[Assessment.RiskLevel, str]] = ..., score: _Optional[float] = ..., action: _Optional[_Union[Rule.Action, str]] = ..., description: _Optional[str] = ...) -> None: ...

class RuleResult(_message.Message):
    __slots__ = ("rule_id", "outcome", "mode", "error")
    class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        OUTCOME_UNSPECIFIED: _ClassVar[RuleResult.Outcome]
        HIT: _ClassVar[RuleResult.Outcome]
        NO_HIT: _ClassVar[RuleResult.Outcome]
        SNOOZED: _ClassVar[RuleResult.Outcome]
        ERROR: _ClassVar[RuleResult.Outcome]
        NOT_EVALUATED: _ClassVar[RuleResult.Outcome]
    OUTCOME_UNSPECIFIED: RuleResult.Outcome
    HIT: RuleResult.Outcome
    NO_HIT: RuleResult.Outcome
    SNOOZED: RuleResult.Outcome
    ERROR: RuleResult.Outcome
    NOT_EVALUATED: RuleResult.Outcome
    RULE_ID_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    rule_id: str
    outcome: RuleResult.Outcome
    mode: Rule.Mode
    error: str
    def __init__(self, rule_id: _Optional[str] = ..., outcome: _Optional[_Union[RuleResult.Outcome, str]] = ..., mode: _Optional[_Union[Rule.Mode, str]] = ..., error: _Optional[str] = ...) -> None: ...

class StageTiming(_message.Message):
    __slots__ = ("stage", "duration_us")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    DURATION_US_FIELD_NUMBER: _ClassVar[int]
    stage: str
    duration_us: int
    def __init__(self, stage: _Optional[str] = ..., duration_us: _Optional[int] = ...) -> None: ...

class TransactionOutcome(_message.Message):
    __slots__ = ("transaction_id", "label", "time_us", "source")
    class Label(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        LABEL_UNSPECIFIED: _ClassVar[TransactionOutcome.Label]
        LEGITIMATE: _ClassVar[TransactionOutcome.Label]
        FRAUD: _ClassVar[TransactionOutcome.Label]
    LABEL_UNSPECIFIED: TransactionOutcome.Label
    LEGITIMATE: TransactionOutcome.Label
    FRAUD: TransactionOutcome.Label
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    TIME_US_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    transaction_id: str
    label: TransactionOutcome.Label
    time_us: int
    source: str
    def __init__(self, transaction_id: _Optional[str] = ..., label: _Optional[_Union[TransactionOutcome.Label, str]] = ..., time_us: _Optional[int] = ..., source: _Optional[str] = ...) -> None: ...

class ReportOutcomeRequest(_message.Message):
    __slots__ = ("outcomes",)
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    outcomes: _containers.RepeatedCompositeFieldContainer[TransactionOutcome]
    def __init__(self, outcomes: _Optional[_Iterable[_Union[TransactionOutcome, _Mapping]]] = ...) -> None: ...

class ReportOutcomeResponse(_message.Message):
    __slots__ = ("results",)
    class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATUS_UNSPECIFIED: _ClassVar[ReportOutcomeResponse.Status]
        TAKEN: _ClassVar[ReportOutcomeResponse.Status]
        KNOWN: _ClassVar[ReportOutcomeResponse.Status]
        UNKNOWN_TRANSACTION: _ClassVar[ReportOutcomeResponse.Status]
        REJECTED: _ClassVar[ReportOutcomeResponse.Status]
    STATUS_UNSPECIFIED: ReportOutcomeResponse.Status
    TAKEN: ReportOutcomeResponse.Status
    KNOWN: ReportOutcomeResponse.Status
    UNKNOWN_TRANSACTION: ReportOutcomeResponse.Status
    REJECTED: ReportOutcomeResponse.Status
    class Result(_message.Message):
        __slots__ = ("status", "problems")
        STATUS_FIELD_NUMBER: _ClassVar[int]
        PROBLEMS_FIELD_NUMBER: _ClassVar[int]
        status: ReportOutcomeResponse.Status
        problems: _containers.RepeatedCompositeFieldContainer[_features_pb2.WriteResult.Problem]
        def __init__(self, status: _Optional[_Union[ReportOutcomeResponse.Status, str]] = ..., problems: _Optional[_Iterable[_Union[_features_pb2.WriteResult.Problem, _Mapping]]] = ...) -> None: ...
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[ReportOutcomeResponse.Result]
    def __init__(self, results: _Optional[_Iterable[_Union[ReportOutcomeResponse.Result, _Mapping]]] = ...) -> None: ...

class GetAssessmentRequest(_message.Message):
    __slots__ = ("transaction_id",)
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    transaction_id: str
    def __init__(self, transaction_id: _Optional[str] = ...) -> None: ...

class ExplainAssessmentRequest(_message.Message):
    __slots__ = ("transaction_id",)
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    transaction_id: str
    def __init__(self, transaction_id: _Optional[str] = ...) -> None: ...

class ExplainAssessmentResponse(_message.Message):
    __slots__ = ("assessment", "features", "contributions", "outcome")
    ASSESSMENT_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    CONTRIBUTIONS_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    assessment: Assessment
    features: _containers.RepeatedCompositeFieldContainer[_features_pb2.Feature]
    contributions: _containers.RepeatedCompositeFieldContainer[FeatureContribution]
    outcome: TransactionOutcome.Label
    def __init__(self, assessment: _Optional[_Union[Assessment, _Mapping]] = ..., features: _Optional[_Iterable[_Union[_features_pb2.Feature, _Mapping]]] = ..., contributions: _Optional[_Iterable[_Union[FeatureContribution, _Mapping]]] = ..., outcome: _Optional[_Union[TransactionOutcome.Label, str]] = ...) -> None: ...

class FeatureContribution(_message.Message):
    __slots__ = ("model", "feature", "contribution")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    FEATURE_FIELD_NUMBER: _ClassVar[int]
    CONTRIBUTION_FIELD_NUMBER: _ClassVar[int]
    model: str
    feature: str
    contribution: float
    def __init__(self, model: _Optional[str] = ..., feature: _Optional[str] = ..., contribution: _Optional[float] = ...) -> None: ...

class Rule(_message.Message):
    __slots__ = ("id", "when", "severity", "score", "action", "mode", "description", "hits", "errors")
    class Action(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ACTION_UNSPECIFIED: _ClassVar[Rule.Action]
        ALLOW: _ClassVar[Rule.Action]
        BLOCK: _ClassVar[Rule.Action]
        REVIEW: _ClassVar[Rule.Action]
        SCORE: _ClassVar[Rule.Action]
    ACTION_UNSPECIFIED: Rule.Action
    ALLOW: Rule.Action
    BLOCK: Rule.Action
    REVIEW: Rule.Action
    SCORE: Rule.Action
    class Mode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        MODE_UNSPECIFIED: _ClassVar[Rule.Mode]
        LIVE: _ClassVar[Rule.Mode]
        SHADOW: _ClassVar[Rule.Mode]
        OFF: _ClassVar[Rule.Mode]
    MODE_UNSPECIFIED: Rule.Mode
    LIVE: Rule.Mode
    SHADOW: Rule.Mode
    OFF: Rule.Mode
    ID_FIELD_NUMBER: _ClassVar[int]
    WHEN_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    HITS_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    id: str
    when: str
    severity: Assessment.RiskLevel
    score: float
    action: Rule.Action
    mode: Rule.Mode
    description: str
    hits: int
    errors: int
    def __init__(self, id: _Optional[str] = ..., when: _Optional[str] = ..., severity: _Optional[_Union[Assessment.RiskLevel, str]] = ..., score: _Optional[float] = ..., action: _Optional[_Union[Rule.Action, str]] = ..., mode: _Optional[_Union[Rule.Mode, str]] = ..., description: _Optional[str] = ..., hits: _Optional[int] = ..., errors: _Optional[int] = ...) -> None: ...

class ListRulesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListRulesResponse(_message.Message):
    __slots__ = ("rules", "rules_version", "policy_version")
    RULES_FIELD_NUMBER: _ClassVar[int]
    RULES_VERSION_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    rules: _containers.RepeatedCompositeFieldContainer[Rule]
    rules_version: str
    policy_version: str
    def __init__(self, rules: _Optional[_Iterable[_Union[Rule, _Mapping]]] = ..., rules_version: _Optional[str] = ..., policy_version: _Optional[str] = ...) -> None: ...

class ReloadRulesRequest(_message.Message):
    __slots__ = ("check_only",)
    CHECK_ONLY_FIELD_NUMBER: _ClassVar[int]
    check_only: bool
    def __init__(self, check_only: _Optional[bool] = ...) -> None: ...

class ReloadRulesResponse(_message.Message):
    __slots__ = ("rules_version", "policy_version", "changed")
    RULES_VERSION_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    rules_version: str
    policy_version: str
    changed: bool
    def __init__(self, rules_version: _Optional[str] = ..., policy_version: _Optional[str] = ..., changed: _Optional[bool] = ...) -> None: ...

class FraudEntity(_message.Message):
    __slots__ = ("kind", "value")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[FraudEntity.Kind]
        USER: _ClassVar[FraudEntity.Kind]
        CARD: _ClassVar[FraudEntity.Kind]
        DEVICE: _ClassVar[FraudEntity.Kind]
        IP: _ClassVar[FraudEntity.Kind]
        MERCHANT: _ClassVar[FraudEntity.Kind]
        COUNTRY: _ClassVar[FraudEntity.Kind]
    KIND_UNSPECIFIED: FraudEntity.Kind
    USER: FraudEntity.Kind
    CARD: FraudEntity.Kind
    DEVICE: FraudEntity.Kind
    IP: FraudEntity.Kind
    MERCHANT: FraudEntity.Kind
    COUNTRY: FraudEntity.Kind
    KIND_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    kind: FraudEntity.Kind
    value: str
    def __init__(self, kind: _Optional[_Union[FraudEntity.Kind, str]] = ..., value: _Optional[str] = ...) -> None: ...

class SnoozeRuleRequest(_message.Message):
    __slots__ = ("rule_id", "entity", "until_us")
    RULE_ID_FIELD_NUMBER: _ClassVar[int]
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    UNTIL_US_FIELD_NUMBER: _ClassVar[int]
    rule_id: str
    entity: FraudEntity
    until_us: int
    def __init__(self, rule_id: _Optional[str] = ..., entity: _Optional[_Union[FraudEntity, _Mapping]] = ..., until_us: _Optional[int] = ...) -> None: ...

class SnoozeRuleResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class BacktestRulesRequest(_message.Message):
    __slots__ = ("rules_yaml", "from_us", "until_us", "limit", "transactions")
    RULES_YAML_FIELD_NUMBER: _ClassVar[int]
    FROM_US_FIELD_NUMBER: _ClassVar[int]
    UNTIL_US_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    TRANSACTIONS_FIELD_NUMBER: _ClassVar[int]
    rules_yaml: str
    from_us: int
    until_us: int
    limit: int
    transactions: _containers.RepeatedCompositeFieldContainer[RecordedTransaction]
    def __init__(self, rules_yaml: _Optional[str] = ..., from_us: _Optional[int] = ..., until_us: _Optional[int] = ..., limit: _Optional[int] = ..., transactions: _Optional[_Iterable[_Union[RecordedTransaction, _Mapping]]] = ...) -> None: ...

class RecordedTransaction(_message.Message):
    __slots__ = ("transaction_id", "values", "model_scores", "label", "decision")
    class ValuesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _features_pb2.FeatureValue
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_features_pb2.FeatureValue, _Mapping]] = ...) -> None: ...
    class ModelScoresEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    TRANSACTION_ID_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    MODEL_SCORES_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    transaction_id: str
    values: _containers.MessageMap[str, _features_pb2.FeatureValue]
    model_scores: _containers.ScalarMap[str, float]
    label: TransactionOutcome.Label
    decision: Assessment.Decision
    def __init__(self, transaction_id: _Optional[str] = ..., values: _Optional[_Mapping[str, _features_pb2.FeatureValue]] = ..., model_scores: _Optional[_Mapping[str, float]] = ..., label: _Optional[_Union[TransactionOutcome.Label, str]] = ..., decision: _Optional[_Union[Assessment.Decision, str]] = ...) -> None: ...

class BacktestRulesResponse(_message.Message):
    __slots__ = ("transactions", "labelled", "fraud", "rules", "overlaps", "decisions", "changed", "precision", "recall", "rules_version")
    class RuleBacktest(_message.Message):
        __slots__ = ("rule_id", "hits", "errors", "labelled_hits", "fraud_hits", "precision", "recall")
        RULE_ID_FIELD_NUMBER: _ClassVar[int]
        HITS_FIELD_NUMBER: _ClassVar[int]
        ERRORS_FIELD_NUMBER: _ClassVar[int]
        LABELLED_HITS_FIELD_NUMBER: _ClassVar[int]
        FRAUD_HITS_FIELD_NUMBER: _ClassVar[int]
        PRECISION_FIELD_NUMBER: _ClassVar[int]
        RECALL_FIELD_NUMBER: _ClassVar[int]
        rule_id: str
        hits: int
        errors: int
        labelled_hits: int
        fraud_hits: int
        precision: float
        recall: float
        def __init__(self, rule_id: _Optional[str] = ..., hits: _Optional[int] = ..., errors: _Optional[int] = ..., labelled_hits: _Optional[int] = ..., fraud_hits: _Optional[int] = ..., precision: _Optional[float] = ..., recall: _Optional[float] = ...) -> None: ...
    class Overlap(_message.Message):
        __slots__ = ("first", "second", "both", "share")
        FIRST_FIELD_NUMBER: _ClassVar[int]
        SECOND_FIELD_NUMBER: _ClassVar[int]
        BOTH_FIELD_NUMBER: _ClassVar[int]
        SHARE_FIELD_NUMBER: _ClassVar[int]
        first: str
        second: str
        both: int
        share: float
        def __init__(self, first: _Optional[str] = ..., second: _Optional[str] = ..., both: _Optional[int] = ..., share: _Optional[float] = ...) -> None: ...
    class DecisionCount(_message.Message):
        __slots__ = ("decision", "count")
        DECISION_FIELD_NUMBER: _ClassVar[int]
        COUNT_FIELD_NUMBER: _ClassVar[int]
        decision: Assessment.Decision
        count: int
        def __init__(self, decision: _Optional[_Union[Assessment.Decision, str]] = ..., count: _Optional[int] = ...) -> None: ...
    TRANSACTIONS_FIELD_NUMBER: _ClassVar[int]
    LABELLED_FIELD_NUMBER: _ClassVar[int]
    FRAUD_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    OVERLAPS_FIELD_NUMBER: _ClassVar[int]
    DECISIONS_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    PRECISION_FIELD_NUMBER: _ClassVar[int]
    RECALL_FIELD_NUMBER: _ClassVar[int]
    RULES_VERSION_FIELD_NUMBER: _ClassVar[int]
    transactions: int
    labelled: int
    fraud: int
    rules: _containers.RepeatedCompositeFieldContainer[BacktestRulesResponse.RuleBacktest]
    overlaps: _containers.RepeatedCompositeFieldContainer[BacktestRulesResponse.Overlap]
    decisions: _containers.RepeatedCompositeFieldContainer[BacktestRulesResponse.DecisionCount]
    changed: int
    precision: float
    recall: float
    rules_version: str
    def __init__(self, transactions: _Optional[int] = ..., labelled: _Optional[int] = ..., fraud: _Optional[int] = ..., rules: _Optional[_Iterable[_Union[BacktestRulesResponse.RuleBacktest, _Mapping]]] = ..., overlaps: _Optional[_Iterable[_Union[BacktestRulesResponse.Overlap, _Mapping]]] = ..., decisions: _Optional[_Iterable[_Union[BacktestRulesResponse.DecisionCount, _Mapping]]] = ..., changed: _Optional[int] = ..., precision: _Optional[float] = ..., recall: _Optional[float] = ..., rules_version: _Optional[str] = ...) -> None: ...

class ListEntry(_message.Message):
    __slots__ = ("list", "entity", "until_us")
    class List(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        LIST_UNSPECIFIED: _ClassVar[ListEntry.List]
        ALLOW: _ClassVar[ListEntry.List]
        BLOCK: _ClassVar[ListEntry.List]
    LIST_UNSPECIFIED: ListEntry.List
    ALLOW: ListEntry.List
    BLOCK: ListEntry.List
    LIST_FIELD_NUMBER: _ClassVar[int]
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    UNTIL_US_FIELD_NUMBER: _ClassVar[int]
    list: ListEntry.List
    entity: FraudEntity
    until_us: int
    def __init__(self, list: _Optional[_Union[ListEntry.List, str]] = ..., entity: _Optional[_Union[FraudEntity, _Mapping]] = ..., until_us: _Optional[int] = ...) -> None: ...

class AddToListsRequest(_message.Message):
    __slots__ = ("entries",)
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[ListEntry]
    def __init__(self, entries: _Optional[_Iterable[_Union[ListEntry, _Mapping]]] = ...) -> None: ...

class AddToListsResponse(_message.Message):
    __slots__ = ("added",)
    ADDED_FIELD_NUMBER: _ClassVar[int]
    added: int
    def __init__(self, added: _Optional[int] = ...) -> None: ...

class RemoveFromListsRequest(_message.Message):
    __slots__ = ("entries",)
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[ListEntry]
    def __init__(self, entries: _Optional[_Iterable[_Union[ListEntry, _Mapping]]] = ...) -> None: ...

class RemoveFromListsResponse(_message.Message):
    __slots__ = ("removed",)
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    removed: int
    def __init__(self, removed: _Optional[int] = ...) -> None: ...

class CheckListsRequest(_message.Message):
    __slots__ = ("entity",)
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    entity: FraudEntity
    def __init__(self, entity: _Optional[_Union[FraudEntity, _Mapping]] = ...) -> None: ...

class CheckListsResponse(_message.Message):
    __slots__ = ("entries",)
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[ListEntry]
    def __init__(self, entries: _Optional[_Iterable[_Union[ListEntry, _Mapping]]] = ...) -> None: ...

class VerifyAuditRequest(_message.Message):
    __slots__ = ("server",)
    SERVER_FIELD_NUMBER: _ClassVar[int]
    server: str
    def __init__(self, server: _Optional[str] = ...) -> None: ...

class VerifyAuditResponse(_message.Message):
    __slots__ = ("intact", "records", "first_bad")
    class BadRecord(_message.Message):
        __slots__ = ("server", "sequence", "problem")
        SERVER_FIELD_NUMBER: _ClassVar[int]
        SEQUENCE_FIELD_NUMBER: _ClassVar[int]
        PROBLEM_FIELD_NUMBER: _ClassVar[int]
        server: str
        sequence: int
        problem: str
        def __init__(self, server: _Optional[str] = ..., sequence: _Optional[int] = ..., problem: _Optional[str] = ...) -> None: ...
    INTACT_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    FIRST_BAD_FIELD_NUMBER: _ClassVar[int]
    intact: bool
    records: int
    first_bad: VerifyAuditResponse.BadRecord
    def __init__(self, intact: _Optional[bool] = ..., records: _Optional[int] = ..., first_bad: _Optional[_Union[VerifyAuditResponse.BadRecord, _Mapping]] = ...) -> None: ...
