"""What the Dataverse tests share: an emulator on a port, a client for it, and short ways to write requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import requests

from hunter_orchestration.sandbox.dataverse.standalone import Running


class Box:
    """A running emulator and a session that is signed in."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.app = running.app
        self.root = running.app.root
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Authorization"] = "Bearer test"

    @property
    def settings(self) -> dict[str, Any]:
        return self.app.settings

    def send(self, method: str, path: str, json: Any = None, **headers: str) -> requests.Response:
        """One request below the service root; header names with underscores for dashes."""
        names = {k.replace("__", ".").replace("_", "-"): v for k, v in headers.items()}
        url = path if path.startswith("http") else self.root + path
        data = None if json is None else orjson.dumps(json)
        if data is not None:
            names.setdefault("Content-Type", "application/json")
        return self.session.request(method, url, data=data, headers=names, timeout=20)

    def get(self, path: str, **headers: str) -> Any:
        """JSON of a GET that succeeds."""
        response = self.send("GET", path, **headers)
        assert response.status_code == 200, response.text
        return response.json()

    def create(self, entity_set: str, body: Mapping[str, Any]) -> str:
        """The id of a new row."""
        response = self.send("POST", entity_set, body)
        assert response.status_code == 204, response.text
        return response.headers["OData-EntityId"][-37:-1]

    def refused(self, method: str, path: str, json: Any = None, **headers: str) -> tuple[int, str, str]:
        """Status, code and message of a request that is refused."""
        response = self.send(method, path, json, **headers)
        assert response.status_code >= 400, response.text
        error = response.json()["error"]
        return response.status_code, error["code"], error["message"]

    def control(self, method: str, path: str, json: Any = None) -> Any:
        """One request to the control API, JSON in and out."""
        response = self.session.request(
            method, f"{self.running.url}/control/dataverse{path}", json=json, headers={"Authorization": ""}, timeout=20
        )
        assert response.status_code == 200, response.text
        return response.json()

    def upsert_many(self, entity_set: str, table: str, rows: Mapping[str, Mapping[str, Any]]) -> requests.Response:
        """UpsertMultiple by external id."""
        targets = [
            {"@odata.type": f"Microsoft.Dynamics.CRM.{table}", "@odata.id": f"{entity_set}(hnt_externalid='{k}')", **v}
            for k, v in rows.items()
        ]
        return self.send("POST", f"{entity_set}/Microsoft.Dynamics.CRM.UpsertMultiple", {"Targets": targets})

    def batch(self, body: str, boundary: str = "b", **headers: str) -> requests.Response:
        """A batch whose text is written with LF; it is sent with CRLF."""
        return self.batch_as_written(body.replace("\n", "\r\n"), boundary, **headers)

    def batch_as_written(self, body: str, boundary: str = "b", **headers: str) -> requests.Response:
        names = {"Content-Type": f'multipart/mixed; boundary="{boundary}"', **headers}
        return self.session.post(self.root + "$batch", data=body.encode(), headers=names, timeout=20)


def part(method: str, path: str, body: Any = None, boundary: str = "b", content_id: int | None = None) -> str:
    """One request of a batch, with LF."""
    echo = f"Content-ID: {content_id}\n" if content_id is not None else ""
    text = "" if body is None else orjson.dumps(body).decode()
    return (
        f"--{boundary}\nContent-Type: application/http\nContent-Transfer-Encoding: binary\n{echo}\n"
        f"{method} {path if path.startswith('$') else '/api/data/v9.2/' + path} HTTP/1.1\n"
        f"Content-Type: application/json; type=entry\n\n{text}\n"
    )


def change_set(*parts: str, boundary: str = "b", inner: str = "c") -> str:
    """A change set of parts that were written with ``inner`` as boundary."""
    return f'--{boundary}\nContent-Type: multipart/mixed; boundary="{inner}"\n\n{"".join(parts)}--{inner}--\n\n'
