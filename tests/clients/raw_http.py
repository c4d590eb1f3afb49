"""The documented API with nothing but the standard library: the eight groups of the baseline that every client of the
original service relies on, and how a refusal looks."""
import gzip
import json
import re
import time

from harness import Server, Site, csv_rows, equal, expect, ndjson_rows, run, short

PAGE = "web_page"
SERVER = SITE = None


def trigger_answers_200_with_an_id():
    for body, kind in (
        ([{"url": SITE.good(1)}], None),
        ({"input": [{"url": SITE.good(1)}]}, None),
        ({"url": SITE.good(1)}, None),
        ('{"url":"%s"}\n{"url":"%s"}\n' % (SITE.good(1), SITE.good(2)), "application/x-ndjson"),
        ("url\n%s\n" % SITE.good(1), "text/csv"),
        (multipart("url\r\n%s\r\n" % SITE.good(1)), "multipart/form-data; boundary=frontier"),
    ):
        headers = {"Content-Type": kind} if kind else {}
        answer = SERVER.call("POST", "/datasets/v3/trigger", {"dataset_id": PAGE}, body, headers)
        equal(answer.status, 200, f"trigger with {kind or 'JSON'} {short(str(body), 80)} → {answer}")
        expect("application/json" in answer.header("Content-Type"), f"content type {answer.header('Content-Type')}")
        expect(re.fullmatch(r"sd?_[a-z0-9]+", answer.json()["snapshot_id"]), f"{answer}")
        SERVER.wait(answer.json()["snapshot_id"])


def multipart(csv):
    return ('--frontier\r\nContent-Disposition: form-data; name="data"; filename="in.csv"\r\n'
            "Content-Type: text/csv\r\n\r\n" + csv + "\r\n--frontier--\r\n")


def progress_counts():
    snapshot = SERVER.trigger([{"url": SITE.good(n)} for n in range(1, 6)], dataset_id=PAGE)
    progress = SERVER.wait(snapshot)
    for key, wanted in (("records", 5), ("errors", 0), ("snapshot_id", snapshot)):
        equal(progress.get(key), wanted, f"progress.{key}")
    expect(progress.get("dataset_id"), f"progress has no dataset_id: {progress}")
    for key in ("collection_duration", "avg_duration_per_input"):
        expect(type(progress.get(key)) is int, f"{key} is not an integer of milliseconds: {progress}")


def downloads_agree_in_every_format():
    snapshot = SERVER.trigger([{"url": SITE.good(n)} for n in range(1, 8)], dataset_id=PAGE)
    SERVER.wait(snapshot)
    plain = {f: SERVER.download(snapshot, format=f) for f in ("json", "ndjson", "jsonl", "csv")}
    read = {"json": json.loads, "ndjson": ndjson_rows, "jsonl": ndjson_rows, "csv": csv_rows}
    rows = {f: read[f](answer.text()) for f, answer in plain.items()}
    for f in rows:
        equal(len(rows[f]), 7, f"rows as {f}")
    equal(sorted(r["input"]["url"] for r in rows["json"]), sorted(SITE.good(n) for n in range(1, 8)), "inputs")
    equal(rows["ndjson"], rows["jsonl"], "ndjson and jsonl")
    expect(set(rows["json"][0]) <= set(rows["csv"][0]), "CSV dropped a column")
    expect(plain["csv"].header("Content-Type").startswith("text/csv"), "content type of CSV")
    for f in ("ndjson", "jsonl"):
        expect("application/json" not in plain[f].header("Content-Type"), f"lines typed {plain[f].header('Content-Type')}")
    for f in plain:
        packed = SERVER.download(snapshot, format=f, compress="true")
        expect(packed.body[:2] == b"\x1f\x8b", f"compress=true with {f} does not begin 1f 8b")
        expect(packed.header("Content-Encoding") is None, "compress=true must not name a content encoding")
        expect("application/gzip" in packed.header("Content-Type"), f"{packed.header('Content-Type')}")
        equal(gzip.decompress(packed.body), plain[f].body, f"compressed {f}")
    expect(plain["json"].header("Content-Encoding") is None, "compressed although nobody asked")


def parts_make_the_whole():
    snapshot = SERVER.trigger([{"url": SITE.good(n)} for n in range(1, 4)], dataset_id=PAGE)
    SERVER.wait(snapshot)
    equal(SERVER.get(f"/datasets/v3/snapshot/{snapshot}/parts", format="json", batch_size=1000).json(), {"parts": 1}, "parts")
    equal(len(SERVER.download(snapshot, format="json", batch_size=1000, part=1).json()), 3, "part 1")
    answer = SERVER.get(f"/datasets/v3/snapshot/{snapshot}", batch_size=10)
    equal(answer.status, 400, "batch_size=10")
    expect("validation_errors" in answer.json(), f"{answer}")
    answer = SERVER.get(f"/datasets/v3/snapshot/{snapshot}/input")
    equal(answer.status, 200, "the inputs as CSV")
    equal(sorted(r["url"] for r in csv_rows(answer.text())), sorted(SITE.good(n) for n in range(1, 4)), "the inputs")


def not_ready_is_a_202():
    snapshot = SERVER.trigger([{"url": SITE.slow(1)}], dataset_id=PAGE)
    for f in ("json", "csv", "ndjson"):
        answer = SERVER.get(f"/datasets/v3/snapshot/{snapshot}", format=f)
        equal(answer.status, 202, f"download of a running snapshot as {f}")
        expect("application/json" in answer.header("Content-Type"), f"202 typed {answer.header('Content-Type')}")
        expect(answer.json()["status"] in ("running", "building", "starting"), f"{answer}")
    equal(SERVER.progress(snapshot)["status"], "running", "progress of a running snapshot")
    SERVER.call("POST", f"/datasets/v3/snapshot/{snapshot}/cancel")


def scrape_waits_for_the_rows():
    for body in ({"input": [{"url": SITE.good(3)}]}, [{"url": SITE.good(3)}]):
        answer = SERVER.call("POST", "/datasets/v3/scrape", {"dataset_id": PAGE}, body)
        equal(answer.status, 200, f"scrape {body} → {answer}")
        rows = ndjson_rows(answer.text())
        equal([r["input"]["url"] for r in rows], [SITE.good(3)], "scrape's row")
    answer = SERVER.call("POST", "/datasets/v3/scrape", {"dataset_id": PAGE, "format": "json"}, [{"url": SITE.good(3)}])
    equal(len(answer.json()), 1, "scrape as json")
    begun = time.monotonic()
    answer = SERVER.call("POST", "/datasets/v3/scrape", {"dataset_id": PAGE}, {"input": [{"url": SITE.slow(2)}]})
    equal(answer.status, 202, f"scrape of a slow page → {answer}")
    expect(answer.header("Retry-After"), "202 of scrape without Retry-After")
    expect(time.monotonic() - begun < 20, "the synchronous wait was not kept")
    snapshot = answer.json()["snapshot_id"]
    expect(answer.json().get("message"), f"{answer}")
    SERVER.call("POST", f"/datasets/v3/snapshot/{snapshot}/cancel")
    many = [{"url": SITE.good(n)} for n in range(1, 22)]
    equal(SERVER.call("POST", "/datasets/v3/scrape", {"dataset_id": PAGE}, many).status, 400, "21 inputs at once")


def dead_pages_are_error_rows():
    without = SERVER.trigger([{"url": SITE.dead(1)}], dataset_id=PAGE)
    progress = SERVER.wait(without)
    equal((progress.get("records"), progress.get("errors")), (0, 1), "counts of a dead page")
    equal(progress.get("error_codes"), {"dead_page": 1}, "error codes")
    equal(SERVER.rows(without), [], "rows without include_errors")
    rows = SERVER.rows(wait(SERVER.trigger([{"url": SITE.dead(1)}], dataset_id=PAGE, include_errors="true")))
    equal(len(rows), 1, "rows with include_errors")
    equal(set(rows[0]), {"timestamp", "input", "error", "error_code"}, "keys of an error row")
    equal((rows[0]["error_code"], rows[0]["input"]), ("dead_page", {"url": SITE.dead(1)}), "the error row")


def wait(snapshot):
    SERVER.wait(snapshot)
    return snapshot


def refusals_are_json_and_exact():
    def post(body, headers=None, token=True, **query):
        answer = SERVER.call("POST", "/datasets/v3/trigger", {"dataset_id": PAGE, **query}, body, headers, token)
        expect("application/json" in (answer.header("Content-Type") or ""), f"an error typed {answer.header('Content-Type')}")
        expect("error" in answer.json(), f"an error without `error`: {answer}")
        return answer

    answer = post([])
    equal((answer.status, answer.json()["error"]), (400, "No data to trigger"), "[]")
    answer = post([{"url": SITE.good(1)}, {}])
    told = answer.json()
    equal((answer.status, told["code"], told["index"]), (400, "validation_error", 2), "a row without url")
    equal(told["errors"], [["url", "Required field"]], "what is wrong with the row")
    equal(told["line"], "{}", "the row itself")
    equal(post([{"url": "no url"}]).json()["errors"], [["url", "This field must be a valid url"]], "not a URL")
    for junk in ("{nonsense", "", '[{"url":"http://a.example/"},'):
        answer = post(junk, {"Content-Type": "application/json"})
        equal((answer.status, answer.json()["code"]), (400, "parse_error"), f"the body {junk!r}")
    answer = post([{"url": SITE.good(1)}], type="zzz")
    equal(answer.status, 400, "type=zzz")
    expect("discover_new" in answer.json()["validation_errors"][0], f"{answer}")
    equal(post([{"url": SITE.good(1)}], type="discover_new").status, 400, "discover_new without discover_by")
    equal(post([{"url": SITE.good(1)}], dataset_id="gd_nosuchdataset0000").status, 404, "an unknown dataset")
    equal(post([{"url": SITE.good(1)}], limit_per_input="0").status, 400, "limit_per_input=0")
    for path in ("/datasets/v3/progress/sd_nosuch", "/datasets/v3/snapshot/sd_nosuch", "/datasets/v3/delivery/d_nosuch"):
        answer = SERVER.get(path)
        equal(answer.status, 404, path)
        expect("error" in answer.json(), f"{path}: {answer}")
    for token, message in ((None, "Credentials are missing"), ("Bearer wrong-token-000", None), ("Basic eDp5", None)):
        answer = post([{"url": SITE.good(1)}], {"Authorization": token} if token else {}, token=False)
        equal((answer.status, answer.json()["error"]), (401, "Unauthorized"), f"Authorization: {token}")
        if message:
            equal(answer.json().get("message"), message, "the reason of a 401")
    for path in ("/healthz", "/readyz", "/openapi.json"):
        equal(SERVER.call("GET", path, token=False).status, 200, f"{path} without a token")


def strange_parameters_are_tolerated():
    snapshot = SERVER.trigger([{"url": SITE.good(1)}], dataset_id=PAGE, sdk_function="x", notify="false",
                              uncompressed_webhook="true", format="json", discover_only="false", include_errors="true")
    SERVER.wait(snapshot)
    equal(len(SERVER.download(snapshot, format="raw").json()), 1, "format=raw of a download")
    answer = SERVER.call("POST", f"/datasets/v3/snapshot/{snapshot}/cancel", headers={"Content-Type": "application/json"})
    equal((answer.status, answer.json()["error"]), (400, "Snapshot is not running"), "cancel of a finished one")


def cancel_ends_a_slow_job():
    snapshot = SERVER.trigger([{"url": SITE.slow(n)} for n in range(3, 9)], dataset_id=PAGE)
    answer = SERVER.call("POST", f"/datasets/v3/snapshot/{snapshot}/cancel")
    equal((answer.status, answer.text()), (200, "OK"), "cancel")
    answer = SERVER.call("POST", f"/datasets/v3/snapshot/{snapshot}/cancel")
    equal((answer.status, answer.json()["error"]), (400, "Snapshot is not running"), "cancel again")
    progress = SERVER.wait(snapshot, state="canceled")
    equal(progress.get("error_codes"), {"aborted_page": 6}, "what was not collected")
    answer = SERVER.get(f"/datasets/v3/snapshot/{snapshot}")
    equal(answer.status, 400, f"download of a canceled snapshot → {answer}")


def the_same_key_is_the_same_job():
    def post(body):
        return SERVER.call("POST", "/datasets/v3/trigger", {"dataset_id": PAGE}, body, {"Idempotency-Key": "once"})

    first, again = post([{"url": SITE.good(1)}]), post([{"url": SITE.good(1)}])
    equal(again.json(), first.json(), "the same key and body")
    equal(post([{"url": SITE.good(2)}]).status, 409, "the same key with another body")
    SERVER.wait(first.json()["snapshot_id"])


def snapshots_are_listed_and_run_again():
    snapshot = wait(SERVER.trigger([{"url": SITE.good(n)} for n in (1, 2)], dataset_id=PAGE))
    listed = SERVER.get("/datasets/v3/snapshots", dataset_id=PAGE, limit=1, with_total="true")
    equal([row["id"] for row in listed.json()], [snapshot], "the newest snapshot")
    equal(listed.json()[0]["dataset_size"], 2, "dataset_size")
    expect(int(listed.header("X-Total-Count")) > 1, f"X-Total-Count is {listed.header('X-Total-Count')}")
    equal(SERVER.get(f"/datasets/v3/log/{snapshot}").json()["Dataset_size"], 2, "log")
    again = SERVER.call("POST", f"/datasets/v3/snapshot/{snapshot}/rerun").json()["snapshot_id"]
    expect(again != snapshot, "rerun gave the same snapshot")
    equal(len(SERVER.rows(wait(again))), 2, "rows of the second run")
    ids = [row["id"] for row in SERVER.get("/datasets/list").json()]
    expect("gd_m6gjtfmeh43we6cqc" in ids, f"the crawl dataset is not listed: {ids}")
    equal(SERVER.get("/datasets/v3/scrapers", colour="red").status, 400, "an unknown filter of the catalogue")
    equal(SERVER.get("/datasets/v3/scrapers", dataset_id="gd_nosuch").json(), [], "an unknown id in the catalogue")
    fields = SERVER.get("/datasets/gd_m6gjtfmeh43we6cqc/metadata").json()["fields"]
    expect({"url", "markdown", "page_html"} <= set(fields), f"metadata: {sorted(fields)}")


def fields_can_be_chosen():
    snapshot = wait(SERVER.trigger([{"url": SITE.good(1)}], dataset_id=PAGE, custom_output_fields="url|markdown"))
    equal([set(row) for row in SERVER.rows(snapshot)], [{"url", "markdown"}], "custom_output_fields")
    answer = SERVER.call("POST", "/datasets/v3/trigger", {"dataset_id": PAGE, "custom_output_fields": "nosuch"}, [{"url": SITE.good(1)}])
    equal(answer.status, 400, f"an unknown field → {answer}")


if __name__ == "__main__":
    # The synchronous wait is shortened, so that a slow page shows the 202 without a minute's wait.
    with Site() as SITE, Server({"api": {"sync_wait_secs": 3}}) as SERVER:
        failed = run(
            trigger_answers_200_with_an_id, progress_counts, downloads_agree_in_every_format, parts_make_the_whole,
            not_ready_is_a_202, scrape_waits_for_the_rows, dead_pages_are_error_rows, refusals_are_json_and_exact,
            strange_parameters_are_tolerated, cancel_ends_a_slow_job, the_same_key_is_the_same_job,
            snapshots_are_listed_and_run_again, fields_can_be_chosen,
        )
    raise SystemExit(failed)
