#!/usr/bin/env python3
"""Runs a command several times and says what it cost: pages per second, CPU seconds, memory, records equal to the truth.

usage: run.py [options] -- COMMAND ARGS...

CPU seconds (user and system, of the command and its children) are the figure to compare: they hardly depend on what
else runs. `foreign` is how many cores other processes kept busy meanwhile (the origin among them): above 1.2, with the
origin on a core of its own, measure again.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--label", default="")
parser.add_argument("--pages", type=int, default=5000, help="pages the command fetches")
parser.add_argument("--runs", type=int, default=3)
parser.add_argument("--pin", help="cores for the command, as taskset takes them")
parser.add_argument("--out", help="NDJSON file the command writes; removed before each run")
parser.add_argument("--truth", help="NDJSON of `site --truth N`")
parser.add_argument("--timeout", type=float, default=600, help="seconds for one run")
parser.add_argument("--json", help="file to append the result to, one object per line")
parser.add_argument("command", nargs=argparse.REMAINDER)
args = parser.parse_args()
command = args.command[1:] if args.command[:1] == ["--"] else args.command
if not command:
    parser.error("no command")
if args.pin:
    command = ["taskset", "-c", args.pin, *command]


def busy_seconds():
    """CPU seconds that the machine has spent on anything."""
    with open("/proc/stat") as stat:
        ticks = [int(word) for word in stat.readline().split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


def run_once():
    if args.out and os.path.exists(args.out):
        os.unlink(args.out)
    busy = busy_seconds()
    start = time.perf_counter()
    process = subprocess.Popen(["timeout", str(args.timeout), *command])
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    if status:
        sys.exit(f"{args.label}: the command failed with status {status}")
    cpu = usage.ru_utime + usage.ru_stime
    return {
        "wall_s": wall,
        "cpu_s": cpu,
        "rss_mib": usage.ru_maxrss / 1024,
        "foreign": max(0.0, busy_seconds() - busy - cpu) / wall,
    }


def correct_records():
    """Pages whose record equals the truth; the host of the URL does not matter. A page counts once."""
    with open(args.truth) as lines:
        truth = {record["url"]: record for record in map(json.loads, lines)}
    correct = set()
    with open(args.out) as lines:
        for record in map(json.loads, lines):
            record["url"] = record["url"][record["url"].index("/p/") :]
            if truth.get(record["url"]) == record:
                correct.add(record["url"])
    return len(correct)


runs = [run_once() for _ in range(args.runs)]
result = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
result = {
    "label": args.label,
    "pages": args.pages,
    "pages_per_s": args.pages / result["wall_s"],
    "pages_per_cpu_s": args.pages / result["cpu_s"],
    **result,
}
if args.out and args.truth:
    result["correct"] = correct_records()
if args.json:
    with open(args.json, "a") as out:
        out.write(json.dumps(result) + "\n")
correct = f"{result['correct']}/{args.pages}" if "correct" in result else "-"
print(
    f"{args.label:<36} {result['pages_per_s']:7.0f} pages/s {result['pages_per_cpu_s']:7.0f} pages/cpu-s"
    f" {result['rss_mib']:6.0f} MiB  correct {correct}  foreign {result['foreign']:.2f}"
)
