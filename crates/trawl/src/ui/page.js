// The operator's page: seven views by the address's hash, all of it read from the API.
//   #/                    datasets, their versions and faults
//   #/dataset/ID          its snapshots
//   #/snapshot/ID         progress, verdict, fields beside the runs before, release
//   #/schedules           what runs by itself: on and off, run now
//   #/hosts  #/host/NAME  hosts: pace, latency, trouble, robots.txt
//   #/nodes               the processes that work on the same store
"use strict";

const main = document.getElementById("main");
const trouble = document.getElementById("trouble");
const token = document.getElementById("token");
// Counts views, so that an answer for one that was left is dropped.
let view = 0;

// An element: texts become text nodes, never markup.
function make(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key === "onclick") element.addEventListener("click", value);
    else element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

async function ask(path, method, given) {
  const headers = { Authorization: "Bearer " + token.value };
  if (given) headers["Content-Type"] = "application/json";
  const answer = await fetch(path, { method: method || "GET", headers, body: given && JSON.stringify(given) });
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(body.error || "the server answered " + answer.status);
  return body;
}

// Columns of numbers stand to the right, their heads too.
function table(heads, rows) {
  const isNumber = (value) => typeof value === "number" || /^[\d.,]+( %)?$/.test(value);
  const isBlank = (value) => value === "" || value === null || value === undefined;
  const numbers = heads.map((_, at) => {
    const values = rows.map((row) => row[at]).filter((value) => !isBlank(value));
    return values.length > 0 && values.every(isNumber);
  });
  const cell = (kind, value, at) =>
    make(kind, numbers[at] ? { class: "number" } : {}, typeof value === "number" ? value.toLocaleString() : value ?? "");
  const line = (kind) => (row) => make("tr", {}, ...row.map((value, at) => cell(kind, value, at)));
  const whole = make("table", {}, make("thead", {}, line("th")(heads)), make("tbody", {}, ...rows.map(line("td"))));
  return make("div", { class: "wide" }, whole);
}

// A heading and its table, if there is anything to tell.
const section = (title, heads, rows, note) => (rows.length === 0 ? [] : [make("h2", {}, title), note, table(heads, rows)]);

const link = (to, text) => make("a", { href: to }, text);
const grade = (word) => (word ? make("span", { class: word }, word) : "");
const percent = (share) => (share === null || share === undefined ? "" : (share * 100).toFixed(share > 0 && share < 0.01 ? 1 : 0) + " %");
const amount = (n) => (n === null || n === undefined ? "" : Number(n.toPrecision(4)).toLocaleString());
const escape = encodeURIComponent;

// Files that never were good have no dataset: the metrics name them, and the catalogue knows them by that name.
async function neverGood(rows) {
  const answer = await fetch("/metrics");
  const text = answer.ok ? await answer.text() : "";
  const names = Array.from(text.matchAll(/^trawl_scraper_fault\{scraper="([\w.-]+)"\}/gm), (found) => found[1]);
  const unknown = names.filter((name) => !rows.some((row) => row.scraper === name)).slice(0, 100);
  return (await Promise.all(unknown.map((name) => ask("/datasets/v3/scrapers?dataset_id=" + escape(name))))).flat();
}

async function datasets() {
  const known = await ask("/datasets/v3/scrapers");
  const rows = [...(await neverGood(known)), ...known];
  return [
    make("h1", {}, "Datasets"),
    table(["Dataset", "Scraper", "Version", "Fault"], rows.map((row) => [
      row.version ? link("#/dataset/" + escape(row.id), row.name) : row.name, row.scraper,
      row.version ? make("code", {}, row.version) : "",
      row.fault ? make("pre", { class: "fail" }, row.fault) : "",
    ])),
  ];
}

async function dataset(id) {
  const rows = await ask("/datasets/v3/snapshots?limit=100&dataset_id=" + escape(id));
  return [
    make("h1", {}, "Snapshots of " + id),
    table(["Snapshot", "Created", "Status", "Quality", "Records", "Errors", "Version"], rows.map((row) => [
      link("#/snapshot/" + escape(row.id), row.id), row.created, row.quarantined ? "held back" : row.status,
      grade(row.quality), row.dataset_size, row.errors, make("code", {}, row.scraper_version),
    ])),
  ];
}

function sizes(field) {
  const parts = [];
  for (const [key, word] of [["number", ""], ["text_length", " characters"], ["list_length", " elements"]]) {
    const size = field[key];
    if (!size) continue;
    const before = size.baseline_mean === null ? "" : ` (${amount(size.baseline_mean)} before)`;
    parts.push(`${amount(size.min)} to ${amount(size.max)}, mean ${amount(size.mean)}${before}${word}`);
  }
  return parts.join("; ");
}

function types(field, records) {
  return Object.entries(field.types).map(([type, n]) => `${type} ${percent(n / records)}`).join(", ");
}

// Shows a running snapshot anew when something of it has changed, at most once a second.
async function follow(id, mine) {
  try {
    await ask(`/datasets/v3/progress/${escape(id)}?wait=20`);
    await new Promise((done) => setTimeout(done, 1000));
    if (mine === view) await show();
  } catch (error) {
    if (mine === view) tell(error);
  }
}

async function snapshot(id) {
  const mine = view;
  const path = "/datasets/v3/snapshot/" + escape(id);
  const [progress, report, deliveries] = await Promise.all([
    ask("/datasets/v3/progress/" + escape(id)), ask(path + "/quality"),
    ask("/datasets/v3/deliveries?snapshot_id=" + escape(id)),
  ]);
  const runs = progress.status === "running";
  if (runs) follow(id, mine);
  const release = (accept) => async () => {
    try {
      await ask(`${path}/release${accept ? "?accept=true" : ""}`, "POST");
      await show();
    } catch (error) {
      tell(error);
    }
  };
  const retry = (number) => async () => {
    try {
      await ask("/datasets/v3/delivery/" + escape(number) + "/retry", "POST");
      await show();
    } catch (error) {
      tell(error);
    }
  };
  const buttons = [];
  if (report.quarantined) buttons.push(make("button", { onclick: release(false) }, "Release"));
  if (report.quarantined || report.quality === "fail") {
    buttons.push(make("button", { onclick: release(true) }, "Accept as the new normal"));
  }
  const fields = Object.entries(report.fields).map(([name, field]) => [
    name, percent(field.fill_rate), percent(field.baseline_fill_rate), types(field, report.records), sizes(field),
  ]);
  return [
    make("h1", {}, id),
    table(["Dataset", "Status", runs ? "Settled" : "Quality", "Records", "Errors", "Per input", "Before", "Version"], [[
      link("#/dataset/" + escape(report.dataset_id), report.dataset_id), report.quarantined ? "held back" : progress.status,
      runs ? `${progress.settled.toLocaleString()} of ${progress.inputs.toLocaleString()}` : grade(report.quality),
      progress.records, progress.errors, amount(report.records_per_input), amount(report.baseline.records_per_input),
      make("code", {}, report.scraper_version),
    ]]),
    make("ul", {}, ...report.quality_reasons.map((reason) => make("li", { class: report.quality }, reason))),
    make("p", {}, ...buttons),
    ...section("Fields", ["Field", "Filled", "Before", "Types", "Sizes"], fields, compared(report.baseline.snapshots.length)),
    ...section("Pages", ["Kind", "Pages", "Records and links of each", "Before"],
      Object.entries(report.pages).map(([kind, page]) => [kind, page.pages, amount(page.gave), amount(page.baseline_gave)])),
    ...section("Errors", ["Code", "Inputs", "Share"],
      Object.entries(report.error_codes).map(([code, e]) => [code, e.n, percent(e.share)])),
    ...section("Deliveries", ["Delivery", "To", "State", "Parts", "Failed attempts", "Last error", "Next attempt", ""],
      deliveries.map((one) => [
        one.id, one.destination, make("span", { class: one.status === "failed" ? "fail" : "" }, one.state), one.parts_done,
        one.attempts_failed, one.error, one.next_attempt,
        one.status === "failed" ? make("button", { onclick: retry(one.id) }, "Try again") : "",
      ])),
  ];
}

const compared = (n) => make("p", {}, n === 0 ? "Nothing to compare with yet."
  : `Compared with ${n.toLocaleString()} earlier ${n === 1 ? "snapshot" : "snapshots"}.`);
async function schedules() {
  const all = await ask("/datasets/v3/schedules");
  const button = (text, work) => make("button", { onclick: async () => {
    try {
      await work();
      await show();
    } catch (error) {
      tell(error);
    }
  } }, text);
  const row = (one) => {
    const path = "/datasets/v3/schedules/" + escape(one.id);
    const last = one.last_runs.find((run) => run.snapshot_id);
    return [
      one.name || one.id, link("#/dataset/" + escape(one.dataset_id), one.dataset_id), make("code", {}, one.cron), one.time_zone,
      one.next[0] || "", last ? link("#/snapshot/" + escape(last.snapshot_id), last.at) : "", one.skipped,
      one.last_error ? make("span", { class: "fail" }, one.last_error) : "",
      make("span", {},
        button(one.enabled ? "Switch off" : "Switch on", () => ask(path, "PATCH", { enabled: !one.enabled })), " ",
        button("Run now", () => ask(path + "/run", "POST"))),
    ];
  };
  return [
    make("h1", {}, "Schedules"),
    table(["Schedule", "Dataset", "Cron", "Time zone", "Next", "Last run", "Left out", "Error", ""], all.map(row)),
  ];
}

const circuit = (host) => make("span", { class: host.circuit === "closed" ? "pass" : "fail" },
  host.circuit === "open" ? `open for ${amount(host.circuit_open_ms / 1000)} s` : host.circuit);
const held = (host) => (host.held_ms ? `${amount(host.held_ms / 1000)} s` : "");
const hostRow = (host) => [
  link("#/host/" + escape(host.host), host.host), host.waiting, host.in_flight, host.concurrency, amount(host.delay_ms),
  amount(host.latency_ms), host.answers, host.slow_downs, host.failures, circuit(host), held(host),
  host.robots.map((file) => file.state).join(", "),
];
const hostHeads = ["Host", "Waiting", "In flight", "At once", "Delay, ms", "Latency, ms", "Answers", "429 and 503", "Failures",
  "Circuit", "Held for", "robots.txt"];

async function hosts(part) {
  const found = await ask("/hosts?limit=200" + (part ? "&host=" + escape(part) : ""));
  const filter = make("input", { type: "search", value: part || "", placeholder: "part of a name" });
  filter.addEventListener("change", () => { location.hash = "#/hosts/" + escape(filter.value); });
  return [
    make("h1", {}, "Hosts"),
    make("p", {}, filter, ` ${found.hosts.length.toLocaleString()} of ${found.total.toLocaleString()}`),
    table(hostHeads, found.hosts.map(hostRow)),
  ];
}

async function host(name) {
  const one = await ask("/hosts/" + escape(name));
  const file = (robots) => [
    robots.site, robots.state, robots.age_secs, robots.crawl_delay_ms === null ? "" : robots.crawl_delay_ms,
    robots.sitemaps.join("\n"), robots.error,
  ];
  return [
    make("h1", {}, name),
    table(hostHeads, [hostRow(one)]),
    make("p", {}, `Usual latency ${amount(one.usual_latency_ms)} ms; last used ${amount(one.idle_ms / 1000)} s ago.`),
    ...section("robots.txt", ["Site", "State", "Age, s", "Crawl-delay, ms", "Sitemaps", "Error"], one.robots.map(file)),
  ];
}

async function nodes() {
  const found = await ask("/nodes");
  return [
    make("h1", {}, "Nodes"),
    table(["Node", "Role", "Version", "Jobs", "Lanes", "Started", "Seen"], found.nodes.map((node) => [
      node.node, node.role, node.version, node.jobs, node.lanes, node.started_at, node.seen_at,
    ])),
  ];
}

function tell(error) {
  trouble.textContent = error.message;
  trouble.hidden = false;
}

async function show() {
  const mine = ++view;
  trouble.hidden = true;
  if (!token.value) {
    main.replaceChildren(make("p", {}, "Type a token to begin. It stays in this tab."));
    return;
  }
  const [, kind, id] = location.hash.split("/").map(decodeURIComponent);
  try {
    const views = { dataset, snapshot, schedules, hosts, host, nodes };
    const parts = await (Object.hasOwn(views, kind || "") ? views[kind](id) : datasets());
    if (mine === view) main.replaceChildren(...parts.filter((part) => part !== undefined));
  } catch (error) {
    if (mine === view) {
      main.replaceChildren();
      tell(error);
    }
  }
}

token.value = sessionStorage.getItem("token") || "";
token.addEventListener("change", () => {
  sessionStorage.setItem("token", token.value);
  show();
});
addEventListener("hashchange", show);
show();
