"""A polite crawler, seen by the sites that it visits: robots.txt in every variant, rate limits that nobody told it, hosts
that are dead or slow, and all of that over a restart.
"""
import pathlib
import sys
import tempfile
import time

from harness import Server, Site, Wrong, equal, expect, run, wait_for

RULES = {  # variant → what becomes of /p/1 and /p/2
    "none": (None, None), "forbidden": (None, None), "html": (None, None), "huge": (None, None), "lost": (None, None),
    "closed": ("robots_disallowed", "robots_disallowed"), "rules": (None, "robots_disallowed"),
    "moved": (None, "robots_disallowed"), "error": ("robots_disallowed", "robots_disallowed"),
    "busy": ("robots_disallowed", "robots_disallowed"), "hang": ("timeout", "timeout"),
}


def names(*hosts):
    return [f"{host}=127.0.0.1" for host in hosts]


def port(site):
    return site.base.rsplit(":", 1)[1]


def at(site, host, path):
    return f"http://{host}:{port(site)}{path}"


def codes(server, snapshot):
    return {row["input"]["url"]: row.get("error_code") for row in server.rows(snapshot)}


def robots_of_every_kind_are_read_as_they_should():
    hosts = [f"robots-{variant}.test" for variant in RULES]
    settings = {"fetch": {"names": names(*hosts), "robots_timeout_ms": 500}}
    with Site() as site, Server(settings) as server:
        wanted = {}
        for variant, fates in RULES.items():
            for number, fate in zip((1, 2), fates):
                wanted[at(site, f"robots-{variant}.test", f"/p/{number}")] = fate
        snapshot = server.trigger([{"url": url} for url in wanted], dataset_id="web_page", include_errors="true")
        server.wait(snapshot)
        equal(codes(server, snapshot), wanted, "what became of each page")
        rows = {row["input"]["url"]: row for row in server.rows(snapshot)}
        message = rows[at(site, "robots-rules.test", "/p/2")]["error"]
        expect("line 5" in message and "Disallow: /p/" in message, f"the message names the line: {message}")
        seen = site.get("/stats").json()["hosts"]
        equal(seen[f"robots-closed.test:{port(site)}"]["requests"], 1, "requests to a host that wants none")
        # A host's page tells what its file said.
        one = server.get(f"/hosts/robots-rules.test:{port(site)}").json()
        equal([file["state"] for file in one["robots"]], ["rules"], f"robots of {one}")
        found = server.get("/hosts", host="robots-", limit=3).json()
        equal((len(found["hosts"]), found["total"]), (3, len(RULES)), "hosts by part of a name")
        equal(server.get("/hosts/nobody.test").status, 404, "a host that nobody knows")
        equal(server.call("GET", "/hosts", token=False).status, 401, "hosts without a token")
        metrics = server.get("/metrics").text()
        for line in ("trawl_robots_requests_total", "trawl_hosts ", 'trawl_fetch_errors_total{kind="robots"}'):
            expect(line in metrics, f"{line} in the metrics")


def a_scraper_may_ignore_robots():
    with Site() as site, tempfile.TemporaryDirectory() as folder:
        scraper = pathlib.Path(folder) / "bold"
        scraper.mkdir()
        (scraper / "scraper.toml").write_text(
            'dataset_id = "bold"\ntitle = "Bold"\n[fetch]\nrobots = "ignore"\n[doors.collect_by_url]\nstart = "page"\n'
            'inputs.url = { type = "url", required = true }\n[pages.page]\nrecord = true\n'
            '[fields.title]\nfrom = [{ page = "title" }]\n[fields.robots]\nfrom = [{ page = "robots" }]\n')
        settings = {"fetch": {"names": names("robots-closed.test")}}
        with Server(settings, scrapers=folder) as server:
            url = at(site, "robots-closed.test", "/p/1")
            for dataset, fate in (("bold", None), ("web_page", "robots_disallowed")):
                snapshot = server.trigger([{"url": url}], dataset_id=dataset, include_errors="true")
                server.wait(snapshot)
                equal(codes(server, snapshot), {url: fate}, f"what {dataset} gives")
        with Server({"fetch": {"names": names("robots-closed.test"), "robots": "ignore"}}) as server:
            snapshot = server.trigger([{"url": url}], dataset_id="web_page", include_errors="true")
            server.wait(snapshot)
            equal(codes(server, snapshot), {url: None}, "with the operator's setting")


def a_crawl_delay_is_a_pace():
    with Site() as site, Server({"fetch": {"names": names("robots-delay.test")}}) as server:
        urls = [{"url": at(site, "robots-delay.test", f"/p/{n}")} for n in range(5)]
        snapshot = server.trigger(urls, dataset_id="web_page", include_errors="true")
        equal(server.wait(snapshot)["errors"], 0, "errors")
        seen = site.get("/stats").json()["hosts"][f"robots-delay.test:{port(site)}"]
        equal((seen["requests"], seen["max_concurrent"]), (6, 1), "requests, and at once")
        # The first page may follow its robots.txt at once: nobody knew the delay before.
        fast = Server({"fetch": {"names": names("robots-delay.test"), "crawl_delay_max_ms": 1}})
        with fast:
            fast.wait(fast.trigger(urls, dataset_id="web_page", include_errors="true"))
        after = site.get("/stats").json()["hosts"][f"robots-delay.test:{port(site)}"]
        equal(after["requests"], 12, "requests with the cap")


def an_unknown_limit_is_found_kept_to_and_remembered():
    """429s per 1,000 requests after adaptation, by the site's own count; then the same over a restart."""
    limits = {"bucket.test": "/limit/40/20/0", "told.test": "/limit/40/10/1"}
    with Site() as site, tempfile.TemporaryDirectory() as home:
        count = lambda host: site.get("/stats").json()["limits"].get(f"{host}:{port(site)}", {"served": 0, "refused": 0})
        settings = {"fetch": {"names": names(*limits)}}
        urls = [{"url": at(site, host, f"{path}/{n}")} for n in range(350) for host, path in limits.items()]
        server = Server(settings, data=home).start()
        try:
            snapshot = server.trigger(urls, dataset_id="web_page", include_errors="true")
            wait_for("both hosts to be adapted to", lambda: all(count(host)["served"] >= 120 for host in limits), 60)
            adapted = {host: count(host) for host in limits}
            equal(server.wait(snapshot, secs=90)["errors"], 0, "errors")
            for host in limits:
                after = count(host)
                served, refused = after["served"] - adapted[host]["served"], after["refused"] - adapted[host]["refused"]
                print(f"        {host}: {adapted[host]['refused']} refused while adapting, then {refused} of {served + refused}")
                expect(refused * 100 < served + refused, f"{host}: {refused} of {served + refused} refused after adaptation")
            learnt = {host: server.get(f"/hosts/{host}:{port(site)}").json()["delay_ms"] for host in limits}
            expect(all(delay >= 10 for delay in learnt.values()), f"delays learnt: {learnt}")
            # What was learnt outlives the process.
            expect("trawl_fetch_slow_downs_total 0" not in server.get("/metrics").text(), "slow-downs are counted")
            server.program.stop()
            server.start()
            kept = {host: server.get(f"/hosts/{host}:{port(site)}").json()["delay_ms"] for host in limits}
            equal(kept, learnt, "delays after a restart")
            before = {host: count(host)["refused"] for host in limits}
            again = server.trigger(urls[:60], dataset_id="web_page", include_errors="true")
            equal(server.wait(again)["errors"], 0, "errors after the restart")
            for host in limits:
                equal(count(host)["refused"] - before[host], 0, f"{host}: refusals after the restart")
        finally:
            server.program.kill()


def what_was_learnt_survives_a_kill():
    """SIGKILL, not a stop: what is kept is at most some seconds old."""
    with Site() as site, tempfile.TemporaryDirectory() as home:
        host, dead = f"bucket.test:{port(site)}", "dead.test:9"
        settings = {"fetch": {"names": names("bucket.test", "dead.test"), "robots": "ignore"}}
        server = Server(settings, data=home).start()
        try:
            server.trigger([{"url": at(site, "bucket.test", f"/limit/40/20/0/{n}")} for n in range(2000)]
                           + [{"url": f"http://{dead}/{n}"} for n in range(200)], dataset_id="web_page")
            known = lambda name: server.get(f"/hosts/{name}").json()
            wait_for("the limit to be found", lambda: known(host).get("slow_downs", 0) >= 2, 60)
            wait_for("the dead host to be known as dead", lambda: known(dead).get("circuit") != "closed", 60)
            # A save is due every two seconds.
            time.sleep(3)
            learnt, down = known(host)["delay_ms"], known(dead)
            server.program.kill()
            refused = site.get("/stats").json()["limits"][host]["refused"]
            server.start()
            kept = known(host)["delay_ms"]
            expect(kept >= 10 and 0.5 <= kept / learnt <= 2, f"the delay was {learnt} ms before the kill, and is {kept} ms after it")
            expect(down["circuit"] == "closed" or known(dead)["circuit"] != "closed", f"the dead host was {down}, is {known(dead)}")
            served = site.get("/stats").json()["limits"][host]["served"]
            wait_for("the job to go on", lambda: site.get("/stats").json()["limits"][host]["served"] >= served + 60, 60)
            more = site.get("/stats").json()["limits"][host]["refused"] - refused
            expect(more <= 2, f"{more} refusals while learning again what was known")
        finally:
            server.program.kill()


def a_dead_host_costs_a_few_attempts_and_holds_up_nobody():
    # Without robots.txt, so that it is the pages themselves that are tried.
    settings = {"fetch": {"names": names("dead.test", "alive.test"), "robots": "ignore"}}
    with Site() as site, Server(settings) as server:
        # Port 9 of loopback: nothing listens there.
        dead = [{"url": f"http://dead.test:9/{n}"} for n in range(2000)]
        alive = [{"url": at(site, "alive.test", f"/p/{n}")} for n in range(200)]
        first = server.trigger(dead, dataset_id="web_page", include_errors="true")
        second = server.trigger(alive, dataset_id="web_page", include_errors="true")
        equal(server.wait(second, secs=30)["errors"], 0, "errors of the healthy host")
        equal(server.wait(first, secs=60)["errors"], 2000, "errors of the dead host")
        equal(set(codes(server, first).values()), {"crawl_error"}, "their codes")
        one = server.get("/hosts/dead.test:9").json()
        expect(0 < one["failures"] <= 60, f"attempts for 2000 inputs of a dead host: {one}")
        expect(one["circuit"] != "closed", f"its circuit: {one}")
        metrics = server.get("/metrics").text()
        expect("trawl_hosts_down 1" in metrics, "the dead host in the metrics")


def slow_hosts_leave_room_for_the_others():
    """More slow hosts than there are places, for requests and for slices: a healthy job passes them all."""
    slow = [f"slow-{n}.test" for n in range(8)]
    settings = {"worker": {"jobs": 3}, "fetch": {"names": names("quick.test", *slow), "concurrency": 16, "host_concurrency": 4}}
    with Site() as site, Server(settings) as server:
        urls = [{"url": at(site, host, f"/bad/slow/3000/{n}")} for host in slow for n in range(4)]
        first = server.trigger(urls, dataset_id="web_page", include_errors="true")
        seen = lambda: site.get("/stats").json()["open"]
        wait_for("the slow hosts to take what they can", lambda: seen() >= 8, 30)
        quick = [{"url": at(site, "quick.test", f"/p/{n}")} for n in range(100)]
        second = server.trigger(quick, dataset_id="web_page", include_errors="true")
        server.wait(second, secs=60)
        state = server.progress(first)
        if state["status"] != "running":
            raise Wrong(f"the slow job should still run when the quick one is done: {state}")
        equal(server.wait(first, secs=90)["errors"], 0, "errors of the slow hosts")


def many_jobs_on_one_slow_host_hold_up_nobody():
    """Far more jobs than there are places wait for one slow host: a healthy job passes them all, and they all end."""
    settings = {"worker": {"jobs": 3}, "fetch": {"names": names("quick.test", "slow.test"), "host_concurrency": 2}}
    with Site() as site, Server(settings) as server:
        slow = [server.trigger([{"url": at(site, "slow.test", f"/bad/slow/900/{n}")}], dataset_id="web_page") for n in range(18)]
        wait_for("the first slow pages", lambda: sum(server.progress(one)["records"] for one in slow) >= 2, 30)
        quick = [{"url": at(site, "quick.test", f"/p/{n}")} for n in range(100)]
        begun = time.monotonic()
        second = server.trigger(quick, dataset_id="web_page", include_errors="true")
        equal(server.wait(second, secs=60)["errors"], 0, "errors of the quick host")
        took = time.monotonic() - begun
        left = sum(server.progress(one)["status"] == "running" for one in slow)
        print(f"        the quick job took {took:.1f} s beside {left} slow ones")
        expect(took < 5 and left >= 9, f"the quick job took {took:.1f} s, and {left} slow ones are left")
        for one in slow:
            equal(server.wait(one, secs=90)["records"], 1, "records of a job on the slow host")
        seen = site.get("/stats").json()["hosts"][f"slow.test:{port(site)}"]
        expect(seen["max_concurrent"] <= 2, f"requests at once to the slow host: {seen}")


if __name__ == "__main__":
    sys.exit(run(
        robots_of_every_kind_are_read_as_they_should, a_scraper_may_ignore_robots, a_crawl_delay_is_a_pace,
        an_unknown_limit_is_found_kept_to_and_remembered, what_was_learnt_survives_a_kill, a_dead_host_costs_a_few_attempts_and_holds_up_nobody,
        slow_hosts_leave_room_for_the_others, many_jobs_on_one_slow_host_hold_up_nobody,
    ))
