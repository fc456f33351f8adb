"""The printed briefing: one page, every Turkish letter, nothing read as markup. Texts are read back from the file."""

from __future__ import annotations

import re
import zlib
from typing import Any

import pytest

from hunter_orchestration.scoring.briefing import briefing
from hunter_orchestration.scoring.briefing_pdf import pdf
from hunter_orchestration.settings import load_settings
from hunter_orchestration_tests.scoring.leads import TUESDAY, company_row, facts_of, scan_row


def streams(file: bytes) -> list[bytes]:
    found = []
    for raw in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", file, re.DOTALL):
        try:
            found.append(zlib.decompress(raw))
        except zlib.error:
            found.append(raw)
    return found


def text_of(file: bytes) -> str:
    """What a reader can copy from the file: glyph codes of each font through that font's ToUnicode map."""
    objects = {
        int(number): body for number, body in re.findall(rb"\n(\d+) 0 obj\n(.*?)\nendobj", b"\n" + file, re.DOTALL)
    }
    fonts: dict[bytes, dict[int, str]] = {}
    for resources in re.findall(rb"/Font <<(.*?)>>", file, re.DOTALL):
        for name, number in re.findall(rb"/(F\d+) (\d+) 0 R", resources):
            reference = re.search(rb"/ToUnicode (\d+) 0 R", objects[int(number)])
            assert reference is not None
            cmap = streams(objects[int(reference[1])] + b"\nendobj")[0]
            fonts[name] = {
                int(code, 16): bytes.fromhex(char.decode()).decode("utf-16-be")
                for code, char in re.findall(rb"<([0-9A-Fa-f]{4})> <([0-9A-Fa-f]{4,8})>\n", cmap)
            }
    page = next(stream for stream in streams(file) if b" Tf" in stream)
    said: list[str] = []
    font: dict[int, str] = {}
    for name, text in re.findall(rb"/(F\d+) [\d.]+ Tf|\(((?:\\.|[^\\)])*)\) ?Tj|\[", page, re.DOTALL):
        if name:
            font = fonts[name]
        elif text:
            raw = re.sub(
                rb"\\(.)", lambda match: {b"r": b"\r", b"n": b"\n"}.get(match[1], match[1]), text, flags=re.DOTALL
            )
            said.append("".join(font.get(int.from_bytes(raw[at : at + 2]), "�") for at in range(0, len(raw), 2)))
    return " ".join(" ".join(said).split())


def printed(name: str = "Iğdır Şişe ve Çömlek İnşaat Üretim A.Ş.", lang: Any = "tr", **scan: Any) -> dict[str, Any]:
    facts = facts_of(company_row("firma.example"), scan_row("firma.example", **scan))
    facts["lead"]["name"] = name
    return briefing(facts, lang, load_settings(), now=TUESDAY)


def pages(file: bytes) -> int:
    return len(re.findall(rb"/Type /Page\b(?!s)", file))


@pytest.mark.parametrize("lang", ["tr", "en"])
def test_every_text_of_the_briefing_is_on_one_page(lang: str) -> None:
    told = printed(lang=lang)
    file = pdf(told)
    assert file.startswith(b"%PDF-")
    assert pages(file) == 1
    text = text_of(file)
    for line in (told["opening"], told["company"], told["security"]["summary"], *told["script"], told["offer"]["name"],
                 told["next_step"]["text"], told["urgency"]):  # fmt: skip
        assert line in text


def test_turkish_letters_can_be_read_back() -> None:
    text = text_of(pdf(printed()))
    assert "Iğdır Şişe ve Çömlek İnşaat Üretim A.Ş." in text
    assert set("ğşıİçöüĞŞI") - {"Ğ"} <= set(text)
    assert "�" not in text


def test_markup_in_a_name_is_drawn_as_it_is() -> None:
    name = "**Kalın** <b>A</b> __alt__ [x](y) \\ (z) A.Ş."
    assert name in text_of(pdf(printed(name)))


def test_letters_the_font_lacks_leave_a_mark_and_control_characters_none() -> None:
    text = text_of(pdf(printed("شركة 会社 A.Ş.\x00\x1b[31m")))
    assert "A.Ş. [31m" in text
    assert "会" not in text


@pytest.mark.slow
def test_a_long_briefing_is_set_smaller_before_it_takes_a_second_page() -> None:
    told = printed()
    assert pages(pdf({**told, "script": told["script"] * 2})) == 1
    assert pages(pdf({**told, "script": told["script"] * 12, "questions": told["questions"] * 12})) > 1


def test_the_same_briefing_gives_the_same_page() -> None:
    told = printed()
    assert text_of(pdf(told)) == text_of(pdf(told))
