// What was answered, as the page shows it.
import { $, element, number, span, table, to, total } from "./text.js";

export function overview(all) {
  $("node").textContent = all.node;
  const words = [all.ready ? "ready" : "not ready", "up " + span(all.up_ms), "meshd " + all.version];
  if (all.log) {
    words.splice(1, 0, "route log " + all.log.state + (all.log.problem ? ": " + all.log.problem : ""));
    if (all.log.queued) words.push(number(all.log.queued) + " changes queued");
  }
  const good = all.ready && (!all.log || all.log.state === "in sync");
  say(words.join(" · "), good);
  $("totals").replaceChildren(
    total("requests/s", number(all.requests_per_second)),
    total("with dynos", number(all.leases)),
    total("waiting", number(all.waiting)),
    total("apps", number(all.apps)),
    total("dynos", number(all.dynos)),
    total("routers", number(all.workers.length)),
  );
  around(all);
}

export function say(words, good) {
  // Who has it read out hears of what is new alone.
  const state = $("state");
  if (state.textContent !== words) state.textContent = words;
  state.className = good ? "good" : "bad";
}

function around(all) {
  const failures = all.failures.map((row) => [row.app === null ? "no app, or one of many" : to(row.app), row.error, row.status, number(row.requests), span(row.age_ms) + " ago"]);
  $("failures").replaceChildren(table(["app", "code", "status", "requests|", "last|"], failures.slice(0, 20), "nothing"));
  $("errors").replaceChildren(table(["code", "requests|"], all.errors.map((row) => [row.error, number(row.requests)]), "nothing"));
  $("taps").replaceChildren(table(["app", "told|", "left out|"], all.taps.map((row) => [element("span", "", to(row.filter.app), row.for_broker ? " (broker)" : ""), number(row.seen), number(row.lost)]), "nobody looks at requests"));
  $("workers").replaceChildren(table(["host", "worker|"], all.workers.map((row) => [row.node, String(row.pid)]), "no Nginx worker is connected"));
  $("members").replaceChildren(...members(all.members));
  const nodes = all.nodes || [];
  const none = all.nodes ? "none is heard" : "this one is alone";
  $("nodes").replaceChildren(table(["name", "busy dynos|", "heard|"], nodes.map((row) => [row.name, number(row.dynos), span(row.age_ms) + " ago"]), none));
}

function members(all) {
  if (all === null) return [element("p", "none", "this sidecar is no member: it decides for itself")];
  const rows = all.all.map((row) => [row.name + (row.own ? " (this one)" : ""), row.address, number(row.shards), row.age_ms === null ? "–" : span(row.age_ms) + " ago"]);
  const words = [];
  if (all.part !== "member") words.push("this one: " + all.part);
  if (all.problem) words.push(all.problem);
  if (all.gone.length) words.push("gone: " + all.gone.join(", "));
  words.push("decides for " + all.may_grant + " of 256 shards now");
  return [table(["member", "address", "shards|", "heard|"], rows, "nobody is known"), element("p", "none", words.join(" · "))];
}

// `waiting`: somebody waits for a dyno of the app.
function kindOf(dyno, waiting) {
  if (dyno.state !== "up") return dyno.state;
  const load = dyno.load + dyno.elsewhere;
  if (load === 0) return "l0";
  if (dyno.limit && load >= dyno.limit) return waiting ? "l5" : "l4";
  return "l" + Math.min(3, 1 + Math.floor((3 * load) / (dyno.limit || 16)));
}

function cell(dyno, waiting) {
  const made = element("i", kindOf(dyno, waiting));
  const limit = dyno.limit ? " of " + dyno.limit : "";
  const elsewhere = dyno.elsewhere ? ", " + dyno.elsewhere + " from elsewhere" : "";
  made.title = dyno.name + ": " + dyno.state + ", " + dyno.load + limit + elsewhere;
  return made;
}

function cells({ dynos, dyno_count: all, waiting }, size) {
  const rest = all - dynos.length;
  const made = element("span", "cells " + size, ...dynos.map((dyno) => cell(dyno, waiting)), rest > 0 ? "+" + number(rest) : null);
  const count = { idle: 0, busy: 0, full: 0 };
  for (const dyno of dynos) {
    const kind = kindOf(dyno, 0);
    const name = { l0: "idle", l1: "busy", l2: "busy", l3: "busy", l4: "full" }[kind] || kind;
    count[name] = (count[name] || 0) + 1;
  }
  const words = Object.entries(count).filter(([, n]) => n).map(([name, n]) => n + " " + name);
  made.setAttribute("role", "img");
  made.setAttribute("aria-label", all + " dynos" + (words.length ? ": " + words.join(", ") : ""));
  return made;
}

function row(app) {
  const figures = element("span", "figures", element("b", "", number(app.in_flight)), " now");
  if (app.waiting) figures.append(" · ", element("span", "waiting", number(app.waiting) + " waiting " + span(app.oldest_wait_ms)));
  if (app.maintenance) figures.append(" · maintenance");
  return element("div", "app", to(app.name), cells(app, ""), figures);
}

// `turn`: called with the number of another page.
export function apps(list, page, none, turn) {
  $("apps").replaceChildren(...list.apps.map(row));
  if (!list.apps.length) $("apps").append(element("p", "none", none));
  const found = number(list.found) + (list.found === 1 ? " app" : " apps");
  if ($("found").textContent !== found) $("found").textContent = found;
  const pages = Math.ceil(list.found / list.page_size);
  if (pages < 2) return $("pages").replaceChildren();
  const button = (id, words, to) => {
    const made = $(id) || element("button", "", words);
    made.id = id;
    made.disabled = to < 0 || to >= pages;
    made.onclick = () => turn(to);
    return made;
  };
  const at = $("at") || element("span", "");
  at.id = "at";
  at.textContent = "page " + (page + 1) + " of " + number(pages);
  const all = [button("back", "back", page - 1), at, button("on", "on", page + 1)];
  // Who has one of them in focus keeps it.
  if (!$("pages").children.length) $("pages").replaceChildren(...all);
}

export function app(name, app) {
  $("name").textContent = name + (app && app.maintenance ? " (maintenance)" : "");
  $("detail").hidden = false;
  if (!app) {
    for (const id of ["facts", "dynos", "loads", "answers"]) $(id).replaceChildren();
    $("domains").textContent = "there is no such app";
    return;
  }
  const facts = [
    [number(app.in_flight), "with dynos"],
    [app.waiting ? number(app.waiting) + ", " + span(app.oldest_wait_ms) : "0", "waiting"],
    [app.capacity === null ? "no limit" : number(app.capacity), "at once"],
    [number(app.dyno_count), "dynos"],
    [app.policy, "policy"],
    [app.exact ? app.exact + (app.owner ? ", by " + app.owner : "") : "no", "exact over all hosts"],
  ];
  $("facts").replaceChildren(...facts.map(([value, name]) => total(name, value)));
  $("dynos").replaceChildren(cells(app, "big"));
  const more = app.domain_count - app.domains.length;
  $("domains").textContent = app.domains.join("  ·  ") + (more > 0 ? "  · and " + number(more) + " more" : "") || "no domain";
  const dynos = app.dynos.map((dyno) => [dyno.name, dyno.state + (dyno.quarantine_ms ? " " + span(dyno.quarantine_ms) : ""), dyno.address, dyno.load + (dyno.limit ? " / " + dyno.limit : ""), number(dyno.elsewhere)]);
  $("loads").replaceChildren(table(["dyno", "state", "address", "load|", "elsewhere|"], dynos.slice(0, 100), "no dyno"));
  const answers = app.answers.map((row) => [row.status, row.error || "–", number(row.requests)]);
  $("answers").replaceChildren(table(["status", "code", "requests|"], answers, "no request has ended yet, or the app has no figures of its own"));
}
