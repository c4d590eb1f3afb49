"""Pages that need scripts, through the API, by the real Chromium: collected whole, switched to only where a page is a
shell, safe from pages that loop, hog or look inside, and no input lost when the browser is killed."""
import json
import os
import pathlib
import random
import socket
import sys
import threading
import time

from harness import HERE, Server, Site, equal, expect, run, short, wait_for

SITE = None
SCRAPERS = HERE / "browser_scrapers"
PAGES = int(os.environ.get("BROWSER_PAGES", "300"))
# MiB of the browser and all its helpers, for four contexts.
MEMORY_MB = 1500


def server(**settings):
    return Server(settings, scrapers=SCRAPERS)


def truth(number):
    return json.loads(SITE.get(f"/app/api/p/{number}").text())


def collect(on, dataset, inputs, secs=60):
    rows = [i if isinstance(i, dict) else {"url": i} for i in inputs]
    snapshot = on.trigger(rows, dataset_id=dataset, include_errors="true")
    on.wait(snapshot, secs=secs)
    return on.rows(snapshot)


def by_input(rows):
    return {row["input"]["url"]: row for row in rows}


def metric(on, name):
    text = on.call("GET", "/metrics", token=False).text()
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(name + " "))


# ---------------------------------------------------------------- processes, as /proc tells
def children(pid):
    out = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if words[0] != "Z":
                out.setdefault(int(words[1]), []).append(int(entry.name))
    found, left = [], list(out.get(pid, []))
    while left:
        at = left.pop()
        found.append(at)
        left += out.get(at, [])
    return found


def command(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""


def browsers(on):
    """The browser processes of our server, without their helpers."""
    return [p for p in children(on.program.process.pid)
            if "--remote-debugging-pipe" in command(p) and "--type=" not in command(p) and "/bin/sh" not in command(p)]


def memory_mib(on):
    """Memory of the browser and its helpers, shared pages counted by their share."""
    total = 0
    for root in browsers(on):
        for pid in [root, *children(root)]:
            try:
                text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            total += next((int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")), 0)
    return total / 1024


# ---------------------------------------------------------------- checks
def every_way_of_a_script_rendered_shop():
    """Wait for an element, infinite scroll, a button beneath an overlay, captured responses, a typed search."""
    with server() as on:
        rows = by_input(collect(on, "app_shop", [SITE.url(f"/app/p/{n}?late=200") for n in (1, 5)]))
        for n in (1, 5):
            row, want = rows[SITE.url(f"/app/p/{n}?late=200")], truth(n)
            equal([row.get(k) for k in ("title", "price", "sku")], [want[k] for k in ("title", "price", "sku")], "a product")
        wanted = [truth(n)["sku"] for n in range(300)]
        for dataset, path, most in (("app_list", "/app/list", 300), ("app_api", "/app/list", 100), ("app_more", "/app/more", 100)):
            begun = time.monotonic()
            rows = collect(on, dataset, [SITE.url(f"{path}?n={most}")])
            equal([row.get("sku") for row in rows], wanted[:most], f"{dataset}: the products in order")
            expect(all(row["title"] and row["price"] for row in rows), f"{dataset}: rows without title or price")
            print(f"        {dataset}: {most} products in {time.monotonic() - begun:.1f} s")
        title = truth(7)["title"]
        rows = collect(on, "app_search", [{"url": SITE.url("/app/search"), "keyword": title}])
        equal([row.get("title") for row in rows], [title], "what the search found")
        stats = json.loads(SITE.get("/stats").text())
        equal(stats["by_prefix"].get("/img", 0), 0, "images asked for although they are blocked")


def auto_turns_to_the_browser_for_shells_only():
    with server() as on:
        plain = [SITE.product(n) for n in range(10)]
        rows = by_input(collect(on, "app_auto", plain))
        equal([rows[url].get("error_code") for url in plain if rows[url].get("error_code")], [], "errors of plain pages")
        equal(metric(on, "trawl_browser_starts_total"), 0, "browsers started for plain pages")
        shells = [SITE.url(f"/app/p/{n}") for n in range(6)]
        rows = by_input(collect(on, "app_auto", shells))
        equal([rows[url].get("sku") for url in shells], [truth(n)["sku"] for n in range(6)], "products of shells")
        equal(metric(on, "trawl_browser_pages_total"), 6, "pages rendered")
        # The site is remembered: one more page costs one request for the shell, not two.
        before = json.loads(SITE.get("/stats").text())["by_prefix"]["/app"]
        collect(on, "app_auto", [SITE.url("/app/p/20")])
        asked = json.loads(SITE.get("/stats").text())["by_prefix"]["/app"] - before
        equal(asked, 3, "requests for a remembered shell: the page, its script, its data")


def closed_port():
    """A port on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def pages_that_loop_hog_or_never_come_end_as_rows():
    codes = {
        SITE.url("/app/loop"): {"timeout"},
        SITE.url("/app/list?n=1"): {"wait_element_timeout"},
        SITE.url("/status/404"): {"dead_page", "wait_element_timeout"},
        SITE.url("/bad/drop"): {"crawl_error"},
        f"http://127.0.0.1:{closed_port()}/": {"crawl_error"},
        "http://no-such-host.invalid/": {"crawl_error"},
        SITE.url("/app/go?to=http://10.0.0.1/x"): {"bad_input", "wait_element_timeout"},
        SITE.url("/app/go?to=file:///etc/passwd"): {"wait_element_timeout", "crawl_error"},
        "http://10.1.2.3/": {"bad_input"},
    }
    with server(browser={"page_memory_mb": 256, "page_timeout_ms": 8000}) as on:
        good = [SITE.url(f"/app/p/{n}") for n in range(4)]
        rows = by_input(collect(on, "app_page", [*codes, *good], secs=90))
        wrong = [f"{url}: wanted {sorted(want)}, got {short(str(rows[url]), 200)}" for url, want in codes.items()
                 if rows[url].get("error_code") not in want]
        equal(wrong, [], "pages with the wrong row")
        equal([rows[url].get("error_code") for url in good], [None] * 4, "good pages beside them")
        rows = collect(on, "app_page", [SITE.url("/app/hog"), SITE.url("/app/p/9")], secs=90)
        rows = by_input(rows)
        equal(rows[SITE.url("/app/hog")].get("error_code") in ("crawl_error", "timeout", "wait_element_timeout"), True,
              f"the row of a page that takes all memory: {rows[SITE.url('/app/hog')]}")
        equal(rows[SITE.url("/app/p/9")].get("sku"), truth(9)["sku"], "the page beside it")
        expect(metric(on, "trawl_browser_outgrown_total") >= 1, "no page was ended for its memory")


class Trap:
    """Listens where nobody may come, and remembers who does."""

    def __init__(self):
        self.seen = []
        self.socks = []
        self.port = 0
        for family, host in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::1")):
            sock = socket.socket(family)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((host, self.port))
            self.port = sock.getsockname()[1]
            sock.listen()
            self.socks.append(sock)
            threading.Thread(target=self._accept, args=(sock,), daemon=True).start()
        # STUN and QUIC would come this way.
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("0.0.0.0", self.port))
        self.socks.append(udp)
        threading.Thread(target=self._packets, args=(udp,), daemon=True).start()

    def _accept(self, sock):
        while True:
            try:
                peer, at = sock.accept()
            except OSError:
                return
            self.seen.append(("tcp", at))
            peer.close()

    def _packets(self, sock):
        while True:
            try:
                self.seen.append(("udp", sock.recvfrom(2048)[1]))
            except OSError:
                return

    def close(self):
        for sock in self.socks:
            sock.close()


def nothing_inside_is_reached():
    """The site's own port is allowed, everything else on loopback is not: the trap must see nobody."""
    port = SITE.base.rsplit(":", 1)[1]
    trap = Trap()
    try:
        with Server({"fetch": {"allow_networks": [f"127.0.0.1:{port}"]}}, scrapers=SCRAPERS) as on:
            rows = collect(on, "app_shop", [SITE.url(f"/app/inside?port={trap.port}")])
            equal(rows[0].get("title"), truth(1)["title"], f"the page itself ({rows})")
            to = [f"http://127.0.0.1:{trap.port}/", f"http://localhost:{trap.port}/", f"http://[::1]:{trap.port}/",
                  f"http://2130706433:{trap.port}/"]
            rows = collect(on, "app_page", [*to, *(SITE.url(f"/app/go?to={url}") for url in to)])
            equal([row.get("error_code") is None for row in rows], [False] * len(rows), "pages gone to inside")
            equal({row["error_code"] for row in rows if row["input"]["url"] in to}, {"bad_input"}, "codes of addresses inside")
        equal(trap.seen, [], "who came to the trap")
        # The same page with the range allowed: it is the guard that kept it from the trap.
        with server() as on:
            collect(on, "app_shop", [SITE.url(f"/app/inside?port={trap.port}")])
        wait_for("the trap to see somebody", lambda: trap.seen)
    finally:
        trap.close()


def a_killed_browser_loses_nothing():
    random.seed(4)
    urls = [SITE.url(f"/app/p/{n}?k=1") for n in range(PAGES)]
    with server(fetch={"host_concurrency": 8}) as on:
        snapshot = on.trigger([{"url": url} for url in urls], dataset_id="app_shop", include_errors="true")
        killed, most, marks = set(), 0.0, [PAGES // 8, PAGES // 3, PAGES // 2, PAGES * 3 // 4]
        begun = time.monotonic()
        while True:
            progress = on.progress(snapshot)
            if progress["status"] == "ready":
                break
            expect(time.monotonic() - begun < 120, f"not ready in time: {progress}")
            done = metric(on, "trawl_browser_pages_total")
            found = [pid for pid in browsers(on) if pid not in killed]
            if marks and found and done >= marks[0] + random.randrange(8):
                marks.pop(0)
                pid = random.choice(found)
                os.kill(pid, 9)
                killed.add(pid)
            most = max(most, memory_mib(on))
            wait_for("more pages", lambda: metric(on, "trawl_browser_pages_total") > done or
                     on.progress(snapshot)["status"] == "ready", 60)
        secs = time.monotonic() - begun
        rows = on.rows(snapshot)
        equal(sorted(row["input"]["url"] for row in rows), sorted(urls), "one row for each input")
        equal([short(str(row), 200) for row in rows if row.get("error_code")][:3], [], "errors")
        equal({row["url"].split("/p/")[1].split("?")[0]: row["sku"] for row in rows},
              {str(n): truth(n)["sku"] for n in range(PAGES)}, "the records")
        print(f"        {PAGES} pages in {secs:.1f} s, {len(killed)} browsers killed, at most {most:.0f} MiB")
        expect(len(killed) >= 3, f"only {len(killed)} browsers were killed")
        expect(most < MEMORY_MB, f"{most:.0f} MiB of browsers, more than {MEMORY_MB}")
        lost = metric(on, "trawl_browser_lost_total")
        # One that is killed when its last page is done is not missed by anybody.
        expect(lost >= len(killed) - 1, f"{lost} lost browsers were counted of {len(killed)}")
        pid = on.program.process.pid
        left = lambda: children(pid)
        profiles = pathlib.Path(on.home) / "data" / "browser"
        on.program.stop()
        equal(left(), [], "processes left behind")
        equal([p.name for p in profiles.iterdir()] if profiles.exists() else [], [], "profiles left behind")


def browsers_end_when_idle_and_with_a_killed_server():
    with server(browser={"idle_secs": 1}) as on:
        collect(on, "app_shop", [SITE.url("/app/p/1")])
        wait_for("the idle browser to end", lambda: not browsers(on), 20)
        collect(on, "app_shop", [SITE.url("/app/p/2")])
        mine = browsers(on)
        expect(mine, "no browser although a page was just rendered")
        family = [*mine, *children(mine[0])]
        on.program.kill()
        wait_for("the browser to end with its server",
                 lambda: not [p for p in family if "remote-debugging-pipe" in command(p)], 20)
        on.launch()
        wait_for("the server to come back", on.has_listened, 30)


def a_missing_browser_is_said_and_stops_nothing():
    with server(browser={"path": "/nowhere/chromium"}) as on:
        urls = [SITE.url("/app/p/1"), SITE.product(2)]
        rows = by_input(collect(on, "app_auto", urls))
        row = rows[urls[0]]
        equal(row.get("error_code"), "no_browser", "the code of a shell without a browser")
        for part in ("apt-get install chromium-headless-shell", "browser.path", "/nowhere/chromium"):
            expect(part in row["error"], f"`{part}` is not in: {row['error']}")
        equal(rows[urls[1]].get("sku"), truth(2)["sku"], "a plain page beside it")
        told = [line for line in on.program.lines if "apt-get install chromium-headless-shell" in line]
        equal(len(told), 1, f"lines at the start that tell it ({told})")
        expect("app_shop" in told[0], f"the line names no scraper: {told[0]}")
    # Nobody needs one: nobody hears of it.
    with Server({"browser": {"path": "/nowhere/chromium"}}) as on:
        collect(on, "web_page", [SITE.product(3)])
        equal([line for line in on.program.lines if "chromium" in line], [], "lines about a browser that nobody needs")


if __name__ == "__main__":
    with Site() as SITE:
        failed = run(
            every_way_of_a_script_rendered_shop, auto_turns_to_the_browser_for_shells_only,
            pages_that_loop_hog_or_never_come_end_as_rows, nothing_inside_is_reached, a_killed_browser_loses_nothing,
            browsers_end_when_idle_and_with_a_killed_server, a_missing_browser_is_said_and_stops_nothing,
        )
    sys.exit(failed)
