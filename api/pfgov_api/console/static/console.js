// The console's own script: live updates, keys, dialogs.  Pages work without it; it adds no data of its own.
import {verify} from "./verify.js";

const $ = id => document.getElementById(id);
const say = words => { $("said").textContent = words; };
const trusted = window.trustedTypes?.createPolicy("pfgov", {createHTML: html => html});
const parse = html => new DOMParser().parseFromString(trusted ? trusted.createHTML(html) : html, "text/html");

// --- morphing: the new page is put into the old one, so that focus, selection and open panels stay ---------------------
function morph(old, now) {
  if (old.hasAttribute("data-keep")) return;
  const stays = old.localName === "details" ? "open" : "";
  for (const {name} of [...old.attributes]) if (!now.hasAttribute(name) && name !== stays) old.removeAttribute(name);
  for (const {name, value} of [...now.attributes]) if (old.getAttribute(name) !== value && name !== stays) old.setAttribute(name, value);
  if (old === document.activeElement && old.matches("input, select, textarea")) return;
  const known = new Map();
  for (const child of old.children) if (child.id) known.set(child.id, child);
  let at = old.firstChild;
  for (const wanted of [...now.childNodes]) {
    const match = wanted.id && known.get(wanted.id);
    if (match && match.localName === wanted.localName) {
      if (match !== at) old.insertBefore(match, at); else at = at.nextSibling;
      morph(match, wanted);
    } else if (at && at.nodeType === wanted.nodeType && at.nodeName === wanted.nodeName && !at.id && !wanted.id) {
      if (at.nodeType === Node.ELEMENT_NODE) morph(at, wanted);
      else if (at.data !== wanted.data) at.data = wanted.data;
      at = at.nextSibling;
    } else old.insertBefore(document.importNode(wanted, true), at);
  }
  while (at) { const next = at.nextSibling; at.remove(); at = next; }
}

// --- who acts: a page that follows the ledger by itself keeps no session from ending, what a person does in it does --------
let acted = false;
for (const kind of ["pointerdown", "keydown", "wheel", "touchmove"]) addEventListener(kind, () => { acted = true; }, {capture: true, passive: true});
const ask = $("ask");
const typedInto = () => ask?.open || document.querySelector("#page :is(form.do, form.play, #sim, #verifier)");
function signedOut() {
  // A form that is filled in asks for the key itself when it is sent; everything else asks for it now, and shows nothing more.
  if (!typedInto()) { location.reload(); return; }
  out = true; tellState();
}

let tag = "", busy = false, again = false;
async function refresh() {
  if (busy) { again = true; return; }
  busy = true;
  let isLate = false;
  const headers = {"Pfgov-Fragment": Number.isNaN(head) ? "page" : String(head), ...(tag && {"If-None-Match": tag}), ...(acted && {"Pfgov-Acted": "1"})};
  acted = false;
  try {
    const asked = await fetch(location.pathname + location.search, {headers, redirect: "manual", signal: AbortSignal.timeout(30_000)});
    if (asked.status === 200) {
      tag = asked.headers.get("etag") ?? "";
      const page = document.createElement("div");
      page.id = "page"; page.append(...parse(await asked.text()).body.childNodes);
      morph($("page"), page);
    } else if (asked.status === 401 || asked.type === "opaqueredirect") { channel?.postMessage({out: true}); signedOut(); }
    else isLate = [429, 503].includes(asked.status);
  } catch (error) { isLate = error.name === "TimeoutError"; }  // else the server is away: the stream says so, and when it is back
  busy = false;
  if (isLate) setTimeout(refresh, 2_000); else if (again) { again = false; refresh(); }
}

// --- live: one stream for the whole browser, a pause that holds (WCAG 2.2.2), and how far the ledger is ------------------
// HTTP/1.1 gives a browser six connections to one origin: with a stream in every tab the seventh tab never loads.  So one tab
// holds the stream, for as long as it holds a Web Lock, and tells the others.
// A page that follows the ledger says as of which entry it was drawn: what came between that and the first word of the stream
// is news, too.
const live = $("live"), pause = $("pause"), word = $("live-word"), follows = "head" in document.body.dataset;
let paused = false, waiting = 0, state = "", leads = false, out = false, missed = false, channel = null;
let head = follows ? Number(document.body.dataset.head) : NaN;
const show = (now, words) => { live.dataset.state = now; word.textContent = words; };
const tellState = () => { if (!paused && state) show(state, state === "live" ? "Live" : out ? "Signed out" : "Reconnecting"); };
const changed = () => {
  if (!follows || paused) return;
  if (document.hidden) missed = true; else refresh();
};
function take(said) {
  if (said.out) signedOut();
  if (said.state) {
    const isBack = state === "lost" && said.state === "live";
    state = said.state;
    if (isBack) { out = false; changed(); }
    tellState();
  }
  if (said.head === undefined || said.head === head) return;
  const news = Number.isNaN(head) ? 0 : said.head - head; head = said.head; $("head").textContent = head;
  if (paused) { waiting += news; show("paused", `Paused, ${waiting} new`); } else if (news) changed();
}
function listen() {
  channel = new BroadcastChannel("pfgov-live");
  const tell = said => { take(said); channel.postMessage(said); };
  channel.onmessage = ({data}) => { if (data.hello) { if (leads) channel.postMessage({state, head}); } else take(data); };
  channel.postMessage({hello: true});
  let patience = 3_000;
  const follow = () => {
    const source = new EventSource("/console/events");
    source.onopen = () => { patience = 3_000; tell({state: "live"}); };
    source.onerror = () => {
      tell({state: "lost"});
      // Closed for good: the session ended, or the server has no place for another stream.  A browser does not come back by itself.
      if (source.readyState === EventSource.CLOSED) { refresh(); setTimeout(follow, patience); patience = Math.min(patience * 2, 60_000); }
    };
    source.addEventListener("changed", event => tell(JSON.parse(event.data)));
  };
  navigator.locks.request("pfgov-live", () => new Promise(() => { leads = true; follow(); }));
}
if (live) {
  pause.hidden = false;
  listen();
  document.addEventListener("visibilitychange", () => { if (!document.hidden && missed && !paused) { missed = false; refresh(); } });
  pause.addEventListener("click", () => {
    paused = !paused; pause.setAttribute("aria-pressed", paused);
    if (paused) { waiting = 0; show("paused", "Paused"); } else { show(state, "Connecting"); tellState(); changed(); }
  });
}

// --- forms: they open over their page; without this script each is a page of its own ---------------------------------------
// A form stays as it was filled in, whatever comes between: the server is away, the session has ended, or it is refused.
const FORM_BYTES_MAX = 131_072, ours = "form.do, form.play, .sign-in form";
let unsent = null;  // the form that was sent when the session had ended, while the key is asked for
function trouble(words, place = ask, code = "") {
  const said = document.createElement("p"), kind = document.createElement("code");
  said.className = "wrong"; said.setAttribute("role", "alert"); said.textContent = words; kind.textContent = code;
  if (code) said.append(" ", kind);
  place.querySelector(":scope > .wrong")?.remove();
  place.prepend(said);
  said.scrollIntoView({block: "nearest"});
}
function askForKey(kept, found) {
  unsent = kept;
  const button = document.createElement("button");
  button.type = "button"; button.className = "button"; button.textContent = "Back to the form";
  button.addEventListener("click", () => back(""));
  ask.replaceChildren(...found, button);
  for (const link of ask.querySelectorAll("a.link")) link.target = "_blank";  // to the issuer: the form waits here
  if (!ask.open) ask.showModal();
  ask.querySelector("#key")?.focus();
}
function back(words) {
  const {form, nodes} = unsent;
  unsent = null;
  if (form) ask.close(); else ask.replaceChildren(...nodes);
  if (words) trouble(words, form ?? ask);
}
const inside = async got => [...parse(await got.text()).body.childNodes];
async function open(link) {
  unsent = null;
  let got;
  try { got = await fetch(link.href, {headers: {"Pfgov-Fragment": "1", "Pfgov-Acted": "1"}}); } catch {
    const close = document.createElement("button");
    close.className = "button"; close.dataset.close = ""; close.textContent = "Close";
    ask.replaceChildren(close); ask.showModal(); trouble("The server does not answer. Try again in a moment.");
    return;
  }
  ask.replaceChildren(...await inside(got));
  ask.showModal();
  (ask.querySelector("input:not([type=hidden]), select") ?? ask.querySelector("button"))?.focus();
}
document.addEventListener("submit", async event => {
  const form = event.target, box = form.closest("#ask") ?? $("page");
  if (!form.matches(box === ask ? "form" : "form.do[action], form.play[action]")) return;
  event.preventDefault();
  const button = event.submitter, sent = new URLSearchParams(new FormData(form, button)), place = box === ask ? ask : form;
  if (String(sent).length > FORM_BYTES_MAX) { trouble("That is too large for a form. Use the API or the command line.", place); return; }
  if (button) button.disabled = true;
  const freed = () => { if (button) button.disabled = false; };
  let got, found;
  try {
    got = await fetch(form.getAttribute("action"), {method: "POST", body: sent, headers: {"Pfgov-Fragment": "1", "Pfgov-Acted": "1"}});
    found = got.redirected ? [] : await inside(got);
  } catch { freed(); trouble("The server does not answer, and may have done it. Press again: it is done once.", place); return; }
  const signs = form.matches(".sign-in form");
  if (got.redirected && signs && unsent) {
    back("You are signed in. Nothing was done yet: press again.");
    return;
  }
  if (got.redirected) {
    edited = false;
    const to = new URL(got.url);
    if (to.pathname === location.pathname || location.pathname.startsWith("/console/do/")) location.replace(to); else location.href = to;  // "back" leads away from what was done
    return;
  }
  freed();
  if (got.status === 401 && !signs) { askForKey(box === ask ? {nodes: [...ask.childNodes]} : {form}, found); return; }
  const holder = document.createElement("div");
  holder.append(...found);
  if (!got.ok && !holder.querySelector(ours)) {  // it says why, and has no form to go on with
    trouble([...holder.querySelectorAll("h1, .lead")].map(one => one.textContent.replace(/\.?$/, ".")).join(" "), place, holder.querySelector(".after code")?.textContent);
    return;
  }
  box.replaceChildren(...holder.childNodes);
  [...box.querySelectorAll("button")].find(one => one.textContent === button?.textContent)?.focus({preventScroll: true});
  (box.querySelector("[role=alert], .ahead, #verdicts, #tested, #weighed") ?? box).scrollIntoView({block: "nearest"});
});
let edited = false;  // a policy text that nobody has sent yet
document.addEventListener("input", event => { if (event.target.matches("#pt, #pe")) edited = true; });
// Files that are dropped on a field of the playground are its text, and a link to the tests opens them.
const takes = event => event.target.matches?.(".play textarea") && event.dataTransfer.types.includes("Files");
document.addEventListener("dragover", event => { if (takes(event)) event.preventDefault(); });
document.addEventListener("drop", async event => {
  const field = event.target, files = [...event.dataTransfer.files];
  if (!takes(event)) return;
  event.preventDefault();
  if (files.reduce((sum, one) => sum + one.size, 0) > FORM_BYTES_MAX) { trouble("That is too large for a form. Use the API or the command line.", field.form); return; }
  field.value = (await Promise.all(files.map(one => one.text()))).map(one => one.replace(/\n*$/, "\n")).join("---\n");
  field.dispatchEvent(new Event("input", {bubbles: true}));
});
if (location.hash === "#tests") { const tests = $("tests"); if (tests) { tests.open = true; tests.scrollIntoView(); } }
addEventListener("beforeunload", event => { if (edited) event.preventDefault(); });

// --- clicks -----------------------------------------------------------------------------------------------------------------
document.addEventListener("click", async event => {
  const on = selector => event.target.closest?.(selector);
  const plain = !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.button;
  if (on("[data-dialog]") && plain) { event.preventDefault(); open(on("[data-dialog]")).catch(() => { location.href = on("[data-dialog]").href; }); }
  else if (on("dialog [data-close]") && plain) { event.preventDefault(); ask.close(); }
  else if (on("[data-copy]")) {
    const button = on("[data-copy]");
    await navigator.clipboard.writeText($(button.dataset.copy).textContent.trim());
    button.textContent = "Copied"; say("Copied"); setTimeout(() => { button.textContent = "Copy"; }, 1500);
  }
  else if (on("#toast-close")) $("toast").remove();
  else if (on("#verify")) check();
});
document.addEventListener("change", event => { if (event.target.matches?.("[data-go]")) event.target.form.requestSubmit(); });
for (const one of document.querySelectorAll("[data-noscript]")) one.hidden = true;
if ($("toast")) {
  const url = new URL(location.href); url.searchParams.delete("did"); history.replaceState(null, "", url);
  setTimeout(() => $("toast")?.remove(), 12000);
}

// --- local time where UTC is written -----------------------------------------------------------------------------------------
document.addEventListener("pointerover", event => {
  const time = event.target.closest?.("time[datetime]");
  if (time && !time.title) time.title = new Date(time.dateTime).toLocaleString(undefined, {dateStyle: "full", timeStyle: "long"});
});

// --- verify ----------------------------------------------------------------------------------------------------------------
async function check() {
  const box = $("proof"), list = $("checks"), {seq, leaf, outcome, owner} = box.dataset;
  list.replaceChildren();
  const line = (ok, what, more) => {
    const li = document.createElement("li"), svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), use = document.createElementNS("http://www.w3.org/2000/svg", "use");
    li.className = ok ? "pass" : "fail"; svg.setAttribute("class", "s"); svg.setAttribute("width", 12); svg.setAttribute("height", 12); svg.setAttribute("aria-hidden", "true");
    use.setAttribute("href", ok ? "#i-check" : "#i-failed"); svg.append(use);
    const b = document.createElement("span"), i = document.createElement("small"); b.textContent = what; i.textContent = more; li.append(svg, b, i); list.append(li);
  };
  try {
    const [proof, anchor] = await Promise.all([fetch(`/console/raw/proof/${seq}`).then(r => r.text()), fetch("/console/raw/anchor").then(r => r.text())]);
    const key = text => text.split("\n").filter(x => x && !x.startsWith("#")).join("\n"), origin = key(anchor).split("+")[0], kept = localStorage.getItem("anchor " + origin);
    for (const {what, ok, more} of await verify(proof, anchor, {seq: Number(seq), leaf, outcome, owner})) line(ok, what, more);
    if (kept === null) { localStorage.setItem("anchor " + origin, key(anchor)); line(true, "The anchor is kept in this browser", "compare it over another channel"); }
    else line(kept === key(anchor), "The anchor is the one this browser kept", "");
  } catch (error) { line(false, "This could not be checked", String(error.message ?? error)); }
}

// --- keys --------------------------------------------------------------------------------------------------------------------
document.addEventListener("keydown", event => {
  if (event.target.matches("input, textarea, select") || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.key === "/") { event.preventDefault(); $("q")?.focus(); }
  else if (event.key === "?") $("keys").showModal();
  else if (event.key === "p") pause?.click();
  else if (event.key === "v") $("verify")?.click();
  else if (event.key === "[" || event.key === "]") document.querySelector(`#page a[rel=${event.key === "[" ? "prev" : "next"}]`)?.click();
});

// --- pages with a script of their own ------------------------------------------------------------------------------------------
if ($("verifier")) import("./verifier.js");
if ($("sim")) import("./simulator.js").then(({start}) => start());
