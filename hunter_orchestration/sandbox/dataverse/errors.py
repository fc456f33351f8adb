"""How the organisation says no: an HTTP status, a code and a sentence (contract, section 17)."""

from __future__ import annotations


class RefusedError(Exception):
    """A request, or one row of it, is refused.

    Args:
        status: HTTP status.
        code: hexadecimal code as Dataverse writes it; may be empty or ``0x0``.
        message: Dataverse's sentence.
        headers: extra response headers, e.g. Retry-After.
        sub_code: a plug-in's own code, shown with ``odata.include-annotations``.
    """

    def __init__(
        self, status: int, code: str, message: str, headers: dict[str, str] | None = None, sub_code: str = "0"
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}
        self.sub_code = sub_code


def bad_request(message: str) -> RefusedError:
    """400 for a request that OData can't read."""
    return RefusedError(400, "0x80060888", message)


def bad_payload(entity_set: str, message: str) -> RefusedError:
    """400 for a body that doesn't fit the table."""
    return RefusedError(
        400,
        "0x80048d19",
        f"Error identified in Payload provided by the user for Entity :'{entity_set}'  ---->  InnerException : "
        f"Microsoft.OData.ODataException: {message}",
    )


def no_segment(segment: str) -> RefusedError:
    """404 for a resource name that doesn't exist; names are case-sensitive."""
    return RefusedError(404, "0x8006088a", f"Resource not found for the segment '{segment}'.")


def no_record(table: str, row_id: str) -> RefusedError:
    """404 for a row addressed by its GUID."""
    return RefusedError(404, "0x80040217", f"Entity '{table}' With Id = {row_id} Does Not Exist")


def no_record_by_key(table: str, status: int = 404) -> RefusedError:
    """404 for a row addressed by a key; 400 when it is a bind inside a body."""
    return RefusedError(
        status, "0x80060891", f"A record with the specified key values does not exist in {table} entity"
    )


def undeclared_key(table: str) -> RefusedError:
    """400 for a key that the table doesn't declare, or whose index is not active."""
    return bad_request(
        f"The key in the request URI is not valid for resource 'Microsoft.Dynamics.CRM.{table}'. Ensure that the names "
        "and number of key properties match the declared or alternate key properties for the resource "
        f"'Microsoft.Dynamics.CRM.{table}'."
    )


def changed_since() -> RefusedError:
    """412 for a stale etag."""
    return RefusedError(
        412, "0x80060882", "The version of the existing record doesn't match the RowVersion property provided."
    )


def too_long(table: str, column: str, length: int) -> RefusedError:
    """400 for a text that does not fit its column."""
    return RefusedError(
        400,
        "0x80044331",
        f"A validation error occurred.  The length of the '{column}' attribute of the '{table}' entity "
        f"exceeded the maximum allowed length of '{length}'.",
    )
