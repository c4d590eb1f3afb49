"""A job over 200 hosts, ten of them dead and ten slow: the healthy ones do not wait for the others, everything ends in a row,
and no host sees more than it was to see, which the site says and not we."""
import sys
import time

from harness import LOOPBACK, Server, Site, equal, expect, run, short

HEALTHY, SLOW, STALLED, REFUSED = 180, 10, 5, 5
PAGES = 6
CONCURRENCY, DELAY_MS = 2, 150
# Of the site's clock and of packets on loopback under load: a request may be late, and the one after it in time.
JITTER_MS = 120
CONNECT_MS, IDLE_MS = 1000, 1500
SLOW_MS = 1200
# Attempts of a dead page, by the default policy: two that time out, four that are refused; and the longest pause between two.
ATTEMPTS, PAUSE_SECS = 4, 4.0
SITE = None


class Host:
    """One of the two hundred: by its loopback address, or by a name of the test's own."""

    def __init__(self, number):
        self.number = number
        self.port = SITE.base.rsplit(":", 1)[1]
        self.address = f"127.0.0.{number}"
        self.name = f"h{number:03d}.test" if number % 2 else self.address
        self.kind = ("healthy" if number <= HEALTHY else "slow" if number <= HEALTHY + SLOW else
                     "stalled" if number <= HEALTHY + SLOW + STALLED else "refused")

    def lane(self):
        return f"{self.name}:{self.port}"

    def url(self, page):
        path = {"slow": f"/bad/slow/{SLOW_MS}/{page}", "stalled": f"/bad/stall?n={page}"}.get(self.kind, f"/p/{page}")
        return f"http://{self.lane()}{path}"


def two_hundred_hosts():
    hosts = [Host(number) for number in range(1, HEALTHY + SLOW + STALLED + REFUSED + 1)]
    kind_of = {host.lane(): host.kind for host in hosts}
    settings = {"fetch": {
        "allow_networks": LOOPBACK, "names": [f"{host.name}={host.address}" for host in hosts if host.name != host.address],
        "host_concurrency": CONCURRENCY, "host_delay_ms": DELAY_MS, "connect_timeout_ms": CONNECT_MS, "idle_timeout_ms": IDLE_MS,
        "page_timeout_ms": 6000,
    }}
    urls = [host.url(page) for page in range(PAGES) for host in hosts]
    good = (HEALTHY + SLOW) * PAGES
    with Server(settings) as server:
        begun = time.monotonic()
        snapshot = server.trigger([{"url": url} for url in urls], dataset_id="demo_shop", include_errors="true")
        # The healthy ones and the slow ones are through while dead ones are still tried.
        live = None
        while True:
            progress = server.progress(snapshot, wait=1)
            if live is None and progress["records"] >= good:
                live, left = time.monotonic() - begun, progress
            if progress["status"] != "running" and progress["status"] != "starting":
                break
            budget = budget_secs()
            expect(time.monotonic() - begun < 120 + budget, f"no end: {progress}")
        whole = time.monotonic() - begun
        equal(progress["status"], "ready", "the end of the job")
        equal((progress["records"], progress["errors"]), (good, (STALLED + REFUSED) * PAGES), "rows")
        rows = server.rows(snapshot)
        equal(sorted(row["input"]["url"] for row in rows), sorted(urls), "one row for each input")
        # A host that does not answer is not asked for every input: the later ones are told that it is down.
        strange = {}
        for row in rows:
            lane = row["input"]["url"].split("/")[2]
            wanted = {"stalled": {"timeout", "crawl_error"}, "refused": {"crawl_error"}}.get(kind_of[lane], {None})
            if row.get("error_code") not in wanted:
                strange[row["input"]["url"]] = row.get("error_code")
        equal(strange, {}, "rows of the wrong kind")
        expect(left["errors"] < (STALLED + REFUSED) * PAGES, f"the last good page came after the last dead one was given up: {left}")
        print(f"        {good} good pages after {live:.1f} s, all {len(urls)} after {whole:.1f} s (retry budget {budget_secs():.1f} s)")
        expect(whole <= live + budget_secs(), f"the job took {whole:.1f} s: {live:.1f} s and a budget of {budget_secs():.1f} s")
    judge_pace()


def budget_secs():
    """What the dead pages of one host may take by the settings: each attempt its time, each pause its longest."""
    rounds = -(-PAGES // CONCURRENCY)
    return rounds * ATTEMPTS * (CONNECT_MS + IDLE_MS + DELAY_MS) / 1000 + ATTEMPTS * PAUSE_SECS


def judge_pace():
    """By the site's own books."""
    books = SITE.get("/stats").json()["hosts"]
    over, fast = {}, {}
    for lane, seen in books.items():
        if seen["max_concurrent"] > CONCURRENCY:
            over[lane] = seen["max_concurrent"]
        least = (seen["requests"] - 1) * DELAY_MS - JITTER_MS
        if seen["span_ms"] is not None and seen["span_ms"] < least:
            fast[lane] = (seen["requests"], seen["span_ms"])
    equal(over, {}, f"hosts that saw more than {CONCURRENCY} requests at once")
    equal(fast, {}, f"hosts that saw requests sooner than every {DELAY_MS} ms")
    lanes = [lane for lane in books if lane.split(":")[0] not in ("127.0.0.1",)]
    expect(len(lanes) >= HEALTHY + SLOW + STALLED - 1, f"the site saw {len(lanes)} hosts: {short(str(lanes))}")


if __name__ == "__main__":
    with Site("--on-demand", "--pages", "100", "--hosts", str(HEALTHY + SLOW + STALLED)) as SITE:
        failed = run(two_hundred_hosts)
    sys.exit(failed)
