"""Which column of a file holds what: by headings in Turkish and English, and by what the cells look like."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from hunter_orchestration import turkish
from hunter_orchestration.companies.domains import company_domain, email_address
from hunter_orchestration.companies.naming import clean
from hunter_orchestration.companies.records import tenant_id

_HEADINGS: Mapping[str, str] = {
    "domain": "domain, domain name, domain adi, alan adi, alan adlari, company domain, e posta alan adi, mail domain",
    "website": "website, web site, web sitesi, websitesi, web, web adresi, site, url, internet sitesi, "
    "internet adresi, homepage, home page, www, company website, kurumsal site, link",
    "email": "email, e mail, mail, e posta, eposta, mail adresi, e posta adresi, eposta adresi, email address, "
    "e mail address, email adresi, e mail adresi, iletisim e posta, contact email, business email, kurumsal e posta, "
    "is e posta, work email, primary email, yetkili e posta, yetkili mail",
    "company": "company, company name, firma, firma adi, firma ismi, firma unvani, sirket, sirket adi, sirket ismi, "
    "sirket unvani, ticari unvan, ticaret unvani, unvan, kurum, kurum adi, kurulus, musteri, musteri adi, account, "
    "account name, organization, organisation, organization name, customer, customer name, business name, isletme, "
    "isletme adi, cari adi, cari unvan",
    "country": "country, country code, ulke, ulke kodu, country region, ulkesi",
    "city": "city, sehir, il, sehir adi, town, il adi",
    "address": "address, adres, acik adres, street, street address, adresi, firma adresi, posta adresi, address line 1",
    "size": "size, company size, employees, number of employees, employee count, calisan sayisi, personel sayisi, "
    "calisan, buyukluk, sirket buyuklugu, headcount",
    "phone": "phone, phone number, telefon, telefon no, telefon numarasi, tel, tel no, gsm, cep, cep telefonu, "
    "cep tel, mobile, mobile phone, sabit telefon, is telefonu, telephone, business phone, iletisim no",
    "first_name": "first name, firstname, given name, ad, adi, isim, yetkili adi, contact first name, on ad",
    "last_name": "last name, lastname, surname, family name, soyad, soyadi, soyisim, yetkili soyadi",
    "title": "title, job title, position, gorev, gorevi, pozisyon, meslek, unvani, yetkili unvani, role, rol",
    "tenant_id": "tenant id, tenantid, tenant, microsoft tenant id, azure tenant id, entra tenant id, "
    "microsoft tenant, kiraci kimligi, kiraci id, directory id",
    "notes": "notes, note, not, notlar, aciklama, aciklamalar, comment, comments, yorum, description",
}
_FIELD_OF = {heading: field for field, headings in _HEADINGS.items() for heading in headings.split(", ")}
_PHONE = re.compile(r"\+?[\d\s()./-]{7,20}")
_SEARCHED_FOR_HEADING = 10
_MOST = 0.6
_ADDRESSED = ("domain", "website", "email")


@dataclass(frozen=True, slots=True)
class Proposal:
    """How the columns of a file are understood.

    ``headings`` are unique names of the columns; ``heading_line`` is the line they stand in, 0 when there is none;
    ``columns`` maps fields of a record to headings.
    """

    headings: list[str]
    heading_line: int
    columns: dict[str, str]


def propose(sample: Sequence[tuple[int, list[str]]]) -> Proposal:
    """Propose columns from the first rows of a file: (line, cells)."""
    place = _heading_place(sample)
    width = max((len(cells) for _, cells in sample), default=0)
    body = [cells for _, cells in (sample if place is None else sample[place + 1 :])]
    given = [] if place is None else sample[place][1]
    headings = _unique(given, width)
    columns: dict[str, str] = {}
    for index, heading in enumerate(headings):
        field = _FIELD_OF.get(_key(given[index])) if index < len(given) else None
        cells = [row[index] for row in body if index < len(row) and clean(row[index])]
        field = _checked(field, cells)
        if field == "company" and field in columns and _key(heading) == "unvan":
            field = "title"
        if field is not None and field not in columns:
            columns[field] = heading
    _by_content(columns, headings, body)
    if "company" not in columns and "last_name" not in columns:
        for index, heading in enumerate(headings):
            if index < len(given) and _key(given[index]) in ("name", "ad", "adi", "isim", "full name"):
                columns["company"] = heading
                columns = {
                    field: column for field, column in columns.items() if field == "company" or column != heading
                }
                break
    return Proposal(headings, 0 if place is None else sample[place][0], columns)


def _key(heading: str) -> str:
    return re.sub(r"[^a-z0-9]+", " ", turkish.fold(heading)).strip()


def _heading_place(sample: Sequence[tuple[int, list[str]]]) -> int | None:
    best, most = None, 0
    for place, (_, cells) in enumerate(sample[:_SEARCHED_FOR_HEADING]):
        named = sum(_key(cell) in _FIELD_OF for cell in cells)
        if named > most and not any(_looks_addressed(cell) for cell in cells):
            best, most = place, named
    if best is not None:
        return best
    # A first row of words over columns of addresses is a heading in words we don't know.
    if len(sample) > 1 and not any(_looks_addressed(cell) for cell in sample[0][1]):
        for index in range(len(sample[0][1])):
            below = [cells[index] for _, cells in sample[1:] if index < len(cells) and cells[index]]
            if below and sum(map(_looks_addressed, below)) / len(below) >= _MOST:
                return 0
    return None


def _looks_addressed(cell: str) -> bool:
    return "." in cell and company_domain(cell).domain is not None


def _unique(given: Sequence[str], width: int) -> list[str]:
    names: list[str] = []
    for index in range(width):
        name = clean(given[index]) if index < len(given) else None
        name = name or f"Column {index + 1}"
        names.append(name if name not in names else f"{name} ({index + 1})")
    return names


def _checked(field: str | None, cells: Sequence[str]) -> str | None:
    """The field of a heading, unless its cells say otherwise: a street is no domain, an address may be a website."""
    if not cells:
        return field
    addressed = sum(map(_looks_addressed, cells)) / len(cells)
    if field in _ADDRESSED and addressed == 0 and len(cells) >= 3:
        return None
    if field in _ADDRESSED:
        mailed = sum("@" in cell for cell in cells) / len(cells)
        if field != "email" and mailed >= _MOST:
            return "email"
        if field == "email" and mailed == 0 and addressed >= _MOST:
            return "website"
    if field == "address" and addressed >= _MOST:
        return "email" if sum("@" in cell for cell in cells) / len(cells) >= _MOST else "website"
    return field


def _by_content(columns: dict[str, str], headings: Sequence[str], body: Sequence[Sequence[str]]) -> None:
    taken = set(columns.values())
    for index, heading in enumerate(headings):
        cells = [row[index] for row in body if index < len(row) and clean(row[index])]
        if heading in taken or not cells:
            continue
        field = _field_by_content(cells)
        if field is not None and field not in columns:
            columns[field] = heading
            taken.add(heading)


def _field_by_content(cells: Sequence[str]) -> str | None:
    def share(test: Callable[[str], object]) -> float:
        return sum(bool(test(cell)) for cell in cells) / len(cells)

    if share(email_address) >= _MOST:
        return "email"
    if share(_looks_addressed) >= _MOST:
        return "website" if share(lambda cell: "/" in cell or cell.lower().startswith("www.")) >= _MOST else "domain"
    if share(tenant_id) >= _MOST:
        return "tenant_id"
    if share(_PHONE.fullmatch) >= _MOST and share(lambda cell: sum(map(str.isdigit, cell)) >= 10) >= _MOST:
        return "phone"
    return None
