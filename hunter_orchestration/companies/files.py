"""CSV and XLSX files as rows of text, whatever their encoding and separator, within limits of size.

Nothing here knows what the columns mean.
"""

from __future__ import annotations

import codecs
import csv
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from hunter_orchestration.companies.naming import MAX_CELL
from hunter_orchestration.errors import PermanentError

MAX_FILE_BYTES = 50 * 1024 * 1024
MAX_EXPANDED_BYTES = 400 * 1024 * 1024
MAX_CELLS = 3_000_000
"""A sheet is held in memory while it is read: so many cells take about 300 MB."""
MAX_ROWS = 1_000_000
MAX_COLUMNS = 256

_SEPARATORS = (";", ",", "\t", "|")
_SNIFFED_ROWS = 50
_BLOCK = 1 << 20
_SPACES = re.compile(rb"[\t\r\n][\t\r\n ]*| [\t\r\n ]+")
_ELEMENTS = re.compile(rb"<(?:[\w.-]+:)?(row|c|si)[ />]")
_COLUMNS_NAMED = re.compile(rb"""[ "']r ?= ?["']([A-Za-z]{1,9})\d""")
_ROWS_NAMED = re.compile(rb"""[ "']r ?= ?["'][A-Za-z]{0,9}(\d{1,12})["']""")
"""No writer in use puts spaces around the sign of equality or sets other quotation marks, but the reader understands
all of it."""
_LONGEST_TAG = 256
_WORKBOOK = "xl/workbook.xml"

Kind = Literal["csv", "xlsx"]
FileRow = tuple[int, list[str]]


class FileRefusedError(PermanentError):
    """A file can't be imported as it is: the message says why, the fix what to do."""


@dataclass(frozen=True, slots=True)
class FileForm:
    """How a file is to be read. Encoding and separator are those of CSV."""

    kind: Kind
    encoding: str | None = None
    separator: str | None = None


def form_of(path: Path) -> FileForm:
    """Find out what a file is from its content; its name is not asked.

    Raises:
        FileRefusedError: too large, empty, a zip bomb, or neither CSV nor XLSX.
    """
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise FileRefusedError(
            f"The file has {size / 1e6:.0f} MB; up to {MAX_FILE_BYTES / 1e6:.0f} MB can be imported.", "Split it."
        )
    with path.open("rb") as file:
        head = file.read(65536)
    if not head.strip(b"\x00\xff\xfe\xef\xbb\xbf \r\n\t"):
        raise FileRefusedError("The file is empty.", "Choose the file that holds the rows.")
    if head.startswith(b"PK\x03\x04"):
        _check_workbook(path)
        return FileForm("xlsx")
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise FileRefusedError("This is an old Excel file (.xls) or a protected one.", "Save it as XLSX or CSV.")
    encoding = _encoding(path, head)
    return FileForm("csv", encoding, _separator(path, encoding))


def rows_of(path: Path, form: FileForm) -> Iterator[FileRow]:
    """(line, cells) of every row that holds anything, the first line of the file being 1.

    Raises:
        FileRefusedError: the file is broken, or larger than the limits once expanded.
    """
    count = 0
    for line, cells in _xlsx_rows(path) if form.kind == "xlsx" else _csv_rows(path, form):
        if len(cells) > MAX_COLUMNS:
            raise FileRefusedError(
                f"Line {line} has {len(cells)} columns; up to {MAX_COLUMNS} can be read.", "Check the separator."
            )
        if any(cells):
            count += 1
            if count > MAX_ROWS:
                raise FileRefusedError(f"The file has more than {MAX_ROWS:,} rows.", "Split it.")
            yield line, cells


def _encoding(path: Path, head: bytes) -> str:
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if head.startswith(mark):
            return encoding
    if b"\x00" in head:
        even, odd = head[::2].count(0), head[1::2].count(0)
        if max(even, odd) * 4 > len(head) / 2 and min(even, odd) * 10 < max(even, odd):
            return "utf-16-be" if even > odd else "utf-16-le"
        raise FileRefusedError("This is not a text file.", "Import CSV or XLSX.")
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        try:
            while block := file.read(_BLOCK):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            # Windows-1254 is what Excel writes in Türkiye; it reads Western European files but for six letters.
            return "windows-1254"
    return "utf-8"


@contextmanager
def _opened_text(path: Path, encoding: str) -> Iterator[Iterator[str]]:
    # "replace" shows a broken character for what it is; one bad byte must not cost the file.
    with path.open("r", encoding=encoding, errors="replace", newline="") as file:
        yield _bounded_lines(file)


def _bounded_lines(file: Any) -> Iterator[str]:
    """Lines without NUL, the endless ones cut into pieces that the csv module then refuses by its field limit."""
    while line := file.readline(_BLOCK):
        yield line.replace("\x00", "")


def _separator(path: Path, encoding: str) -> str:
    with _opened_text(path, encoding) as lines:
        sample = list(islice(lines, _SNIFFED_ROWS))
    first = sample[0].strip().lower()
    if first.startswith("sep=") and len(first) == 5:
        return first[4]
    best, best_rank = ",", (0, 0)
    for separator in _SEPARATORS:
        try:
            widths = [len(row) for row in csv.reader(sample, delimiter=separator) if row]
        except csv.Error:
            continue
        usual = max(set(widths), key=widths.count, default=1)
        rank = (widths.count(usual) if usual > 1 else 0, usual)
        if rank > best_rank:
            best, best_rank = separator, rank
    return best


def _csv_rows(path: Path, form: FileForm) -> Iterator[FileRow]:
    with _opened_text(path, form.encoding or "utf-8") as lines:
        taken: list[str] = []
        reader = csv.reader(_noted(lines, taken), delimiter=form.separator or ",")
        line = 1
        last: FileRow | None = None
        try:
            for cells in reader:
                if last is not None:
                    yield last
                    last = None
                start, line = line, reader.line_num + 1
                swallowed = len(taken) > 1 and sum(text.count('"') for text in taken) % 2
                taken.clear()
                if start == 1 and len(cells) <= 2 and cells and cells[0].strip().lower() in ("sep=", *_SEP_LINES):
                    continue
                last = start, [cell.strip() for cell in cells]
        except csv.Error as error:
            raise FileRefusedError(
                f"The file can't be read as CSV near line {line}: {error}.", "Check its quotation marks."
            ) from None
        if last is not None and swallowed:
            # The module takes all lines up to the end of the file for one cell, and says nothing.
            raise FileRefusedError(
                f"A quotation mark in line {last[0]} is never closed; the lines below it can't be told apart.",
                "Close it, or take it out.",
            )
        if last is not None:
            yield last


def _noted(lines: Iterator[str], taken: list[str]) -> Iterator[str]:
    for text in lines:
        taken.append(text)
        yield text


_SEP_LINES = tuple(f"sep={separator}" for separator in _SEPARATORS)


def _check_workbook(path: Path) -> None:
    """Expand every part once, counting: neither declared sizes nor a cell far outside may make the reader swell."""
    expanded = 0
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
            if _WORKBOOK not in archive.namelist():
                raise FileRefusedError("This zip file is no Excel workbook.", "Import CSV or XLSX.")
            if len(parts) > 2000 or sum(part.file_size for part in parts) > MAX_EXPANDED_BYTES:
                raise _too_large()
            for part in parts:
                # A sheet may stand under any name: the workbook says which parts are sheets.
                extent = _Extent()
                with archive.open(part) as stream:
                    while block := stream.read(_BLOCK):
                        expanded += len(block)
                        if expanded > MAX_EXPANDED_BYTES:
                            raise _too_large()
                        extent.take(block)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise FileRefusedError(
            f"The workbook is broken or protected ({type(error).__name__}).", "Open it in Excel and save it again."
        ) from None


class _Extent:
    """How far a part of a workbook reaches, as the reader will lay it out: rows by columns, filled or not."""

    def __init__(self) -> None:
        self._rows = self._columns = self._cells = self._strings = 0
        self._row = self._column = 0
        self._rest = b""

    def take(self, block: bytes) -> None:
        """The next bytes of the part.

        Raises:
            FileRefusedError: it holds or spans more cells than are read.
        """
        text = _SPACES.sub(b" ", self._rest + block)
        # What stands after the last end of a tag is looked at with the next block.
        end = text.rfind(b">") + 1 or max(0, len(text) - _LONGEST_TAG)
        text, self._rest = text[:end], text[end:]
        elements = _ELEMENTS.findall(text)
        cells, strings = elements.count(b"c"), elements.count(b"si")
        self._cells, self._strings = self._cells + cells, self._strings + strings
        if max(self._cells, self._strings) > MAX_CELLS:
            raise FileRefusedError(f"The workbook has more than {MAX_CELLS:,} cells.", "Split it, or save it as CSV.")
        rows = max(map(int, set(_ROWS_NAMED.findall(text))), default=0)
        columns = max(map(_column_number, set(_COLUMNS_NAMED.findall(text))), default=0)
        if cells > text.count(b'<c r="') or len(elements) - cells - strings > text.count(b'<row r="'):
            # Rows or cells that do not say where they stand come after the one before.
            for element in elements:
                if element == b"row":
                    self._row, self._column = self._row + 1, 0
                else:
                    self._column += 1
                    columns = max(columns, self._column)
            rows = max(rows, self._row)
        self._row = rows = max(rows, self._row)
        self._rows, self._columns = max(self._rows, rows), max(self._columns, columns)
        if self._rows * self._columns > MAX_CELLS:
            raise FileRefusedError(
                f"A sheet reaches to row {self._rows:,} and column {self._columns:,}.",
                "Delete the empty rows and columns, or save it as CSV.",
            )


def _too_large() -> FileRefusedError:
    return FileRefusedError(
        f"Expanded, the workbook has more than {MAX_EXPANDED_BYTES / 1e6:.0f} MB.", "Split it, or save it as CSV."
    )


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - 64
    return number


def _xlsx_rows(path: Path) -> Iterator[FileRow]:
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        with CalamineWorkbook.from_path(path) as workbook:
            for name in workbook.sheet_names:
                sheet = workbook.get_sheet_by_name(name)
                if sheet.start is None:
                    continue
                # Rows come from the first that holds something; the file's numbering is kept.
                for offset, cells in enumerate(sheet.iter_rows()):
                    yield offset + 1, [_text(cell) for cell in cells]
                return
    except (CalamineError, OSError, ValueError) as error:
        raise FileRefusedError(
            f"The workbook can't be read ({type(error).__name__}).", "Open it in Excel and save it again."
        ) from None


def _text(cell: object) -> str:
    if isinstance(cell, str):
        return cell[:MAX_CELL].strip()
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else str(cell)
    if isinstance(cell, datetime | date | time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        return str(cell)
    return "" if cell is None else str(cell)
