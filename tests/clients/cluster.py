"""Chaos: several nodes on one PostgreSQL and one S3 bucket do jobs with discovery, limits and webhooks in parts, while nodes
are killed and stopped past their leases, the database restarts and drops its connections, and the bucket fails. When the
faults end, so do the jobs: every input settled once, rows exactly those of the shop, limits to the row, each part of a
delivery under one id with the same bytes, and no host asked harder than the settings allow, all nodes together.

    cluster.py [--rounds N] [--inputs K] [--seed S] [--nodes N] [--database sqlite|postgres] [--storage file|s3]
               [--events N] [--no-skew]

A round's seed is printed and repeats its faults (not their exact moments); TRAWL_SEED is another way to say it. SQLite and a folder are for one node alone.

What is tolerated: a node that was stopped (SIGSTOP) goes on with the requests it had begun, and begins some before it hears
that its leases are gone. So for each such stop a host may see `host_concurrency` requests more at once, and as many more
than its pace allows. Nothing is tolerated of rows, limits and deliveries.
"""
import argparse
import base64
import collections
import contextlib
import json
import os
import random
import sys
import time

from harness import Receiver, Site, Wrong, equal, expect, folder, run, short
from rig import NO_ANSWER, Node, Objects, Postgres

DATASET = "posts"
LEASE_SECS = 3
HOSTS = ("shop-a.test", "shop-b.test", "shop-c.test")
CONCURRENCY = 4
DEAD, PER_INPUT, IN_ALL, PART = 20, 17, 333, 100
# A node that ended so often in a row before it listened has another reason than the faults.
VAIN_STARTS = 20
# After the last fault everything must be over in this time, besides what the pace of the hosts takes.
SECS = 120
OPTIONS = None


class Job:
    """One trigger, repeated with its key until it is accepted, and what its rows must be."""

    def __init__(self, name, inputs, query, hook, check):
        self.name, self.inputs, self.check = name, inputs, check
        self.query = {"dataset_id": DATASET, "include_errors": "true", "format": "ndjson", "endpoint": hook,
                      "stream_max_lines": PART, **query}
        self.snapshot = self.state = None

    def drive(self, node):
        """A step forward, if the node answers: triggered, then looked at."""
        if self.snapshot is None:
            key = {"Idempotency-Key": self.name}
            answer = node.call("POST", "/datasets/v3/trigger", self.query, self.inputs, key, timeout=20)
            if answer.status >= 500:
                return
            equal(answer.status, 200, f"trigger of {self.name} → {answer}")
            self.snapshot = answer.json()["snapshot_id"]
        elif self.state != "ready":
            answer = node.call("GET", f"/datasets/v3/progress/{self.snapshot}", timeout=20)
            if answer.status >= 500:
                return
            equal(answer.status, 200, f"{self.name}, accepted as {self.snapshot}, is gone: {answer}")
            progress = answer.json()
            parts = [progress.get(name) for name in ("inputs", "settled", "waiting", "leased")]
            if None not in parts:
                equal(parts[0], sum(parts[1:]), f"inputs = settled + waiting + leased in {progress}")
            self.state = progress["status"]
            expect(self.state in ("running", "ready"), f"{self.name} ended {self.state}: {progress}")


class Round:
    """Everything of one round."""

    def __init__(self, seed, inputs, nodes, events, clocks=()):
        self.seed, self.events, self.clocks = seed, events, clocks
        self.dice = random.Random(seed)
        self.products = max(400, inputs // 2)
        self.n_nodes, self.stops, self.happened = nodes, 0, collections.Counter()
        # Three hosts at this pace have work for as long as the faults go on.
        pages = self.products * 2 + DEAD + 40 * (1 + self.products // 2000) + 20 * PER_INPUT + IN_ALL
        self.delay_ms = max(1, int(1000 * (events * 1.3 + 4) * len(HOSTS) / pages))
        self.secs = SECS + pages * self.delay_ms / 1000

    @contextlib.contextmanager
    def parts(self):
        with contextlib.ExitStack() as stack:
            enter = stack.enter_context
            self.home, self.receiver = enter(folder()), enter(Receiver(self.verdict))
            self.site = enter(Site("--pages", str(self.products), "--on-demand", "--delay-ms", "15"))
            self.port = self.site.base.rsplit(":", 1)[1]
            self.database = enter(Postgres()) if OPTIONS.database == "postgres" else None
            self.objects = enter(Objects(self.seed)) if OPTIONS.storage == "s3" else None
            settings = {
                "log": "warn",
                "database": self.database.url if self.database else "sqlite",
                "secret_key": base64.b64encode(b"seals what the nodes of a test..").decode(),
                "storage": self.objects.url if self.objects else "file",
                "fetch": {"names": [f"{host}=127.0.0.1" for host in HOSTS], "host_concurrency": CONCURRENCY,
                          "host_delay_ms": self.delay_ms},
                "worker": {"lease_secs": LEASE_SECS},
                "deliver": {"retry_max_secs": 1, "signing_secret": "a secret of the test"},
            }
            env = self.objects.env if self.objects else {}
            self.nodes = [Node(f"node-{n}", {**settings, "node": f"node-{n}"}, self.home, env, clock)
                          for n, clock in zip(range(self.n_nodes), [*self.clocks, *[None] * self.n_nodes])]
            try:
                yield self
            except BaseException:
                for node in self.nodes:
                    if node.program:
                        print(f"        {node.name}'s last lines:\n{node.program.tail(6)}")
                raise
            finally:
                for node in self.nodes:
                    if node.program:
                        node.kill()

    def verdict(self, _post):
        """The receiver fails too, now and then, before and after it has taken a post."""
        return self.dice.choice([200] * 8 + [503, "drop"]) if self.chaos else 200

    def url(self, host, path):
        return f"http://{HOSTS[host % len(HOSTS)]}:{self.port}{path}"

    def jobs(self):
        found = {"type": "discover_new", "discover_by": "profile_url"}
        hook = self.receiver.url
        rows = lambda paths: [{"url": self.url(n, path)} for n, path in enumerate(paths)]
        collect = rows([f"/p/{n}" for n in range(self.products)] + [f"/status/404?n={n}" for n in range(DEAD)])
        lists = rows([f"/c/{n}" for n in range(Site.CATEGORIES)])
        every = list(range(self.products))

        def all_collected(good, bad):
            equal((bad, products(good)), ({"dead_page": DEAD}, every), "collect: rows")

        def all_found(good, bad):
            equal((bad, products(good)), ({}, every), "discover: products found, each once")

        def so_many_each(good, bad):
            per = collections.Counter(row["discovery_input"]["url"] for row in good)
            most = min(PER_INPUT, self.products // Site.CATEGORIES)
            equal((bad, dict(per)), ({}, {row["url"]: most for row in lists[:20]}), "per_input: rows of each input")

        def so_many_in_all(good, bad):
            equal(len(good) + sum(bad.values()), min(IN_ALL, self.products // 2), "in_all: rows")

        return [
            Job("collect", collect, {}, hook("/collect"), all_collected),
            Job("discover", lists, found, hook("/discover"), all_found),
            Job("per_input", lists[:20], {**found, "limit_per_input": PER_INPUT}, hook("/per_input"), so_many_each),
            Job("in_all", lists[:20], {**found, "limit_multiple_results": IN_ALL}, hook("/in_all"), so_many_in_all),
        ]

    # -- faults
    def faults(self):
        ways = [self.kill, self.kill, self.stop]
        if self.database:
            ways += [self.restart_database, self.cut_database]
        if self.objects:
            ways += [self.break_bucket, self.break_bucket]
        return ways

    def kill(self):
        self.dice.choice(self.nodes).kill()

    def stop(self):
        node = self.dice.choice([node for node in self.nodes if node.is_up()] or [None])
        if node is None:
            return False
        node.stop_for(LEASE_SECS + 1.5)
        self.stops += 1

    def restart_database(self):
        self.database.restart(self.dice.choice(["fast", "immediate"]))

    def cut_database(self):
        self.database.cut()

    def break_bucket(self):
        self.objects.proxy.rate = self.dice.choice([0.1, 0.3, 0.6, 1.0])

    def look_after(self):
        """Dead nodes are started anew, stopped ones go on when their time is over."""
        for node in self.nodes:
            if node.program is None or node.program.process.poll() is not None:
                if node.program is not None and node.program.process.returncode != -9:
                    # Without its database or its bucket a node does not start; whoever runs it starts it again.
                    node.vain_starts = 0 if node.has_listened() else node.vain_starts + 1
                    if not self.chaos or node.vain_starts not in range(1, VAIN_STARTS):
                        node.expect_alive()
                    self.happened["start in vain"] += 1
                node.launch()
            elif node.stopped_until is not None and time.monotonic() >= node.stopped_until:
                node.go_on()

    def drive(self, todo):
        for job in todo:
            up = [node for node in self.nodes if node.is_up()]
            if not up:
                return
            try:
                job.drive(self.dice.choice(up))
            except NO_ANSWER:
                pass

    def play(self):
        todo, self.chaos, done = self.jobs(), True, 0
        print(f"        seed {self.seed}: {self.n_nodes} nodes, {self.products} products, a page of a host each "
              f"{self.delay_ms} ms, {self.events} faults")
        begun = time.monotonic()
        faults, next_fault = self.faults(), time.monotonic() + 2.0
        # The last life of the faults: those that are a matter of time, too.
        while done < self.events:
            self.look_after()
            self.drive(todo)
            if time.monotonic() >= next_fault and any(job.snapshot for job in todo):
                if self.objects:
                    self.objects.proxy.rate = 0.0
                fault = self.dice.choice(faults)
                if fault() is not False:
                    self.happened[fault.__name__] += 1
                    done += 1
                next_fault = time.monotonic() + self.dice.uniform(0.3, 1.6)
            expect(time.monotonic() - begun < self.secs, f"only {done} faults in {self.secs:.0f} s")
            time.sleep(0.05)
        during = [job.name for job in todo if job.state != "ready"]
        if self.events:
            expect(during, "every job had ended before the last fault: make the shop slower")
        self.chaos = False
        if self.objects:
            self.objects.proxy.rate = 0.0
        for node in self.nodes:
            node.go_on()
        print(f"        {dict(self.happened)} in {time.monotonic() - begun:.1f} s; still at work: {', '.join(during)}")
        if self.objects:
            print(f"        the bucket's requests: {self.objects.proxy.done}")
        end = time.monotonic() + self.secs
        while any(job.state != "ready" for job in todo):
            self.look_after()
            self.drive(todo)
            left = [(job.name, job.snapshot, job.state) for job in todo if job.state != "ready"]
            expect(time.monotonic() < end, f"not over {self.secs:.0f} s after the last fault: {left}")
            time.sleep(0.1)
        return todo

    # -- what must be
    def check(self, todo):
        for job in todo:
            rows = self.rows_of(job)
            good = [row for row in rows if not row.get("error_code")]
            bad = collections.Counter(row["error_code"] for row in rows if row.get("error_code"))
            twice = [url for url, n in collections.Counter(row["input"]["url"] for row in rows).items() if n > 1]
            equal(twice, [], f"{job.name}: inputs with more than one row")
            for row in good:
                expect(row["id"] and row["title"], f"{job.name}: a row without its fields: {short(row)}")
            job.check(good, dict(bad))
            self.check_parts(job, rows)
        self.check_pace()

    def rows_of(self, job):
        """The same from every node."""
        answers = []
        for node in self.nodes:
            self.look_after()
            end = time.monotonic() + 30
            while not node.is_up() and time.monotonic() < end:
                time.sleep(0.05)
            progress, rows = node.progress(job.snapshot), node.rows(job.snapshot)
            errors = sum(1 for row in rows if row.get("error_code"))
            equal((progress["records"], progress["errors"]), (len(rows) - errors, errors), f"{job.name}: counts and rows")
            answers.append(rows)
        for rows in answers[1:]:
            expect(rows == answers[0], f"{job.name}: nodes give different rows")
        return answers[0]

    def check_parts(self, job, rows):
        """A part whose answer was lost comes again, under the same id and with the same bytes."""
        path, wanted = "/" + job.name, len(rows)
        parts, end = {}, time.monotonic() + 60
        while True:
            for post in self.receiver.at(path):
                same = parts.setdefault(post.headers["webhook-id"], post)
                expect(same.body() == post.body(), f"{job.name}: {post.headers['webhook-id']} came with other bytes")
            lines = [line for post in parts.values() for line in post.body().decode().split("\n") if line]
            if len(lines) >= wanted:
                break
            expect(time.monotonic() < end, f"{job.name}: {len(lines)} of {wanted} rows came in {len(parts)} parts")
            time.sleep(0.1)
        text = lambda row: json.dumps(row, sort_keys=True)
        equal(sorted(text(json.loads(line)) for line in lines) == sorted(map(text, rows)), True,
              f"{job.name}: the {len(lines)} rows of {len(parts)} parts are the download's {wanted}")
        equal(len({post.headers["X-Delivery-Id"] for post in parts.values()}), 1, f"{job.name}: deliveries")
        numbers = sorted(int(post.headers["X-Part"]) for post in parts.values())
        equal(numbers, list(range(numbers[0], numbers[0] + len(numbers))), f"{job.name}: numbers of the parts")
        sizes = [post.body().count(b"\n") for _, post in sorted((int(p.headers["X-Part"]), p) for p in parts.values())]
        expect(all(size == PART for size in sizes[:-1]), f"{job.name}: rows of the parts: {sizes}")

    def check_pace(self):
        seen = self.site.get("/stats").json()["hosts"]
        for host in HOSTS:
            one = seen.get(f"{host}:{self.port}")
            if one is None:
                raise Wrong(f"nobody asked {host}: {sorted(seen)}")
            span = one["span_ms"] / 1000
            most = CONCURRENCY * (1 + self.stops)
            fits = span * 1000 / self.delay_ms + 1 + CONCURRENCY * self.stops + self.happened["kill"]
            print(f"        {host}: {one['requests']} requests in {span:.1f} s (its pace allows {fits:.0f}), "
                  f"{one['max_concurrent']} at once (of {most})")
            expect(one["max_concurrent"] <= most, f"{host}: {one['max_concurrent']} at once, not {most}")
            expect(one["requests"] <= fits, f"{host}: {one['requests']} requests where its pace allows {fits:.0f}")


def products(rows):
    return sorted(int(row["input"]["url"].rsplit("/", 1)[1]) for row in rows)


def nothing_is_lost_doubled_or_hurried():
    dice = random.Random(OPTIONS.seed)
    for n in range(OPTIONS.rounds):
        seed = OPTIONS.seed if n == 0 else dice.randrange(1 << 32)
        with Round(seed, OPTIONS.inputs, OPTIONS.nodes, OPTIONS.events).parts() as one:
            one.check(one.play())
        if OPTIONS.rounds > 1:
            print(f"        round {n + 1} of {OPTIONS.rounds} held", flush=True)


def wrong_clocks_cost_work_and_nothing_else():
    """Nodes ten minutes ahead and ten minutes behind, beside one that is right."""
    clocks = ("+10m", "-10m", None)
    # 400 products: as many in each category.
    with Round(OPTIONS.seed, min(OPTIONS.inputs, 800), len(clocks), 0, clocks).parts() as one:
        one.check(one.play())


def options():
    words = argparse.ArgumentParser()
    words.add_argument("--rounds", type=int, default=1)
    words.add_argument("--inputs", type=int, default=2000, help="pages of a round, about")
    seed = int(os.environ.get("TRAWL_SEED", random.SystemRandom().randrange(1 << 32)))
    words.add_argument("--seed", type=int, default=seed)
    words.add_argument("--nodes", type=int, default=3)
    words.add_argument("--events", type=int, default=10, help="faults of a round")
    words.add_argument("--database", choices=("sqlite", "postgres"), default="postgres")
    words.add_argument("--storage", choices=("file", "s3"), default="s3")
    words.add_argument("--no-skew", action="store_true", help="leave out the nodes with wrong clocks")
    chosen, sys.argv[1:] = words.parse_known_args()
    if (chosen.database, chosen.storage) != ("postgres", "s3") and chosen.nodes != 1:
        words.error("several nodes need --database postgres and --storage s3; add --nodes 1")
    return chosen


if __name__ == "__main__":
    OPTIONS = options()
    checks = [nothing_is_lost_doubled_or_hurried]
    if OPTIONS.nodes > 1 and not OPTIONS.no_skew:
        checks.append(wrong_clocks_cost_work_and_nothing_else)
    sys.exit(run(*checks))
