"""Scraper files change while the server runs: new jobs take the new version, running jobs keep the one they began with (over
a restart too), a broken file is reported and the last good one stays, a removed folder takes its scraper away."""
import http.server
import pathlib
import shutil
import sys
import threading

from harness import Server, equal, expect, folder, run, wait_for

FILE = """
dataset_id = "{id}"
title = "Notes"

[doors.collect_by_url]
start = "page"
inputs.url = {{ type = "url", required = true }}

[pages.page]
record = true

[fields.text]
from = [{{ css = "{css}" }}]
"""


class Pages:
    """Pages with a heading and a paragraph; those under /gate wait until the gate opens."""

    def __init__(self):
        self.gate = threading.Event()
        gate = self.gate

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                if self.path.startswith("/gate"):
                    gate.wait(60)
                body = b"<title>t</title><h1>heading</h1><p>paragraph</p>"
                try:
                    self.send_response(200)
                    self.send_header("Content-Type", "text/html")
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    pass  # the server was stopped meanwhile

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def url(self, path):
        return f"http://127.0.0.1:{self.server.server_address[1]}{path}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.gate.set()
        self.server.shutdown()
        self.server.server_close()


def write(scrapers, name, css=None, text=None):
    path = pathlib.Path(scrapers) / name
    path.mkdir(parents=True, exist_ok=True)
    (path / "scraper.toml").write_text(text if text is not None else FILE.format(id=f"gd_{name}", css=css), encoding="utf-8")


def row(server, name):
    """What the catalogue says of a scraper; None if it knows none."""
    rows = server.get("/datasets/v3/scrapers", dataset_id=name).json()
    return rows[0] if rows else None


def changed(server, name, before):
    return wait_for(f"another version of {name} than {before}",
                    lambda: (row(server, name) or {}).get("version", before) != before and row(server, name)["version"])


def texts(server, snapshot):
    return {r.get("text") for r in server.rows(snapshot)}


def an_edit_reaches_new_jobs_and_not_the_running_one():
    with folder() as home, Pages() as pages:
        scrapers = home / "scrapers"
        write(scrapers, "notes", "h1")
        inputs = [{"url": pages.url(f"/gate/{n}")} for n in range(3)]
        with Server(data=home, scrapers=scrapers) as server:
            first = row(server, "notes")["version"]
            running = server.trigger(inputs, dataset_id="gd_notes")
            write(scrapers, "notes", "p")
            second = changed(server, "notes", first)
            later = server.trigger([{"url": pages.url("/free")}], dataset_id="gd_notes")
            equal(server.wait(later)["scraper_version"], second, "the version of the new job")
            equal(texts(server, later), {"paragraph"}, "rows of the new job")
            equal(server.progress(running)["status"], "running", "the job that began before the edit")
            # Over a restart with yet another file in the folder.
            write(scrapers, "notes", "title")
        with Server(data=home, scrapers=scrapers) as server:
            third = row(server, "notes")["version"]
            equal(len({first, second, third}), 3, "versions")
            pages.gate.set()
            equal(server.wait(running)["scraper_version"], first, "the version of the job over the edit and the restart")
            equal(texts(server, running), {"heading"}, "its rows")
            equal(server.get(f"/datasets/v3/log/{running}").json()["scraper_version"], first, "its log")
            listed = server.get("/datasets/v3/snapshots", dataset_id="gd_notes").json()
            equal({s["id"]: s["scraper_version"] for s in listed}, {running: first, later: second}, "versions in the list")


def a_broken_edit_is_reported_and_the_last_good_one_stays():
    with folder() as home, Pages() as pages:
        scrapers = home / "scrapers"
        write(scrapers, "notes", "h1")
        write(scrapers, "never", text="nonsense = [")
        with Server(data=home, scrapers=scrapers) as server:
            good = row(server, "notes")["version"]
            expect("fault" not in row(server, "notes"), "a fault of a good file")
            expect("never/scraper.toml:1:" in row(server, "never")["fault"], f"the fault of a file broken at the start: {row(server, 'never')}")
            write(scrapers, "notes", "h1[")
            fault = wait_for("the fault to be told", lambda: row(server, "notes").get("fault"))
            expect("notes/scraper.toml:" in fault, f"the fault names its file and line: {fault}")
            equal(row(server, "notes")["version"], good, "the version beside the fault")
            metrics = server.get("/metrics").text()
            expect('trawl_scraper_fault{scraper="notes"} 1' in metrics, "no fault in /metrics")
            expect(f'trawl_scraper_info{{scraper="notes",version="{good}"}} 1' in metrics, "no version in /metrics")
            snapshot = server.trigger([{"url": pages.url("/a")}], dataset_id="gd_notes")
            server.wait(snapshot)
            equal(texts(server, snapshot), {"heading"}, "rows while the file is broken")
            expect(any("notes/scraper.toml:" in line for line in server.program.lines), "the fault is not in the log")
        # Broken at the start: the server starts, and the last good version is there.
        with Server(data=home, scrapers=scrapers) as server:
            equal(row(server, "notes")["version"], good, "the version after a restart on a broken file")
            expect(row(server, "notes")["fault"], "no fault after a restart")
            write(scrapers, "notes", "p")
            wait_for("the mended file", lambda: "fault" not in row(server, "notes"))
            snapshot = server.trigger([{"url": pages.url("/a")}], dataset_id="gd_notes")
            server.wait(snapshot)
            equal(texts(server, snapshot), {"paragraph"}, "rows of the mended file")


def folders_come_and_go():
    with folder() as home, Pages() as pages:
        scrapers = home / "scrapers"
        scrapers.mkdir()
        with Server(data=home, scrapers=scrapers) as server:
            equal(row(server, "gd_late"), None, "a scraper that is not there yet")
            write(scrapers, "late", "h1")
            wait_for("the new folder", lambda: row(server, "gd_late"))
            running = server.trigger([{"url": pages.url("/gate")}], dataset_id="gd_late")
            shutil.rmtree(scrapers / "late")
            wait_for("the scraper to go", lambda: row(server, "gd_late") is None)
            refused = server.call("POST", "/datasets/v3/trigger", {"dataset_id": "gd_late"}, [{"url": pages.url("/a")}])
            equal(refused.status, 404, f"a trigger of a removed scraper → {refused}")
            pages.gate.set()
            server.wait(running)
            equal(texts(server, running), {"heading"}, "rows of the job that ran when its folder was removed")


if __name__ == "__main__":
    failed = run(an_edit_reaches_new_jobs_and_not_the_running_one, a_broken_edit_is_reported_and_the_last_good_one_stays,
                 folders_come_and_go)
    sys.exit(failed)
