"""Rows as Parquet and XLSX from the real binary, read by `pyarrow`, `duckdb` and `openpyxl`: columns have the types of the
output schema, values are those of NDJSON, and nothing is lost that does not fit."""
import datetime
import http.server
import io
import json
import os
import re
import subprocess
import sys
import threading

import duckdb
import openpyxl
import pyarrow
import pyarrow.parquet

from harness import TOKEN, Receiver, Server, binary, csv_rows, equal, expect, folder, ndjson_rows, run, short

SCRAPER = """
dataset_id = "gd_typed"
title = "Typed (test)"

[doors.collect_by_url]
start = "page"
inputs.url = { type = "url", required = true }

[pages.page]
format = "json"
record = true

[fields]
name = { required = true, from = [{ json = "$.name" }] }
count = { type = "integer", from = [{ json = "$.count" }] }
price = { type = "price", from = [{ json = "$.price" }] }
stocked = { type = "boolean", from = [{ json = "$.stocked" }] }
day = { type = "date", from = [{ json = "$.day" }] }
at = { type = "datetime", from = [{ json = "$.at" }] }
link = { type = "url", from = [{ json = "$.link" }] }
tags = { type = "list", from = [{ json = "$.tags[*]", all = true }] }
raw = { type = "json", from = [{ json = "$.raw" }] }

[fields.offers]
type = "list"
of = "object"
from = [{ json = "$.offers[*]", all = true }]
fields.seller = { from = [{ json = "$.seller" }] }
fields.cents = { type = "integer", from = [{ json = "$.cents" }] }
"""
PAGES = [
    {"name": "Lamp \"é\" – 灯 😀\n=1+1", "count": 7, "price": 12.5, "stocked": True, "day": "2026-09-01",
     "at": "2026-09-01T12:30:00+02:00", "link": "/a?b=c", "tags": ["x", "y, z", "<&>"], "raw": {"k": [1, None, "v"]},
     "offers": [{"seller": "A", "cents": 1}, {"seller": "B"}, {"cents": 3}]},
    {"name": "=SUM(A1:A9)", "count": 9007199254740993, "price": 3},
    {"name": "too big for its column", "count": 18446744073709551615, "at": "2026-09-01"},
]
UTC = datetime.timezone.utc
SERVER = WEB = None
SNAPSHOT = None


class Web:
    """Pages as JSON; what is none of them is not found."""

    def __enter__(self):
        class Page(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                at = re.fullmatch(r"/p/(\d+)", self.path.split("?")[0])
                body = json.dumps(PAGES[int(at[1]) % len(PAGES)]).encode() if at else b"{}"
                self.send_response(200 if at else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()

    def url(self, path):
        return f"http://127.0.0.1:{self.server.server_address[1]}{path}"


def table(data):
    return pyarrow.parquet.read_table(io.BytesIO(data))


def as_ndjson(row):
    """A row of Parquet in the words of NDJSON: JSON texts read, moments and days as texts, without nulls."""
    misfits = json.loads(row.pop("_misfit") or "{}")
    for key in ("input", "raw"):
        row[key] = json.loads(row[key]) if row.get(key) is not None else None
    row["timestamp"] = row["timestamp"].strftime("%Y-%m-%dT%H:%M:%S.") + f"{row['timestamp'].microsecond // 1000:03}Z"
    if row.get("day"):
        row["day"] = row["day"].isoformat()
    row.update(misfits)
    return bare(row)


def bare(value):
    if isinstance(value, dict):
        return {k: bare(v) for k, v in value.items() if v is not None}
    return [bare(v) for v in value] if isinstance(value, list) else value


def moments(row):
    """Moments are moments, however they are written."""
    if isinstance(row.get("at"), str):
        at = datetime.datetime.fromisoformat(row["at"])
        row["at"] = at if at.tzinfo else at.replace(tzinfo=UTC)
    return row


def by_url(rows):
    return sorted(rows, key=lambda row: row["input"]["url"])


def columns_have_their_types():
    global SNAPSHOT
    inputs = [{"url": WEB.url(f"/p/{n}")} for n in range(3)] + [{"url": WEB.url("/gone")}]
    SNAPSHOT = SERVER.trigger(inputs, dataset_id="gd_typed", include_errors="true")
    SERVER.wait(SNAPSHOT)
    answer = SERVER.download(SNAPSHOT, format="parquet")
    equal(answer.header("Content-Type"), "application/vnd.apache.parquet", "content type")
    schema = table(answer.body).schema
    offers = pyarrow.list_(pyarrow.field("element", pyarrow.struct(
        [pyarrow.field("seller", pyarrow.string()), pyarrow.field("cents", pyarrow.int64())])))
    wanted = {
        "name": pyarrow.string(), "count": pyarrow.int64(), "price": pyarrow.float64(), "stocked": pyarrow.bool_(),
        "day": pyarrow.date32(), "at": pyarrow.timestamp("ms", tz="UTC"), "link": pyarrow.string(),
        "tags": pyarrow.list_(pyarrow.field("element", pyarrow.string())), "offers": offers,
        "timestamp": pyarrow.timestamp("ms", tz="UTC"), "error": pyarrow.string(), "error_code": pyarrow.string(),
    }
    for name, kind in wanted.items():
        equal(schema.field(name).type, kind, f"type of {name}")
    types = {row[0]: row[1] for row in described(answer.body)}
    for name in ("input", "raw", "_misfit"):
        equal(types[name], "JSON", f"duckdb's type of {name}")
    equal(types["offers"], 'STRUCT(seller VARCHAR, cents BIGINT)[]', "duckdb's type of offers")


def described(data):
    with folder() as home:
        path = home / "rows.parquet"
        path.write_bytes(data)
        return duckdb.sql(f"DESCRIBE SELECT * FROM '{path}'").fetchall()


def values_are_those_of_ndjson():
    lines = [moments(bare(row)) for row in ndjson_rows(SERVER.download(SNAPSHOT, format="ndjson").text())]
    rows = [as_ndjson(row) for row in table(SERVER.download(SNAPSHOT, format="parquet").body).to_pylist()]
    equal(by_url(moments(row) for row in rows), by_url(lines), "rows")
    (error,) = [row for row in rows if "error_code" in row]
    equal(error["error_code"], "dead_page", "the error row")
    # What does not fit is null, and is not lost.
    (odd,) = [row for row in table(SERVER.download(SNAPSHOT, format="parquet").body).to_pylist()
              if row["name"] and row["name"].startswith("too big")]
    equal(odd["count"], None, "a count beyond 64 bits")
    equal(json.loads(odd["_misfit"]), {"count": 18446744073709551615}, "where it went")


def duckdb_asks_within_rows():
    with folder() as home:
        path = home / "rows.parquet"
        path.write_bytes(SERVER.download(SNAPSHOT, format="parquet").body)
        asked = duckdb.sql(f"""SELECT name, offers[2].seller, len(tags), input->>'$.url', day
                               FROM '{path}' WHERE price > 10""").fetchall()
    equal(asked, [(PAGES[0]["name"], "B", 3, WEB.url("/p/0"), datetime.date(2026, 9, 1))], "the answer")


def an_empty_snapshot_has_its_columns():
    snapshot = SERVER.trigger([{"url": WEB.url("/gone")}], dataset_id="gd_typed")
    SERVER.wait(snapshot)
    empty = table(SERVER.download(snapshot, format="parquet").body)
    equal(empty.num_rows, 0, "rows")
    expect({"name", "offers", "timestamp", "input", "_misfit"} <= set(empty.schema.names), f"columns {empty.schema.names}")
    sheet = openpyxl.load_workbook(io.BytesIO(SERVER.download(snapshot, format="xlsx").body)).active
    equal(sheet.max_row, 1, "rows of the sheet")


def fields_parts_and_gzip():
    inputs = [{"url": WEB.url(f"/p/{n}?{n}")} for n in range(2500)]
    snapshot = SERVER.trigger(inputs, dataset_id="gd_typed", custom_output_fields="name|offers.cents|input")
    SERVER.wait(snapshot)
    for form, count in (("parquet", lambda data: table(data).num_rows), ("xlsx", lambda data: sheet_of(data).max_row - 1)):
        parts = [count(SERVER.download(snapshot, format=form, batch_size=1000, part=n).body) for n in (1, 2, 3)]
        equal(parts, [1000, 1000, 500], f"rows of parts as {form}")
    whole = table(SERVER.download(snapshot, format="parquet").body)
    equal(whole.schema.names, ["name", "offers", "input", "_misfit"], "columns")
    equal(whole.num_rows, 2500, "rows")
    packed = SERVER.download(snapshot, format="parquet", compress="true")
    expect("parquet.gz" in packed.header("Content-Disposition"), packed.header("Content-Disposition"))
    import gzip
    expect(table(gzip.decompress(packed.body)).equals(whole), "the packed file differs")
    plain = SERVER.call("GET", f"/datasets/v3/snapshot/{snapshot}", {"format": "parquet"}, headers={"Accept-Encoding": "gzip"})
    equal(plain.header("Content-Encoding"), None, "content encoding of what is packed")


def sheet_of(data):
    return openpyxl.load_workbook(io.BytesIO(data)).active


def sheets_hold_the_same_as_csv():
    answer = SERVER.download(SNAPSHOT, format="xlsx")
    equal(answer.header("Content-Type"), "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "content type")
    rows = list(sheet_of(answer.body).iter_rows())
    names = [cell.value for cell in rows[0]]
    table = csv_rows(SERVER.download(SNAPSHOT, format="csv").text())
    equal(names, list(table[0]), "header")
    for cells, wanted in zip(rows[1:], table, strict=True):
        for name, cell in zip(names, cells):
            expect(cell.data_type != "f", f"{name} is a formula: {cell.value}")
            said = {True: "true", False: "false", None: ""}.get(cell.value, cell.value) if cell.data_type != "n" else cell.value
            if cell.data_type == "n" and cell.value is not None:
                expect(float(cell.value) == float(wanted[name]), f"{name}: {cell.value} and {wanted[name]}")
            else:
                equal(said or "", wanted[name], f"{name} of the sheet")
    counts = {cells[names.index("count")].value for cells in rows[1:]}
    equal(counts, {7, "9007199254740993", "18446744073709551615", None}, "numbers keep their digits")


def deliveries_bring_them():
    with Receiver() as receiver:
        for form in ("parquet", "xlsx"):
            body = {"deliver": {"type": "webhook", "endpoint": receiver.url(f"/{form}"), "filename": {"extension": form}}}
            answer = SERVER.call("POST", f"/datasets/v3/deliver/{SNAPSHOT}", body=body)
            equal(answer.status, 200, f"deliver as {form}: {answer}")
            post = receiver.wait(f"/{form}")[0]
            equal(post.raw, SERVER.download(SNAPSHOT, format=form).body, f"the {form} that was delivered")


def the_command_line_writes_them(home):
    for form, read in (("parquet", lambda path: pyarrow.parquet.read_table(path).num_rows),
                       ("xlsx", lambda path: openpyxl.load_workbook(path).active.max_row - 1)):
        path = home / f"rows.{form}"
        env = {**os.environ, "TRAWL_FETCH_ALLOW_NETWORKS": "127.0.0.0/8"}
        words = [binary("TRAWL_BIN", "trawl"), "run", "typed", "--scrapers", str(home / "scrapers"), "--format", form, "-o",
                 str(path), WEB.url("/p/0"), WEB.url("/p/1"), WEB.url("/gone")]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, env=env)
        equal(done.returncode, 0, f"exit code; {short(done.stderr)}")
        equal(read(path), 3, f"rows of {path.name}")


if __name__ == "__main__":
    with folder() as home, Web() as WEB:
        (home / "scrapers/typed").mkdir(parents=True)
        (home / "scrapers/typed/scraper.toml").write_text(SCRAPER, encoding="utf-8")
        with Server(scrapers=home / "scrapers") as SERVER:
            failed = run(columns_have_their_types, values_are_those_of_ndjson, duckdb_asks_within_rows,
                         an_empty_snapshot_has_its_columns, fields_parts_and_gzip, sheets_hold_the_same_as_csv,
                         deliveries_bring_them)
        def the_command_line_writes_files():
            the_command_line_writes_them(home)
        failed += run(the_command_line_writes_files)
    sys.exit(1 if failed else 0)
