"""Rows and kept pages in S3: the real binary on moto's server, behind a proxy that fails on demand. Nothing is lost over
SIGKILL or over a bucket that fails, stalls and breaks off; what is swept is what nobody may ask for any more; a bucket that
cannot be worked with ends the start. Needs moto (bucket-requirements.txt).

TRAWL_SEED repeats the moments and the faults.
"""
import collections
import contextlib
import gzip
import http.client
import http.server
import json
import os
import pathlib
import random
import re
import socket
import sqlite3
import subprocess
import sys
import threading
import time

from harness import ROOT, Program, Server, Site, call, equal, expect, folder, run, short, wait_for

SEED = int(os.environ.get("TRAWL_SEED", random.SystemRandom().randrange(1 << 32)))
PRODUCTS = 600
KILLS = 4
BUCKET = "rows"
DAY_MS = 86_400_000
AGED = "2020-01-01T00:00:00.000Z"


@contextlib.contextmanager
def moto():
    """An S3 server with one bucket; gives its address."""
    server = Program([str(pathlib.Path(sys.executable).parent / "moto_server"), "-H", "127.0.0.1", "-p", "0"], name="moto")
    try:
        base = server.announced(r"Running on (http://\S+)")
        equal(call("PUT", f"{base}/{BUCKET}").status, 200, "making the bucket")
        yield base
    finally:
        server.kill()


class Proxy:
    """Between the server and its bucket. `faults` is a function of method and path that names what goes wrong:
    an HTTP status; "cut": closed without a word; "lost": done, but the answer never comes; "stall": a pause; or None."""

    def __init__(self, base, faults=None, delay=0.0, aged=False):
        self.to = base.removeprefix("http://")
        self.faults, self.delay, self.aged = faults or (lambda method, path: None), delay, aged
        self.asked, self.failed = collections.Counter(), collections.Counter()
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                proxy.asked[self.command] += 1
                fault = proxy.faults(self.command, self.path)
                if fault:
                    proxy.failed[fault] += 1
                if fault == "cut":
                    return self.cut()
                if fault == "stall":
                    time.sleep(0.4)
                time.sleep(proxy.delay)
                if isinstance(fault, int):
                    text = b"<Error><Code>SlowDown</Code><Message>Not now</Message></Error>"
                    return self.say(fault, {}, text)
                status, headers, text = proxy.forward(self.command, self.path, body, self.headers)
                if fault == "lost":
                    return self.cut()
                if proxy.aged and b"<ListBucketResult" in text:
                    text = re.sub(rb"<LastModified>[^<]*<", b"<LastModified>" + AGED.encode() + b"<", text)
                return self.say(status, headers, text)

            def cut(self):
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)

            def say(self, status, headers, text):
                self.send_response(status)
                for name, value in headers.items():
                    if name.lower() not in ("connection", "transfer-encoding", "content-length", "date", "server"):
                        self.send_header(name, value)
                length = headers.get("Content-Length") if self.command == "HEAD" else None
                self.send_header("Content-Length", length or str(len(text)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(text)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer

            def log_message(self, *words):
                pass

        class Quiet(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request, client_address):
                # Whoever was killed does not read to the end.
                pass

        self.server = Quiet(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.server.server_address[1]}"

    def forward(self, method, path, body, headers):
        connection = http.client.HTTPConnection(self.to, timeout=60)
        try:
            lines = {k: v for k, v in headers.items() if k.lower() not in ("connection", "content-length")}
            connection.request(method, path, body=body, headers=lines)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def variables(base):
    return {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "hunter2-of-the-bucket", "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT": base, "AWS_ALLOW_HTTP": "true"}


def served(base, home, prefix, **settings):
    settings = {"storage": f"s3://{BUCKET}/{prefix}", "log": "warn", "worker": {"lease_secs": 3}, **settings}
    return Server(settings, data=home, env=variables(base))


def keys(base, prefix):
    """Every object below a prefix."""
    found, after = [], ""
    while True:
        text = call("GET", f"{base}/{BUCKET}?list-type=2&prefix={prefix}&start-after={after}").text()
        page = re.findall(r"<Key>([^<]*)</Key>", text)
        found += page
        if "<IsTruncated>true" not in text:
            return found
        after = page[-1]


def inputs(site):
    return [{"url": site.product(n)} for n in range(PRODUCTS)] + [{"url": site.dead(n)} for n in range(20)]


def rows_are_exact(server, site, snapshot):
    rows = server.rows(snapshot)
    bad = collections.Counter(row["error_code"] for row in rows if row.get("error_code"))
    equal(dict(bad), {"dead_page": 20}, "error rows")
    got = sorted(int(row["input"]["url"].rsplit("/", 1)[1]) for row in rows if not row.get("error_code"))
    equal(got, list(range(PRODUCTS)), "products, each once")


def pages_are_kept(server, site, snapshot):
    answer = server.get(f"/datasets/v3/snapshot/{snapshot}/archive")
    equal(answer.status, 200, f"the archive: {answer}")
    plain = gzip.decompress(answer.body).decode("utf-8", "replace")
    kept = set(re.findall(r"WARC-Type: (?:response|revisit)\r\n(?:[^\r]+\r\n)*?WARC-Target-URI: (\S+)", plain))
    missing = {site.product(n) for n in range(PRODUCTS)} - kept
    equal(sorted(missing), [], f"pages that are not in the archive of {len(kept)}")


def nothing_is_lost_over_kills():
    dice = random.Random(SEED)
    print(f"        seed {SEED}, {KILLS} kills")
    paced = {"archive": {"always": True}, "fetch": {"host_concurrency": 4, "host_delay_ms": 3}}
    with moto() as base, folder() as home, Site("--pages", str(PRODUCTS)) as site:
        snapshot = None
        for _ in range(KILLS):
            server = served(base, home, "kills", **paced)
            try:
                server.start()
                if snapshot is None:
                    snapshot = server.trigger(inputs(site), dataset_id="posts", include_errors="true")
                time.sleep(dice.uniform(0.2, 0.7))
            finally:
                server.program.kill()
        with served(base, home, "kills", **paced) as server:
            expect(server.progress(snapshot)["status"] != "ready", "it was over before the last kill: make the site slower")
            server.wait(snapshot)
            rows_are_exact(server, site, snapshot)
            pages_are_kept(server, site, snapshot)
        names = keys(base, "")
        expect(names and all(name.startswith("kills/") for name in names), f"everything below the prefix: {short(names)}")
        kinds = {name.split("/")[1] for name in names}
        expect({"segments", "archive"} <= kinds and "probes" not in kinds, f"what lies there: {kinds}")
        expect(not list((home / "data").glob("bucket/**/*.*")), "nothing lies in the folder")


def a_failing_bucket_loses_nothing():
    dice = random.Random(SEED)
    guarded = threading.Lock()
    # While pages are collected nothing is given up, however rarely a request succeeds; a download, which has begun to
    # answer, asks for a piece six times.
    share = 0.0

    def faults(method, path):
        with guarded:
            return dice.choice([500, 503, "cut", "lost", "stall"]) if dice.random() < share else None

    with moto() as base, Proxy(base, faults) as proxy, folder() as home, Site("--pages", str(PRODUCTS)) as site:
        with served(proxy.base, home, "faults", archive={"always": True}, log="error") as server:
            share = 0.6
            snapshot = server.trigger(inputs(site), dataset_id="posts", include_errors="true")
            server.wait(snapshot, secs=120)
            share = 0.15
            rows_are_exact(server, site, snapshot)
            pages_are_kept(server, site, snapshot)
            share = 0.0
        print(f"        {dict(proxy.asked)}, of which {dict(proxy.failed)}")
        expect(all(proxy.failed[fault] for fault in (500, 503, "cut", "lost", "stall")), f"each fault came: {proxy.failed}")
        rows_written = [name for name in keys(base, "faults/segments/")]
        with contextlib.closing(sqlite3.connect(home / "data/trawl.sqlite")) as db:
            known = {f"faults/{key}" for (key,) in db.execute("SELECT key FROM segment WHERE key IS NOT NULL")}
        expect(known <= set(rows_written), f"registered and not there: {short(known - set(rows_written))}")


def what_nobody_may_ask_for_is_swept():
    """moto cannot make objects old, so the proxy says that all of them are."""
    with moto() as base, Proxy(base, aged=True) as old, folder() as home, Site("--pages", str(PRODUCTS)) as site:
        with served(base, home, "sweep", archive={"always": True}) as server:
            gone = server.trigger(inputs(site)[:100], dataset_id="posts")
            server.wait(gone)
            kept = server.trigger(inputs(site), dataset_id="posts", include_errors="true")
            server.wait(kept)
        with contextlib.closing(sqlite3.connect(home / "data/trawl.sqlite")) as db:
            mine = {name: {f"sweep/{key}" for (key,) in db.execute(
                "SELECT key FROM segment JOIN snapshot s ON s.k = segment.snapshot WHERE s.id = ?1 AND key IS NOT NULL "
                "UNION SELECT key FROM archive JOIN snapshot s ON s.k = archive.snapshot WHERE s.id = ?1", [name])}
                for name in (gone, kept)}
            changed = db.execute("UPDATE snapshot SET finished_at = finished_at - ? WHERE id = ?", [31 * DAY_MS, gone]).rowcount
            db.commit()
        equal(changed, 1, "one snapshot is made old")
        expect(mine[gone] and len(mine[kept]) > 5, f"objects of the two: {mine}")
        equal(sorted((mine[gone] | mine[kept]) - set(keys(base, "sweep/"))), [], "registered, and not there")
        orphans = ["sweep/segments/s_gone/1-1-1", "sweep/archive/s_gone/1-1-1", "sweep/probes/0123"]
        others = ["segments/of-others", "sweep2/segments/of-others", "sweep/segments/Not-Ours", "sweep/mine.txt"]
        for name in orphans + others:
            equal(call("PUT", f"{base}/{BUCKET}/{name}", b"x").status, 200, name)
        with served(old.base, home, "sweep") as server:
            wait_for("what is old to be swept", lambda: not (mine[gone] | set(orphans)) & set(keys(base, "")), 30)
            answer = server.get(f"/datasets/v3/snapshot/{gone}")
            expect(answer.status == 400 and "expired" in answer.text(), f"an expired snapshot's rows: {answer}")
            rows_are_exact(server, site, kept)
            pages_are_kept(server, site, kept)
        left = set(keys(base, ""))
        equal(sorted((mine[kept] | set(others)) - left), [], "swept, though it is in use or another's")


def a_bucket_that_cannot_be_worked_with_ends_the_start():
    with moto() as base, Proxy(base, lambda method, path: 403 if method == "PUT" else None) as closed, folder() as home:
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            dead = f"http://127.0.0.1:{nobody.getsockname()[1]}"
            for address, bucket, why in [(base, "no-such-bucket", "NoSuchBucket"), (closed.base, BUCKET, "403"),
                                         (dead, BUCKET, "127.0.0.1"), (base, "key:hunter2@rows", "credentials come from")]:
                begun = time.monotonic()
                server = Server({"storage": f"s3://{bucket}/x"}, data=home, env=variables(address)).launch()
                code = server.program.process.wait(40)
                server.program.reader.join(5)
                said = "\n".join(server.program.lines)
                expect(code not in (0, -9), f"{bucket} at {address} ended with {code}")
                expect("storage" in said and why in said, f"{bucket} at {address} does not say `{why}`: {said}")
                expect("hunter2" not in said, f"a credential is shown: {said}")
                expect(time.monotonic() - begun < 30, "it takes too long to say so")


def a_download_does_not_wait_for_each_read():
    """200 segments behind 20 ms each: one after the other they would take 4 s."""
    segments, delay = 200, 0.02
    with moto() as base, Proxy(base, delay=0.0) as slow, folder() as home, Site("--pages", str(segments)) as site:
        with served(slow.base, home, "ahead") as server:
            snapshots = server.trigger([{"url": site.product(0)}], dataset_id="posts")
            server.wait(snapshots)
        # One segment's row, registered 200 times: that many small slices would take longer to make than to read.
        with contextlib.closing(sqlite3.connect(home / "data/trawl.sqlite")) as db:
            columns = [row[1] for row in db.execute("PRAGMA table_info(segment)")]
            (first,) = db.execute(f"SELECT {', '.join(columns)} FROM segment").fetchall()
            # moto gives what was written with a key only to those who have one, whichever.
            signed = {"Authorization": "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"}
            body = call("GET", f"{base}/{BUCKET}/ahead/{first[columns.index('key')]}", headers=signed).body
            for n in range(1, segments):
                row = dict(zip(columns, first))
                row.update(seq=row["seq"] + n, first_record=row["first_record"] + n, key=f"{row['key']}-{n}")
                call("PUT", f"{base}/{BUCKET}/ahead/{row['key']}", body)
                db.execute(f"INSERT INTO segment ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values()))
            db.commit()
        with served(slow.base, home, "ahead") as server:
            slow.delay = delay
            begun = time.monotonic()
            rows = server.download(snapshots, format="ndjson").text().splitlines()
            took = time.monotonic() - begun
            equal(len(rows), segments, "rows")
            print(f"        {segments} segments in {took:.2f} s")
            expect(took < segments * delay / 2, f"{segments} segments in {took:.2f} s: one after the other")


def suite(base, case):
    """Runs cases of the suite that every bucket must pass, on a server."""
    env = {**os.environ, **variables(base), "TRAWL_TEST_BUCKET": f"s3://{BUCKET}/suite"}
    words = [os.environ.get("CARGO", "cargo"), "test", "--locked", "-p", "store", "--test", "conformance", case, "--", "--ignored"]
    return subprocess.run(words, env=env, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)


def unfinished(base):
    return re.findall("<UploadId>", call("GET", f"{base}/{BUCKET}?uploads").text())


def the_suite_of_buckets_holds():
    with moto() as base:
        done = suite(base, "on_server")
        equal(done.returncode, 0, f"{done.stdout[-2000:]}{done.stderr[-2000:]}")
        expect("13 passed" in done.stdout, f"all of it was run: {done.stdout[-500:]}")
        equal(unfinished(base), [], "unfinished uploads")


def a_failed_upload_leaves_no_parts():
    with moto() as base, Proxy(base, lambda method, path: 403 if "partNumber=2" in path else None) as proxy:
        done = suite(proxy.base, "on_server::a_large_object_comes_back")
        expect(done.returncode != 0 and "cannot be written: 403" in done.stdout, f"it says why: {done.stdout[-2000:]}")
        expect("hunter2" not in done.stdout + done.stderr, "a credential is shown")
        expect(proxy.failed[403] and proxy.asked["DELETE"], f"parts were sent and taken back: {proxy.asked}")
        equal(unfinished(base), [], "unfinished uploads")


if __name__ == "__main__":
    sys.exit(run(nothing_is_lost_over_kills, a_failing_bucket_loses_nothing, what_nobody_may_ask_for_is_swept,
                 a_bucket_that_cannot_be_worked_with_ends_the_start, a_download_does_not_wait_for_each_read,
                 the_suite_of_buckets_holds, a_failed_upload_leaves_no_parts))
