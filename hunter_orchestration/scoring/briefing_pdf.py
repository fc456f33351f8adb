"""The briefing on paper: one A4 page, in a font that has the Turkish letters.

Every text is drawn as it is, never read as markup. A page that would run over is set smaller, down to a size that can
still be read; only then does it take a second one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, cast

from font_roboto import Roboto, RobotoBold, RobotoMedium
from fpdf import FPDF
from fpdf.fonts import TTFFont

from hunter_orchestration.scoring.deadlines import said_amount, said_date

_INK, _SOFT, _RULE, _ACCENT = (28, 31, 38), (96, 103, 115), (219, 223, 229), (15, 91, 168)
_PALE = (241, 245, 250)
_RISKS = {"low": (29, 122, 70), "medium": (166, 99, 0), "high": (184, 38, 38)}
_SCALES = (1.08, 1.0, 0.94, 0.88, 0.82)
_MARGIN = 17.0
_WIDTH = 210 - 2 * _MARGIN
_GUTTER = 8.0
_FONT = "Roboto"

Colour = tuple[int, int, int]


def pdf(briefing: Mapping[str, Any]) -> bytes:
    """The page of a briefing as ``scoring.briefing.briefing`` returns it, in that briefing's language."""
    for scale in _SCALES:
        page = _Page(briefing, scale)
        page.draw()
        if page.paper.page <= 1:
            break
    return bytes(page.paper.output())


@lru_cache(maxsize=1)
def _drawable() -> frozenset[int]:
    """Code points the font has."""
    paper = FPDF()
    paper.add_font(_FONT, "", Roboto)
    font = paper.fonts[_FONT.lower()]
    return frozenset(font.cmap) if isinstance(font, TTFFont) else frozenset()


def _shown(text: object) -> str:
    """The text on one line; a letter that the font lacks becomes □ rather than nothing."""
    has = _drawable()
    line = " ".join(str(text).split())
    return "".join(char if ord(char) in has else "\u25a1" if 0x25A1 in has else "?" for char in line)


class _Page:
    """Draws one briefing at one scale."""

    def __init__(self, briefing: Mapping[str, Any], scale: float) -> None:
        self.briefing = briefing
        self.lang = briefing["lang"]
        self.scale = scale
        self.paper = paper = FPDF(format="A4")
        paper.set_margins(_MARGIN, 15, _MARGIN)
        paper.c_margin = 0
        paper.set_auto_page_break(auto=True, margin=13)
        paper.add_font(_FONT, "", Roboto)
        paper.add_font(_FONT, "B", RobotoBold)
        paper.add_font(f"{_FONT}Medium", "", RobotoMedium)
        paper.set_title(_shown(f"{briefing['company']} · {self._heading('briefing')}"))
        paper.set_lang(self.lang)
        day = date.fromisoformat(briefing["as_of"])
        paper.set_creation_date(datetime(day.year, day.month, day.day, tzinfo=UTC))
        paper.add_page()

    def draw(self) -> None:
        briefing = self.briefing
        self._top()
        self._opening()
        self._section("why")
        self._text(f"{briefing['why_segment']} {briefing['why_provider']}")
        self._security()
        self._side_by_side(
            ("script", lambda width: self._rows(briefing["script"], width, numbered=True)),
            ("questions", lambda width: self._rows(briefing["questions"], width, numbered=False)),
        )
        self._side_by_side(("offer", self._offer), ("potential", self._potential))
        self._next_step()

    def _heading(self, name: str) -> str:
        return str(self.briefing["headings"][name])

    def _set(self, size: float, colour: Colour = _INK, *, weight: str = "") -> None:
        family = f"{_FONT}Medium" if weight == "M" else _FONT
        self.paper.set_font(family, "B" if weight == "B" else "", size * self.scale)
        self.paper.set_text_color(*colour)

    def _text(self, text: object, width: float = _WIDTH, *, size: float = 9.5, colour: Colour = _INK,
              weight: str = "", align: str = "L") -> None:  # fmt: skip
        self._set(size, colour, weight=weight)
        left = self.paper.get_x()
        self.paper.multi_cell(
            width, size * self.scale * 0.485, _shown(text), align=align, new_x="LEFT", new_y="NEXT", markdown=False
        )
        self.paper.set_x(left)

    def _gap(self, millimetres: float) -> None:
        self.paper.set_y(self.paper.get_y() + millimetres * self.scale)

    def _top(self) -> None:
        briefing, paper = self.briefing, self.paper
        as_of = said_date(date.fromisoformat(briefing["as_of"]), self.lang)
        top = paper.get_y()
        self._text(self._heading("briefing"), size=8.5, colour=_ACCENT, weight="M")
        paper.set_xy(_MARGIN, top)
        self._text(f"{self._heading('as_of')}: {as_of}", size=8.5, colour=_SOFT, align="R")
        self._gap(1.5)
        self._text(briefing["company"], size=20, weight="B")
        self._gap(0.8)
        told = [
            briefing["domain"],
            f"{briefing['category']} {briefing['label']}",
            f"{self._heading('score')} {briefing['score']}",
        ]
        if not briefing["complete"]:
            told.append(self._heading("incomplete"))
        self._text("  ·  ".join(told), size=9.5, colour=_SOFT)
        self._gap(3.5)

    def _opening(self) -> None:
        paper = self.paper
        inset, pad = 5.0, 3.2 * self.scale
        top = paper.get_y()
        self._set(12, weight="M")
        line = 12 * self.scale * 0.47
        words = _shown(self.briefing["opening"])
        text_height = paper.multi_cell(_WIDTH - 2 * inset, line, words, dry_run=True, output="HEIGHT", markdown=False)
        height = cast(float, text_height) + 2 * pad
        paper.set_fill_color(*_PALE)
        paper.rect(_MARGIN, top, _WIDTH, height, style="F")
        paper.set_fill_color(*_ACCENT)
        paper.rect(_MARGIN, top, 1.1, height, style="F")
        paper.set_xy(_MARGIN + inset, top + pad)
        paper.multi_cell(_WIDTH - 2 * inset, line, words, align="L", markdown=False)
        paper.set_xy(_MARGIN, top + height)

    def _section(self, name: str, width: float = _WIDTH, *, beside: str = "", colour: Colour = _SOFT) -> None:
        paper = self.paper
        left = paper.get_x()
        self._gap(4.2)
        paper.set_x(left)
        top = paper.get_y()
        self._text(self._heading(name), width, size=11, weight="B")
        below = paper.get_y()
        if beside:
            paper.set_xy(left, top + 0.6 * self.scale)
            self._text(beside, width, size=9.5, colour=colour, weight="M", align="R")
        paper.set_y(max(below, paper.get_y()))
        paper.set_draw_color(*_RULE)
        paper.set_line_width(0.25)
        paper.line(left, paper.get_y() + 0.6, left + width, paper.get_y() + 0.6)
        self._gap(2.2)
        paper.set_x(left)

    def _security(self) -> None:
        security = self.briefing["security"]
        risk = security["risk"]
        self._section("security", beside=self._heading(f"risk_{risk}"), colour=_RISKS[risk])
        self._text(security["summary"])
        self._gap(1)
        self._text(security["angle"], colour=_SOFT)
        self._gap(1)
        self._text(f"→ {security['action']}" if ord("→") in _drawable() else security["action"], weight="M")

    def _side_by_side(self, *columns: tuple[str, Callable[[float], None]]) -> None:
        """Columns below one heading each; the text goes on below the longest."""
        paper = self.paper
        width = (_WIDTH - _GUTTER * (len(columns) - 1)) / len(columns)
        top, lowest, page = paper.get_y(), 0.0, paper.page
        for place, (name, body) in enumerate(columns):
            if paper.page != page:
                top, page = paper.get_y(), paper.page
            left = _MARGIN + place * (width + _GUTTER)
            paper.set_y(top)
            paper.set_x(left)
            beside = f"{self.briefing['potential']['value']} / 100" if name == "potential" else ""
            self._section(name, width, beside=beside, colour=_ACCENT)
            body(width)
            lowest = max(lowest, paper.get_y())
        paper.set_xy(_MARGIN, lowest)

    def _rows(self, rows: Sequence[str], width: float, *, numbered: bool) -> None:
        paper = self.paper
        left = paper.get_x()
        for number, row in enumerate(rows, start=1):
            top = paper.get_y()
            self._text(f"{number}." if numbered else "–", 5, size=9.5, colour=_ACCENT, weight="M")
            paper.set_xy(left + 5, top)
            self._text(row, width - 5)
            self._gap(0.9)
            paper.set_x(left)

    def _offer(self, width: float) -> None:
        offer = self.briefing["offer"]
        self._text(offer["name"], width, size=10, weight="M")
        if offer["price"] is None:
            price = self._heading("on_request")
        else:
            amount = said_amount(Decimal(str(offer["price"])), offer["currency"], self.lang)
            price = f"{amount} {self._heading('per')} {offer['unit']}"
        self._gap(0.4)
        self._text(price, width, size=9.5, colour=_ACCENT, weight="M")
        self._gap(0.8)
        self._text(offer["description"], width, colour=_SOFT)

    def _potential(self, width: float) -> None:
        paper = self.paper
        left = paper.get_x()
        for part in self.briefing["potential"]["parts"]:
            top = paper.get_y()
            self._text(f"{part['points']:+d}" if part["points"] else "0", width, align="R", weight="M")
            paper.set_xy(left, top)
            self._text(part["text"], width - 10)
            self._gap(0.5)
            paper.set_x(left)

    def _next_step(self) -> None:
        step = self.briefing["next_step"]
        beside = f"{self._heading('by')} {said_date(date.fromisoformat(step['by']), self.lang)}" if step["by"] else ""
        self._section("next_step", beside=beside, colour=_ACCENT)
        self._text(step["text"], size=10.5, weight="M")
        self._gap(0.8)
        self._text(self.briefing["urgency"], colour=_SOFT)
