"""Pages kept: an archive is read whole by `warcio`, replayed without a request to any site (by the server and by `trawl run`,
its own files and others'), explained from, and agrees with the rows over SIGKILL. Needs warcio (requirements.txt)."""
import gzip
import io
import json
import os
import random
import subprocess
import sys
import time

from harness import Receiver, Server, Site, binary, equal, expect, folder, run, wait_for
from warcio.archiveiterator import ArchiveIterator
from warcio.recordloader import ArcWarcRecordLoader
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

SEED = int(os.environ.get("TRAWL_SEED", random.SystemRandom().randrange(1 << 32)))
SECRET = "a-secret-of-the-test"
GOODS = """dataset_id = "gd_goods"
title = "Goods"

[fetch]
archive = true
headers = {{ x-api-key = "{secret}", cookie = "sid={secret}" }}

[doors.collect_by_url]
start = "goods"
inputs.url = {{ type = "url", required = true }}

[pages.goods]
record = true

[fields.title]
required = true
from = [{{ css = "h1.product-title" }}]

[fields.price]
type = "number"
from = [{{ css = ".no-such-class" }}, {{ css = "{price}" }}]
"""


def goods(home, price=".amount"):
    place = home / "scrapers" / "goods"
    place.mkdir(parents=True, exist_ok=True)
    (place / "scraper.toml").write_text(GOODS.format(secret=SECRET, price=price), encoding="utf-8")
    return home / "scrapers"


def warcio(*words):
    done = subprocess.run([sys.executable, "-m", "warcio.cli", *map(str, words)], capture_output=True, text=True, timeout=60, check=False)
    equal(done.returncode, 0, f"warcio {' '.join(map(str, words))}: {done.stdout}{done.stderr}")
    return done.stdout


def trawl(*words, code=0):
    done = subprocess.run([binary("TRAWL_BIN", "trawl"), *map(str, words)], capture_output=True, text=True, timeout=90, check=False)
    equal(done.returncode, code, f"exit code of trawl {' '.join(map(str, words))}\n{done.stdout[-800:]}{done.stderr[-800:]}")
    return done


def rows_of(text):
    return [json.loads(line) for line in text.splitlines()]


def ordered(rows):
    return sorted(json.dumps(row, sort_keys=True) for row in rows)


def records(data):
    """Every record with its digests checked: type, headers, HTTP head, payload as received, decoded payload."""
    out = []
    for record in ArchiveIterator(io.BytesIO(data), check_digests="raise"):
        head = record.http_headers
        raw = record.raw_stream.read()
        out.append((record.rec_type, record.rec_headers, head, raw))
    return out


def requests(site):
    """Requests that the site has had, without those that ask."""
    return sum(n for path, n in json.loads(site.get("/stats").text())["by_prefix"].items() if "stats" not in path)


def archive_of(server, snapshot):
    answer = server.get(f"/datasets/v3/snapshot/{snapshot}/archive")
    equal(answer.status, 200, f"the archive: {answer}")
    return answer.body


def inputs(site):
    urls = [site.product(n) for n in range(1, 21)] + [site.product(3), site.product(3), site.url("/bad/redirect-chain/2")]
    urls += [site.dead(1), site.url("/bad/flaky/1/7"), site.url("/enc/gzip/5"), site.url("/bad/slow/10/9")]
    return [{"url": url} for url in urls]


def an_archive_is_read_whole():
    with folder() as home, Site("--on-demand", "--gzip") as site, Server(data=home, scrapers=goods(home)) as server:
        snapshot = server.trigger(inputs(site), dataset_id="gd_goods", include_errors="true")
        server.wait(snapshot)
        data = archive_of(server, snapshot)
        path = home / "kept.warc.gz"
        path.write_bytes(data)
        warcio("check", path)
        warcio("check", "-v", path)
        index = [json.loads(line) for line in warcio("index", "-f", "offset,warc-type,warc-target-uri", path).splitlines()]
        every = records(data)
        equal(len(index), len(every), "records of `warcio index`")
        equal(every[0][0], "warcinfo", "what the file begins with")
        for kind, headers, _, _ in every:
            equal(headers.protocol, "WARC/1.1", "the version of a record")
            expect(headers.get_header("WARC-Block-Digest"), f"a {kind} record without digest")
            expect(kind == "warcinfo" or headers.get_header("WARC-IP-Address") == "127.0.0.1", f"who answered, in a {kind}")
        ids = {h.get_header("WARC-Record-ID") for _, h, _, _ in every}
        equal(len(ids), len(every), "each record has an id of its own")
        answers = [(h, head, raw) for kind, h, head, raw in every if kind in ("response", "revisit")]
        asked = {h.get_header("WARC-Concurrent-To") for kind, h, _, _ in every if kind == "request"}
        equal(asked, {h.get_header("WARC-Record-ID") for h, _, _ in answers}, "each answer has its request")
        by_url = {}
        for headers, head, raw in answers:
            by_url.setdefault(headers.get_header("WARC-Target-URI"), []).append((headers, head, raw))
        for number in (2, 1, 0):
            (hop,) = by_url[site.url(f"/bad/redirect-chain/{number}")]
            equal(hop[1].get_statuscode(), "302", "a redirect on the way")
        equal(by_url[site.dead(1)][0][1].get_statuscode(), "404", "a page that is not there")
        equal([a[1].get_statuscode() for a in by_url[site.url("/bad/flaky/1/7")]], ["503", "200"], "each attempt")
        revisits = [h for kind, h, _, _ in every if kind == "revisit"]
        expect(len(revisits) >= 2, "the same page is kept once")
        for headers in revisits:
            equal(headers.get_header("WARC-Profile"), "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest", "the profile")
            expect(headers.get_header("WARC-Refers-To") in ids, "what a revisit refers to is in the file")
        truth = site.get("/p/4").text()
        headers, head, raw = by_url[site.product(4)][0]
        equal(head.get_header("content-encoding"), "gzip", "the encoding is kept")
        equal(gzip.decompress(raw).decode(), truth, "the page")
        plain = gzip.decompress(data)
        expect(b"\r\nContent-Encoding: gzip\r\n" in plain, "header lines are kept as they came")
        expect(SECRET.encode() not in plain, "a secret is in the archive")
        expect(b"x-api-key: [left out]" in plain, "the header line is there without its value")


def what_did_not_come_is_kept_as_far_as_it_came():
    """Pages that end in an error: the archive tells what was asked and what came, and a replay gives the same error rows."""
    short_of = {"fetch": {"idle_timeout_ms": 700, "page_timeout_ms": 1500, "page_bytes_max": 100_000, "connect_timeout_ms": 300},
                "cache": {"bytes_max": 0}}
    with folder() as home, Server(short_of, data=home / "data", scrapers=goods(home)) as server:
        with Site("--on-demand") as site:
            cut = {"/bad/stall-body": "time", "/bad/short": "disconnect", "/bad/huge-page/1": "length", "/bad/broken-chunk": "disconnect"}
            whole = ["/bad/broken-gzip", "/bad/forbidden", "/status/404?n=1", "/p/1"]
            never = ["/bad/stall", "/bad/reset", "/bad/drop"]
            unasked = ["http://127.0.0.1:9/nobody", "http://10.0.0.1/off-limits"]
            urls = [site.url(path) for path in [*cut, *whole, *never]] + unasked
            snapshot = server.trigger([{"url": url} for url in urls], dataset_id="gd_goods", include_errors="true")
            server.wait(snapshot, secs=120)
            rows = server.rows(snapshot)
            path = home / "kept.warc.gz"
            path.write_bytes(archive_of(server, snapshot))
            warcio("check", "-v", path)
            seen = {}
            for kind, headers, _, raw in records(path.read_bytes()):
                seen.setdefault(headers.get_header("WARC-Target-URI"), []).append((kind, headers.get_header("WARC-Truncated"), len(raw)))
            for at, why in cut.items():
                answers = [(truncated, size) for kind, truncated, size in seen[site.url(at)] if kind == "response"]
                equal({truncated for truncated, _ in answers}, {why}, f"why {at} is cut")
                expect(at == "/bad/huge-page/1" or all(size > 0 for _, size in answers), f"what came of {at} is kept: {answers}")
            for at in whole:
                equal({truncated for _, truncated, _ in seen[site.url(at)]}, {None}, f"{at} came whole")
            for at in never:
                equal({kind for kind, *_ in seen[site.url(at)]}, {"request"}, f"what is kept of {at}")
            equal([url for url in unasked if url in seen], [], "nothing was sent to these")
            before = requests(site)
            again = replayed(server, snapshot)
            equal(ordered(server.rows(again)), ordered(rows), "rows of a replay, errors and moments included")
            equal(requests(site), before, "requests that the site has had")
        twice = replayed(server, again)
        equal(ordered(server.rows(twice)), ordered(rows), "rows of a replay of a replay")
        codes = {row["input"]["url"].split("/", 3)[3]: row.get("error_code") for row in rows}
        equal((codes["bad/stall"], codes["bad/huge-page/1"], codes["p/1"]), ("timeout", "crawl_error", None), f"codes {codes}")
        shown = rows_of(trawl("run", "goods", "--scrapers", home / "scrapers", "--replay", path, *[site.url(at) for at in cut]).stdout)
        equal({row.get("error_code") for row in shown}, {"not_archived"}, "a part of a page is no page")


def what_is_not_kept_is_said():
    with Site() as site, Server() as server:
        plain = server.trigger([{"url": site.product(1)}], dataset_id="posts")
        server.wait(plain)
        answer = server.get(f"/datasets/v3/snapshot/{plain}/archive")
        equal(answer.status, 404, "an archive that is not there")
        expect("not kept" in answer.text(), answer.text())
        answer = server.call("POST", f"/datasets/v3/snapshot/{plain}/rerun", {"from": "archive"})
        equal(answer.status, 400, "a replay of what was not kept")
        equal(server.get("/datasets/v3/snapshot/s_none/archive").status, 404, "of no snapshot")
        equal(server.call("GET", f"/datasets/v3/snapshot/{plain}/archive", token=False).status, 401, "without a token")
        slow = server.trigger([{"url": site.slow(1)}], dataset_id="posts", archive="true")
        equal(server.get(f"/datasets/v3/snapshot/{slow}/archive").status, 202, "of a running job")
        answer = server.call("POST", "/datasets/v3/trigger", {"dataset_id": "posts", "download_fields": "warc"}, [{"url": site.product(1)}])
        equal(answer.status, 400, "download_fields without a delivery")
        kept = server.trigger([{"url": site.product(1)}], dataset_id="posts", archive="true")
        server.wait(kept)
        expect(archive_of(server, kept), "kept by the trigger's word")


def replay_gives_the_same_rows():
    with folder() as home, Server() as server:
        with Site("--pages", "400", "--on-demand") as site:
            found = {"type": "discover_new", "discover_by": "profile_url", "dataset_id": "posts", "archive": "true"}
            jobs = {
                "found": server.trigger([{"url": site.listing(c)} for c in range(3)], **found),
                "limited": server.trigger([{"url": site.listing(c)} for c in range(3)], limit_per_input=7, **found),
                "given": server.trigger(inputs(site), dataset_id="posts", archive="true"),
            }
            rows = {}
            for name, snapshot in jobs.items():
                server.wait(snapshot)
                rows[name] = server.rows(snapshot)
                (home / f"{name}.warc.gz").write_bytes(archive_of(server, snapshot))
            expect(len(rows["found"]) > 20 and len(rows["limited"]) == 21, f"rows: {[len(r) for r in rows.values()]}")
            before = requests(site)
            again = replayed(server, jobs["given"])
            equal(ordered(server.rows(again)), ordered(rows["given"]), "rows of a replay")
            equal(requests(site), before, "requests that the site has had")
            given, listings, strange = inputs(site), [site.listing(c) for c in range(3)], site.product(77)
        # The site is gone.
        for name, snapshot in jobs.items():
            again = replayed(server, snapshot)
            equal(ordered(server.rows(again)), ordered(rows[name]), f"rows of a replay ({name})")
            twice = replayed(server, again)
            equal(ordered(server.rows(twice)), ordered(rows[name]), f"rows of a replay of a replay ({name})")
            answer = server.get(f"/datasets/v3/snapshot/{again}/archive")
            expect(answer.status == 404 and snapshot in answer.text(), f"a replay has no pages of its own: {answer}")
        urls = [i["url"] for i in given]
        shown = trawl("run", "posts", "--scrapers", HERE_SCRAPERS, "--no-errors", "--replay", home / "given.warc.gz", *urls)
        # A file does not tell which of several askers got which of the same pages.
        moment = lambda rows: [{**row, "timestamp": ""} if row["input"]["url"].endswith("/p/3") else row for row in rows]
        equal(ordered(moment(rows_of(shown.stdout))), ordered(moment(rows["given"])), "rows of `trawl run --replay`")
        shown = trawl("run", "posts", "--scrapers", HERE_SCRAPERS, "--no-errors", "--replay", home / "found.warc.gz",
                      "--discover-by", "profile_url", *listings)
        equal(ordered(rows_of(shown.stdout)), ordered(rows["found"]), "rows of `trawl run --replay --discover-by`")
        shown = trawl("run", "posts", "--scrapers", HERE_SCRAPERS, "--no-errors", "--replay", home / "given.warc.gz")
        wanted = {row["input"]["url"]: row["id"] for row in rows["given"]}
        equal({row["input"]["url"]: row["id"] for row in rows_of(shown.stdout)}, wanted, "every page of the file")
        shown = trawl("run", "posts", "--scrapers", HERE_SCRAPERS, "--replay", home / "given.warc.gz", strange)
        (row,) = rows_of(shown.stdout)
        equal(row["error_code"], "not_archived", "a page that is not there")


def replayed(server, snapshot):
    answer = server.call("POST", f"/datasets/v3/snapshot/{snapshot}/rerun", {"from": "archive"})
    equal(answer.status, 200, f"rerun from the archive: {answer}")
    again = answer.json()["snapshot_id"]
    server.wait(again)
    return again


def files_of_others_are_read():
    page = "<p class=sku><span>{0}</span></p><h1 class=product-title>Title {0}</h1>".format
    with folder() as home:
        for name, is_gzip, version in (("plain.warc", False, "1.0"), ("packed.warc.gz", True, "1.1")):
            with open(home / name, "wb") as out:
                writer = WARCWriter(out, gzip=is_gzip, warc_version=version)
                writer.write_record(writer.create_warcinfo_record(name, {"software": "a test"}))
                for number in range(3):
                    body, lines = page(number).encode(), [("Content-Type", "text/html; charset=utf-8")]
                    if number == 1:
                        lines, body = lines + [("Content-Encoding", "gzip")], gzip.compress(body)
                    if number == 2:
                        lines.append(("Transfer-Encoding", "chunked"))
                        body = b"".join(b"%x\r\n%s\r\n" % (len(body[i:i + 9]), body[i:i + 9]) for i in range(0, len(body), 9)) + b"0\r\n\r\n"
                    head = StatusAndHeaders("200 OK", lines, protocol="HTTP/1.1")
                    url = f"http://shop.example/p/{number}"
                    record = writer.create_warc_record(url, "response", payload=io.BytesIO(body), http_headers=head)
                    asked = writer.create_warc_record(url, "request", http_headers=StatusAndHeaders(f"GET /p/{number} HTTP/1.1", []))
                    writer.write_request_response_pair(asked, record)
                moved = StatusAndHeaders("301 Moved", [("Location", "/p/0")], protocol="HTTP/1.1")
                writer.write_record(writer.create_warc_record("http://shop.example/old", "response", payload=io.BytesIO(b""), http_headers=moved))
                picture = StatusAndHeaders("200 OK", [("Content-Type", "image/png")], protocol="HTTP/1.1")
                writer.write_record(writer.create_warc_record("http://shop.example/x.png", "response", payload=io.BytesIO(b"x"), http_headers=picture))
        # One member of many records, and a file that ends within one.
        (home / "single.warc.gz").write_bytes(gzip.compress((home / "plain.warc").read_bytes()))
        cut = (home / "plain.warc").read_bytes()
        (home / "cut.warc").write_bytes(cut[:cut.index(b"x.png") + 20])
        (home / "no.warc").write_bytes(b"<html>not an archive</html>")
        for name in ("plain.warc", "packed.warc.gz", "single.warc.gz", "cut.warc"):
            shown = trawl("run", "posts", "--scrapers", HERE_SCRAPERS, "--replay", home / name)
            rows = {row["input"]["url"]: row["title"] for row in rows_of(shown.stdout)}
            wanted = {f"http://shop.example/{at}": f"Title {n}" for at, n in (("old", 0), ("p/1", 1), ("p/2", 2))}
            equal(rows, wanted, f"rows of {name}")
        expect("no WARC record" in trawl("run", "posts", "--scrapers", HERE_SCRAPERS, "--replay", home / "no.warc", code=2).stderr,
               "what is no archive is said")


def a_fixed_scraper_reads_again():
    with folder() as home:
        scrapers = goods(home, price=".amount-of-last-year")
        with Server(data=home, scrapers=scrapers) as server:
            with Site() as site:
                snapshot = server.trigger([{"url": site.product(n)} for n in (1, 2, 3, 3)], dataset_id="gd_goods")
                version = server.wait(snapshot)["scraper_version"]
                old = server.rows(snapshot)
                truth = {site.product(n): json.loads(site.get(f"/json/{n}").text())["price"] for n in (1, 2, 3)}
                data = archive_of(server, snapshot)
            equal([row["price"] for row in old], [None] * 4, "prices that the broken file finds")
            goods(home)
            again = wait_for("the new version", lambda: fixed(server, snapshot, version))
            new = server.rows(again)
            equal({row["input"]["url"]: float(row["price"]) for row in new}, {u: float(p) for u, p in truth.items()}, "prices of the fixed file")
            for name, rows in (("before", old), ("after", new)):
                (home / name).write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
            told = rows_of(trawl("diff", home / "before", home / "after", "--json").stdout)
            equal(told[-1], {"added": 0, "changed": 4, "unchanged": 0, "removed": 0}, "the counts")
            equal([[f["path"] for f in one["fields"]] for one in told[:-1]], [["price"]] * 4, "what differs")
            text = trawl("diff", home / "before", home / "after").stdout
            expect("price: null → " in text, text)
            for number, row in enumerate(new):
                explained(server, again, number, row, data)
            (field,) = server.get(f"/datasets/v3/snapshot/{snapshot}/explain", record=0, field="price").json()["fields"]
            equal([t["outcome"] for t in field["tried"]], ["found_nothing"] * 2, "why the old version found nothing")


def fixed(server, snapshot, version):
    """A replay by another version than that, if the server has seen it yet."""
    again = replayed(server, snapshot)
    return again if server.progress(again)["scraper_version"] != version else None


def explained(server, snapshot, number, row, data):
    told = server.get(f"/datasets/v3/snapshot/{snapshot}/explain", record=number, field="price").json()
    expect(told["page"]["kept"], f"the page is kept: {told['page']}")
    (field,) = told["fields"]
    equal([t["outcome"] for t in field["tried"]], ["found_nothing", "gave"], "what was tried")
    equal(field["value"], row["price"], "the value")
    place = field["tried"][-1]["places"][0]
    expect(place["path"].startswith("/html/"), f"the node: {place}")
    warc = told["page"]["body"] or told["page"]["warc"]
    start = warc["offset_in_download"]
    member = gzip.decompress(data[start:start + warc["length"]])
    record = ArcWarcRecordLoader().parse_record_stream(io.BytesIO(member), known_format="warc")
    expect(record.rec_headers.get_header("WARC-Target-URI") in (row["input"]["url"], told["page"]["url"]), "the record's page")
    page = record.content_stream().read()
    begin, end = place["bytes"]
    text = page[begin:end].decode()
    expect(text.startswith("<span class=\"amount\">") and format(row["price"], "g") in text, f"bytes {begin} to {end} are {text!r}")


def pages_are_delivered_with_the_rows():
    with Receiver() as receiver, Site() as site, Server() as server:
        endpoint = receiver.url("/hook")
        snapshot = server.trigger([{"url": site.product(n)} for n in range(3)], dataset_id="posts", endpoint=endpoint,
                                  download_fields="html,warc", format="ndjson")
        posts = wait_for("three posts", lambda: len(receiver.posts) >= 3 and list(receiver.posts))
        kinds = [post.headers.get("X-Artifact") for post in posts]
        equal(kinds, [None, "html", "warc"], "what came, in order")
        equal(posts[2].raw, archive_of(server, snapshot), "the archive")
        pages = [json.loads(line) for line in posts[1].body().decode().splitlines()]
        equal({page["url"] for page in pages}, {site.product(n) for n in range(3)}, "the pages")
        equal({page["url"]: page["html"] for page in pages}[site.product(1)], site.get("/p/1").text(), "the text of a page")


def archive_and_rows_agree_over_kills():
    dice = random.Random(SEED)
    print(f"        seed {SEED}")
    settings = {"log": "warn", "fetch": {"host_concurrency": 4, "host_delay_ms": 2}, "worker": {"lease_secs": 2}}
    with folder() as home, Site("--pages", "600") as site:
        scrapers = goods(home)
        snapshot = None
        for _ in range(8):
            server = Server(settings, data=home / "data", scrapers=scrapers).launch()
            try:
                wait_for("the server", server.has_listened, pause=0.005)
                if snapshot is None:
                    snapshot = server.trigger([{"url": site.product(n)} for n in range(600)], dataset_id="gd_goods")
                end = time.monotonic() + dice.uniform(0.05, 0.4)
                wait_for("its moment", lambda: time.monotonic() > end, pause=0.005)
            finally:
                server.program.kill()
        with Server(settings, data=home / "data", scrapers=scrapers) as server:
            expect(server.progress(snapshot)["status"] == "running", "the job ended before the last kill")
            server.wait(snapshot, secs=90)
            rows, data = server.rows(snapshot), archive_of(server, snapshot)
            equal(sorted(row["input"]["url"] for row in rows), sorted(site.product(n) for n in range(600)), "a row for each input")
            kept = {}
            for kind, headers, _, _ in records(data):
                if kind in ("response", "revisit"):
                    kept.setdefault(headers.get_header("WARC-Target-URI"), []).append(headers.get_header("WARC-Date"))
            equal({row["input"]["url"]: [row["timestamp"]] for row in rows}, kept, "each row's page is kept, once, and nothing else")
            for number in dice.sample(range(600), 10):
                told = server.get(f"/datasets/v3/snapshot/{snapshot}/explain", record=number, field="title").json()
                equal((told["page"]["kept"], told["page"]["url"]), (True, rows[number]["input"]["url"]), "the page of a row")
                equal(told["fields"][0]["value"], rows[number]["title"], "its value")
            site.program.kill()
            equal(ordered(server.rows(replayed(server, snapshot))), ordered(rows), "rows of a replay")


HERE_SCRAPERS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "scrapers")

if __name__ == "__main__":
    sys.exit(run(
        an_archive_is_read_whole, what_did_not_come_is_kept_as_far_as_it_came, what_is_not_kept_is_said, replay_gives_the_same_rows, files_of_others_are_read,
        a_fixed_scraper_reads_again, pages_are_delivered_with_the_rows, archive_and_rows_agree_over_kills,
    ))
