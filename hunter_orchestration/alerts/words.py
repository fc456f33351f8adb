"""What a failed check means, in English and in Turkish, for people who do not know it by its name."""

from __future__ import annotations

from collections.abc import Mapping

FAILED: Mapping[str, tuple[str, str]] = {
    "counts_add_up": (
        "Rows that were read do not add up to rows that were accounted for",
        "Okunan satırlarla hesabı verilen satırlar tutmuyor",
    ),
    "no_sudden_drop": (
        "Partner Center suddenly returned far fewer referrals than before; nothing downstream was run",
        "Partner Center birden öncekinden çok daha az yönlendirme döndürdü; sonraki adımlar çalıştırılmadı",
    ),
    "sign_in_lasts": (
        "The sign-in to Partner Center ends within two weeks: run hunter login",
        "Partner Center oturumu iki hafta içinde sona eriyor: hunter login çalıştırın",
    ),
    "referral_sync_success": (
        "Too few of the referrals read were understood and stored",
        "Okunan yönlendirmelerin yeterince büyük bölümü anlaşılıp kaydedilemedi",
    ),
    "new_referrals_answered": (
        "New referrals expire within three days unless somebody accepts or declines them",
        "Yeni yönlendirmeler kabul ya da reddedilmezse üç gün içinde sona eriyor",
    ),
    "quarantine_empty": (
        "Payloads wait in quarantine for a person",
        "Karantinada birinin bakmasını bekleyen kayıtlar var",
    ),
    "resolver_answers": (
        "The resolvers do not answer: most domains have a failed lookup",
        "Çözümleyiciler yanıt vermiyor: alan adlarının çoğunda sorgu başarısız",
    ),
    "dynamics_sync_success": (
        "Too few of the records that could be pushed are in Dynamics as they should be",
        "Gönderilebilecek kayıtların yeterince büyük bölümü Dynamics'te olması gerektiği gibi değil",
    ),
    "nothing_needs_a_person": (
        "Records are rejected, in conflict or deleted in Dynamics; they wait for a decision on the page",
        "Dynamics'te reddedilen, çakışan ya da silinen kayıtlar var; sayfada karar bekliyorlar",
    ),
    "win_rates_follow_the_rules": (
        "Categories that the rules call for last are won more often than those they call for first",
        "Kuralların sona bıraktığı kategoriler, öne aldıklarından daha çok kazanılıyor",
    ),
    "pipeline_accuracy": (
        "What is shown as synced differs too often from what Dynamics holds",
        "Eşitlendi görünen kayıtlar Dynamics'tekilerden fazla sayıda farklı",
    ),
}
"""By the name of the check."""

_FIGURES = {
    "found": "bulunan",
    "most": "en çok",
    "least": "en az",
    "share": "oran",
    "promise": "söz verilen oran",
    "accounted_for": "hesabı verilen",
    "detail": "ayrıntı",
}


def failed(asset: str, check: str, figures: Mapping[str, object]) -> tuple[str, str]:
    """The sentence of a failed check with its figures, in English and in Turkish."""
    english, turkish = FAILED.get(
        check, (f"The check {check} of {asset} fails", f"{asset} varlığındaki {check} denetimi tutmuyor")
    )
    shown = {name: value for name, value in figures.items() if isinstance(value, str | int | float)}
    return english + _end(shown, {}), turkish + _end(shown, _FIGURES)


def stale(asset: str) -> tuple[str, str]:
    """An asset that was not brought up to date for longer than its policy allows."""
    return (
        f"{asset} was not brought up to date for longer than its freshness policy allows: see that its schedule is on "
        "and the daemon runs (hunter doctor).",
        f"{asset} tazelik kuralının izin verdiğinden uzun süredir güncellenmedi: zamanlamasının açık olduğuna ve arka "
        "plan hizmetinin çalıştığına bakın (hunter doctor).",
    )


def fresh(asset: str) -> tuple[str, str]:
    """An asset that is up to date."""
    return f"{asset} is up to date.", f"{asset} güncel."


def _end(figures: Mapping[str, object], words: Mapping[str, str]) -> str:
    told = ", ".join(f"{words.get(name, name.replace('_', ' '))} {value}" for name, value in figures.items())
    return f" ({told})." if told else "."
