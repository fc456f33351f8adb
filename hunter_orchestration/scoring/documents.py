"""Reading a YAML file that people edit: checked by its schema, every mistake with the file, the line and the reason."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from hunter_orchestration.errors import PermanentError
from hunter_orchestration.logging import get_logger

_log = get_logger(__name__)
Model = TypeVar("Model", bound=BaseModel)
Read = TypeVar("Read")
_FAST: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_document(
    path: Path, model: type[Model], wrong: type[PermanentError], *, called: str, setting: str
) -> tuple[Model, str]:
    """A checked document and the SHA-256 of its text, hex.

    Args:
        path: the file.
        model: its schema.
        wrong: what is raised when the file can't be used.
        called: what people call the file, for messages.
        setting: the environment variable that names it, for messages.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise wrong(*_unreadable(path, error, called, setting)) from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise wrong(f"{path}:{line}: not UTF-8: {error.reason}.", f"Save the {called} as UTF-8.") from None
    try:
        document, root = _parsed(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        raise wrong(f"{path}:{line}: not YAML: {getattr(error, 'problem', error)}.") from None
    if twice := repeated(root):
        raise wrong(f"{path}:{twice[0]}: {twice[1]} is there twice; the first would be lost.")
    if not isinstance(document, dict):
        raise wrong(f"{path}:1: {'the file is empty' if root is None else 'names with values are expected'}.")
    try:
        checked = model.model_validate(document)
    except ValidationError as error:
        # A list that holds only wrong names is said to be empty as well: the names are what to mend.
        places = [item["loc"] for item in error.errors()]
        named = [
            item
            for item in error.errors()
            if item["type"] != "too_short" or not any(place[:-1] == item["loc"] for place in places)
        ]
        told = "; ".join(_mistake(path, root, item["loc"], _reason(item)) for item in named)
        raise wrong(f"{told}.", f"What is in force stays as it is. Mend the {called}.") from None
    return checked, hashlib.sha256(raw).hexdigest()


def _unreadable(path: Path, error: OSError, called: str, setting: str) -> tuple[str, str]:
    return (
        f"The {called} {path} can't be read: {error.strerror}.",
        f"Check its path; where none is given, {setting} names it.",
    )


_REASONS = {
    "missing": "is missing",
    "extra_forbidden": "no such name here",
    "tuple_type": "a list is expected, in square brackets",
    "string_type": "text is expected, in quotation marks",
    "dict_type": "names with values are expected",
    "model_type": "names with values are expected",
    "int_type": "a whole number is expected",
    "bool_parsing": "true or false is expected",
    "decimal_parsing": "a number is expected, with a point before decimals",
    "decimal_type": "a number is expected",
    "too_short": "the list is empty",
    "string_too_short": "the text is empty",
}
"""What people who edit YAML understand, for what the schema's library says of Python's types."""


def _reason(item: Any) -> str:
    told = str(item["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return _REASONS.get(item["type"]) or told.removesuffix(".")


def _mistake(path: Path, root: yaml.Node | None, location: Sequence[int | str], reason: str) -> str:
    """File, line, place and reason. A check across the whole file names the place in its message."""
    location = [part for part in location if part != "[key]"]
    named, _, rest = reason.partition(": ")
    if not location and rest:
        location, reason = [int(part) if part.isdigit() else part for part in named.split(".")], rest
    return f"{path}:{line_of(root, location)}: {'.'.join(map(str, location)) or 'file'}: {reason}"


def _parsed(text: str) -> tuple[Any, yaml.Node | None]:
    """The document and its nodes. The slower loader says better where a broken file breaks."""
    try:
        return yaml.load(text, Loader=_FAST), yaml.compose(text, Loader=_FAST)  # noqa: S506 - a safe loader
    except yaml.YAMLError:
        return yaml.safe_load(text), yaml.compose(text, Loader=yaml.SafeLoader)


def line_in(path: Path, location: Sequence[int | str]) -> int:
    """Line of a place in a document that was read before."""
    return line_of(_parsed(path.read_text(encoding="utf-8-sig"))[1], location)


def stamp_of(path: Path, wrong: type[PermanentError], *, called: str, setting: str) -> tuple[int, int]:
    """Time of the last change in nanoseconds and size in bytes: another stamp means that the file has to be read."""
    try:
        status = path.stat()
    except OSError as error:
        raise wrong(*_unreadable(path, error, called, setting)) from None
    return status.st_mtime_ns, status.st_size


def kept(read: Callable[..., Read]) -> Callable[[Hashable, tuple[Any, ...]], Read]:
    """``read(*paths)`` behind a small cache: called with the stamps of the files, then the paths."""

    @lru_cache(maxsize=8)
    def cached(_stamps: Hashable, paths: tuple[Any, ...]) -> Read:
        return read(*paths)

    return cached


def lasting(read: Callable[..., Read], wrong: type[PermanentError]) -> Callable[..., Read]:
    """``read`` for those who only show: while a file is broken, they are given what it held before.

    The log tells each mistake once. A file that never was right since the process started raises as ``read`` does.
    """
    last: dict[tuple[Any, ...], Read] = {}
    told: set[str] = set()

    def shown(*paths: Any) -> Read:
        try:
            last[paths] = read(*paths)
        except wrong as error:
            if paths not in last:
                raise
            if str(error) not in told:
                told.add(str(error))
                _log.warning("edited_file_broken", reason=str(error))
        return last[paths]

    return shown


def line_of(node: yaml.Node | None, location: Sequence[int | str]) -> int:
    """Line of the deepest node on the way to a location, so that a missing key points at its parent."""
    line = 1
    for part in location:
        if node is None:
            break
        line = node.start_mark.line + 1
        step: yaml.Node | None = None
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(part):
                    line, step = key.start_mark.line + 1, value
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            step = node.value[part]
            line = step.start_mark.line + 1
        node = step
    return line


def repeated(node: yaml.Node | None) -> tuple[int, str] | None:
    """Line and name of a key that a mapping has twice: YAML silently keeps the last."""
    inside: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                return key.start_mark.line + 1, str(key.value)
            seen.add(str(key.value))
            inside.append(value)
    elif isinstance(node, yaml.SequenceNode):
        inside = list(node.value)
    return next((found for child in inside if (found := repeated(child))), None)
