"""The ``$filter`` and ``$orderby`` grammar: text to a test over a row, and the equalities an index can answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hunter_orchestration.sandbox.dataverse import errors
from hunter_orchestration.sandbox.dataverse.addresses import literal
from hunter_orchestration.sandbox.dataverse.errors import RefusedError
from hunter_orchestration.sandbox.dataverse.rows import Organisation, Values, folded
from hunter_orchestration.sandbox.dataverse.schema import OPTION_TYPES, TARGET, Column, Table

Test = Callable[[Values], bool]
Getter = Callable[[Values], Any]

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>'(?:[^']|'')*')
    | (?P<moment>\d{4}-\d{2}-\d{2}(?:T[\d:.]+(?:Z|[+-]\d{2}:\d{2}))?(?![\w-]))
    | (?P<guid>[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})
    | (?P<number>-?\d+(?:\.\d+)?(?![\w]))
    | (?P<name>@?[A-Za-z_][\w.]*(?:/[A-Za-z_]\w*)*)
    | (?P<mark>[(),=\[\]])
    )""",
    re.VERBOSE,
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
}
_FUNCTIONS: dict[str, Callable[[str, str], bool]] = {
    "contains": lambda a, b: b in a,
    "startswith": lambda a, b: a.startswith(b),
    "endswith": lambda a, b: a.endswith(b),
}


@dataclass(slots=True)
class Filter:
    """A compiled filter. ``equal`` is (property, folded values) that every row has to meet, if there is one: the
    door to an index."""

    test: Test
    equal: tuple[str, frozenset[Any]] | None = None


def unknown_property(name: str, table: Table) -> RefusedError:
    """400 for a column in a query that the table doesn't have."""
    return RefusedError(
        400, "0x0", f"Could not find a property named '{name}' on type 'Microsoft.Dynamics.CRM.{table.name}'."
    )


class _Parser:
    def __init__(self, text: str, table: Table, organisation: Organisation, aliases: Mapping[str, str]) -> None:
        self.text = text
        self.table = table
        self.organisation = organisation
        self.aliases = aliases
        self.tokens = self._scan(text)
        self.position = 0

    def _scan(self, text: str) -> list[tuple[str, str]]:
        tokens, position = [], 0
        end = len(text.rstrip())
        while position < end:
            match = _TOKEN.match(text, position)
            if match is None:
                raise self.refused(f"Syntax error at position {position} in '{text}'.")
            tokens.append((match.lastgroup or "", match.group(match.lastgroup or 0)))
            position = match.end()
        return tokens

    def refused(self, message: str) -> RefusedError:
        return errors.bad_request(message)

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.position] if self.position < len(self.tokens) else ("end", "")

    def take(self) -> tuple[str, str]:
        token = self.peek()
        self.position += 1
        return token

    def expect(self, mark: str) -> None:
        if self.take()[1] != mark:
            raise self.refused(f"'{mark}' expected at position {self.position} in '{self.text}'.")

    def whole(self) -> Filter:
        found = self.disjunction()
        if self.peek()[0] != "end":
            raise self.refused(f"Syntax error at position {self.position} in '{self.text}'.")
        return found

    def disjunction(self) -> Filter:
        parts = [self.conjunction()]
        while self.peek() == ("name", "or"):
            self.take()
            parts.append(self.conjunction())
        if len(parts) == 1:
            return parts[0]
        names = {p.equal[0] if p.equal else None for p in parts}
        if len(names) == 1 and None not in names and all(getattr(p.test, "pure", False) for p in parts):
            name = names.pop() or ""
            values = frozenset().union(*(p.equal[1] for p in parts if p.equal))
            return _membership(name, values)
        tests = [p.test for p in parts]
        equal = None
        if len(names) == 1 and None not in names:
            equal = (names.pop() or "", frozenset().union(*(p.equal[1] for p in parts if p.equal)))
        return Filter(lambda values: any(test(values) for test in tests), equal)

    def conjunction(self) -> Filter:
        parts = [self.unary()]
        while self.peek() == ("name", "and"):
            self.take()
            parts.append(self.unary())
        if len(parts) == 1:
            return parts[0]
        tests = [p.test for p in parts]
        equal = min((p.equal for p in parts if p.equal), key=lambda e: _rank(self.table, e), default=None)
        return Filter(lambda values: all(test(values) for test in tests), equal)

    def unary(self) -> Filter:
        kind, text = self.peek()
        if (kind, text) == ("name", "not"):
            self.take()
            inner = self.unary().test
            return Filter(lambda values: not inner(values))
        if text == "(" and kind == "mark":
            self.take()
            inner_filter = self.disjunction()
            self.expect(")")
            return inner_filter
        if kind != "name":
            raise self.refused(f"A property was expected at position {self.position} in '{self.text}'.")
        self.take()
        if text in _FUNCTIONS:
            return self.function(text)
        if text in {"Microsoft.Dynamics.CRM.In", "Microsoft.Dynamics.CRM.NotIn"}:
            return self.listed(text.endswith(".In"))
        return self.comparison(text)

    def function(self, name: str) -> Filter:
        self.expect("(")
        getter, _, _ = self.property(self.take()[1])
        self.expect(",")
        needle = folded(str(self.value()))
        self.expect(")")
        work = _FUNCTIONS[name]

        def test(values: Values) -> bool:
            value = getter(values)
            return isinstance(value, str) and work(value.casefold(), needle)

        return Filter(test)

    def listed(self, positive: bool) -> Filter:
        self.expect("(")
        self.expect("PropertyName")
        self.expect("=")
        name = str(self.value())
        self.expect(",")
        self.expect("PropertyValues")
        self.expect("=")
        self.expect("[")
        getter, column, prop = self.property(name)
        values = []
        while self.peek()[1] != "]":
            values.append(self.convert(column, self.value()))
            if self.peek()[1] == ",":
                self.take()
        self.take()
        self.expect(")")
        wanted = frozenset(folded(v) for v in values)
        if positive and prop is not None:
            return _membership(prop, wanted)
        if positive:
            return Filter(lambda row: folded(getter(row)) in wanted)
        return Filter(lambda row: folded(getter(row)) not in wanted)

    def comparison(self, name: str) -> Filter:
        getter, column, prop = self.property(name)
        operator = self.take()[1]
        value = self.convert(column, self.value())
        if operator == "eq":
            if prop is not None:
                return _membership(prop, frozenset({folded(value)}))
            wanted = folded(value)
            return Filter(lambda row: folded(getter(row)) == wanted)
        if operator == "ne":
            unwanted = folded(value)
            return Filter(lambda row: folded(getter(row)) != unwanted)
        compare = _COMPARE.get(operator)
        if compare is None:
            raise self.refused(f"'{operator}' is not an operator, in '{self.text}'.")
        bound = folded(value)

        def test(row: Values) -> bool:
            found = folded(getter(row))
            return found is not None and bound is not None and compare(found, bound)

        return Filter(test)

    def property(self, name: str) -> tuple[Getter, Column, str | None]:
        head, slash, rest = name.partition("/")
        if not slash:
            column = self.table.by_property.get(name)
            if column is None and name in self.table.columns:
                column = self.table.columns[name]
            if column is None:
                raise unknown_property(name, self.table)
            prop = column.value_name
            return (lambda values: values.get(prop)), column, prop
        found = self.table.navigation.get(head)
        if found is None:
            raise unknown_property(head, self.table)
        lookup, targets = found
        target = self.organisation.tables[targets[0]]
        column = target.by_property.get(rest)
        if column is None:
            raise unknown_property(rest, target)
        value_name, wanted, data = column.value_name, lookup.value_name, self.organisation.data
        is_id = rest == target.id_column

        def follow(values: Values) -> Any:
            row_id = values.get(wanted)
            if row_id is None or values.get(wanted + TARGET) != target.name:
                return None
            if is_id:
                return row_id
            row = data[target.name].rows.get(row_id)
            return row.values.get(value_name) if row else None

        return follow, column, None

    def value(self) -> Any:
        kind, text = self.take()
        if kind == "name" and text.startswith("@"):
            if text not in self.aliases:
                raise self.refused(f"The parameter alias '{text}' has no value.")
            return literal(self.aliases[text])
        if kind in {"text", "number", "guid", "moment"} or (kind == "name" and text in {"true", "false", "null"}):
            return literal(text)
        raise self.refused(f"A value was expected at position {self.position} in '{self.text}'.")

    def convert(self, column: Column, value: Any) -> Any:
        if value is None or column.is_lookup:
            return value
        number = isinstance(value, int | float) and not isinstance(value, bool)
        numeric = column.type in OPTION_TYPES or column.type in {"Integer", "BigInt", "Money", "Decimal", "Double"}
        if numeric and isinstance(value, str):
            try:
                return float(value)
            except ValueError:
                raise self._incompatible(column, value) from None
        if (numeric and not number) or (column.type in {"String", "Memo"} and not isinstance(value, str)):
            raise self._incompatible(column, value)
        if column.type == "DateTime" and isinstance(value, str) and not column.date_only:
            return value if "T" in value else value + "T00:00:00Z"
        return value

    def _incompatible(self, column: Column, value: Any) -> RefusedError:
        return self.refused(
            f"A binary operator with incompatible types was detected: '{column.name}' ({column.type}) and '{value}'."
        )


def _membership(name: str, wanted: frozenset[Any]) -> Filter:
    if len(wanted) == 1:
        (only,) = wanted

        def same(values: Values) -> bool:
            return bool(folded(values.get(name)) == only)

        same.pure = True  # type: ignore[attr-defined]
        return Filter(same, None if only is None else (name, wanted))

    def test(values: Values) -> bool:
        return folded(values.get(name)) in wanted

    test.pure = True  # type: ignore[attr-defined]
    return Filter(test, None if None in wanted else (name, wanted))


def _rank(table: Table, equal: tuple[str, frozenset[Any]]) -> tuple[int, int]:
    """The most telling equality first: id, then text, then the rest."""
    column = table.by_property.get(equal[0])
    kind = 0 if equal[0] == table.id_column else 1 if column is not None and column.type == "String" else 2
    return kind, len(equal[1])


def compile_filter(text: str, table: Table, organisation: Organisation, aliases: Mapping[str, str]) -> Filter:
    """Compile a ``$filter``.

    Raises:
        RefusedError: 400 for what the grammar, or the table, doesn't know.
    """
    return _Parser(text, table, organisation, aliases).whole()


def read_order(text: str, table: Table) -> list[tuple[str, bool]]:
    """``$orderby`` as (property, descending).

    Raises:
        RefusedError: unknown property or direction.
    """
    order = []
    for part in text.split(","):
        name, _, direction = part.strip().partition(" ")
        if name not in table.by_property:
            raise unknown_property(name, table)
        if direction.strip() not in ("", "asc", "desc"):
            raise errors.bad_request(f"Syntax error in $orderby: '{part}'.")
        order.append((name, direction.strip() == "desc"))
    return order


def sort_key(name: str) -> Callable[[Any], tuple[bool, Any]]:
    """A key for sorting rows by a property, nulls first."""

    def key(row: Any) -> tuple[bool, Any]:
        value = row.values.get(name)
        return value is not None, folded(value) if value is not None else 0

    return key
