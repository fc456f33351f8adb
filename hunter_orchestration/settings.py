"""Settings: every ``HUNTER_*`` environment variable, its default and its meaning.

Read from the environment, then from ``.env`` in the current directory. Nothing else in the product reads the
environment. Secrets are ``SecretStr`` and never appear in a repr, a log line or an error.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from pydantic_settings import SettingsError as SettingsSourceError

CommaList = Annotated[list[str], NoDecode]
"""A list written with commas."""

Environment = Literal["development", "production"]


class SettingsError(Exception):
    """A setting is missing or wrong. The message names it and says what to do."""


class Settings(BaseSettings):
    """One immutable set of settings. Durations are in the unit the name says; URLs carry no trailing slash."""

    model_config = SettingsConfigDict(
        env_prefix="HUNTER_",
        env_file=".env",
        env_file_encoding="utf-8",
        # A name without a value, as the files to fill in have them, means the default and not an empty path or number.
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
    )

    # Where things live
    home: Path = Field(Path(".hunter"), description="Folder of everything Hunter keeps on disk.")
    environment: Environment = Field(
        "production", description="development polls through a sensor of seconds, production every 10 min by schedule."
    )
    development_poll_seconds: int = Field(
        30, ge=5, le=3600, description="How often development's sensor asks Partner Center for changes."
    )
    demo: bool = Field(False, description="Demo mode: the sandbox plays Microsoft's services and DNS on loopback.")
    sandbox_port: int = Field(8400, ge=1, le=65000, description="First port of the demo's sandbox; +53 and +80 too.")
    demo_companies: int = Field(500, ge=1, le=1_000_000, description="Companies in the demo's invented world.")
    database_url: str = Field(
        "",
        description="SQLAlchemy URL of Hunter's store. Empty: SQLite in HUNTER_HOME. PostgreSQL: postgresql+psycopg2://…",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least severe level logged.")

    # Addresses Hunter listens on
    api_host: str = Field(
        "127.0.0.1", description="Address of the mini UI and API. Off loopback needs sign-in configured."
    )
    api_port: int = Field(8000, ge=0, le=65535, description="Port of the mini UI and API.")
    dagster_port: int = Field(3000, ge=0, le=65535, description="Port of the Dagster UI, on loopback.")
    dagster_url: str = Field(
        "", description="Dagster web server the API talks to. Empty: loopback at HUNTER_DAGSTER_PORT."
    )
    public_url: str = Field(
        "", description="Address people use for the mini UI, for links. Empty: loopback at HUNTER_API_PORT."
    )

    # Microsoft Entra ID
    authority_url: str = Field("https://login.microsoftonline.com", description="Sign-in authority.")
    tenant_id: str = Field("", description="Partner's own Entra tenant, GUID or domain.")
    client_id: str = Field("", description="App registration used for Partner Center and Dynamics.")
    client_secret: SecretStr = Field(
        SecretStr(""), description="Client secret (Dynamics, or unattended Partner Center)."
    )
    client_certificate: Path | None = Field(
        None, description="PEM file with key and certificate, instead of the secret."
    )
    refresh_token: SecretStr = Field(SecretStr(""), description="Partner Center refresh token for unattended servers.")
    token_cache_key: SecretStr = Field(
        SecretStr(""), description="Key that encrypts the token cache where the platform has none."
    )

    # Partner Center
    partner_center_enabled: bool = Field(False, description="Pull referrals from Partner Center.")
    partner_center_url: str = Field("https://api.partner.microsoft.com", description="Referrals API host.")
    partner_center_audience: str = Field(
        "https://api.partner.microsoft.com", description="Token audience of the Referrals API."
    )
    partner_center_events_url: str = Field(
        "https://api.partnercenter.microsoft.com", description="Host where webhooks are registered."
    )
    partner_center_write_back: bool = Field(False, description="Allow accept, decline, won and lost from the page.")
    partner_center_overlap_minutes: int = Field(
        10, ge=0, le=1440, description="How far a window reaches behind the watermark."
    )
    partner_center_page_size: int = Field(100, ge=1, le=1000, description="$top asked for; the service may give fewer.")
    webhook_certificate_hosts: CommaList = Field(
        ["3psostorageacct.blob.core.windows.net"],
        description="Hosts that webhook signing certificates may be fetched from.",
    )
    webhook_root_certificate: Path | None = Field(
        None, description="PEM bundle that webhook certificates must chain to."
    )
    import_webhook_secret: SecretStr = Field(
        SecretStr(""), description="Shared secret of the form webhook; empty turns it off."
    )
    import_folder: Path | None = Field(None, description="Folder watched for files to import.")

    first_day: date = Field(date(2024, 1, 1), description="First day a backfill can name; older leads still sync.")

    # Scanning
    dns_servers: CommaList = Field([], description="Resolvers as HOST or HOST:PORT. Empty: the system's.")
    rdap_url: str = Field("", description="RDAP base URL for every domain. Empty: IANA bootstrap.")
    mmdb_path: Path | None = Field(None, description="MMDB file for country and network of an IP address.")
    scan_ttl_days: int = Field(7, ge=1, le=365, description="How long a scan stays fresh.")
    scan_unknown_ttl_hours: int = Field(6, ge=1, le=168, description="How long a scan with failed lookups stays fresh.")
    scan_concurrency: int = Field(200, ge=1, le=5000, description="Domains scanned at once.")
    scan_processes: int = Field(
        0,
        ge=0,
        le=64,
        description="Processes that share 5,000 domains or more. 0: by cores, up to 4, if the resolver is local.",
    )
    scan_queries_per_second: int = Field(
        0, ge=0, description="Ceiling of queries per second per resolver; 0 adapts by itself."
    )
    scan_details_daily: int = Field(
        2000, ge=0, description="Leads a day whose registration, tenant and mail transport are looked up; 0: none."
    )
    scan_first_timeout_seconds: float = Field(
        1.0, gt=0, le=10, description="Wait for a resolver's first answer; later waits follow its round trip."
    )

    # Scoring
    rules_file: Path | None = Field(None, description="Scoring rules. Empty: the rules that come with Hunter.")
    briefing_file: Path | None = Field(
        None, description="Sales briefing templates. Empty: those that come with Hunter."
    )
    offers_file: Path | None = Field(None, description="Offers and price list. Empty: those that come with Hunter.")

    # Dynamics 365
    dynamics_enabled: bool = Field(False, description="Push to and read back from Dynamics 365.")
    dynamics_url: str = Field("", description="Organisation URL, e.g. https://contoso.crm4.dynamics.com.")
    dynamics_tenant_id: str = Field("", description="Tenant of the Dynamics organisation. Empty: HUNTER_TENANT_ID.")
    mapping_file: Path | None = Field(None, description="Dynamics mapping. Empty: the mapping that comes with Hunter.")
    dynamics_batch_size: int = Field(200, ge=1, le=1000, description="Rows per bulk message.")
    dynamics_concurrency: int = Field(4, ge=1, le=52, description="Most requests in flight to Dynamics.")

    # People and privacy
    auth_client_id: str = Field("", description="App registration for signing people in to the page.")
    auth_client_secret: SecretStr = Field(SecretStr(""), description="Its secret.")
    session_idle_minutes: int = Field(
        60, ge=5, le=1440, description="A signed-in session ends after this much idleness."
    )
    session_hours: int = Field(10, ge=1, le=24, description="A signed-in session ends after this long.")
    retention_runs_days: int = Field(14, ge=1, description="Dagster runs kept.")
    retention_raw_days: int = Field(400, ge=1, description="Raw payloads kept after they were superseded.")
    retention_scans_days: int = Field(180, ge=1, description="Superseded scans kept.")
    retention_audit_days: int = Field(730, ge=30, description="Audit entries, past scores and mended differences kept.")
    retention_quarantine_days: int = Field(180, ge=1, description="Resolved quarantine entries kept.")
    retention_events_days: int = Field(14, ge=1, description="Page events kept.")
    alerts_file: Path | None = Field(None, description="Where alerts go: webhook, e-mail, Teams. Empty: the log only.")

    @field_validator("dns_servers", "webhook_certificate_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator(
        "authority_url",
        "partner_center_url",
        "partner_center_audience",
        "partner_center_events_url",
        "dynamics_url",
        "dagster_url",
        "public_url",
        "rdap_url",
    )
    @classmethod
    def _plain_base(cls, value: str) -> str:
        value = value.strip().rstrip("/")
        if value and not value.startswith(("https://", "http://")):
            raise ValueError("must start with https:// (http:// only for loopback)")
        return value

    @property
    def store_url(self) -> str:
        """SQLAlchemy URL of the store, the default filled in."""
        return self.database_url or f"sqlite:///{(self.home / 'hunter.db').absolute()}"

    @property
    def page_url(self) -> str:
        """Base URL of the mini UI as people reach it."""
        return self.public_url or f"http://127.0.0.1:{self.api_port}"

    @property
    def dagster_base_url(self) -> str:
        """Base URL of the Dagster web server as Hunter's own processes reach it."""
        return self.dagster_url or f"http://127.0.0.1:{self.dagster_port}"

    @property
    def poll_interval(self) -> timedelta:
        """How often Partner Center is asked for changes."""
        development = self.environment == "development"
        return timedelta(seconds=self.development_poll_seconds) if development else timedelta(minutes=10)


def load_settings(**overrides: object) -> Settings:
    """Read the settings afresh.

    Raises:
        SettingsError: naming each wrong setting in one line, without its value.
    """
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        wrong = "; ".join(
            f"HUNTER_{'_'.join(str(part) for part in item['loc'][:1]).upper()}: {item['msg']}"
            for item in error.errors()
        )
        raise SettingsError(f"Wrong settings: {wrong}. See .env.example for what each one means.") from None
    except (OSError, ValueError, SettingsSourceError) as error:
        raise SettingsError(f"The settings could not be read ({type(error).__name__}): {error}. Check .env.") from None


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process, read once."""
    return load_settings()
