"""The README's first command: it must end by itself with 0, having shown the job, the webhook and rows. And with --keep it
must stay, and end with 0 when asked to."""
import os
import re
import signal
import subprocess
import sys

from harness import Program, binary, equal, expect, folder, run, wait_for


def environment():
    return {name: value for name, value in os.environ.items() if not name.startswith("TRAWL_")}


def ends_by_itself():
    with folder() as home:
        done = subprocess.run([binary("TRAWL_BIN", "trawl"), "demo"], cwd=home, env=environment(), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    said = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", done.stdout)
    equal(done.returncode, 0, f"exit code of the demo:\n{said[-3000:]}")
    for wanted in ("discover_by=category_url", "webhook", "curl ", "ready"):
        expect(wanted in said, f"the demo never says `{wanted}`:\n{said[-3000:]}")


def stays_when_asked_to():
    with folder() as home:
        program = Program([binary("TRAWL_BIN", "trawl"), "demo", "--keep"], environment(), "trawl demo --keep")
        try:
            wait_for("the demo's rows and commands", lambda: any("curl " in line for line in program.lines)
                     or program.process.poll() is not None, 120)
            equal(program.process.poll(), None, f"the demo ended although it should stay:\n{program.tail()}")
            program.process.send_signal(signal.SIGINT)
            program.stop()
        finally:
            program.kill()


if __name__ == "__main__":
    sys.exit(run(ends_by_itself, stays_when_asked_to))
