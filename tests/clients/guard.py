"""Sixty ways and more to an address off limits, through the API: as inputs, behind redirects, names, sitemaps, links, robots.txt,
proxies, webhooks and notifications. Judged by a trap: it listens on every address of this machine and must see nobody."""
import http.server
import socket
import sys
import threading
import urllib.parse

from harness import Receiver, Server, Site, equal, expect, run, short, wait_for

QUICK = {"connect_timeout_ms": 1000, "idle_timeout_ms": 1000, "page_timeout_ms": 3000}
# The trap's port stands for {p}. All of these mean this machine, its neighbours or its cloud.
TRICKS = [
    # Loopback: decimal, octal, hexadecimal, short, mixed.
    "127.0.0.1:{p}", "127.1:{p}", "127.0.1:{p}", "127.255.255.254:{p}", "2130706433:{p}", "017700000001:{p}", "0177.0.0.1:{p}",
    "0177.1:{p}", "0x7f000001:{p}", "0x7f.1:{p}", "0X7F.0x0.0.1:{p}", "0x7f.0.0.0x1:{p}", "127.0.0.1.:{p}", "0x7f.0.1:{p}",
    # This host.
    "0:{p}", "0.0.0.0:{p}", "0x0:{p}", "00000000000:{p}", "0.1.2.3:{p}", "[::]:{p}",
    # Percent, full-width digits and dots, circled digits, ideographic dots.
    "%31%32%37.0.0.1:{p}", "127%2e0%2e0%2e1:{p}", "\uff11\uff12\uff17.0.0.1:{p}", "\u2460\u2461\u2466.\u24ea.\u24ea.\u2460:{p}",
    "127\u30020\u30020\u30021:{p}", "127\uff0e0\uff0e0\uff0e1:{p}", "127\uff610\uff610\uff611:{p}",
    # localhost and what is below it.
    "localhost:{p}", "LOCALHOST:{p}", "localhost.:{p}", "a.localhost:{p}", "a.b.localhost.:{p}", "loc\u00adalhost:{p}",
    "\uff4cocalhost:{p}", "%6cocalhost:{p}",
    # User information that looks like a host.
    "example.com@127.0.0.1:{p}", "example.com:80@127.0.0.1:{p}", "example.com%40x@127.0.0.1:{p}", "127.0.0.1:{p}@127.0.0.1:{p}",
    "user:pass@localhost:{p}",
    # IPv6: itself, mapped, compatible, translated, NAT64, 6to4, Teredo, ISATAP.
    "[::1]:{p}", "[0:0:0:0:0:0:0:1]:{p}", "[::0001]:{p}", "[::ffff:127.0.0.1]:{p}", "[::ffff:7f00:1]:{p}", "[0:0:0:0:0:ffff:7f00:1]:{p}",
    "[::127.0.0.1]:{p}", "[::ffff:0:127.0.0.1]:{p}", "[64:ff9b::127.0.0.1]:{p}", "[64:ff9b::7f00:1]:{p}", "[64:ff9b:1::7f00:1]:{p}",
    "[2002:7f00:1::]:{p}", "[2002:7f00:1::1]:{p}", "[2001:0:7f00:1::]:{p}", "[2001:0:808:808::80ff:fffe]:{p}", "[2a00::5efe:127.0.0.1]:{p}",
    # Zone ids.
    "[fe80::1%25lo]:{p}", "[fe80::1%25eth0]:{p}", "[::1%25lo]:{p}", "[fe80::1]:{p}",
    # The neighbours.
    "10.0.0.1:{p}", "012.0.0.1:{p}", "167772161:{p}", "172.16.0.1:{p}", "172.31.255.255:{p}", "192.168.0.1:{p}", "0xc0a80001:{p}",
    "192.168.257:{p}", "100.64.0.1:{p}", "[fc00::1]:{p}", "[fd12:3456::1]:{p}", "[fec0::1]:{p}", "[::ffff:10.0.0.1]:{p}",
    # The cloud's.
    "169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518", "[::ffff:a9fe:a9fe]", "[::a9fe:a9fe]",
    "[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::]", "[fd00:ec2::254]", "169.254.170.2", "100.100.100.200", "192.0.0.192", "168.63.129.16",
    # The rest of the registries.
    "224.0.0.1:{p}", "255.255.255.255:{p}", "192.0.2.1:{p}", "198.18.0.1:{p}", "240.0.0.1:{p}", "[ff02::1]:{p}", "[2001:db8::1]:{p}",
]
SITE = None
TRAP = None


class Trap:
    """Listens on every address of this machine, IPv4 and IPv6, and counts who comes."""

    def __init__(self):
        self.seen = []
        self.listeners = []
        four = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        four.bind(("0.0.0.0", 0))
        self.port = four.getsockname()[1]
        self.listeners.append(four)
        try:
            six = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
            six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            six.bind(("::", self.port))
            self.listeners.append(six)
        except OSError as error:
            print(f"        no IPv6 on this machine ({error}): the trap stands on IPv4 alone")
        for listener in self.listeners:
            listener.listen(64)
            threading.Thread(target=self._wait, args=(listener,), daemon=True).start()

    def _wait(self, listener):
        while True:
            connection, peer = listener.accept()
            self.seen.append(peer)
            connection.close()

    def is_empty(self, what):
        equal(self.seen, [], f"who fell into the trap: {what}")


class Pages:
    """A site of the test's own on 127.0.0.2, the one address that is allowed: what it serves leads into the trap."""

    def __init__(self):
        self.asked = []
        pages = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                pages.asked.append(self.path)
                status, lines, body = pages.answer(self.path.split("?")[0])
                self.send_response(status)
                for name, value in lines.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_CONNECT = do_GET

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.2", 0), Handler)
        self.server.daemon_threads = True
        self.base = f"http://127.0.0.2:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def answer(self, path):
        inside = [f"http://{trick.format(p=TRAP.port)}/x" for trick in TRICKS if "%25" not in trick]
        html = {"Content-Type": "text/html; charset=utf-8"}
        if path == "/robots.txt":
            return 302, {"Location": f"http://127.0.0.1:{TRAP.port}/robots.txt"}, b""
        if path == "/sitemap.xml":
            entries = "".join(f"<url><loc>{url}</loc></url>" for url in inside)
            return 200, {"Content-Type": "application/xml"}, f"<urlset>{entries}</urlset>".encode()
        if path == "/index.xml":
            entries = "".join(f"<sitemap><loc>{url}</loc></sitemap>" for url in inside)
            return 200, {"Content-Type": "application/xml"}, f"<sitemapindex>{entries}</sitemapindex>".encode()
        if path == "/list":
            items = "".join(f'<div class="card"><a class="card__link" href="{url}">x</a></div>' for url in inside)
            return 200, html, f'<html><body>{items}<a rel="next" href="http://127.1:{TRAP.port}/next">Next</a></body></html>'.encode()
        body = (f'<html><head><title>Fine</title><meta http-equiv="refresh" content="0; url=http://127.0.0.1:{TRAP.port}/">'
                f'<link rel="canonical" href="http://127.0.0.1:{TRAP.port}/"></head><body><h1>Fine</h1><img src="http://127.0.0.1:{TRAP.port}/i">'
                f'<iframe src="http://127.0.0.1:{TRAP.port}/f"></iframe><p>Words.</p></body></html>')
        return 200, html, body.encode()


def refused(server, urls, secs=90):
    """Collects; the rows by address, each of which must be an address refused."""
    snapshot = server.trigger([{"url": url} for url in urls], dataset_id="web_page", include_errors="true")
    server.wait(snapshot, secs=secs)
    rows = {row["input"]["url"]: row.get("error_code") for row in server.rows(snapshot)}
    wrong = {url: code for url, code in rows.items() if code != "bad_input"}
    equal(wrong, {}, "addresses off limits without a bad_input row")
    equal(len(rows), len(urls), "rows")


def as_inputs():
    """Each alone: refused with the request, or as a row."""
    expect(len(TRICKS) >= 60, f"{len(TRICKS)} tricks are fewer than sixty")
    with Server({"fetch": QUICK}, bare=True) as server:
        passed = []
        for trick in TRICKS:
            for scheme in ("http", "https"):
                url = f"{scheme}://{trick.format(p=TRAP.port)}/x"
                answer = server.call("POST", "/datasets/v3/scrape", {"dataset_id": "web_page", "include_errors": "true"}, [{"url": url}])
                code = answer.json().get("error_code") if answer.status == 200 else None
                if not (answer.status == 400 or code == "bad_input"):
                    passed.append(f"{url}: {short(str(answer), 120)}")
        equal(passed, [], "tricks that were not refused")
        print(f"        {len(TRICKS)} tricks, each over http and https")
    TRAP.is_empty("inputs")


def behind_redirects():
    """The site that redirects is allowed, by its one address."""
    with Server({"fetch": dict(QUICK, allow_networks=[f"127.0.0.1:{port(SITE.base)}"])}, bare=True) as server:
        targets = [f"http://{trick.format(p=TRAP.port)}/x" for trick in TRICKS if "%25" not in trick]
        refused(server, [SITE.url("/bad/redirect-to?url=" + urllib.parse.quote(target, safe="")) for target in targets])
        rows = [SITE.url("/bad/redirect-to?url=" + urllib.parse.quote(target, safe="")) for target in ("file:///etc/passwd", "gopher://127.0.0.1/x", "ftp://127.0.0.1/")]
        snapshot = server.trigger([{"url": url} for url in rows], dataset_id="web_page", include_errors="true")
        server.wait(snapshot)
        expect(all("error_code" in row for row in server.rows(snapshot)), "a redirect to another scheme gave a record")
    TRAP.is_empty("redirects")


def behind_names():
    """A name inside, a name with two addresses of which one is inside, in every spelling."""
    names = ["inside.test=127.0.0.1", "mixed.test=127.0.0.2", "mixed.test=127.0.0.1", "six.test=::1", "cloud.test=169.254.169.254",
             "mapped.test=::ffff:127.0.0.1", "any.test=0.0.0.0"]
    hosts = ["inside.test", "INSIDE.TEST", "inside.test.", "mixed.test", "six.test", "cloud.test", "mapped.test", "any.test", "in\u00adside.test",
             "\uff49nside.test"]
    with Server({"fetch": dict(QUICK, names=names, allow_networks=["127.0.0.2/32"])}, bare=True) as server:
        refused(server, [f"http://{host}:{TRAP.port}/x" for host in hosts] + [f"https://{host}:{TRAP.port}/x" for host in hosts])
    TRAP.is_empty("names")


def behind_pages():
    """Sitemaps, indexes of sitemaps, links, next pages; robots.txt that redirects; meta refresh, frames and images, which are not followed."""
    pages = dict(QUICK, allow_networks=["127.0.0.2/32"])
    # A robots.txt that leads into the trap cannot be had, and disallows: the pages are asked for without it first.
    with Server({"fetch": dict(pages, robots="ignore")}, bare=True) as server:
        # Where nothing is found but sitemaps off limits, the discovery as a whole has failed.
        for path, by, dataset, state in [("/sitemap.xml", "sitemap", "web_page", "ready"), ("/index.xml", "sitemap", "web_page", "failed"),
                                         ("/list", "profile_url", "posts", "ready")]:
            snapshot = server.trigger([{"url": PAGES.base + path}], dataset_id=dataset, type="discover_new", discover_by=by, include_errors="true")
            server.wait(snapshot, secs=90, state=state)
            if state == "failed":
                continue
            rows = server.rows(snapshot)
            expect(rows, f"{path} led nowhere")
            equal({row.get("error_code") for row in rows}, {"bad_input"}, f"rows of {path}")
        snapshot = server.trigger([{"url": PAGES.base + "/fine"}], dataset_id="web_page", include_errors="true")
        server.wait(snapshot)
        (row,) = server.rows(snapshot)
        equal(row.get("page_title"), "Fine", f"a page that refreshes into the trap: {short(str(row))}")
    with Server({"fetch": pages}, bare=True) as server:
        snapshot = server.trigger([{"url": PAGES.base + "/fine"}], dataset_id="web_page", include_errors="true")
        server.wait(snapshot, secs=90)
        (row,) = server.rows(snapshot)
        expect("robots" in str(row.get("error", "")), f"a robots.txt that leads into the trap: {short(str(row))}")
    TRAP.is_empty("pages")


def behind_a_proxy():
    """The proxy would go anywhere: what is off limits is not even asked of it."""
    settings = {"fetch": dict(QUICK, proxy=[PAGES.base], allow_networks=["127.0.0.2/32"])}
    with Server(settings, bare=True) as server:
        before = len(PAGES.asked)
        refused(server, [f"http://{trick.format(p=TRAP.port)}/x" for trick in TRICKS if "%25" not in trick])
        equal(PAGES.asked[before:], [], "what the proxy was asked for")
    TRAP.is_empty("a proxy")


def behind_webhooks():
    """What opens pages opens no webhook: endpoint, notify, and a delivery by hand."""
    some = TRICKS[::4]
    with Server({"fetch": dict(QUICK, allow_networks=["127.0.0.0/8"])}, bare=True) as server:
        for trick in some:
            url = f"http://{trick.format(p=TRAP.port)}/hook"
            answer = server.call("POST", "/datasets/v3/trigger", {"dataset_id": "web_page", "endpoint": url, "notify": url},
                                 [{"url": SITE.product(1)}])
            if answer.status == 200:
                server.wait(answer.json()["snapshot_id"])
        snapshot = server.trigger([{"url": SITE.product(2)}], dataset_id="web_page")
        server.wait(snapshot)
        ended = []
        for trick in some:
            url = f"http://{trick.format(p=TRAP.port)}/hook"
            answer = server.call("POST", f"/datasets/v3/deliver/{snapshot}", body={"deliver": {"type": "webhook", "endpoint": url}})
            if answer.status == 200:
                number = answer.json()["id"]
                status = wait_for("the delivery's end", lambda: end_of(server, number))
                ended.append(status)
        equal(set(ended), {"failed"}, "deliveries to addresses off limits")
    TRAP.is_empty("webhooks")


def what_is_allowed_is_reached():
    """The other side: ranges that the operator opened, for pages and for webhooks."""
    with Receiver() as receiver:
        settings = {"fetch": dict(QUICK, allow_networks=[f"127.0.0.1:{port(SITE.base)}", "127.0.0.2/32"], names=["shop.test=127.0.0.1"]),
                    "deliver": {"allow_networks": ["127.0.0.1/32"]}}
        with Server(settings, bare=True) as server:
            at = port(SITE.base)
            urls = [SITE.product(1), f"http://127.1:{at}/p/2", f"http://2130706433:{at}/p/3", f"http://[::ffff:127.0.0.1]:{at}/p/4",
                    f"http://localhost:{at}/p/5", f"http://shop.test:{at}/p/6", f"http://SHOP.test.:{at}/p/7"]
            snapshot = server.trigger([{"url": url} for url in urls], dataset_id="demo_shop", include_errors="true", endpoint=receiver.url("/hook"))
            server.wait(snapshot)
            errors = {row["input"]["url"]: row["error_code"] for row in server.rows(snapshot) if "error_code" in row}
            equal(errors, {}, "addresses that are allowed")
            receiver.wait("/hook")


def port(base):
    return base.rsplit(":", 1)[1]


def end_of(server, number):
    status = server.get(f"/datasets/v3/delivery/{number}").json()["status"]
    return None if status == "running" else status


if __name__ == "__main__":
    TRAP, PAGES = Trap(), Pages()
    with Site("--on-demand", "--pages", "100") as SITE:
        failed = run(as_inputs, behind_redirects, behind_names, behind_pages, behind_a_proxy, behind_webhooks, what_is_allowed_is_reached)
    sys.exit(failed)
