// What there is to see is asked for every two seconds, and only what is shown.
import * as show from "./show.js";
import * as requests from "./requests.js";
import { $ } from "./text.js";

const EVERY = 2000;
const state = { search: "", order: "busy", page: 0, app: null };

async function ask(path) {
  const answer = await fetch(path);
  if (!answer.ok) {
    const error = new Error((await answer.text()).trim() || answer.statusText);
    error.status = answer.status;
    throw error;
  }
  return answer;
}

// A picture: whatever is in it, nothing of it is run.
function chart(name, words) {
  const place = $("chart-" + name);
  const query = new URLSearchParams({
    width: Math.max(240, place.clientWidth),
    height: Math.max(100, place.clientHeight),
    dark: matchMedia("(prefers-color-scheme: dark)").matches,
    at: round,
  });
  place.src = "charts/" + name + ".svg?" + query;
  place.alt = words;
}

// `undefined`: there is none.
async function one(name) {
  try {
    return await (await ask("api/apps/" + encodeURIComponent(name))).json();
  } catch (error) {
    if (error.status === 404) return undefined;
    throw error;
  }
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
      state.app === null ? null : one(state.app),
    ]);
    // Something else was asked for meanwhile.
    if (mine !== round) return;
    const last = Math.max(0, Math.ceil(list.found / list.page_size) - 1);
    if (state.page > last) {
      state.page = last;
      return soon();
    }
    show.overview(all);
    show.apps(list, state.page, state.search ? "no app has that in its name" : "there are no apps", turn);
    if (state.app !== null) show.app(state.app, app);
    chart("requests", "Now " + Math.round(all.requests_per_second) + " requests a second");
    chart("load", "Now " + all.leases + " with dynos, " + all.waiting + " waiting");
  } catch (error) {
    show.say("out of reach: " + error.message, false);
  }
  if (mine === round) timer = setTimeout(look, document.hidden ? EVERY * 5 : EVERY);
}

let pause = 0;

function soon() {
  clearTimeout(pause);
  pause = setTimeout(look, 120);
}

function turn(page) {
  state.page = page;
  soon();
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function follow() {
  const found = location.hash.match(/^#\/app\/(.+)$/);
  state.app = found ? decoded(found[1]) : null;
  $("detail").hidden = state.app === null;
  requests.follow(state.app);
  look();
  if (state.app !== null) {
    $("name").textContent = state.app;
    $("name").focus();
  }
}

$("search").oninput = (event) => { state.search = event.target.value.trim().toLowerCase(); turn(0); };
$("order").onchange = (event) => { state.order = event.target.value; turn(0); };
addEventListener("hashchange", follow);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", soon);
document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
follow();
