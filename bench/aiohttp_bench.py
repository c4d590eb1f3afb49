"""By hand with aiohttp, uvloop and selectolax: what a skilled Python user would write. Nothing in it survives a crash."""

import argparse
import asyncio
import json

import aiohttp
import uvloop
from fields import lexbor_record, parsel_record
from parsel import Selector
from selectolax.lexbor import LexborHTMLParser

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--pages", type=int, default=5000)
parser.add_argument("--out", required=True, help="NDJSON file")
parser.add_argument("--concurrency", type=int, default=64)
parser.add_argument("--base", default="http://127.0.0.1:8900")
parser.add_argument("--extract", choices=["lexbor", "parsel", "none"], default="lexbor")
args = parser.parse_args()


def record(body, url):
    if args.extract == "lexbor":
        return lexbor_record(LexborHTMLParser(body), url)
    return parsel_record(Selector(text=body.decode()), url)


async def main():
    ids = iter(range(args.pages))
    connector = aiohttp.TCPConnector(limit=args.concurrency)
    with open(args.out, "w", buffering=1 << 20) as out:
        async with aiohttp.ClientSession(connector=connector) as session:

            async def work():
                for i in ids:
                    url = f"{args.base}/p/{i}"
                    async with session.get(url) as response:
                        response.raise_for_status()
                        body = await response.read()
                    if args.extract != "none":
                        out.write(json.dumps(record(body, url), ensure_ascii=False) + "\n")

            await asyncio.gather(*(work() for _ in range(args.concurrency)))


uvloop.run(main())
