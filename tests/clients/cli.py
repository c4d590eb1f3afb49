"""Bright Data's command line client, as it comes from npm, with its `api_url` set to our server.

BRIGHTDATA_CLI names the program (`npm ci` in a copy of this folder, then node_modules/.bin/brightdata)."""
import json
import os
import re
import subprocess
import sys

from harness import TOKEN, Server, Site, csv_rows, equal, expect, folder, ndjson_rows, run

SERVER = SITE = HOME = None


def brightdata(*words, code=0, key=TOKEN):
    env = {"HOME": str(HOME), "PATH": os.environ["PATH"], "NO_COLOR": "1"}
    if key:
        env["BRIGHTDATA_API_KEY"] = key
    done = subprocess.run([os.environ["BRIGHTDATA_CLI"], *words], env=env, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=120)
    equal(done.returncode, code, f"exit code of `brightdata {' '.join(words)}`\n{done.stdout}{done.stderr}")
    return done


def is_pointed_at_our_server():
    brightdata("config", "set", "api_url", SERVER.base)
    equal(brightdata("config", "get", "api_url").stdout.strip(), SERVER.base, "api_url")


def knows_its_pipelines():
    expect("linkedin_person_profile" in brightdata("pipelines", "list").stdout.split(), "pipelines list")


def collects_in_every_format():
    wanted = SITE.good(1)
    for form, read in (("json", json.loads), ("ndjson", ndjson_rows), ("jsonl", ndjson_rows), ("csv", csv_rows)):
        done = brightdata("pipelines", "linkedin_person_profile", wanted, "--format", form)
        text = done.stdout
        rows = read(text)
        rows = rows if isinstance(rows, list) else [rows]
        equal(len(rows), 1, f"rows as {form}: {text}")
        given = rows[0]["input"]
        equal((json.loads(given) if isinstance(given, str) else given)["url"], wanted, f"the row's input as {form}")
        expect(rows[0].get("name"), f"no name as {form}: {text}")


def waits_for_a_slow_page():
    done = brightdata("pipelines", "linkedin_person_profile", SITE.slow(1, 2500))
    expect("polling again" in done.stderr, f"it did not have to wait:\n{done.stderr}")


def tells_the_status():
    done = brightdata("pipelines", "linkedin_person_profile", SITE.good(2))
    snapshot = re.search(r"sd?_[a-z0-9]+", done.stderr).group(0)
    equal(json.loads(brightdata("status", snapshot, "--wait", "--json").stdout)["status"], "ready", "status --wait")


def shows_error_rows():
    rows = json.loads(brightdata("pipelines", "linkedin_person_profile", SITE.dead(1)).stdout)
    rows = rows if isinstance(rows, list) else [rows]
    equal([row["error_code"] for row in rows], ["dead_page"], "the error row")


def fails_with_the_reason():
    done = brightdata("status", "sd_nosuch", code=1)
    expect("Snapshot does not exist" in done.stderr and "Hint:" in done.stderr, f"unknown id:\n{done.stderr}")
    done = brightdata("status", "sd_nosuch", code=1, key="wrong-token-0123456789")
    expect("Unauthorized" in done.stderr and "Hint:" in done.stderr, f"wrong key:\n{done.stderr}")
    done = brightdata("pipelines", "linkedin_person_profile", "no-url", code=1)
    expect("must be a valid url" in done.stderr, f"a bad input:\n{done.stderr}")


if __name__ == "__main__":
    expect(os.environ.get("BRIGHTDATA_CLI"), "BRIGHTDATA_CLI does not name the program")
    with folder() as HOME, Site() as SITE, Server() as SERVER:
        failed = run(is_pointed_at_our_server, knows_its_pipelines, collects_in_every_format, waits_for_a_slow_page,
                     tells_the_status, shows_error_rows, fails_with_the_reason)
    sys.exit(failed)
