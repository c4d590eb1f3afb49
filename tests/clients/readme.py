"""Every curl example of the README, as printed, against a running server. Only two things differ: the port, and that the
web is a proxy on this machine which answers for every host."""
import http.server
import json
import re
import subprocess
import sys
import threading

from harness import ROOT, TOKEN, Server, binary, equal, expect, folder, run

PRINTED = "http://127.0.0.1:8080"
SERVER = None


class EveryHost(http.server.BaseHTTPRequestHandler):
    """A web in which each address has a page, but for those named so; a category links to a few products."""

    def do_GET(self):
        if "no-such-page" in self.path:
            return self.reply(404, "<h1>Not found</h1>")
        product = ('<script type="application/ld+json">{"@type":"Product","name":"A thing","offers":'
                   '{"@type":"Offer","price":"9.50","priceCurrency":"EUR"}}</script>')
        links = "".join(f'<article class="product_pod"><h3><a href="/catalogue/thing-{n}/index.html">Thing {n}</a></h3>'
                        f'<p class="price_color">£{n}.00</p></article>' for n in range(1, 9))
        text = f"<title>Page</title><h1>A page</h1><p>Words enough to be a page of its own.</p>{product}"
        return self.reply(200, f"<!doctype html><html><body>{text if 'thing-' in self.path else text + links}</body></html>")

    def reply(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def blocks():
    """The README's shell examples, in order, that call curl or prepare for it."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)
    return [block for block in found if "cargo" not in block]


def every_example_works_as_printed():
    examples = blocks()
    n_calls = sum(len(re.findall(r"\bcurl -", block)) for block in examples)
    expect(n_calls >= 12, f"the README has only {n_calls} curl examples")
    # A refusal must end the script, which `curl -s` alone would not tell.
    lines = ["set -euo pipefail", 'curl() { command curl --fail-with-body --max-time 90 "$@"; }']
    for number, block in enumerate(examples, 1):
        lines += [f"echo '::: example {number}'", block.replace(PRINTED, SERVER.base)]
        if "grep -o" not in block and "curl -" in block:
            lines.append("echo")
    with folder() as home:
        done = subprocess.run(["bash", "-c", "\n".join(lines).replace("choose-a-long-secret", TOKEN)], cwd=home,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
    said = re.split(r"^::: example \d+\n", done.stdout, flags=re.M)[1:]
    last = examples[len(said) - 1] if said else lines[0]
    expect(done.returncode == 0, f"ended with {done.returncode} in:\n{last}\n{done.stdout[-1500:]}{done.stderr}")
    equal(len(said), len(examples), "examples that ran")
    for block, output in zip(examples, said):
        expect("curl -" not in block or output.strip(), f"no output from:\n{block}")
    whole = done.stdout
    for wanted in ('"status":"ready"', "dead_page", "page_title", "openapi", "snapshot_id"):
        expect(wanted in whole, f"`{wanted}` is nowhere in what the examples printed:\n{whole[:3000]}")


def the_example_scraper_works():
    """The README's scraper file, loaded from a folder, collects and discovers."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    example, *parts = re.findall(r"^```toml\n(.*?)^```", text, re.M | re.S)
    # The other examples are parts of a file: with the rest of the first one they are whole.
    for part in parts:
        keys, tables = re.match(r"(.*?)(^\[.*)", part, re.M | re.S).groups()
        with folder() as home:
            (home / "scraper.toml").write_text(keys + example + tables, encoding="utf-8")
            checked = subprocess.run([binary("TRAWL_BIN", "trawl"), "check", home], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                     timeout=60)
            equal(checked.returncode, 0, f"trawl check of a part:\n{part}\n{checked.stdout}{checked.stderr}")
    with folder() as home:
        (home / "books").mkdir()
        (home / "books" / "scraper.toml").write_text(example, encoding="utf-8")
        checked = subprocess.run([binary("TRAWL_BIN", "trawl"), "check", "--scrapers", str(home), "books"], cwd=home,
                                 stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        equal(checked.returncode, 0, f"trawl check of the example:\n{checked.stdout}{checked.stderr}")
        with Server(SERVER.settings, scrapers=home) as server:
            discovered = server.trigger([{"url": "http://books.toscrape.com/"}], dataset_id="books", type="discover_new",
                                        discover_by="category_url")
            server.wait(discovered)
            rows = server.rows(discovered)
    equal(len(rows), 8, f"books found: {rows}")
    equal({row["title"] for row in rows}, {"A page"}, "titles")
    equal({json.dumps(row["price"]) for row in rows}, {"9.5"}, "prices")


if __name__ == "__main__":
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), EveryHost)
    web.daemon_threads = True
    threading.Thread(target=web.serve_forever, daemon=True).start()
    settings = {"fetch": {"proxy": [f"http://127.0.0.1:{web.server_address[1]}"]}}
    # No scrapers of the tests: only what is in the binary, as for the README's reader.
    with Server(settings, scrapers=None) as SERVER:
        failed = run(every_example_works_as_printed, the_example_scraper_works)
    web.shutdown()
    sys.exit(failed)
