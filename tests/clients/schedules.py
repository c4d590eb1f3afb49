"""Schedules by the real binary: each planned time begins exactly one run, also when the server is killed; what is missed,
what overlaps, time zones and their changes; every refusal names its field."""
import datetime
import sqlite3
import sys
import time

from harness import Receiver, Server, Site, equal, expect, folder, run, wait_for

PATH = "/datasets/v3/schedules"
SERVER = SITE = None


def moment(text):
    return datetime.datetime.fromisoformat(text)


def make(server, **fields):
    body = {"dataset_id": "web_page", "cron": "0 0 1 1 *", "input": [{"url": SITE.good(1)}], **fields}
    answer = server.call("POST", PATH, body=body)
    equal(answer.status, 200, f"a new schedule: {answer}")
    return answer.json()["id"]


def get(server, schedule):
    answer = server.get(f"{PATH}/{schedule}")
    equal(answer.status, 200, f"the schedule: {answer}")
    return answer.json()


def patch(server, schedule, **fields):
    answer = server.call("PATCH", f"{PATH}/{schedule}", body=fields)
    equal(answer.status, 200, f"a change of {fields}: {answer}")
    return answer.json()


def planned(schedule):
    return [run["planned"] for run in schedule["last_runs"] if run["planned"]]


def snapshots_of(server, schedule):
    rows = server.get("/datasets/v3/snapshots", dataset_id="web_page", trigger_type="SCHEDULE", limit=1000).json()
    return [row for row in rows if row.get("schedule_id") == schedule]


def is_made_shown_changed_and_taken_away():
    body = {"name": "Each morning", "dataset_id": "web_page", "cron": "30 6 * * 1-5", "time_zone": "Europe/Berlin",
            "options": {"include_errors": True, "custom_output_fields": ["url", "page_title", "input"], "limit_per_input": 3,
                        "auth_header": "Bearer hidden"},
            "input": [{"url": SITE.good(1)}, {"url": SITE.good(2)}], "missed": "all", "overlap": "wait"}
    answer = SERVER.call("POST", PATH, body=body)
    equal(answer.status, 200, f"{answer}")
    made = answer.json()
    for key in ("name", "dataset_id", "cron", "time_zone", "missed", "overlap"):
        equal(made[key], body[key], key)
    equal((made["inputs"], made["enabled"], made["last_runs"], len(made["next"])), (2, True, [], 5), "a new one")
    expect("hidden" not in answer.text(), "a secret is shown")
    shown = get(SERVER, made["id"])
    equal(shown["input"], body["input"], "its inputs")
    for path in (PATH, "/schedules"):
        expect(made["id"] in [one["id"] for one in SERVER.get(path).json()], f"it is not in the list of {path}")
    # What is shown can be sent back; secrets stay.
    again = {key: shown[key] for key in (*body, "enabled")}
    equal(SERVER.call("PUT", f"{PATH}/{made['id']}", body=again).status, 200, "what was shown, put back")
    run = SERVER.call("POST", f"{PATH}/{made['id']}/run").json()
    SERVER.wait(run["snapshot_id"])
    rows = SERVER.rows(run["snapshot_id"])
    equal(sorted(row["url"] for row in rows), sorted(row["url"] for row in body["input"]), "rows of a run that was asked for")
    equal(SERVER.get(f"/datasets/v3/log/{run['snapshot_id']}").json()["schedule_id"], made["id"], "the log names it")
    equal(get(SERVER, made["id"])["last_runs"][0]["snapshot_id"], run["snapshot_id"], "its last run")
    off = patch(SERVER, made["id"], enabled=False)
    equal((off["enabled"], off["next"]), (False, []), "switched off")
    equal(SERVER.call("DELETE", f"{PATH}/{made['id']}").status, 200, "taken away")
    equal(SERVER.get(f"{PATH}/{made['id']}").status, 404, "what was taken away")
    equal(SERVER.call("POST", f"{PATH}/{made['id']}/run").status, 404, "a run of what was taken away")


def refusals_name_their_field():
    good = {"dataset_id": "web_page", "cron": "0 6 * * *", "input": [{"url": SITE.good(1)}]}
    for change, said in (
        ({"cron": "61 * * * *"}, '"cron" must be a cron expression'),
        ({"cron": "* * *"}, '"cron" must be a cron expression'),
        ({"cron": ""}, '"cron" must not be empty'),
        ({"cron": 5}, '"cron" must be a string'),
        ({"time_zone": "Berlin"}, '"time_zone" must be an IANA time zone'),
        ({"missed": "maybe"}, '"missed" must be one of [skip, once, all]'),
        ({"overlap": 1}, '"overlap" must be one of [allow, skip, wait]'),
        ({"enabled": "yes"}, '"enabled" must be a boolean'),
        ({"options": {"limit_per_inputs": 1}}, "`limit_per_inputs`, which is no option"),
        ({"options": {"limit_per_input": 0}}, '"limit_per_input"'),
        ({"deliver": {"type": "ftp"}}, '"deliver.type"'),
        ({"timezone": "UTC"}, '"timezone" is not a field of a schedule'),
        ({"input": []}, "No data to trigger"),
        ({"input": {"url": "x"}}, '"input" must be an array'),
        ({"input": [{"url": "no url"}]}, "Invalid input"),
        ({"input": [{"url": SITE.good(1), "note": "x" * 1100000}]}, ""),
    ):
        answer = SERVER.call("POST", PATH, body={**good, **change})
        expect(answer.status in (400, 413), f"{str(change)[:80]}: {answer}")
        expect(said in answer.json()["error"], f"{str(change)[:80]}: {answer}")
    for missing in good:
        answer = SERVER.call("POST", PATH, body={key: good[key] for key in good if key != missing})
        expect(answer.status == 400 and f'"{missing}" is required' in answer.json()["error"], f"without {missing}: {answer}")
    equal(SERVER.call("POST", PATH, body={**good, "dataset_id": "gd_none"}).status, 404, "no such dataset")
    equal(SERVER.call("POST", PATH, body="[]").status, 400, "no object")
    equal(SERVER.call("POST", PATH, body=good, token=False).status, 401, "no token")
    for strange in ("sch_", "sch_x", "x", "sch_%00", "%F0%9F%98%80"):
        equal(SERVER.get(f"{PATH}/{strange}").status, 404, f"no such schedule: {strange}")
    equal(SERVER.get(PATH).json(), [], "nothing of that was kept")


def time_zones_and_their_changes():
    schedule = make(SERVER, cron="30 2 * * *", time_zone="Pacific/Auckland")
    for at in get(SERVER, schedule)["next"]:
        hours = {(moment(at) + datetime.timedelta(hours=h)).strftime("%H:%M") for h in (12, 13)}
        expect("02:30" in hours, f"{at} is not 2:30 in Auckland")
    patch(SERVER, schedule, time_zone="UTC", cron="0 */6 * * *")
    equal({moment(at).hour % 6 for at in get(SERVER, schedule)["next"]}, {0}, "hours")
    SERVER.call("DELETE", f"{PATH}/{schedule}")


def each_second_begins_one_run_and_delivers():
    with Receiver() as receiver:
        schedule = make(SERVER, cron="* * * * * *", overlap="allow", missed="all",
                        deliver={"type": "webhook", "endpoint": receiver.url("/s"), "filename": {"extension": "json"}})
        shown = wait_for("three runs", lambda: (s := get(SERVER, schedule)) and len(planned(s)) >= 3 and s, 15)
        patch(SERVER, schedule, enabled=False)
        times = [moment(at) for at in reversed(planned(shown))]
        equal([b - a for a, b in zip(times, times[1:])], [datetime.timedelta(seconds=1)] * (len(times) - 1), "steps")
        post = receiver.wait("/s", 3)[0]
        expect(post.json()[0]["input"]["url"] == SITE.good(1), "what was delivered")
        SERVER.call("DELETE", f"{PATH}/{schedule}")


def what_overlaps_is_left_out_or_waits():
    slow = [{"url": SITE.slow(1, 2500)}]
    skips = make(SERVER, cron="* * * * * *", overlap="skip", input=slow)
    waits = make(SERVER, cron="* * * * * *", overlap="wait", input=slow)
    def both_ran_twice():
        one, two = get(SERVER, skips), get(SERVER, waits)
        return (one, two) if len(planned(one)) >= 2 and len(planned(two)) >= 2 else None
    one, two = wait_for("two runs of each", both_ran_twice, 25)
    for schedule in (skips, waits):
        patch(SERVER, schedule, enabled=False)
    expect(one["skipped"] >= 1, f"nothing was left out: {one}")
    for shown in (one, two):
        runs = [run for run in shown["last_runs"] if run["planned"]]
        first, second = runs[-1], runs[-2]
        begun = moment(second["at"]) - moment(first["at"])
        expect(begun >= datetime.timedelta(seconds=2.3), f"two at once: {begun}")
    late = moment(two["last_runs"][-2]["at"]) - moment(two["last_runs"][-2]["planned"])
    expect(late >= datetime.timedelta(seconds=0.8), f"the second did not wait: {late}")
    for schedule in (skips, waits):
        SERVER.call("DELETE", f"{PATH}/{schedule}")


def killed_again_and_again_each_planned_time_begins_one_run():
    with folder() as home:
        with Server(data=home) as server:
            schedule = make(server, cron="* * * * * *", overlap="allow", missed="all")
            for pause in (2.2, 0.35, 1.1, 0.6):
                time.sleep(pause)
                server.program.kill()
                server.start()
            wait_for("it to catch up", lambda: caught_up(server, schedule), 40)
            patch(server, schedule, enabled=False)
            rows = wait_for("claims to be settled", lambda: settled(server, schedule), 20)
            server.program.stop()
        planned_times = sorted(keys_of(home, schedule))
        expect(len(planned_times) >= 3, f"only {planned_times}")
        equal(len(rows), len(planned_times), "runs, and planned times that have one")
        times = [moment(at) for at in planned_times]
        steps = {(b - a).total_seconds() for a, b in zip(times, times[1:])}
        equal(steps, {1.0}, f"every second once: {planned_times}")


def caught_up(server, schedule):
    newest = planned(get(server, schedule))[:1]
    now = datetime.datetime.now(datetime.timezone.utc)
    return newest and now - moment(newest[0]) < datetime.timedelta(seconds=1.6)


def settled(server, schedule):
    before = len(snapshots_of(server, schedule))
    time.sleep(1)
    rows = snapshots_of(server, schedule)
    return rows if len(rows) == before else None


def keys_of(home, schedule):
    """The planned times under which runs were begun, from the store itself."""
    db = sqlite3.connect(home / "data/trawl.sqlite")
    try:
        keys = [row[0] for row in db.execute("SELECT key FROM idempotency WHERE token = 'schedule'")]
    finally:
        db.close()
    return [key.split(":", 2)[2] for key in keys if key.startswith(f"schedule:{schedule}:")]


def what_was_missed_is_left_out_made_up_for_once_or_wholly():
    with folder() as home:
        with Server(data=home) as server:
            # None of them is due before the server stops, all are a few times while it is away.
            made = {}
            for missed in ("skip", "once", "all"):
                made[missed] = make(server, cron="*/4 * * * * *", overlap="allow", missed=missed)
            began = {missed: len(planned(get(server, schedule))) for missed, schedule in made.items()}
            server.program.kill()
            stopped = datetime.datetime.now(datetime.timezone.utc)
            time.sleep(19)
            server.start()
            back = datetime.datetime.now(datetime.timezone.utc)
            grace = datetime.timedelta(seconds=10)
            wait_for("every run to be made up for", lambda: caught_up_to(server, made["all"], back), 30)
            for missed, schedule in made.items():
                times = [moment(at) for at in planned(get(server, schedule))]
                late = [at for at in times if stopped <= at <= back - grace - datetime.timedelta(seconds=1)]
                if missed == "skip":
                    equal(late, [], "what was missed")
                if missed == "once":
                    equal(len(late) <= 1, True, f"one run for all that was missed: {late}")
                    expect(any(stopped <= at <= back - datetime.timedelta(seconds=8) for at in times), f"none: {times}")
                if missed == "all":
                    expect(len(late) >= 1, f"nothing was made up for: {times}")
                    steps = {(a - b).total_seconds() for a, b in zip(times, times[1:])}
                    equal(steps, {4.0}, f"every planned time: {times}")
                    expect(len(times) > began[missed] + 3, f"runs {times}")


def caught_up_to(server, schedule, at):
    newest = planned(get(server, schedule))[:1]
    return newest and moment(newest[0]) > at - datetime.timedelta(seconds=1)


if __name__ == "__main__":
    with Site() as SITE:
        with Server() as SERVER:
            failed = run(is_made_shown_changed_and_taken_away, refusals_name_their_field, time_zones_and_their_changes,
                         each_second_begins_one_run_and_delivers, what_overlaps_is_left_out_or_waits)
        failed += run(killed_again_and_again_each_planned_time_begins_one_run,
                      what_was_missed_is_left_out_made_up_for_once_or_wholly)
    sys.exit(1 if failed else 0)
