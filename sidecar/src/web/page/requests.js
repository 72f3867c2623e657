// One app's requests as they end, while somebody looks.
import { $, number, table } from "./text.js";

const MOST = 50;
const KINDS = { LEASE_KIND_ASKED: "asked", LEASE_KIND_AHEAD: "reserved ahead", LEASE_KIND_PASSED_ON: "passed on" };
const watch = { app: null, on: false, source: null, rows: [], lost: 0, drawn: 0 };

function why(request) {
  const kind = KINDS[request.leaseKind] || "";
  if (!request.choice) return kind;
  const of = (request.choice.candidates || []).slice(0, 4).map((dyno) => {
    const load = (dyno.load || 0) + (dyno.elsewhere || 0);
    return dyno.dyno + " " + load + (dyno.limit ? "/" + dyno.limit : "");
  });
  const rest = (request.choice.up || 0) - of.length;
  return kind + " of [" + of.join(", ") + (rest > 0 ? ", " + rest + " more" : "") + "]";
}

function row(request) {
  const time = new Date(Number(request.endedMs)).toISOString().slice(11, 23);
  const waited = (request.queueMs || 0) + (request.waitMs || 0);
  const status = (request.status || "–") + (request.error ? " " + request.error : "");
  return [time, status, (request.method || "") + " " + (request.path || ""), request.dyno || "no dyno", (request.totalMs || 0) + " ms", waited + " ms", why(request)];
}

function draw() {
  watch.drawn = 0;
  const rows = watch.rows.map(row);
  const head = ["ended (UTC)", "status", "request", "dyno", "took|", "waited|", "why that dyno"];
  $("requests").replaceChildren(...(watch.on ? [table(head, rows, "none has ended yet")] : []));
  $("watched").textContent = watch.lost ? number(watch.lost) + " more were left out" : "";
}

// Many may come at once: they are drawn together.
function soon() {
  if (!watch.drawn) watch.drawn = setTimeout(draw, 200);
}

function hear(message) {
  const event = JSON.parse(message.data);
  if (event.request) {
    watch.rows.unshift(event.request);
    watch.rows.length = Math.min(watch.rows.length, MOST);
  } else if (event.lost) {
    watch.lost += Number(event.lost);
  }
  soon();
}

function close() {
  if (watch.source) watch.source.close();
  watch.source = null;
}

function open() {
  close();
  if (!watch.on || watch.app === null || document.hidden) return;
  const failed = $("failed").checked ? "?failed=true" : "";
  const source = new EventSource("api/apps/" + encodeURIComponent(watch.app) + "/requests" + failed);
  source.onmessage = hear;
  source.onerror = () => {
    // Whatever broke is tried again by the browser; what was refused is not.
    if (source.readyState === EventSource.CLOSED) $("watched").textContent = "refused: the app is gone, or too many look";
  };
  watch.source = source;
}

function again() {
  Object.assign(watch, { rows: [], lost: 0 });
  $("watch").setAttribute("aria-pressed", String(watch.on));
  $("watch").textContent = watch.on ? "Stop watching" : "Watch its requests";
  draw();
  open();
}

// Another app is shown, or none.
export function follow(app) {
  if (app === watch.app) return;
  watch.app = app;
  watch.on = false;
  again();
}

$("watch").onclick = () => { watch.on = !watch.on; again(); };
$("failed").onchange = again;
document.addEventListener("visibilitychange", open);
