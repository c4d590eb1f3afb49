"""Webhooks and notifications as their receivers see them: what they carry, when they are tried again, and that a restart
of the server in between changes neither."""
import json
import sys
import threading

from harness import Receiver, Server, Site, csv_rows, equal, expect, folder, ndjson_rows, run, wait_for

SITE = None
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def inputs(n):
    return [{"url": SITE.good(i)} for i in range(1, n + 1)]


def delivered(server, post, state="done", secs=30):
    """Waits until the delivery that a POST belongs to has ended; its status."""
    number = post.headers["X-Delivery-Id"]

    def probe():
        status = server.get(f"/datasets/v3/delivery/{number}").json()
        return status if status["status"] != "running" else None

    status = wait_for(f"delivery {number} to end", probe, secs)
    equal(status["status"], state, f"the end of delivery {number}: {status}")
    return status


def a_webhook_carries_the_rows():
    with Receiver() as receiver, Server() as server:
        snapshot = server.trigger(inputs(5), dataset_id="web_page", endpoint=receiver.url(), auth_header="Custom abc",
                                  webhook_header_X_Team="fish")
        server.wait(snapshot)
        (post,) = receiver.wait()
        equal(post.headers["Content-Encoding"], "gzip", "Content-Encoding")
        expect(post.headers["Content-Type"].startswith("application/json"), f"type {post.headers['Content-Type']}")
        equal(post.headers["Authorization"], "Custom abc", "Authorization, verbatim")
        equal(post.headers["X-Snapshot-Id"], snapshot, "X-Snapshot-Id")
        expect("fish" in post.headers.values(), f"webhook_header_ was not sent: {post.headers.items()}")
        equal(post.json(), server.rows(snapshot), "the webhook's rows and the download's")
        status = delivered(server, post)
        equal(len(status["delivery_files"]), 1, f"files of the delivery: {status}")
        expect(type(status["delivery_files"][0]["delivery_ts"]) is int, f"delivery_ts: {status}")


def formats_and_compression_are_kept():
    with Receiver() as receiver, Server() as server:
        for form, read in (("ndjson", ndjson_rows), ("jsonl", ndjson_rows), ("csv", csv_rows), ("json", json.loads)):
            snapshot = server.trigger(inputs(3), dataset_id="web_page", endpoint=receiver.url("/" + form), format=form,
                                      uncompressed_webhook="true")
            server.wait(snapshot)
            (post,) = receiver.wait("/" + form)
            equal(post.headers["Content-Encoding"], None, f"Content-Encoding of an uncompressed {form}")
            equal(len(read(post.raw.decode("utf-8"))), 3, f"rows as {form}")
            equal(post.raw, server.download(snapshot, format=form).body, f"the webhook's bytes and the download's, {form}")


def failures_are_tried_again_with_the_same_id():
    verdicts = [500, "drop", (429, {"Retry-After": "1"}), 200]
    script = lambda post: verdicts.pop(0) if verdicts else 200
    settings = {"deliver": {"signing_secret": SECRET, "retry_max_secs": 1}}
    with Receiver(script) as receiver, Server(settings) as server:
        snapshot = server.trigger(inputs(2), dataset_id="web_page", endpoint=receiver.url())
        equal(server.wait(snapshot)["status"], "ready", "the snapshot does not wait for its webhook")
        posts = receiver.wait(n=4, secs=90)
        delivered(server, posts[-1])
        equal(len(receiver.at("/hook")), 4, "attempts")
        for name in ("webhook-id", "X-Delivery-Id"):
            equal(len({post.headers[name] for post in posts}), 1, f"{name} over the attempts")
        expect(posts[0].headers["webhook-id"], "no webhook-id although a secret is set")
        equal(len({post.raw for post in posts}), 1, "the bytes of the attempts")
        for post in posts:
            verify(post)


def verify(post):
    """The signature after Standard Webhooks."""
    import base64
    import hashlib
    import hmac

    key = base64.b64decode(SECRET.split("_", 1)[1])
    signed = f"{post.headers['webhook-id']}.{post.headers['webhook-timestamp']}.".encode() + post.raw
    wanted = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    expect(wanted in post.headers["webhook-signature"].split(), "the signature does not fit the body")


def a_receiver_that_is_gone_ends_it():
    with Receiver(lambda post: 410) as receiver, Server({"deliver": {"retry_max_secs": 1}}) as server:
        snapshot = server.trigger(inputs(1), dataset_id="web_page", endpoint=receiver.url())
        (post,) = receiver.wait()
        delivered(server, post, "failed")
        equal(server.progress(snapshot)["status"], "ready", "a snapshot whose delivery failed")
        equal(len(receiver.at("/hook")), 1, "attempts after a 410")
        receiver.script = lambda post: 200
        again = server.call("POST", f"/datasets/v3/deliver/{snapshot}",
                            body={"deliver": {"type": "webhook", "endpoint": receiver.url("/again")}})
        equal(again.status, 200, f"delivering it again → {again}")
        equal(again.json()["id"], again.json()["delivery_id"], "both keys of the delivery's id")
        equal(len(receiver.wait("/again")[0].json()), 1, "rows of the second delivery")


def chunks_arrive_while_the_job_runs():
    with Receiver() as receiver, Server() as server:
        # The slow page is in a later slice than the first rows: a slice registers its rows together.
        sent = inputs(145) + [{"url": SITE.slow(1, 6000)}]
        snapshot = server.trigger(sent, dataset_id="web_page", format="ndjson",
                                  endpoint=receiver.url(), stream_max_lines=50, uncompressed_webhook="true")
        first = receiver.wait(n=1, secs=30)[0]
        expect(server.progress(snapshot)["status"] == "running", "no chunk came while the job was running")
        equal(len(ndjson_rows(first.raw.decode())), 50, "lines of the first chunk")
        server.wait(snapshot)
        posts = receiver.wait(n=3, secs=30)
        delivered(server, posts[-1])
        posts = receiver.at("/hook")
        equal([len(ndjson_rows(post.raw.decode())) for post in posts], [50, 50, 46], "lines of the chunks")
        urls = sorted(row["input"]["url"] for post in posts for row in ndjson_rows(post.raw.decode()))
        equal(urls, sorted(row["url"] for row in sent), "inputs over all chunks")


def notifications_tell_the_end():
    with Receiver() as receiver, Server() as server:
        snapshot = server.trigger(inputs(2) + [{"url": SITE.dead(1)}], dataset_id="web_page", notify=receiver.url("/told"))
        (post,) = receiver.wait("/told")
        told = post.json()
        equal({k: told.get(k) for k in ("snapshot_id", "status", "records", "errors")},
              {"snapshot_id": snapshot, "status": "ready", "records": 2, "errors": 1}, "the notification")
        expect(told.get("dataset_id"), f"no dataset_id: {told}")
        snapshot = server.trigger(inputs(1), dataset_id="web_page", endpoint=receiver.url("/both"), notify="true")
        bodies = [post.json() for post in receiver.wait("/both", n=2)]
        equal(sorted(type(body).__name__ for body in bodies), ["dict", "list"], "rows and notification at the endpoint")
        server.wait(snapshot)
        snapshot = server.trigger([{"url": SITE.slow(1)}], dataset_id="web_page", notify=receiver.url("/canceled"),
                                  endpoint=receiver.url("/nothing"))
        server.call("POST", f"/datasets/v3/snapshot/{snapshot}/cancel")
        (post,) = receiver.wait("/canceled")
        equal(post.json()["status"], "canceled", "the notification of a canceled job")
        server.wait(snapshot, state="canceled")
        equal(receiver.at("/nothing"), [], "webhooks of a canceled job")


def a_restart_between_attempts_changes_nothing():
    gate = threading.Event()
    with folder() as home, Receiver(lambda post: 200 if gate.is_set() else 503) as receiver:
        settings = {"deliver": {"retry_max_secs": 1, "signing_secret": SECRET}}
        with Server(settings, data=home) as server:
            snapshot = server.trigger(inputs(4), dataset_id="web_page", endpoint=receiver.url())
            server.wait(snapshot)
            receiver.wait(n=2)
        gate.set()
        before = len(receiver.at("/hook"))
        with Server(settings, data=home) as server:
            posts = receiver.wait(n=before + 1)
            delivered(server, posts[-1])
            equal(len(posts[-1].json()), 4, "rows after the restart")
            equal(len({post.headers["webhook-id"] for post in posts}), 1, "webhook-id over the restart")
            equal(len(receiver.at("/hook")), before + 1, "attempts after the restart")


if __name__ == "__main__":
    with Site() as SITE:
        failed = run(
            a_webhook_carries_the_rows, formats_and_compression_are_kept, failures_are_tried_again_with_the_same_id,
            a_receiver_that_is_gone_ends_it, chunks_arrive_while_the_job_runs, notifications_tell_the_end,
            a_restart_between_attempts_changes_nothing,
        )
    sys.exit(failed)
