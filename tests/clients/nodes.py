"""Nodes of a cluster, each with its part: an API that works for nothing itself, workers that serve nothing else, a host that
goes from one to the other with its pace, a node that was stopped and sends nothing when it goes on, shards of a big host.
"""
import re
import subprocess
import time

from harness import Server, Site, binary, equal, expect, folder, run, wait_for
from rig import Postgres

LEASE_SECS = 2
HOSTS = [f"host-{n}.test" for n in range(6)]


class Cluster:
    """Nodes on one database and one folder for rows."""

    def __init__(self, home, database, **fetch):
        names = [f"{host}=127.0.0.1" for host in HOSTS]
        self.home, self.nodes = home, []
        self.settings = {
            "database": database.url, "secret_key": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", "database_connections": 4,
            "worker": {"lease_secs": LEASE_SECS}, "fetch": {"names": names, "robots": "ignore", **fetch},
        }

    def start(self, name, role="all", **more):
        node = Server(self.settings, data=self.home, env={"TRAWL_NODE": name, "TRAWL_ROLE": role, **more})
        self.nodes.append(node)
        return node.start()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        for node in self.nodes:
            if node.program.process.poll() is None:
                node.program.stop() if kind is None else node.program.kill()
            if kind is not None:
                print(f"        a node's last lines:\n{node.program.tail(8)}")


def seen_by(node):
    return {one["node"]: one for one in node.get("/nodes").json()["nodes"]}


def each_has_its_part():
    with Postgres() as database, folder() as home, Site() as site, Cluster(home, database) as cluster:
        words = [binary("TRAWL_BIN", "trawl"), "migrate", "--set", f"database={database.url}", "--data", str(home / "m")]
        said = [subprocess.run(words, capture_output=True, text=True, timeout=60).stderr for _ in range(2)]
        expect(re.search(r"made, with schema version \d", said[0]) and "already" in said[1], f"migrate said {said}")

        api = cluster.start("front", "api", TRAWL_MIGRATE_AT_START="false")
        equal({name: one["role"] for name, one in seen_by(api).items()}, {"front": "api"}, "nodes at first")
        snapshot = api.trigger([{"url": site.product(1)}], dataset_id="posts")
        time.sleep(1)
        equal(api.progress(snapshot)["status"], "running", "a job without a worker")

        worker = cluster.start("back", "worker")
        api.wait(snapshot)
        begun = time.monotonic()
        answer = api.call("POST", "/datasets/v3/scrape", {"dataset_id": "posts"}, [{"url": site.product(2)}])
        equal(answer.status, 200, f"a synchronous call that another node works for: {answer}")
        expect(time.monotonic() - begun < 3, "it waits for no poll")
        equal([worker.get(path).status for path in ("/healthz", "/readyz", "/metrics", "/datasets/v3/snapshots", "/ui")],
              [200, 200, 200, 404, 404], "what a worker serves")
        wait_for("both to be seen", lambda: set(seen_by(api)) == {"front", "back"})
        equal(api.call("GET", "/nodes", token=False).status, 401, "nodes without a token")
        worker.program.stop()
        equal(set(seen_by(api)), {"front"}, "nodes after one said goodbye")


def a_stopped_node_sends_nothing_for_a_host_that_another_has():
    pace = {"host_concurrency": 1, "host_delay_ms": 100}
    with Postgres() as database, folder() as home, Site() as site, Cluster(home, database, **pace) as cluster:
        one, two = cluster.start("one"), cluster.start("two")
        port = site.base.rsplit(":", 1)[1]
        inputs = [{"url": f"http://{HOSTS[0]}:{port}/p/{n}"} for n in range(120)]
        snapshot = one.trigger(inputs, dataset_id="posts")
        holder = wait_for("a node to hold it", lambda: next(
            (node for node, name in ((one, "one"), (two, "two")) if seen_by(node)[name]["jobs"]), None))
        other = two if holder is one else one
        time.sleep(0.5)
        # Twice, so that the host goes there and back.
        for stopped, name in ((holder, other), (other, holder)):
            stopped.program.process.send_signal(19)
            before = requests(site, port)
            wait_for("the other to take over", lambda: requests(site, port) > before + 3)
            stopped.program.process.send_signal(18)
            time.sleep(1)
            expect(name.program.process.poll() is None, "it lives")
        one.wait(snapshot, secs=60)
        stats = site.get("/stats").json()["hosts"][f"{HOSTS[0]}:{port}"]
        equal(stats["max_concurrent"], 1, "requests at once")
        fits = stats["span_ms"] / 100 + 1
        expect(stats["requests"] <= fits, f"{stats['requests']} requests where the pace allows {fits:.0f}")
        equal(len(one.rows(snapshot)), len(inputs), "rows")


def requests(site, port):
    return site.get("/stats").json()["hosts"].get(f"{HOSTS[0]}:{port}", {}).get("requests", 0)


def a_big_host_is_shared_and_still_asked_no_harder():
    pace = {"host_concurrency": 4, "host_delay_ms": 20}
    with Postgres() as database, folder() as home, Site() as site:
        port = site.base.rsplit(":", 1)[1]
        big = f"{HOSTS[1]}:{port}"
        with Cluster(home, database, host_shards=[f"{big}=3"], **pace) as cluster:
            nodes = [cluster.start(name) for name in ("one", "two", "three")]
            # Asked, each knows how many there are; else at its next sign of life.
            wait_for("all to be seen by all", lambda: all(len(seen_by(node)) == 3 for node in nodes))
            inputs = [{"url": f"http://{big}/p/{n}"} for n in range(600)]
            snapshot, lanes = nodes[0].trigger(inputs, dataset_id="posts"), {}
            while nodes[0].progress(snapshot)["status"] != "ready":
                for node, name in zip(nodes, ("one", "two", "three")):
                    lanes[name] = max(lanes.get(name, 0), seen_by(node)[name]["lanes"])
                time.sleep(0.05)
            expect(sum(n > 0 for n in lanes.values()) > 1, f"one node had the whole host: {lanes}")
            stats = site.get("/stats").json()["hosts"][big]
            expect(stats["max_concurrent"] <= 4, f"{stats['max_concurrent']} requests at once")
            fits = stats["span_ms"] / 20 + 3
            expect(stats["requests"] <= fits, f"{stats['requests']} requests where the pace allows {fits:.0f}")
            equal(len(nodes[1].rows(snapshot)), len(inputs), "rows")


def what_makes_no_sense_is_refused():
    for words, said in (
        (["role=api"], "`role` should be"),
        (["database=mysql://x"], "`database` should be"),
        (["fetch.host_shards=a.example=9"], "1 to 8 shards"),
        (["listen="], "`listen` should be"),
    ):
        sets = [part for word in words for part in ("--set", word)]
        done = subprocess.run([binary("TRAWL_BIN", "trawl"), "config", *sets], capture_output=True, text=True, timeout=60)
        expect(done.returncode == 2 and said in done.stderr, f"{words}: {done.returncode} {done.stderr}")
    done = subprocess.run([binary("TRAWL_BIN", "trawl"), "config", "--set", "database=postgres://u:hunter2@h/d"],
                          capture_output=True, text=True, timeout=60)
    expect("hunter2" not in done.stdout + done.stderr and done.returncode == 0, "the database's password is not shown")


if __name__ == "__main__":
    run(
        what_makes_no_sense_is_refused,
        each_has_its_part,
        a_stopped_node_sends_nothing_for_a_host_that_another_has,
        a_big_host_is_shared_and_still_asked_no_harder,
    )
