"""The kinds of field that all reports share, and the base of their models."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema

from common.times import format_time

__all__ = ["Instant", "Window", "WireReport", "whole"]

Instant = Annotated[
    float,
    PlainSerializer(format_time, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""Epoch seconds; RFC 3339 in UTC to the millisecond in JSON."""


class WireReport(BaseModel):
    """A result as JSON. Built from data that was checked long ago."""

    model_config = ConfigDict(serialize_by_alias=True, ser_json_inf_nan="null")


class Window(WireReport):
    """The span of time a report looks at, both ends included."""

    start: Instant = Field(serialization_alias="from", description="Where the window begins, RFC 3339 in UTC.")
    end: Instant = Field(serialization_alias="to", description="Where the window ends, RFC 3339 in UTC.")


def whole(number: float) -> int:
    """Bytes and rates are shown without fractions."""
    return round(number)
