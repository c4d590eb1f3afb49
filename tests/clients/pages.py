"""The saved pages of the public set, served under their original addresses by the replay server (a proxy with its own
certificate authority) with faults switched on, collected through the API. What was asked is judged by the replay
server's log, what came by its scorer.

TRAWL_PAGES names the set, TRAWL_SCORE the folder of replay_server.py and score_crawl.py.
"""
import collections
import gzip
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import urllib.parse

from harness import (Program, Server, call, csv_rows, equal, expect, folder, merged, ndjson_rows, run, short)

SET = pathlib.Path(os.environ.get("TRAWL_PAGES", "../shared/data/public")).resolve()
SCORE = pathlib.Path(os.environ.get("TRAWL_SCORE", "../shared/tools/score")).resolve()
HOST_CONCURRENCY = 2
FAULTS = {"503": 0.1, "429": 0.05, "reset": 0.05, "truncate": 0.05}
SUITE = "products"
KEYWORD = "recipe"
MANIFEST = [json.loads(line) for line in (SET / "manifest.jsonl").open(encoding="utf-8")]


class Replay:
    """The replay server, with these faults."""

    def __init__(self, home, faults):
        self.log, self.tls = home / "requests.jsonl", home / "tls"
        words = [sys.executable, str(SCORE / "replay_server.py"), "--data", str(SET), "--port", "0", "--log", str(self.log),
                 "--tls", str(self.tls)]
        for kind, share in faults.items():
            words += [f"--fault-{kind}", str(share)]
        self.program = Program(words, name="replay_server.py")

    def __enter__(self):
        self.base = self.program.announced(r" on (http://\S+)")
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Ends it, so that its log is complete."""
        if self.program.process.poll() is None:
            self.program.process.send_signal(signal.SIGTERM)
            self.program.process.wait(20)

    def settings(self, more=None):
        # The saved pages have no robots.txt beside them.
        return merged({"fetch": {"robots": "ignore", "proxy": [self.base], "extra_ca": str(self.tls / "ca.pem"),
                                 "host_concurrency": HOST_CONCURRENCY}}, more)

    def manifest(self):
        return [json.loads(line) for line in call("GET", self.base + "/__manifest").text().splitlines()]


def key(url):
    """A URL without what the catalogue changes: its scheme, and the fragment, which is never sent."""
    parts = urllib.parse.urlsplit(url)
    return (parts.hostname, urllib.parse.unquote(parts.path or "/"), urllib.parse.unquote(parts.query))


def every_page_in_every_format():
    urls = sorted({page["url"] for page in MANIFEST})
    with folder() as home, Replay(home, FAULTS) as replay, Server(replay.settings()) as server:
        snapshot = server.trigger([{"url": url} for url in urls], dataset_id="web_page", include_errors="true")
        progress = server.wait(snapshot, secs=420)
        print(f"        {progress}")
        replay.stop()
        texts = {form: server.download(snapshot, format=form).body for form in ("json", "ndjson", "jsonl", "csv")}
        for form, text in texts.items():
            packed = server.download(snapshot, format=form, compress="true").body
            equal(len(gzip.decompress(packed)), len(text), f"bytes of the gzip file of {form}")
        rows = json.loads(texts["json"])
        counts = {"json": len(rows), "ndjson": len(ndjson_rows(texts["ndjson"].decode("utf-8"))),
                  "jsonl": len(ndjson_rows(texts["jsonl"].decode("utf-8"))),
                  "csv": len(csv_rows(texts["csv"].decode("utf-8")))}
        equal(set(counts.values()), {len(urls)}, f"rows of {len(urls)} inputs by format: {counts}")
        equal(progress["records"] + progress["errors"], len(urls), "rows that progress counts")
        twice = [url for url, n in collections.Counter(row["input"]["url"] for row in rows).items() if n > 1]
        equal(twice, [], "inputs with more than one row")
        (home / "records.ndjson").write_bytes(texts["ndjson"])
        told = score(replay, "--records", str(home / "records.ndjson"))
    errors = [(row["input"]["url"], row["error_code"], row["error"]) for row in rows if row.get("error_code")]
    equal(told["pages"], len(urls), "pages that were scored")
    # The replay server knows a page whose address ends with an empty query only without its `?`, which is another
    # address: asked for as it was saved, it says 404, and the row must say so.
    never = sorted(url for url in urls if url.endswith("?"))
    equal(sorted((url, code) for url, code, _ in errors), [(url, "dead_page") for url in never], "error rows")
    all_of_it = round((len(urls) - len(never)) / len(urls), 4)
    for name, wanted in (("fetched", all_of_it), ("recovered", 1.0), ("waste", 0.0), ("retry_after_kept", 1.0)):
        equal(told[name], wanted, f"{name} ({told}; error rows: {short(errors)})")
    expect(told["max_at_once_per_host"] <= HOST_CONCURRENCY, f"a host was asked {told['max_at_once_per_host']} at once")
    expect(told["met_fault"] > 100, f"the faults were not met: {told}")
    equal(told["records"]["one_record"], all_of_it, f"share of pages with exactly one record ({told}; error rows: {short(errors)})")
    bad = [row["input"]["url"] for row in rows if row["input"]["url"] not in never and not is_valid(row)]
    equal(bad, [], "rows that lack what every row of web_page has")


def score(replay, *more):
    words = [sys.executable, str(SCORE / "score_crawl.py"), str(replay.log), "--data", str(SET), *more]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    expect(done.returncode == 0, f"score_crawl.py: {done.stdout}{done.stderr}")
    told = json.loads(done.stdout)
    print("        " + json.dumps(told))
    return told


def is_valid(row):
    """Every field is there, and those that every page has are not empty."""
    wanted = {"url", "page_title", "markdown", "html2text", "page_html", "ld_json", "timestamp", "input"}
    return (wanted <= set(row) and row["page_html"] and row["url"] and row["input"].get("url")
            and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", row["timestamp"]))


def discovery_by_category_finds_the_known_pages():
    with folder() as home, Replay(home, {"503": 0.1}) as replay, Server(replay.settings()) as server:
        wanted = sorted(key(page["http_url"]) for page in replay.manifest() if page["suite"] == SUITE)
        expect(len(wanted) > 20, "one page of the catalogue would prove nothing about the next")
        snapshot = discover(server, "category_url", {"url": f"http://catalog.invalid/{SUITE}/"})
        server.wait(snapshot, secs=180)
        rows = server.rows(snapshot)
        equal(sorted(key(row["input"]["url"]) for row in rows), wanted, "pages found by category")
        equal({row["discovery_input"]["url"] for row in rows}, {f"http://catalog.invalid/{SUITE}/"}, "discovery_input")
        equal([row["error"] for row in rows if row.get("error_code")], [], "error rows")


def discover(server, by, *inputs, **query):
    return server.trigger(list(inputs), dataset_id="catalog", type="discover_new", discover_by=by, include_errors="true", **query)


def overlapping_categories_give_no_duplicates():
    """The same category twice and its groups: still each page once within the job."""
    with folder() as home, Replay(home, {}) as replay, Server(replay.settings()) as server:
        wanted = sorted(key(page["http_url"]) for page in replay.manifest() if page["suite"] == SUITE)
        twice = [{"url": f"http://catalog.invalid/{SUITE}/"}, {"url": f"http://catalog.invalid/{SUITE}/?page=2"}]
        snapshot = discover(server, "category_url", *twice)
        server.wait(snapshot, secs=180)
        equal(sorted(key(row["input"]["url"]) for row in server.rows(snapshot)), wanted, "pages of overlapping categories")


def discovery_keeps_limits():
    with folder() as home, Replay(home, {}) as replay, Server(replay.settings()) as server:
        snapshot = discover(server, "category_url", {"url": "http://catalog.invalid/recipes/"},
                            {"url": "http://catalog.invalid/news/"}, limit_per_input=7)
        server.wait(snapshot, secs=180)
        per = collections.Counter(row["discovery_input"]["url"] for row in server.rows(snapshot))
        equal(sorted(per.values()), [7, 7], f"rows under limit_per_input=7: {per}")
        snapshot = discover(server, "category_url", {"url": "http://catalog.invalid/recipes/"}, limit_multiple_results=23)
        server.wait(snapshot, secs=180)
        equal(len(server.rows(snapshot)), 23, "rows under limit_multiple_results=23")


def discovery_by_keyword_finds_the_known_pages():
    with folder() as home, Replay(home, {}) as replay, Server(replay.settings()) as server:
        wanted = sorted(map(key, search(replay, KEYWORD)))
        expect(len(wanted) > 20, f"`{KEYWORD}` is answered on one page: that would prove nothing about the next")
        snapshot = discover(server, "keyword", {"keyword": KEYWORD})
        server.wait(snapshot, secs=120)
        equal(sorted(key(row["input"]["url"]) for row in server.rows(snapshot)), wanted, "pages found by keyword")


def search(replay, words):
    """The known answer, read off the search pages by their own rule: every page of the result, every item."""
    found, page = [], 1
    while True:
        text = call("GET", f"{replay.base}/@/catalog.invalid/search?q={urllib.parse.quote(words)}&page={page}").text()
        found += [url.replace("&amp;", "&") for url in re.findall(r'<a class="link" href="([^"]+)"', text)]
        if 'rel="next"' not in text:
            return found
        page += 1


def discovery_that_finds_nothing_fails():
    with folder() as home, Replay(home, {}) as replay, Server(replay.settings()) as server:
        snapshot = discover(server, "keyword", {"keyword": "nothing answers to this"})
        progress = server.wait(snapshot, secs=60, state="failed")
        equal(progress.get("error_message"), "No data found in discovery", "the reason")
        answer = server.get(f"/datasets/v3/snapshot/{snapshot}")
        equal(answer.status, 400, f"download of a failed snapshot → {answer}")


if __name__ == "__main__":
    sys.exit(run(
        every_page_in_every_format, discovery_by_category_finds_the_known_pages, overlapping_categories_give_no_duplicates,
        discovery_keeps_limits, discovery_by_keyword_finds_the_known_pages, discovery_that_finds_nothing_fails,
    ))
