"""The mapping file: its schema, its closed vocabularies, and what is wrong with it by file, line and reason."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from hunter_orchestration.errors import PermanentError
from hunter_orchestration.scoring.documents import line_of, repeated
from hunter_orchestration.scoring.templates import Language

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

KEY = "hnt_externalid"
"""Hunter's own key in every table of its, which no mapping writes."""
TableName = Literal["account", "contact", "lead", "opportunity"]

TABLES: tuple[TableName, ...] = ("account", "contact", "lead", "opportunity")
"""In the order they are written: what is looked up comes before what looks it up."""

Rule = Literal["crm-wins-unless-empty", "hunter-wins", "create-only", "newest"]
Transform = Literal[
    "clip",
    "option",
    "phone",
    "email",
    "country",
    "url",
    "integer",
    "money",
    "date",
    "flag",
    "currency",
    "lookup",
    "now",
]

_COMPANY = ("domain", "name", "country", "city", "street", "state", "postal_code", "phone", "website", "size",
            "tenant_id", "source")  # fmt: skip
_PERSON = ("first_name", "last_name", "email", "email_name", "phone", "title", "refuses_contact")
_SCORE = ("score", "priority", "priority_label", "priority_score", "segment", "commercial_segment", "technical_heat",
          "commercial_heat", "provider", "rules_version", "signals")  # fmt: skip
_SCAN = ("gateway", "hoster", "tenant_id", "tenant_name", "infrastructure")
_REFERRAL = ("id", "name", "category", "status", "notes", "deal_value", "currency", "closing_at")
_EVERYWHERE = frozenset(
    {f"company.{n}" for n in _COMPANY} | {f"score.{n}" for n in _SCORE} | {f"scan.{n}" for n in _SCAN} | {"now"}
)
SOURCES: dict[str, frozenset[str]] = {
    "account": _EVERYWHERE,
    "contact": _EVERYWHERE | {f"contact.{n}" for n in _PERSON} | {"record.account"},
    "lead": _EVERYWHERE
    | {f"person.{n}" for n in _PERSON}
    | {f"referral.{n}" for n in _REFERRAL}
    | {"lead.subject", "lead.origin", "lead.briefing", "record.account", "record.contact"},
    "opportunity": _EVERYWHERE
    | {f"person.{n}" for n in _PERSON}
    | {f"referral.{n}" for n in _REFERRAL}
    | {"opportunity.name", "opportunity.stage", "opportunity.probability", "lead.briefing"}
    | {"record.account", "record.contact", "record.lead"},
}
"""What a field of each table can be filled from."""

MATCHES: dict[str, frozenset[str]] = {
    "account": frozenset({"website", "name_and_country"}),
    "contact": frozenset({"email"}),
    "lead": frozenset({"email", "website"}),
    "opportunity": frozenset(),
}
"""How rows that the CRM held before are recognised."""


class MappingError(PermanentError):
    """The mapping file can't be used. The message names file, line and reason of the first mistakes."""


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FieldMapping(_Strict):
    """One field: a column, or for ``lookup`` and ``currency`` a navigation property."""

    source: Annotated[list[str], BeforeValidator(_as_list), Field(min_length=1)]
    transform: Transform = "clip"
    rule: Rule = "crm-wins-unless-empty"
    required: bool = False
    labels: dict[str, str] = {}
    default: str | int | None = None

    @model_validator(mode="after")
    def _fits(self) -> FieldMapping:
        if self.labels and self.transform != "option":
            raise ValueError("labels need transform: option")
        records = [s for s in self.source if s.startswith("record.")]
        if bool(records) != (self.transform == "lookup"):
            raise ValueError("transform: lookup goes with a source record.…, and only with one")
        if ("now" in self.source) != (self.transform == "now"):
            raise ValueError("transform: now goes with source: now, and only with it")
        return self


class TableMapping(_Strict):
    """One table."""

    match: list[str] = []
    detect_duplicates: bool = False
    fields: dict[str, FieldMapping] = Field(min_length=1)


class Stage(_Strict):
    """Stage and probability (percent) of an opportunity."""

    stage: Literal["Qualify", "Develop", "Propose"]
    probability: int = Field(ge=0, le=99)


class ScoredStage(Stage):
    """From which score on."""

    start: int = Field(alias="from", ge=0, le=100)


class Mapping(_Strict):
    """The whole file."""

    version: Literal[1]
    language: Language = "en"
    skip_priorities: list[Literal["P1", "P2", "P3", "P4", "P5", "P6"]] = []
    stages: list[ScoredStage] = Field(min_length=1)
    co_sell_stage: Stage
    reopen: list[Literal["disqualified", "lost"]] = []
    tables: dict[TableName, TableMapping]

    @model_validator(mode="after")
    def _whole(self) -> Mapping:
        if missing := [t for t in TABLES if t not in self.tables]:
            raise ValueError(f"tables without a mapping: {', '.join(missing)}")
        starts = [s.start for s in self.stages]
        if starts != sorted(set(starts)):
            raise ValueError("stages must stand in ascending order of 'from'")
        return self

    def stage_for(self, score: int) -> Stage | None:
        """The stage a score earns; ``None`` below the first threshold."""
        return next((s for s in reversed(self.stages) if score >= s.start), None)


@dataclass(frozen=True, slots=True)
class LoadedMapping:
    """A mapping with the name of its file and the digest of its text."""

    mapping: Mapping
    path: str
    digest: str


def load_mapping(path: Path | None) -> LoadedMapping:
    """Read and check the mapping, the one that comes with Hunter when ``path`` is ``None``.

    Raises:
        MappingError: can't be read, is no YAML, or breaks the schema or the vocabulary.
    """
    if path is None:
        name = "mapping.yaml"
        text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    else:
        name = str(path)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise MappingError(
                f"The mapping file {name} can't be read ({type(error).__name__}).", "Check HUNTER_MAPPING_FILE."
            ) from None
    return parse_mapping(text, name)


@lru_cache(maxsize=8)
def parse_mapping(text: str, name: str) -> LoadedMapping:
    """The mapping in a text.

    Raises:
        MappingError: as ``load_mapping``.
    """
    try:
        tree = yaml.compose(text, Loader=_LOADER)
        raw = yaml.load(text, Loader=_LOADER)  # noqa: S506 - a safe loader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 1
        reason = getattr(error, "problem", None) or "not YAML"
        raise MappingError(f"{name}, line {line}: {reason}.", "Correct the mapping file.") from None
    if twice := repeated(tree):
        raise MappingError(f"{name}, line {twice[0]}: {twice[1]!r} stands twice.", "Correct the mapping file.")
    try:
        mapping = Mapping.model_validate(raw)
    except ValidationError as error:
        wrong = [
            f"{name}, line {line_of(tree, item['loc'])}: {'.'.join(map(str, item['loc'])) or 'the file'}: "
            f"{item['msg'].removeprefix('Value error, ')}."
            for item in error.errors()[:5]
        ]
        raise MappingError(" ".join(wrong), "Correct the mapping file.") from None
    if problems := list(_vocabulary(mapping)):
        wrong = [f"{name}, line {line_of(tree, where)}: {reason}." for where, reason in problems[:5]]
        raise MappingError(" ".join(wrong), "Correct the mapping file.")
    return LoadedMapping(mapping, name, hashlib.sha256(text.encode()).hexdigest()[:16])


def _vocabulary(mapping: Mapping) -> Any:
    for table, mapped in mapping.tables.items():
        for match in mapped.match:
            if match not in MATCHES[table]:
                yield ("tables", table, "match"), f"{table} has no match rule {match!r}"
        for name, field in mapped.fields.items():
            where = ("tables", table, "fields", name)
            if name == KEY:
                yield where, f"{KEY} is Hunter's own key and is not mapped"
            for source in field.source:
                if source not in SOURCES[table]:
                    yield (*where, "source"), f"{source!r} is not a source of {table}"
