"""Files of leads: every encoding and separator, nothing taken for what it isn't, every rejected row told."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hunter_orchestration.companies import files, imports, stage
from hunter_orchestration.companies.admission import RecordRefusedError, add_lead
from hunter_orchestration.companies.files import FileRefusedError
from hunter_orchestration.companies.imports import preview
from hunter_orchestration.store import Store, companies, quarantine, raw_leads, runs
from hunter_orchestration.store import imports as import_store

TURKISH = (
    "Firma Ünvanı;Web Sitesi;E-posta;Şehir;Adres;Telefon;Ülke\r\n"
    "Işık Metal Ltd. Şti.;www.isikmetal.com.tr;ada@gmail.com;İzmir;Cumhuriyet Cad. No.5;0212 555 00 00;Türkiye\r\n"
    "Güneş Gıda;;satis@gunesgida.com.tr;Iğdır;Sok. No.3;;nan\r\n"
)


def written(tmp_path: Path, content: bytes | str, encoding: str = "utf-8") -> Path:
    path = tmp_path / "leads.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def imported(store: Store, tmp_path: Path, path: Path, columns: dict[str, str] | None = None) -> tuple[int, Any]:
    with path.open("rb") as content:
        import_id = imports.receive(store, tmp_path, path.name, content, "ada")
    if columns is not None:
        imports.choose_columns(store, tmp_path, import_id, columns)
    return import_id, imports.run(store, tmp_path, import_id)


def rejects(store: Store, import_id: int) -> dict[int, str]:
    with store.read() as connection:
        return {row["line"]: row["reason"] for row in import_store.rejects(connection, import_id)}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "windows-1254", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("separator", [";", ",", "\t", "|"])
def test_encoding_and_separator_are_found_from_the_content(tmp_path: Path, encoding: str, separator: str) -> None:
    seen = preview(written(tmp_path, TURKISH.replace(";", separator), encoding))
    assert seen.columns == {
        "company": "Firma Ünvanı",
        "website": "Web Sitesi",
        "email": "E-posta",
        "city": "Şehir",
        "address": "Adres",
        "phone": "Telefon",
        "country": "Ülke",
    }
    assert seen.rows[0][0] == "Işık Metal Ltd. Şti."


def test_a_given_domain_beats_an_addresss_and_empty_cells_are_nothing(store: Store, tmp_path: Path) -> None:
    _, result = imported(store, tmp_path, written(tmp_path, TURKISH))
    assert result.counts == {"rows": 2, "stored": 2, "unchanged": 0, "rejected": 0}
    stage.run(store)
    with store.read() as connection:
        found = companies.by_domain(connection, ["isikmetal.com.tr", "gunesgida.com.tr"])
    assert set(found) == {"isikmetal.com.tr", "gunesgida.com.tr"}
    assert (found["isikmetal.com.tr"]["country"], found["gunesgida.com.tr"]["country"]) == ("TR", None)
    assert found["gunesgida.com.tr"]["phone"] is None
    assert found["isikmetal.com.tr"]["name_source"] == "import"


def test_the_same_file_twice_changes_nothing(store: Store, tmp_path: Path) -> None:
    path = written(tmp_path, TURKISH + "Güneş Gıda Yeni;;satis@gunesgida.com.tr;;;;\r\n")
    import_id, _ = imported(store, tmp_path, path)
    with store.read() as connection:
        waiting = raw_leads.pending(connection, imports.SOURCE, window=None, after_id=0, limit=10)
    assert [row["import_id"] for row in waiting] == [import_id] * 3
    stage.run(store)
    with store.read() as connection:
        before = companies.by_domain(connection, ["isikmetal.com.tr", "gunesgida.com.tr"])
    _, again = imported(store, tmp_path, path)
    assert again.counts == {"rows": 3, "stored": 0, "unchanged": 3, "rejected": 0}
    assert not any(stage.run(store).counts.values())
    with store.read() as connection:
        assert companies.by_domain(connection, before) == before


def test_every_rejected_row_is_told_with_its_line_and_reason(store: Store, tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "domain,email\n"
        "good.com.tr,\n"
        ",ada@gmail.com\n"
        "\n"
        "linkedin.com/company/x,\n"
        "Adres,\n"
        "192.168.1.1,\n"
        '"two\nlines.com",\n'
        "nan,N/A\n"
        "gmail.com,\n"
        "also-good.com.tr,x\n",
    )
    import_id, result = imported(store, tmp_path, path)
    assert result.counts == {"rows": 9, "stored": 2, "unchanged": 0, "rejected": 7}
    assert rejects(store, import_id) == {
        3: "free-mail",
        5: "platform",
        6: "syntax",
        7: "ip",
        8: "syntax",
        10: "empty",
        11: "free-mail",
    }


def test_rejected_rows_can_be_downloaded_without_a_formula_in_them(store: Store, tmp_path: Path) -> None:
    cells = ["=HYPERLINK(1)", "+1", "-1", "@x", "＝1"]
    path = written(tmp_path, "domain,notes\n" + "".join(f"nothing,{cell}\n" for cell in cells) + "a.com.tr,\n")
    import_id, _ = imported(store, tmp_path, path)
    lines = "".join(imports.rejects_csv(store, import_id)).lstrip("\ufeff").split("\r\n")
    assert lines[0] == "line,reason,detail"
    assert all(f"'{cell}" in line for cell, line in zip(cells, lines[1:], strict=False))


def test_a_column_called_address_is_a_street_unless_it_holds_websites(tmp_path: Path) -> None:
    streets = preview(written(tmp_path, "Adres;E-posta\nA Cad. No.1;a@b.com.tr\nSok. No.2;c@d.com.tr\n"))
    assert streets.columns == {"address": "Adres", "email": "E-posta"}
    sites = preview(written(tmp_path, "Adres\nwww.a.com.tr\nb.com.tr\nc.com.tr\n"))
    assert sites.columns == {"website": "Adres"}


def test_columns_without_headings_are_known_by_their_cells(tmp_path: Path) -> None:
    seen = preview(written(tmp_path, "Firma A,a.com.tr,x@a.com.tr\nFirma B,b.com.tr,x@b.com.tr\n"))
    assert (seen.heading_line, seen.columns) == (0, {"domain": "Column 2", "email": "Column 3"})
    assert len(seen.rows) == 2


def test_a_title_above_the_headings_is_passed_over(tmp_path: Path) -> None:
    seen = preview(written(tmp_path, "Müşteri listesi 2026,,\n,,\nFirma,Alan adı,Tel\nA,a.com.tr,5\n"))
    assert (seen.heading_line, seen.columns["domain"], len(seen.rows)) == (3, "Alan adı", 1)


def test_a_separator_line_of_excel_is_no_row(tmp_path: Path) -> None:
    seen = preview(written(tmp_path, "sep=;\nFirma;Domain\nA;a.com.tr\n"))
    assert (seen.form.separator, seen.heading_line, seen.rows) == (";", 2, [["A", "a.com.tr"]])


def test_chosen_columns_are_used_and_wrong_ones_refused(store: Store, tmp_path: Path) -> None:
    path = written(tmp_path, "Ref,Old\na.com.tr,b.com.tr\n")
    _, result = imported(store, tmp_path, path, {"domain": "Old"})
    assert result.counts["stored"] == 1
    stage.run(store)
    with store.read() as connection:
        assert companies.one(connection, "b.com.tr") is not None
    for wrong in ({"domain": "Nope"}, {"nope": "Ref"}, {"company": "Ref"}):
        with pytest.raises(imports.ImportStateError):
            imported(store, tmp_path, path, wrong)


def workbook(tmp_path: Path) -> Path:
    path = tmp_path / "leads.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet()
        sheet.write_row(1, 1, ["Firma", "Alan adı", "Telefon"])
        sheet.write_row(2, 1, ["Işık", "isik.com.tr", 905551112233])
        sheet.write_row(4, 1, ["Kötü", "nan", 1.5])
    return path


def test_a_workbook_keeps_its_line_numbers_and_whole_numbers(store: Store, tmp_path: Path) -> None:
    import_id, result = imported(store, tmp_path, workbook(tmp_path))
    assert result.counts == {"rows": 2, "stored": 1, "unchanged": 0, "rejected": 1}
    assert rejects(store, import_id) == {5: "empty"}
    stage.run(store)
    with store.read() as connection:
        found = companies.one(connection, "isik.com.tr")
    assert found is not None
    assert found["phone"] == "905551112233"


def _repacked(source: Path, target: Path, part: str, content: bytes) -> Path:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, content if name == part else old.read(name))
    return target


def test_a_quotation_mark_that_is_never_closed_swallows_no_rows(sqlite_store: Store, tmp_path: Path) -> None:
    path = tmp_path / "open.csv"
    path.write_text('domain,company\na.com.tr,"Two\nlines, ""quoted"""\nb.com.tr,5" screens\nc.com.tr,"X\nd.com.tr,Y\n')
    with pytest.raises(FileRefusedError, match="in line 5 is never closed"):
        imported(sqlite_store, tmp_path, path)
    path.write_text(path.read_text().replace('"X', "X"))
    _, result = imported(sqlite_store, tmp_path, path)
    assert result.counts["stored"] == 4


SHEET = "xl/worksheets/sheet1.xml"


def _sheet(*rows: str) -> bytes:
    name = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    return f'<worksheet xmlns="{name}"><sheetData>{"".join(rows)}</sheetData></worksheet>'.encode()


@pytest.mark.parametrize(
    "rows",
    [
        ['<row r="1"><c r="A1"><v>1</v></c></row>', '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'],
        ["<row r='1'><c r='A1'><v>1</v></c></row>", "<row r='1048576'><c r='XFD1048576'><v>1</v></c></row>"],
        ['<row r="1"><c r="A1"><v>1</v></c></row>', '<row r="1048576"><c s="1" r = "xfd1048576"><v>1</v></c></row>'],
        ['<x:row r="1"><c r="A1"><v>1</v></c></x:row>', f'<row{" " * 2_000_000}r\n=\n"1048576"><c r="XFD7"/></row>'],
        ['<row><c a=">" r="A1"/>', "<c/>" * 20_000, "</row>", '<row r="1048576"><c><v>1</v></c></row>'],
        ['<row><c r="A1"/>', '<d r="A1"/><c/>' * 20_000, "</row>", '<row r="1048576"><c><v>1</v></c></row>'],
    ],
    ids=["as written", "other quotes", "spaces and small letters", "spaces across blocks", "without places", "misled"],
)
def test_a_cell_far_outside_does_not_make_the_reader_swell(tmp_path: Path, rows: list[str]) -> None:
    path = _repacked(workbook(tmp_path), tmp_path / "far.xlsx", SHEET, _sheet(*rows))
    with pytest.raises(FileRefusedError, match="reaches to row"):
        preview(path)


def test_a_sheet_under_another_name_is_looked_at_too(tmp_path: Path) -> None:
    far = _sheet('<row r="1"><c r="A1"/></row>', '<row r="1048576"><c r="XFD1048576"/></row>')
    with zipfile.ZipFile(workbook(tmp_path)) as book:
        rels = book.read("xl/_rels/workbook.xml.rels").replace(b"worksheets/sheet1.xml", b"elsewhere/one.bin")
    path = _repacked(workbook(tmp_path), tmp_path / "named.xlsx", "xl/_rels/workbook.xml.rels", rels)
    with zipfile.ZipFile(path, "a") as book:
        book.writestr("xl/elsewhere/one.bin", far)
    with pytest.raises(FileRefusedError, match="reaches to row"):
        preview(path)


def test_more_cells_or_strings_than_are_read_are_refused_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_CELLS", 5_000)
    many = _repacked(workbook(tmp_path), tmp_path / "many.xlsx", SHEET, _sheet("<row>" + "<c/>" * 6_000 + "</row>"))
    texts = tmp_path / "texts.xlsx"
    with zipfile.ZipFile(workbook(tmp_path)) as old, zipfile.ZipFile(texts, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
        new.writestr("xl/many.xml", "<sst>" + "<si><t>a</t></si>" * 6_000 + "</sst>")
    for path in (many, texts):
        with pytest.raises(FileRefusedError, match="more than 5,000 cells"):
            preview(path)


def test_the_order_in_which_formulas_are_computed_is_no_sheet(tmp_path: Path) -> None:
    path = tmp_path / "formulas.xlsx"
    chain = "".join(f'<c r="B{row}" i="1"/>' for row in range(1, 5_000))
    with zipfile.ZipFile(workbook(tmp_path)) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
        new.writestr("xl/calcChain.xml", f"<calcChain>{chain}</calcChain>")
    assert preview(path).rows == preview(workbook(tmp_path)).rows


@pytest.mark.slow
def test_a_zip_bomb_is_refused_before_it_is_expanded(tmp_path: Path) -> None:
    path = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b"<workbook/>")
        with archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as part:
            for _ in range(files.MAX_EXPANDED_BYTES // (1 << 24) + 2):
                part.write(bytes(1 << 24))
    with pytest.raises(FileRefusedError, match="Expanded"):
        preview(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"PK\x03\x04 no zip at all",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 old excel",
        bytes(range(256)) * 4,
    ],
)
def test_what_is_no_table_is_refused_with_a_sentence(sqlite_store: Store, tmp_path: Path, content: bytes) -> None:
    with pytest.raises(FileRefusedError):
        imports.receive(sqlite_store, tmp_path, "x.csv", io.BytesIO(content))
    assert not list((tmp_path / "imports").iterdir())


def test_a_file_over_the_limit_is_refused_while_it_comes_in(sqlite_store: Store, tmp_path: Path) -> None:
    class Endless(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            return b"a.com.tr\n" * 100_000

    with pytest.raises(FileRefusedError, match="MB"):
        imports.receive(sqlite_store, tmp_path, "x.csv", Endless())  # type: ignore[arg-type]
    assert not list((tmp_path / "imports").iterdir())


def test_a_file_name_can_not_lead_out_of_the_folder(sqlite_store: Store, tmp_path: Path) -> None:
    import_id = imports.receive(sqlite_store, tmp_path, "../../x\n/evil\x00.csv", io.BytesIO(b"domain\na.com.tr\n"))
    with sqlite_store.read() as connection:
        row = import_store.one(connection, import_id)
    assert row is not None
    assert row["filename"] == "evil .csv"
    assert (tmp_path / row["stored_path"]).parent == tmp_path / "imports"


def test_a_cancelled_import_stops_and_can_be_taken_up_again(sqlite_store: Store, tmp_path: Path) -> None:
    path = written(tmp_path, "domain\n" + "".join(f"firma{number}.com.tr\n" for number in range(2500)))
    with path.open("rb") as content:
        import_id = imports.receive(sqlite_store, tmp_path, path.name, content)
    stopped = imports.run(
        sqlite_store, tmp_path, import_id, progress=lambda done, total: imports.cancel(sqlite_store, import_id)
    )
    assert (stopped.facts["state"], stopped.counts["rows"]) == ("cancelled", 1000)
    with pytest.raises(imports.ImportStateError, match="cancelled"):
        imports.run(sqlite_store, tmp_path, import_id)
    imports.choose_columns(sqlite_store, tmp_path, import_id, {"domain": "domain"})
    again = imports.run(sqlite_store, tmp_path, import_id)
    assert again.counts == {"rows": 2500, "stored": 1500, "unchanged": 1000, "rejected": 0}
    with pytest.raises(imports.ImportStateError):
        imports.run(sqlite_store, tmp_path, import_id)
    assert not imports.cancel(sqlite_store, import_id)


def test_a_finished_import_keeps_no_copy_of_the_file(sqlite_store: Store, tmp_path: Path) -> None:
    imported(sqlite_store, tmp_path, written(tmp_path, TURKISH))
    assert not list((tmp_path / "imports").iterdir())


def test_one_lead_is_there_at_once_and_once(store: Store) -> None:
    values = {"email": "Ada <ada@firma.com.tr>", "company": "Firma\x00 A.Ş.", "first_name": "Ada", "unknown": "x"}
    first, second = add_lead(store, values, "webhook"), add_lead(store, values, "webhook")
    assert (first.domain, first.new, second.new) == ("firma.com.tr", True, False)
    assert first.raw_lead_id == second.raw_lead_id
    with store.read() as connection:
        found = companies.one(connection, "firma.com.tr")
        people = companies.contacts_of(connection, ["firma.com.tr"])["firma.com.tr"]
    assert found is not None
    assert (found["name"], set(found["sources"])) == ("Firma A.Ş.", {"webhook"})
    assert [(person["email"], person["first_name"]) for person in people] == [("ada@firma.com.tr", "Ada")]


@pytest.mark.parametrize(
    ("values", "reason"),
    [({}, "empty"), ({"email": "a@gmail.com"}, "free-mail"), ({"website": "https://x.com/firma"}, "platform")],
)
def test_one_lead_that_names_no_company_is_refused(sqlite_store: Store, values: dict[str, str], reason: str) -> None:
    with pytest.raises(RecordRefusedError) as refused:
        add_lead(sqlite_store, values, "api")
    assert refused.value.reason == reason
    with sqlite_store.read() as connection:
        assert quarantine.count_open(connection) == 0


def test_a_file_is_read_by_one_run_at_a_time(sqlite_store: Store, tmp_path: Path) -> None:
    import_id = imports.receive(sqlite_store, tmp_path, "x.csv", io.BytesIO(b"domain\na.com.tr\n"))
    with runs.lease(sqlite_store, f"import:{import_id}", "another run"), pytest.raises(runs.LeaseHeldError):
        imports.run(sqlite_store, tmp_path, import_id)
    assert imports.run(sqlite_store, tmp_path, import_id).counts["stored"] == 1


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=300)
    | st.text(alphabet=st.sampled_from("a.ı,;\t\"\n\r@|'=\x00"), max_size=200).map(lambda text: text.encode("utf-16"))
    | st.text(max_size=200).map(str.encode)
)
def test_no_file_crashes_the_reader(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "any.csv"
    path.write_bytes(content)
    try:
        seen = preview(path)
    except FileRefusedError:
        return
    lines = [line for line, _ in files.rows_of(path, seen.form)]
    assert lines == sorted(set(lines))
    assert set(seen.columns.values()) <= set(seen.headings)
