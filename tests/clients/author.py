"""A scraper author's tools: `trawl extract --explain` on a saved page, and `explain` of a record that the server collected."""
import http.server
import json
import pathlib
import subprocess
import sys
import threading
import tomllib

from harness import Server, binary, equal, expect, folder, run

FILE = """dataset_id = "gd_thing"
title = "Things"

[doors.collect_by_url]
start = "thing"
inputs.url = { type = "url", required = true }

[pages.thing]
record = true

[fields.title]
required = true
from = [{ css = "h1" }]

[fields.price]
type = "price"
from = [
  { json_ld = "Product.offers.price" },
  { css = ".old" },
  { css = ".price" },
]
"""

PAGE = "<title>t</title>\n<h1>Kettle</h1>\n<p class=old>once dear</p>\n<p class=price>now 12,50 EUR</p>\n"


def trawl(*words, code=0):
    done = subprocess.run([binary("TRAWL_BIN", "trawl"), *words], capture_output=True, text=True, timeout=60, check=False)
    equal(done.returncode, code, f"exit code of trawl {' '.join(map(str, words))}\n{done.stdout}{done.stderr}")
    return done


def author(home):
    thing = home / "scrapers" / "thing"
    thing.mkdir(parents=True)
    (thing / "scraper.toml").write_text(FILE, encoding="utf-8")
    (home / "page.html").write_text(PAGE, encoding="utf-8")
    return thing, home / "page.html"


def a_value_is_explained():
    with folder() as home:
        thing, page = author(home)
        told = json.loads(trawl("extract", thing, page, "--explain", "--json", "--field", "price").stdout)
        (field,) = told["fields"]
        equal((field["field"], field["value"]), ("price", 12.5), "the field")
        equal([(t["rule"]["line"], t["outcome"]) for t in field["tried"]],
              [(18, "found_nothing"), (19, "misfit"), (20, "gave")], "what was tried")
        equal(field["tried"][1]["reason"], "`once dear` is not a price", "why the second gave nothing")
        (place,) = field["tried"][2]["places"]
        equal(place["path"], "/html/body/p[2]", "the node's path")
        start, end = place["bytes"]
        equal(PAGE.encode()[start:end], b"<p class=price>now 12,50 EUR</p>", "the bytes of the node")
        text = trawl("extract", thing, page, "--explain").stdout
        expect(f"{thing}/scraper.toml:20:3: {{ css = \".price\" }}" in text, f"the rule's place in:\n{text}")
        expect("gave it, from \"now 12,50 EUR\" at /html/body/p[2]" in text, f"the place on the page in:\n{text}")
        wrong = trawl("extract", thing, page, "--explain", "--field", "prize", code=2).stderr
        expect("There is no field `prize`; known: title, price" in wrong, wrong)
        expect("The page has no record 1: it gives 1" in trawl("extract", thing, page, "--explain", "--record", "1", code=2).stderr,
               "a record that is not there")
        trawl("extract", thing, page, "--field", "price", code=2)


def editors_know_the_file():
    """The schema takes what the reader takes, and refuses what it refuses."""
    import jsonschema_rs
    schema = json.loads(trawl("check", "--schema").stdout)
    valid = jsonschema_rs.validator_for(schema)
    shipped = sorted((pathlib.Path(__file__).parents[2] / "scrapers").glob("*/scraper.toml"))
    expect(len(shipped) >= 20, f"{len(shipped)} scrapers")
    for file in shipped:
        faults = [e.message for e in valid.iter_errors(tomllib.loads(file.read_text(encoding="utf-8")))]
        equal(faults, [], file.parent.name)
    with folder() as home:
        for old, new in (("required = true }", "requred = true }"), ('start = "thing"', ""), ('"price"', '"prize"'), ("css = \".old\"", "csss = 1"),
                         ("record = true", ""), ("[doors.collect_by_url]", "[doors.collect]")):
            expect(old in FILE, old)
            (home / "scraper.toml").write_text(FILE.replace(old, new, 1), encoding="utf-8")
            trawl("check", home, code=1)
            expect(not valid.is_valid(tomllib.loads(FILE.replace(old, new, 1))), f"{new} is taken by the schema")


class Pages(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = PAGE.encode() if self.path == "/1" else b"<p>nothing"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def a_collected_record_is_explained():
    site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    site.daemon_threads = True
    threading.Thread(target=site.serve_forever, args=(0.05,), daemon=True).start()
    with folder() as home:
        author(home)
        with Server(data=home, scrapers=home / "scrapers") as server:
            base = f"http://127.0.0.1:{site.server_address[1]}"
            snapshot = server.trigger([{"url": f"{base}/1"}, {"url": f"{base}/2"}], dataset_id="gd_thing", include_errors="true")
            version = server.wait(snapshot)["scraper_version"]
            path = f"/datasets/v3/snapshot/{snapshot}/explain"
            rows = server.rows(snapshot)
            for number, row in enumerate(rows):
                told = server.get(path, record=number, field="price").json()
                equal((told["record"], told["scraper_version"]), (number, version), "which record, which file")
                equal(told["row"]["input"], row["input"], "the record's input")
                equal(told["page"]["kept"], False, "no page is kept, and it is said")
                (field,) = told["fields"]
                equal(field["value"], row.get("price"), "the value")
                equal([(r["line"], r["source"]) for r in field["rules"]],
                      [(18, '{ json_ld = "Product.offers.price" }'), (19, '{ css = ".old" }'), (20, '{ css = ".price" }')], "the rules")
            equal([f["field"] for f in server.get(path).json()["fields"]], ["title", "price"], "every field")
            for wanted, query in (("There is no field `prize`", {"field": "prize"}), ("less than or equal to 1", {"record": 2}),
                                  ("record", {"record": "x"})):
                answer = server.get(path, **query)
                equal(answer.status, 400, f"the status of {query}")
                expect(wanted in answer.text(), f"{wanted!r} is not in {answer.text()}")
            equal(server.get("/datasets/v3/snapshot/s_none/explain").status, 404, "of no snapshot")
    site.shutdown()
    site.server_close()


if __name__ == "__main__":
    sys.exit(run(editors_know_the_file, a_value_is_explained, a_collected_record_is_explained))
