"""Scrapy at its fastest: no robots, throttle, cookies, console or log; JSON-lines feed export.

It asks for gzip by itself. With --jobdir its queue is on disk, which is nearer to what a server must do.
"""

import argparse

import scrapy
from fields import parsel_record
from scrapy.crawler import CrawlerProcess

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--pages", type=int, default=5000)
parser.add_argument("--out", required=True, help="NDJSON file")
parser.add_argument("--concurrency", type=int, default=64)
parser.add_argument("--base", default="http://127.0.0.1:8900")
parser.add_argument("--uvloop", action="store_true")
parser.add_argument("--jobdir")
args = parser.parse_args()


class Products(scrapy.Spider):
    name = "products"

    async def start(self):
        for i in range(args.pages):
            yield scrapy.Request(f"{args.base}/p/{i}", dont_filter=True)

    def parse(self, response):
        yield parsel_record(response, response.url)


settings = {
    "ROBOTSTXT_OBEY": False,
    "AUTOTHROTTLE_ENABLED": False,
    "COOKIES_ENABLED": False,
    "TELNETCONSOLE_ENABLED": False,
    "MEMUSAGE_ENABLED": False,
    "LOG_LEVEL": "ERROR",
    "LOGSTATS_INTERVAL": 0,
    "DOWNLOAD_DELAY": 0,
    "CONCURRENT_REQUESTS": args.concurrency,
    "CONCURRENT_REQUESTS_PER_DOMAIN": args.concurrency,
    "REACTOR_THREADPOOL_MAXSIZE": 20,
    "FEEDS": {args.out: {"format": "jsonlines", "encoding": "utf8", "overwrite": True}},
}
if args.uvloop:
    settings["ASYNCIO_EVENT_LOOP"] = "uvloop.Loop"
if args.jobdir:
    settings["JOBDIR"] = args.jobdir
process = CrawlerProcess(settings)
process.crawl(Products)
process.start()
