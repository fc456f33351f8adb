"""Starting, watching and ending Dagster runs over GraphQL. Dagster itself is never imported here."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import requests

from hunter_orchestration.errors import PermanentError, TransientError

_STATES = {
    "QUEUED": "queued",
    "NOT_STARTED": "queued",
    "MANAGED": "queued",
    "STARTING": "starting",
    "STARTED": "running",
    "SUCCESS": "succeeded",
    "FAILURE": "failed",
    "CANCELING": "running",
    "CANCELED": "cancelled",
}
OPEN = ("QUEUED", "NOT_STARTED", "STARTING", "STARTED")
"""Dagster's states of a run that is not over."""

_FIELDS = "fragment Fields on Run { runId jobName status startTime endTime creationTime tags { key value } }"
_JOBS = """query Jobs { repositoriesOrError { __typename ... on RepositoryConnection {
  nodes { name location { name } jobs { name } } } ... on PythonError { message } } }"""
_LAUNCH = (
    """mutation Launch($params: ExecutionParams!) { launchRun(executionParams: $params) { __typename
  ... on LaunchRunSuccess { run { ...Fields } } ... on RunConfigValidationInvalid { errors { message } }
  ... on PipelineNotFoundError { message } ... on InvalidSubsetError { message }
  ... on UnauthorizedError { message } ... on PythonError { message } } } """
    + _FIELDS
)
_ONE = (
    """query Run($id: ID!) { runOrError(runId: $id) { __typename ... on Run { ...Fields
  stepStats { stepKey status startTime endTime } } ... on PythonError { message } } } """
    + _FIELDS
)
_MANY = (
    """query Runs($filter: RunsFilter, $limit: Int, $cursor: String) {
  runsOrError(filter: $filter, limit: $limit, cursor: $cursor) { __typename ... on Runs { results { ...Fields } }
  ... on InvalidPipelineRunsFilterError { message } ... on PythonError { message } } } """
    + _FIELDS
)
_STOP = """mutation Stop($id: String!) { terminateRun(runId: $id) { __typename
  ... on TerminateRunFailure { message } ... on RunNotFoundError { message } ... on PythonError { message } } }"""


class EngineDownError(TransientError):
    """Dagster's web server does not answer."""


class EngineRefusedError(PermanentError):
    """Dagster answered, and would not do it."""


@dataclass(frozen=True, slots=True)
class Run:
    """A Dagster run. ``state`` is queued, starting, running, succeeded, failed or cancelled; times are UTC."""

    id: str
    job: str
    state: str
    started_at: datetime | None
    finished_at: datetime | None
    requested_by: str | None = None
    steps: list[dict[str, Any]] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in ("succeeded", "failed", "cancelled")


class DagsterClient:
    """A GraphQL client of one Dagster web server.

    Args:
        base_url: where it listens, on loopback by default.
        timeout: seconds to connect and to wait for an answer.
    """

    def __init__(self, base_url: str, timeout: float = 10) -> None:
        self.base_url, self._timeout = base_url, timeout
        self._sessions = threading.local()
        self._homes: dict[str, tuple[str, str]] = {}

    def launch(
        self,
        job: str,
        *,
        selection: Sequence[str] = (),
        config: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Run:
        """Start a run of a job.

        Args:
            selection: asset keys, "/"-separated; empty means all of the job.
            config: run configuration.
            tags: run tags; a launch over GraphQL does not inherit the job's own.

        Raises:
            EngineDownError: nobody answers.
            EngineRefusedError: no such job, or the configuration is not its own.
        """
        repository, location = self._home(job)
        selector: dict[str, Any] = {
            "repositoryLocationName": location,
            "repositoryName": repository,
            "jobName": job,
        }
        if selection:
            selector["assetSelection"] = [{"path": key.split("/")} for key in selection]
        params = {
            "selector": selector,
            "runConfigData": dict(config or {}),
            "mode": "default",
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in (tags or {}).items()]},
        }
        answered = self._ask(_LAUNCH, {"params": params})["launchRun"]
        if answered["__typename"] != "LaunchRunSuccess":
            self._homes.pop(job, None)
            raise _refused(f"Dagster would not start {job}", answered)
        return _run(answered["run"])

    def run(self, run_id: str) -> Run | None:
        """A run with its steps, or ``None`` when Dagster does not know it."""
        answered = self._ask(_ONE, {"id": run_id})["runOrError"]
        if answered["__typename"] == "RunNotFoundError":
            return None
        if answered["__typename"] != "Run":
            raise _refused(f"Dagster could not tell about run {run_id}", answered)
        return _run(answered)

    def runs(
        self,
        limit: int,
        cursor: str | None = None,
        *,
        job: str | None = None,
        tags: Mapping[str, str] | None = None,
        states: Sequence[str] = (),
    ) -> list[Run]:
        """Runs, newest first; ``cursor`` is the id of the last one of the page before."""
        wanted: dict[str, Any] = {}
        if job is not None:
            wanted["pipelineName"] = job
        if tags:
            wanted["tags"] = [{"key": key, "value": value} for key, value in tags.items()]
        if states:
            wanted["statuses"] = list(states)
        answered = self._ask(_MANY, {"filter": wanted, "limit": limit, "cursor": cursor})["runsOrError"]
        if answered["__typename"] != "Runs":
            raise _refused("Dagster could not list its runs", answered)
        return [_run(found) for found in answered["results"]]

    def terminate(self, run_id: str) -> None:
        """Ask a run to end.

        Raises:
            EngineRefusedError: it is not running.
        """
        answered = self._ask(_STOP, {"id": run_id})["terminateRun"]
        if answered["__typename"] != "TerminateRunSuccess":
            raise _refused(f"Dagster could not end run {run_id}", answered)

    def is_up(self) -> bool:
        """Whether the web server answers."""
        try:
            answered = self._session().get(f"{self.base_url}/server_info", timeout=2)
        except requests.RequestException:
            return False
        return answered.status_code == 200

    def _home(self, job: str) -> tuple[str, str]:
        if job not in self._homes:
            answered = self._ask(_JOBS, {})["repositoriesOrError"]
            for node in answered.get("nodes", []):
                for found in node["jobs"]:
                    self._homes[found["name"]] = (node["name"], node["location"]["name"])
        if job not in self._homes:
            raise EngineDownError(
                f"Dagster has no job {job} loaded right now.",
                "Look at the Dagster UI: its code location may be starting.",
            )
        return self._homes[job]

    def _session(self) -> requests.Session:
        if not hasattr(self._sessions, "session"):
            self._sessions.session = requests.Session()
            self._sessions.session.trust_env = False
        found: requests.Session = self._sessions.session
        return found

    def _ask(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        try:
            answered = self._session().post(
                f"{self.base_url}/graphql", json={"query": query, "variables": dict(variables)}, timeout=self._timeout
            )
            body = answered.json()
        except (requests.RequestException, ValueError) as error:
            raise EngineDownError(
                f"The engine (Dagster) does not answer ({type(error).__name__}).",
                "Start it with hunter up; hunter doctor tells what is wrong.",
            ) from None
        if answered.status_code != 200 or "data" not in body or body["data"] is None or body.get("errors"):
            messages = "; ".join(str(item.get("message", ""))[:200] for item in body.get("errors", [])[:3])
            raise EngineRefusedError(f"Dagster did not understand the request: {messages or answered.status_code}")
        data: dict[str, Any] = body["data"]
        return data


def _refused(what: str, answered: Mapping[str, Any]) -> EngineRefusedError:
    said = answered.get("message") or "; ".join(str(item["message"]) for item in answered.get("errors", [])[:3])
    return EngineRefusedError(f"{what}: {str(said).splitlines()[0][:300] if said else answered['__typename']}.")


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _run(found: Mapping[str, Any]) -> Run:
    tags = {tag["key"]: tag["value"] for tag in found.get("tags", [])}
    return Run(
        id=found["runId"],
        job=tags.get("hunter/job") or found["jobName"],
        state=_STATES.get(found["status"], "queued"),
        started_at=_time(found["startTime"] or found.get("creationTime")),
        finished_at=_time(found["endTime"]),
        requested_by=tags.get("requested_by"),
        tags=tags,
        steps=[
            {
                "name": step["stepKey"],
                "state": {"SUCCESS": "succeeded", "FAILURE": "failed", "SKIPPED": "skipped"}.get(
                    step["status"] or "", "running"
                ),
                "seconds": None if not step["endTime"] else round(step["endTime"] - (step["startTime"] or 0), 2),
            }
            for step in found.get("stepStats", [])
        ],
    )
