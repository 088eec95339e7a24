from inferd.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FeatureValue(_message.Message):
    __slots__ = ("int64_value", "float64_value", "bool_value", "string_value", "bytes_value", "float_list", "string_list")
    INT64_VALUE_FIELD_NUMBER: _ClassVar[int]
    FLOAT64_VALUE_FIELD_NUMBER: _ClassVar[int]
    BOOL_VALUE_FIELD_NUMBER: _ClassVar[int]
    STRING_VALUE_FIELD_NUMBER: _ClassVar[int]
    BYTES_VALUE_FIELD_NUMBER: _ClassVar[int]
    FLOAT_LIST_FIELD_NUMBER: _ClassVar[int]
    STRING_LIST_FIELD_NUMBER: _ClassVar[int]
    int64_value: int
    float64_value: float
    bool_value: bool
    string_value: str
    bytes_value: bytes
    float_list: FloatList
    string_list: StringList
    def __init__(self, int64_value: _Optional[int] = ..., float64_value: _Optional[float] = ..., bool_value: _Optional[bool] = ..., string_value: _Optional[str] = ..., bytes_value: _Optional[bytes] = ..., float_list: _Optional[_Union[FloatList, _Mapping]] = ..., string_list: _Optional[_Union[StringList, _Mapping]] = ...) -> None: ...

class FloatList(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, values: _Optional[_Iterable[float]] = ...) -> None: ...

class StringList(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, values: _Optional[_Iterable[str]] = ...) -> None: ...

class Feature(_message.Message):
    __slots__ = ("name", "value", "status", "source", "event_time_us", "age_ms")
    class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATUS_UNSPECIFIED: _ClassVar[Feature.Status]
        PRESENT: _ClassVar[Feature.Status]
        NULL_VALUE: _ClassVar[Feature.Status]
        MISSING: _ClassVar[Feature.Status]
        EXPIRED: _ClassVar[Feature.Status]
        OUTSIDE_MAX_AGE: _ClassVar[Feature.Status]
        TIMED_OUT: _ClassVar[Feature.Status]
        NEWER_ONLY: _ClassVar[Feature.Status]
    STATUS_UNSPECIFIED: Feature.Status
    PRESENT: Feature.Status
    NULL_VALUE: Feature.Status
    MISSING: Feature.Status
    EXPIRED: Feature.Status
    OUTSIDE_MAX_AGE: Feature.Status
    TIMED_OUT: Feature.Status
    NEWER_ONLY: Feature.Status
    class Source(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        SOURCE_UNSPECIFIED: _ClassVar[Feature.Source]
        DEFAULT: _ClassVar[Feature.Source]
        MEMORY: _ClassVar[Feature.Source]
        REDIS: _ClassVar[Feature.Source]
        SQLITE: _ClassVar[Feature.Source]
        L1_CACHE: _ClassVar[Feature.Source]
        L2_CACHE: _ClassVar[Feature.Source]
        L3_CACHE: _ClassVar[Feature.Source]
        COMPUTED: _ClassVar[Feature.Source]
        POSTGRES: _ClassVar[Feature.Source]
    SOURCE_UNSPECIFIED: Feature.Source
    DEFAULT: Feature.Source
    MEMORY: Feature.Source
    REDIS: Feature.Source
    SQLITE: Feature.Source
    L1_CACHE: Feature.Source
    L2_CACHE: Feature.Source
    L3_CACHE: Feature.Source
    COMPUTED: Feature.Source
    POSTGRES: Feature.Source
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    EVENT_TIME_US_FIELD_NUMBER: _ClassVar[int]
    AGE_MS_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: FeatureValue
    status: Feature.Status
    source: Feature.Source
    event_time_us: int
    age_ms: int
    def __init__(self, name: _Optional[str] = ..., value: _Optional[_Union[FeatureValue, _Mapping]] = ..., status: _Optional[_Union[Feature.Status, str]] = ..., source: _Optional[_Union[Feature.Source, str]] = ..., event_time_us: _Optional[int] = ..., age_ms: _Optional[int] = ...) -> None: ...

class GetFeaturesRequest(_message.Message):
    __slots__ = ("entity", "id", "features", "as_of_us", "request")
    class RequestEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: FeatureValue
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[FeatureValue, _Mapping]] = ...) -> None: ...
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    AS_OF_US_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    entity: str
    id: str
    features: _containers.RepeatedScalarFieldContainer[str]
    as_of_us: int
    request: _containers.MessageMap[str, FeatureValue]
    def __init__(self, entity: _Optional[str] = ..., id: _Optional[str] = ..., features: _Optional[_Iterable[str]] = ..., as_of_us: _Optional[int] = ..., request: _Optional[_Mapping[str, FeatureValue]] = ...) -> None: ...

class GetFeaturesResponse(_message.Message):
    __slots__ = ("features", "degradations")
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    DEGRADATIONS_FIELD_NUMBER: _ClassVar[int]
    features: _containers.RepeatedCompositeFieldContainer[Feature]
    degradations: _containers.RepeatedCompositeFieldContainer[_common_pb2.Degradation]
    def __init__(self, features: _Optional[_Iterable[_Union[Feature, _Mapping]]] = ..., degradations: _Optional[_Iterable[_Union[_common_pb2.Degradation, _Mapping]]] = ...) -> None: ...

class BatchGetFeaturesRequest(_message.Message):
    __slots__ = ("entity", "ids", "features", "as_of_us", "request")
    class RequestEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: FeatureValue
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[FeatureValue, _Mapping]] = ...) -> None: ...
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    AS_OF_US_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    entity: str
    ids: _containers.RepeatedScalarFieldContainer[str]
    features: _containers.RepeatedScalarFieldContainer[str]
    as_of_us: int
    request: _containers.MessageMap[str, FeatureValue]
    def __init__(self, entity: _Optional[str] = ..., ids: _Optional[_Iterable[str]] = ..., features: _Optional[_Iterable[str]] = ..., as_of_us: _Optional[int] = ..., request: _Optional[_Mapping[str, FeatureValue]] = ...) -> None: ...

class BatchGetFeaturesResponse(_message.Message):
    __slots__ = ("columns", "incomplete", "read_time_us", "degradations")
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    INCOMPLETE_FIELD_NUMBER: _ClassVar[int]
    READ_TIME_US_FIELD_NUMBER: _ClassVar[int]
    DEGRADATIONS_FIELD_NUMBER: _ClassVar[int]
    columns: _containers.RepeatedCompositeFieldContainer[FeatureColumn]
    incomplete: _containers.RepeatedScalarFieldContainer[int]
    read_time_us: int
    degradations: _containers.RepeatedCompositeFieldContainer[_common_pb2.Degradation]
    def __init__(self, columns: _Optional[_Iterable[_Union[FeatureColumn, _Mapping]]] = ..., incomplete: _Optional[_Iterable[int]] = ..., read_time_us: _Optional[int] = ..., degradations: _Optional[_Iterable[_Union[_common_pb2.Degradation, _Mapping]]] = ...) -> None: ...

class FeatureColumn(_message.Message):
    __slots__ = ("name", "int64_values", "float64_values", "bool_values", "string_values", "bytes_values", "float_lists", "string_lists", "statuses", "sources", "event_times_us")
    class Int64Values(_message.Message):
        __slots__ = ("values",)
        VALUES_FIELD_NUMBER: _ClassVar[int]
        values: _containers.RepeatedScalarFieldContainer[int]
        def __init__(self, values: _Optional[_Iterable[int]] = ...) -> None: ...
    class Float64Values(_message.Message):
        __slots__ = ("values",)
        VALUES_FIELD_NUMBER: _ClassVar[int]
        values: _containers.RepeatedScalarFieldContainer[float]
        def __init__(self, values: _Optional[_Iterable[float]] = ...) -> None: ...
    class BoolValues(_message.Message):
        __slots__ = ("values",)
        VALUES_FIELD_NUMBER: _ClassVar[int]
        values: _containers.RepeatedScalarFieldContainer[bool]
        def __init__(self, values: _Optional[_Iterable[bool]] = ...) -> None: ...
    class StringValues(_message.Message):
        __slots__ = ("values",)
        VALUES_FIELD_NUMBER: _ClassVar[int]
        values: _containers.RepeatedScalarFieldContainer[str]
        def __init__(self, values: _Optional[_Iterable[str]] = ...) -> None: ...
    class BytesValues(_message.Message):
        __slots__ = ("values",)
        VALUES_FIELD_NUMBER: _ClassVar[int]
        values: _containers.RepeatedScalarFieldContainer[bytes]
        def __init__(self, values: _Optional[_Iterable[bytes]] = ...) -> None: ...
    class FloatLists(_message.Message):
        __slots__ = ("values", "width")
        VALUES_FIELD_NUMBER: _ClassVar[int]
        WIDTH_FIELD_NUMBER: _ClassVar[int]
        values: _containers.RepeatedScalarFieldContainer[float]
        width: int
        def __init__(self, values: _Optional[_Iterable[float]] = ..., width: _Optional[int] = ...) -> None: ...
    class StringLists(_message.Message):
        __slots__ = ("values", "lengths")
        VALUES_FIELD_NUMBER: _ClassVar[int]
        LENGTHS_FIELD_NUMBER: _ClassVar[int]
        values: _containers.RepeatedScalarFieldContainer[str]
        lengths: _containers.RepeatedScalarFieldContainer[int]
        def __init__(self, values: _Optional[_Iterable[str]] = ..., lengths: _Optional[_Iterable[int]] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    INT64_VALUES_FIELD_NUMBER: _ClassVar[int]
    FLOAT64_VALUES_FIELD_NUMBER: _ClassVar[int]
    BOOL_VALUES_FIELD_NUMBER: _ClassVar[int]
    STRING_VALUES_FIELD_NUMBER: _ClassVar[int]
    BYTES_VALUES_FIELD_NUMBER: _ClassVar[int]
    FLOAT_LISTS_FIELD_NUMBER: _ClassVar[int]
    STRING_LISTS_FIELD_NUMBER: _ClassVar[int]
    STATUSES_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    EVENT_TIMES_US_FIELD_NUMBER: _ClassVar[int]
    name: str
    int64_values: FeatureColumn.Int64Values
    float64_values: FeatureColumn.Float64Values
    bool_values: FeatureColumn.BoolValues
    string_values: FeatureColumn.StringValues
    bytes_values: FeatureColumn.BytesValues
    float_lists: FeatureColumn.FloatLists
    string_lists: FeatureColumn.StringLists
    statuses: _containers.RepeatedScalarFieldContainer[Feature.Status]
    sources: _containers.RepeatedScalarFieldContainer[Feature.Source]
    event_times_us: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, name: _Optional[str] = ..., int64_values: _Optional[_Union[FeatureColumn.Int64Values, _Mapping]] = ..., float64_values: _Optional[_Union[FeatureColumn.Float64Values, _Mapping]] = ..., bool_values: _Optional[_Union[FeatureColumn.BoolValues, _Mapping]] = ..., string_values: _Optional[_Union[FeatureColumn.StringValues, _Mapping]] = ..., bytes_values: _Optional[_Union[FeatureColumn.BytesValues, _Mapping]] = ..., float_lists: _Optional[_Union[FeatureColumn.FloatLists, _Mapping]] = ..., string_lists: _Optional[_Union[FeatureColumn.StringLists, _Mapping]] = ..., statuses: _Optional[_Iterable[_Union[Feature.Status, str]]] = ..., sources: _Optional[_Iterable[_Union[Feature.Source, str]]] = ..., event_times_us: _Optional[_Iterable[int]] = ...) -> None: ...

class FeatureRow(_message.Message):
    __slots__ = ("view", "id", "event_time_us", "values")
    class ValuesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: FeatureValue
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[FeatureValue, _Mapping]] = ...) -> None: ...
    VIEW_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_TIME_US_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    view: str
    id: str
    event_time_us: int
    values: _containers.MessageMap[str, FeatureValue]
    def __init__(self, view: _Optional[str] = ..., id: _Optional[str] = ..., event_time_us: _Optional[int] = ..., values: _Optional[_Mapping[str, FeatureValue]] = ...) -> None: ...

class SetFeaturesRequest(_message.Message):
    __slots__ = ("rows",)
    ROWS_FIELD_NUMBER: _ClassVar[int]
    rows: _containers.RepeatedCompositeFieldContainer[FeatureRow]
    def __init__(self, rows: _Optional[_Iterable[_Union[FeatureRow, _Mapping]]] = ...) -> None: ...

class SetFeaturesResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[WriteResult]
    def __init__(self, results: _Optional[_Iterable[_Union[WriteResult, _Mapping]]] = ...) -> None: ...

class WriteResult(_message.Message):
    __slots__ = ("status", "problems")
    class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATUS_UNSPECIFIED: _ClassVar[WriteResult.Status]
        STORED: _ClassVar[WriteResult.Status]
        SAME: _ClassVar[WriteResult.Status]
        OLDER: _ClassVar[WriteResult.Status]
        REJECTED: _ClassVar[WriteResult.Status]
    STATUS_UNSPECIFIED: WriteResult.Status
    STORED: WriteResult.Status
    SAME: WriteResult.Status
    OLDER: WriteResult.Status
    REJECTED: WriteResult.Status
    class Problem(_message.Message):
        __slots__ = ("field", "description")
        FIELD_FIELD_NUMBER: _ClassVar[int]
        DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
        field: str
        description: str
        def __init__(self, field: _Optional[str] = ..., description: _Optional[str] = ...) -> None: ...
    STATUS_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    status: WriteResult.Status
    problems: _containers.RepeatedCompositeFieldContainer[WriteResult.Problem]
    def __init__(self, status: _Optional[_Union[WriteResult.Status, str]] = ..., problems: _Optional[_Iterable[_Union[WriteResult.Problem, _Mapping]]] = ...) -> None: ...

class FeatureEvent(_message.Message):
    __slots__ = ("event", "event_id", "event_time_us", "fields")
    class FieldsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: FeatureValue
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[FeatureValue, _Mapping]] = ...) -> None: ...
    EVENT_FIELD_NUMBER: _ClassVar[int]
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_TIME_US_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    event: str
    event_id: str
    event_time_us: int
    fields: _containers.MessageMap[str, FeatureValue]
    def __init__(self, event: _Optional[str] = ..., event_id: _Optional[str] = ..., event_time_us: _Optional[int] = ..., fields: _Optional[_Mapping[str, FeatureValue]] = ...) -> None: ...

class RecordEventsRequest(_message.Message):
    __slots__ = ("events",)
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[FeatureEvent]
    def __init__(self, events: _Optional[_Iterable[_Union[FeatureEvent, _Mapping]]] = ...) -> None: ...

class RecordEventsResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[EventResult]
    def __init__(self, results: _Optional[_Iterable[_Union[EventResult, _Mapping]]] = ...) -> None: ...

class EventResult(_message.Message):
    __slots__ = ("status", "problems")
    class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATUS_UNSPECIFIED: _ClassVar[EventResult.Status]
        ADDED: _ClassVar[EventResult.Status]
        DUPLICATE: _ClassVar[EventResult.Status]
        TOO_OLD: _ClassVar[EventResult.Status]
        REJECTED: _ClassVar[EventResult.Status]
    STATUS_UNSPECIFIED: EventResult.Status
    ADDED: EventResult.Status
    DUPLICATE: EventResult.Status
    TOO_OLD: EventResult.Status
    REJECTED: EventResult.Status
    STATUS_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    status: EventResult.Status
    problems: _containers.RepeatedCompositeFieldContainer[WriteResult.Problem]
    def __init__(self, status: _Optional[_Union[EventResult.Status, str]] = ..., problems: _Optional[_Iterable[_Union[WriteResult.Problem, _Mapping]]] = ...) -> None: ...

class DescribeFeaturesRequest(_message.Message):
    __slots__ = ("view",)
    VIEW_FIELD_NUMBER: _ClassVar[int]
    view: str
    def __init__(self, view: _Optional[str] = ...) -> None: ...

class DescribeFeaturesResponse(_message.Message):
    __slots__ = ("entities", "views", "events")
    ENTITIES_FIELD_NUMBER: _ClassVar[int]
    VIEWS_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    entities: _containers.RepeatedCompositeFieldContainer[FeatureEntity]
    views: _containers.RepeatedCompositeFieldContainer[FeatureView]
    events: _containers.RepeatedCompositeFieldContainer[FeatureEventKind]
    def __init__(self, entities: _Optional[_Iterable[_Union[FeatureEntity, _Mapping]]] = ..., views: _Optional[_Iterable[_Union[FeatureView, _Mapping]]] = ..., events: _Optional[_Iterable[_Union[FeatureEventKind, _Mapping]]] = ...) -> None: ...

class FeatureEventKind(_message.Message):
    __slots__ = ("name", "description", "fields")
    class Field(_message.Message):
        __slots__ = ("name", "type", "required")
        NAME_FIELD_NUMBER: _ClassVar[int]
        TYPE_FIELD_NUMBER: _ClassVar[int]
        REQUIRED_FIELD_NUMBER: _ClassVar[int]
        name: str
        type: str
        required: bool
        def __init__(self, name: _Optional[str] = ..., type: _Optional[str] = ..., required: _Optional[bool] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    name: str
    description: str
    fields: _containers.RepeatedCompositeFieldContainer[FeatureEventKind.Field]
    def __init__(self, name: _Optional[str] = ..., description: _Optional[str] = ..., fields: _Optional[_Iterable[_Union[FeatureEventKind.Field, _Mapping]]] = ...) -> None: ...

class FeatureEntity(_message.Message):
    __slots__ = ("name", "id_type", "description")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ID_TYPE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    name: str
    id_type: str
    description: str
    def __init__(self, name: _Optional[str] = ..., id_type: _Optional[str] = ..., description: _Optional[str] = ...) -> None: ...

class FeatureView(_message.Message):
    __slots__ = ("name", "entity", "owner", "version", "description", "ttl_s", "max_age_s", "features", "kind", "events", "cache_ttl_s", "request")
    class RequestEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    TTL_S_FIELD_NUMBER: _ClassVar[int]
    MAX_AGE_S_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    CACHE_TTL_S_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    name: str
    entity: str
    owner: str
    version: int
    description: str
    ttl_s: float
    max_age_s: float
    features: _containers.RepeatedCompositeFieldContainer[FeatureDeclaration]
    kind: str
    events: _containers.RepeatedScalarFieldContainer[str]
    cache_ttl_s: float
    request: _containers.ScalarMap[str, str]
    def __init__(self, name: _Optional[str] = ..., entity: _Optional[str] = ..., owner: _Optional[str] = ..., version: _Optional[int] = ..., description: _Optional[str] = ..., ttl_s: _Optional[float] = ..., max_age_s: _Optional[float] = ..., features: _Optional[_Iterable[_Union[FeatureDeclaration, _Mapping]]] = ..., kind: _Optional[str] = ..., events: _Optional[_Iterable[str]] = ..., cache_ttl_s: _Optional[float] = ..., request: _Optional[_Mapping[str, str]] = ...) -> None: ...

class FeatureDeclaration(_message.Message):
    __slots__ = ("name", "type", "required", "default", "description", "origin")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    REQUIRED_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: str
    required: bool
    default: FeatureValue
    description: str
    origin: str
    def __init__(self, name: _Optional[str] = ..., type: _Optional[str] = ..., required: _Optional[bool] = ..., default: _Optional[_Union[FeatureValue, _Mapping]] = ..., description: _Optional[str] = ..., origin: _Optional[str] = ...) -> None: ...
