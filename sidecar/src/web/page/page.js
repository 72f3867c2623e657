// What there is to see is asked for every two seconds, and only what is shown. Names
// come from others: they become text, never markup.
"use strict";

const EVERY = 2000;
const $ = (id) => document.getElementById(id);
const state = { search: "", order: "busy", page: 0, app: null };

function element(tag, name, ...children) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function number(n) {
  if (n >= 1e6) return (n / 1e6).toFixed(1) + "M";
  return Math.round(n).toLocaleString("en");
}

function span(ms) {
  if (ms < 1000) return Math.round(ms) + " ms";
  const s = ms / 1000;
  if (s < 60) return s.toFixed(1) + " s";
  if (s < 3600) return Math.floor(s / 60) + " min";
  if (s < 86400) return Math.floor(s / 3600) + " h";
  return Math.floor(s / 86400) + " d";
}

async function ask(path) {
  const answer = await fetch(path);
  if (!answer.ok) {
    const error = new Error((await answer.text()).trim() || answer.statusText);
    error.status = answer.status;
    throw error;
  }
  return answer;
}

function total(name, value) {
  return element("div", "total", element("b", "", value), element("span", "", name));
}

function showOverview(all) {
  $("node").textContent = all.node;
  const words = [all.ready ? "ready" : "not ready", "up " + span(all.up_ms), "meshd " + all.version];
  if (all.log) {
    words.splice(1, 0, "route log " + all.log.state + (all.log.problem ? ": " + all.log.problem : ""));
    if (all.log.queued) words.push(number(all.log.queued) + " changes queued");
  }
  const good = all.ready && (!all.log || all.log.state === "in sync");
  $("state").textContent = words.join(" · ");
  $("state").className = good ? "good" : "bad";
  $("totals").replaceChildren(
    total("requests/s", number(all.requests_per_second)),
    total("with dynos", number(all.leases)),
    total("waiting", number(all.waiting)),
    total("apps", number(all.apps)),
    total("dynos", number(all.dynos)),
    total("routers", number(all.workers.length)),
  );
  $("errors").replaceChildren(table(["code", "requests|"], all.errors.map((row) => [row.error, number(row.requests)]), "nothing"));
  $("workers").replaceChildren(table(["host", "worker|"], all.workers.map((row) => [row.node, String(row.pid)]), "no Nginx worker is connected"));
  const nodes = all.nodes || [];
  const none = all.nodes ? "none is heard" : "this one is alone";
  $("nodes").replaceChildren(table(["name", "busy dynos|", "heard|"], nodes.map((row) => [row.name, number(row.dynos), span(row.age_ms) + " ago"]), none));
}

// A heading that ends in "|" is of numbers.
function table(headings, rows, none) {
  if (!rows.length) return element("p", "none", none);
  const kind = headings.map((heading) => (heading.endsWith("|") ? "number" : ""));
  const head = element("tr", "", ...headings.map((text, at) => element("th", kind[at], text.replace("|", ""))));
  const body = rows.map((row) => element("tr", "", ...row.map((cell, at) => element("td", kind[at], cell))));
  return element("table", "", head, ...body);
}

function cell(dyno) {
  let kind = dyno.state;
  if (kind === "up") {
    const load = dyno.load + dyno.elsewhere;
    const full = dyno.limit || 16;
    if (load === 0) kind = "l0";
    else if (dyno.limit && load >= dyno.limit) kind = "l4";
    else kind = "l" + Math.min(3, 1 + Math.floor((3 * load) / full));
  }
  const made = element("i", kind);
  const limit = dyno.limit ? " of " + dyno.limit : "";
  const elsewhere = dyno.elsewhere ? ", " + dyno.elsewhere + " from elsewhere" : "";
  made.title = dyno.name + ": " + dyno.state + ", " + dyno.load + limit + elsewhere;
  return made;
}

function cells(dynos, all, size) {
  const rest = all - dynos.length;
  return element("span", "cells " + size, ...dynos.map(cell), rest > 0 ? "+" + number(rest) : null);
}

function row(app) {
  const link = element("a", "name", app.name);
  link.href = "#/app/" + encodeURIComponent(app.name);
  const figures = element("span", "figures", element("b", "", number(app.in_flight)), " now");
  if (app.waiting) figures.append(" · ", element("span", "waiting", number(app.waiting) + " waiting " + span(app.oldest_wait_ms)));
  if (app.maintenance) figures.append(" · maintenance");
  return element("div", "app", link, cells(app.dynos, app.dyno_count, ""), figures);
}

function showApps(list) {
  $("apps").replaceChildren(...list.apps.map(row));
  if (!list.apps.length) $("apps").append(element("p", "none", state.search ? "no app has that in its name" : "there are no apps"));
  $("found").textContent = number(list.found) + (list.found === 1 ? " app" : " apps");
  const pages = Math.ceil(list.found / list.page_size);
  if (state.page >= pages && state.page > 0) state.page = Math.max(0, pages - 1);
  if (pages < 2) return $("pages").replaceChildren();
  const turn = (words, by) => {
    const button = element("button", "", words);
    button.disabled = state.page + by < 0 || state.page + by >= pages;
    button.onclick = () => { state.page += by; soon(); };
    return button;
  };
  $("pages").replaceChildren(turn("back", -1), "page " + (state.page + 1) + " of " + number(pages), turn("on", 1));
}

function showApp(app) {
  const close = element("a", "", "close");
  close.href = "#";
  const facts = [
    [number(app.in_flight), "with dynos"],
    [app.waiting ? number(app.waiting) + ", " + span(app.oldest_wait_ms) : "0", "waiting"],
    [app.capacity === null ? "no limit" : number(app.capacity), "at once"],
    [number(app.dyno_count), "dynos"],
    [app.policy, "policy"],
  ].map(([value, name]) => total(name, value));
  const bar = element("div", "bar", element("h2", "", app.name + (app.maintenance ? " (maintenance)" : "")), close);
  const figures = element("div", "", ...facts);
  figures.id = "facts";
  const dynos = app.dynos.map((dyno) => [dyno.name, dyno.state + (dyno.quarantine_ms ? " " + span(dyno.quarantine_ms) : ""), dyno.address, dyno.load + (dyno.limit ? " / " + dyno.limit : ""), number(dyno.elsewhere)]);
  const answers = app.answers.map((row) => [row.status, row.error || "–", number(row.requests)]);
  $("detail").replaceChildren(
    bar,
    figures,
    element("p", "", cells(app.dynos, app.dyno_count, "big")),
    element("p", "none", app.domains.join("  ·  ") + (app.domain_count > app.domains.length ? "  · and " + number(app.domain_count - app.domains.length) + " more" : "")),
    element("div", "wide", table(["dyno", "state", "address", "load|", "elsewhere|"], dynos.slice(0, 100), "no dyno")),
    element("div", "wide", table(["status", "code", "requests|"], answers, "no request has ended yet, or the app has no figures of its own")),
  );
  $("detail").hidden = false;
}

async function chart(name) {
  const place = $("chart-" + name);
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const size = "width=" + Math.max(240, place.clientWidth) + "&height=" + Math.max(100, place.clientHeight);
  const text = await (await ask("charts/" + name + ".svg?" + size + "&dark=" + dark)).text();
  const drawn = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
  place.replaceChildren(document.importNode(drawn, true));
}

let timer = 0;
let round = 0;

async function look() {
  const mine = ++round;
  clearTimeout(timer);
  try {
    const query = new URLSearchParams({ search: state.search, order: state.order, page: state.page });
    const [all, list, app] = await Promise.all([
      ask("api/overview").then((answer) => answer.json()),
      ask("api/apps?" + query).then((answer) => answer.json()),
      state.app === null ? null : ask("api/apps/" + encodeURIComponent(state.app)).then((answer) => answer.json(), (error) => {
        if (error.status === 404) return undefined;
        throw error;
      }),
    ]);
    // Something else was asked for meanwhile.
    if (mine !== round) return;
    showOverview(all);
    showApps(list);
    if (app) showApp(app);
    else if (app === undefined) $("detail").replaceChildren(element("p", "none", "there is no app " + state.app));
    else $("detail").hidden = true;
    await Promise.all([chart("requests"), chart("load")]);
  } catch (error) {
    $("state").textContent = "out of reach: " + error.message;
    $("state").className = "bad";
  }
  if (mine === round) timer = setTimeout(look, document.hidden ? EVERY * 5 : EVERY);
}

let pause = 0;

function soon() {
  clearTimeout(pause);
  pause = setTimeout(look, 120);
}

function follow() {
  const found = location.hash.match(/^#\/app\/(.+)$/);
  state.app = found ? decodeURIComponent(found[1]) : null;
  look();
}

$("search").oninput = (event) => { state.search = event.target.value.trim().toLowerCase(); state.page = 0; soon(); };
$("order").onchange = (event) => { state.order = event.target.value; state.page = 0; soon(); };
addEventListener("hashchange", follow);
document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
follow();
