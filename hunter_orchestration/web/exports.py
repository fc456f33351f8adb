"""Leads as CSV and XLSX: exactly the filter, streamed, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import xlsxwriter

from hunter_orchestration.scoring.templates import Language
from hunter_orchestration.store.lead_filters import NOT_SCORED
from hunter_orchestration.web.export_words import words_of

COLUMNS: Mapping[str, tuple[str, str]] = {
    "priority": ("Priority", "Öncelik"),
    "name": ("Company", "Şirket"),
    "domain": ("Domain", "Alan adı"),
    "score": ("Score", "Puan"),
    "commercial_segment": ("Segment", "Segment"),
    "segment": ("Technical segment", "Teknik segment"),
    "technical_heat": ("Technical heat", "Teknik sıcaklık"),
    "commercial_heat": ("Commercial heat", "Ticari sıcaklık"),
    "provider": ("Mail provider", "E-posta sağlayıcısı"),
    "gateway": ("Mail gateway", "E-posta geçidi"),
    "hoster": ("Hoster", "Barındırma"),
    "country": ("Country", "Ülke"),
    "size": ("Size", "Büyüklük"),
    "source": ("Source", "Kaynak"),
    "referral_id": ("Referral", "Yönlendirme"),
    "referral_category": ("Referral type", "Yönlendirme türü"),
    "referral_status": ("Referral status", "Yönlendirme durumu"),
    "referral_substatus": ("Referral substatus", "Yönlendirme alt durumu"),
    "referral_count": ("Referrals", "Yönlendirmeler"),
    "expires_at": ("Answer by (UTC)", "Son yanıt (UTC)"),
    "deal_value": ("Deal value", "Anlaşma tutarı"),
    "currency": ("Currency", "Para birimi"),
    "dynamics_state": ("Dynamics", "Dynamics"),
    "dynamics_detail": ("Dynamics detail", "Dynamics ayrıntısı"),
    "complete": ("Score complete", "Puan tam"),
    "first_seen_at": ("First seen (UTC)", "İlk görülme (UTC)"),
    "changed_at": ("Changed (UTC)", "Değişim (UTC)"),
}
"""Columns that can be exported, with their English and Turkish headings."""

_FORMULA = "=+-@\t\r\n＝＋－＠"
_XLSX_ROWS = 1_048_575
_PIECE = 64 * 1024


def safe(text: str) -> str:
    """Text that no spreadsheet reads as a formula: an apostrophe goes before what could start one."""
    return f"'{text}" if text.lstrip(" \u00a0")[:1] in _FORMULA and text.strip() else text


def _cell(row: Mapping[Any, Any], column: str, language: Language) -> Any:
    value = row["domain_shown"] if column == "domain" else row[column]
    if (column == "score" and value < 0) or (column == "priority" and value == NOT_SCORED):
        return None
    if isinstance(value, bool):
        return ("Evet" if value else "Hayır") if language == "tr" else ("yes" if value else "no")
    return words_of(column, value, language) if isinstance(value, str) else value


def csv_pieces(rows: Iterable[Mapping[Any, Any]], columns: Sequence[str], language: Language) -> Iterator[bytes]:
    """The file in pieces: UTF-8 with a byte order mark, RFC 4180 quoting; semicolons and decimal commas in Turkish."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=";" if language == "tr" else ",", lineterminator="\r\n")
    buffer.write("\ufeff")
    writer.writerow([COLUMNS[column][language == "tr"] for column in columns])
    for row in rows:
        writer.writerow([_csv_text(_cell(row, column, language), language) for column in columns])
        if buffer.tell() > _PIECE:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()


def _csv_text(value: Any, language: Language) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, Decimal):
        text = f"{value.normalize():f}"
        return text.replace(".", ",") if language == "tr" else text
    if isinstance(value, int):
        return str(value)
    return safe(str(value).replace("\x00", ""))


def rejects_pieces(rows: Iterable[Mapping[Any, Any]], language: Language) -> Iterator[bytes]:
    """Rows of a file that were not taken: line and reason before the row's own cells."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=";" if language == "tr" else ",", lineterminator="\r\n")
    own = ("Satır", "Ret nedeni") if language == "tr" else ("Line", "Refused because")
    buffer.write("\ufeff")
    writer.writerow(own)
    for row in rows:
        cells = row["row"].values() if isinstance(row["row"], Mapping) else row["row"]
        said = words_of("reason", row["reason"], language)
        texts = (safe(str(cell).replace("\x00", "")) for cell in cells)
        writer.writerow([row["line"], row["detail"] if said == row["reason"] else said, *texts])
        yield buffer.getvalue().encode()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue().encode()


def xlsx_pieces(rows: Iterable[Mapping[Any, Any]], columns: Sequence[str], language: Language) -> Iterator[bytes]:
    """The workbook in pieces. It is written row by row to a temporary file, so memory stays flat."""
    with tempfile.TemporaryFile() as file:
        book = xlsxwriter.Workbook(
            file,
            {
                "constant_memory": True,
                "strings_to_formulas": False,
                "strings_to_urls": False,
                "strings_to_numbers": False,
            },
        )
        sheet = book.add_worksheet("Müşteri adayları" if language == "tr" else "Leads")
        bold = book.add_format({"bold": True})
        day = book.add_format({"num_format": "yyyy-mm-dd hh:mm"})
        money = book.add_format({"num_format": "#,##0.00"})
        sheet.freeze_panes(1, 0)
        for position, column in enumerate(columns):
            sheet.set_column(position, position, 34 if column in ("name", "domain", "dynamics_detail") else 16)
            sheet.write_string(0, position, COLUMNS[column][language == "tr"], bold)
        last = 0
        for last, row in enumerate(rows, start=1):
            if last > _XLSX_ROWS:
                break
            for position, column in enumerate(columns):
                _write(sheet, last, position, _cell(row, column, language), day, money)
        if last:
            sheet.autofilter(0, 0, min(last, _XLSX_ROWS), len(columns) - 1)
        book.close()
        file.seek(0)
        while piece := file.read(_PIECE):
            yield piece


def _write(sheet: Any, line: int, position: int, value: Any, day: Any, money: Any) -> None:
    if value is None:
        return
    if isinstance(value, datetime):
        sheet.write_datetime(line, position, value.astimezone(UTC).replace(tzinfo=None), day)
    elif isinstance(value, Decimal):
        sheet.write_number(line, position, float(value), money)
    elif isinstance(value, int):
        sheet.write_number(line, position, value)
    else:
        sheet.write_string(line, position, str(value).replace("\x00", "")[:32_000])


WRITERS: Mapping[str, tuple[Callable[..., Iterator[bytes]], str]] = {
    "csv": (csv_pieces, "text/csv; charset=utf-8"),
    "xlsx": (xlsx_pieces, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
}
"""By file type: who writes it, and its media type."""
