from inferd.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetRecommendationsRequest(_message.Message):
    __slots__ = ("user_id", "count", "filters", "context", "request_id", "debug", "include_seen", "skip_cache", "forced_arms")
    class ForcedArmsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    FILTERS_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    DEBUG_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_SEEN_FIELD_NUMBER: _ClassVar[int]
    SKIP_CACHE_FIELD_NUMBER: _ClassVar[int]
    FORCED_ARMS_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    count: int
    filters: _containers.RepeatedCompositeFieldContainer[ItemFilter]
    context: RecommendationContext
    request_id: str
    debug: bool
    include_seen: bool
    skip_cache: bool
    forced_arms: _containers.ScalarMap[str, str]
    def __init__(self, user_id: _Optional[str] = ..., count: _Optional[int] = ..., filters: _Optional[_Iterable[_Union[ItemFilter, _Mapping]]] = ..., context: _Optional[_Union[RecommendationContext, _Mapping]] = ..., request_id: _Optional[str] = ..., debug: _Optional[bool] = ..., include_seen: _Optional[bool] = ..., skip_cache: _Optional[bool] = ..., forced_arms: _Optional[_Mapping[str, str]] = ...) -> None: ...

class RecommendationContext(_message.Message):
    __slots__ = ("session_id", "page", "item_id", "category", "device_type", "country", "recent_items")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    DEVICE_TYPE_FIELD_NUMBER: _ClassVar[int]
    COUNTRY_FIELD_NUMBER: _ClassVar[int]
    RECENT_ITEMS_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    page: str
    item_id: str
    category: str
    device_type: str
    country: str
    recent_items: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, session_id: _Optional[str] = ..., page: _Optional[str] = ..., item_id: _Optional[str] = ..., category: _Optional[str] = ..., device_type: _Optional[str] = ..., country: _Optional[str] = ..., recent_items: _Optional[_Iterable[str]] = ...) -> None: ...

class ItemFilter(_message.Message):
    __slots__ = ("field", "equals", "any_of", "range", "negate")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    EQUALS_FIELD_NUMBER: _ClassVar[int]
    ANY_OF_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIELD_NUMBER: _ClassVar[int]
    NEGATE_FIELD_NUMBER: _ClassVar[int]
    field: str
    equals: FilterValue
    any_of: FilterValues
    range: FilterRange
    negate: bool
    def __init__(self, field: _Optional[str] = ..., equals: _Optional[_Union[FilterValue, _Mapping]] = ..., any_of: _Optional[_Union[FilterValues, _Mapping]] = ..., range: _Optional[_Union[FilterRange, _Mapping]] = ..., negate: _Optional[bool] = ...) -> None: ...

class FilterValue(_message.Message):
    __slots__ = ("text", "number", "flag")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    FLAG_FIELD_NUMBER: _ClassVar[int]
    text: str
    number: float
    flag: bool
    def __init__(self, text: _Optional[str] = ..., number: _Optional[float] = ..., flag: _Optional[bool] = ...) -> None: ...

class FilterValues(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedCompositeFieldContainer[FilterValue]
    def __init__(self, values: _Optional[_Iterable[_Union[FilterValue, _Mapping]]] = ...) -> None: ...

class FilterRange(_message.Message):
    __slots__ = ("at_least", "at_most")
    AT_LEAST_FIELD_NUMBER: _ClassVar[int]
    AT_MOST_FIELD_NUMBER: _ClassVar[int]
    at_least: float
    at_most: float
    def __init__(self, at_least: _Optional[float] = ..., at_most: _Optional[float] = ...) -> None: ...

class SimilarItemsRequest(_message.Message):
    __slots__ = ("item_id", "user_id", "count", "filters", "request_id", "debug")
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    FILTERS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    DEBUG_FIELD_NUMBER: _ClassVar[int]
    item_id: str
    user_id: str
    count: int
    filters: _containers.RepeatedCompositeFieldContainer[ItemFilter]
    request_id: str
    debug: bool
    def __init__(self, item_id: _Optional[str] = ..., user_id: _Optional[str] = ..., count: _Optional[int] = ..., filters: _Optional[_Iterable[_Union[ItemFilter, _Mapping]]] = ..., request_id: _Optional[str] = ..., debug: _Optional[bool] = ...) -> None: ...

class GetTrendingRequest(_message.Message):
    __slots__ = ("category", "count", "filters", "request_id", "debug")
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    FILTERS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    DEBUG_FIELD_NUMBER: _ClassVar[int]
    category: str
    count: int
    filters: _containers.RepeatedCompositeFieldContainer[ItemFilter]
    request_id: str
    debug: bool
    def __init__(self, category: _Optional[str] = ..., count: _Optional[int] = ..., filters: _Optional[_Iterable[_Union[ItemFilter, _Mapping]]] = ..., request_id: _Optional[str] = ..., debug: _Optional[bool] = ...) -> None: ...

class Recommendations(_message.Message):
    __slots__ = ("request_id", "items", "source", "degradations", "arms", "latency_ms", "time_us", "catalogue_epoch", "models", "debug")
    class Source(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        SOURCE_UNSPECIFIED: _ClassVar[Recommendations.Source]
        COMPUTED: _ClassVar[Recommendations.Source]
        CACHE: _ClassVar[Recommendations.Source]
        COLD_START: _ClassVar[Recommendations.Source]
        POPULAR: _ClassVar[Recommendations.Source]
        SIMILAR: _ClassVar[Recommendations.Source]
        TRENDING: _ClassVar[Recommendations.Source]
    SOURCE_UNSPECIFIED: Recommendations.Source
    COMPUTED: Recommendations.Source
    CACHE: Recommendations.Source
    COLD_START: Recommendations.Source
    POPULAR: Recommendations.Source
    SIMILAR: Recommendations.Source
    TRENDING: Recommendations.Source
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    DEGRADATIONS_FIELD_NUMBER: _ClassVar[int]
    ARMS_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    TIME_US_FIELD_NUMBER: _ClassVar[int]
    CATALOGUE_EPOCH_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    DEBUG_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    items: _containers.RepeatedCompositeFieldContainer[RecommendedItem]
    source: Recommendations.Source
    degradations: _containers.RepeatedCompositeFieldContainer[_common_pb2.Degradation]
    arms: _containers.RepeatedCompositeFieldContainer[ExperimentArm]
    latency_ms: float
    time_us: int
    catalogue_epoch: int
    models: _containers.RepeatedScalarFieldContainer[str]
    debug: RecommendationDebug
    def __init__(self, request_id: _Optional[str] = ..., items: _Optional[_Iterable[_Union[RecommendedItem, _Mapping]]] = ..., source: _Optional[_Union[Recommendations.Source, str]] = ..., degradations: _Optional[_Iterable[_Union[_common_pb2.Degradation, _Mapping]]] = ..., arms: _Optional[_Iterable[_Union[ExperimentArm, _Mapping]]] = ..., latency_ms: _Optional[float] = ..., time_us: _Optional[int] = ..., catalogue_epoch: _Optional[int] = ..., models: _Optional[_Iterable[str]] = ..., debug: _Optional[_Union[RecommendationDebug, _Mapping]] = ...) -> None: ...

class RecommendedItem(_message.Message):
    __slots__ = ("item_id", "score", "reason", "debug")
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DEBUG_FIELD_NUMBER: _ClassVar[int]
    item_id: str
    score: float
    reason: str
    debug: ItemDebug
    def __init__(self, item_id: _Optional[str] = ..., score: _Optional[float] = ..., reason: _Optional[str] = ..., debug: _Optional[_Union[ItemDebug, _Mapping]] = ...) -> None: ...

class ItemDebug(_message.Message):
    __slots__ = ("sources", "features", "scores", "ranking")
    class SourcesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class FeaturesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class ScoresEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    RANKING_FIELD_NUMBER: _ClassVar[int]
    sources: _containers.ScalarMap[str, float]
    features: _containers.ScalarMap[str, float]
    scores: _containers.ScalarMap[str, float]
    ranking: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, sources: _Optional[_Mapping[str, float]] = ..., features: _Optional[_Mapping[str, float]] = ..., scores: _Optional[_Mapping[str, float]] = ..., ranking: _Optional[_Iterable[str]] = ...) -> None: ...

class RecommendationDebug(_message.Message):
    __slots__ = ("timings", "candidates", "left", "interactions")
    class CandidatesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class LeftEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    LEFT_FIELD_NUMBER: _ClassVar[int]
    INTERACTIONS_FIELD_NUMBER: _ClassVar[int]
    timings: _containers.RepeatedCompositeFieldContainer[StageDuration]
    candidates: _containers.ScalarMap[str, int]
    left: _containers.ScalarMap[str, int]
    interactions: int
    def __init__(self, timings: _Optional[_Iterable[_Union[StageDuration, _Mapping]]] = ..., candidates: _Optional[_Mapping[str, int]] = ..., left: _Optional[_Mapping[str, int]] = ..., interactions: _Optional[int] = ...) -> None: ...

class StageDuration(_message.Message):
    __slots__ = ("stage", "milliseconds")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    MILLISECONDS_FIELD_NUMBER: _ClassVar[int]
    stage: str
    milliseconds: float
    def __init__(self, stage: _Optional[str] = ..., milliseconds: _Optional[float] = ...) -> None: ...

class ExperimentArm(_message.Message):
    __slots__ = ("experiment", "arm", "forced")
    EXPERIMENT_FIELD_NUMBER: _ClassVar[int]
    ARM_FIELD_NUMBER: _ClassVar[int]
    FORCED_FIELD_NUMBER: _ClassVar[int]
    experiment: str
    arm: str
    forced: bool
    def __init__(self, experiment: _Optional[str] = ..., arm: _Optional[str] = ..., forced: _Optional[bool] = ...) -> None: ...

class Interaction(_message.Message):
    __slots__ = ("user_id", "item_id", "type", "time_us", "request_id", "position", "event_id", "quantity")
    class Type(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        TYPE_UNSPECIFIED: _ClassVar[Interaction.Type]
        IMPRESSION: _ClassVar[Interaction.Type]
        VIEW: _ClassVar[Interaction.Type]
        CLICK: _ClassVar[Interaction.Type]
        CART: _ClassVar[Interaction.Type]
        PURCHASE: _ClassVar[Interaction.Type]
        DISLIKE: _ClassVar[Interaction.Type]
    TYPE_UNSPECIFIED: Interaction.Type
    IMPRESSION: Interaction.Type
    VIEW: Interaction.Type
    CLICK: Interaction.Type
    CART: Interaction.Type
    PURCHASE: Interaction.Type
    DISLIKE: Interaction.Type
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    TIME_US_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    item_id: str
    type: Interaction.Type
    time_us: int
    request_id: str
    position: int
    event_id: str
    quantity: int
    def __init__(self, user_id: _Optional[str] = ..., item_id: _Optional[str] = ..., type: _Optional[_Union[Interaction.Type, str]] = ..., time_us: _Optional[int] = ..., request_id: _Optional[str] = ..., position: _Optional[int] = ..., event_id: _Optional[str] = ..., quantity: _Optional[int] = ...) -> None: ...

class RecordInteractionsRequest(_message.Message):
    __slots__ = ("interactions",)
    INTERACTIONS_FIELD_NUMBER: _ClassVar[int]
    interactions: _containers.RepeatedCompositeFieldContainer[Interaction]
    def __init__(self, interactions: _Optional[_Iterable[_Union[Interaction, _Mapping]]] = ...) -> None: ...

class RecordInteractionsResponse(_message.Message):
    __slots__ = ("results",)
    class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATUS_UNSPECIFIED: _ClassVar[RecordInteractionsResponse.Status]
        ADDED: _ClassVar[RecordInteractionsResponse.Status]
        DUPLICATE: _ClassVar[RecordInteractionsResponse.Status]
        TOO_OLD: _ClassVar[RecordInteractionsResponse.Status]
        REJECTED: _ClassVar[RecordInteractionsResponse.Status]
    STATUS_UNSPECIFIED: RecordInteractionsResponse.Status
    ADDED: RecordInteractionsResponse.Status
    DUPLICATE: RecordInteractionsResponse.Status
    TOO_OLD: RecordInteractionsResponse.Status
    REJECTED: RecordInteractionsResponse.Status
    class Result(_message.Message):
        __slots__ = ("status", "problems")
        STATUS_FIELD_NUMBER: _ClassVar[int]
        PROBLEMS_FIELD_NUMBER: _ClassVar[int]
        status: RecordInteractionsResponse.Status
        problems: _containers.RepeatedScalarFieldContainer[str]
        def __init__(self, status: _Optional[_Union[RecordInteractionsResponse.Status, str]] = ..., problems: _Optional[_Iterable[str]] = ...) -> None: ...
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[RecordInteractionsResponse.Result]
    def __init__(self, results: _Optional[_Iterable[_Union[RecordInteractionsResponse.Result, _Mapping]]] = ...) -> None: ...

class Item(_message.Message):
    __slots__ = ("id", "title", "description", "category", "brand", "merchant", "price_minor", "currency", "stock", "released_us", "tags", "attributes", "vector")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: FilterValue
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[FilterValue, _Mapping]] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    BRAND_FIELD_NUMBER: _ClassVar[int]
    MERCHANT_FIELD_NUMBER: _ClassVar[int]
    PRICE_MINOR_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    STOCK_FIELD_NUMBER: _ClassVar[int]
    RELEASED_US_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    VECTOR_FIELD_NUMBER: _ClassVar[int]
    id: str
    title: str
    description: str
    category: str
    brand: str
    merchant: str
    price_minor: int
    currency: str
    stock: int
    released_us: int
    tags: _containers.RepeatedScalarFieldContainer[str]
    attributes: _containers.MessageMap[str, FilterValue]
    vector: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, id: _Optional[str] = ..., title: _Optional[str] = ..., description: _Optional[str] = ..., category: _Optional[str] = ..., brand: _Optional[str] = ..., merchant: _Optional[str] = ..., price_minor: _Optional[int] = ..., currency: _Optional[str] = ..., stock: _Optional[int] = ..., released_us: _Optional[int] = ..., tags: _Optional[_Iterable[str]] = ..., attributes: _Optional[_Mapping[str, FilterValue]] = ..., vector: _Optional[_Iterable[float]] = ...) -> None: ...

class UpsertItemsRequest(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[Item]
    def __init__(self, items: _Optional[_Iterable[_Union[Item, _Mapping]]] = ...) -> None: ...

class UpsertItemsResponse(_message.Message):
    __slots__ = ("results", "catalogue_epoch")
    class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATUS_UNSPECIFIED: _ClassVar[UpsertItemsResponse.Status]
        ADDED: _ClassVar[UpsertItemsResponse.Status]
        REPLACED: _ClassVar[UpsertItemsResponse.Status]
        UNCHANGED: _ClassVar[UpsertItemsResponse.Status]
        REJECTED: _ClassVar[UpsertItemsResponse.Status]
    STATUS_UNSPECIFIED: UpsertItemsResponse.Status
    ADDED: UpsertItemsResponse.Status
    REPLACED: UpsertItemsResponse.Status
    UNCHANGED: UpsertItemsResponse.Status
    REJECTED: UpsertItemsResponse.Status
    class Result(_message.Message):
        __slots__ = ("status", "problems")
        STATUS_FIELD_NUMBER: _ClassVar[int]
        PROBLEMS_FIELD_NUMBER: _ClassVar[int]
        status: UpsertItemsResponse.Status
        problems: _containers.RepeatedScalarFieldContainer[str]
        def __init__(self, status: _Optional[_Union[UpsertItemsResponse.Status, str]] = ..., problems: _Optional[_Iterable[str]] = ...) -> None: ...
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    CATALOGUE_EPOCH_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[UpsertItemsResponse.Result]
    catalogue_epoch: int
    def __init__(self, results: _Optional[_Iterable[_Union[UpsertItemsResponse.Result, _Mapping]]] = ..., catalogue_epoch: _Optional[int] = ...) -> None: ...

class DeleteItemsRequest(_message.Message):
    __slots__ = ("item_ids",)
    ITEM_IDS_FIELD_NUMBER: _ClassVar[int]
    item_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, item_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class DeleteItemsResponse(_message.Message):
    __slots__ = ("deleted", "catalogue_epoch")
    DELETED_FIELD_NUMBER: _ClassVar[int]
    CATALOGUE_EPOCH_FIELD_NUMBER: _ClassVar[int]
    deleted: _containers.RepeatedScalarFieldContainer[bool]
    catalogue_epoch: int
    def __init__(self, deleted: _Optional[_Iterable[bool]] = ..., catalogue_epoch: _Optional[int] = ...) -> None: ...

class GetItemsRequest(_message.Message):
    __slots__ = ("item_ids",)
    ITEM_IDS_FIELD_NUMBER: _ClassVar[int]
    item_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, item_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class GetItemsResponse(_message.Message):
    __slots__ = ("items", "catalogue_epoch", "catalogue_size")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    CATALOGUE_EPOCH_FIELD_NUMBER: _ClassVar[int]
    CATALOGUE_SIZE_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[Item]
    catalogue_epoch: int
    catalogue_size: int
    def __init__(self, items: _Optional[_Iterable[_Union[Item, _Mapping]]] = ..., catalogue_epoch: _Optional[int] = ..., catalogue_size: _Optional[int] = ...) -> None: ...

class ExplainRecommendationRequest(_message.Message):
    __slots__ = ("request", "item_ids")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    ITEM_IDS_FIELD_NUMBER: _ClassVar[int]
    request: GetRecommendationsRequest
    item_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, request: _Optional[_Union[GetRecommendationsRequest, _Mapping]] = ..., item_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class ExplainRecommendationResponse(_message.Message):
    __slots__ = ("recommendations", "fates")
    class Fate(_message.Message):
        __slots__ = ("item_id", "position", "lost", "debug")
        ITEM_ID_FIELD_NUMBER: _ClassVar[int]
        POSITION_FIELD_NUMBER: _ClassVar[int]
        LOST_FIELD_NUMBER: _ClassVar[int]
        DEBUG_FIELD_NUMBER: _ClassVar[int]
        item_id: str
        position: int
        lost: str
        debug: ItemDebug
        def __init__(self, item_id: _Optional[str] = ..., position: _Optional[int] = ..., lost: _Optional[str] = ..., debug: _Optional[_Union[ItemDebug, _Mapping]] = ...) -> None: ...
    RECOMMENDATIONS_FIELD_NUMBER: _ClassVar[int]
    FATES_FIELD_NUMBER: _ClassVar[int]
    recommendations: Recommendations
    fates: _containers.RepeatedCompositeFieldContainer[ExplainRecommendationResponse.Fate]
    def __init__(self, recommendations: _Optional[_Union[Recommendations, _Mapping]] = ..., fates: _Optional[_Iterable[_Union[ExplainRecommendationResponse.Fate, _Mapping]]] = ...) -> None: ...
