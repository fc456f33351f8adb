"""Microsoft's own SDK takes the emulator for Dataverse: it creates, upserts, batches, pages, adds columns and keys."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from PowerPlatform.Dataverse.client import DataverseClient
from PowerPlatform.Dataverse.core.errors import HttpError
from PowerPlatform.Dataverse.models.upsert import UpsertItem

from hunter_orchestration.sandbox.dataverse.standalone import Running, running

ADDRESS = "127.0.0.1"


class StaticCredential:
    """A credential as azure-identity makes them, with a token that is known beforehand."""

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        assert scopes
        assert scopes[0].endswith("/.default")
        return AccessToken("sdk", int(time.time()) + 3600)


def certificate(folder: Path) -> tuple[str, str]:
    """Files of a certificate for the loopback address and its key; the SDK refuses plain HTTP."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ADDRESS)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(ADDRESS))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return str(cert_file), str(key_file)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, str]]:
    files = certificate(tmp_path_factory.mktemp("tls"))
    with running(certificate=files) as box:
        yield box, files[0]


@pytest.fixture
def box(served: tuple[Running, str]) -> Running:
    served[0].faults.clear("dataverse")
    served[0].app.reset()
    return served[0]


@pytest.fixture
def client(box: Running, served: tuple[Running, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[DataverseClient]:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", served[1])
    with DataverseClient(box.url, StaticCredential()) as client:
        yield client


def with_key(client: DataverseClient, box: Running) -> None:
    """A column and an active key on leads, made by the SDK."""
    client.tables.add_columns("lead", {"new_ExternalId": {"type": "string", "max_length": 100}})
    client.tables.create_alternate_key("lead", "new_ExternalKey", ["new_externalid"])
    reads = 0
    while client.tables.get_alternate_keys("lead")[0].status != "Active":
        reads += 1
        assert reads < 10
    assert reads == box.app.settings["key_pending_reads"]


def test_it_creates_reads_updates_and_deletes(client: DataverseClient) -> None:
    row_id = client.records.create("lead", {"subject": "From the SDK", "lastname": "Kaya", "leadqualitycode": "Hot"})
    row = client.records.retrieve("lead", row_id, select=["subject", "leadqualitycode"])
    assert row is not None
    assert row["subject"] == "From the SDK"
    assert row["leadqualitycode"] == 1
    client.records.update("lead", row_id, {"subject": "Changed"})
    found = client.records.retrieve("lead", row_id, select=["subject"])
    assert found is not None
    assert found["subject"] == "Changed"
    client.records.delete("lead", row_id)
    assert client.records.retrieve("lead", row_id, select=["subject"]) is None


def test_it_creates_many_and_pages_through_them(client: DataverseClient) -> None:
    ids = client.records.create("contact", [{"lastname": f"Kaya {n}"} for n in range(25)])
    assert len(set(ids)) == 25
    client.records.update("contact", ids, {"jobtitle": "Buyer"})
    pages = list(client.records.list_pages("contact", select=["lastname"], filter="jobtitle eq 'Buyer'", page_size=10))
    assert [len(page) for page in pages] == [10, 10, 5]
    assert {row["contactid"] for page in pages for row in page} == set(ids)


def test_it_adds_columns_and_keys_and_upserts_by_them(client: DataverseClient, box: Running) -> None:
    with_key(client, box)
    item = UpsertItem(alternate_key={"new_externalid": "a.example"}, record={"subject": "First"})
    client.records.upsert("lead", [item])
    client.records.upsert("lead", [UpsertItem({"new_externalid": "a.example"}, {"subject": "Second"})])
    many = [UpsertItem({"new_externalid": f"d{n}.example"}, {"subject": f"Row {n}"}) for n in range(30)]
    client.records.upsert("lead", many)
    client.records.upsert("lead", many)
    rows = [row for page in client.records.list_pages("lead", select=["subject", "new_externalid"]) for row in page]
    assert len(rows) == 31
    assert {row["subject"] for row in rows if row["new_externalid"] == "a.example"} == {"Second"}


def test_it_reads_typed_column_definitions(client: DataverseClient) -> None:
    client.tables.add_columns("account", {"new_Rating": "int", "new_Since": "datetime", "new_Note": "memo"})
    columns = {c["LogicalName"]: c for c in client.tables.list_columns("account", typed=True)}
    assert columns["name"]["MaxLength"] == 160
    assert {"new_rating", "new_since", "new_note"} <= set(columns)
    client.tables.update_column("account", "name", {"max_length": 200})
    changed = client.tables.get_column("account", "name", typed=True)
    assert changed is not None
    assert changed["MaxLength"] == 200
    client.tables.remove_columns("account", "new_Note")
    names = {c["LogicalName"] for c in client.tables.list_columns("account", select=["LogicalName"])}
    assert "new_note" not in names


def test_its_batches_and_change_sets_are_understood(client: DataverseClient) -> None:
    batch = client.batch.new()
    with batch.changeset() as changes:
        account = changes.records.create("account", {"name": "Contoso"})
        changes.records.create("contact", {"lastname": "Kaya", "parentcustomerid_account@odata.bind": account})
    batch.records.create("lead", {"subject": "x" * 301})
    batch.records.create("lead", {"subject": "fine"})
    result = batch.execute(continue_on_error=True)
    assert len(result.succeeded) == 3
    assert [item.status_code for item in result.failed] == [400]
    contacts = client.records.list("contact", select=["lastname", "_parentcustomerid_value"])
    accounts = client.records.list("account", select=["name"])
    assert contacts[0]["_parentcustomerid_value"] == accounts[0]["accountid"]


def test_its_errors_carry_the_code_and_the_request_id(client: DataverseClient) -> None:
    with pytest.raises(HttpError) as caught:
        client.records.create("lead", {"mobilephone": "0" * 21})
    assert caught.value.status_code == 400
    assert caught.value.details["service_error_code"] == "0x80044331"
    assert caught.value.details["service_request_id"]
