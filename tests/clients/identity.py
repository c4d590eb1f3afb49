"""Who pages are fetched as: logins with secrets that are seen nowhere, sessions, headers of a job, and pools of proxies that
choose by country and lose nothing when they flap."""
import http.client
import http.server
import json
import os
import subprocess
import sys
import threading
import urllib.parse

from harness import LOOPBACK, Server, Site, binary, equal, expect, folder, run, short, wait_for

PASSWORD = "correct horse"
WRONG = "hunter2-is-wrong"
KEY = "key-1f9c-of-the-api"
MEMBERS = """
dataset_id = "gd_{name}"
title = "Members"
sites = ["127.0.0.1"]

[fetch]
headers.X-Api-Key = "{{secret.API_KEY}}"

[login]
steps = [
  {{ get = "{base}/login" }},
  {{ submit = "#login", fields = {{ user = "{user}", password = "{{secret.{secret}}}" }}, expect = {{ cookie = "sid", css = ".member" }} }},
]
logged_out = {{ url = "/login" }}

[doors.collect_by_url]
start = "page"
inputs.url = {{ type = "url", required = true }}

[pages.page]
record = true

[fields.title]
required = true
from = [{{ css = "h1" }}]

[fields.member]
from = [{{ css = ".member" }}]

[fields.number]
type = "integer"
from = [{{ css = ".number" }}]
"""
ECHO = """
dataset_id = "gd_echo"
title = "Echo"
carries_extra_inputs = true

[fetch]
user_agent = "Echo/1"
{fetch}

[doors.collect_by_url]
start = "echo"
inputs.url = {{ type = "url", required = true }}
inputs.country = {{ type = "country" }}

[doors.discover_by_url]
start = "links"
inputs.url = {{ type = "url", required = true }}

[pages.links]
follow = [{{ each = {{ css = "a" }}, link = {{ css = ":scope", attr = "href" }}, to = "echo", found = true }}]

[pages.echo]
format = "json"
record = true

[fields.target]
from = [{{ json = "$.target" }}]

[fields.headers]
type = "json"
from = [{{ json = "$.headers" }}]
"""
SITE = None


def write(home, name, text):
    (home / name).mkdir()
    (home / name / "scraper.toml").write_text(text, encoding="utf-8")


def members(home, name, user, secret="SHOP_PASSWORD"):
    write(home, name, MEMBERS.format(name=name, base=SITE.base, user=user, secret=secret))


def collect(server, dataset, inputs, state="ready", secs=60, **query):
    snapshot = server.trigger(inputs, dataset_id=dataset, include_errors="true", **query)
    server.wait(snapshot, secs=secs, state=state)
    return snapshot, server.rows(snapshot)


def logins():
    """Requests to the login so far: two for each."""
    return SITE.get("/stats").json()["by_prefix"].get("/login", 0)


def accounts(n, first=0):
    return [{"url": SITE.url(f"/account/{at}")} for at in range(first, first + n)]


def a_login_is_done_once_and_its_secrets_are_seen_nowhere():
    secrets = {"SHOP_PASSWORD": PASSWORD, "BAD_PASSWORD": WRONG}
    with folder() as home:
        for name, user, secret in [("ada", "ada", "SHOP_PASSWORD"), ("bad", "ada", "BAD_PASSWORD"), ("lost", "ada", "NOT_SET")]:
            members(home, name, user, secret)
        settings = {"log": "trace", "secrets": secrets, "fetch": {"proxy": []}}
        with Server(settings, scrapers=home, env={"TRAWL_SECRET_API_KEY": KEY}) as server:
            before = logins()
            snapshot, rows = collect(server, "gd_ada", accounts(80))
            equal(sorted(row.get("number", -1) for row in rows), list(range(80)), "the pages of the account")
            equal({row["member"] for row in rows}, {"ada"}, "who was logged in")
            equal(logins() - before, 2, "requests to the login: its form, and the form sent")
            collect(server, "gd_ada", accounts(5))
            equal(logins() - before, 2, "requests to the login after a second job")

            before = logins()
            bad, rows = collect(server, "gd_bad", accounts(80))
            equal({row.get("error_code") for row in rows}, {"login_failed"}, "rows behind a wrong password")
            expect("`expect.cookie` does not hold" in rows[0]["error"], f"the reason: {rows[0]['error']}")
            equal(logins() - before, 2, "requests to a login that was refused: no more until it has rested")

            lost, rows = collect(server, "gd_lost", accounts(2))
            equal({row.get("error_code") for row in rows}, {"login_failed"}, "rows without the secret")
            expect("`NOT_SET`" in rows[0]["error"], f"the reason: {rows[0]['error']}")
            about = server.get("/datasets/v3/scrapers", dataset_id="gd_lost").json()[0]
            expect("`NOT_SET`" in about.get("fault", ""), f"the fault of a file that names an unknown secret: {about.get('fault')}")
            equal(server.get("/datasets/v3/scrapers", dataset_id="gd_ada").json()[0].get("fault"), None, "the fault of the good one")

            places = {"/openapi.json": server.get("/openapi.json").body, "/metrics": server.get("/metrics").body,
                      "/proxies": server.get("/proxies").body, "scrapers": server.get("/datasets/v3/scrapers").body,
                      "list": server.get("/datasets/v3/snapshots", dataset_id="gd_ada").body}
            for name in (snapshot, bad, lost):
                for form in ("json", "ndjson", "csv"):
                    places[f"{name} as {form}"] = server.download(name, format=form).body
                places[f"log of {name}"] = server.get(f"/datasets/v3/log/{name}").body
            config = server.home / "config.toml"
            env = {**os.environ, "TRAWL_SECRET_API_KEY": KEY}
            shown = subprocess.run([binary("TRAWL_BIN", "trawl"), "config", "--config", str(config)], env=env, capture_output=True, check=True)
            places["trawl config"] = shown.stdout + shown.stderr
            expect(b"secrets.SHOP_PASSWORD" in shown.stdout, "`trawl config` names the secrets that there are")
            checked = subprocess.run([binary("TRAWL_BIN", "trawl"), "check", str(home / "lost"), "--config", str(config)], capture_output=True)
            places["trawl check"] = checked.stdout + checked.stderr
            expect(b"`NOT_SET`" in checked.stdout, f"`trawl check` names the secrets that lack: {checked}")
            server.program.stop()
            places["the log"] = "\n".join(server.program.lines).encode()
            for path in (server.home / "data").rglob("*"):
                if path.is_file():
                    places[str(path)] = path.read_bytes()
            expect(len(server.program.lines) > 100, "a log of everything has lines")
            needles = [text.encode() for word in (PASSWORD, WRONG, KEY) for text in (word, urllib.parse.quote_plus(word))]
            seen = [(place, needle) for place, text in places.items() for needle in needles if needle in text]
            equal(seen, [], f"secrets seen in {len(places)} places")


def a_session_that_ends_is_begun_again():
    with folder() as home:
        members(home, "brief", "brief")
        settings = {"secrets": {"SHOP_PASSWORD": PASSWORD, "API_KEY": KEY}, "fetch": {"host_concurrency": 2}}
        with Server(settings, scrapers=home) as server:
            before = logins()
            _, rows = collect(server, "gd_brief", accounts(40))
            equal(sorted(row.get("number", -1) for row in rows), list(range(40)), f"pages of sessions of five pages: {short(rows[:2])}")
            # Each login is its form twice: where the page led, and where the login begins; and the form sent.
            times = (logins() - before) / 3
            expect(8 <= times + 1 and times <= 30, f"{times} logins for 40 pages, five pages each")


class Echo:
    """Says what it was sent, on 127.0.0.1 and 127.0.0.2; `/links` leads to both."""

    def __enter__(self):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                port = self.server.server_address[1]
                links = "".join(f'<a href="http://127.0.0.{n}:{port}/found">x</a>' for n in (1, 2))
                said = json.dumps({"target": self.path, "headers": {k.lower(): v for k, v in self.headers.items()}})
                kind, body = ("text/html", links) if self.path == "/links" else ("application/json", said)
                self.send_response(200)
                self.send_header("Content-Type", kind)
                if self.path == "/set":
                    self.send_header("Set-Cookie", "seen=1; Path=/")
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


def headers_and_sessions_of_a_job():
    with folder() as home, Echo() as echo:
        write(home, "echo", ECHO.format(fetch=""))
        with Server({"log": "trace"}, scrapers=home) as server:
            def one(path, lines=None, **query):
                body = {"input": [{"url": echo.base + path}], "request_headers": lines or {}}
                return collect(server, "gd_echo", body, **query)[1]

            plain = one("/plain")[0]["headers"]
            equal((plain["user-agent"], plain.get("x-token")), ("Echo/1", None), "headers of the scraper")
            own = one("/own", {"User-Agent": "Job/2", "X-Token": "tok-en-of-the-job"})[0]["headers"]
            equal((own["user-agent"], own["x-token"]), ("Job/2", "tok-en-of-the-job"), "headers of the job")
            found = one("/links", {"Accept-Language": "de", "X-Token": "tok-en-of-the-job"}, type="discover_new", discover_by="url")
            got = {row["headers"]["host"].split(":")[0]: row["headers"] for row in found}
            equal({host: (lines.get("x-token"), lines["accept-language"]) for host, lines in got.items()},
                  {"127.0.0.1": ("tok-en-of-the-job", "de"), "127.0.0.2": (None, "de")}, "a token goes to the host of its row only")
            for bad in ({"Host": "a"}, {"a b": "c"}, {"X": "a\r\nB: c"}, {"X": 1}, "no"):
                answer = server.call("POST", "/datasets/v3/trigger", {"dataset_id": "gd_echo"},
                                     {"input": [{"url": echo.base}], "request_headers": bad})
                equal(answer.status, 400, f"request_headers {bad} → {answer}")

            # Another token may not have the site asked with these once more; its own, and the operator, may.
            def rerun(snapshot, secret=None, **query):
                lines = {"Authorization": f"Bearer {secret}"} if secret else {}
                return server.call("POST", f"/datasets/v3/snapshot/{snapshot}/rerun", query, None, lines, secret is None)

            made = [subprocess.run([binary("TRAWL_BIN", "trawl"), "token", "create", "--config", str(server.home / "config.toml"), "--data", str(server.home / "data")],
                                   capture_output=True, text=True, check=True).stdout.split()[-1] for _ in range(2)]
            anna, bert = made
            triggered = server.call("POST", "/datasets/v3/trigger", {"dataset_id": "gd_echo", "archive": "true"},
                                    {"input": [{"url": echo.base + "/own"}], "request_headers": {"X-Token": "tok-en-of-the-job"}},
                                    {"Authorization": f"Bearer {anna}"}, False)
            equal(triggered.status, 200, f"anna's job: {triggered}")
            hers = triggered.json()["snapshot_id"]
            server.wait(hers)
            equal([rerun(hers, secret).status for secret in (bert, anna, None)], [403, 200, 200], "who may run anna's job again")
            replay = rerun(hers, bert, **{"from": "archive"})
            equal(replay.status, 200, f"a replay sends nothing: {replay}")
            server.wait(replay.json()["snapshot_id"])
            again = rerun(replay.json()["snapshot_id"], bert).json()["snapshot_id"]
            server.wait(again)
            equal(server.rows(again)[0]["headers"].get("x-token"), None, "her header in a job of his")

            def cookie(path, **query):
                return one(path, **query)[0]["headers"].get("cookie")

            equal(cookie("/set", session="mine"), None, "the first page of a session")
            equal(cookie("/show", session="mine"), "seen=1", "the next job in the session")
            equal(cookie("/show", session="other"), None, "another session")
            equal(cookie("/show"), None, "no session")
            server.program.stop()
            log = "\n".join(server.program.lines)
            equal([word for word in ("tok-en-of-the-job", "seen=1") if word in log], [], "secrets of the job in the log")


class Proxy:
    """An HTTP proxy that tells the site which one it was. `works` says of each request whether it is served."""

    def __init__(self, name, works=lambda n: True, how="close"):
        proxy = self
        self.name, self.count, self.users, self.lock = name, 0, set(), threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                with proxy.lock:
                    n, proxy.count = proxy.count, proxy.count + 1
                    proxy.users.add(self.headers.get("Proxy-Authorization"))
                if not works(n):
                    self.close_connection = True
                    if how == "407":
                        self.send_response(407)
                        self.send_header("Content-Length", "0")
                        self.end_headers()
                    return
                parts = urllib.parse.urlsplit(self.path)
                connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
                lines = {k: v for k, v in self.headers.items() if not k.lower().startswith("proxy-")}
                connection.request("GET", parts.path, headers={**lines, "X-Exit": proxy.name})
                answer = connection.getresponse()
                body = answer.read()
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.headers["Content-Type"])
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                connection.close()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def a_country_chooses_its_proxy():
    with folder() as home, Echo() as echo, Proxy("us") as us, Proxy("de") as de:
        write(home, "echo", ECHO.format(fetch=""))
        write(home, "direct", ECHO.format(fetch='proxy = "none"').replace("gd_echo", "gd_direct"))
        write(home, "homes", ECHO.format(fetch='proxy = "homes"\nsession = "job"').replace("gd_echo", "gd_homes"))
        pool = [f"http://me:se-cret@{us.address}#country=us", f"http://me-{{session}}:se-cret@{de.address}#country=de,label=homes"]
        with Server({"log": "debug", "fetch": {"allow_networks": LOOPBACK, "robots": "ignore", "proxy": pool}}, scrapers=home) as server:
            inputs = [{"url": f"{echo.base}/{code}/{n}", "country": code} for n in range(5) for code in ("us", "DE", "fr", "")]
            _, rows = collect(server, "gd_echo", inputs)
            exits = {}
            for row in rows:
                exits.setdefault(row["input"]["country"], set()).add(row["headers"]["x-exit"] if "headers" in row else row["error_code"])
            equal({code: exits[code] for code in ("us", "DE", "fr")}, {"us": {"us"}, "DE": {"de"}, "fr": {"proxy_error"}}, "ways out by country")
            expect(exits[""] <= {"us", "de"}, f"any proxy where no country is wanted: {exits['']}")
            fr = next(row for row in rows if row["input"]["country"] == "fr")
            expect("country `fr`" in fr["error"], f"the reason: {fr['error']}")
            _, rows = collect(server, "gd_direct", [{"url": echo.base + "/direct"}])
            equal(rows[0]["headers"].get("x-exit"), None, "the way out of `proxy = \"none\"`")
            de.users.clear()
            for _ in range(2):
                _, rows = collect(server, "gd_homes", [{"url": f"{echo.base}/h/{n}"} for n in range(6)])
                equal({row["headers"]["x-exit"] for row in rows}, {"de"}, "the way out of a label")
            equal(len(de.users), 2, f"names that a proxy heard of two jobs with a session each: {de.users}")
            told = server.get("/proxies").json()
            equal([(p["address"], p["country"], p["labels"], p["state"]) for p in told],
                  [(us.address, "us", [], "healthy"), (de.address, "de", ["homes"], "healthy")], "GET /proxies")
            equal(sum(p["answered"] for p in told), us.count + de.count, "answers that are counted")
            metrics = server.call("GET", "/metrics", token=False).text()
            expect(f'trawl_proxy_requests_total{{proxy="{us.address}",number="0"}} {us.count}' in metrics, "the proxies in /metrics")
            equal(server.call("GET", "/proxies", token=False).status, 401, "GET /proxies without a token")
            server.program.stop()
            everywhere = metrics + json.dumps(told) + "\n".join(server.program.lines)
            expect("se-cret" not in everywhere, "the password of a proxy is seen")


def a_flapping_pool_loses_nothing():
    with folder() as home, Echo() as echo:
        write(home, "echo", ECHO.format(fetch=""))
        # One is gone, one drops every third request, one refuses ten of its first forty.
        gone = Proxy("gone")
        gone.server.server_close()
        with Proxy("drops", lambda n: n % 3 != 2) as drops, Proxy("refuses", lambda n: n % 4 != 1 or n > 40, "407") as refuses:
            pool = [f"http://{proxy.address}" for proxy in (gone, drops, refuses)]
            with Server({"fetch": {"allow_networks": LOOPBACK, "robots": "ignore", "proxy": pool}}, scrapers=home) as server:
                _, rows = collect(server, "gd_echo", [{"url": f"{echo.base}/{n}"} for n in range(150)], secs=90)
                wanted = sorted(f"/{n}" for n in range(150))
                equal(sorted(row.get("target") or row["error"] for row in rows), wanted, "pages through a flapping pool")
                told = server.get("/proxies").json()
                print("        " + ", ".join(f"{p['requests']} given, {p['answered']} answered, {p['failures']} failed" for p in told))
                equal(told[0]["answered"], 0, "answers through a proxy that is gone")
                expect(told[0]["failures"] >= 1 and told[2]["failures"] >= 1, f"failures are counted: {told}")


def an_outage_of_every_proxy_costs_no_input():
    with folder() as home, Echo() as echo:
        write(home, "echo", ECHO.format(fetch=""))
        works = threading.Event()
        with Proxy("only", lambda n: works.is_set(), "407") as only:
            with Server({"fetch": {"allow_networks": LOOPBACK, "robots": "ignore", "proxy": [f"http://{only.address}"]}}, scrapers=home) as server:
                snapshot = server.trigger([{"url": f"{echo.base}/{n}"} for n in range(20)], dataset_id="gd_echo", include_errors="true")
                # More often than an input has attempts.
                wait_for("the proxy to have failed three times", lambda: server.get("/proxies").json()[0]["failures"] >= 3)
                works.set()
                server.wait(snapshot, secs=60)
                equal(sorted({row.get("error_code") for row in server.rows(snapshot)}, key=str), [None], "rows after the outage")
                equal(len(server.rows(snapshot)), 20, "rows after the outage")


if __name__ == "__main__":
    with Site() as SITE:
        sys.exit(run(
            a_login_is_done_once_and_its_secrets_are_seen_nowhere,
            a_session_that_ends_is_begun_again,
            headers_and_sessions_of_a_job,
            a_country_chooses_its_proxy,
            a_flapping_pool_loses_nothing,
            an_outage_of_every_proxy_costs_no_input,
        ))
