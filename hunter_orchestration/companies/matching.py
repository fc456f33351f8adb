"""Which known company a referral without a domain may be: names compared without legal forms, in Turkish folding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from rapidfuzz import fuzz, process

from hunter_orchestration.companies.naming import is_a_name, matching_key
from hunter_orchestration.store import Connection, Store, companies, leads, referrals

LEAST_SIMILARITY = 70.0
_DRAWN = 60
_SAME_COUNTRY = 4.0
_OTHER_COUNTRY = -12.0
_SUBSET_WORTH = 0.92


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A company a referral may belong to. ``similarity`` goes from 0 to 100."""

    domain: str
    name: str
    country: str | None
    similarity: int


@dataclass(frozen=True, slots=True)
class _Known:
    companies: Sequence[tuple[str, str, str | None]]
    keys: Sequence[str]
    labels: Sequence[str]


class Matcher:
    """Compares names with every company of the store. Built once for many questions."""

    def __init__(self, store: Store) -> None:
        with store.read() as connection:
            stamp = companies.names_stamp(connection)
        self._known = _known(store, stamp)

    def similar(self, name: str, country: str | None, limit: int = 5) -> list[Suggestion]:
        """The companies most similar in name, best first; the same country speaks for one, another against it."""
        if not is_a_name(name):
            return []
        key = matching_key(name)
        drawn: dict[int, float] = {}
        for scorer, choices, text, worth in (
            (fuzz.token_sort_ratio, self._known.keys, key, 1.0),
            (fuzz.token_set_ratio, self._known.keys, key, _SUBSET_WORTH),
            (fuzz.ratio, self._known.labels, key.replace(" ", ""), 1.0),
        ):
            if worth < 1 and " " not in key:
                # One word is a subset of too many names.
                continue
            for _, similarity, index in process.extract(
                text, choices, scorer=scorer, limit=_DRAWN, score_cutoff=LEAST_SIMILARITY
            ):
                drawn[index] = max(drawn.get(index, 0.0), similarity * worth)
        ranked = sorted((-self._weighed(similarity, country, index), index) for index, similarity in drawn.items())
        found = [(-similarity, *self._known.companies[index]) for similarity, index in ranked]
        return [
            Suggestion(domain, known, home, round(similarity))
            for similarity, domain, known, home in found
            if similarity >= LEAST_SIMILARITY
        ][:limit]

    def _weighed(self, similarity: float, country: str | None, index: int) -> float:
        home = self._known.companies[index][2]
        if country and home:
            similarity += _SAME_COUNTRY if country == home else _OTHER_COUNTRY
        return min(similarity, 100.0)


def suggestions(store: Store, referral_id: str, limit: int = 5) -> list[Suggestion]:
    """Companies a stored referral may belong to, best first; none for an unknown referral."""
    with store.read() as connection:
        row: Any = referrals.one(connection, referral_id)
        if row is None:
            return []
        together = _of_engagement(connection, row)
    known = {found.domain for found in together}
    similar = Matcher(store).similar(row["company_name"], row["country"], limit + len(known))
    return [*together, *(found for found in similar if found.domain not in known)][:limit]


def _of_engagement(connection: Connection, row: Any) -> list[Suggestion]:
    """The companies of referrals that share the engagement: they belong together, whatever they are called."""
    if not row["engagement_id"]:
        return []
    named = [other["company_domain"] for other in referrals.of_engagement(connection, row["engagement_id"])]
    found = companies.by_domain(connection, [domain for domain in named if domain])
    return [Suggestion(domain, company["name"], company["country"], 100) for domain, company in sorted(found.items())]


@lru_cache(maxsize=1)
def _known(store: Store, stamp: object) -> _Known:
    """The names of one state of the store: asked again only after a company changed."""
    with store.read() as connection:
        rows = sorted(companies.known_names(connection))
    labels = [matching_key(leads.shown(domain).partition(".")[0]).replace(" ", "") for domain, _, _ in rows]
    return _Known(rows, [matching_key(name) for _, name, _ in rows], labels)
