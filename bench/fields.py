"""The record that every peer takes from a product page; `site --truth N` prints what it must be."""

import json


def add_json_ld(record, blocks):
    """Price, currency, SKU and rating from the page's JSON-LD blocks."""
    for text in blocks:
        try:
            block = json.loads(text)
        except ValueError:
            continue
        if block.get("@type") == "Product":
            record["sku"] = block["sku"]
            record["price"] = block["offers"]["price"]
            record["currency"] = block["offers"]["priceCurrency"]
            record["rating"] = block["aggregateRating"]["ratingValue"]
    return record


def parsel_record(page, url):
    """`page` is a parsel.Selector or a Scrapy response."""
    record = {
        "url": url,
        "title": "".join(page.css("h1.product-title ::text").getall()).strip(),
        "breadcrumbs": [text.strip() for text in page.css("nav.breadcrumb li a::text").getall()],
        "images": page.css(".gallery img::attr(src)").getall(),
        "description": "\n".join(text.strip() for text in page.css("#description p::text").getall()),
    }
    return add_json_ld(record, page.css('script[type="application/ld+json"]::text').getall())


def lexbor_record(page, url):
    """`page` is a selectolax.lexbor.LexborHTMLParser."""
    record = {
        "url": url,
        "title": page.css_first("h1.product-title").text(strip=True),
        "breadcrumbs": [node.text(strip=True) for node in page.css("nav.breadcrumb li a")],
        "images": [node.attributes.get("src") for node in page.css(".gallery img")],
        "description": "\n".join(node.text(strip=True) for node in page.css("#description p")),
    }
    return add_json_ld(record, [node.text() for node in page.css('script[type="application/ld+json"]')])
