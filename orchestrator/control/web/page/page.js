"use strict";
// Names, paths and errors come from elsewhere: they get onto the page as text (textContent) and in no other way, and
// what is no character to be seen is written out: no name looks like two, or like another one.

const ATTENTION = ["retrying", "suspended", "left alone", "stopped"];
const LOOKS = { "in sync": "good", syncing: "work", starting: "work", paused: "warn", held: "warn" };
const BUTTONS = ["pause", "resume", "run", "flush", "retry", "verify"];
const TOPICS = "snapshot,status,daemon,ended,lost";

const daemons = new Map(); // name → { shown, received, syncs: Map, view }
let maySteer = false;
let hasToken = false;
let source = null;
let detail = null; // { daemon, sync } that is open
let retry = 1000;

const $ = (id) => document.getElementById(id);

function printable(text) {
  // controls, line ends, turns of the direction of writing, halves of surrogate pairs
  return text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]|\p{Surrogate}/gu, (found) => {
    const code = found.codePointAt(0);
    return code < 256 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null) element.setAttribute(name, value);
  }
  for (const child of children) element.append(typeof child === "string" ? printable(child) : child); // a text node
  return element;
}

function put(element, text) {
  text = printable(text);
  if (element.textContent !== text) element.textContent = text;
}

function counted(number, noun, plural = `${noun}s`) {
  return `${number} ${number === 1 ? noun : plural}`;
}

function size(bytes) {
  if (bytes === null || bytes === undefined) return "";
  const units = ["B", "KB", "MB", "GB", "TB", "PB"];
  let unit = 0;
  while (bytes >= 1000 && unit < units.length - 1) { bytes /= 1000; unit += 1; }
  return `${bytes < 10 && unit ? bytes.toFixed(1) : Math.round(bytes)} ${units[unit]}`;
}

function span(seconds) {
  seconds = Math.max(0, Math.round(seconds));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

function moment(time) {
  return time ? new Date(time * 1000).toLocaleString() : "";
}

function ago(time, then) {
  return then ? `${span(time - then)} ago` : "";
}

function now(daemon) { // by the daemon's clock
  return daemon.shown.status ? daemon.shown.status.time + (performance.now() - daemon.received) / 1000 : 0;
}

// ---- what a sync looks like

function troubleOf(sync) {
  if (sync.stuck) return `stuck: ${sync.stuck}`;
  if (sync.unreachable) return `${sync.unreachable.host} cannot be reached`;
  if (sync.held_by) return `held by ${sync.held_by}`;
  if (sync.verified && sync.verified.error) return `verify failed: ${sync.verified.error}`;
  if (sync.verified && sync.verified.is_equal === false) return `verify: ${counted(sync.verified.differences, "difference")}`;
  if (sync.conflicts) return counted(sync.conflicts, "conflict");
  const error = sync.last_error;
  return error && error.time > (sync.last_success || 0) ? String(error.cause) : "";
}

function needsAttention(sync) {
  return ATTENTION.includes(sync.state) || Boolean(sync.stuck) || Boolean(sync.conflicts)
    || Boolean(sync.verified && (sync.verified.error || sync.verified.is_equal === false));
}

function transferred(sync) {
  if (!sync.transfers.length) return "";
  const known = sync.transfers.filter((transfer) => transfer.bytes !== null);
  const bytes = known.reduce((sum, transfer) => sum + transfer.bytes, 0);
  return `${sync.transfers.length} running${known.length ? `, ${size(bytes)}` : ""}`;
}

const COLUMNS = [
  ["State", (sync) => sync.state],
  ["Target", (sync) => sync.target || ""],
  ["Waiting", (sync) => String(sync.waiting)],
  ["Oldest", (sync, daemon) => (sync.oldest === null ? "" : span(now(daemon) - sync.oldest))],
  ["Transfers", transferred],
  ["Last success", (sync, daemon) => ago(now(daemon), sync.last_success)],
  ["Trouble", troubleOf],
];

// ---- the tables

function viewOf(daemon) {
  const id = `daemon-${Math.random().toString(36).slice(2)}`;
  const heading = make("h2", { id });
  const line = make("p");
  const body = make("tbody");
  const head = make("tr", { role: "row" }, make("th", { scope: "col", role: "columnheader" }, "Sync"));
  for (const [title] of COLUMNS) head.append(make("th", { scope: "col", role: "columnheader" }, title));
  const buttons = make("th", { scope: "col", role: "columnheader" }, "Steer");
  head.append(buttons);
  const table = make("table", { class: "syncs", role: "table", "aria-labelledby": id },
    make("thead", { role: "rowgroup" }, head), body);
  body.setAttribute("role", "rowgroup");
  const section = make("section", { "aria-labelledby": id }, heading, line, table);
  return { section, heading, line, table, body, buttons, rows: new Map() };
}

function rowOf(daemon, name) {
  const open = make("button", { type: "button" }, name);
  open.addEventListener("click", () => openDetail(daemon.shown.daemon, name));
  const row = make("tr", { role: "row" }, make("th", { scope: "row", role: "rowheader" }, open));
  const cells = COLUMNS.map(([title]) => {
    const cell = make("td", { role: "cell", "data-label": title });
    row.append(cell);
    return cell;
  });
  cells[0].append(make("span", { class: "state" }));
  cells[2].className = cells[3].className = "number";
  cells[6].className = "bad";
  const steering = make("td", { role: "cell", "data-label": "" }, buttonsFor(daemon, name));
  row.append(steering);
  return { row, cells, steering };
}

function buttonsFor(daemon, name) {
  const group = make("div", { class: "buttons", role: "group", "aria-label": `Steer ${name}` });
  for (const command of BUTTONS) {
    const button = make("button", { type: "button", "data-command": command }, command);
    button.addEventListener("click", () => steer(button, command, daemon.shown.daemon, name));
    group.append(button);
  }
  return group;
}

function showDaemon(daemon) {
  const { shown, view } = daemon;
  put(view.heading, shown.daemon);
  view.section.hidden = false;
  const status = shown.status;
  if (!shown.is_up || !status) {
    put(view.line, `no answer at ${shown.socket}${shown.trouble ? `: ${shown.trouble}` : ""}`);
    view.line.className = "bad";
    view.table.hidden = true;
    return;
  }
  view.line.className = "";
  view.table.hidden = false;
  put(view.line, [
    `process ${status.pid}`, String(status.state),
    `${counted(status.processes, "transfer")} running`,
    `${counted(status.watches, "directory", "directories")} watched`,
    ...(status.polled ? [`${status.polled} polled for lack of watches`] : []),
    ...(status.overflows ? [counted(status.overflows, "overflow")] : []),
  ].join(", "));
  const steers = maySteer && shown.may === "steer";
  view.buttons.hidden = !steers;
  const filter = $("filter").value.toLowerCase();
  for (const [name, entry] of view.rows) {
    if (!daemon.syncs.has(name)) { entry.row.remove(); view.rows.delete(name); }
  }
  const sorted = [...daemon.syncs.values()].sort((one, other) => one.number - other.number);
  sorted.forEach((sync, place) => {
    let entry = view.rows.get(sync.name);
    if (!entry) { entry = rowOf(daemon, sync.name); view.rows.set(sync.name, entry); }
    if (view.body.children[place] !== entry.row) view.body.insertBefore(entry.row, view.body.children[place] || null);
    COLUMNS.forEach(([, text], column) => {
      const cell = column ? entry.cells[column] : entry.cells[0].firstChild;
      put(cell, text(sync, daemon));
    });
    entry.cells[0].firstChild.className = `state ${sync.stuck ? "bad" : LOOKS[sync.state] || "bad"}`;
    entry.steering.hidden = !steers;
    const words = [sync.name, sync.source, sync.target, sync.state].join("\n").toLowerCase();
    entry.row.hidden = Boolean(filter) && !words.includes(filter);
  });
}

function showAll() {
  let syncs = 0, attention = 0, waiting = 0, gone = 0;
  for (const daemon of daemons.values()) {
    showDaemon(daemon);
    if (!daemon.shown.is_up) { gone += 1; continue; }
    for (const sync of daemon.syncs.values()) {
      syncs += 1; waiting += sync.waiting; attention += needsAttention(sync) ? 1 : 0;
    }
  }
  const parts = [counted(daemons.size, "daemon"), counted(syncs, "sync"), `${counted(waiting, "change")} waiting`];
  if (gone) parts.push(`${counted(gone, "daemon")} not answering`);
  if (attention) parts.push(`${attention} need${attention === 1 ? "s" : ""} attention`);
  put($("summary"), daemons.size ? parts.join(", ") : "No daemon is running.");
  document.title = attention || gone ? `(${attention + gone}) lsyncd` : "lsyncd";
  $("sign").hidden = !hasToken;
  put($("sign"), maySteer ? "Sign out" : "Sign in");
}

// ---- what comes

function takeDaemon(shown) {
  let daemon = daemons.get(shown.daemon);
  if (!daemon) {
    daemon = { shown, received: 0, syncs: new Map(), view: null };
    daemon.view = viewOf(daemon);
    daemons.set(shown.daemon, daemon);
    $("daemons").append(daemon.view.section);
  }
  // one that was shown by its socket has said its name
  for (const [name, other] of daemons) {
    if (other !== daemon && other.shown.socket === shown.socket) { other.view.section.remove(); daemons.delete(name); }
  }
  daemon.shown = shown;
  daemon.received = performance.now();
  daemon.syncs = new Map(shown.syncs.map((sync) => [sync.name, sync]));
}

function takeSnapshot(all) {
  maySteer = all.may_steer;
  hasToken = all.has_token;
  const names = new Set(all.daemons.map((shown) => shown.daemon));
  for (const [name, daemon] of daemons) {
    if (!names.has(name)) { daemon.view.section.remove(); daemons.delete(name); }
  }
  all.daemons.forEach(takeDaemon);
  showAll();
}

function takeStatus(part) {
  const daemon = daemons.get(part.daemon);
  if (!daemon) return;
  if (part.is_all) daemon.syncs = new Map();
  for (const sync of part.syncs) daemon.syncs.set(sync.name, sync);
  daemon.shown.status = part.status;
  daemon.received = performance.now();
  showAll();
  showTotal(2000);
  if (detail && detail.daemon === part.daemon) refreshDetail();
}

function follow() {
  if (source) source.close();
  source = new EventSource(`/api/v1/events?topics=${TOPICS}`);
  source.addEventListener("snapshot", (event) => { complain(""); retry = 1000; takeSnapshot(JSON.parse(event.data)); });
  source.addEventListener("status", (event) => takeStatus(JSON.parse(event.data)));
  source.addEventListener("daemon", (event) => { takeDaemon(JSON.parse(event.data)); showAll(); });
  source.onerror = () => {
    complain("The connection to this server is lost; trying again.");
    if (source.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    setTimeout(begin, retry);
    retry = Math.min(retry * 2, 30000);
  };
}

async function begin() {
  let answer;
  try {
    answer = await fetch("/api/v1/status");
  } catch {
    complain("This server does not answer; trying again.");
    setTimeout(begin, retry);
    retry = Math.min(retry * 2, 30000);
    return;
  }
  if (answer.status === 401) { openLogin(); return; }
  if (!answer.ok) complain(await errorOf(answer));
  follow();
  showTotal();
}

function complain(text) {
  put($("trouble"), text);
  $("trouble").hidden = !text;
}

async function errorOf(answer) {
  try { return (await answer.json()).error.message; } catch { return `the server answered ${answer.status}`; }
}

// ---- steering

async function post(path, body) {
  return fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}

async function steer(button, command, daemon, sync) {
  button.disabled = true;
  try {
    // a pattern stands for this name alone
    const answer = await post(`/api/v1/${command}`, { daemon, syncs: [sync.replace(/[*?[]/g, "[$&]")] });
    complain(answer.ok ? "" : `${command} ${sync}: ${await errorOf(answer)}`);
  } catch {
    complain(`${command} ${sync}: no answer`);
  } finally {
    button.disabled = false;
  }
}

function openLogin() {
  put($("login-trouble"), "");
  $("token").value = "";
  if (!$("login").open) $("login").showModal();
}

async function login() {
  const answer = await post("/api/v1/login", { token: $("token").value });
  if (!answer.ok) { put($("login-trouble"), await errorOf(answer)); return; }
  $("login").close();
  begin();
}

async function sign() {
  if (!maySteer) { openLogin(); return; }
  await post("/api/v1/logout", {});
  begin();
}

// ---- the picture of the last hour

function picture(history) {
  const SVG = "http://www.w3.org/2000/svg";
  const shape = (tag, attributes) => {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  };
  const { waiting, bytes, slice } = history;
  const mostWaiting = Math.max(...waiting), mostBytes = Math.max(...bytes);
  const height = (value, most) => 100 - (most ? (value / most) * 92 : 0);
  const svg = shape("svg", { class: "picture", viewBox: `0 0 ${waiting.length} 100`, preserveAspectRatio: "none", role: "img" });
  const text = `Over the last hour at most ${counted(mostWaiting, "change")} waited, at most ${size(mostBytes / slice)}/s were moved.`;
  svg.setAttribute("aria-label", text);
  svg.append(shape("line", { class: "base", x1: 0, x2: waiting.length, y1: 100, y2: 100 }));
  bytes.forEach((value, place) => {
    if (value) svg.append(shape("rect", { class: "rate", x: place, width: 0.9, y: height(value, mostBytes), height: 100 - height(value, mostBytes) }));
  });
  const points = waiting.map((value, place) => `${place + 0.5},${height(value, mostWaiting)}`).join(" ");
  svg.append(shape("polyline", { class: "waiting", points }));
  const key = make("p", { class: "key" },
    make("span", { class: "waiting" }, `waiting, at most ${mostWaiting}`),
    make("span", { class: "rate" }, `rate, at most ${size(mostBytes / slice)}/s`),
    make("span", {}, "an hour ago → now"));
  return [svg, key];
}

let totalAsked = -Infinity; // when, in milliseconds

async function showTotal(patience = 0) { // not again within so many milliseconds
  if (performance.now() - totalAsked < patience) return;
  totalAsked = performance.now();
  try {
    const answer = await fetch("/api/v1/history");
    if (answer.ok) $("total-picture").replaceChildren(...picture(await answer.json()));
  } catch { /* the connection's trouble is shown already */ }
}

// ---- the detail of a sync

let asking = false, again = false;

async function openDetail(daemon, sync) {
  detail = { daemon, sync };
  put($("detail-heading"), sync);
  $("detail-body").replaceChildren("…");
  $("detail").showModal();
  refreshDetail();
}

async function refreshDetail() {
  if (asking) { again = true; return; }
  asking = true;
  do {
    again = false;
    const { daemon, sync } = detail;
    try {
      const answer = await fetch(`/api/v1/syncs/${encodeURIComponent(sync)}?daemon=${encodeURIComponent(daemon)}`);
      if (detail && detail.sync === sync && detail.daemon === daemon) {
        $("detail-body").replaceChildren(...(answer.ok ? detailOf(await answer.json()) : [await errorOf(answer)]));
      }
    } catch { /* asked again with the next change */ }
  } while (again && detail);
  asking = false;
}

function table(caption, titles, rows) {
  const head = make("tr");
  for (const title of titles) head.append(make("th", { scope: "col" }, title));
  const body = make("tbody");
  for (const cells of rows) {
    const row = make("tr");
    for (const cell of cells) {
      row.append(cell instanceof Array
        ? make("td", { class: "path" }, ...cell.map((line) => make("div", {}, line)))
        : make("td", {}, String(cell ?? "")));
    }
    body.append(row);
  }
  return [make("h3", {}, caption), rows.length ? make("table", { "aria-label": caption }, make("thead", {}, head), body) : make("p", { class: "dim" }, "none")];
}

function some(sample, count) {
  const shown = sample || [];
  return count > shown.length ? [...shown, `and ${count - shown.length} more`] : shown;
}

function detailOf(answer) {
  const { sync, history } = answer;
  const time = answer.time || Date.now() / 1000;
  const facts = make("dl");
  const fact = (title, text) => { if (text) facts.append(make("dt", {}, title), make("dd", {}, text)); };
  fact("State", sync.state);
  fact("Stuck", sync.stuck);
  fact("Action", sync.action);
  fact("Source", sync.source);
  fact("Target", sync.target);
  fact("Waiting", String(sync.waiting));
  fact("Oldest change", sync.oldest === null ? "" : moment(sync.oldest));
  fact("Last success", moment(sync.last_success));
  if (sync.last_error) fact("Last error", `${moment(sync.last_error.time)}: ${sync.last_error.cause}`);
  if (sync.unreachable) fact("Unreachable", `${sync.unreachable.host}, next try ${moment(sync.unreachable.next_try)}`);
  if (sync.verified) fact("Verified", `${moment(sync.verified.time)}: ${sync.verified.error || (sync.verified.is_equal ? "equal" : counted(sync.verified.differences, "difference"))}`);
  const counts = sync.counts;
  fact("Since the start", `${counted(counts.changes, "change")}, ${counted(counts.files, "file")}, ${size(counts.bytes)}, ${counted(counts.retries, "retry", "retries")}`);
  return [
    facts,
    make("h3", {}, "The last hour"), ...picture(history),
    ...table("Running transfers", ["Process", "Kind", "Since", "Bytes", "Paths"], sync.transfers.map((one) =>
      [one.pid ?? "", one.kind, span(time - one.since), size(one.bytes), some(one.sample, one.paths)])),
    ...table("Paths that wait", ["Event", "Path", "Age", "Status"], (answer.paths || []).map((one) =>
      [one.etype, one.path2 ? [one.path, `→ ${one.path2}`] : [one.path], span(one.age), one.status])),
    ...table("Recent ends", ["When", "Verdict", "Cause", "Took", "Paths"], (answer.recent || []).map((one) =>
      [moment(one.time ?? one.since + one.duration), one.verdict, one.cause, span(one.duration), some(one.sample, one.paths)])),
  ];
}

// ---- start

$("detail").addEventListener("close", () => { detail = null; });
$("detail-close").addEventListener("click", () => $("detail").close());
$("login-ok").addEventListener("click", login);
$("login-cancel").addEventListener("click", () => $("login").close());
$("token").addEventListener("keydown", (event) => { if (event.key === "Enter") login(); });
$("sign").addEventListener("click", sign);
$("filter").addEventListener("input", showAll);
setInterval(() => { if (!document.hidden) showAll(); }, 1000); // ages grow
setInterval(() => { if (!document.hidden) showTotal(2000); }, 15000);
begin();
