"""A misbehaving web, through the API: each misbehaviour ends as the row it should be, within its time, and the worker
goes on. And addresses off limits: none is reached, whatever spells it, whoever redirects there."""
import re
import sys
import time

from harness import Receiver, Server, Site, equal, expect, run, short, wait_for

# Short patience, so that what never ends ends soon; the site alone may be reached.
QUICK = {"fetch": {"connect_timeout_ms": 1000, "idle_timeout_ms": 1000, "page_timeout_ms": 3000, "page_bytes_max": 2_000_000,
                   "redirects_max": 5, "allow_networks": ["127.0.0.1/32"]}}
BROKEN = {"crawl_error"}
LATE = {"timeout"}
# What each path of the site's list comes to: the codes that are true of it, or None where there is a record to be had.
# Where two codes stand, both are: a body without an end is too large or too late, whichever comes first.
FATES = {
    "drop": BROKEN, "reset": BROKEN, "stall": LATE, "stall-body": LATE, "trickle": LATE, "short": BROKEN,
    "long": None, "broken-chunk": BROKEN, "broken-gzip": BROKEN, "truncated-gzip": BROKEN,
    "gzip-bomb": BROKEN, "zstd-bomb": BROKEN, "br-bomb": BROKEN,
    "redirect-loop": BROKEN, "redirect-chain/3": None, "redirect-chain/9": BROKEN,
    "redirect-metadata": {"bad_input"}, "redirect-local": BROKEN,
    "wrong-charset": None, "wrong-charset/reverse": None, "no-type": None,
    "huge-header": BROKEN, "many-headers": BROKEN, "endless-body": BROKEN | LATE, "endless-header": BROKEN,
    "garbage": BROKEN, "http09": BROKEN, "flaky/2/7": None, "retry-after/1/2/8": None, "slow/500/9": None,
    "huge-page/1": None, "huge-page/3": BROKEN, "not-found": {"dead_page"}, "forbidden": {"blocked"},
    "deep-nesting": None,
}
# These say nothing or nonsense, which a record may show and an error may tell; or are listings, which have their own check.
EITHER = {"empty", "binary"}
LISTINGS = {"loop-next", "loop-self", "dup-links", "empty-category"}
ELSEWHERE = {"redirect-to"}
SITE = None


def collect(server, urls, secs, **query):
    snapshot = server.trigger([{"url": url} for url in urls], dataset_id="web_page", include_errors="true", **query)
    server.wait(snapshot, secs=secs)
    rows = server.rows(snapshot)
    equal(sorted(row["input"]["url"] for row in rows), sorted(urls), "one row for each input")
    return {row["input"]["url"]: row for row in rows}


def each_misbehaviour_is_its_row():
    listed = set(re.findall(r"<dt>/bad/([a-z0-9-]+(?:/reverse)?)", SITE.get("/bad/").text()))
    known = {path.split("/")[0] for path in FATES} | {p for p in FATES if p.endswith("/reverse")} | EITHER | LISTINGS | ELSEWHERE
    equal(sorted(listed - known), [], "misbehaviours of the site that are not tried here")
    with Server(QUICK) as server:
        urls = {SITE.url("/bad/" + path): path for path in [*FATES, *EITHER]}
        begun = time.monotonic()
        rows = collect(server, urls, secs=120)
        print(f"        {len(urls)} misbehaviours in {time.monotonic() - begun:.1f} s")
        wrong = []
        for url, path in urls.items():
            code, wanted = rows[url].get("error_code"), FATES.get(path)
            if path not in EITHER and (code not in wanted if wanted else code is not None):
                wrong.append(f"{path}: wanted {sorted(wanted) if wanted else 'a record'}, got {code} ({short(str(rows[url].get('error')), 120)})")
        equal(wrong, [], "misbehaviours with the wrong row")
        for path in ("wrong-charset/reverse", "slow/500/9", "flaky/2/7"):
            expect(rows[SITE.url("/bad/" + path)]["page_title"], f"{path}: a record without a title")
        equal(server.program.process.poll(), None, "the server's life")
        again = collect(server, [SITE.product(1), SITE.product(2)], secs=30)
        equal({row.get("error_code") for row in again.values()}, {None}, "pages after all that")


def one_at_a_time_ends_in_its_time():
    """The slowest misbehaviours alone, each by a synchronous call: two attempts of three seconds and a pause."""
    with Server(QUICK) as server:
        for path in ("stall", "stall-body", "trickle", "endless-body", "gzip-bomb", "endless-header"):
            begun = time.monotonic()
            answer = server.call("POST", "/datasets/v3/scrape", {"dataset_id": "web_page", "include_errors": "true"},
                                 [{"url": SITE.url("/bad/" + path)}])
            took = time.monotonic() - begun
            equal(answer.status, 200, f"{path} → {answer}")
            expect(answer.json().get("error_code") in FATES[path], f"{path}: {answer}")
            expect(took < 15, f"{path} took {took:.1f} s")


def listings_without_end_end():
    with Server(QUICK) as server:
        def discover(path, limit=None, state="ready"):
            query = {"limit_multiple_results": limit} if limit else {}
            snapshot = server.trigger([{"url": SITE.url("/bad/" + path)}], dataset_id="posts", type="discover_new",
                                      discover_by="profile_url", include_errors="true", **query)
            progress = server.wait(snapshot, secs=90, state=state)
            return progress if state == "failed" else server.rows(snapshot)

        equal(len(discover("loop-next", limit=42)), 42, "rows of an endless listing under a limit of 42")
        equal([row["input"]["url"] for row in discover("loop-self")], [SITE.product(0)], "a listing whose next page is itself")
        found = sorted(row["input"]["url"] for row in discover("dup-links"))
        equal(found, [SITE.product(n) for n in (0, 1, 2)], "a listing that links to the same few")
        equal(discover("empty-category", state="failed")["error_message"], "No data found in discovery", "an empty category")


def a_slow_page_holds_nothing_back():
    """What is done is registered after two seconds; the slow page is not asked for again."""
    def asked():
        return {prefix: n for prefix, n in SITE.get("/stats").json()["by_prefix"].items() if prefix not in ("/stats", "/robots.txt")}

    before = sum(asked().values())
    with Server({"fetch": {"allow_networks": ["127.0.0.0/8"], "host_concurrency": 4}}) as server:
        urls = [SITE.product(n) for n in range(5)] + [SITE.url("/bad/slow/9000/7")]
        snapshot = server.trigger([{"url": url} for url in urls], dataset_id="demo_shop")
        began = time.monotonic()
        wait_for("the other rows", lambda: server.progress(snapshot).get("records") == 5, secs=8)
        equal(server.progress(snapshot)["status"], "running", "the state while the slow page is on its way")
        progress = server.wait(snapshot, secs=30)
        print(f"        all of it after {time.monotonic() - began:.1f} s")
        equal((progress["records"], progress["errors"]), (6, 0), "rows in the end")
        equal(sum(asked().values()) - before, 6, "requests of six pages")


PRIVATE = ["http://127.0.0.1/", "http://127.1/", "http://[::1]/", "http://2130706433/", "http://0x7f.1/", "http://0177.0.0.1/",
           "http://0.0.0.0/", "http://169.254.169.254/latest/meta-data/", "http://10.0.0.1/", "http://172.16.0.1/",
           "http://192.168.0.1/", "http://100.64.0.1/", "http://[::ffff:127.0.0.1]/", "http://[::ffff:a9fe:a9fe]/",
           "http://[64:ff9b::7f00:1]/", "http://[fe80::1]/", "http://[fd00:ec2::254]/", "http://localhost/"]


def no_address_off_limits_is_fetched():
    """Without any range allowed. The site listens on the very port, so a request that got through would be seen."""
    with Server({"fetch": {"connect_timeout_ms": 1000, "page_timeout_ms": 3000}}, bare=True) as server:
        port = SITE.base.rsplit(":", 1)[1]
        urls = [re.sub(r"^(http://(?:\[[^]]*\]|[^/:]*))", rf"\1:{port}", url) for url in PRIVATE]
        seen = lambda: SITE.get("/stats").json()["by_prefix"]
        before = seen()
        rows = collect(server, urls, secs=60)
        codes = {url: row.get("error_code") for url, row in rows.items() if row.get("error_code") != "bad_input"}
        equal(codes, {}, "addresses off limits without a bad_input row")
        after = seen()
        for counts in (before, after):
            counts.pop("/stats", None)
        equal(after, before, "requests that the site saw")


def no_redirect_leads_off_limits():
    """The site is allowed, by its one address, but not where it redirects to."""
    with Server(QUICK) as server:
        port = SITE.base.rsplit(":", 1)[1]
        targets = [f"http://127.0.0.2:{port}/p/1", f"http://[::1]:{port}/", "http://169.254.169.254/latest/meta-data/",
                   "http://10.0.0.1/", "http://0x7f.2/", "file:///etc/passwd"]
        rows = collect(server, [SITE.url("/bad/redirect-to?url=" + target) for target in targets], secs=60)
        codes = {url: row.get("error_code") for url, row in rows.items()}
        equal({code for url, code in codes.items() if "file:" not in url}, {"bad_input"}, f"redirects off limits: {codes}")
        expect(all(codes.values()), f"a redirect to a file gave a record: {codes}")


def webhooks_have_an_allow_list_of_their_own():
    """What opens pages does not open webhooks, and the other way round."""
    with Receiver() as receiver:
        with Server({"fetch": QUICK["fetch"]}, bare=True) as server:
            snapshot = server.trigger([{"url": SITE.product(1)}], dataset_id="web_page", endpoint=receiver.url("/closed"),
                                      notify=receiver.url("/closed"))
            server.wait(snapshot)
            number = server.call("POST", f"/datasets/v3/deliver/{snapshot}",
                                 body={"deliver": {"type": "webhook", "endpoint": receiver.url("/closed")}}).json()["id"]
            status = wait_for("the delivery's end", lambda: ended(server, number))
            equal(status, "failed", "a delivery to an address off limits")
            equal(receiver.at("/closed"), [], "POSTs at an address off limits")
        with Server({"deliver": {"allow_networks": ["127.0.0.0/8"]}}, bare=True) as server:
            snapshot = server.trigger([{"url": SITE.product(1)}], dataset_id="web_page", include_errors="true",
                                      endpoint=receiver.url("/open"))
            server.wait(snapshot)
            (post,) = receiver.wait("/open")
            equal([row["error_code"] for row in post.json()], ["bad_input"], "the row of a page off limits")


def ended(server, number):
    status = server.get(f"/datasets/v3/delivery/{number}").json()["status"]
    return None if status == "running" else status


if __name__ == "__main__":
    with Site("--on-demand", "--pages", "500") as SITE:
        failed = run(
            each_misbehaviour_is_its_row, one_at_a_time_ends_in_its_time, listings_without_end_end, a_slow_page_holds_nothing_back,
            no_address_off_limits_is_fetched, no_redirect_leads_off_limits, webhooks_have_an_allow_list_of_their_own,
        )
    sys.exit(failed)
