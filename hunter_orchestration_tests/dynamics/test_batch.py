"""The multipart codec: CRLF, Content-IDs, and answers that are late, missing, misplaced or broken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunter_orchestration.dynamics.batch import BatchFormatError, Part, decode, encode

ROOT = "/api/data/v9.2/"
PARTS = [Part("PATCH", f"accounts({n})", {"name": f"Şirket {n}"}, {"If-Match": 'W/"1"'}) for n in range(3)]


def answer(*parts: tuple[str | None, int, bytes]) -> bytes:
    body = b""
    for content_id, status, content in parts:
        echo = f"Content-ID: {content_id}\r\n" if content_id else ""
        body += (
            f'--b\r\nContent-Type: application/http\r\n{echo}\r\nHTTP/1.1 {status} X\r\nETag: W/"2"\r\n\r\n'.encode()
            + content
            + b"\r\n"
        )
    return body + b"--b--\r\n"


TYPE = "multipart/mixed; boundary=b"


def test_a_batch_speaks_crlf_and_numbers_its_parts() -> None:
    content_type, body = encode(PARTS, ROOT)
    assert content_type.startswith("multipart/mixed; boundary=")
    assert b"\n" not in body.replace(b"\r\n", b"")
    assert body.count(b"Content-ID: ") == 3
    assert b"Content-Length" not in body
    assert b"PATCH /api/data/v9.2/accounts(1) HTTP/1.1\r\n" in body
    assert b'If-Match: W/"1"\r\n' in body


def test_what_belongs_together_stands_in_one_change_set() -> None:
    _, body = encode(PARTS, ROOT, together=True)
    assert body.count(b"boundary=changeset_") == 1
    assert body.count(b"Content-ID: ") == 3


def test_answers_are_matched_by_the_id_they_echo() -> None:
    found = decode(TYPE, answer(("3", 204, b""), ("1", 400, b'{"error":{}}'), ("2", 200, b'{"a":1}')), PARTS)
    assert [a.status for a in found if a] == [400, 200, 204]
    assert found[1] is not None
    assert found[1].body == {"a": 1}


def test_a_missing_answer_is_unknown() -> None:
    found = decode(TYPE, answer(("1", 204, b""), ("3", 204, b"")), PARTS)
    assert found[1] is None
    assert found[0] is not None


def test_answers_without_ids_count_by_position_only_when_all_are_there() -> None:
    whole = decode(TYPE, answer((None, 200, b"{}"), (None, 201, b"{}"), (None, 204, b"")), PARTS)
    assert [a.status for a in whole if a] == [200, 201, 204]
    assert decode(TYPE, answer((None, 200, b"{}"), (None, 201, b"{}")), PARTS) == [None, None, None]
    mixed = decode(TYPE, answer(("2", 204, b""), (None, 201, b"{}"), ("1", 204, b"")), PARTS)
    assert mixed[2] is None


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{}"),
        (TYPE, b""),
        (TYPE, b"--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 200 OK\r\n\r\n{}"),
        (TYPE, b"--b\r\nnonsense\r\n--b--\r\n"),
        (TYPE, answer(("1", 200, b'{"half'))),
        (TYPE, b"--b\r\nContent-Type: application/http\r\n\r\nhello\r\n\r\n--b--\r\n"),
    ],
)
def test_what_is_no_answer_is_refused(content_type: str, body: bytes) -> None:
    with pytest.raises(BatchFormatError):
        decode(content_type, body, PARTS)


@given(st.binary(max_size=300))
def test_no_bytes_lead_to_anything_but_answers_or_a_refusal(body: bytes) -> None:
    for wrapped in (body, b"--b\r\n" + body + b"\r\n--b--\r\n"):
        try:
            found = decode(TYPE, wrapped, PARTS)
        except BatchFormatError:
            continue
        assert len(found) == 3
