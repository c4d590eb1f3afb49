"""Deliveries to where people keep their data, by the real binary: S3 (moto), Azure (azurite), SFTP (OpenSSH, and asyncssh for
passwords), mail (aiosmtpd). Google's store is a small server of this file's own that speaks the few calls of its XML interface
and checks the signature of each token: no emulator that there is gives the ETags which real ones give.

What is there in the end is exactly the rows, in exactly the files that were asked for, over receivers that are away and over
SIGKILL; what the database, the logs and the API hold of the credentials is nothing.
"""
import asyncio
import base64
import contextlib
import email
import email.policy
import gzip
import hashlib
import hmac
import http.server
import json
import os
import pathlib
import re
import shutil
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

from harness import (Program, Receiver, Server, Site, Wrong, call, certificates, csv_rows, equal, expect, folder, ndjson_rows,
                     run, wait_for)

SITE = None
SECRET = "hunter2-the-secret"
KEYS = {"aws-access-key": "AKIATEST", "aws-secret-key": SECRET}
# The account of every azurite.
ACCOUNT, ACCOUNT_KEY = "devstoreaccount1", ("Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/"
                                            "KBHBeksoGMGw==")
QUICK = {"deliver": {"retry_max_secs": 1}}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def inputs(n):
    return [{"url": SITE.good(i)} for i in range(1, n + 1)]


def deliver(server, snapshot, target, state="done", secs=60, **more):
    """Delivers a snapshot; gives how the delivery ended."""
    answer = server.call("POST", f"/datasets/v3/deliver/{snapshot}", body={"deliver": target, **more})
    expect(answer.status == 200, f"delivering to {target['type']}: {answer}")
    return ended(server, answer.json()["id"], state, secs)


def ended(server, number, state="done", secs=60):
    def probe():
        status = server.get(f"/datasets/v3/delivery/{number}").json()
        return status if status["status"] != "running" else None

    status = wait_for(f"delivery {number} to end", probe, secs)
    equal(status["status"], state, f"the end of delivery {number}: {status}")
    expect(SECRET not in json.dumps(status), f"the API shows a credential: {status}")
    return status


def tried(server, target):
    answer = server.call("POST", "/datasets/delivery_settings/test", body=target)
    expect(answer.status == 200, f"testing {target['type']}: {answer}")
    expect(SECRET not in answer.text(), f"the test shows a credential: {answer}")
    return answer.json()


def names(status):
    return [file["filename"] for file in status["delivery_files"]]


# ---------------------------------------------------------------- the other sides
class S3:
    """moto's server with one bucket."""

    def __enter__(self):
        program = str(pathlib.Path(sys.executable).parent / "moto_server")
        self.program = Program([program, "-H", "127.0.0.1", "-p", "0"], name="moto")
        self.base = self.program.announced(r"Running on (http://\S+)")
        equal(call("PUT", f"{self.base}/box").status, 200, "making the bucket")
        return self

    def __exit__(self, *_):
        self.program.kill()

    def keys(self):
        return sorted(re.findall(r"<Key>([^<]*)</Key>", call("GET", f"{self.base}/box?list-type=2").text()))

    def unfinished(self):
        return re.findall(r"<UploadId>([^<]*)</UploadId>", call("GET", f"{self.base}/box?uploads").text())

    def get(self, key):
        # moto asks who is there, not whether it is true.
        who = {"Authorization": "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=b"}
        answer = call("GET", f"{self.base}/box/{urllib.parse.quote(key)}", None, who)
        equal(answer.status, 200, f"getting {key}")
        return answer

    def target(self, base=None, **more):
        return {"type": "s3", "bucket": "box", "region": "us-east-1", "endpoint_url": base or self.base,
                "credentials": KEYS, **more}


class Wire:
    """A line to somebody that can be cut: while it is closed, connections are refused by being closed at once."""

    def __init__(self, port):
        wire = self
        self.to, self.is_open, self.bytes, self.rate = port, True, 0, None

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                if not wire.is_open:
                    return
                with socket.create_connection(("127.0.0.1", wire.to)) as there:
                    back = threading.Thread(target=self.pump, args=(there, self.request, False), daemon=True)
                    back.start()
                    self.pump(self.request, there, True)
                    back.join(5)

            def pump(self, source, sink, counts):
                with contextlib.suppress(OSError):
                    while wire.is_open and (piece := source.recv(65536)):
                        if counts:
                            wire.bytes += len(piece)
                            if wire.rate:
                                time.sleep(len(piece) / wire.rate)
                        sink.sendall(piece)
                    sink.shutdown(socket.SHUT_WR)

        class Threads(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        self.server = Threads(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.is_open = False
        self.server.shutdown()
        self.server.server_close()


class Pages:
    """A web of a few large pages."""

    def __init__(self, size):
        self.size = size

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(this):
                number = this.path.rsplit("/", 1)[-1]
                found = number.isdigit()
                # Digits that do not repeat, so that nothing packs them away.
                text = self.text(int(number)) if found else "no"
                body = f"<html><body><pre>{text}</pre></body></html>".encode()
                this.send_response(200 if found else 404)
                this.send_header("Content-Type", "text/html; charset=utf-8")
                this.send_header("Content-Length", str(len(body)))
                this.end_headers()
                this.wfile.write(body)

            def log_message(this, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.base = f"http://127.0.0.1:{self.server.server_address[1]}"

    def text(self, number):
        return hashlib.shake_256(str(number).encode()).hexdigest(self.size // 2)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Sshd:
    """OpenSSH's own server, for one user and one key."""

    def __enter__(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="trawl-sshd-"))
        self.port = free_port()
        for name, phrase in (("host", ""), ("user", "open sesame")):
            done = subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", phrase, "-f", self.home / name],
                                  capture_output=True, text=True)
            expect(done.returncode == 0, f"ssh-keygen: {done.stderr}")
        (self.home / "in").mkdir()
        shutil.copy(self.home / "user.pub", self.home / "keys")
        (self.home / "config").write_text("\n".join([
            f"Port {self.port}", "ListenAddress 127.0.0.1", f"HostKey {self.home}/host", f"PidFile {self.home}/pid",
            f"AuthorizedKeysFile {self.home}/keys", "StrictModes no", "UsePAM no", "PasswordAuthentication no",
            "PermitRootLogin yes", "Subsystem sftp internal-sftp", ""]))
        if os.geteuid() == 0:
            pathlib.Path("/run/sshd").mkdir(exist_ok=True)
        self.program = Program(["/usr/sbin/sshd", "-D", "-e", "-f", str(self.home / "config")], name="sshd")
        wait_for("sshd to listen", lambda: "listening" in self.program.tail().lower())
        return self

    def __exit__(self, *_):
        self.program.kill()
        shutil.rmtree(self.home, ignore_errors=True)

    def host_key(self):
        return (self.home / "host.pub").read_text()

    def target(self, **more):
        import getpass
        return {"type": "sftp", "path": "127.0.0.1", "port": self.port, "directory": f"{self.home}/in/a/b", "credentials": {
            "username": getpass.getuser(), "ssh_key": (self.home / "user").read_text(), "passphrase": "open sesame"}, **more}


class PasswordSftp:
    """An SFTP server in this process that takes one password, and whose key can change."""

    def __init__(self, port=0):
        self.port, self.root = port, tempfile.mkdtemp(prefix="trawl-sftp-")
        self.loop = asyncio.new_event_loop()

    def __enter__(self):
        import asyncssh
        server = self

        class Door(asyncssh.SSHServer):
            def password_auth_supported(self):
                return True

            def validate_password(self, username, password):
                return (username, password) == ("me", SECRET)

        async def listen():
            key = asyncssh.generate_private_key("ssh-ed25519")
            return await asyncssh.listen("127.0.0.1", server.port, server_factory=Door, server_host_keys=[key],
                                         sftp_factory=lambda chan: asyncssh.SFTPServer(chan, chroot=server.root))

        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.listener = asyncio.run_coroutine_threadsafe(listen(), self.loop).result(20)
        self.port = self.listener.get_port()
        return self

    def __exit__(self, *_):
        async def close():
            self.listener.close()
            await self.listener.wait_closed()

        asyncio.run_coroutine_threadsafe(close(), self.loop).result(20)
        self.loop.call_soon_threadsafe(self.loop.stop)
        shutil.rmtree(self.root, ignore_errors=True)

    def target(self, **more):
        return {"type": "sftp", "path": "127.0.0.1", "port": self.port, "credentials":
                {"username": "me", "password": SECRET}, **more}


class Google:
    """The XML interface of Google's store, as much as an upload uses, for one service account."""

    def __init__(self):
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.pem = self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                          serialization.NoEncryption()).decode()
        self.objects, self.uploads = {}, {}
        google = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                path, _, query = self.path.partition("?")
                name, query = urllib.parse.unquote(path), dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
                if not google.knows(self.headers.get("Authorization", "")):
                    return self.say(401, b"<Error><Code>AuthenticationRequired</Code><Message>No.</Message></Error>")
                if not name.startswith("/box/"):
                    return self.say(404, b"<Error><Code>NoSuchBucket</Code></Error>")
                upload = query.get("uploadId")
                if self.command == "POST" and "uploads" in query:
                    upload = f"u{len(google.uploads)}"
                    google.uploads[upload] = {}
                    return self.say(200, f"<InitiateMultipartUploadResult><Bucket>box</Bucket><Key>x</Key><UploadId>{upload}"
                                         f"</UploadId></InitiateMultipartUploadResult>".encode())
                if self.command == "PUT" and upload:
                    google.uploads[upload][int(query["partNumber"])] = body
                    return self.say(200, b"")
                if self.command == "POST" and upload:
                    numbers = [int(n) for n in re.findall(rb"<PartNumber>(\d+)<", body)]
                    parts = google.uploads.pop(upload)
                    google.objects[name] = b"".join(parts[n] for n in numbers)
                    return self.say(200, b"<CompleteMultipartUploadResult><Location>x</Location><Bucket>box</Bucket><Key>x</Key>"
                                         b'<ETag>"e"</ETag></CompleteMultipartUploadResult>')
                if self.command == "PUT":
                    google.objects[name] = body
                    return self.say(200, b"")
                if self.command == "DELETE":
                    google.uploads.pop(upload, None) if upload else google.objects.pop(name, None)
                    return self.say(204, b"")
                return self.say(200 if name in google.objects else 404, google.objects.get(name, b""))

            def say(self, status, text):
                self.send_response(status)
                self.send_header("ETag", '"e"')
                self.send_header("Last-Modified", "Tue, 24 Nov 2026 10:00:00 GMT")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(text)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.base = f"http://127.0.0.1:{self.server.server_address[1]}"

    def knows(self, header):
        """Whether a bearer token is a JWT that our account's key has signed."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding
        with contextlib.suppress(ValueError, InvalidSignature):
            head, claims, signature = header.removeprefix("Bearer ").split(".")
            unpack = lambda text: base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            self.key.public_key().verify(unpack(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256())
            return json.loads(unpack(claims))["iss"] == "me@x.iam"
        return False

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def target(self, pem=None, **more):
        return {"type": "gcs", "bucket": "box", "endpoint_url": self.base, "credentials":
                {"client_email": "me@x.iam", "private_key": pem or self.pem}, **more}


class Azure:
    """azurite, with one container."""

    def __enter__(self):
        self.port = free_port()
        self.program = Program([os.environ["AZURITE"], "--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry",
                                "--blobHost", "127.0.0.1", "--blobPort", str(self.port)], name="azurite")
        wait_for("azurite to listen", lambda: "successfully listens" in self.program.tail().lower())
        self.base = f"http://127.0.0.1:{self.port}/{ACCOUNT}"
        equal(self.ask("PUT", "/box", "restype=container").status, 201, "making the container")
        return self

    def __exit__(self, *_):
        self.program.kill()

    def ask(self, method, path, query=""):
        """One signed request without a body."""
        moment = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())
        headers = {"x-ms-date": moment, "x-ms-version": "2023-11-03"}
        words = "".join(f"\n{name}:{value}" for name, value in sorted(urllib.parse.parse_qsl(query)))
        signed = "\n".join([method, *[""] * 11, f"x-ms-date:{moment}", "x-ms-version:2023-11-03",
                            f"/{ACCOUNT}/{ACCOUNT}{path}{words}"])
        mac = hmac.new(base64.b64decode(ACCOUNT_KEY), signed.encode(), hashlib.sha256).digest()
        headers["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(mac).decode()}"
        return call(method, f"{self.base}{path}" + (f"?{query}" if query else ""), None, headers)

    def target(self, key=ACCOUNT_KEY, **more):
        return {"type": "azure", "container": "box", "endpoint_url": self.base,
                "credentials": {"account": ACCOUNT, "key": key}, **more}


class Mail:
    """A mail server that wants STARTTLS and a login."""

    def __init__(self, home):
        import ssl
        from aiosmtpd.controller import Controller
        from aiosmtpd.smtp import AuthResult
        self.ca, cert, key = certificates(home, "localhost")
        self.mails, self.verdicts = [], []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        mail = self

        class Handler:
            async def handle_DATA(self, server, session, envelope):
                if mail.verdicts:
                    return mail.verdicts.pop(0)
                mail.mails.append((envelope.rcpt_tos, email.message_from_bytes(envelope.content, policy=email.policy.default)))
                return "250 taken"

        def login(server, session, envelope, mechanism, data):
            return AuthResult(success=(data.login, data.password) == (b"post", SECRET.encode()), handled=False)

        self.port = free_port()
        self.controller = Controller(Handler(), "127.0.0.1", self.port, tls_context=context, require_starttls=True,
                                     auth_required=True, authenticator=login, data_size_limit=1 << 26)

    def __enter__(self):
        self.controller.start()
        return self

    def __exit__(self, *_):
        self.controller.stop()

    def settings(self, password=SECRET):
        return {"deliver": {"retry_max_secs": 1, "extra_ca": str(self.ca)}, "public_url": "https://trawl.example/",
                "email": {"smtp_url": f"smtp://post:{password}@localhost:{self.port}", "from": "Trawl <t@x.example>",
                          "attach_bytes_max": 100_000}}


# ---------------------------------------------------------------- checks
def a_hundred_megabytes_go_to_s3_over_a_killed_server_and_a_bucket_that_is_away():
    pages, size = 104, 1_000_000
    with folder() as home, S3() as s3, Pages(size) as web, Wire(int(s3.base.rsplit(":", 1)[1])) as wire:
        target = s3.target(f"http://127.0.0.1:{wire.port}", directory="/big/", filename={
            "template": "{[dataset_id]}/{[snapshot_id]} {[datetime]}", "extension": "ndjson"})
        server = Server(QUICK, data=home).start()
        try:
            wire.is_open = False
            body = {"input": [{"url": f"{web.base}/{n}"} for n in range(pages)], "deliver": target}
            answer = server.call("POST", "/datasets/v3/trigger", {"dataset_id": "gd_blob"}, body)
            expect(answer.status == 200, f"{answer}")
            snapshot = answer.json()["snapshot_id"]
            server.wait(snapshot)

            def failed():
                (row,) = server.get("/datasets/v3/deliveries", snapshot_id=snapshot).json()
                return row if row["attempts_failed"] >= 1 else None

            row = wait_for("an attempt to fail", failed, 30)
            equal((row["status"], row["type"]), ("running", "s3"), "a delivery whose bucket is away")
            expect(row["error"] and "big" in row["destination"], f"{row}")
            # Slow enough to be killed in the middle.
            wire.rate, wire.is_open = 40e6, True
            wait_for("some parts to be sent", lambda: wire.bytes > 25e6, 60, 0.01)
        finally:
            server.program.kill()
        equal(s3.keys(), [], "what a killed upload leaves to be seen")
        wire.rate = None
        with Server(QUICK, data=home) as server:
            status = ended(server, row["id"], secs=90)
            (key,) = s3.keys()
            equal(key, "big/" + names(status)[0], "the key")
            expect(re.fullmatch(rf"big/gd_blob/{snapshot} \d{{4}}-\d\d-\d\dT[0-9:.]+Z\.ndjson", key), f"the key: {key}")
            got = s3.get(key)
            expect(len(got.body) > 100_000_000, f"only {len(got.body)} bytes")
            equal(hashlib.sha256(got.body).hexdigest(),
                  hashlib.sha256(server.download(snapshot, format="ndjson").body).hexdigest(), "the file and the download")
            rows = ndjson_rows(got.text())
            equal(sorted(row["input"]["url"] for row in rows), sorted(f"{web.base}/{n}" for n in range(pages)), "its rows")
            expect(all(row["text"] == web.text(int(row["input"]["url"].rsplit("/", 1)[1])) for row in rows), "a text is another")
            secrets_stay_secret(home, server)


def secrets_stay_secret(home, server):
    """Neither the database nor the log holds a credential; the key of the machine is its owner's."""
    for file in (home / "data").rglob("*"):
        if file.is_file() and "bucket" not in file.parts:
            expect(SECRET.encode() not in file.read_bytes(), f"{file} holds a credential")
    expect(SECRET not in "\n".join(server.program.lines), "the log holds a credential")
    expect(SECRET not in server.get("/metrics").text(), "the metrics hold a credential")
    equal((home / "data" / "secret.key").stat().st_mode & 0o777, 0o600, "the mode of secret.key")


def parts_formats_and_packing():
    with S3() as s3, Server(QUICK) as server:
        snapshot = server.trigger(inputs(1) * 2500, dataset_id="web_page", custom_output_fields="url|input")
        server.wait(snapshot)
        rows = len(server.rows(snapshot))
        expect(rows > 2000, f"{rows} rows are too few for parts")
        parts = -(-rows // 1000)
        status = deliver(server, snapshot, s3.target(directory="p", filename={"template": "x", "extension": "csv"}),
                         compress=True, batch_size=1000)
        equal(names(status), [f"x.{n}.csv.gz" for n in range(1, parts + 1)], "the files")
        equal(s3.keys(), sorted(f"p/{name}" for name in names(status)), "the keys")
        got = [csv_rows(gzip.decompress(s3.get(f"p/{name}").body).decode()) for name in names(status)]
        equal([len(part) for part in got], [1000] * (parts - 1) + [rows - 1000 * (parts - 1)], "rows of the parts")
        equal([file["rows"] for file in status["delivery_files"]], [len(part) for part in got], "rows told")
        for form, magic in (("json", b"["), ("jsonl", b"{"), ("parquet", b"PAR1"), ("xlsx", b"PK")):
            (name,) = names(deliver(server, snapshot, s3.target(filename={"template": form, "extension": form})))
            answer = s3.get(name)
            expect(answer.body.startswith(magic), f"{name} begins with {answer.body[:20]}")
        equal(json.loads(s3.get("json.json").body), server.rows(snapshot), "the rows as JSON")
        expect(s3.get("json.json").header("Content-Type").startswith("application/json"), "the type of JSON")
        # Again: the same names, the same files.
        before = s3.keys()
        deliver(server, snapshot, s3.target(filename={"template": "json", "extension": "json"}))
        equal(s3.keys(), before, "the keys after the same delivery again")


def what_is_wrong_ends_it_and_can_be_taken_up_again():
    with S3() as s3, Google() as google, Server(QUICK) as server:
        snapshot = server.trigger(inputs(3), dataset_id="web_page")
        server.wait(snapshot)
        status = deliver(server, snapshot, s3.target(bucket="no-such-box"), "failed")
        expect("bucket" in status["error"], f"{status}")
        # The bucket is made, and the same delivery taken up again.
        equal(call("PUT", f"{s3.base}/no-such-box").status, 200, "making the bucket")
        answer = server.call("POST", f"/datasets/v3/delivery/{status['id']}/retry")
        equal(answer.status, 200, f"retry: {answer}")
        ended(server, status["id"])
        equal(server.call("POST", f"/datasets/v3/delivery/{status['id']}/retry").status, 409, "retrying what is done")
        equal(server.call("POST", "/datasets/v3/delivery/d_nonsense/retry").status, 404, "retrying nothing")
        wrong = google.target(pem=Google().pem)
        status = deliver(server, snapshot, wrong, "failed")
        expect("credentials" in status["error"], f"{status}")
        test = tried(server, wrong)
        equal((test["ok"], test["failed_step"]), (False, "write"), f"a test with the wrong key: {test}")
        equal([row["status"] for row in server.get("/datasets/v3/deliveries", status="failed").json()], ["failed"], "the list")
        # Off limits without the operator's word.
    with S3() as s3, Server({**QUICK, "deliver": {"allow_networks": [], "retry_max_secs": 1}}) as server:
        test = tried(server, s3.target())
        equal(test["ok"], False, f"a bucket off limits: {test}")
        expect("off limits" in test["error"], f"{test}")
        test = tried(server, {"type": "sftp", "path": "127.0.0.1", "credentials": {"username": "a", "password": "b"}})
        expect(not test["ok"] and "off limits" in test["error"], f"{test}")
        for target, said in ((s3.target(credentials={"role_arn": "arn:aws:iam::1:role/x", "external_id": "1"}), "roles are not"),
                             ({"type": "snowflake"}, "not available on this server; available are"),
                             ({"type": "email", "address": "a@b.example"}, "smtp_url"),
                             (s3.target(directory="a/../../b"), '"deliver.directory"')):
            answer = server.call("POST", "/datasets/delivery_settings/test", body=target)
            equal(answer.status, 400, f"{target['type']}: {answer}")
            expect(said in answer.json()["error"], f"{answer}")


def google_and_azure():
    with Google() as google, Server(QUICK) as server, contextlib.ExitStack() as stack:
        snapshot = server.trigger(inputs(4), dataset_id="web_page")
        server.wait(snapshot)
        wanted = server.rows(snapshot)
        equal(tried(server, google.target())["ok"], True, "a test of Google's store")
        equal(google.objects, {}, "what a test leaves")
        (name,) = names(deliver(server, snapshot, google.target(directory="a/b")))
        equal(json.loads(google.objects[f"/box/a/b/{name}"]), wanted, "the file in Google's store")
        if "AZURITE" not in os.environ:
            print("        azurite is not there (AZURITE): Azure was not tried")
            return
        azure = stack.enter_context(Azure())
        equal(tried(server, azure.target())["ok"], True, "a test of Azure's store")
        (name,) = names(deliver(server, snapshot, azure.target(directory="a", filename={"extension": "csv"})))
        equal(len(csv_rows(azure.ask("GET", f"/box/a/{name}").text())), len(wanted), "rows of the file in Azure's store")
        status = deliver(server, snapshot, azure.target(key=base64.b64encode(b"x" * 64).decode()), "failed")
        expect("credentials" in status["error"], f"{status}")


def sftp_by_key():
    with Sshd() as sshd, Server(QUICK) as server:
        snapshot = server.trigger(inputs(5), dataset_id="web_page")
        server.wait(snapshot)
        test = tried(server, sshd.target(host_key=sshd.host_key()))
        equal((test["ok"], [step["step"] for step in test["steps"]]),
              (True, ["credentials", "host_key", "connect", "remember", "login", "write", "remove"]), f"a test: {test}")
        (name,) = names(deliver(server, snapshot, sshd.target(known_hosts=f"127.0.0.1 {sshd.host_key()}")))
        place = sshd.home / "in/a/b"
        equal(json.loads((place / name).read_text()), server.rows(snapshot), "the file")
        deliver(server, snapshot, sshd.target())
        equal([file.name for file in place.iterdir()], [name], "files after the same delivery again")
        other = (sshd.home / "user.pub").read_text()
        status = deliver(server, snapshot, sshd.target(host_key=other), "failed")
        expect("none of `host_key`" in status["error"], f"{status}")
        status = deliver(server, snapshot, sshd.target(directory="/proc/no"), "failed")
        expect("creating the file" in status["error"], f"{status}")


def sftp_by_password_and_a_key_that_changes():
    with Server(QUICK) as server:
        with PasswordSftp() as sftp:
            snapshot = server.trigger(inputs(2), dataset_id="web_page")
            server.wait(snapshot)
            (name,) = names(deliver(server, snapshot, sftp.target(directory="/up")))
            equal(json.loads((pathlib.Path(sftp.root) / "up" / name).read_text()), server.rows(snapshot), "the file")
            wrong = sftp.target(credentials={"username": "me", "password": SECRET + "x"})
            status = deliver(server, snapshot, wrong, "failed")
            expect("refused the login" in status["error"], f"{status}")
            port = sftp.port
        # Nobody there: tried again until somebody is; and that one has another key.
        answer = server.call("POST", f"/datasets/v3/deliver/{snapshot}", body={"deliver": sftp.target(directory="/up")})
        number = answer.json()["id"]
        wait_for("an attempt to fail", lambda: server.get(f"/datasets/v3/delivery/{number}").json()["attempts_failed"])
        with PasswordSftp(port) as sftp:
            status = ended(server, number, "failed")
            expect("has changed" in status["error"], f"{status}")
            key = re.search(r"SHA256:\S+?(?=\.? |$)", status["error"]).group().rstrip(".")
            (name,) = names(deliver(server, snapshot, sftp.target(host_key=key)))
            equal(os.listdir(sftp.root), [name], "the files of the new server")


def mail():
    with folder() as home, Mail(home) as box:
        with Server(box.settings()) as server:
            snapshot = server.trigger(inputs(3), dataset_id="web_page", custom_output_fields="url|input")
            server.wait(snapshot)
            target = {"type": "email", "address": "you@y.example", "filename": {"extension": "csv"}}
            equal(tried(server, target)["ok"], True, "a test of mail")
            expect("test" in box.mails.pop()[1]["Subject"].lower(), "the subject of a test")
            box.verdicts = ["451 not now"]
            (name,) = names(deliver(server, snapshot, target))
            ((to, letter),) = box.mails
            equal(to, ["you@y.example"], "the recipient")
            (file,) = letter.iter_attachments()
            equal((file.get_filename(), len(csv_rows(file.get_payload(decode=True).decode()))), (name, 3), "the attachment")
            box.mails.clear()
            big = server.trigger(inputs(60), dataset_id="web_page")
            server.wait(big)
            deliver(server, big, target)
            ((_, letter),) = box.mails
            text = letter.get_content()
            expect(f"https://trawl.example/datasets/v3/snapshot/{big}?format=csv" in text, f"where to get it: {text}")
            box.verdicts = ["550 no such box"]
            status = deliver(server, snapshot, target, "failed")
            expect("550" in status["error"] or "no such box" in status["error"], f"{status}")
        with Server(box.settings("wrong")) as server:
            test = tried(server, target)
            equal((test["ok"], test["failed_step"]), (False, "send"), f"a test with the wrong password: {test}")


def a_default_destination_is_where_rows_go_unless_a_trigger_says_otherwise():
    place = "/datasets/v3/delivery_settings/web_page"
    with folder() as home, S3() as s3, Receiver() as receiver, Server(QUICK, data=home) as server:
        equal(server.get(place).status, 404, "no default yet")
        target = s3.target(directory="default")
        answer = server.call("PUT", place, body={"deliver": target})
        equal(answer.status, 200, f"setting it: {answer}")
        shown = server.get(place).json()["deliver"]
        equal((shown["bucket"], shown["credentials"]), ("box", "***"), f"as it is shown: {shown}")
        to = lambda **query: (lambda snapshot: (server.wait(snapshot), snapshot)[1])(
            server.trigger(inputs(1), dataset_id="web_page", **query))
        kinds = lambda snapshot: sorted(row["type"] for row in server.get("/datasets/v3/deliveries", snapshot_id=snapshot).json())
        snapshot = to()
        (row,) = server.get("/datasets/v3/deliveries", snapshot_id=snapshot).json()
        ended(server, row["id"])
        equal(s3.keys(), [f"default/{snapshot}.json"], "the keys")
        equal(kinds(to(deliver="none")), [], "deliveries of a trigger that wants none")
        equal(kinds(to(endpoint=receiver.url())), ["webhook"], "deliveries of a trigger with its own")
        equal(kinds(to(endpoint=receiver.url(), deliver="default")), ["s3", "webhook"], "deliveries of one that wants both")
        equal(server.call("DELETE", place).status, 200, "forgetting it")
        equal(kinds(to()), [], "deliveries without a default")
        answer = server.call("POST", "/datasets/v3/trigger", {"dataset_id": "web_page", "deliver": "default"}, inputs(1))
        equal(answer.status, 400, f"a default that is not there: {answer}")
        # Credentials of every other kind, at rest.
        to(endpoint=receiver.url("/auth").replace("http://", f"http://me:{SECRET}@"), webhook_header_X_Key=SECRET,
           notify=receiver.url("/told"), auth_header=f"Token {SECRET}")
        posts = receiver.wait("/auth")
        equal(posts[0].headers["Authorization"], f"Token {SECRET}", "the webhook's Authorization")
        expect(SECRET in posts[0].headers.values(), "webhook_header_ was not sent")
        equal(receiver.wait("/told")[0].headers["Authorization"], f"Token {SECRET}", "the notification's header")
        schedule = {"name": "s", "dataset_id": "web_page", "cron": "0 0 1 1 *", "time_zone": "UTC", "input": inputs(1),
                    "deliver": target}
        answer = server.call("POST", "/datasets/v3/schedules", body=schedule)
        expect(answer.status in (200, 201), f"a schedule: {answer}")
        secrets_stay_secret(home, server)


if __name__ == "__main__":
    with Site() as SITE:
        failed = run(
            a_hundred_megabytes_go_to_s3_over_a_killed_server_and_a_bucket_that_is_away, parts_formats_and_packing,
            what_is_wrong_ends_it_and_can_be_taken_up_again, google_and_azure, sftp_by_key,
            sftp_by_password_and_a_key_that_changes, mail,
            a_default_destination_is_where_rows_go_unless_a_trigger_says_otherwise,
        )
    sys.exit(failed)
