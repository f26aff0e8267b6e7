"""The kinds of value a configuration file may hold, and the base that every shape in it shares.

Strict: text is never taken for a number, nor a number for a switch. Only what came from the environment, where
everything is text, is read as what the key needs.
"""

from decimal import Decimal, InvalidOperation
from typing import Annotated, ClassVar, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from router.settings.document import EnvText

_SWITCH = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


class Shape(BaseModel):
    """A mapping with known keys only."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    brief: ClassVar[str | None] = None  # the key that a bare text or switch stands for: `- google/x`, `fetch: off`

    @model_validator(mode="before")
    @classmethod
    def _from_brief(cls, value: object) -> object:
        if cls.brief and isinstance(value, str | bool):
            return {cls.brief: value}
        if isinstance(value, dict):  # a key with nothing behind it counts as absent, if it is a key at all
            return {key: each for key, each in value.items() if each is not None or key not in cls.model_fields}
        return value

    @model_validator(mode="after")
    def _one_unit(self) -> "Shape":
        for name in self.model_fields_set:
            if name.endswith("_ms") and f"{name[:-3]}_s" in self.model_fields_set:
                raise PydanticCustomError("two_units", f"{name} and {name[:-3]}_s say the same thing: keep one")
        return self


def _from_env(kind: type[int] | type[float]) -> BeforeValidator:
    def convert(value: object) -> object:
        if isinstance(value, EnvText):
            try:
                return kind(value)
            except ValueError:
                return value
        return value

    return BeforeValidator(convert)


def _switch(value: object) -> object:
    return _SWITCH.get(value.lower(), value) if isinstance(value, EnvText) else value


def _decimal(value: object) -> object:
    # repr() of a float is the shortest text that reads back as it: "0.0336" stays 0.0336
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            number = Decimal(repr(value) if isinstance(value, float) else value)
        except InvalidOperation:
            return value
        return number if number.is_finite() else str(value)
    return value


def _list(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, EnvText) else value


T = TypeVar("T")

Int = Annotated[int, _from_env(int)]
Float = Annotated[float, _from_env(float), Field(allow_inf_nan=False)]
Bool = Annotated[bool, BeforeValidator(_switch)]
Money = Annotated[Decimal, BeforeValidator(_decimal), Field(ge=0)]
Text = Annotated[str, Field(min_length=1)]
Items = Annotated[list[T], BeforeValidator(_list)]  # one variable may hold several, comma separated
Duration = Annotated[Float, Field(gt=0)]


def seconds(milliseconds: float | None, whole: float | None, default: float) -> float:
    """The duration that one of two keys gave, in seconds."""
    if milliseconds is not None:
        return milliseconds / 1000
    return default if whole is None else whole


def optional_seconds(milliseconds: float | None, whole: float | None) -> float | None:
    """Like `seconds`, where neither key means None."""
    return whole if milliseconds is None else milliseconds / 1000
