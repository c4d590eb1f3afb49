"""Bright Data's Python SDK, as it comes from PyPI, against our server: over TLS, with `api.brightdata.com` resolved to
loopback and our certificate authority trusted. Not a line of the SDK is changed."""
import asyncio
import os
import socket
import sys
import time

from harness import TOKEN, Server, Site, certificates, equal, expect, folder, run

NAME = "api.brightdata.com"
SERVER = SITE = None


def redirect(port):
    """From here on the name resolves to loopback, and to our port whatever port was asked for."""
    original = socket.getaddrinfo

    def getaddrinfo(host, *rest, **named):
        if host in (NAME, NAME.encode()):
            return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", port))]
        return original(host, *rest, **named)

    socket.getaddrinfo = getaddrinfo


def client(**options):
    from brightdata import BrightDataClient  # imported late: it reads the certificate settings when it is loaded

    return BrightDataClient(token=TOKEN, **options)


def as_async(check):
    def wrapped():
        asyncio.run(check())

    wrapped.__name__ = check.__name__
    return wrapped


@as_async
async def zones_are_listed_on_start():
    begun = time.monotonic()
    async with client(auto_create_zones=True) as bright:
        # The client looks for the zones that it made again and again, for half a minute, unless they are listed.
        expect(time.monotonic() - begun < 8, f"the start took {time.monotonic() - begun:.0f} s: made zones are not listed")
        expect(await bright.test_connection() is True, "test_connection() is not True")


@as_async
async def a_wrong_token_is_refused():
    from brightdata import BrightDataClient

    async with BrightDataClient(token="wrong-token-0123456789", auto_create_zones=False) as bright:
        expect(await bright.test_connection() is False, "a wrong token passed test_connection()")


@as_async
async def trigger_status_fetch():
    async with client(auto_create_zones=False) as bright:
        job = await bright.scrape.linkedin.profiles_trigger(SITE.good(1))
        expect(await job.status() in ("running", "ready"), "the status of a job just triggered")
        equal(await job.wait(timeout=60, poll_interval=1), "ready", "the end of the job")
        rows = await job.fetch()
        equal(len(rows), 1, "rows")
        equal(rows[0]["input"], {"url": SITE.good(1)}, "the row's input")
        expect(rows[0].get("name"), f"the row has no name: {rows[0]}")
        lines = await job.fetch(format="raw")
        expect(SITE.good(1) in lines, "fetch(format='raw')")


@as_async
async def a_wrapped_body_with_a_limit():
    async with client(auto_create_zones=False) as bright:
        result = await bright.scrape.x.posts_by_profile(url=SITE.listing(), limit_per_input=3, timeout=60)
        expect(result.success, f"posts_by_profile failed: {result.error}")
        equal(len(result.data), 3, "rows under limit_per_input=3")
        equal(result.data[0]["discovery_input"]["url"], SITE.listing(), "discovery_input")


@as_async
async def the_crawler_gives_rows_at_once():
    async with client(auto_create_zones=False) as bright:
        result = await bright.crawler.crawl(urls=[SITE.good(2)])
        expect(result.success, f"crawl failed: {result.error}")
        equal(len(result.data), 1, "rows of a crawl")
        expect(result.data[0]["markdown"], "a crawl without markdown")
        result = await bright.crawler.crawl(urls=[SITE.good(n) for n in (1, 2, 3)])
        equal(result.page_count, 3, "pages of a crawl of three")


@as_async
async def a_slow_page_is_a_202():
    async with client(auto_create_zones=False) as bright:
        result = await bright.crawler.crawl(urls=[SITE.slow(1)])
        expect(result.success is False, "a slow page came at once")
        expect(str(result.error).startswith("HTTP 202"), f"the error of a slow crawl: {result.error}")


@as_async
async def the_crawler_s_own_job():
    async with client(auto_create_zones=False) as bright:
        job = await bright.crawler.trigger(urls=[SITE.good(1), SITE.dead(1)])
        result = await bright.crawler.download(job.snapshot_id, poll_interval=1, poll_timeout=60)
        expect(result.success, f"download failed: {result.error}")
        equal(sorted(row.get("error_code") or "" for row in result.data), ["", "dead_page"], "rows and error rows")


@as_async
async def an_unknown_job_is_an_error():
    async with client(auto_create_zones=False) as bright:
        equal(await bright.scrape.linkedin.profiles_status("nosuch"), "error", "the status of an unknown job")


@as_async
async def datasets_are_listed():
    async with client(auto_create_zones=False) as bright:
        ids = [dataset.id for dataset in await bright.datasets.list()]
        expect("gd_m6gjtfmeh43we6cqc" in ids and "gd_l1viktl72bvl7bjuj0" in ids, f"datasets: {ids}")


if __name__ == "__main__":
    with folder() as tls:
        ca, cert, key = certificates(tls, NAME)
        settings = {"tls": {"cert": str(cert), "key": str(key)}, "api": {"sync_wait_secs": 5}}
        with Site() as SITE, Server(settings, ca=ca) as SERVER:
            expect(SERVER.base.startswith("https://"), f"not over TLS: {SERVER.base}")
            os.environ["SSL_CERT_FILE"] = str(ca)
            os.environ["HOME"] = str(tls)
            redirect(int(SERVER.base.rsplit(":", 1)[1]))
            failed = run(
                zones_are_listed_on_start, a_wrong_token_is_refused, trigger_status_fetch, a_wrapped_body_with_a_limit,
                the_crawler_gives_rows_at_once, a_slow_page_is_a_202, the_crawler_s_own_job, an_unknown_job_is_an_error,
                datasets_are_listed,
            )
    sys.exit(failed)
