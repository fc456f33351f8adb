"""Making an organisation ready: publisher, solution, columns, keys, change tracking. Safe to repeat: what is there
stays as it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from hunter_orchestration.dynamics.client import DataverseClient
from hunter_orchestration.dynamics.columns import (
    COLUMNS,
    KEY_NAME,
    OPTION_PREFIX,
    PREFIX,
    PUBLISHER,
    SOLUTION,
    definition,
    label,
)
from hunter_orchestration.dynamics.mapping import KEY, TABLES
from hunter_orchestration.dynamics.metadata import Metadata, read_metadata
from hunter_orchestration.dynamics.refusals import CrmRefusedError, NotReadyError

_EXISTS = frozenset({"0x80060304", "0x80047013", "0x80060893", "0x80060894"})
_READS = 120
_STRONG = {"Consistency": "Strong"}

Told = Callable[[str], None]


def set_up(
    client: DataverseClient, told: Told = lambda _line: None, *, sleep: Callable[[float], None] = time.sleep
) -> list[str]:
    """Create what is missing and wait for the keys; returns a line per thing done, none when all was there.

    Raises:
        NotReadyError: a table is missing, or a key's index fails or does not get ready.
        CrmRefusedError: the application user may not customise.
    """
    done: list[str] = []

    def note(line: str) -> None:
        done.append(line)
        told(line)

    metadata = read_metadata(client, TABLES)
    if missing := [t for t in TABLES if t not in metadata.tables]:
        raise NotReadyError(
            f"The organisation has no table {', '.join(missing)}.", "Install Dynamics 365 Sales, then try again."
        )
    if _incomplete(metadata):
        _solution(client, note)
    for table in TABLES:
        _columns(client, metadata, table, note)
        _key(client, metadata, table, note)
        if not metadata.tables[table].tracked:
            _track(client, table, note)
    _wait(client, note, sleep)
    return done


def _incomplete(metadata: Metadata) -> bool:
    return any(
        column.name not in metadata.tables[table].columns for table, columns in COLUMNS.items() for column in columns
    ) or any((KEY,) not in metadata.tables[table].keys for table in TABLES)


def _solution(client: DataverseClient, note: Told) -> None:
    publisher = _one(client, f"publishers?$select=uniquename&$filter=uniquename eq '{PUBLISHER}'")
    if publisher is None:
        body: dict[str, Any] = {
            "uniquename": PUBLISHER,
            "friendlyname": "Hunter",
            "customizationprefix": PREFIX,
            "customizationoptionvalueprefix": OPTION_PREFIX,
        }
        client.post("publishers", body)
        note(f"publisher {PUBLISHER}")
        publisher = _one(client, f"publishers?$select=uniquename&$filter=uniquename eq '{PUBLISHER}'")
    if publisher is None:
        raise NotReadyError("The publisher can't be found after it was created.", "Try again in a minute.")
    if _one(client, f"solutions?$select=uniquename&$filter=uniquename eq '{SOLUTION}'") is None:
        body = {
            "uniquename": SOLUTION,
            "friendlyname": "Hunter",
            "version": "1.0.0.0",
            "publisherid@odata.bind": f"/publishers({publisher['publisherid']})",
        }
        client.post("solutions", body)
        note(f"solution {SOLUTION}")


def _one(client: DataverseClient, path: str) -> dict[str, Any] | None:
    rows = client.get(path.replace(" ", "%20"))["value"]
    return rows[0] if rows else None


def _columns(client: DataverseClient, metadata: Metadata, table: str, note: Told) -> None:
    for column in COLUMNS[table]:
        if column.name in metadata.tables[table].columns:
            continue
        path = f"EntityDefinitions(LogicalName='{table}')/Attributes"
        if _created(client, path, definition(column)):
            note(f"column {table}.{column.name}")


def _key(client: DataverseClient, metadata: Metadata, table: str, note: Told) -> None:
    status = metadata.tables[table].keys.get((KEY,))
    if status is None:
        body = {"SchemaName": KEY_NAME, "DisplayName": label("External id"), "KeyAttributes": [KEY]}
        if _created(client, f"EntityDefinitions(LogicalName='{table}')/Keys", body):
            note(f"key {table}.{KEY_NAME}")
    elif status == "Failed":
        client.post("ReactivateEntityKey", {"EntityLogicalName": table, "EntityKeyLogicalName": KEY_NAME.lower()})
        note(f"key {table}.{KEY_NAME} tried again")


def _created(client: DataverseClient, path: str, body: dict[str, Any]) -> bool:
    try:
        client.post(path, body, {"MSCRM.SolutionUniqueName": SOLUTION})
    except CrmRefusedError as error:
        if error.refusal.code in _EXISTS:
            return False
        raise
    return True


def _track(client: DataverseClient, table: str, note: Told) -> None:
    path = f"EntityDefinitions(LogicalName='{table}')"
    current = client.get(path, _STRONG)
    current["ChangeTrackingEnabled"] = True
    client.put(path, current, {"MSCRM.MergeLabels": "true", "MSCRM.SolutionUniqueName": SOLUTION})
    note(f"change tracking of {table}")


def _wait(client: DataverseClient, note: Told, sleep: Callable[[float], None]) -> None:
    """Until every key's index is Active (contract section 5)."""
    waiting = list(TABLES)
    for number in range(_READS):
        states = {table: _key_state(client, table) for table in waiting}
        if failed := [t for t, s in states.items() if s == "Failed"]:
            raise NotReadyError(
                f"The index of the key {KEY_NAME} failed on {', '.join(failed)}.",
                "Two rows hold one external id: remove one, then run hunter dynamics setup again.",
            )
        waiting = [t for t, s in states.items() if s != "Active"]
        if not waiting:
            if number:
                note("keys are active")
            return
        sleep(min(5.0, 0.25 * 2**number))
    raise NotReadyError(
        f"The index of the key {KEY_NAME} is not ready on {', '.join(waiting)}.",
        "Large tables take long: run hunter dynamics setup again later.",
    )


def _key_state(client: DataverseClient, table: str) -> str:
    path = f"EntityDefinitions(LogicalName='{table}')/Keys?$select=KeyAttributes,EntityKeyIndexStatus"
    for key in client.get(path, _STRONG)["value"]:
        if list(key["KeyAttributes"]) == [KEY]:
            return str(key["EntityKeyIndexStatus"])
    return "missing"
