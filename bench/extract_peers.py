"""Speed of what others read pages with, on the pages that `cargo bench -p extract -- --dump FOLDER` wrote.

The same questions as `crates/extract/benches/extract.rs` asks: eight fields by CSS, structured data alone, the article.
Processor time of one thread; each peer takes as many pages as fit into the time given, in order.
"""
import pathlib
import sys
import time

import extruct
import trafilatura
from parsel import Selector
from selectolax.lexbor import LexborHTMLParser

SECONDS = 6.0
FIELDS = {
    "title": ("h1", None), "description": ("meta[name=description]", "content"), "image": ("article img, main img, img", "src"),
    "author": ("[rel=author], .author, .byline", None), "date": ("time[datetime]", "datetime"),
    "price": (".price, [itemprop=price]", None),
}


def by_parsel(page):
    tree = Selector(text=page)
    record = {}
    for name, (css, attribute) in FIELDS.items():
        found = tree.css(f"{css}::attr({attribute})" if attribute else css)
        record[name] = found.get() if attribute else "".join(found[:1].xpath(".//text()").getall())
    record["links"] = tree.css("a[href]::attr(href)").getall()
    record["paragraphs"] = ["".join(p.xpath(".//text()").getall()) for p in tree.css("p")]
    return record


def by_selectolax(page):
    tree = LexborHTMLParser(page)
    record = {}
    for name, (css, attribute) in FIELDS.items():
        node = tree.css_first(css)
        record[name] = node and (node.attributes.get(attribute) if attribute else node.text())
    record["links"] = [a.attributes.get("href") for a in tree.css("a[href]")]
    record["paragraphs"] = [p.text() for p in tree.css("p")]
    return record


def by_extruct(page):
    return extruct.extract(page, base_url="http://site.example/", syntaxes=["json-ld", "opengraph"], errors="ignore")


def by_trafilatura(page):
    return trafilatura.extract(page, with_metadata=True, output_format="json")


def main():
    pages = [path.read_bytes().decode("utf-8", "replace") for path in sorted(pathlib.Path(sys.argv[1]).glob("*.html"))]
    for name, read in (("css: parsel", by_parsel), ("css: selectolax", by_selectolax), ("structured: extruct", by_extruct),
                       ("article: trafilatura", by_trafilatura)):
        begun, done, size, failed = time.process_time(), 0, 0, 0
        for page in pages:
            try:
                read(page)
            except Exception:  # a peer that breaks on a page has spent its time all the same
                failed += 1
            done += 1
            size += len(page.encode())
            if time.process_time() - begun > SECONDS:
                break
        spent = time.process_time() - begun
        print(f"{name:<22} {done / spent:>9.0f} pages/s {size / spent / 1e6:>9.1f} MB/s" + (f", broke on {failed}" if failed else ""), flush=True)


if __name__ == "__main__":
    main()
