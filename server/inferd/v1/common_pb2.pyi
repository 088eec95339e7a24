from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class Degradation(_message.Message):
    __slots__ = ("stage", "source", "reason", "age_ms")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    AGE_MS_FIELD_NUMBER: _ClassVar[int]
    stage: str
    source: str
    reason: str
    age_ms: int
    def __init__(self, stage: _Optional[str] = ..., source: _Optional[str] = ..., reason: _Optional[str] = ..., age_ms: _Optional[int] = ...) -> None: ...
