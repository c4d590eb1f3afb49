"""SIGKILL at random moments. Jobs with several thousand inputs, with discovery, limits and webhooks, run while the real
binary is killed again and again and started on the same data folder. In the end every input is settled once, no row is
lost or doubled (the shop knows what it has), limits are exact, and every webhook came with all of its rows.

TRAWL_SEED repeats the moments, TRAWL_KILLS sets their number.
"""
import collections
import http.client
import json
import os
import random
import sys
import time

from harness import Receiver, Server, Site, equal, expect, folder, run, short

KILLS = int(os.environ.get("TRAWL_KILLS", "50"))
SEED = int(os.environ.get("TRAWL_SEED", random.SystemRandom().randrange(1 << 32)))
# Products in the shop, and after how long it must all be over.
PRODUCTS = 3000
SECS = 240
PER_INPUT, IN_ALL = 17, 333
DATASET = "posts"
NO_ANSWER = (OSError, http.client.HTTPException)


class Job:
    """One trigger, repeated with its key until it is accepted, and what its rows must be."""

    def __init__(self, name, inputs, query, hook):
        self.name, self.inputs, self.hook = name, inputs, hook
        self.query = {"dataset_id": DATASET, "include_errors": "true", "format": "ndjson", "endpoint": hook, **query}
        self.snapshot = self.state = None

    def drive(self, server):
        """A step forward, if the server answers: triggered, then looked at."""
        if self.snapshot is None:
            answer = server.call("POST", "/datasets/v3/trigger", self.query, self.inputs, {"Idempotency-Key": self.name}, timeout=20)
            equal(answer.status, 200, f"trigger of {self.name} → {answer}")
            self.snapshot = answer.json()["snapshot_id"]
        elif self.state != "ready":
            answer = server.call("GET", f"/datasets/v3/progress/{self.snapshot}", timeout=20)
            equal(answer.status, 200, f"{self.name}, accepted as {self.snapshot}, is gone")
            progress = answer.json()
            adds_up(progress)
            self.state = progress["status"]
            expect(self.state in ("running", "ready"), f"{self.name} ended {self.state}: {progress}")


def adds_up(progress):
    """inputs = settled + waiting + leased, at every moment that the API shows them."""
    parts = [progress.get(name) for name in ("inputs", "settled", "waiting", "leased")]
    if None not in parts:
        equal(parts[0], sum(parts[1:]), f"inputs = settled + waiting + leased in {progress}")


def jobs(site, receiver):
    urls = [{"url": site.product(n)} for n in range(PRODUCTS)] + [{"url": site.dead(n)} for n in range(40)]
    found = {"type": "discover_new", "discover_by": "profile_url"}
    return [
        Job("collect", urls, {}, receiver.url("/collect")),
        Job("discover", [{"url": site.listing(c)} for c in range(site.CATEGORIES)], found, receiver.url("/discover")),
        Job("per_input", [{"url": site.listing(c)} for c in range(20)], {**found, "limit_per_input": PER_INPUT}, receiver.url("/per_input")),
        Job("in_all", [{"url": site.listing(c)} for c in range(20)], {**found, "limit_multiple_results": IN_ALL}, receiver.url("/in_all")),
    ]


def nothing_is_lost_or_doubled():
    dice = random.Random(SEED)
    print(f"        seed {SEED}, {KILLS} kills")
    # The shop is paced so that the jobs outlast the kills; leases end soon, as nobody hands them back.
    settings = {"log": "warn", "fetch": {"host_concurrency": 4, "host_delay_ms": 3},
                "worker": {"lease_secs": 2},
                "deliver": {"retry_max_secs": 1, "signing_secret": "a secret of the test"}}
    with folder() as home, Receiver() as receiver, Site("--pages", str(PRODUCTS)) as site:
        todo = jobs(site, receiver)
        begun, kills, during = time.monotonic(), 0, collections.Counter()
        while kills < KILLS:
            server = Server(settings, data=home / "data")
            lifetime = dice.uniform(0.03, 1.0)
            phase = live(server, todo, time.monotonic() + lifetime)
            during[phase] += 1
            kills += 1
            expect(time.monotonic() - begun < SECS, f"only {kills} kills in {SECS} s")
        print(f"        killed {dict(during)}; then {[(job.name, job.state) for job in todo]}")
        expect(any(job.state != "ready" for job in todo), "every job had ended before the last kill: make the shop slower")
        with Server(settings, data=home / "data") as server:
            for job in todo:
                while job.snapshot is None:
                    job.drive(server)
                progress = server.wait(job.snapshot, secs=SECS)
                adds_up(progress)
            for job in todo:
                check(server, site, receiver, job)


def live(server, todo, end):
    """One life of the server, until its moment comes; says what it was doing then."""
    try:
        server.launch()
        while time.monotonic() < end and not server.has_listened():
            time.sleep(0.002)
        if not server.has_listened():
            return "starting"
        while time.monotonic() < end:
            for job in todo:
                if time.monotonic() < end:
                    job.drive(server)
            time.sleep(0.02)
        return "running"
    except NO_ANSWER as error:
        expect(server.program.process.poll() is None, f"the server ended by itself ({error}):\n{server.program.tail()}")
        return "answering"
    finally:
        server.program.kill()


def check(server, site, receiver, job):
    progress = server.progress(job.snapshot)
    rows = server.rows(job.snapshot)
    good = [row for row in rows if not row.get("error_code")]
    bad = collections.Counter(row["error_code"] for row in rows if row.get("error_code"))
    equal((progress["records"], progress["errors"]), (len(good), sum(bad.values())), f"{job.name}: counts and rows")
    twice = [url for url, n in collections.Counter(row["input"]["url"] for row in rows).items() if n > 1]
    equal(twice, [], f"{job.name}: inputs with more than one row")
    got = sorted(number(site, row) for row in good)
    for row in good:
        expect(row["id"] and row["title"], f"{job.name}: a row without its fields: {short(row)}")
    if job.name == "collect":
        equal(dict(bad), {"dead_page": 40}, "collect: error rows")
        equal(got, list(range(PRODUCTS)), "collect: products")
    elif job.name == "discover":
        equal((dict(bad), got), ({}, list(range(PRODUCTS))), "discover: products found, each once")
    elif job.name == "per_input":
        per = collections.Counter(row["discovery_input"]["url"] for row in good)
        equal(dict(per), {row["url"]: PER_INPUT for row in job.inputs}, "per_input: rows of each input")
    else:
        equal(len(rows), IN_ALL, "in_all: rows")
    path = "/" + job.name
    posts = receiver.wait(path, secs=60)
    equal(len({post.headers["X-Delivery-Id"] for post in posts}), 1, f"{job.name}: deliveries (attempts: {len(posts)})")
    equal(len({post.headers["webhook-id"] for post in posts}), 1, f"{job.name}: webhook-id of the attempts")
    wanted = sorted(json.dumps(row, sort_keys=True) for row in rows)
    for post in posts:
        lines = [json.loads(line) for line in post.body().decode().split("\n") if line]
        equal(sorted(json.dumps(row, sort_keys=True) for row in lines) == wanted, True,
              f"{job.name}: the webhook's {len(lines)} rows are the download's {len(rows)}")


def number(site, row):
    return int(row["input"]["url"].rsplit("/", 1)[1])


if __name__ == "__main__":
    sys.exit(run(nothing_is_lost_or_doubled))
