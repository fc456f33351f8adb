"""From Hunter's values to the CRM's, and what both hold side by side: transforms, comparison, hashes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from hunter_orchestration.dynamics.countries import country_name
from hunter_orchestration.dynamics.mapping import FieldMapping
from hunter_orchestration.dynamics.metadata import Column, Metadata, Table

Facts = Mapping[str, Any]
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_WHOLE = ("url", "email")
_NOT_PHONE = re.compile(r"[^\d+()\-/. x]")


class FieldError(ValueError):
    """A value that can't stand in the field: why, as a key of the message catalogue, and in words."""

    def __init__(self, field: str, code: str, message: str) -> None:
        super().__init__(message)
        self.field, self.code, self.message = field, code, message


class Renderer:
    """Renders the fields of one table for one organisation.

    Args:
        currencies: ISO code in upper case to the currency's GUID.
    """

    def __init__(
        self, fields: Mapping[str, FieldMapping], table: Table, metadata: Metadata, currencies: Mapping[str, str]
    ) -> None:
        self.table = table
        self.fields = fields
        self.metadata = metadata
        self.currencies = currencies
        self.volatile = frozenset(n for n, f in fields.items() if f.transform == "now")
        self.lookups = {
            n: table.navigation[n] for n, f in fields.items() if f.transform in ("lookup", "currency")
            if n in table.navigation
        }  # fmt: skip
        self._properties = {n: f"_{self.lookups[n][0]}_value" if n in self.lookups else n for n in fields}
        self._plan = [(n, f, self._transform(n, f)) for n, f in fields.items() if f.transform != "now"]

    @property
    def select(self) -> list[str]:
        """Properties to ask for so that ``observed`` can read the fields."""
        return list(dict.fromkeys(self._properties.values()))

    def wanted(self, facts: Facts) -> dict[str, Any]:
        """Field to the value we would like the CRM to hold; ``None`` where Hunter knows none. Volatile fields are
        left out.

        Raises:
            FieldError: a required value is missing, or a value can't stand in its field.
        """
        values: dict[str, Any] = {}
        for name, field, transform in self._plan:
            given = next((v for s in field.source if (v := facts.get(s)) not in (None, "")), field.default)
            value = transform(given) if given not in (None, "") else None
            if value is None and field.required:
                raise self._missing(name, field, given)
            values[name] = value
        return values

    def _missing(self, name: str, field: FieldMapping, given: Any) -> FieldError:
        where = f"{self.table.name}.{name}"
        if field.transform in _WHOLE and given not in (None, ""):
            length = self.table.columns[name].length
            return FieldError(name, "text_too_long", f"{where} takes {length} characters, and Hunter's value has more.")
        code = "parent_missing" if field.transform == "lookup" else "required_missing"
        return FieldError(name, code, f"{where} needs a value and Hunter has none.")

    def observed(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Field to the value the CRM holds; what the row does not tell is left out, for it is unknown and not empty."""
        return {
            name: plain(row[prop]) for name, prop in self._properties.items()
            if name not in self.volatile and prop in row
        }  # fmt: skip

    def body(self, values: Mapping[str, Any], now: datetime, *, creating: bool) -> dict[str, Any]:
        """The JSON that writes these fields, with the volatile ones. A new row leaves out what is empty."""
        body: dict[str, Any] = {}
        for name, value in values.items():
            if name in self.lookups:
                if value is not None:
                    target = self._entity_set(name)
                    body[f"{name}@odata.bind"] = f"/{target}({value})"
                elif not creating:
                    body[f"{name}@odata.bind"] = None
            elif value is None and self.fields[name].transform == "flag":
                # Yes or no: what Hunter takes back is a no, never an empty value.
                if not creating:
                    body[name] = False
            elif value is not None or not creating:
                body[name] = value
        for name in self.volatile:
            body[name] = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return body

    def _entity_set(self, name: str) -> str:
        target = self.lookups[name][1]
        found = self.metadata.tables.get(target)
        return found.entity_set if found is not None else "transactioncurrencies"

    def _transform(self, name: str, field: FieldMapping) -> Callable[[Any], Any]:
        column = self.table.columns.get(name)
        kind = field.transform
        if kind == "lookup":
            return str
        if kind == "currency":
            return lambda value: self._currency(name, value)
        if kind == "option":
            return _option(name, field, column)
        if kind == "integer":
            return lambda value: _number(name, value, column, whole=True)
        if kind == "money":
            return lambda value: _number(name, value, column, whole=False)
        if kind == "flag":
            return bool
        if kind == "date":
            return lambda value: _date(name, value, column)
        length = column.length if column is not None else None
        before: Callable[[Any], str] = {"phone": _phone, "country": _country, "url": _url}.get(kind, str)
        if kind in _WHOLE:
            return lambda value: _whole(clean(before(value)), length)
        return lambda value: clip(clean(before(value)), length) or None

    def _currency(self, name: str, value: Any) -> str:
        found = self.currencies.get(str(value).upper())
        if found is None:
            raise FieldError(name, "currency_unknown", f"The organisation has no currency {str(value)[:10]!r}.")
        return found


def _option(name: str, field: FieldMapping, column: Column | None) -> Callable[[Any], int]:
    options = column.options if column is not None else {}

    def find(value: Any) -> int:
        text = str(value)
        label = text
        if field.labels:
            chosen = field.labels.get(text) or field.labels.get(text.partition("/")[0]) or field.labels.get("*")
            if chosen is None:
                raise FieldError(name, "option_unmapped", f"The mapping has no label for {text[:60]!r} in {name}.")
            label = chosen
        found = options.get(label.casefold())
        if found is None:
            raise FieldError(name, "option_unknown", f"The organisation has no choice {label[:60]!r} in {name}.")
        return found

    return find


def _number(name: str, value: Any, column: Column | None, *, whole: bool) -> int | float:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise FieldError(name, "value_not_allowed", f"{name} needs a number.") from None
    result = int(number) if whole else float(round(number, 2))
    if column is not None and (
        (column.lowest is not None and result < column.lowest)
        or (column.highest is not None and result > column.highest)
    ):
        raise FieldError(name, "value_out_of_range", f"{name} takes {column.lowest} to {column.highest}, not {result}.")
    return int(result) if result == int(result) else result


def _date(name: str, value: Any, column: Column | None) -> str:
    moment = value if isinstance(value, datetime) else None
    if moment is None:
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            raise FieldError(name, "value_not_allowed", f"{name} needs a date.") from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment.strftime("%Y-%m-%d" if column is None or column.date_only else "%Y-%m-%dT%H:%M:%SZ")


def _phone(value: Any) -> str:
    """As people write it, without what is no part of a number; a leading 00 becomes +. Words alone are none."""
    text = " ".join(_NOT_PHONE.sub("", str(value)).split())
    if not any(map(str.isdigit, text)):
        return ""
    return "+" + text[2:] if text.startswith("00") else text


def _country(value: Any) -> str:
    text = str(value)
    return country_name(text) or text


def _url(value: Any) -> str:
    text = str(value).strip()
    return text if text.startswith(("https://", "http://")) else f"https://{text}"


def _whole(text: str, length: int | None) -> str | None:
    """An address cut in half is none: too long a one is left out."""
    return text if length is None or utf16(text) <= length else None


def clean(text: str) -> str:
    """Without control characters and half surrogates, which neither JSON readers nor people want."""
    return _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).strip()


def utf16(text: str) -> int:
    """Length as the CRM counts it, in UTF-16 units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


def clip(text: str, length: int | None) -> str:
    """At most ``length`` UTF-16 units, ended by an ellipsis when cut; never half a character."""
    if length is None or utf16(text) <= length:
        return text
    kept = text.encode("utf-16-le")[: max(0, length - 1) * 2].decode("utf-16-le", "ignore").rstrip()
    return kept + "…"


def plain(value: Any) -> Any:
    """One form for what is equal: whole floats as integers, line ends as LF, empty text as nothing."""
    if isinstance(value, str):
        # Nearly every text is plain already, and this runs for every field of every record.
        if value and "\r" not in value and not value[-1].isspace():
            return value
        return value.replace("\r\n", "\n").rstrip() or None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def same(ours: Any, theirs: Any) -> bool:
    """Whether two values mean the same in the CRM."""
    # Equal values stay equal in their plain form, and most are equal.
    return bool(ours == theirs or plain(ours) == plain(theirs))


def hash_of(values: Mapping[str, Any]) -> str:
    """A hash of field values, empty ones left out so that a new empty field changes nothing."""
    kept = {k: p for k, v in values.items() if v is not None and (p := plain(v)) is not None}
    return hashlib.sha256(orjson.dumps(kept, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]
