"""The parts of a cluster on one machine, and ways to break each: a PostgreSQL server, an S3 server behind a proxy that
fails on purpose, and nodes that are killed, stopped and started with wrong clocks. Used by cluster.py.
"""
import http.client
import http.server
import os
import pathlib
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from harness import Program, Server, call, expect, wait_for

BUCKET = "trawl"
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1", "AWS_ALLOW_HTTP": "true"}
NO_ANSWER = (OSError, http.client.HTTPException)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Postgres:
    """A server of its own in a temporary folder. PostgreSQL refuses to run as root, so root hands it to `postgres` (or
    `nobody`). It is never told to write through to the disk: the machine does not crash here, only programs do."""

    def __enter__(self):
        found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda p: int(p.parts[-3]))
        expect(found, "PostgreSQL is not there: apt-get install postgresql")
        self.bin, self.port = found[-1].parent, free_port()
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="trawl-pg-"))
        self.user = self._user()
        if self.user:
            os.chown(self.home, self.user["user"], self.user["group"])
        self._run("initdb", "-D", "data", "-A", "trust", "-U", "trawl", "-E", "UTF8", "--locale=C", "--no-sync")
        self._ctl("start")
        self.sql("CREATE DATABASE trawl", "postgres")
        self.url = f"postgres://trawl@127.0.0.1:{self.port}/trawl"
        return self

    def __exit__(self, *_):
        try:
            self._ctl("stop", "immediate")
        finally:
            shutil.rmtree(self.home, ignore_errors=True)

    @staticmethod
    def _user():
        if os.getuid() != 0:
            return {}
        for name in ("postgres", "nobody"):
            try:
                entry = pwd.getpwnam(name)
                return {"user": entry.pw_uid, "group": entry.pw_gid}
            except KeyError:
                pass
        expect(False, "neither `postgres` nor `nobody` is a user here")

    def _run(self, program, *words, **more):
        # Its output goes to a file: the server inherits it and would keep a pipe open.
        with open(self.home / "log", "ab") as log:
            done = subprocess.run([str(self.bin / program), *words], cwd=self.home, stdin=subprocess.DEVNULL, stdout=log,
                                  stderr=log, timeout=120, **self.user, **more)
        tail = (self.home / "log").read_text(errors="replace")[-2000:]
        expect(done.returncode == 0, f"{program} {' '.join(words)} failed:\n{tail}")

    def _ctl(self, what, mode="fast"):
        options = f"-p {self.port} -k {self.home} -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=200"
        words = ["-D", "data", "-l", "server.log", "-w", "-t", "60"]
        words += ["-m", mode] if what != "start" else []
        words += ["-o", options] if what != "stop" else []
        self._run("pg_ctl", what, *words)

    def sql(self, text, database="trawl"):
        self._run("psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "trawl", "-d", database, "-qAt", "-c", text)

    def restart(self, mode):
        self._ctl("restart", mode)

    def cut(self):
        """Ends every connection but this one."""
        self.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'trawl' AND pid <> pg_backend_pid()")


class Objects:
    """An S3 server (moto) with one bucket, and the proxy in front of it."""

    def __init__(self, seed):
        self.seed = seed

    def __enter__(self):
        port = free_port()
        self.program = Program([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], name="moto")
        made = lambda: self._answers(port)
        wait_for("moto to answer", made, 60)
        self.proxy = Proxy(port, self.seed)
        self.env = {**KEYS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.proxy.port}"}
        self.url = f"s3://{BUCKET}/some/prefix"
        return self

    def _answers(self, port):
        expect(self.program.process.poll() is None, f"moto ended:\n{self.program.tail()}")
        try:
            return call("PUT", f"http://127.0.0.1:{port}/{BUCKET}", timeout=10).status == 200
        except NO_ANSWER:
            return False

    def __exit__(self, *_):
        self.proxy.close()
        self.program.kill()


class Proxy:
    """Between nodes and the S3 server. While `rate` is above 0 that share of the requests fails, each in one of these ways:
    refused before it was done; done, and told otherwise; cut in the middle of the upload or of the answer; late."""

    WAYS = ("refused", "told otherwise", "upload cut", "answer cut", "late")

    def __init__(self, upstream, seed):
        self.upstream, self.rate = upstream, 0.0
        self.dice, self.lock = random.Random(seed), threading.Lock()
        self.done = dict.fromkeys(("passed",) + self.WAYS, 0)
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def handle_one_request(self):
                try:
                    super().handle_one_request()
                except OSError:
                    self.close_connection = True

            def serve(self):
                proxy.serve(self)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = serve

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def choose(self):
        with self.lock:
            way = self.dice.choice(self.WAYS) if self.dice.random() < self.rate else "passed"
            self.done[way] += 1
            return way, self.dice.random()

    def serve(self, request):
        way, much = self.choose()
        length = int(request.headers.get("Content-Length") or 0)
        if way == "upload cut":
            request.rfile.read(int(length * much))
            return self.hang_up(request)
        body = self.read(request, length)
        if way == "refused":
            return self.answer(request, 503 if much < 0.5 else 500, {}, b"<Error><Code>SlowDown</Code></Error>")
        if way == "late":
            time.sleep(2 * much)
        status, headers, payload = self.forward(request, body)
        if way == "told otherwise":
            return self.answer(request, 500, {}, b"<Error><Code>InternalError</Code></Error>")
        self.answer(request, status, headers, payload, int(len(payload) * much) if way == "answer cut" else None)

    @staticmethod
    def read(request, length):
        if request.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return request.rfile.read(length)
        body = b""
        while True:
            size = int(request.rfile.readline().split(b";")[0], 16)
            body += request.rfile.read(size)
            request.rfile.readline()
            if size == 0:
                return body

    def forward(self, request, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.upstream, timeout=60)
        try:
            skip = ("connection", "transfer-encoding", "content-length", "expect")
            headers = {k: v for k, v in request.headers.items() if k.lower() not in skip}
            connection.request(request.command, request.path, body=body, headers=headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.headers), answer.read()
        finally:
            connection.close()

    def answer(self, request, status, headers, body, cut=None):
        request.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                request.send_header(name, value)
        length = headers.get("Content-Length", "0") if request.command == "HEAD" else str(len(body))
        request.send_header("Content-Length", length)
        request.end_headers()
        request.wfile.write(body if cut is None else body[:cut])
        if cut is not None:
            self.hang_up(request)

    @staticmethod
    def hang_up(request):
        request.close_connection = True
        try:
            request.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def faketime():
    """The library that shifts a program's clock."""
    for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib"):
        path = pathlib.Path(folder) / "faketime/libfaketime.so.1"
        if path.exists():
            return str(path)
    expect(False, "libfaketime is not there: apt-get install faketime")


class Node(Server):
    """One `trawl serve`, with a data folder of its own that outlives its process."""

    def __init__(self, name, settings, home, env, clock=None):
        env = dict(env)
        if clock:
            # Only what the clock says is shifted, not how time passes.
            env |= {"LD_PRELOAD": faketime(), "FAKETIME": clock, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        super().__init__(settings, data=home / name, env=env)
        self.name, self.stopped_until, self.base, self.vain_starts = name, None, None, 0

    def is_up(self):
        """It runs, is not stopped, and has said where it listens."""
        running = self.program is not None and self.program.process.poll() is None
        return running and self.stopped_until is None and self.has_listened()

    def kill(self):
        self.go_on()
        self.program.kill()

    def stop_for(self, secs):
        """SIGSTOP: it notices nothing, neither that time passes nor that its leases end."""
        self.program.process.send_signal(signal.SIGSTOP)
        self.stopped_until = time.monotonic() + secs

    def go_on(self):
        if self.stopped_until is not None and self.program.process.poll() is None:
            self.program.process.send_signal(signal.SIGCONT)
        self.stopped_until = None

    def expect_alive(self):
        code = self.program.process.poll()
        expect(code is None, f"{self.name} ended by itself ({code}):\n{self.program.tail()}")
