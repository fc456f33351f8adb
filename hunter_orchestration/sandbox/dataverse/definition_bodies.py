"""The JSON of new and changed definitions, as far as the organisation reads it; what is not named here is ignored."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StrictInt, ValidationError

from hunter_orchestration.sandbox.dataverse import errors


class _Body(BaseModel):
    model_config = ConfigDict(populate_by_name=True)


class LocalizedLabel(_Body):
    """One language's text."""

    text: str | None = Field(None, alias="Label")


class Label(_Body):
    """A text in several languages."""

    texts: list[LocalizedLabel] = Field([], alias="LocalizedLabels")

    def first(self, otherwise: str) -> str:
        """The first text there is."""
        return next((t.text for t in self.texts if t.text), otherwise)


NO_LABEL = Label.model_validate({})


class OptionBody(_Body):
    """A choice; without a value it gets the next one of the publisher's range."""

    value: StrictInt | None = Field(None, alias="Value")
    label: Label = Field(NO_LABEL, alias="Label")


class OptionSetBody(_Body):
    """A local choice list."""

    options: list[OptionBody] = Field([], alias="Options")


class RequiredLevel(_Body):
    """How much a column is needed."""

    value: Literal["None", "Recommended", "ApplicationRequired", "SystemRequired"] = Field("None", alias="Value")


class ColumnBody(_Body):
    """AttributeMetadata of a column that is created or put back changed."""

    odata_type: str = Field("", alias="@odata.type")
    schema_name: str = Field("", alias="SchemaName")
    label: Label = Field(NO_LABEL, alias="DisplayName")
    required: RequiredLevel | None = Field(None, alias="RequiredLevel")
    length: StrictInt | None = Field(None, alias="MaxLength")
    lowest: float | None = Field(None, alias="MinValue")
    highest: float | None = Field(None, alias="MaxValue")
    precision: StrictInt | None = Field(None, alias="Precision", ge=0, le=10)
    format: Any = Field(None, alias="Format")
    default: Any = Field(None, alias="DefaultValue")
    option_set: OptionSetBody | None = Field(None, alias="OptionSet")


class KeyBody(_Body):
    """EntityKeyMetadata of a key that is created."""

    schema_name: str = Field(alias="SchemaName", min_length=1)
    columns: list[str] = Field(alias="KeyAttributes", min_length=1, max_length=16)
    label: Label = Field(NO_LABEL, alias="DisplayName")


class NewOptionBody(_Body):
    """``InsertOptionValue``."""

    table: str = Field(alias="EntityLogicalName")
    column: str = Field(alias="AttributeLogicalName")
    value: StrictInt | None = Field(None, alias="Value")
    label: Label = Field(alias="Label")
    solution: str | None = Field(None, alias="SolutionUniqueName")


class KeyNameBody(_Body):
    """``ReactivateEntityKey``."""

    table: str = Field(alias="EntityLogicalName")
    key: str = Field(alias="EntityKeyLogicalName")


Body = TypeVar("Body", bound=_Body)


def read_body(model: type[Body], body: Any) -> Body:
    """The body as a model.

    Raises:
        RefusedError: 400, with the place that doesn't fit.
    """
    try:
        return model.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(p) for p in first["loc"])
        raise errors.bad_request(f"The definition can't be read: {where}: {first['msg']}.") from None
