from inferd.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Intent(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INTENT_UNSPECIFIED: _ClassVar[Intent]
    NAVIGATIONAL: _ClassVar[Intent]
    CATEGORY: _ClassVar[Intent]
    ATTRIBUTE: _ClassVar[Intent]
    QUESTION: _ClassVar[Intent]
INTENT_UNSPECIFIED: Intent
NAVIGATIONAL: Intent
CATEGORY: Intent
ATTRIBUTE: Intent
QUESTION: Intent

class SearchRequest(_message.Message):
    __slots__ = ("query", "user_id", "filters", "sort", "page_size", "page_token", "facets", "context", "request_id", "highlight", "debug", "skip_cache", "verbatim", "forced_arms")
    class ForcedArmsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    QUERY_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    FILTERS_FIELD_NUMBER: _ClassVar[int]
    SORT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FACETS_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    HIGHLIGHT_FIELD_NUMBER: _ClassVar[int]
    DEBUG_FIELD_NUMBER: _ClassVar[int]
    SKIP_CACHE_FIELD_NUMBER: _ClassVar[int]
    VERBATIM_FIELD_NUMBER: _ClassVar[int]
    FORCED_ARMS_FIELD_NUMBER: _ClassVar[int]
    query: str
    user_id: str
    filters: _containers.RepeatedCompositeFieldContainer[SearchFilter]
    sort: _containers.RepeatedCompositeFieldContainer[SearchSort]
    page_size: int
    page_token: str
    facets: _containers.RepeatedCompositeFieldContainer[FacetRequest]
    context: SearchContext
    request_id: str
    highlight: bool
    debug: bool
    skip_cache: bool
    verbatim: bool
    forced_arms: _containers.ScalarMap[str, str]
    def __init__(self, query: _Optional[str] = ..., user_id: _Optional[str] = ..., filters: _Optional[_Iterable[_Union[SearchFilter, _Mapping]]] = ..., sort: _Optional[_Iterable[_Union[SearchSort, _Mapping]]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., facets: _Optional[_Iterable[_Union[FacetRequest, _Mapping]]] = ..., context: _Optional[_Union[SearchContext, _Mapping]] = ..., request_id: _Optional[str] = ..., highlight: _Optional[bool] = ..., debug: _Optional[bool] = ..., skip_cache: _Optional[bool] = ..., verbatim: _Optional[bool] = ..., forced_arms: _Optional[_Mapping[str, str]] = ...) -> None: ...

class SearchContext(_message.Message):
    __slots__ = ("session_id", "recent_queries", "recent_clicks", "device_type", "country", "intent")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    RECENT_QUERIES_FIELD_NUMBER: _ClassVar[int]
    RECENT_CLICKS_FIELD_NUMBER: _ClassVar[int]
    DEVICE_TYPE_FIELD_NUMBER: _ClassVar[int]
    COUNTRY_FIELD_NUMBER: _ClassVar[int]
    INTENT_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    recent_queries: _containers.RepeatedScalarFieldContainer[str]
    recent_clicks: _containers.RepeatedScalarFieldContainer[str]
    device_type: str
    country: str
    intent: Intent
    def __init__(self, session_id: _Optional[str] = ..., recent_queries: _Optional[_Iterable[str]] = ..., recent_clicks: _Optional[_Iterable[str]] = ..., device_type: _Optional[str] = ..., country: _Optional[str] = ..., intent: _Optional[_Union[Intent, str]] = ...) -> None: ...

class SearchFilter(_message.Message):
    __slots__ = ("field", "equals", "any_of", "range", "exists", "all", "any", "none")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    EQUALS_FIELD_NUMBER: _ClassVar[int]
    ANY_OF_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIELD_NUMBER: _ClassVar[int]
    EXISTS_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    ANY_FIELD_NUMBER: _ClassVar[int]
    NONE_FIELD_NUMBER: _ClassVar[int]
    field: str
    equals: SearchValue
    any_of: SearchValues
    range: SearchRange
    exists: bool
    all: SearchFilters
    any: SearchFilters
    none: SearchFilters
    def __init__(self, field: _Optional[str] = ..., equals: _Optional[_Union[SearchValue, _Mapping]] = ..., any_of: _Optional[_Union[SearchValues, _Mapping]] = ..., range: _Optional[_Union[SearchRange, _Mapping]] = ..., exists: _Optional[bool] = ..., all: _Optional[_Union[SearchFilters, _Mapping]] = ..., any: _Optional[_Union[SearchFilters, _Mapping]] = ..., none: _Optional[_Union[SearchFilters, _Mapping]] = ...) -> None: ...

class SearchFilters(_message.Message):
    __slots__ = ("filters",)
    FILTERS_FIELD_NUMBER: _ClassVar[int]
    filters: _containers.RepeatedCompositeFieldContainer[SearchFilter]
    def __init__(self, filters: _Optional[_Iterable[_Union[SearchFilter, _Mapping]]] = ...) -> None: ...

class SearchValue(_message.Message):
    __slots__ = ("text", "number", "flag")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    FLAG_FIELD_NUMBER: _ClassVar[int]
    text: str
    number: float
    flag: bool
    def __init__(self, text: _Optional[str] = ..., number: _Optional[float] = ..., flag: _Optional[bool] = ...) -> None: ...

class SearchValues(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedCompositeFieldContainer[SearchValue]
    def __init__(self, values: _Optional[_Iterable[_Union[SearchValue, _Mapping]]] = ...) -> None: ...

class SearchRange(_message.Message):
    __slots__ = ("at_least", "at_most")
    AT_LEAST_FIELD_NUMBER: _ClassVar[int]
    AT_MOST_FIELD_NUMBER: _ClassVar[int]
    at_least: float
    at_most: float
    def __init__(self, at_least: _Optional[float] = ..., at_most: _Optional[float] = ...) -> None: ...

class SearchSort(_message.Message):
    __slots__ = ("field", "descending")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    DESCENDING_FIELD_NUMBER: _ClassVar[int]
    field: str
    descending: bool
    def __init__(self, field: _Optional[str] = ..., descending: _Optional[bool] = ...) -> None: ...

class FacetRequest(_message.Message):
    __slots__ = ("field", "count")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    field: str
    count: int
    def __init__(self, field: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...

class SearchResponse(_message.Message):
    __slots__ = ("request_id", "hits", "total", "total_is_lower_bound", "next_page_token", "facets", "understood", "did_you_mean", "coverage", "degradations", "source", "arms", "latency_ms", "index_epoch", "ranker", "timings")
    class Source(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        SOURCE_UNSPECIFIED: _ClassVar[SearchResponse.Source]
        COMPUTED: _ClassVar[SearchResponse.Source]
        CACHE: _ClassVar[SearchResponse.Source]
        CACHE_PERSONALIZED: _ClassVar[SearchResponse.Source]
    SOURCE_UNSPECIFIED: SearchResponse.Source
    COMPUTED: SearchResponse.Source
    CACHE: SearchResponse.Source
    CACHE_PERSONALIZED: SearchResponse.Source
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    HITS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    TOTAL_IS_LOWER_BOUND_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FACETS_FIELD_NUMBER: _ClassVar[int]
    UNDERSTOOD_FIELD_NUMBER: _ClassVar[int]
    DID_YOU_MEAN_FIELD_NUMBER: _ClassVar[int]
    COVERAGE_FIELD_NUMBER: _ClassVar[int]
    DEGRADATIONS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    ARMS_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    INDEX_EPOCH_FIELD_NUMBER: _ClassVar[int]
    RANKER_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    hits: _containers.RepeatedCompositeFieldContainer[SearchHit]
    total: int
    total_is_lower_bound: bool
    next_page_token: str
    facets: _containers.RepeatedCompositeFieldContainer[FacetResult]
    understood: UnderstoodQuery
    did_you_mean: str
    coverage: Coverage
    degradations: _containers.RepeatedCompositeFieldContainer[_common_pb2.Degradation]
    source: SearchResponse.Source
    arms: _containers.RepeatedCompositeFieldContainer[SearchArm]
    latency_ms: float
    index_epoch: int
    ranker: str
    timings: _containers.RepeatedCompositeFieldContainer[SearchStage]
    def __init__(self, request_id: _Optional[str] = ..., hits: _Optional[_Iterable[_Union[SearchHit, _Mapping]]] = ..., total: _Optional[int] = ..., total_is_lower_bound: _Optional[bool] = ..., next_page_token: _Optional[str] = ..., facets: _Optional[_Iterable[_Union[FacetResult, _Mapping]]] = ..., understood: _Optional[_Union[UnderstoodQuery, _Mapping]] = ..., did_you_mean: _Optional[str] = ..., coverage: _Optional[_Union[Coverage, _Mapping]] = ..., degradations: _Optional[_Iterable[_Union[_common_pb2.Degradation, _Mapping]]] = ..., source: _Optional[_Union[SearchResponse.Source, str]] = ..., arms: _Optional[_Iterable[_Union[SearchArm, _Mapping]]] = ..., latency_ms: _Optional[float] = ..., index_epoch: _Optional[int] = ..., ranker: _Optional[str] = ..., timings: _Optional[_Iterable[_Union[SearchStage, _Mapping]]] = ...) -> None: ...

class SearchStage(_message.Message):
    __slots__ = ("stage", "milliseconds")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    MILLISECONDS_FIELD_NUMBER: _ClassVar[int]
    stage: str
    milliseconds: float
    def __init__(self, stage: _Optional[str] = ..., milliseconds: _Optional[float] = ...) -> None: ...

class SearchArm(_message.Message):
    __slots__ = ("experiment", "arm", "forced")
    EXPERIMENT_FIELD_NUMBER: _ClassVar[int]
    ARM_FIELD_NUMBER: _ClassVar[int]
    FORCED_FIELD_NUMBER: _ClassVar[int]
    experiment: str
    arm: str
    forced: bool
    def __init__(self, experiment: _Optional[str] = ..., arm: _Optional[str] = ..., forced: _Optional[bool] = ...) -> None: ...

class SearchHit(_message.Message):
    __slots__ = ("id", "score", "fields", "highlights", "pinned", "team", "debug")
    class FieldsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: SearchValue
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[SearchValue, _Mapping]] = ...) -> None: ...
    class HighlightsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    HIGHLIGHTS_FIELD_NUMBER: _ClassVar[int]
    PINNED_FIELD_NUMBER: _ClassVar[int]
    TEAM_FIELD_NUMBER: _ClassVar[int]
    DEBUG_FIELD_NUMBER: _ClassVar[int]
    id: str
    score: float
    fields: _containers.MessageMap[str, SearchValue]
    highlights: _containers.ScalarMap[str, str]
    pinned: bool
    team: str
    debug: HitDebug
    def __init__(self, id: _Optional[str] = ..., score: _Optional[float] = ..., fields: _Optional[_Mapping[str, SearchValue]] = ..., highlights: _Optional[_Mapping[str, str]] = ..., pinned: _Optional[bool] = ..., team: _Optional[str] = ..., debug: _Optional[_Union[HitDebug, _Mapping]] = ...) -> None: ...

class HitDebug(_message.Message):
    __slots__ = ("text_score", "ranking_score", "personal", "features", "places")
    class FeaturesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class PlacesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    TEXT_SCORE_FIELD_NUMBER: _ClassVar[int]
    RANKING_SCORE_FIELD_NUMBER: _ClassVar[int]
    PERSONAL_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    PLACES_FIELD_NUMBER: _ClassVar[int]
    text_score: float
    ranking_score: float
    personal: float
    features: _containers.ScalarMap[str, float]
    places: _containers.ScalarMap[str, int]
    def __init__(self, text_score: _Optional[float] = ..., ranking_score: _Optional[float] = ..., personal: _Optional[float] = ..., features: _Optional[_Mapping[str, float]] = ..., places: _Optional[_Mapping[str, int]] = ...) -> None: ...

class FacetResult(_message.Message):
    __slots__ = ("field", "counts", "more")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    field: str
    counts: _containers.RepeatedCompositeFieldContainer[FacetCount]
    more: bool
    def __init__(self, field: _Optional[str] = ..., counts: _Optional[_Iterable[_Union[FacetCount, _Mapping]]] = ..., more: _Optional[bool] = ...) -> None: ...

class FacetCount(_message.Message):
    __slots__ = ("value", "count")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    value: SearchValue
    count: int
    def __init__(self, value: _Optional[_Union[SearchValue, _Mapping]] = ..., count: _Optional[int] = ...) -> None: ...

class UnderstoodQuery(_message.Message):
    __slots__ = ("text", "intent", "corrections", "filters", "entities", "dropped", "synonyms", "relaxed")
    class Correction(_message.Message):
        __slots__ = ("written", "taken_for")
        WRITTEN_FIELD_NUMBER: _ClassVar[int]
        TAKEN_FOR_FIELD_NUMBER: _ClassVar[int]
        written: str
        taken_for: str
        def __init__(self, written: _Optional[str] = ..., taken_for: _Optional[str] = ...) -> None: ...
    class Entity(_message.Message):
        __slots__ = ("kind", "text", "value")
        KIND_FIELD_NUMBER: _ClassVar[int]
        TEXT_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        kind: str
        text: str
        value: str
        def __init__(self, kind: _Optional[str] = ..., text: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class Expansion(_message.Message):
        __slots__ = ("word", "synonyms")
        WORD_FIELD_NUMBER: _ClassVar[int]
        SYNONYMS_FIELD_NUMBER: _ClassVar[int]
        word: str
        synonyms: _containers.RepeatedScalarFieldContainer[str]
        def __init__(self, word: _Optional[str] = ..., synonyms: _Optional[_Iterable[str]] = ...) -> None: ...
    TEXT_FIELD_NUMBER: _ClassVar[int]
    INTENT_FIELD_NUMBER: _ClassVar[int]
    CORRECTIONS_FIELD_NUMBER: _ClassVar[int]
    FILTERS_FIELD_NUMBER: _ClassVar[int]
    ENTITIES_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    SYNONYMS_FIELD_NUMBER: _ClassVar[int]
    RELAXED_FIELD_NUMBER: _ClassVar[int]
    text: str
    intent: Intent
    corrections: _containers.RepeatedCompositeFieldContainer[UnderstoodQuery.Correction]
    filters: _containers.RepeatedCompositeFieldContainer[SearchFilter]
    entities: _containers.RepeatedCompositeFieldContainer[UnderstoodQuery.Entity]
    dropped: _containers.RepeatedScalarFieldContainer[str]
    synonyms: _containers.RepeatedCompositeFieldContainer[UnderstoodQuery.Expansion]
    relaxed: str
    def __init__(self, text: _Optional[str] = ..., intent: _Optional[_Union[Intent, str]] = ..., corrections: _Optional[_Iterable[_Union[UnderstoodQuery.Correction, _Mapping]]] = ..., filters: _Optional[_Iterable[_Union[SearchFilter, _Mapping]]] = ..., entities: _Optional[_Iterable[_Union[UnderstoodQuery.Entity, _Mapping]]] = ..., dropped: _Optional[_Iterable[str]] = ..., synonyms: _Optional[_Iterable[_Union[UnderstoodQuery.Expansion, _Mapping]]] = ..., relaxed: _Optional[str] = ...) -> None: ...

class Coverage(_message.Message):
    __slots__ = ("coverage", "full", "timeout", "ranker_failed", "index_slow")
    COVERAGE_FIELD_NUMBER: _ClassVar[int]
    FULL_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    RANKER_FAILED_FIELD_NUMBER: _ClassVar[int]
    INDEX_SLOW_FIELD_NUMBER: _ClassVar[int]
    coverage: float
    full: bool
    timeout: bool
    ranker_failed: bool
    index_slow: bool
    def __init__(self, coverage: _Optional[float] = ..., full: _Optional[bool] = ..., timeout: _Optional[bool] = ..., ranker_failed: _Optional[bool] = ..., index_slow: _Optional[bool] = ...) -> None: ...

class SuggestRequest(_message.Message):
    __slots__ = ("prefix", "user_id", "count", "context")
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    prefix: str
    user_id: str
    count: int
    context: SearchContext
    def __init__(self, prefix: _Optional[str] = ..., user_id: _Optional[str] = ..., count: _Optional[int] = ..., context: _Optional[_Union[SearchContext, _Mapping]] = ...) -> None: ...

class SuggestResponse(_message.Message):
    __slots__ = ("suggestions", "did_you_mean", "degradations", "latency_ms")
    SUGGESTIONS_FIELD_NUMBER: _ClassVar[int]
    DID_YOU_MEAN_FIELD_NUMBER: _ClassVar[int]
    DEGRADATIONS_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    suggestions: _containers.RepeatedCompositeFieldContainer[Suggestion]
    did_you_mean: str
    degradations: _containers.RepeatedCompositeFieldContainer[_common_pb2.Degradation]
    latency_ms: float
    def __init__(self, suggestions: _Optional[_Iterable[_Union[Suggestion, _Mapping]]] = ..., did_you_mean: _Optional[str] = ..., degradations: _Optional[_Iterable[_Union[_common_pb2.Degradation, _Mapping]]] = ..., latency_ms: _Optional[float] = ...) -> None: ...

class Suggestion(_message.Message):
    __slots__ = ("text", "score", "kind", "match_start", "match_end", "corrected")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    MATCH_START_FIELD_NUMBER: _ClassVar[int]
    MATCH_END_FIELD_NUMBER: _ClassVar[int]
    CORRECTED_FIELD_NUMBER: _ClassVar[int]
    text: str
    score: float
    kind: str
    match_start: int
    match_end: int
    corrected: bool
    def __init__(self, text: _Optional[str] = ..., score: _Optional[float] = ..., kind: _Optional[str] = ..., match_start: _Optional[int] = ..., match_end: _Optional[int] = ..., corrected: _Optional[bool] = ...) -> None: ...

class Document(_message.Message):
    __slots__ = ("id", "fields")
    class FieldsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: DocumentValue
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[DocumentValue, _Mapping]] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    id: str
    fields: _containers.MessageMap[str, DocumentValue]
    def __init__(self, id: _Optional[str] = ..., fields: _Optional[_Mapping[str, DocumentValue]] = ...) -> None: ...

class DocumentValue(_message.Message):
    __slots__ = ("text", "number", "flag", "texts")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    FLAG_FIELD_NUMBER: _ClassVar[int]
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    text: str
    number: float
    flag: bool
    texts: DocumentTexts
    def __init__(self, text: _Optional[str] = ..., number: _Optional[float] = ..., flag: _Optional[bool] = ..., texts: _Optional[_Union[DocumentTexts, _Mapping]] = ...) -> None: ...

class DocumentTexts(_message.Message):
    __slots__ = ("texts",)
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    texts: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, texts: _Optional[_Iterable[str]] = ...) -> None: ...

class IndexDocumentsRequest(_message.Message):
    __slots__ = ("documents",)
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    documents: _containers.RepeatedCompositeFieldContainer[Document]
    def __init__(self, documents: _Optional[_Iterable[_Union[Document, _Mapping]]] = ...) -> None: ...

class IndexDocumentsResponse(_message.Message):
    __slots__ = ("results", "index_epoch")
    class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATUS_UNSPECIFIED: _ClassVar[IndexDocumentsResponse.Status]
        INDEXED: _ClassVar[IndexDocumentsResponse.Status]
        REJECTED: _ClassVar[IndexDocumentsResponse.Status]
    STATUS_UNSPECIFIED: IndexDocumentsResponse.Status
    INDEXED: IndexDocumentsResponse.Status
    REJECTED: IndexDocumentsResponse.Status
    class Result(_message.Message):
        __slots__ = ("status", "problems")
        STATUS_FIELD_NUMBER: _ClassVar[int]
        PROBLEMS_FIELD_NUMBER: _ClassVar[int]
        status: IndexDocumentsResponse.Status
        problems: _containers.RepeatedScalarFieldContainer[str]
        def __init__(self, status: _Optional[_Union[IndexDocumentsResponse.Status, str]] = ..., problems: _Optional[_Iterable[str]] = ...) -> None: ...
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    INDEX_EPOCH_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[IndexDocumentsResponse.Result]
    index_epoch: int
    def __init__(self, results: _Optional[_Iterable[_Union[IndexDocumentsResponse.Result, _Mapping]]] = ..., index_epoch: _Optional[int] = ...) -> None: ...

class DeleteDocumentsRequest(_message.Message):
    __slots__ = ("ids",)
    IDS_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, ids: _Optional[_Iterable[str]] = ...) -> None: ...

class DeleteDocumentsResponse(_message.Message):
    __slots__ = ("deleted", "index_epoch")
    DELETED_FIELD_NUMBER: _ClassVar[int]
    INDEX_EPOCH_FIELD_NUMBER: _ClassVar[int]
    deleted: _containers.RepeatedScalarFieldContainer[bool]
    index_epoch: int
    def __init__(self, deleted: _Optional[_Iterable[bool]] = ..., index_epoch: _Optional[int] = ...) -> None: ...

class GetDocumentsRequest(_message.Message):
    __slots__ = ("ids",)
    IDS_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, ids: _Optional[_Iterable[str]] = ...) -> None: ...

class GetDocumentsResponse(_message.Message):
    __slots__ = ("documents", "index_epoch")
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    INDEX_EPOCH_FIELD_NUMBER: _ClassVar[int]
    documents: _containers.RepeatedCompositeFieldContainer[Document]
    index_epoch: int
    def __init__(self, documents: _Optional[_Iterable[_Union[Document, _Mapping]]] = ..., index_epoch: _Optional[int] = ...) -> None: ...

class Click(_message.Message):
    __slots__ = ("document_id", "query", "user_id", "request_id", "position", "type", "time_us", "event_id")
    class Type(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        TYPE_UNSPECIFIED: _ClassVar[Click.Type]
        CLICK: _ClassVar[Click.Type]
        CART: _ClassVar[Click.Type]
        PURCHASE: _ClassVar[Click.Type]
    TYPE_UNSPECIFIED: Click.Type
    CLICK: Click.Type
    CART: Click.Type
    PURCHASE: Click.Type
    DOCUMENT_ID_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    TIME_US_FIELD_NUMBER: _ClassVar[int]
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    document_id: str
    query: str
    user_id: str
    request_id: str
    position: int
    type: Click.Type
    time_us: int
    event_id: str
    def __init__(self, document_id: _Optional[str] = ..., query: _Optional[str] = ..., user_id: _Optional[str] = ..., request_id: _Optional[str] = ..., position: _Optional[int] = ..., type: _Optional[_Union[Click.Type, str]] = ..., time_us: _Optional[int] = ..., event_id: _Optional[str] = ...) -> None: ...

class RecordClickRequest(_message.Message):
    __slots__ = ("clicks",)
    CLICKS_FIELD_NUMBER: _ClassVar[int]
    clicks: _containers.RepeatedCompositeFieldContainer[Click]
    def __init__(self, clicks: _Optional[_Iterable[_Union[Click, _Mapping]]] = ...) -> None: ...

class RecordClickResponse(_message.Message):
    __slots__ = ("results",)
    class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATUS_UNSPECIFIED: _ClassVar[RecordClickResponse.Status]
        ADDED: _ClassVar[RecordClickResponse.Status]
        DUPLICATE: _ClassVar[RecordClickResponse.Status]
        TOO_OLD: _ClassVar[RecordClickResponse.Status]
        REJECTED: _ClassVar[RecordClickResponse.Status]
    STATUS_UNSPECIFIED: RecordClickResponse.Status
    ADDED: RecordClickResponse.Status
    DUPLICATE: RecordClickResponse.Status
    TOO_OLD: RecordClickResponse.Status
    REJECTED: RecordClickResponse.Status
    class Result(_message.Message):
        __slots__ = ("status", "problems")
        STATUS_FIELD_NUMBER: _ClassVar[int]
        PROBLEMS_FIELD_NUMBER: _ClassVar[int]
        status: RecordClickResponse.Status
        problems: _containers.RepeatedScalarFieldContainer[str]
        def __init__(self, status: _Optional[_Union[RecordClickResponse.Status, str]] = ..., problems: _Optional[_Iterable[str]] = ...) -> None: ...
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[RecordClickResponse.Result]
    def __init__(self, results: _Optional[_Iterable[_Union[RecordClickResponse.Result, _Mapping]]] = ...) -> None: ...

class ExplainHitRequest(_message.Message):
    __slots__ = ("request", "document_id")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_ID_FIELD_NUMBER: _ClassVar[int]
    request: SearchRequest
    document_id: str
    def __init__(self, request: _Optional[_Union[SearchRequest, _Mapping]] = ..., document_id: _Optional[str] = ...) -> None: ...

class ExplainHitResponse(_message.Message):
    __slots__ = ("position", "lost", "hit", "understood", "text_explanation")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    HIT_FIELD_NUMBER: _ClassVar[int]
    UNDERSTOOD_FIELD_NUMBER: _ClassVar[int]
    TEXT_EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    position: int
    lost: str
    hit: SearchHit
    understood: UnderstoodQuery
    text_explanation: str
    def __init__(self, position: _Optional[int] = ..., lost: _Optional[str] = ..., hit: _Optional[_Union[SearchHit, _Mapping]] = ..., understood: _Optional[_Union[UnderstoodQuery, _Mapping]] = ..., text_explanation: _Optional[str] = ...) -> None: ...

class SynonymSet(_message.Message):
    __slots__ = ("words", "of")
    WORDS_FIELD_NUMBER: _ClassVar[int]
    OF_FIELD_NUMBER: _ClassVar[int]
    words: _containers.RepeatedScalarFieldContainer[str]
    of: str
    def __init__(self, words: _Optional[_Iterable[str]] = ..., of: _Optional[str] = ...) -> None: ...

class PutSynonymsRequest(_message.Message):
    __slots__ = ("synonyms",)
    SYNONYMS_FIELD_NUMBER: _ClassVar[int]
    synonyms: _containers.RepeatedCompositeFieldContainer[SynonymSet]
    def __init__(self, synonyms: _Optional[_Iterable[_Union[SynonymSet, _Mapping]]] = ...) -> None: ...

class PutSynonymsResponse(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: int
    def __init__(self, version: _Optional[int] = ...) -> None: ...

class Curation(_message.Message):
    __slots__ = ("query", "match", "pins", "hidden")
    class Match(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        EXACT: _ClassVar[Curation.Match]
        CONTAINS: _ClassVar[Curation.Match]
    EXACT: Curation.Match
    CONTAINS: Curation.Match
    class Pin(_message.Message):
        __slots__ = ("id", "position")
        ID_FIELD_NUMBER: _ClassVar[int]
        POSITION_FIELD_NUMBER: _ClassVar[int]
        id: str
        position: int
        def __init__(self, id: _Optional[str] = ..., position: _Optional[int] = ...) -> None: ...
    QUERY_FIELD_NUMBER: _ClassVar[int]
    MATCH_FIELD_NUMBER: _ClassVar[int]
    PINS_FIELD_NUMBER: _ClassVar[int]
    HIDDEN_FIELD_NUMBER: _ClassVar[int]
    query: str
    match: Curation.Match
    pins: _containers.RepeatedCompositeFieldContainer[Curation.Pin]
    hidden: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, query: _Optional[str] = ..., match: _Optional[_Union[Curation.Match, str]] = ..., pins: _Optional[_Iterable[_Union[Curation.Pin, _Mapping]]] = ..., hidden: _Optional[_Iterable[str]] = ...) -> None: ...

class PutCurationsRequest(_message.Message):
    __slots__ = ("curations",)
    CURATIONS_FIELD_NUMBER: _ClassVar[int]
    curations: _containers.RepeatedCompositeFieldContainer[Curation]
    def __init__(self, curations: _Optional[_Iterable[_Union[Curation, _Mapping]]] = ...) -> None: ...

class PutCurationsResponse(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: int
    def __init__(self, version: _Optional[int] = ...) -> None: ...

class DescribeIndexRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DescribeIndexResponse(_message.Message):
    __slots__ = ("documents", "index_epoch", "segments", "bytes", "fields", "synonyms", "curations", "terms")
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    INDEX_EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    SYNONYMS_FIELD_NUMBER: _ClassVar[int]
    CURATIONS_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    documents: int
    index_epoch: int
    segments: int
    bytes: int
    fields: _containers.RepeatedCompositeFieldContainer[IndexedField]
    synonyms: _containers.RepeatedCompositeFieldContainer[SynonymSet]
    curations: _containers.RepeatedCompositeFieldContainer[Curation]
    terms: int
    def __init__(self, documents: _Optional[int] = ..., index_epoch: _Optional[int] = ..., segments: _Optional[int] = ..., bytes: _Optional[int] = ..., fields: _Optional[_Iterable[_Union[IndexedField, _Mapping]]] = ..., synonyms: _Optional[_Iterable[_Union[SynonymSet, _Mapping]]] = ..., curations: _Optional[_Iterable[_Union[Curation, _Mapping]]] = ..., terms: _Optional[int] = ...) -> None: ...

class IndexedField(_message.Message):
    __slots__ = ("name", "type", "boost", "sortable", "facet")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    BOOST_FIELD_NUMBER: _ClassVar[int]
    SORTABLE_FIELD_NUMBER: _ClassVar[int]
    FACET_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: str
    boost: float
    sortable: bool
    facet: bool
    def __init__(self, name: _Optional[str] = ..., type: _Optional[str] = ..., boost: _Optional[float] = ..., sortable: _Optional[bool] = ..., facet: _Optional[bool] = ...) -> None: ...

class RebuildIndexRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RebuildIndexResponse(_message.Message):
    __slots__ = ("documents", "seconds", "index_epoch")
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    INDEX_EPOCH_FIELD_NUMBER: _ClassVar[int]
    documents: int
    seconds: float
    index_epoch: int
    def __init__(self, documents: _Optional[int] = ..., seconds: _Optional[float] = ..., index_epoch: _Optional[int] = ...) -> None: ...
