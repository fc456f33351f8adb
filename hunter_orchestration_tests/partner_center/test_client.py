from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta

import pytest

from hunter_orchestration.errors import PermanentError, TransientError
from hunter_orchestration.partner_center.client import PartnerCenterClient
from hunter_orchestration.partner_center.refusals import (
    ChangedSinceReadError,
    MfaRequiredError,
    MissingRoleError,
    PagingError,
    RefusedError,
    SignInExpiredError,
    WrongAudienceError,
)
from hunter_orchestration.partner_center.responses import retry_after
from hunter_orchestration_tests.partner_center.service import (
    COLLECTION,
    EPOCH,
    Bearer,
    Request,
    Service,
    referral,
    serving,
    settings_for,
)


def ids_of(client: PartnerCenterClient) -> list[str]:
    return [row["id"] for page in client.list_referrals() for row in page.rows]


def test_the_query_is_really_sent(service: Service, client: PartnerCenterClient) -> None:
    list(client.list_referrals(EPOCH, EPOCH + timedelta(days=1)))
    (request,) = service.requests
    assert request.path == COLLECTION
    assert request.query == {
        "$filter": "updatedDateTime ge 2026-11-01T08:00:00.000000Z and updatedDateTime lt 2026-11-02T08:00:00.000000Z",
        "$orderby": "updatedDateTime asc",
        "$top": "100",
    }


def test_each_call_carries_an_id_of_its_own(service: Service, client: PartnerCenterClient) -> None:
    service.put(*(referral(number) for number in range(60)))
    list(client.list_referrals())
    assert len({request.headers["client-request-id"] for request in service.requests}) == len(service.requests) == 3
    assert all(request.headers["accept"] == "application/json" for request in service.requests)


def test_next_links_are_followed_with_nothing_of_ours_added(service: Service, client: PartnerCenterClient) -> None:
    service.put(*(referral(number) for number in range(60)))
    list(client.list_referrals())
    assert [set(request.query) for request in service.requests[1:]] == [{"$skiptoken"}, {"$skiptoken"}]


@pytest.mark.parametrize("page_size", [25, 100])
def test_both_page_sizes_and_the_documented_link_shape_give_every_row(
    service: Service, client: PartnerCenterClient, page_size: int
) -> None:
    service.page_size = page_size
    service.put(*(referral(number) for number in range(230)))
    service.shape_link = lambda link: link.replace("/engagements", "")
    assert ids_of(client) == [referral(number)["id"] for number in range(230)]
    assert all(request.path == COLLECTION for request in service.requests)


@pytest.mark.parametrize(
    "link", ["/v1.0/referrals?$skiptoken={token}", "{url}/v1.0/engagements/referrals?$skiptoken={token}"]
)
def test_a_relative_link_stays_on_our_origin(service: Service, client: PartnerCenterClient, link: str) -> None:
    service.put(*(referral(number) for number in range(30)))
    service.shape_link = lambda full: link.format(url=service.url, token=full.split("=", 1)[1])
    assert len(ids_of(client)) == 30


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/v1.0/engagements/referrals?$skiptoken=x",
        "//evil.example/v1.0/engagements/referrals?$skiptoken=x",
        "http://127.0.0.1:1/v1.0/engagements/referrals?$skiptoken=x",
        "http://127.0.0.1@evil.example/v1.0/engagements/referrals?$skiptoken=x",
        "/v1.0/customers?$skiptoken=x",
        "/v1.0/engagements/referrals",
        "http://127.0.0.1:port/v1.0/engagements/referrals?$skiptoken=x",
        "javascript:alert(1)",
    ],
)
def test_a_link_elsewhere_never_gets_the_token(service: Service, client: PartnerCenterClient, link: str) -> None:
    service.put(*(referral(number) for number in range(30)))
    service.shape_link = lambda _full: link
    with pytest.raises(PagingError):
        ids_of(client)
    assert len(service.requests) == 1


def test_a_link_of_another_running_host_receives_nothing(service: Service, client: PartnerCenterClient) -> None:
    with serving() as other:
        service.put(*(referral(number) for number in range(30)))
        service.shape_link = lambda _full: f"{other.url}{COLLECTION}?$skiptoken=x"
        with pytest.raises(PagingError):
            ids_of(client)
        assert other.requests == []


def test_a_redirect_is_not_followed(service: Service, client: PartnerCenterClient) -> None:
    with serving() as other:
        service.once((307, {"Location": f"{other.url}/steal"}, b""))
        with pytest.raises(PermanentError, match="redirects"):
            client.newest_change()
        assert other.requests == []


@pytest.mark.parametrize(
    "url", ["http://api.partner.example", "http://127.0.0.1.evil.example", "https://user:pw@a.example"]
)
def test_a_token_never_leaves_over_plain_http(service: Service, url: str) -> None:
    with pytest.raises(PermanentError, match="HUNTER_PARTNER_CENTER_URL"):
        PartnerCenterClient(settings_for(service).model_copy(update={"partner_center_url": url}), Bearer())


@pytest.mark.parametrize("wants", ["bare", "quoted"])
def test_times_in_filters_are_written_as_the_service_takes_them(
    service: Service, client: PartnerCenterClient, wants: str
) -> None:
    service.put(*(referral(number) for number in range(60)))

    def strict(request: Request) -> tuple[int, dict[str, str], bytes] | None:
        condition = request.query.get("$filter", "")
        if not condition or ("'" in condition) is (wants == "quoted"):
            # The stand-in itself reads times bare.
            request.query = request.query | ({"$filter": condition.replace("'", "")} if condition else {})
            return None
        return 400, {}, b'{"error":{"code":"invalidRequest","message":"Syntax error in $filter."}}'

    service.faults.append(strict)
    start, end = EPOCH + timedelta(seconds=10), EPOCH + timedelta(seconds=50)
    for asked in (1 + (wants == "quoted"), 1):
        before = len(service.requests)
        rows = [row["id"] for page in client.list_referrals(start, end) for row in page.rows]
        assert len(set(rows)) == 40
        assert len([r for r in service.requests[before:] if "$filter" in r.query]) == asked


def test_a_filter_that_is_refused_in_either_form_is_told_as_refused(
    service: Service, client: PartnerCenterClient
) -> None:
    service.faults.append(
        lambda _request: (400, {}, b'{"error":{"code":"invalidRequest","message":"Not this property."}}')
    )
    with pytest.raises(RefusedError, match="Not this property"):
        list(client.list_referrals(EPOCH))
    assert len(service.requests) == 2
    with pytest.raises(RefusedError):
        list(client.list_referrals())
    assert len(service.requests) == 3


def test_a_netrc_entry_does_not_replace_the_token(
    service: Service, client: PartnerCenterClient, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    client.newest_change()
    assert service.requests[0].headers["authorization"] == "Bearer good"


@pytest.mark.parametrize(
    ("status", "header", "waited"),
    [(429, "1", 1.0), (429, "120", 120.0), (503, "2", 2.0)],
)
def test_retry_after_is_obeyed(
    service: Service, client: PartnerCenterClient, waits: list[float], status: int, header: str, waited: float
) -> None:
    service.put(referral(1))
    service.once((status, {"Retry-After": header}, b""))
    assert client.newest_change() is not None
    assert waits == [waited]


def test_a_retry_after_too_long_to_wait_ends_at_once_and_says_so(
    service: Service, client: PartnerCenterClient, waits: list[float]
) -> None:
    service.once((429, {"Retry-After": "1000000000"}, b""))
    with pytest.raises(TransientError) as told:
        client.newest_change()
    assert told.value.retry_after == 1e9
    assert waits == []
    assert len(service.requests) == 1


def test_retry_after_reads_seconds_and_dates_and_nothing_else() -> None:
    now = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
    assert retry_after("90", now) == 90
    assert retry_after("Tue, 24 Nov 2026 12:01:00 GMT", now) == 60
    assert retry_after("Tue, 24 Nov 2026 11:00:00 GMT", now) == 0
    assert retry_after("soon", now) is None
    assert retry_after(None, now) is None


@pytest.mark.parametrize(
    "answer",
    [
        (500, {}, b""),
        (502, {}, b"<html>"),
        (503, {}, b""),
        (504, {}, b""),
        (0, {}, b""),
        (200, {"Content-Type": "text/html"}, b"<html>Sign in</html>"),
        (200, {}, b'{"value": ['),
        (200, {"Content-Length": "500"}, b'{"value": []}'),
        (200, {"Content-Encoding": "gzip"}, gzip.compress(json.dumps({"value": [referral(2)]}).encode())[:200]),
        (200, {}, b'{"unexpected": true}'),
        (200, {}, b"[]"),
    ],
    ids=["500", "502", "503", "504", "reset", "html", "half", "short", "gzip", "no-list", "array"],
)
def test_a_broken_answer_is_asked_for_again_and_never_taken_for_data(
    service: Service, client: PartnerCenterClient, waits: list[float], answer: tuple[int, dict[str, str], bytes]
) -> None:
    service.put(referral(1))
    service.once(answer, times=2)
    assert ids_of(client) == [referral(1)["id"]]
    assert len(waits) == 2


def test_giving_up_is_bounded_and_transient(service: Service, client: PartnerCenterClient, waits: list[float]) -> None:
    service.once((500, {}, b""), times=100)
    with pytest.raises(TransientError):
        client.newest_change()
    assert len(service.requests) == 6
    assert all(wait <= 30 for wait in waits)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, {"code": "900421", "description": "MFA"}, MfaRequiredError),
        (401, {"error": {"code": 900421, "message": "MFA"}}, MfaRequiredError),
        (401, {"code": "900420"}, WrongAudienceError),
        (403, {"error": {"code": "accessDenied", "message": "no"}}, MissingRoleError),
        (400, {"error": {"code": "invalidRequest", "message": "bad filter"}}, RefusedError),
        (404, {"error": {"code": "itemNotFound", "message": "none"}}, RefusedError),
    ],
)
def test_each_refusal_is_its_own_error_and_is_not_repeated(
    service: Service, client: PartnerCenterClient, status: int, body: object, error: type[PermanentError]
) -> None:
    service.once((status, {}, json.dumps(body).encode()), times=10)
    with pytest.raises(error) as told:
        client.newest_change()
    assert told.value.message
    assert len(service.requests) == 1


def test_a_token_that_ends_in_mid_run_is_renewed_once(service: Service) -> None:
    service.put(*(referral(number) for number in range(60)))
    tokens = Bearer("expired", "good")
    client = PartnerCenterClient(settings_for(service), tokens, sleep=lambda _seconds: None)
    assert len(ids_of(client)) == 60
    assert tokens.forced == 1


def test_a_refused_sign_in_makes_no_storm(service: Service) -> None:
    tokens = Bearer("expired", "expired")
    client = PartnerCenterClient(settings_for(service), tokens, sleep=lambda _seconds: None)
    with pytest.raises(SignInExpiredError):
        ids_of(client)
    assert len(service.requests) == 2


def test_an_empty_page_with_a_next_link_is_not_the_end(service: Service, client: PartnerCenterClient) -> None:
    service.put(referral(1))

    def empty(request: Request) -> tuple[int, dict[str, str], bytes] | None:
        if "$skiptoken" in request.query or "$select" in request.query:
            return None
        token = json.dumps([0, "", "", None])
        return (
            200,
            {},
            json.dumps({"value": [], "@odata.nextLink": f"{service.url}{COLLECTION}?$skiptoken={token}"}).encode(),
        )

    service.faults.append(empty)
    assert ids_of(client) == [referral(1)["id"]]


def test_an_empty_list_is_one_last_page(client: PartnerCenterClient) -> None:
    assert [(page.rows, page.last) for page in client.list_referrals()] == [([], True)]
    assert client.newest_change() is None


def test_a_patch_carries_its_etag_and_412_is_told(service: Service, client: PartnerCenterClient) -> None:
    service.put(referral(1))
    payload, etag = client.get(referral(1)["id"])
    assert payload["name"] == "Deal 1"
    changed = client.patch(payload["id"], [{"op": "replace", "path": "/status", "value": "Active"}], etag)
    assert changed["status"] == "Active"
    assert service.requests[-1].headers["if-match"] == '"1-0"'
    with pytest.raises(ChangedSinceReadError):
        client.patch(payload["id"], [{"op": "replace", "path": "/status", "value": "Closed"}], etag)


def test_an_id_with_slashes_stays_one_segment(service: Service, client: PartnerCenterClient) -> None:
    with pytest.raises(RefusedError):
        client.get("../../secrets?x=1")
    assert service.requests[0].path.startswith(COLLECTION + "/..%2F")
