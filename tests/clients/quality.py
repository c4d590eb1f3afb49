"""The quality gate against a site that changes: breakages are told with their reasons, reruns with natural variation are
silent, and what is held back goes nowhere until an operator releases it."""
import http.server
import json
import random
import sys
import threading
import urllib.parse

from harness import Receiver, Server, equal, expect, folder, run

SCRAPER = """
dataset_id = "gd_shelf"
title = "Shelf"

[doors.collect_by_url]
start = "{start}"
inputs.url = {{ type = "url", required = true }}

[doors.discover_by_category_url]
start = "links"
inputs.url = {{ type = "url", required = true }}

[pages.list]
records = {{ css = ".item" }}

[pages.links]
follow = [{{ each = {{ css = ".item a" }}, link = {{ css = ":scope", attr = "href" }}, to = "item", found = true }}]

[pages.item]
format = "json"
record = true

[fields.title]
required = true
from = [{{ css = "h2" }}, {{ json = "$.title" }}]

[fields.price]
type = "json"
from = [{{ json = "$.price" }}]

[fields.cost]
type = "price"
from = [{{ css = ".price" }}]

[fields.rating]
type = "number"
from = [{{ css = ".rating" }}]
"""


class Shelf:
    """Lists of items under /list/N, each linking to /item/N/M, a JSON answer. What is wrong with it can be set."""

    def __init__(self):
        self.price_class, self.items, self.text_price, self.dead, self.dice = "price", 24, False, 0.0, random.Random(7)
        shelf = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                words = urllib.parse.urlsplit(self.path).path.strip("/").split("/")
                status, kind, text = shelf.page(words)
                body = text.encode()
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def page(self, words):
        if words == ["robots.txt"] or self.dice.random() < self.dead:
            return 404, "text/plain", "gone"
        if words[0] == "item":
            price = round(self.dice.uniform(5, 200), 2)
            return 200, "application/json", json.dumps(
                {"title": f"thing {words[1]} {words[2]}", "price": f"{price} EUR" if self.text_price else price})
        items = []
        for n in range(self.items + self.dice.randint(-2, 2)):
            # Nature: a few without a price, some not rated yet.
            price = f'<b class="{self.price_class}">{self.dice.uniform(5, 200):.2f} EUR</b>' if self.dice.random() < 0.97 else ""
            rating = f'<i class="rating">{self.dice.uniform(1, 5):.1f}</i>' if self.dice.random() < 0.7 else ""
            items.append(f'<div class="item"><h2>thing {words[1]} {n}</h2>{price}{rating}<a href="/item/{words[1]}/{n}">more</a></div>')
        return 200, "text/html", "<h1>Shelf</h1>" + "".join(items)

    def urls(self, n=4, kind="list"):
        return [{"url": f"http://127.0.0.1:{self.server.server_address[1]}/{kind}/{i}"} for i in range(n)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def scrapers(home):
    path = home / "scrapers" / "shelf"
    path.mkdir(parents=True)
    (path / "scraper.toml").write_text(SCRAPER.format(start="list"), encoding="utf-8")
    return home / "scrapers"


def collect(server, inputs, state="ready", **query):
    """Collects and gives the last progress."""
    snapshot = server.trigger(inputs, dataset_id="gd_shelf", **query)
    return server.wait(snapshot, state=state)


def judged(progress, grade, reason):
    equal(progress.get("quality"), grade, f"the verdict ({progress})")
    expect(any(reason in r for r in progress.get("quality_reasons", [])), f"no reason like `{reason}` in {progress}")


DISCOVER = {"type": "discover_new", "discover_by": "category_url"}


def breakages_are_told_and_clean_reruns_are_silent():
    with folder() as home, Shelf() as shelf:
        own = scrapers(home)
        with Server(data=home, scrapers=own) as server:
            for _ in range(40):
                equal(collect(server, shelf.urls())["quality"], "ok", "a clean rerun")
            shelf.price_class = "amount"
            broken = collect(server, shelf.urls())
            judged(broken, "fail", "cost: filled in 0 %, 9")
            report = server.get(f"/datasets/v3/snapshot/{broken['snapshot_id']}/quality").json()
            cost = report["fields"]["cost"]
            expect(cost["fill_rate"] == 0 and cost["baseline_fill_rate"] > 0.85, f"fill rates of the cost: {cost}")
            equal(report["fields"]["title"]["fill_rate"], 1.0, "fill rate of the title")
            expect(report["fields"]["rating"]["number"]["mean"] > 1, f"mean of the rating: {report['fields']['rating']}")
            equal(len(report["baseline"]["snapshots"]), 9, "snapshots of the baseline")
            log = server.get(f"/datasets/v3/log/{broken['snapshot_id']}").json()
            equal(log["quality"], "fail", "the verdict in the log")
            listed = {s["id"]: s.get("quality") for s in server.get("/datasets/v3/snapshots", dataset_id="gd_shelf").json()}
            equal(listed[broken["snapshot_id"]], "fail", "the verdict in the list")
            expect('trawl_snapshot_quality{verdict="fail"} 1' in server.get("/metrics").text(), "no verdicts in /metrics")
            server.rows(broken["snapshot_id"])
            shelf.price_class = "price"
            shelf.items = 12
            judged(collect(server, shelf.urls()), "fail", "records per input: ")
            shelf.items = 24
            shelf.dead = 0.9
            judged(collect(server, shelf.urls(30), include_errors="true"), "fail", "errors: ")
            shelf.dead = 0.0
            equal(collect(server, shelf.urls(1))["quality"], "ok", "one page of the same")
            equal(collect(server, shelf.urls())["quality"], "ok", "a clean rerun after the breakages")
        # The baseline survives a restart.
        with Server(data=home, scrapers=own) as server:
            shelf.price_class = "amount"
            judged(collect(server, shelf.urls()), "fail", "cost: filled in 0 %")


def a_type_that_changes_is_told():
    with folder() as home, Shelf() as shelf, Server(scrapers=scrapers(home)) as server:
        for _ in range(4):
            equal(collect(server, shelf.urls(2, "links"), **DISCOVER)["quality"], "ok", "a clean rerun")
        shelf.text_price = True
        judged(collect(server, shelf.urls(2, "links"), **DISCOVER), "fail", "price: text in 100 %, number before")
        shelf.text_price, shelf.items = False, 11
        judged(collect(server, shelf.urls(2, "links"), **DISCOVER), "fail", "per input: 1")


def small_jobs_and_chosen_fields_do_not_alarm():
    with folder() as home, Shelf() as shelf, Server(scrapers=scrapers(home)) as server:
        for _ in range(3):
            collect(server, shelf.urls())
        equal(collect(server, shelf.urls(), custom_output_fields="title")["quality"], "ok", "one field chosen")
        equal(collect(server, shelf.urls(), limit_per_input=3)["quality"], "ok", "a job with a limit")
        shelf.items = 4
        small = collect(server, shelf.urls(1))
        expect("quality" not in small or small["quality"] == "ok", f"a job of a few rows: {small}")


def what_fails_is_held_back_until_it_is_released():
    with folder() as home, Shelf() as shelf, Receiver() as receiver:
        with Server(data=home, scrapers=scrapers(home)) as server:
            for _ in range(3):
                good = collect(server, shelf.urls(), quarantine="true")["snapshot_id"]
            shelf.price_class = "amount"
            held = server.trigger(shelf.urls(), dataset_id="gd_shelf", quarantine="true", endpoint=receiver.url(),
                                  notify=receiver.url("/told"))
            progress = server.wait(held, state="failed")
            judged(progress, "fail", "cost: filled in 0 %")
            expect(progress["quarantined"] is True and "held back" in progress["error_message"], f"the status: {progress}")
            (told,) = receiver.wait("/told")
            equal([told.json().get(k) for k in ("status", "quarantined", "quality")], ["failed", True, "fail"], "the notification")
            refused = server.get(f"/datasets/v3/snapshot/{held}")
            equal(refused.status, 400, f"a download → {refused}")
            expect("quarantined=true" in refused.json()["error"], f"the refusal tells the way: {refused}")
            rows = server.download(held, format="json", quarantined="true").json()
            expect(len(rows) > 50, f"rows of the insisting download: {len(rows)}")
            refused = server.call("POST", f"/datasets/v3/deliver/{held}", body={"deliver": {"type": "webhook", "endpoint": receiver.url("/x")}})
            equal(refused.status, 400, f"a delivery → {refused}")
            insisted = server.call("POST", f"/datasets/v3/deliver/{held}", {"quarantined": "true"},
                                   {"deliver": {"type": "webhook", "endpoint": receiver.url("/insisted")}})
            equal(insisted.status, 200, f"an insisting delivery → {insisted}")
            equal(receiver.wait("/insisted")[0].json(), rows, "rows of the insisting delivery")
            equal(server.get("/datasets/v3/current", dataset_id="gd_shelf").json()["snapshot_id"], good, "the current snapshot")
            listed = {s["id"]: s for s in server.get("/datasets/v3/snapshots", dataset_id="gd_shelf", status="failed").json()}
            equal(listed[held].get("quarantined"), True, "the list")
            expect('trawl_snapshots{state="quarantined"} 1' in server.get("/metrics").text(), "no quarantine in /metrics")
        with Server(data=home, scrapers=home / "scrapers") as server:
            equal(server.progress(held)["quarantined"], True, "held back over a restart")
            equal(receiver.at("/hook"), [], "webhooks of what is held back")
            released = server.call("POST", f"/datasets/v3/snapshot/{held}/release")
            equal((released.status, released.json().get("status")), (200, "ready"), f"the release → {released}")
            (post,) = receiver.wait()
            equal(post.headers["X-Quality"], "fail", "the verdict beside the rows")
            equal(post.json(), server.rows(held), "the rows delivered and the download")
            equal(server.get("/datasets/v3/current", dataset_id="gd_shelf").json()["snapshot_id"], held, "the current snapshot")
            equal(server.call("POST", f"/datasets/v3/snapshot/{held}/release").status, 400, "a second release")


def an_accepted_snapshot_is_the_new_normal():
    settings = {"quality": {"quarantine": True}}
    with folder() as home, Shelf() as shelf, Server(settings, scrapers=scrapers(home)) as server:
        for _ in range(3):
            collect(server, shelf.urls())
        shelf.price_class = "amount"
        free = collect(server, shelf.urls(), quarantine="false")
        judged(free, "fail", "cost: filled in 0 %")
        held = collect(server, shelf.urls(), state="failed")["snapshot_id"]
        answer = server.call("POST", f"/datasets/v3/snapshot/{held}/release", {"accept": "true"})
        equal(answer.status, 200, f"accepting → {answer}")
        equal(collect(server, shelf.urls())["quality"], "ok", "the next run of the same kind")


if __name__ == "__main__":
    failed = run(breakages_are_told_and_clean_reruns_are_silent, a_type_that_changes_is_told,
                 small_jobs_and_chosen_fields_do_not_alarm, what_fails_is_held_back_until_it_is_released,
                 an_accepted_snapshot_is_the_new_normal)
    sys.exit(failed)
