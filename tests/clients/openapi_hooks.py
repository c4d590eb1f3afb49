"""What Schemathesis makes up, kept on this machine and made worth while: addresses point to loopback, waits are short, and
now and then an id is one that exists. Loaded by openapi_check.py."""
import os
import zlib

import schemathesis

SNAPSHOT = os.environ["TRAWL_SNAPSHOT"]
PAGE = os.environ["TRAWL_PAGE"]
# A port of loopback that refuses: a webhook there fails at once and stays here.
NOWHERE = "http://127.0.0.1:1/hook"


def often(value, share):
    """A choice that hangs on nothing but the value, so that a seed repeats the run."""
    return zlib.crc32(repr(value).encode()) % 100 < share


@schemathesis.hook
def before_call(ctx, case, **kwargs):
    query = case.query if isinstance(case.query, dict) else {}
    for name in ("endpoint", "webhook", "notify"):
        if isinstance(query.get(name), str) and "://" in query[name]:
            query[name] = NOWHERE
    if str(query.get("wait", "")).isdigit():
        query["wait"] = "1"
    if "dataset_id" in query and often(query, 70):
        query["dataset_id"] = "web_page"
    path = case.path_parameters if isinstance(case.path_parameters, dict) else {}
    for name in path:
        if name in ("snapshot_id", "id") and often(path[name], 60):
            path[name] = SNAPSHOT
    if isinstance(case.body, dict):
        for target in (case.body, case.body.get("deliver")):
            if not isinstance(target, dict):
                continue
            # Each type has its own name for where it goes.
            for name, nowhere in (("endpoint", NOWHERE), ("endpoint_url", "http://127.0.0.1:1"), ("path", "127.0.0.1")):
                if name in target or target.get("type") in ("s3", "gcs", "azure"):
                    target[name] = nowhere
    if isinstance(case.body, list) and case.body and all(isinstance(row, dict) for row in case.body) and often(case.body, 60):
        case.body = [{"url": PAGE} for _ in case.body[:5]]
