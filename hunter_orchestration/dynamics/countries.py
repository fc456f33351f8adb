"""Country names as CRMs hold them: ISO 3166 alpha-2 to the English name, and what other people write for it."""

from __future__ import annotations

from hunter_orchestration.turkish import fold

_NAMES = {
    "AE": "United Arab Emirates", "AL": "Albania", "AM": "Armenia", "AR": "Argentina", "AT": "Austria",
    "AU": "Australia", "AZ": "Azerbaijan", "BA": "Bosnia and Herzegovina", "BE": "Belgium", "BG": "Bulgaria",
    "BH": "Bahrain", "BR": "Brazil", "CA": "Canada", "CH": "Switzerland", "CL": "Chile", "CN": "China",
    "CO": "Colombia", "CY": "Cyprus", "CZ": "Czechia", "DE": "Germany", "DK": "Denmark", "DZ": "Algeria",
    "EE": "Estonia", "EG": "Egypt", "ES": "Spain", "FI": "Finland", "FR": "France", "GB": "United Kingdom",
    "GE": "Georgia", "GR": "Greece", "HR": "Croatia", "HU": "Hungary", "ID": "Indonesia", "IE": "Ireland",
    "IL": "Israel", "IN": "India", "IQ": "Iraq", "IS": "Iceland", "IT": "Italy", "JO": "Jordan", "JP": "Japan",
    "KE": "Kenya", "KR": "South Korea", "KW": "Kuwait", "KZ": "Kazakhstan", "LB": "Lebanon", "LT": "Lithuania",
    "LU": "Luxembourg", "LV": "Latvia", "LY": "Libya", "MA": "Morocco", "MD": "Moldova", "ME": "Montenegro",
    "MK": "North Macedonia", "MT": "Malta", "MX": "Mexico", "MY": "Malaysia", "NG": "Nigeria", "NL": "Netherlands",
    "NO": "Norway", "NZ": "New Zealand", "OM": "Oman", "PK": "Pakistan", "PL": "Poland", "PT": "Portugal",
    "QA": "Qatar", "RO": "Romania", "RS": "Serbia", "SA": "Saudi Arabia", "SE": "Sweden", "SG": "Singapore",
    "SI": "Slovenia", "SK": "Slovakia", "TH": "Thailand", "TN": "Tunisia", "TR": "Türkiye", "UA": "Ukraine",
    "US": "United States", "UZ": "Uzbekistan", "VN": "Vietnam", "XK": "Kosovo", "ZA": "South Africa",
}  # fmt: skip
_OTHERS = {
    "turkey": "TR", "turkiye": "TR", "germany": "DE", "deutschland": "DE", "almanya": "DE", "usa": "US",
    "united states of america": "US", "uk": "GB", "great britain": "GB", "ingiltere": "GB", "czech republic": "CZ",
    "uae": "AE", "the netherlands": "NL", "hollanda": "NL", "fransa": "FR", "italya": "IT", "azerbaycan": "AZ",
}  # fmt: skip
_CODES = {fold(name): code for code, name in _NAMES.items()} | _OTHERS


def country_name(code: str) -> str | None:
    """The name of a code; ``None`` for a code without one here, which then stands for itself."""
    return _NAMES.get(code.upper())


def country_code(text: str | None) -> str | None:
    """The code of a name or a code; ``None`` when it says nothing we know."""
    if not text:
        return None
    word = text.strip()
    return word.upper() if len(word) == 2 and word.isalpha() else _CODES.get(fold(word))
