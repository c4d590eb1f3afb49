"""Who rendered pages are fetched as, by the real Chromium: sessions and logins shared with plain pages, headers that go to
nobody else, proxies, the operator's authorities, the pace of hosts, and pictures that are delivered."""
import base64
import gzip
import http.client
import http.server
import json
import select
import socket
import sys
import tempfile
import threading
import time
import pathlib

from harness import LOOPBACK, Receiver, Server, Site, equal, expect, folder, ndjson_rows, run, short

PASSWORD = "correct horse"
KEY = "key-of-the-api-7c1d"
VISITS = """
dataset_id = "gd_{name}"
title = "Visits"
sites = ["127.0.0.1"]

[fetch]
mode = "browser"
{fetch}

[fetch.browser]
wait = [{{ selector = ".done", timeout_ms = 8000 }}]

[doors.collect_by_url]
start = "page"
inputs.url = {{ type = "url", required = true }}
inputs.country = {{ type = "country" }}

[pages.page]
record = true

[fields.agent]
required = true
from = [{{ css = "h1" }}]

[fields.visits]
type = "integer"
from = [{{ css = ".visits" }}]

[fields.cookie]
from = [{{ css = ".cookie" }}]

[fields.key]
from = [{{ css = ".key" }}]

[fields.seen]
from = [{{ css = ".seen" }}]
"""
MEMBERS = """
dataset_id = "gd_{name}"
title = "Members"
sites = ["127.0.0.1"]
fetch = "browser"

[login]
{mode}
steps = [
  {{ get = "{base}{page}" }},
  {{ submit = "#login", fields = {{ user = "ada", password = "{{secret.SHOP_PASSWORD}}" }}, expect = {{ cookie = "sid", css = ".member" }} }},
]
logged_out = {{ url = "/login" }}

[doors.collect_by_url]
start = "page"
inputs.url = {{ type = "url", required = true }}

[pages.page]
record = true

[fields.member]
required = true
from = [{{ css = ".member" }}]

[fields.number]
type = "integer"
from = [{{ css = ".number" }}]
"""
TITLE = """
dataset_id = "gd_title"
title = "Titles"
sites = ["127.0.0.1"]
fetch = "browser"

[doors.collect_by_url]
start = "page"
inputs.url = { type = "url", required = true }

[pages.page]
record = true

[fields.title]
required = true
from = [{ css = "h1" }]
"""
SITE = None
AUTHORITY = None


def write(home, name, text):
    (home / name).mkdir()
    (home / name / "scraper.toml").write_text(text, encoding="utf-8")


def visits(home, name, fetch=""):
    write(home, name, VISITS.format(name=name, fetch=fetch))


def collect(server, dataset, inputs, secs=60, **query):
    snapshot = server.trigger(inputs, dataset_id=dataset, include_errors="true", **query)
    server.wait(snapshot, secs=secs)
    return server.rows(snapshot)


def pairs(line):
    return dict(pair.split("=", 1) for pair in line.split("; ") if pair)


# ---------------------------------------------------------------- checks
def a_session_is_shared_by_pages_and_by_jobs():
    with folder() as home:
        for name, fetch in (("alone", ""), ("job", 'session = "job"'), ("named", 'session = "shop"\nuser_agent = "Shop/3 (test)"')):
            visits(home, name, fetch)
        with Server({"log": "trace", "fetch": {"allow_networks": LOOPBACK, "host_concurrency": 1}}, scrapers=home) as server:
            pages = [{"url": SITE.url(f"/app/visits?n={n}")} for n in range(4)]
            equal([row["visits"] for row in collect(server, "gd_alone", pages)], [1] * 4, "visits without a session")
            rows = collect(server, "gd_job", pages)
            equal(sorted(row["visits"] for row in rows), [1, 2, 3, 4], "visits within a job's session")
            equal(sorted(row["visits"] for row in collect(server, "gd_job", pages)), [1, 2, 3, 4], "of the next job")
            expect(all("Trawl/" in row["agent"] for row in rows), f"the agent: {rows[0]['agent']}")
            one = collect(server, "gd_named", pages[:1])[0]
            again = collect(server, "gd_named", pages[:1])[0]
            equal((one["visits"], again["visits"]), (1, 2), "visits of a named session over two jobs")
            equal(pairs(again["cookie"]).get("visits"), "2", "the cookie that the site was sent")
            equal(one["agent"], "Shop/3 (test)", "the agent of the scraper")
            # Another page of the same session that the caller names.
            mine = [collect(server, "gd_alone", pages[:1], session="mine")[0]["visits"] for _ in range(2)]
            equal(mine, [1, 2], "visits of the caller's session")
            server.program.stop()
            log = "\n".join(server.program.lines)
            expect("visits=2" not in log, "a cookie is in the log")


class Sites:
    """Two sites (127.0.0.1 and 127.0.0.2) that remember what they were sent; pages ask both, and lead to the other."""

    PAGE = """<!doctype html><title>x</title><div id=app></div><script>
    const port = location.port, go = new URLSearchParams(location.search).get('go');
    const other = 'http://127.0.0.2:' + port;
    const frame = document.createElement('iframe'); frame.src = other + '/frame'; document.body.append(frame);
    Promise.allSettled([fetch('/own'), fetch(other + '/cross', {mode: 'no-cors'}), fetch('/hop', {mode: 'no-cors'})]).then(() => {
      document.body.insertAdjacentHTML('beforeend', '<h1>page</h1><div class=done></div>');
    });</script>"""

    def __enter__(self):
        self.seen, self.lock = [], threading.Lock()
        sites = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                host = self.server.server_address[0]
                port = self.server.server_address[1]
                with sites.lock:
                    sites.seen.append((host, self.path.split("?")[0], {k.lower(): v for k, v in self.headers.items()}))
                path = self.path.split("?")[0]
                to = {"/away": "/landed", "/hop": "/hopped"}.get(path)
                body = Sites.PAGE if path in ("/page", "/landed") else "<p>x"
                if path == "/back":
                    body = f"<script>location.href = 'http://127.0.0.1:{port}/returned'</script>"
                self.send_response(302 if to else 200)
                if to:
                    self.send_header("Location", f"http://127.0.0.2:{port}{to}")
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_):
                pass

        self.servers = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)]
        port = self.servers[0].server_address[1]
        self.servers.append(http.server.ThreadingHTTPServer(("127.0.0.2", port), Handler))
        self.base = f"http://127.0.0.1:{port}"
        for server in self.servers:
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        for server in self.servers:
            server.shutdown()
            server.server_close()

    def sent(self, name):
        with self.lock:
            return {(host[-1], path): lines.get(name) for host, path, lines in self.seen if path != "/favicon.ico"}


def headers_go_to_the_page_s_own_site_only():
    with folder() as home, Sites() as sites:
        headers = '[fetch]\nmode = "browser"\nheaders = { X-Api-Key = "{secret.API_KEY}", X-Plain = "plain" }\n'
        write(home, "title", TITLE.replace('fetch = "browser"\n', headers))
        settings = {"log": "trace", "secrets": {"API_KEY": KEY}, "fetch": {"allow_networks": LOOPBACK, "robots": "ignore"}}
        with Server(settings, scrapers=home) as server:
            lines = {"Authorization": "Bearer tok-en-of-the-job", "Cookie": "mine=coo-kie-of-the-job", "Accept-Language": "de"}
            body = {"input": [{"url": sites.base + path} for path in ("/page", "/away", "/page?x=1")], "request_headers": lines}
            rows = collect(server, "gd_title", body, archive="true")
            equal([row.get("title") for row in rows], ["page"] * 3, f"the pages: {short(rows)}")
            own = {("1", path) for path in ("/page", "/own", "/away", "/hop")}
            for name, value in (("x-api-key", KEY), ("authorization", "Bearer tok-en-of-the-job"), ("x-plain", "plain")):
                got = sites.sent(name)
                expect({("2", "/frame"), ("2", "/cross"), ("2", "/hopped"), ("2", "/landed")} <= set(got), f"what was asked: {sorted(got)}")
                equal({at for at, was in got.items() if was == value}, own, f"who was sent `{name}`")
            cookies = sites.sent("cookie")
            equal({at for at, was in cookies.items() if was}, own, "who was sent the job's cookie")
            equal(cookies[("1", "/page")], "mine=coo-kie-of-the-job", "the cookie")
            equal({was for was in sites.sent("accept-language").values()} - {"de", "de,de;q=0.9"}, set(), "languages")
            snapshot = server.get("/datasets/v3/snapshots", dataset_id="gd_title").json()[0]["id"]
            kept = gzip.decompress(server.get(f"/datasets/v3/snapshot/{snapshot}/archive").body)
            server.program.stop()
            places = {"the log": "\n".join(server.program.lines).encode(), "the archive": kept}
            needles = (KEY, "tok-en-of-the-job", "coo-kie-of-the-job")
            equal([(place, n) for place, text in places.items() for n in needles if n.encode() in text], [], "secrets seen")


def logins_hold_for_rendered_pages():
    with folder() as home:
        write(home, "plainly", MEMBERS.format(name="plainly", base=SITE.base, page="/login", mode=""))
        write(home, "scripted", MEMBERS.format(name="scripted", base=SITE.base, page="/app/login", mode='mode = "browser"'))
        with Server({"log": "trace", "secrets": {"SHOP_PASSWORD": PASSWORD}}, scrapers=home) as server:
            for name in ("plainly", "scripted"):
                before = SITE.get("/stats").json()["by_prefix"].get("/login", 0)
                rows = collect(server, f"gd_{name}", [{"url": SITE.url(f"/account/{n}")} for n in range(12)], archive="true")
                equal(sorted(row.get("number", -1) for row in rows), list(range(12)), f"{name}: pages of the account: {short(rows[:2])}")
                equal({row["member"] for row in rows}, {"ada"}, f"{name}: who was logged in")
                equal(SITE.get("/stats").json()["by_prefix"]["/login"] - before, 2, f"{name}: requests to the login")
            server.program.stop()
            places = {"the log": "\n".join(server.program.lines).encode()}
            for path in (server.home / "data").rglob("*"):
                if path.is_file():
                    places[str(path)] = path.read_bytes()
            needles = (PASSWORD.encode(), b"correct+horse", b"correct%20horse")
            equal([(place, n) for place, text in places.items() for n in needles if n in text], [], "secrets seen")


class Proxy:
    """An HTTP proxy with tunnels that wants a password, and counts. `dead`: it breaks off whatever comes."""

    def __init__(self, user="me", password="se-cret", dead=False):
        self.wanted = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        self.dead, self.tunnels, self.plain, self.refused = dead, 0, 0, 0
        self.sock = socket.socket()
        self.sock.bind(("127.0.0.1", 0))
        self.sock.listen(64)
        self.address = f"127.0.0.1:{self.sock.getsockname()[1]}"

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.sock.close()

    def _accept(self):
        while True:
            try:
                peer, _ = self.sock.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer):
        with peer:
            head = b""
            while b"\r\n\r\n" not in head:
                more = peer.recv(65536)
                if not more:
                    return
                head += more
            if self.dead:
                self.refused += 1
                return
            first, _, rest = head.partition(b"\r\n")
            method, target, _ = first.decode().split(" ")
            if f"proxy-authorization: {self.wanted}".lower() not in head.decode().lower():
                self.refused += 1
                peer.sendall(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            if method == "CONNECT":
                self.tunnels += 1
                host, port = target.rsplit(":", 1)
            else:
                self.plain += 1
                host, port = target.split("/")[2].rsplit(":", 1)
                path = "/" + target.split("/", 3)[3]
                lines = [line for line in rest.split(b"\r\n") if not line.lower().startswith(b"proxy-")]
                head = f"{method} {path} HTTP/1.1\r\n".encode() + b"\r\n".join(lines)
            try:
                site = socket.create_connection(("127.0.0.1" if host.endswith(".test") else host, int(port)), 5)
            except OSError:
                peer.sendall(b"HTTP/1.1 502 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            with site:
                if method == "CONNECT":
                    peer.sendall(b"HTTP/1.1 200 Yes\r\n\r\n")
                else:
                    site.sendall(head)
                while True:
                    for ready in select.select([peer, site], [], [], 20)[0] or [None]:
                        data = ready.recv(65536) if ready else b""
                        if not data:
                            return
                        (site if ready is peer else peer).sendall(data)


def proxies_are_the_way_of_rendered_pages_too():
    doors = dict(line.split(" on ") for line in SITE.program.lines if " on https://" in line)
    with folder() as home, Proxy() as us, Proxy() as de, Proxy() as good, Proxy(dead=True) as dead, Proxy(password="other") as wrong:
        visits(home, "visits")
        visits(home, "homes", 'proxy = "homes"\nsession = "job"')
        visits(home, "pair", 'proxy = "pair"')
        visits(home, "wrong", 'proxy = "wrong"')
        write(home, "title", TITLE)
        pool = [f"http://me:se-cret@{us.address}#country=us", f"http://me:se-cret@{de.address}#country=de,label=homes",
                f"http://me:se-cret@{dead.address}#label=pair", f"http://me:se-cret@{good.address}#label=pair", f"http://me:se-cret@{wrong.address}#label=wrong"]
        fetch = {"allow_networks": LOOPBACK, "robots": "ignore", "proxy": pool, "extra_ca": str(AUTHORITY)}
        with Server({"log": "debug", "fetch": fetch}, scrapers=home) as server:
            page = SITE.url("/app/visits")
            rows = collect(server, "gd_visits", [{"url": page + f"?n={n}", "country": code} for n in range(2) for code in ("us", "DE", "fr")])
            codes = {}
            for row in rows:
                codes.setdefault(row["input"]["country"], set()).add(row.get("error_code"))
            equal(codes, {"us": {None}, "DE": {None}, "fr": {"proxy_error"}}, "countries")
            # Each page, its script, and what that asked for.
            expect(us.plain >= 6 and de.plain >= 6, f"requests through the proxies: {us.plain}, {de.plain}")
            before = us.plain
            rows = collect(server, "gd_homes", [{"url": page + f"?m={n}"} for n in range(3)])
            equal([row.get("error_code") for row in rows], [None] * 3, f"pages by label: {short(rows)}")
            equal(us.plain, before, "requests through another proxy than the label's")
            rows = collect(server, "gd_title", [{"url": doors["good"] + "/p/1"}])
            equal([bool(row.get("title")) for row in rows], [True], f"a page over TLS: {short(rows)}")
            expect(us.tunnels + de.tunnels + good.tunnels >= 1, "no tunnel")
            rows = collect(server, "gd_pair", [{"url": page + f"?p={n}"} for n in range(4)])
            equal([row.get("error_code") for row in rows], [None] * 4, f"pages although one proxy breaks off: {short(rows)}")
            expect(dead.refused >= 1, "the broken one was never tried")
            rows = collect(server, "gd_wrong", [{"url": page}], deadline="3s")
            expect(rows[0].get("error_code") in ("proxy_error", "aborted_page"), f"a proxy that refuses us: {short(rows)}")
            shown = server.get("/proxies").json()
            expect("(407)" in json.dumps(shown), f"the refusal is told: {shown}")
            expect("se-cret" not in json.dumps(shown), "a password is shown")
            server.program.stop()
            expect("se-cret" not in "\n".join(server.program.lines), "a password is in the log")


def the_operator_s_authorities_are_trusted_and_no_others():
    doors = dict(line.split(" on ") for line in SITE.program.lines if " on https://" in line)
    url = lambda name: f"https://tls.test:{doors[name].rsplit(':', 1)[1]}/p/0"
    names = ("good", "expired", "not-yet", "other-name", "self-signed", "unknown-ca")
    with folder() as home:
        write(home, "title", TITLE)
        fetch = {"allow_networks": LOOPBACK, "names": ["tls.test=127.0.0.1"], "robots": "ignore"}
        for ca, trusted in ((str(AUTHORITY), {"good"}), ("", set())):
            with Server({"fetch": dict(fetch, extra_ca=ca)}, scrapers=home) as server:
                rows = collect(server, "gd_title", [{"url": url(name)} for name in names], secs=90)
                got = {name for name in names for row in rows if row["input"]["url"] == url(name) and row.get("title")}
                equal(got, trusted, f"doors that are trusted with extra_ca={bool(ca)}: {short([r.get('error') for r in rows], 600)}")


def the_pace_learns_from_rendered_pages():
    with folder() as home:
        write(home, "title", TITLE)
        with Server({"fetch": {"allow_networks": LOOPBACK, "robots": "ignore", "connect_timeout_ms": 1000}}, scrapers=home) as server:
            host = SITE.base.split("//")[1]
            collect(server, "gd_title", [{"url": SITE.product(n)} for n in range(3)])
            view = server.get(f"/hosts/{host}").json()
            equal((view["answers"], view["slow_downs"], view["circuit"]), (3, 0, "closed"), f"a host that answers: {view}")
            expect(0 < view["latency_ms"] < 400, f"the host's own latency, not that of its scripts: {view['latency_ms']}")
            begun = time.monotonic()
            rows = collect(server, "gd_title", [{"url": SITE.url("/bad/retry-after/2/1/5")}])
            took = time.monotonic() - begun
            view = server.get(f"/hosts/{host}").json()
            expect(rows[0].get("title") and view["slow_downs"] >= 1, f"a page after 429: {short(rows)} {view}")
            expect(took >= 2, f"Retry-After was not waited for: {took:.1f} s")
            with socket.socket() as sock:
                sock.bind(("127.0.0.1", 0))
                dead = f"127.0.0.1:{sock.getsockname()[1]}"
            rows = collect(server, "gd_title", [{"url": f"http://{dead}/{n}"} for n in range(4)], deadline="15s")
            view = server.get(f"/hosts/{dead}").json()
            equal({row.get("error_code") for row in rows}, {"crawl_error"}, "rows of a dead host")
            expect(view["failures"] >= 2 and view["circuit"] != "closed", f"a dead host: {view}")


def pictures_are_delivered():
    with folder() as home, Receiver() as receiver:
        visits(home, "visits")
        with Server(scrapers=home) as server:
            pages = [{"url": SITE.url(f"/app/visits?n={n}")} for n in range(2)]
            snapshot = server.trigger(pages, dataset_id="gd_visits", endpoint=receiver.url(), download_fields="screenshot", uncompressed_webhook="true")
            server.wait(snapshot)
            posts = receiver.wait(n=2)
            lines = ndjson_rows(next(p for p in posts if p.headers.get("X-Artifact") == "screenshot").body().decode())
            equal(sorted(line["url"] for line in lines), sorted(page["url"] for page in pages), "pages with a picture")
            for line in lines:
                png = base64.b64decode(line["screenshot"])
                equal(png[:8], b"\x89PNG\r\n\x1a\n", "the picture's beginning")
                width, height = int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")
                expect(width == 1280 and height >= 600, f"the picture's size: {width} by {height}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        AUTHORITY = pathlib.Path(home) / "authority.pem"
        with Site("--on-demand", "--tls", str(AUTHORITY)) as SITE:
            failed = run(
                a_session_is_shared_by_pages_and_by_jobs, headers_go_to_the_page_s_own_site_only,
                logins_hold_for_rendered_pages, proxies_are_the_way_of_rendered_pages_too,
                the_operator_s_authorities_are_trusted_and_no_others, the_pace_learns_from_rendered_pages,
                pictures_are_delivered,
            )
    sys.exit(failed)
