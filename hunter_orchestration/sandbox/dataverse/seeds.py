"""What the organisation holds on its first day: users, currencies, rules, messages; on request Hunter's own columns;
and a few companies that sales has known for long."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any, Protocol

import orjson

from hunter_orchestration.sandbox.dataverse.records import Caller, Records
from hunter_orchestration.sandbox.dataverse.rows import Organisation
from hunter_orchestration.sandbox.dataverse.schema import TARGET, AlternateKey, column_of, stable_id

CURRENCIES = (
    ("TRY", "Turkish Lira", "₺", 1.0),
    ("EUR", "Euro", "€", 0.021),
    ("USD", "US Dollar", "$", 0.024),
    ("GBP", "Pound Sterling", "£", 0.018),
)
PEOPLE = (("Elif Aydın", "elif.aydin"), ("Mert Kaya", "mert.kaya"), ("Selin Demir", "selin.demir"))
KNOWN_EVERY = 25
"""Of so many companies of the world one is known to the CRM already."""

KNOWN_AT_MOST = 200


class Company(Protocol):
    """What the CRM may know of a company."""

    @property
    def name(self) -> str: ...

    @property
    def domain(self) -> str: ...


class Companies(Protocol):
    """The world, as far as the CRM looks at it."""

    @property
    def companies(self) -> Sequence[Company]: ...


def found(organisation: Organisation) -> None:
    """The rows of a fresh organisation with Dynamics 365 Sales."""
    put = _Putter(organisation)
    put("businessunit", "root", name="Hunter Sandbox")
    put("organization", "organisation", row_id=organisation.id, name="hunter-sandbox", languagecode=1033,
        isduplicatedetectionenabled=True, isduplicatedetectionenabledforonlinecreateupdate=True,
        expirechangetrackingindays=7)  # fmt: skip
    unit = {"_businessunitid_value": organisation.business_unit, f"_businessunitid_value{TARGET}": "businessunit"}
    put("systemuser", "application", fullname="Hunter Application", domainname="hunter@sandbox.example",
        isdisabled=False, applicationid=stable_id("application"), **unit)  # fmt: skip
    for name, account in PEOPLE:
        mail = f"{account}@partner.example"
        put("systemuser", account, fullname=name, domainname=mail, internalemailaddress=mail, isdisabled=False,
            azureactivedirectoryobjectid=stable_id("oid", account), **unit)  # fmt: skip
    put("team", "sales", name="Sales", **unit)
    for code, name, symbol, rate in CURRENCIES:
        put("transactioncurrency", code, isocurrencycode=code, currencyname=name, currencysymbol=symbol,
            exchangerate=rate)  # fmt: skip
    put("publisher", "default", uniquename="DefaultPublisher", friendlyname="Default Publisher",
        customizationprefix="new", customizationoptionvalueprefix=10000)  # fmt: skip
    put("solution", "default", uniquename="Default", friendlyname="Default Solution", version="1.0", ismanaged=False,
        **_to("publisherid", "publisher", "default"))  # fmt: skip
    for table in ("account", "contact", "lead"):
        column = "the same name" if table == "account" else "the same e-mail address"
        put("duplicaterule", table, name=f"{table.capitalize()}s with {column}", baseentityname=table,
            matchingentityname=table, statecode=1, statuscode=2)  # fmt: skip
    for message in ("Create", "Update", "CreateMultiple", "UpdateMultiple"):
        put("sdkmessage", message, name=message)
        for table in ("account", "contact", "lead", "opportunity"):
            put("sdkmessagefilter", f"{message}/{table}", primaryobjecttypecode=table,
                **_to("sdkmessageid", "sdkmessage", message))  # fmt: skip
    put("role", "hunter", name="Hunter integration")
    for table in ("account", "contact", "lead", "opportunity"):
        for right in ("Create", "Read", "Write", "Delete", "Append", "AppendTo", "Assign"):
            put("privilege", f"{right}/{table}", name=f"prv{right}{table.capitalize()}")


def prepare(organisation: Organisation) -> None:
    """Hunter's publisher, solution, columns and active keys, as its set-up would leave them. Safe to repeat."""
    plan: dict[str, Any] = orjson.loads(files(__package__).joinpath("prepared.json").read_bytes())
    put = _Putter(organisation)
    publisher = plan["publisher"]
    put("publisher", "hunter", uniquename=publisher["name"], friendlyname=publisher["label"],
        customizationprefix=publisher["prefix"],
        customizationoptionvalueprefix=publisher["option_prefix"])  # fmt: skip
    put("solution", "hunter", uniquename=plan["solution"], friendlyname=publisher["label"], version="1.0.0.0",
        ismanaged=False, **_to("publisherid", "publisher", "hunter"))  # fmt: skip
    first = publisher["option_prefix"] * 10_000
    for table_name, columns in plan["tables"].items():
        table = organisation.tables[table_name]
        for entry in [*plan["columns"], *columns]:
            name = entry["schema_name"].lower()
            if name in table.columns:
                continue
            options = [[first + i, text] for i, text in enumerate(entry.get("options", []))]
            full = {**entry, "name": name, "options": options, "custom": True, "solution": plan["solution"]}
            table.add(column_of(table_name, full))
    for table_name in plan["tables"]:
        table = organisation.tables[table_name]
        schema_name = plan["key"]["schema_name"]
        if schema_name not in table.keys:
            table.keys[schema_name] = AlternateKey(
                schema_name, tuple(plan["key"]["columns"]), plan["key"]["label"], "Pending",
                stable_id("key", table_name, schema_name),
            )  # fmt: skip
        organisation.activate(table, table.keys[schema_name])


def populate(organisation: Organisation, records: Records, world: Companies | None) -> None:
    """A few of the world's companies as sales entered them by hand: some once, some twice, with owners of their own."""
    companies = world.companies[: KNOWN_AT_MOST * KNOWN_EVERY : KNOWN_EVERY] if world is not None else ()
    owners = [stable_id("systemuser", account) for _, account in PEOPLE]
    tables = organisation.tables
    for number, company in enumerate(companies):
        owner = owners[number % len(owners)]
        caller = Caller(owner, owner)
        account = {"name": company.name[:160], "websiteurl": f"https://www.{company.domain}"}
        kind = number % 4
        if kind in (0, 1):
            row = records.create(tables["account"], account, caller)
            mail = f"info@{company.domain}"
            contact = {
                "firstname": "Deniz",
                "lastname": "Yılmaz",
                "emailaddress1": mail,
                "telephone1": "+90 212 555 0100",
            }
            contact["parentcustomerid_account@odata.bind"] = f"/accounts({row.id})"
            records.create(tables["contact"], contact, caller)
        if kind == 1:
            records.create(tables["account"], {**account, "description": "Entered twice."}, caller)
        if kind == 2:
            lead = {
                "subject": f"{company.name}: trade fair"[:300],
                "companyname": company.name[:100],
                "lastname": "Yılmaz",
                "emailaddress1": f"info@{company.domain}",
                "websiteurl": f"https://{company.domain}",
                "leadsourcecode": 7,
            }
            records.create(tables["lead"], lead, caller)


def _to(column: str, table: str, name: str) -> dict[str, str]:
    return {f"_{column}_value": stable_id(table, name), f"_{column}_value{TARGET}": table}


class _Putter:
    """Writes rows of system tables under ids that follow from their names; a row that exists is left alone."""

    def __init__(self, organisation: Organisation) -> None:
        self.organisation = organisation

    def __call__(self, table: str, key: str, row_id: str = "", **values: Any) -> None:
        row_id = row_id or stable_id(table, key)
        if row_id not in self.organisation.data[table].rows:
            with self.organisation.transaction():
                self.organisation.insert(self.organisation.tables[table], values, row_id)
