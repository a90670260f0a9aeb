// The simulator's page: frames come from the server as lines of JSON; they are kept, and played at the reader's pace.
const NS = "http://www.w3.org/2000/svg";
const el = (name, attributes = {}, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== null) made.setAttribute(key, value);
  made.append(...children); return made;
};
const svg = (name, attributes = {}, ...children) => {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children); return made;
};
const symbol = (status, size = 11) => {
  const made = svg("svg", {class: `s s-${status.toLowerCase()}`, width: size, height: size, role: "img", "aria-label": status.toLowerCase()});
  made.append(svg("use", {href: `#i-${status.toLowerCase()}`})); return made;
};
const clock = seconds => `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
const number = (value, digits = 3) => value === null || value === undefined ? "–" : Number.isInteger(value) ? value.toLocaleString("en").replaceAll(",", "\u00a0") : value.toFixed(digits);
const LIVE = [["stability", "Stability"], ["churn", "Churn"], ["moves", "Migrations"], ["completed", "Completed"]];
const CHARTS = [["balance", "Load balance", 1], ["churn", "Churn", 0], ["moves", "Relocations", 0]];
const PICTURED = new Set(["ring", "binpack", "agent", "trust-weighted"]);
const COLUMNS = ["id", "status", "active", "tasks", "used", "whole", "trust", "reliability", "pressure", "skills"];

// Where a text lies on a circle; for drawing only, the engine's own hash decides.
function angle(text) { let h = 2166136261; for (const c of text) { h ^= c.charCodeAt(0); h = Math.imul(h, 16777619); } h ^= h >>> 13; h = Math.imul(h, 0x5bd1e995); return (h >>> 0) / 2 ** 32 * Math.PI * 2; }

class Run {
  constructor(place, {scenario, seed, scheduler, asks}) {
    Object.assign(this, {scenario, seed, scheduler, frames: [], at: -1, done: null, failed: "", before: {}, stop: new AbortController()});
    this.title = el("h2", {}, [scenario, `seed ${seed}`, ...(scheduler ? [scheduler] : [])].join(", "));
    this.close = el("button", {type: "button", class: "close", "aria-label": "Close this run"}, "×");
    this.asks = el("p", {class: "quiet small"}, asks);
    this.progress = el("progress", {max: 1, value: 0, "aria-label": "Progress"});
    this.where = el("p", {class: "small quiet num"}, "starting");
    this.live = el("div", {class: "live-metrics"});
    this.picture = el("div", {class: "picture"});
    this.charts = el("div", {class: "sim-charts"});
    this.log = el("ol", {class: "feed sim-log", tabindex: 0, "aria-label": "What happened"});
    this.result = el("div", {class: "sim-result"});
    this.box = el("section", {class: "run", "aria-label": `Run ${made += 1}: ${this.title.textContent}`}, el("div", {class: "bar-head"}, this.title, this.close), this.asks, this.progress, this.where, this.live, this.picture, this.charts, this.result, this.log);
    place.append(this.box);
    this.close.addEventListener("click", () => this.end());
    this.ready = this.load();
  }
  end() { this.stop.abort(); this.box.remove(); runs.delete(this); }
  async load() {
    try {
      const asked = new URLSearchParams({scenario: this.scenario, seed: this.seed, scheduler: this.scheduler});
      let got;
      for (let left = 30; ; left -= 1) {  // a run that was closed just now may not have ended yet
        got = await fetch("/console/simulate", {method: "POST", body: asked, signal: this.stop.signal});
        if (![429, 503].includes(got.status) || !left) break;
        await new Promise(go => setTimeout(go, 600));
      }
      if (!got.ok) { this.failed = `not run: the server answered ${got.status}`; this.draw(); return; }
      const reader = got.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const {value, done} = await reader.read();
        if (done) break;
        const lines = (rest + value).split("\n"); rest = lines.pop();
        for (const line of lines) {
          const said = JSON.parse(line);
          if (said.done) this.done = said.done; else if (said.ended) this.failed = said.ended; else this.frames.push(said);
        }
      }
      if (!this.done && !this.failed) this.failed = "it ended early";
    } catch (error) { if (error.name !== "AbortError") this.failed = String(error.message ?? error); }
    this.draw();
  }
  step() { if (this.at + 1 < this.frames.length) { this.at += 1; this.draw(); return true; } if (this.done && !this.result.childElementCount) this.draw(); return false; }
  draw() {
    if (this.failed) this.where.textContent = this.failed;
    const frame = this.frames[this.at];
    if (!frame) return;
    const members = frame.members.map(row => Object.fromEntries(COLUMNS.map((name, i) => [name, row[i]])));
    this.progress.max = frame.seconds; this.progress.value = frame.second;
    if (this.failed) this.where.textContent = `${this.failed}: frame ${this.at + 1} of ${this.frames.length} that came`; else this.where.textContent = `${clock(frame.second)} of ${clock(frame.seconds)}, entry ${number(frame.entries)}, frame ${this.at + 1} of ${this.frames.length}${this.done ? "" : " so far"}`;
    this.live.replaceChildren(...LIVE.map(([name, title]) => el("div", {}, el("span", {class: "quiet small"}, title), el("b", {class: "num"}, number(frame.metrics[name])))));
    // The scenario says what it is about, so that two runs of it under different schedulers can be compared.
    const own = document.querySelector(`#sc option[value="${CSS.escape(this.scenario)}"]`)?.dataset.scheduler, kind = PICTURED.has(own) ? own : this.scheduler || own;
    this.picture.replaceChildren(kind === "ring" ? this.ring(frame, members) : kind === "binpack" ? this.bins(members) : this.directory(members));
    this.charts.replaceChildren(...CHARTS.map(one => this.chart(...one)));
    this.tell(frame);
    if (this.done && this.at === this.frames.length - 1) this.finish();
  }
  ring(frame, members) {
    const box = svg("svg", {class: "ring", viewBox: "-196 -196 392 392", role: "img", "aria-label": `Ring with ${members.length} members and ${Object.keys(frame.owners).length} packets`});
    box.append(svg("circle", {r: 158, class: "track"}));
    const before = this.at ? this.frames[this.at - 1].owners : {};
    for (const m of members) {
      let d = ""; for (let i = 0; i < 24; i += 1) { const a = angle(`${m.id}-${i}`); d += `M${(168 * Math.sin(a)).toFixed(1)} ${(-168 * Math.cos(a)).toFixed(1)}L${(184 * Math.sin(a)).toFixed(1)} ${(-184 * Math.cos(a)).toFixed(1)}`; }
      box.append(svg("path", {class: m.status === "ACTIVE" ? "bezel" : "bezel away", d}));
    }
    let moved = 0;
    for (const [packet, owner] of Object.entries(frame.owners)) {
      const a = angle(packet), r = 112 + angle(packet + "r") / 6.3 * 42, is = before[packet] !== undefined && before[packet] !== owner; moved += is;
      box.append(svg("circle", {class: is ? "dot mine" : "dot", cx: (r * Math.sin(a)).toFixed(1), cy: (-r * Math.cos(a)).toFixed(1), r: is ? 4.2 : 2.4}));
    }
    const text = (y, words, name) => { const t = svg("text", {y, class: name}); t.textContent = words; box.append(t); };
    text(-22, `${members.filter(m => m.status === "ACTIVE").length} active`, "t1"); text(16, number(moved), "t2"); text(42, "just moved", "t3");
    return el("div", {}, box, el("p", {class: "small quiet under-ring"}, "Places on this ring are drawn for the eye; the engine's own hash decides who owns what."));
  }
  bins(members) {
    const most = Math.max(...members.map(m => m.whole || m.tasks || 1), 1);
    return el("ul", {class: members.some(m => m.pressure >= 900) ? "bins tagged" : "bins"}, ...members.map(m => {
      const whole = m.whole || m.tasks || 1, used = m.whole ? m.used : m.active, box = svg("svg", {viewBox: "0 0 100 8", preserveAspectRatio: "none", role: "img", "aria-label": `${number(used)} of ${number(whole)}`});
      box.append(svg("rect", {class: "track", width: whole / most * 100, height: 8}), svg("rect", {class: used >= whole ? "block deep" : "block", width: used / most * 100, height: 8}));
      return el("li", {}, symbol(m.status), el("span", {class: "id"}, m.id), box, el("span", {class: "num fig"}, `${number(used, 1)}/${number(whole, 1)}`), el("span", {class: "tag t-suspect"}, m.pressure >= 900 ? "pressure" : ""));
    }));
  }
  directory(members) {
    const row = m => el("tr", {}, el("th", {scope: "row"}, symbol(m.status), " ", m.id), el("td", {}, m.skills.join(", ") || "none"), el("td", {class: "r num"}, number(m.trust / 1000, 2)), el("td", {class: "r num"}, number(m.reliability / 1000, 2)), el("td", {class: "r num"}, `${m.active}${m.tasks ? "/" + m.tasks : ""}`));
    const head = el("tr", {}, ...["Agent", "Skills", "Trust", "Reliability", "Owns"].map((name, i) => el("th", {scope: "col", class: i > 1 ? "r" : ""}, name)));
    const sorted = [...members].sort((a, b) => b.reliability * b.trust - a.reliability * a.trust || (a.id < b.id ? -1 : 1));
    return el("div", {class: "scroll", tabindex: 0, role: "group", "aria-label": "Directory"}, el("table", {class: "log dir"}, el("thead", {}, head), el("tbody", {}, ...sorted.map(row))));
  }
  chart(name, title, top) {
    const seen = this.frames.slice(0, this.at + 1).map(f => f.metrics[name]), most = top || Math.max(...this.frames.map(f => f.metrics[name] ?? 0), 1e-9), wide = Math.max(this.frames[0].seconds, 1);
    const points = seen.map((v, i) => v === null ? null : `${(this.frames[i].second / wide * 100).toFixed(2)},${(38 - 36 * v / most).toFixed(2)}`).filter(Boolean).join(" ");
    const box = svg("svg", {viewBox: "0 0 100 40", preserveAspectRatio: "none", role: "img", "aria-label": `${title}, now ${number(seen.at(-1))}`});
    box.append(svg("path", {class: "grid", d: "M0 38H100"}), svg("polyline", {class: "line", points}));
    const ends = el("p", {class: "ends plain small quiet num"}, el("span", {}, `top ${most < 1e-8 ? 0 : number(most, 2)}`), el("span", {}, clock(wide)));
    return el("div", {}, el("p", {class: "small"}, title, " ", el("b", {class: "num"}, number(seen.at(-1)))), box, ends);
  }
  tell(frame) {
    const news = Object.entries(frame.kinds).filter(([kind, count]) => count > (this.before[kind] ?? 0) && !["pressure_changed"].includes(kind)).map(([kind, count]) => `${kind.replaceAll("_", " ")} ${count - (this.before[kind] ?? 0)}`);
    this.before = frame.kinds;
    if (!news.length) return;
    this.log.prepend(el("li", {}, el("span", {class: "num"}, clock(frame.second)), el("span", {}, news.join(", "))));
    while (this.log.childElementCount > 40) this.log.lastChild.remove();
  }
  finish() {
    const {metrics, entries, scheduler} = this.done, command = `pfgov sim run --scenario ${this.scenario} --seed ${this.seed}${this.scheduler ? " --scheduler " + this.scheduler : ""}`;
    this.result.replaceChildren(el("h3", {}, `${scheduler}, ${number(entries)} entries`), el("dl", {class: "kv"}, ...Object.entries(metrics).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {class: "num", "data-metric": name, "data-value": value ?? ""}, number(value))))), el("p", {class: "quiet small"}, "The same numbers: ", el("code", {}, ...command.split(" ").flatMap(word => [el("span", {class: "nowrap"}, word), " "]))));
    this.box.dataset.done = "true";
  }
}

const runs = new Set();
let made = 0;  // so that of two equal runs each has a name of its own
let playing = true, last = 0;
function tick(now) {
  const rate = Number(document.getElementById("sp").value);
  if (playing && now - last >= 1000 / rate) { last = now; for (const run of runs) { if (rate >= 1000) run.at = Math.max(run.at, run.frames.length - 2); run.step(); } }
  requestAnimationFrame(tick);
}
export function start() {
  const form = document.getElementById("sim-form"), place = document.getElementById("sim-runs"), play = document.getElementById("sim-play");
  if (!form || form.dataset.ready) return;
  form.dataset.ready = "true";
  const begin = beside => {
    const asked = new FormData(form), option = form.scenario.selectedOptions[0];
    if (!beside) for (const run of [...runs]) run.end();
    while (runs.size > 1) [...runs][0].end();
    runs.add(new Run(place, {scenario: asked.get("scenario"), seed: asked.get("seed") || "1", scheduler: asked.get("scheduler"), asks: option.dataset.asks}));
    const url = new URL(location.href); url.searchParams.set("scenario", asked.get("scenario")); url.searchParams.set("seed", asked.get("seed")); if (asked.get("scheduler")) url.searchParams.set("scheduler", asked.get("scheduler")); else url.searchParams.delete("scheduler"); history.replaceState(null, "", url);
    hold(true);
  };
  const hold = now => { playing = now; play.textContent = playing ? "Pause" : "Play"; play.setAttribute("aria-pressed", !playing); };
  form.addEventListener("submit", event => { event.preventDefault(); begin(false); });
  document.getElementById("sim-beside").addEventListener("click", () => begin(true));
  play.addEventListener("click", () => hold(!playing));
  document.getElementById("sim-step").addEventListener("click", () => { hold(false); for (const run of runs) run.step(); });
  addEventListener("pagehide", () => { for (const run of runs) run.stop.abort(); });
  requestAnimationFrame(tick);
}
