"""A web that misbehaves in ways of its own making, through the API: refusals dressed as pages, wrong TLS, HTTP/2 that breaks,
rate limits, lists without end, sitemaps of fifty thousand. Each ends as the right row in bounded time."""
import pathlib
import re
import sys
import tempfile
import time

from harness import LOOPBACK, Server, Site, equal, expect, run, short

QUICK = {"fetch": {"connect_timeout_ms": 1500, "idle_timeout_ms": 1500, "page_timeout_ms": 4000, "allow_networks": LOOPBACK}}
SITE = None
AUTHORITY = None

WALLS = {
    "cloudflare": "detect_block", "akamai": "detect_block", "perimeterx": "detect_block",
    "datadome": "detect_block", "imperva": "detect_block", "aws-waf": "detect_block", "denied": "detect_block",
    "captcha": "detect_block", "account": "login_required", "login-401": "login_required", "members": "login_required",
    "consent": "consent_wall", "gone": "dead_page", "talk": None,
    # Who asks for a login page gets it.
    "login": None,
}
# What each door with TLS comes to. Certificates that are wrong are never accepted.
DOORS = {
    "good": None, "expired": "crawl_error", "not-yet": "crawl_error", "other-name": "crawl_error", "self-signed": "crawl_error",
    "unknown-ca": "crawl_error", "slow-handshake": None, "silent-handshake": "timeout", "hangup": "crawl_error",
    "not-tls": "crawl_error", "h2": None, "h2-reset": "crawl_error", "h2-refused": "crawl_error", "h2-reset-midway": "crawl_error",
    "h2-goaway": "crawl_error", "h2-goaway-midway": "crawl_error", "h2-stall": "timeout", "h2-garbage": "crawl_error",
    "h2-wrong-stream": "crawl_error",
}
CERTIFICATES = ("expired", "not-yet", "other-name", "self-signed", "unknown-ca")


def collect(server, urls, secs, dataset_id="web_page", **query):
    snapshot = server.trigger([{"url": url} for url in urls], dataset_id=dataset_id, include_errors="true", **query)
    server.wait(snapshot, secs=secs)
    rows = server.rows(snapshot)
    equal(sorted(row["input"]["url"] for row in rows), sorted(urls), "one row for each input")
    return {row["input"]["url"]: row for row in rows}


def discover(server, path, by, secs=60, dataset_id="web_page", state="ready", **query):
    snapshot = server.trigger([{"url": SITE.url(path)}], dataset_id=dataset_id, type="discover_new", discover_by=by,
                              include_errors="true", **query)
    progress = server.wait(snapshot, secs=secs, state=state)
    return progress if state == "failed" else server.rows(snapshot)


def wrong(rows, fates, url):
    """Names whose row is not the one that it should be."""
    out = []
    for name, code in fates.items():
        got = rows[url(name)].get("error_code")
        if got != code:
            out.append(f"{name}: wanted {code or 'a record'}, got {got} ({short(str(rows[url(name)].get('error')), 160)})")
    return out


def each_wall_is_what_it_is():
    """With a scraper that takes any page, and with one that requires a product."""
    listed = set(re.findall(r'href="/wall/([a-z0-9-]+)"', SITE.get("/wall/").text()))
    equal(sorted(listed - set(WALLS) - {"cloudflare-busy"}), [], "walls of the site that are not tried here")
    url = lambda name: SITE.url(f"/wall/{name}")
    with Server(QUICK) as server:
        equal(wrong(collect(server, [url(name) for name in WALLS], 60), WALLS, url), [], "walls with the wrong row")
        strict = dict(WALLS, talk="parse_error", login="parse_error")
        rows = collect(server, [url(name) for name in strict], 60, dataset_id="demo_shop")
        equal(wrong(rows, strict, url), [], "walls with the wrong row, by a scraper that requires something")
        expect("Cloudflare" in rows[url("cloudflare")]["error"], f"no word on who refuses: {rows[url('cloudflare')]}")


def what_may_pass_is_tried_again():
    """A challenge with 503 is; one with 403 is not."""
    def seen():
        return SITE.get("/stats").json()["by_prefix"].get("/wall", 0)

    with Server(QUICK) as server:
        before = seen()
        collect(server, [SITE.url("/wall/akamai/once")], 30)
        equal(seen() - before, 1, "requests of a page that refuses for good")
        before = seen()
        (row,) = collect(server, [SITE.url("/wall/cloudflare-busy/more")], 60).values()
        equal(row["error_code"], "detect_block", "what a challenge with 503 comes to in the end")
        expect(seen() - before > 1, "a page that refuses for now was asked for once only")


def a_file_tells_its_own_refusals():
    with tempfile.TemporaryDirectory(prefix="trawl-client-") as home:
        for name, more in {"own": '[refused]\ncss = "h1.product-title"\ncode = "login_required"\n', "off": "refusals = false\n"}.items():
            folder = pathlib.Path(home) / name
            folder.mkdir()
            (folder / "scraper.toml").write_text(
                f'dataset_id = "gd_{name}"\ntitle = "{name}"\n' + (more if name == "off" else "") +
                '[doors.collect_by_url]\nstart = "page"\ninputs.url = { type = "url", required = true }\n'
                '[pages.page]\nrecord = true\n[fields.name]\nfrom = [{ css = "h1" }]\n' + (more if name == "own" else ""))
        with Server(QUICK, scrapers=home) as server:
            rows = collect(server, [SITE.product(1)], 30, dataset_id="gd_own")
            equal(rows[SITE.product(1)].get("error_code"), "login_required", "a page that the file calls a login wall")
            rows = collect(server, [SITE.url("/wall/denied")], 30, dataset_id="gd_off")
            equal(rows[SITE.url("/wall/denied")].get("name"), "Access denied", "a wall, with refusals = false")


def each_wrong_tls_is_its_row():
    doors = dict(re.findall(r"(\S+) on https://(\S+)", "\n".join(SITE.program.lines)))
    equal(sorted(doors), sorted(DOORS), "doors of the site")
    url = lambda name: f"https://tls.test:{doors[name].rsplit(':', 1)[1]}/p/0"
    fetch = dict(QUICK["fetch"], extra_ca=str(AUTHORITY), names=["tls.test=127.0.0.1"])
    with Server({"fetch": fetch}) as server:
        begun = time.monotonic()
        rows = collect(server, [url(name) for name in DOORS], 90)
        print(f"        {len(DOORS)} doors in {time.monotonic() - begun:.1f} s")
        equal(wrong(rows, DOORS, url), [], "doors with the wrong row")
        for name in ("good", "slow-handshake", "h2"):
            expect(rows[url(name)].get("page_title"), f"{name}: a record without a title: {short(str(rows[url(name)]))}")
        for name in CERTIFICATES:
            expect("certificate" in rows[url(name)]["error"].lower(), f"{name}: the row does not say why: {rows[url(name)]['error']}")
    # Without the authority even the good one is a stranger's.
    with Server(dict(QUICK, fetch=dict(QUICK["fetch"], names=["tls.test=127.0.0.1"]))) as server:
        rows = collect(server, [url("good")], 60)
        equal(rows[url("good")].get("error_code"), "crawl_error", "a certificate of an authority that was not named")


def rate_limits_end_in_records():
    """The site lets five requests through in half a second. It says when to come again, or does not."""
    urls = [SITE.url(f"/quota/5/500/{n}") for n in range(20)] + [SITE.url(f"/quota/silent/5/500/{n}") for n in range(20)]
    with Server(dict(QUICK, fetch=dict(QUICK["fetch"], host_concurrency=2))) as server:
        rows = collect(server, urls, 90, dataset_id="demo_shop")
        lost = {url: row["error_code"] for url, row in rows.items() if "error_code" in row}
        expect(set(lost.values()) <= {"blocked"}, f"rows of a rate limit: {lost}")
        told = [url for url in lost if "/silent/" not in url]
        equal(told, [], "inputs lost although the site said when to come again")


def lists_without_end_end():
    with Server(QUICK) as server:
        def split(rows):
            return [r for r in rows if "error_code" not in r], [r for r in rows if "error_code" in r]

        records, errors = split(discover(server, "/trap/calendar", "profile_url", dataset_id="posts"))
        equal(sorted(r["input"]["url"] for r in records), [SITE.product(n) for n in (0, 1, 2)], "events of a calendar without end")
        equal([r["error_code"] for r in errors], ["too_many_pages"], "how a calendar without end ends")
        asked = SITE.get("/stats").json()["by_prefix"]["/trap"]
        expect(asked < 40, f"{asked} pages of an empty calendar were asked for")
        records, errors = split(discover(server, "/trap/same", "profile_url", dataset_id="posts"))
        equal(sorted(r["input"]["url"] for r in records), [SITE.product(n) for n in (0, 1, 2)], "products of the same page again and again")
        records, errors = split(discover(server, "/trap/session", "profile_url", dataset_id="posts"))
        equal(len(records), 5, "products under ever new sessions")
        equal([r["error_code"] for r in errors], ["too_many_pages"], "how new sessions end")
        records, errors = split(discover(server, "/trap/deeper", "profile_url", dataset_id="posts"))
        equal(len(records), 2, "products of a path that grows")
        equal([r["error_code"] for r in errors], [], "a page that shows the same again needs no row")


def sitemaps_of_fifty_thousand():
    """An index of three sitemaps, two of them packed, of 50,000 pages each: every page once, in bounded memory."""
    with Server(QUICK) as server:
        begun = time.monotonic()
        snapshot = server.trigger([{"url": SITE.url("/maps/3/50000/index.xml")}], dataset_id="web_page", type="discover_new",
                                  discover_by="sitemap", include_errors="true", discover_only="true")
        progress = server.wait(snapshot, secs=240)
        took = time.monotonic() - begun
        equal((progress["records"], progress["errors"]), (150_000, 0), "rows of 150,000 pages")
        seen, doubled = set(), 0
        for part in range(1, 151):
            answer = server.get(f"/datasets/v3/snapshot/{snapshot}", format="ndjson", batch_size=1000, part=part)
            for number in re.findall(rb'"url":"[^"]*/p/(\d+)","timestamp"', answer.body):
                doubled += number in seen
                seen.add(number)
        equal((len(seen), doubled), (150_000, 0), "pages found, and found twice")
        peak = int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{server.program.process.pid}/status").read_text()).group(1)) // 1024
        print(f"        150,000 pages in {took:.1f} s, {peak} MiB at most")
        expect(peak < 700, f"{peak} MiB for three sitemaps")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="trawl-client-") as home:
        AUTHORITY = pathlib.Path(home) / "authority.pem"
        with Site("--on-demand", "--pages", "1000", "--tls", str(AUTHORITY)) as SITE:
            failed = run(
                each_wall_is_what_it_is, what_may_pass_is_tried_again, a_file_tells_its_own_refusals, each_wrong_tls_is_its_row,
                rate_limits_end_in_records, lists_without_end_end, sitemaps_of_fifty_thousand,
            )
    sys.exit(failed)
