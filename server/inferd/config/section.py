"""What the sections of the configuration have in common: their manners and their types."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Port = Annotated[int, Field(ge=0, le=65535)]
#: What HTTP/2 can say.
Window = Annotated[int, Field(ge=65535, lt=2**31)]
#: A number would be a version's.
Label = Annotated[str, Field(pattern="[^0-9]")]

MIB = 1024 * 1024


class Section(BaseModel):
    """The manners that all sections share."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        ser_json_inf_nan="constants",  # JSON knows no infinity; pydantic's does
    )
