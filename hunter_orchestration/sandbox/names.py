"""Invented companies and people: what their names are made of. Likeness to a real one is an accident of two words."""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import overload

import idna


def words(text: str) -> tuple[str, ...]:
    """The words of a text."""
    return tuple(text.split())


STEMS = words("""
Karadut Yıldırım Akçam İncirli Bozkır Gökova Şahinler Çınar Poyraz Değirmen Kızılırmak Özsoy Ilgaz Uludere
Tanyeri Sarıkaya Körfez Demirağ Alaçam Kuzgun Beyazıt Işıkkent Günebakan Ulupınar Harmanlı Akdoğan İğdeli
Çelikhan Şimşek Ötüken Zeytinlik Yeşilova Taşkent Mavişehir Kardelen Ihlamur Pamukova Denizaltı Güneşli Akasya
Bulutsuz Fırtına Kıvılcım Yalıçapkını Ardıç Northgate Silverlake Brightwater Oakhurst Redfern Stonebridge
Larkfield Eastmoor Ashcombe Wildbrook Kestrel Marlowe Fairholm Nordwind Lindenhof Steinbach Hagedorn Müllerhof
Waldsee Bergström Falkenau Rosengart Lumière Beauchêne Montclair Valmont Ribalta Solana Montoro Azahar
Castelnovo Bellavista Vesper Quillon Tarwyn Ostrava Velden Zandbergen Korhonen Halvorsen
""")
SECTORS = words("""
Lojistik Gıda Makine Tekstil Yazılım İnşaat Enerji Otomotiv Mobilya Sağlık Danışmanlık Turizm Kimya Ambalaj
Eğitim Plastik Seramik Elektrik Denizcilik Tarım Metal Medikal Mühendislik Finans Sigorta Perakende Kozmetik
Döküm Telekom Matbaa Logistics Foods Systems Robotics Pharma Optics Textiles Analytics Energy Packaging Marine
Dental Interiors Foundry
""")
TIERS = (
    "",
    "Ege",
    "Anadolu",
    "Trakya",
    "Marmara",
    "Toros",
    "Nova",
    "Delta",
    "Atlas",
    "Orion",
    "Vega",
    "Prime",
    "Kuzey",
    "Güney",
)
GIVEN = words("""
Ayşe Fatma Zeynep Elif Merve İrem Şule Çağla Özge Gülşen Işıl Nazlı Deniz Mehmet Mustafa Ali İsmail Hüseyin
Çağrı Oğuz Umut Şükrü Barış Yiğit Ilgın Kerem Tuğba Emre Anna Jonas Lukas Marie Sofia Oliver Hannah Émile Chloé
Mateo Lucía Björn Ingrid Tomás
""")
FAMILY = words("""
Yılmazel Kayalı Demirsoy Şahinoğlu Çelikkol Yıldızhan Öztürkmen Aydınlı Özdemirci Arslaner Doğanay Kılıçarslan
Aslanbey Çetinkal Kurtoğlu Özkanlı Şimşekler Polatel Işıklar Güneysu Tekinalp Bozdağ Uçarlı İnceoğlu Akbulutlu
Sample Fielding Hartwell Lindqvist Vogelsang Brenner Moreau Castellan Rivas Novakova Jensen Whitcombe
""")
TITLES = (
    "Genel Müdür",
    "BT Müdürü",
    "Satın Alma Müdürü",
    "Bilgi İşlem Sorumlusu",
    "IT Manager",
    "CIO",
    "Operations Lead",
    None,
)
SIZES = (
    "1to9employees",
    "10to50employees",
    "51to250employees",
    "251to1000employees",
    "1001to5000employees",
    "5001to10000employees",
    "10001to20000employees",
    "Morethan20000employees",
    "1to50employees",
    "51to500employees",
    "Morethan500employees",
    "",
)
SIZE_WEIGHTS = (14, 24, 26, 14, 6, 1, 1, 1, 4, 4, 2, 3)
_SIZE_BOUNDS = tuple(accumulate(SIZE_WEIGHTS))
PLACES = {
    "TR": words(
        "İstanbul Ankara İzmir Bursa Antalya Kocaeli Konya Gaziantep Kayseri Denizli Diyarbakır Iğdır Ağrı Çanakkale"
    ),
    "DE": words("Berlin Hamburg München Köln Stuttgart Nürnberg"),
    "GB": words("London Leeds Bristol Manchester"),
    "NL": words("Amsterdam Utrecht Eindhoven"),
    "FR": words("Paris Lyon Nantes"),
    "US": words("Seattle Austin Denver"),
    "AE": words("Dubai Sharjah"),
    "AZ": words("Bakı Gəncə"),
}
COUNTRIES = ("TR",) * 4 + ("DE", "DE", "GB", "NL", "FR", "US", "AE", "AZ")
LEGAL = {
    "TR": ("A.Ş.", "Ltd. Şti.", "San. ve Tic. A.Ş.", "San. Tic. Ltd. Şti.", "Anonim Şirketi", ""),
    "DE": ("GmbH", "AG", "GmbH & Co. KG"),
    "GB": ("Ltd.", "PLC", "Ltd"),
    "NL": ("B.V.", "N.V."),
    "FR": ("SARL", "SAS"),
    "US": ("Inc.", "LLC", "Corp."),
    "AE": ("FZ-LLC", "LLC"),
    "AZ": ("MMC", "ASC"),
}
DIAL = {"TR": "+90", "DE": "+49", "GB": "+44", "NL": "+31", "FR": "+33", "US": "+1", "AE": "+971", "AZ": "+994"}
_FOLD = str.maketrans("çğıİöşüəéèêëôîâáíóúñåäßøÇĞÖŞÜÉ", "cgiiosueeeeeoiaaiounaasocgosue")
_TURKISH_STEMS = STEMS.index("Northgate")
_COMBINATIONS = len(STEMS) * len(SECTORS)
_STEP = 1_000_003
"""Coprime to the number of combinations: neighbours share neither word, and no pair comes twice."""
_IDN = re.compile(r"[^\x00-\x7f]")


def mix(value: int) -> int:
    """A well-spread 64-bit number (splitmix64): the same for the same value, on every platform."""
    value = (value + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return value ^ (value >> 31)


def fold(text: str) -> str:
    """Lower-case ASCII letters for Turkish and other Latin ones; everything else goes."""
    return re.sub(r"[^a-z0-9]+", "", text.translate(_FOLD).lower())


_STEM_SLUGS = tuple(fold(s) for s in STEMS)
_SECTOR_SLUGS = tuple(fold(s) for s in SECTORS)
_TIER_SLUGS = tuple(fold(s) for s in TIERS)


@dataclass(frozen=True, slots=True)
class Company:
    """One invented company: ``domain`` ASCII (IDNA), ``shown_domain`` Unicode, ``size`` a contract value or ""."""

    index: int
    name: str
    domain: str
    shown_domain: str
    country: str
    city: str
    size: str
    hash: int


def _words(seed: int, index: int) -> tuple[int, int, int]:
    tier, place = divmod(index, _COMBINATIONS)
    place = (place * _STEP + seed % _COMBINATIONS) % _COMBINATIONS
    stem, sector = divmod(place, len(SECTORS))
    return stem, sector, tier


def domain_of(seed: int, index: int) -> str:
    """The ASCII domain of company ``index``: unique within a seed, two labels under .example or .test."""
    hashed = mix(seed * 0x10001 + index)
    stem, sector, tier = _words(seed, index)
    if hashed % 33 == 0:
        shown = _shown_label(stem, sector, tier)
        if _IDN.search(shown):
            return f"{idna.encode(shown).decode()}.{'example' if hashed & 64 else 'test'}"
    slug = _STEM_SLUGS[stem] + ("-" if hashed & 128 else "") + _SECTOR_SLUGS[sector]
    if tier:
        slug += f"-{_TIER_SLUGS[tier]}" if tier < len(TIERS) else f"-{tier}"
    return f"{slug}.{'example' if hashed & 64 else 'test'}"


def _shown_label(stem: int, sector: int, tier: int) -> str:
    text = (STEMS[stem] + SECTORS[sector]).replace("İ", "i").replace("I", "ı").lower()
    return text + (f"-{tier}" if tier else "")


def company(seed: int, index: int) -> Company:
    """Company ``index`` of the world with this seed."""
    hashed = mix(seed * 0x10001 + index)
    stem, sector, tier = _words(seed, index)
    pick = mix(hashed)
    country = "TR" if stem < _TURKISH_STEMS and pick % 12 else COUNTRIES[(pick >> 4) % len(COUNTRIES)]
    cities = PLACES[country]
    legal = LEGAL[country][(pick >> 8) % len(LEGAL[country])]
    name = f"{STEMS[stem]} {SECTORS[sector]}"
    if tier:
        name += f" {TIERS[tier] if tier < len(TIERS) else tier}"
    if pick % 61 == 0:
        name = f"{STEMS[stem]} & {STEMS[(stem + 7) % len(STEMS)]} {SECTORS[sector]}"
    domain = domain_of(seed, index)
    roll = (pick >> 16) % _SIZE_BOUNDS[-1]
    return Company(
        index=index,
        name=f"{name} {legal}".strip(),
        domain=domain,
        shown_domain=idna.decode(domain) if "xn--" in domain else domain,
        country=country,
        city=cities[(pick >> 24) % len(cities)],
        size=SIZES[bisect(_SIZE_BOUNDS, roll)],
        hash=hashed,
    )


class Companies(Sequence[Company]):
    """The companies of a world, made when looked at."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.size = 0

    def __len__(self) -> int:
        return self.size

    @overload
    def __getitem__(self, index: int) -> Company: ...

    @overload
    def __getitem__(self, index: slice) -> list[Company]: ...

    def __getitem__(self, index: int | slice) -> Company | list[Company]:
        if isinstance(index, slice):
            return [company(self._seed, number) for number in range(*index.indices(self.size))]
        if not -self.size <= index < self.size:
            raise IndexError(index)
        return company(self._seed, index % self.size)
