"""A stand-in for Dagster's web server over real HTTP: it knows the jobs, starts runs and lets tests end them."""

from __future__ import annotations

import itertools
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

JOBS = ("sync_referrals", "import_leads", "rescan_domains", "push_leads", "pull_dynamics", "reconcile_dynamics")
_OPEN = ("QUEUED", "NOT_STARTED", "STARTING", "STARTED")


class Engine:
    """``launched`` holds the execution parameters of every run; ``finish`` ends one."""

    def __init__(self, *, run_at_once: bool = False) -> None:
        self.launched: list[dict[str, Any]] = []
        self.runs: dict[str, dict[str, Any]] = {}
        self.terminated: list[str] = []
        self._run_at_once = run_at_once
        self._numbers = itertools.count()
        engine = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer({"dagster_version": "1.13.27"})

            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self._answer({"data": engine.answer(asked["query"], asked["variables"])})

            def _answer(self, body: dict[str, Any]) -> None:
                encoded = json.dumps(body).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(encoded)))
                self.end_headers()
                self.wfile.write(encoded)

            def log_message(self, *_args: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()

    def finish(self, run_id: str, status: str = "SUCCESS") -> None:
        """End a run."""
        self.runs[run_id] |= {"status": status, "endTime": time.time()}

    def answer(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        """What GraphQL would say."""
        if query.startswith("query Jobs"):
            node = {"name": "__repository__", "location": {"name": "hunter"}, "jobs": [{"name": job} for job in JOBS]}
            return {"repositoriesOrError": {"__typename": "RepositoryConnection", "nodes": [node]}}
        if query.startswith("mutation Launch"):
            return {"launchRun": self._launch(variables["params"])}
        if query.startswith("query Runs"):
            return {"runsOrError": {"__typename": "Runs", "results": self._listed(**variables)}}
        if query.startswith("query Run("):
            run = self.runs.get(variables["id"])
            return {"runOrError": {"__typename": "RunNotFoundError"} if run is None else {"__typename": "Run", **run}}
        self.terminated.append(variables["id"])
        self.finish(variables["id"], "CANCELED")
        return {"terminateRun": {"__typename": "TerminateRunSuccess"}}

    def _launch(self, params: dict[str, Any]) -> dict[str, Any]:
        self.launched.append(params)
        run_id = str(uuid4())
        self.runs[run_id] = {
            "runId": run_id,
            "number": next(self._numbers),
            "jobName": params["selector"]["jobName"],
            "status": "STARTED",
            "startTime": time.time(),
            "endTime": None,
            "creationTime": time.time(),
            "tags": params["executionMetadata"]["tags"],
            "stepStats": [{"stepKey": "raw_leads", "status": None, "startTime": time.time(), "endTime": None}],
        }
        told = dict(self.runs[run_id])
        if self._run_at_once:
            self.finish(run_id)
        return {"__typename": "LaunchRunSuccess", "run": told}

    def _listed(self, filter: dict[str, Any], limit: int, cursor: str | None) -> list[dict[str, Any]]:
        runs = sorted(self.runs.values(), key=lambda run: -run["number"])
        if "pipelineName" in filter:
            runs = [run for run in runs if run["jobName"] == filter["pipelineName"]]
        for tag in filter.get("tags", ()):
            runs = [run for run in runs if tag in run["tags"]]
        if "statuses" in filter:
            runs = [run for run in runs if run["status"] in filter["statuses"]]
        if cursor is not None:
            last = self.runs.get(cursor, {"number": 0})["number"]
            runs = [run for run in runs if run["number"] < last]
        return runs[:limit]
