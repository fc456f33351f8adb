"""Codes of the services as an export writes them: in the words that the page shows, which a test compares."""

from __future__ import annotations

import re
from collections.abc import Mapping

from hunter_orchestration.scoring.templates import Language

Words = Mapping[str, tuple[str, str]]

_SEGMENT: Words = {
    "COMPETITIVE": ("Competitive", "Rakipte"),
    "GREENFIELD": ("Greenfield", "Yeni alan"),
    "LOW_INTENT": ("Low intent", "Düşük niyet"),
    "NO_GO": ("No-go", "Uygun değil"),
    "RENEWAL": ("Renewal", "Yenileme"),
    "WEAK_PARTNER": ("Weak partner", "Zayıf iş ortağı"),
}
_TECHNICAL: Words = {
    "Cold": ("Cold", "Soğuk"),
    "Existing": ("Existing", "Mevcut"),
    "Migration": ("Migration", "Geçiş"),
    "Skip": ("Skip", "Atla"),
}
_HEAT: Words = {
    "Cold": ("cold", "soğuk"),
    "HIGH": ("high", "yüksek"),
    "Hot": ("hot", "sıcak"),
    "LOW": ("low", "düşük"),
    "MEDIUM": ("medium", "orta"),
    "Warm": ("warm", "ılık"),
}
_PROVIDER: Words = {
    "Amazon": ("Amazon", "Amazon"),
    "Google": ("Google", "Google"),
    "Hosting": ("Hosting", "Barındırma"),
    "Local": ("Self-hosted", "Kendi sunucusu"),
    "M365": ("Microsoft 365", "Microsoft 365"),
    "Mailgun": ("Mailgun", "Mailgun"),
    "Other": ("Other service", "Başka hizmet"),
    "SendGrid": ("SendGrid", "SendGrid"),
    "Unknown": ("Unknown", "Bilinmiyor"),
    "Yandex": ("Yandex", "Yandex"),
    "Zoho": ("Zoho", "Zoho"),
}
_SOURCE: Words = {
    "api": ("By hand", "Elle"),
    "crm": ("Dynamics", "Dynamics"),
    "import": ("Import", "İçe aktarım"),
    "manual": ("By hand", "Elle"),
    "partnercenter": ("Partner Center", "Partner Center"),
    "referral": ("Partner Center", "Partner Center"),
    "scan": ("Scan", "Tarama"),
    "webhook": ("Web form", "Web formu"),
}
_CATEGORY: Words = {
    "co_sell": ("Co-sell", "Ortak satış"),
    "marketplace": ("Marketplace", "Pazar yeri"),
    "other": ("Other", "Diğer"),
    "partner_led": ("Partner-led", "İş ortağı öncülüğünde"),
    "private_deal": ("Private deal", "Özel anlaşma"),
    "solution_provider": ("Solution provider", "Çözüm sağlayıcı"),
}
_STATUS: Words = {
    "Active": ("Active", "Etkin"),
    "Closed": ("Closed", "Kapalı"),
    "New": ("New", "Yeni"),
    "None": ("None", "Yok"),
}
_SUBSTATUS: Words = {
    "Accepted": ("Accepted", "Kabul edildi"),
    "Archived": ("Archived", "Arşivlendi"),
    "Declined": ("Declined", "Reddedildi"),
    "Error": ("Error", "Hata"),
    "Expired": ("Expired", "Süresi doldu"),
    "Lost": ("Lost", "Kaybedildi"),
    "Pending": ("New", "Yeni"),
    "Received": ("New", "Yeni"),
    "Won": ("Won", "Kazanıldı"),
}
_DYNAMICS: Words = {
    "conflict": ("Conflict", "Çakışma"),
    "deferred": ("Waiting", "Bekliyor"),
    "deleted_in_crm": ("Deleted in Dynamics", "Dynamics'te silinmiş"),
    "in_progress": ("Being sent", "Gönderiliyor"),
    "not_pushed": ("Not pushed", "Gönderilmedi"),
    "pending": ("Waiting to be sent", "Gönderilmeyi bekliyor"),
    "rejected": ("Rejected", "Reddedildi"),
    "skipped": ("Left out by the rules", "Kurallar gereği dışarıda"),
    "synced": ("Synced", "Eşitlendi"),
}
_DOMAIN_REJECTED: Words = {
    "disposable": (
        "a provider of throw-away mail names no company",
        "tek kullanımlık e-posta adresi bir şirket göstermez",
    ),
    "empty": ("it names no domain, web site or e-mail address", "alan adı, web sitesi ya da e-posta adresi içermiyor"),
    "free-mail": ("a free mail address names no company", "ücretsiz e-posta adresi bir şirket göstermez"),
    "ip": ("an IP address names no company", "IP adresi bir şirket göstermez"),
    "platform": ("the link leads into a platform", "bağlantı bir platforma gidiyor"),
    "public-suffix": ("many companies register under this ending", "bu uzantı altında pek çok şirket var"),
    "special-use": ("the name is reserved for private networks", "bu ad özel ağlara ayrılmış"),
    "suppressed": ("it was erased on request", "istek üzerine silindi"),
    "syntax": ("what it names is no domain", "yazılan geçerli bir alan adı değil"),
}

CATALOGUES: Mapping[str, tuple[str, Words]] = {
    "commercial_segment": ("segment", _SEGMENT),
    "segment": ("technical", _TECHNICAL),
    "technical_heat": ("heat", _HEAT),
    "commercial_heat": ("heat", _HEAT),
    "provider": ("provider", _PROVIDER),
    "source": ("source", _SOURCE),
    "referral_category": ("category", _CATEGORY),
    "referral_status": ("status", _STATUS),
    "referral_substatus": ("substatus", _SUBSTATUS),
    "dynamics_state": ("dynamics", _DYNAMICS),
    "reason": ("domain_rejected", _DOMAIN_REJECTED),
}
"""By exported column: the stem of the page's texts, and each code in English and Turkish."""

_RANGE = re.compile(r"(\d+)to(\d+)employees", re.IGNORECASE)
_OVER = re.compile(r"(?:morethan)?(\d+)(?:plus)?employees", re.IGNORECASE)


def words_of(column: str, value: str, language: Language) -> str:
    """A cell's code in words; what is no code, or none that is known, stays as it is."""
    if column in CATALOGUES:
        return CATALOGUES[column][1].get(value, (value, value))[language == "tr"]
    if column == "size":
        if found := _RANGE.fullmatch(value):
            return f"{found[1]}–{found[2]}"
        if found := _OVER.fullmatch(value):
            return f"> {found[1]}"
    return value
