"""The alerts file and the three kinds of target: webhook, Teams and e-mail."""

from __future__ import annotations

import smtplib
import ssl
from datetime import UTC, datetime
from email import utils
from email.message import EmailMessage
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import requests
import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from hunter_orchestration.alerts.states import Alert
from hunter_orchestration.errors import PermanentError, TransientError
from hunter_orchestration.loopback import is_loopback

_TIMEOUT = 10
_COLOURS = {"problem": "attention", "warning": "warning", "recovered": "good"}


class AlertsFileError(PermanentError):
    """The alerts file can't be used."""


class AlertNotSentError(TransientError):
    """A target did not take an alert; the next tick tries again."""


class _Target(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    name: Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,40}$")]
    warnings: bool = True
    language: Literal["en", "tr"] = "en"


class _Address(_Target):
    url: SecretStr

    @field_validator("url")
    @classmethod
    def _safe(cls, value: SecretStr) -> SecretStr:
        parts = urlsplit(value.get_secret_value())
        if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname)):
            return value
        raise ValueError("must start with https:// (http:// only for this machine)")


class Webhook(_Address):
    """A POST of one JSON object an alert."""

    kind: Literal["webhook"]


class Teams(_Address):
    """A Teams workflow ("When a Teams webhook request is received") that gets an adaptive card."""

    kind: Literal["teams"]


class Email(_Target):
    """A plain-text message over SMTP."""

    kind: Literal["email"]
    host: str
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    password: SecretStr = SecretStr("")
    sender: str
    to: Annotated[tuple[str, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _no_password_in_clear(self) -> Email:
        if self.user and self.security == "none" and not is_loopback(self.host):
            raise ValueError("a password needs security: starttls or tls")
        return self


Target = Annotated[Webhook | Teams | Email, Field(discriminator="kind")]


class AlertsFile(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    targets: tuple[Target, ...] = ()

    @model_validator(mode="after")
    def _one_name_each(self) -> AlertsFile:
        names = [target.name for target in self.targets]
        if len(set(names)) != len(names):
            raise ValueError("two targets have the same name")
        return self


def read_targets(path: Path | None) -> tuple[Webhook | Teams | Email, ...]:
    """The targets of the file; none without a file.

    Raises:
        AlertsFileError: it can't be read; the message names the place, never a value.
    """
    if path is None:
        return ()
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise AlertsFileError(f"The alerts file {path} can't be read ({type(error).__name__}).",
                              "Check HUNTER_ALERTS_FILE; deploy/alerts.yaml shows its form.") from None  # fmt: skip
    try:
        return AlertsFile.model_validate(document or {}).targets
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, item['loc'])) or 'file'}: {item['msg']}" for item in error.errors())
        raise AlertsFileError(f"{path}: {told}.", "deploy/alerts.yaml shows its form.") from None


def send(target: Webhook | Teams | Email, alert: Alert) -> None:
    """Tell one target.

    Raises:
        AlertNotSentError: it did not take it.
    """
    try:
        if isinstance(target, Email):
            _mail(target, alert)
        else:
            _post(target, alert)
    except (requests.RequestException, smtplib.SMTPException, OSError) as error:
        raise AlertNotSentError(f"The alert target {target.name} did not take an alert ({type(error).__name__}).",
                                "It is tried again; check its address in the alerts file.") from None  # fmt: skip


def _post(target: Webhook | Teams, alert: Alert) -> None:
    body = _card(alert, target.language) if isinstance(target, Teams) else alert.as_dict(target.language)
    answer = requests.post(target.url.get_secret_value(), json=body, timeout=_TIMEOUT, allow_redirects=False)
    if answer.status_code >= 300:
        raise AlertNotSentError(f"The alert target {target.name} answered {answer.status_code}.",
                                "It is tried again; check its address in the alerts file.")  # fmt: skip


def _card(alert: Alert, language: str) -> dict[str, Any]:
    return {
        "type": "message",
        "attachments": [
            {
                "contentType": "application/vnd.microsoft.card.adaptive",
                "content": {
                    "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                    "type": "AdaptiveCard",
                    "version": "1.4",
                    "body": [
                        {"type": "TextBlock", "text": alert.title(language), "weight": "bolder", "size": "medium",
                         "wrap": True, "color": _COLOURS[alert.level]},
                        {"type": "TextBlock", "text": alert.said(language), "wrap": True},
                    ],
                    "actions": [{"type": "Action.OpenUrl", "title": "Hunter", "url": alert.link}],
                },
            }
        ],
    }  # fmt: skip


def _mail(target: Email, alert: Alert) -> None:
    message = EmailMessage()
    message["From"], message["To"] = target.sender, ", ".join(target.to)
    message["Subject"] = f"Hunter: {alert.title(target.language)}"
    # Servers refuse or set aside what lacks them, and take a message of the same id for the same.
    message["Date"] = utils.format_datetime(datetime.now(UTC))
    message["Message-ID"] = utils.make_msgid(domain=utils.parseaddr(target.sender)[1].rpartition("@")[2] or "hunter")
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(f"{alert.said(target.language)}\n\n{alert.link}\n")
    if target.security == "tls":
        context = ssl.create_default_context()
        server: smtplib.SMTP = smtplib.SMTP_SSL(target.host, target.port, timeout=_TIMEOUT, context=context)
    else:
        server = smtplib.SMTP(target.host, target.port, timeout=_TIMEOUT)
    with server:
        if target.security == "starttls":
            server.starttls(context=ssl.create_default_context())
        if target.user:
            server.login(target.user, target.password.get_secret_value())
        server.send_message(message)
