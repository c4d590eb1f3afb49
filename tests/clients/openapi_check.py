"""Schemathesis against /openapi.json of a running server: it makes requests up from the description, good and bad ones,
and looks for a 500 and for answers that the description does not declare.

TRAWL_SEED repeats a run. What is made up stays on this machine: see openapi_hooks.py.
"""
import os
import random
import subprocess
import sys

from harness import HERE, TOKEN, Server, Site, expect, folder, equal, run, short

EXAMPLES = os.environ.get("TRAWL_EXAMPLES", "25")
SEED = os.environ.get("TRAWL_SEED", "20260924")
CHECKS = ("not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
          "response_schema_conformance,ignored_auth")
SERVER = SITE = None


def description_is_served():
    told = SERVER.call("GET", "/openapi.json", token=False).json()
    expect(told["openapi"].startswith("3."), f"openapi: {told.get('openapi')}")
    paths = told["paths"]
    for path in ("/datasets/v3/trigger", "/datasets/v3/scrape", "/datasets/v3/progress/{snapshot_id}",
                 "/datasets/v3/snapshot/{snapshot_id}", "/datasets/v3/snapshots", "/datasets/list"):
        expect(path in paths, f"{path} is not described: {sorted(paths)}")
    trigger = {p["name"] for p in paths["/datasets/v3/trigger"]["post"]["parameters"]}
    wanted = {"dataset_id", "custom_output_fields", "type", "discover_by", "include_errors", "limit_per_input",
              "limit_multiple_results", "notify", "endpoint", "format", "auth_header", "uncompressed_webhook"}
    expect(wanted <= trigger, f"trigger does not describe {sorted(wanted - trigger)}")


def properties_hold():
    snapshot = SERVER.trigger([{"url": SITE.good(1)}, {"url": SITE.dead(1)}], dataset_id="web_page", include_errors="true")
    SERVER.wait(snapshot)
    print(f"        seed {SEED}, {EXAMPLES} examples an operation")
    program = os.path.join(os.path.dirname(sys.executable), "schemathesis")
    env = {**os.environ, "SCHEMATHESIS_HOOKS": "openapi_hooks", "PYTHONPATH": str(HERE), "TRAWL_SNAPSHOT": snapshot,
           "TRAWL_PAGE": SITE.good(1), "NO_COLOR": "1", "COLUMNS": "120"}
    with folder() as home:
        # One worker: with two, Python 3.11 ends the coverage phase at times with "AST constructor recursion depth
        # mismatch" (its parser counts the recursion of all threads together).
        words = [program, "run", SERVER.base + "/openapi.json", "--header", f"Authorization: Bearer {TOKEN}",
                 "--checks", CHECKS, "--max-examples", EXAMPLES, "--seed", SEED, "--phases", "examples,coverage,fuzzing",
                 "--workers", "1", "--request-timeout", "30", "--suppress-health-check", "all", "--warnings", "off",
                 "--max-failures", "5", "--generation-database", "none"]
        done = subprocess.run(words, cwd=home, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=600)
    tail = "\n".join("        | " + line for line in done.stdout.splitlines()[-150:])
    expect(done.returncode == 0, f"schemathesis ended with {done.returncode} (seed {SEED}):\n{tail}")
    print("\n".join("        | " + line for line in done.stdout.splitlines()[-14:]))
    equal(SERVER.call("GET", "/healthz", token=False).status, 200, "the server afterwards")


if __name__ == "__main__":
    # Pages go nowhere but to a closed port of this machine, and answers are quick.
    settings = {"api": {"sync_wait_secs": 1}, "fetch": {"page_timeout_ms": 2000}, "deliver": {"timeout_secs": 1}}
    with Site() as SITE, Server(settings) as SERVER:
        failed = run(description_is_served, properties_hold)
    sys.exit(failed)
