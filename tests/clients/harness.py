"""What every client test starts from: the real `trawl` binary on a free port with a data folder of its own, the `site`
binary as its web, plain HTTP calls, a webhook receiver, and checks whose failures say what was wanted.

Standard library only. TRAWL_BIN and SITE_BIN name the binaries (default: target/debug). Nothing here waits by time alone:
every wait is for a condition, with a bound.
"""
import contextlib
import gzip
import http.client
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
TOKEN = "client-test-token-0123456789"
LOOPBACK = ["127.0.0.0/8"]
START_SECS = 30
STOP_SECS = 20
LISTENING = r"listening on (https?://\S+)"


# ---------------------------------------------------------------- checks
class Wrong(AssertionError):
    """A check that did not hold."""


def expect(condition, message):
    if not condition:
        raise Wrong(message)


def equal(got, wanted, what):
    if got != wanted:
        raise Wrong(f"{what}: wanted {short(wanted)}, got {short(got)}")


def short(value, most=600):
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= most else text[:most] + f"… ({len(text)} characters)"


def wait_for(what, probe, secs=30.0, pause=0.05):
    """Asks until the probe answers something true, and returns that."""
    end = time.monotonic() + secs
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > end:
            raise Wrong(f"waited {secs} s in vain for {what}")
        time.sleep(pause)


def run(*checks):
    """Runs the checks in order (or those named on the command line) and says each one's name and time; how many failed."""
    failed = 0
    for check in checks:
        if sys.argv[1:] and check.__name__ not in sys.argv[1:]:
            continue
        begun = time.monotonic()
        try:
            check()
            print(f"  ok    {check.__name__}  {time.monotonic() - begun:.1f} s")
        except Exception as error:  # whatever it is, the other checks still tell something
            failed += 1
            print(f"  FAIL  {check.__name__}  {time.monotonic() - begun:.1f} s: {error}")
            if isinstance(error, Wrong):
                frames = traceback.extract_tb(error.__traceback__)
                place = next((f for f in reversed(frames) if "harness.py" not in f.filename), frames[-1])
                print(f"        at {os.path.basename(place.filename)}:{place.lineno}: {place.line}")
            else:
                traceback.print_exc(file=sys.stdout)
    return failed


# ---------------------------------------------------------------- programs
def binary(variable, name):
    path = os.environ.get(variable)
    if not path:
        target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", "target"))
        path = ROOT / target / "debug" / name
    expect(os.access(path, os.X_OK), f"{path} is not there: `cargo build`, or set {variable}")
    return str(path)


class Program:
    """A child process whose standard error is kept, and which announces its address on it (or on standard output)."""

    def __init__(self, words, env=None, name="program"):
        self.name = name
        self.lines = []
        self.process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env, cwd=HERE
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for raw in self.process.stdout:
            self.lines.append(raw.decode("utf-8", "replace").rstrip("\n"))

    def tail(self, n=30):
        return "\n".join("        | " + line for line in self.lines[-n:])

    def address(self, pattern=LISTENING):
        """The address on which it said that it listens, if it has."""
        for line in list(self.lines):
            found = re.search(pattern, re.sub(r"\x1b\[[0-9;]*m", "", line))
            if found:
                return found.group(1).rstrip("/")
        return None

    def announced(self, pattern=LISTENING):
        """That address, waited for."""
        def probe():
            if self.address(pattern):
                return self.address(pattern)
            if self.process.poll() is not None:
                self.reader.join(5)
                raise Wrong(f"{self.name} ended with {self.process.returncode} before it listened:\n{self.tail()}")
            return None

        return wait_for(f"{self.name} to listen", probe, START_SECS, 0.01)

    def stop(self, wanted_code=0):
        """SIGTERM; the exit code must be the wanted one."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_SECS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Wrong(f"{self.name} did not end within {STOP_SECS} s of SIGTERM:\n{self.tail()}")
        self.reader.join(5)
        if wanted_code is not None and code != wanted_code:
            raise Wrong(f"{self.name} ended with {code}, not {wanted_code}:\n{self.tail()}")

    def kill(self):
        """SIGKILL."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join(5)


def toml(settings):
    """Settings as TOML: plain keys first, then tables."""
    def value(v):
        if isinstance(v, bool):
            return "true" if v else "false"
        if isinstance(v, (int, float)):
            return str(v)
        if isinstance(v, (list, tuple)):
            return "[" + ", ".join(value(x) for x in v) + "]"
        return json.dumps(str(v))

    lines = [f"{k} = {value(v)}" for k, v in settings.items() if not isinstance(v, dict)]
    for name, table in settings.items():
        if isinstance(table, dict):
            lines.append(f"\n[{name}]")
            lines += [f"{k} = {value(v)}" for k, v in table.items()]
    return "\n".join(lines) + "\n"


def merged(base, more):
    out = dict(base)
    for key, value in (more or {}).items():
        out[key] = merged(out.get(key, {}), value) if isinstance(value, dict) else value
    return out


class Answer:
    """What came back."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def header(self, name):
        return self.headers.get(name)

    def text(self):
        return self.body.decode("utf-8")

    def json(self):
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise Wrong(f"not JSON ({error}): {short(self.body.decode('utf-8', 'replace'))}")

    def __repr__(self):
        return f"<{self.status} {short(self.body.decode('utf-8', 'replace'), 300)}>"


def call(method, url, body=None, headers=None, timeout=100.0, ca=None):
    """One HTTP call on a connection of its own. Nothing is followed and nothing is decoded. With `ca` over TLS, to a
    server whose certificate need not name its address."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=str(ca))
        context.check_hostname = False
        connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=timeout, context=context)
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        target = (parts.path or "/") + ("?" + parts.query if parts.query else "")
        connection.request(method, target, body=body, headers=headers or {})
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


class Server:
    """`trawl serve` on a data folder of its own. `with Server({...settings}) as server:` also stops it and looks at the
    exit code."""

    SETTINGS = {
        "log": "info",
        "fetch": {"allow_networks": LOOPBACK, "host_concurrency": 8},
        "deliver": {"allow_networks": LOOPBACK},
    }

    def __init__(self, settings=None, data=None, token=TOKEN, scrapers=HERE / "scrapers", bare=False, ca=None,
                 env=None):
        self.home = pathlib.Path(data or tempfile.mkdtemp(prefix="trawl-client-"))
        self.owns_home = data is None
        self.token, self.ca, self.env = token, ca, env or {}
        self.settings = merged({} if bare else self.SETTINGS, settings)
        if scrapers and pathlib.Path(scrapers).is_dir():
            self.settings.setdefault("scrapers", str(scrapers))
        self.program = None

    def launch(self, listen="127.0.0.1:0"):
        """Starts the process without waiting for it."""
        self.home.mkdir(parents=True, exist_ok=True)
        config = self.home / "config.toml"
        config.write_text(toml(self.settings), encoding="utf-8")
        env = {k: v for k, v in os.environ.items() if not k.startswith("TRAWL_")}
        if self.token:
            env["TRAWL_API_TOKEN"] = self.token
        env.update(self.env)
        words = [binary("TRAWL_BIN", "trawl"), "serve", "--config", str(config), "--listen", listen]
        self.program = Program(words + ["--data", str(self.home / "data")], env, "trawl serve")
        return self

    def has_listened(self):
        """Whether it takes requests; never waits."""
        self.base = self.program.address()
        return self.base is not None

    def start(self, listen="127.0.0.1:0"):
        self.launch(listen)
        self.base = self.program.announced()
        return self

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, error, trace):
        try:
            if error is None:
                self.program.stop()
            else:
                self.program.kill()
                if not isinstance(error, KeyboardInterrupt):
                    print(f"        the server's last lines:\n{self.program.tail(8)}")
        finally:
            if self.owns_home:
                shutil.rmtree(self.home, ignore_errors=True)

    # -- calls
    def call(self, method, path, query=None, body=None, headers=None, token=True, timeout=100.0):
        url = self.base + path
        if query:
            url += "?" + urllib.parse.urlencode(query)
        lines = dict(headers or {})
        if token:
            lines.setdefault("Authorization", f"Bearer {self.token}")
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
            lines.setdefault("Content-Type", "application/json")
        if isinstance(body, str):
            body = body.encode("utf-8")
        return call(method, url, body, lines, timeout, self.ca)

    def get(self, path, **query):
        return self.call("GET", path, query)

    def trigger(self, inputs, **query):
        """Triggers and gives the snapshot's id."""
        answer = self.call("POST", "/datasets/v3/trigger", query, inputs)
        expect(answer.status == 200, f"trigger {query}: wanted 200, got {answer}")
        snapshot = answer.json().get("snapshot_id", "")
        expect(re.fullmatch(r"sd?_[a-z0-9]+", snapshot), f"a strange snapshot id: {answer}")
        return snapshot

    def progress(self, snapshot, **query):
        answer = self.call("GET", f"/datasets/v3/progress/{snapshot}", query)
        expect(answer.status == 200, f"progress: {answer}")
        return answer.json()

    def wait(self, snapshot, secs=60, state="ready"):
        """Long polls until the snapshot has ended, in the wanted state; gives the last progress."""
        end = time.monotonic() + secs
        while True:
            left = end - time.monotonic()
            progress = self.progress(snapshot, wait=max(1, min(30, int(left))))
            if progress["status"] in ("ready", "failed", "canceled"):
                equal(progress["status"], state, f"the end of {snapshot} ({progress})")
                return progress
            expect(left > 0, f"{snapshot} did not end within {secs} s: {progress}\n{self.program.tail()}")

    def download(self, snapshot, **query):
        answer = self.call("GET", f"/datasets/v3/snapshot/{snapshot}", query)
        expect(answer.status == 200, f"download {query}: {answer}")
        return answer

    def rows(self, snapshot):
        return self.download(snapshot, format="json").json()


class Site:
    """The small web that misbehaves on demand: a shop whose every page follows from a number."""

    CATEGORIES = 40

    def __init__(self, *words):
        self.words = words or ("--on-demand",)

    def __enter__(self):
        self.program = Program([binary("SITE_BIN", "site"), "--port", "0", *self.words], name="site")
        self.base = self.program.announced()
        return self

    def __exit__(self, kind, error, trace):
        self.program.kill()

    def url(self, path):
        return self.base + path

    def product(self, number):
        return self.url(f"/p/{number}")

    good = product

    def listing(self, category=0):
        return self.url(f"/c/{category}")

    def dead(self, number):
        """A page that is not there."""
        return self.url(f"/status/404?n={number}")

    def slow(self, number, ms=20000):
        """A page that comes late."""
        return self.url(f"/bad/slow/{ms}/{number}")

    def get(self, path):
        return call("GET", self.url(path))


# ---------------------------------------------------------------- webhooks
class Post:
    """One request that the receiver got."""

    def __init__(self, path, headers, raw):
        self.path, self.headers, self.raw, self.at = path, headers, raw, time.monotonic()

    def body(self):
        return gzip.decompress(self.raw) if self.headers.get("Content-Encoding") == "gzip" else self.raw

    def json(self):
        return json.loads(self.body())


class Receiver:
    """Takes POSTs on loopback. `script` answers each: a status, ("drop",) to close without an answer, or a callable."""

    def __init__(self, script=None):
        self.script = script or (lambda post: 200)
        self.posts = []
        self.lock = threading.Lock()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
                    raw = b""
                    while True:
                        size = int(self.rfile.readline().split(b";")[0], 16)
                        raw += self.rfile.read(size)
                        self.rfile.readline()
                        if size == 0:
                            break
                else:
                    raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                post = Post(self.path, self.headers, raw)
                with receiver.lock:
                    receiver.posts.append(post)
                    verdict = receiver.script(post)
                if verdict == "drop":
                    self.close_connection = True
                    return
                status, lines = verdict if isinstance(verdict, tuple) else (verdict, {})
                self.send_response(status)
                for name, value in lines.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.base = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, error, trace):
        self.server.shutdown()
        self.server.server_close()

    def url(self, path="/hook"):
        return self.base + path

    def at(self, path):
        with self.lock:
            return [post for post in self.posts if post.path == path]

    def wait(self, path="/hook", n=1, secs=60):
        return wait_for(f"{n} POSTs at {path} (there are {len(self.at(path))})",
                        lambda: self.at(path) if len(self.at(path)) >= n else None, secs)


# ---------------------------------------------------------------- TLS
def certificates(folder, *names):
    """A certificate authority of our own and a certificate for these names; gives (ca, cert, key)."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)

    def openssl(*words):
        done = subprocess.run(["openssl", *words], cwd=folder, capture_output=True, text=True)
        expect(done.returncode == 0, f"openssl {words[0]} failed: {done.stderr}")

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "30", "-subj", "/CN=test CA",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    (folder / "leaf.ext").write_text(
        "basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\nextendedKeyUsage=serverAuth\nsubjectAltName="
        + ",".join("DNS:" + name for name in names) + "\n")
    openssl("req", *key, "-keyout", "leaf.key", "-out", "leaf.csr", "-subj", f"/CN={names[0]}")
    openssl("x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30",
            "-extfile", "leaf.ext", "-out", "leaf.pem")
    return folder / "ca.pem", folder / "leaf.pem", folder / "leaf.key"


@contextlib.contextmanager
def folder():
    """A temporary folder that goes away."""
    with tempfile.TemporaryDirectory(prefix="trawl-client-") as path:
        yield pathlib.Path(path)


def csv_rows(text):
    import csv
    import io
    csv.field_size_limit(1 << 30)
    return list(csv.DictReader(io.StringIO(text, newline="")))


def ndjson_rows(text):
    return [json.loads(line) for line in text.split("\n") if line.strip()]
