"""Sites that change: unchanged pages are not transferred again, changes are told record by record, and a job that gives
only what changed gives exactly that, also when the server is killed. Bytes and requests are judged by the site's ledger.
"""
import csv
import http.client
import io
import json
import random
import sys
import time

from harness import Server, Site, equal, expect, folder, run, wait_for

# What a call to a server that is being killed can end in.
NO_ANSWER = (OSError, http.client.HTTPException)
DATASET = "gd_changing"
COUNT = 40


def sku(n):
    return f"SKU-{n % 40:03d}-{n:07d}"


class Shop:
    """The changing shop of a site, in one manner of answering."""

    def __init__(self, site, manner):
        self.site, self.manner = site, manner

    def url(self, path):
        return self.site.url(f"/changing/{self.manner}/{path}")

    def set(self, **what):
        query = "&".join(f"{k}={','.join(map(str, v)) if isinstance(v, (list, range)) else v}" for k, v in what.items())
        equal(self.site.get("/changing/set?" + query).status, 200, f"set {what}")

    def discover(self, server, by="list", **query):
        path = {"list": "list", "sitemap": "sitemap.xml"}[by]
        return server.trigger([{"url": self.url(path)}], dataset_id=DATASET, type="discover_new", discover_by=by, **query)


def ledger(site):
    stats = site.get("/stats").json()
    return stats["bytes"], stats["requests"]


def spent(site, work):
    """Bytes and requests of the site that the work cost, and what it gave."""
    before = ledger(site)
    result = work()
    after = ledger(site)
    return after[0] - before[0], after[1] - before[1], result


def changes(server, snapshot, **query):
    answer = server.call("GET", f"/datasets/v3/snapshot/{snapshot}/changes", {"format": "json", **query})
    equal(answer.status, 200, f"changes {query}: {answer}")
    return answer.json()


def summary(server, snapshot, **query):
    body = changes(server, snapshot, summary="true", **query)
    return tuple(body[name] for name in ("added", "changed", "unchanged", "removed"))


def skus(rows):
    return sorted(row["sku"] for row in rows)


def told(rows):
    """The skus by kind of change."""
    kinds = {}
    for row in rows:
        kinds.setdefault(row["change"], []).append(row["record"]["sku"])
    return {kind: sorted(names) for kind, names in kinds.items()}


def an_unchanged_site_is_hardly_transferred_again():
    for manner, by in [("etag", "list"), ("modified", "list"), ("both", "sitemap"), ("none", "sitemap")]:
        with Server() as server, Site() as site:
            shop = Shop(site, manner)
            go = lambda: server.wait(shop.discover(server, by, revalidate="true"))
            first, requests, progress = spent(site, go)
            equal(progress["records"], COUNT, f"{manner}: records of the first run")
            again, asked, progress = spent(site, go)
            print(f"        {manner}, {by}: {first} bytes, then {again} ({100 * again / first:.2f} %), {requests} requests, then {asked}")
            equal(progress["records"], COUNT, f"{manner}: records of the second run")
            expect(again <= first * 5 / 100, f"{manner}: the second run transferred {again} of {first} bytes")
            if by == "sitemap":
                equal(asked, 1, f"{manner}: only the sitemap was asked for")
            snapshot = progress["snapshot_id"]
            equal(summary(server, snapshot), (0, 0, COUNT, 0), f"{manner}: changes")
            equal(changes(server, snapshot), [], f"{manner}: changed records")


def without_validators_records_tell():
    with Server() as server, Site() as site:
        for manner in ("none", "rude"):
            shop = Shop(site, manner)
            server.wait(shop.discover(server, revalidate="true"))
            bytes_spent, _, progress = spent(site, lambda: server.wait(shop.discover(server, only_changed="true")))
            expect(bytes_spent > COUNT * 20_000, f"{manner}: everything is transferred")
            equal((progress["records"], progress["unchanged"]), (0, COUNT), f"{manner}: and nothing has changed")


def exactly_what_changed_is_told():
    with Server() as server, Site() as site:
        shop = Shop(site, "both")
        first = server.wait(shop.discover(server, revalidate="true"))["snapshot_id"]
        equal(summary(server, first), (COUNT, 0, 0, 0), "without an earlier snapshot everything is new")
        shop.set(change=[1, 2, 3], remove=[4, 5], count=COUNT + 3)
        second = server.wait(shop.discover(server, revalidate="true"))["snapshot_id"]
        wanted = {
            "added": [sku(n) for n in (40, 41, 42)],
            "changed": [sku(n) for n in (1, 2, 3)],
            "removed": [sku(n) for n in (4, 5)],
        }
        wanted = {kind: sorted(names) for kind, names in wanted.items()}
        equal(told(changes(server, second)), wanted, "changes since the last snapshot")
        equal(told(changes(server, second, since=first)), wanted, "changes since the first snapshot")
        equal(summary(server, second), (3, 3, COUNT - 5, 2), "counts")
        equal(told(changes(server, second, kinds="removed")), {"removed": wanted["removed"]}, "one kind")
        for row in changes(server, second, kinds="changed"):
            equal([field["path"] for field in row["fields"]], ["price"], "fields of a changed record")
            field = row["fields"][0]
            equal(round(field["after"] - field["before"], 2), 1000, "before and after")
            equal(row["record"]["price"], field["after"], "the record is the later one")
        lines = server.call("GET", f"/datasets/v3/snapshot/{second}/changes", {"format": "ndjson"}).text()
        equal(told(map(json.loads, lines.splitlines())), wanted, "NDJSON")
        table = server.call("GET", f"/datasets/v3/snapshot/{second}/changes", {"format": "csv"}).text()
        table = list(csv.DictReader(io.StringIO(table)))
        equal(sorted((row["change"], row["sku"]) for row in table),
              sorted((kind, name) for kind, names in wanted.items() for name in names), "CSV")
        expect("price" in next(row for row in table if row["change"] == "changed")["changed_fields"], "CSV names fields")
        refused = server.call("GET", f"/datasets/v3/snapshot/{second}/changes", {"since": "sd_nothing"})
        equal(refused.status, 404, "an earlier snapshot that is not there")


def only_changed_gives_the_new_and_changed():
    with Server() as server, Site() as site:
        shop = Shop(site, "etag")
        everything = server.wait(shop.discover(server, only_changed="true"))
        equal((everything["records"], everything["since"]), (COUNT, None), "the first run gives everything")
        shop.set(change=[7, 8], remove=[9], count=COUNT + 1)
        some = server.wait(shop.discover(server, only_changed="true"))
        equal(some["since"], everything["snapshot_id"], "what it is compared with")
        equal(skus(server.rows(some["snapshot_id"])), sorted(sku(n) for n in (7, 8, 40)), "rows")
        equal((some["records"], some["unchanged"]), (3, COUNT - 3), "counts")
        # What is withheld is part of the run: it is compared like any other.
        equal(told(changes(server, some["snapshot_id"])),
              {"added": [sku(40)], "changed": sorted([sku(7), sku(8)]), "removed": [sku(9)]}, "changes")
        spent_bytes, _, none = spent(site, lambda: server.wait(shop.discover(server, only_changed="true")))
        equal((none["records"], none["unchanged"]), (0, COUNT), "nothing changed since")
        equal(server.rows(none["snapshot_id"]), [], "no rows")
        expect(spent_bytes < 40_000, f"{spent_bytes} bytes to learn that")
        # Against a run that is not the last one.
        since = server.wait(shop.discover(server, only_changed="true", since=everything["snapshot_id"]))
        equal(skus(server.rows(since["snapshot_id"])), sorted(sku(n) for n in (7, 8, 40)), "rows since the first run")
        # A limit counts what is given.
        shop.set(change=range(10, 20))
        few = server.wait(shop.discover(server, only_changed="true", limit_multiple_results=4))
        equal(few["records"], 4, "a limit")
        found = server.wait(shop.discover(server, discover_only="true"))
        equal(found["records"], COUNT, "inputs found")
        shop.set(count=COUNT + 3)
        found = server.wait(shop.discover(server, discover_only="true", only_changed="true"))
        equal((found["records"], found["unchanged"]), (2, COUNT), "inputs found that are new")
        found = server.wait(shop.discover(server, discover_only="true", only_changed="true"))
        equal((found["records"], found["unchanged"]), (0, COUNT + 2), "nothing new is no failure")
        refused = server.call("POST", "/datasets/v3/trigger", {"dataset_id": DATASET, "since": "sd_x"}, [{"url": shop.url("p/1")}])
        equal(refused.status, 400, f"`since` alone: {refused}")


def an_age_spares_even_the_question():
    with folder() as home, Site() as site:
        shop = Shop(site, "none")
        urls = [{"url": shop.url(f"p/{n}")} for n in range(COUNT)]
        with Server({"fetch": {"robots": "ignore"}}, data=home) as server:
            go = lambda **query: server.wait(server.trigger(urls, dataset_id=DATASET, **query))
            _, requests, _ = spent(site, lambda: go(cache_max_age="1h"))
            equal(requests, COUNT, "requests of the first run")
        # Kept pages outlive the process.
        with Server({"fetch": {"robots": "ignore"}}, data=home) as server:
            go = lambda **query: server.wait(server.trigger(urls, dataset_id=DATASET, **query))
            _, requests, progress = spent(site, lambda: go(cache_max_age="1h"))
            equal((requests, progress["records"]), (0, COUNT), "requests and records of the second run")
            _, requests, _ = spent(site, lambda: go())
            equal(requests, COUNT, "who does not ask for kept pages gets none")
            _, requests, _ = spent(site, lambda: go(cache_max_age="0"))
            equal(requests, COUNT, "an age of 0 always asks")
            metrics = server.call("GET", "/metrics", token=False).text()
            expect(f'trawl_cache_pages_total{{what="fresh"}} {COUNT}' in metrics, "metrics")
        # What is damaged is fetched as if it had never been.
        files = [path for path in (home / "data" / "bucket" / "cache").rglob("*") if path.is_file()]
        equal(len(files), COUNT, "kept pages")
        for at, path in enumerate(files):
            raw = path.read_bytes()
            path.write_bytes([raw[: len(raw) // 2], b"", raw[:60] + b"xx" + raw[62:]][at % 3])
        with Server({"fetch": {"robots": "ignore"}}, data=home) as server:
            go = lambda **query: server.wait(server.trigger(urls, dataset_id=DATASET, **query))
            _, requests, progress = spent(site, lambda: go(cache_max_age="1h"))
            equal((requests, progress["records"], progress["errors"]), (COUNT, COUNT, 0), "after damage")


def settings_and_bytes_bound_it():
    with Server({"cache": {"revalidate": True, "bytes_max": 100_000}}) as server, Site() as site:
        shop = Shop(site, "etag")
        for _ in range(3):
            progress = server.wait(shop.discover(server))
            equal(progress["records"], COUNT, "records")
            files = [path for path in (server.home / "data" / "bucket" / "cache").rglob("*") if path.is_file()]
            held = sum(path.stat().st_size for path in files)
            expect(0 < held <= 110_000, f"{held} bytes are kept")


def a_kill_loses_no_change():
    """Killed at random moments of jobs that give only what changed: every change is given once, and then no more."""
    dice = random.Random(7)
    settings = {"log": "warn", "fetch": {"host_concurrency": 2, "host_delay_ms": 8}, "worker": {"lease_secs": 2}}
    with folder() as home, Site() as site:
        shop = Shop(site, "both")
        shop.set(count=120)
        with Server(settings, data=home) as server:
            server.wait(shop.discover(server, revalidate="true"))
        kills = 0
        for round_ in range(3):
            changed = sorted(dice.sample(range(120), 30))
            shop.set(change=changed)
            snapshot = None
            for _ in range(3):
                server = Server(settings, data=home)
                try:
                    server.start()
                    snapshot = snapshot or shop.discover(server, only_changed="true")
                    end = time.monotonic() + dice.uniform(0.05, 0.5)
                    wait_for("the moment", lambda: time.monotonic() > end, pause=0.005)
                    kills += server.progress(snapshot)["status"] == "running"
                except NO_ANSWER as error:
                    raise AssertionError(f"the server ended by itself: {error}\n{server.program.tail()}")
                finally:
                    server.program.kill()
            with Server(settings, data=home) as server:
                progress = server.wait(snapshot)
                rows = server.rows(snapshot)
                equal(skus(rows), sorted(map(sku, changed)), f"round {round_}: every change once")
                equal(progress["unchanged"], 120 - 30, f"round {round_}: the others")
                expect(progress.get("quality") in (None, "ok"), f"few rows are no breakage: {progress}")
                again = server.wait(shop.discover(server, only_changed="true"))
                equal(again["records"], 0, f"round {round_}: and then nothing")
        print(f"        {kills} kills while a job ran")
        expect(kills > 0, "no job was running when its server was killed")


if __name__ == "__main__":
    sys.exit(run(an_unchanged_site_is_hardly_transferred_again, without_validators_records_tell,
                 exactly_what_changed_is_told, only_changed_gives_the_new_and_changed, an_age_spares_even_the_question,
                 settings_and_bytes_bound_it, a_kill_loses_no_change))
