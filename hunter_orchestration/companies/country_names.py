"""Countries as files name them: ISO codes, and the names common in Turkish and English files."""

from __future__ import annotations

from hunter_orchestration import turkish
from hunter_orchestration.partner_center.countries import alpha2

_NAMES = {
    name: code
    for code, names in {
        "TR": "turkiye, turkey, turkiye cumhuriyeti, republic of turkey, republic of turkiye, t.c., tc",
        "CY": "kibris, cyprus, kktc",
        "DE": "almanya, germany, deutschland",
        "GB": "ingiltere, birlesik krallik, united kingdom, uk, england, great britain",
        "US": "abd, amerika, amerika birlesik devletleri, united states, united states of america, u.s.a., u.s.",
        "FR": "fransa, france",
        "IT": "italya, italy",
        "ES": "ispanya, spain",
        "PT": "portekiz, portugal",
        "NL": "hollanda, netherlands, the netherlands, holland",
        "BE": "belcika, belgium",
        "LU": "luksemburg, luxembourg",
        "CH": "isvicre, switzerland",
        "AT": "avusturya, austria",
        "SE": "isvec, sweden",
        "NO": "norvec, norway",
        "DK": "danimarka, denmark",
        "FI": "finlandiya, finland",
        "IE": "irlanda, ireland",
        "PL": "polonya, poland",
        "CZ": "cekya, cek cumhuriyeti, czechia, czech republic",
        "SK": "slovakya, slovakia",
        "HU": "macaristan, hungary",
        "RO": "romanya, romania",
        "BG": "bulgaristan, bulgaria",
        "GR": "yunanistan, greece",
        "AL": "arnavutluk, albania",
        "MK": "kuzey makedonya, makedonya, north macedonia",
        "XK": "kosova, kosovo",
        "BA": "bosna hersek, bosnia and herzegovina",
        "RS": "sirbistan, serbia",
        "HR": "hirvatistan, croatia",
        "SI": "slovenya, slovenia",
        "UA": "ukrayna, ukraine",
        "RU": "rusya, russia, russian federation",
        "GE": "gurcistan, georgia",
        "AM": "ermenistan, armenia",
        "AZ": "azerbaycan, azerbaijan",
        "KZ": "kazakistan, kazakhstan",
        "UZ": "ozbekistan, uzbekistan",
        "TM": "turkmenistan",
        "KG": "kirgizistan, kyrgyzstan",
        "IQ": "irak, iraq",
        "IR": "iran",
        "SY": "suriye, syria",
        "LB": "lubnan, lebanon",
        "IL": "israil, israel",
        "JO": "urdun, jordan",
        "SA": "suudi arabistan, saudi arabia",
        "AE": "bae, birlesik arap emirlikleri, dubai, united arab emirates, uae",
        "QA": "katar, qatar",
        "KW": "kuveyt, kuwait",
        "BH": "bahreyn, bahrain",
        "OM": "umman, oman",
        "EG": "misir, egypt",
        "LY": "libya",
        "TN": "tunus, tunisia",
        "DZ": "cezayir, algeria",
        "MA": "fas, morocco",
        "NG": "nijerya, nigeria",
        "ZA": "guney afrika, south africa",
        "IN": "hindistan, india",
        "PK": "pakistan",
        "CN": "cin, china",
        "JP": "japonya, japan",
        "KR": "guney kore, south korea",
        "SG": "singapur, singapore",
        "AU": "avustralya, australia",
        "CA": "kanada, canada",
        "MX": "meksika, mexico",
        "BR": "brezilya, brazil",
        "AR": "arjantin, argentina",
        "MT": "malta",
        "EE": "estonya, estonia",
        "LV": "letonya, latvia",
        "LT": "litvanya, lithuania",
    }.items()
    for name in names.split(", ")
}


def country_code(text: str | None) -> str | None:
    """ISO 3166 alpha-2 of a country's code or name; ``None`` when it is none we know."""
    if not text:
        return None
    return alpha2(text) or _NAMES.get(turkish.fold(text.strip()))
