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

let tag = "", busy = false, again = false;
async function refresh() {
  if (busy) { again = true; return; }
  busy = true;
  try {
    const asked = await fetch(location.pathname + location.search, {headers: {"Pfgov-Fragment": String(head || "page"), ...(tag && {"If-None-Match": tag})}, redirect: "manual"});
    if (asked.status === 200) {
      tag = asked.headers.get("etag") ?? "";
      const page = document.createElement("div");
      page.id = "page"; page.append(...parse(await asked.text()).body.childNodes);
      morph($("page"), page);
    } else if (asked.status === 401 || asked.type === "opaqueredirect") {
      if (!ask?.open) location.reload();  // a form that is filled in asks for the key itself when it is sent
    }
  } catch { /* the stream says that the server is away */ }
  busy = false;
  if (again) { again = false; refresh(); }
}

// --- live: one stream for the whole browser, a pause that holds (WCAG 2.2.2), and how far the ledger is ------------------
// HTTP/1.1 gives a browser six connections to one origin: with a stream in every tab the seventh tab never loads.  So one tab
// holds the stream, for as long as it holds a Web Lock, and tells the others.
const live = $("live"), pause = $("pause"), word = $("live-word");
let paused = false, waiting = 0, state = "", leads = false, head = 0, missed = false;
const show = (now, words) => { live.dataset.state = now; word.textContent = words; };
const changed = () => {
  if (document.body.dataset.live !== "true") return;
  if (document.hidden) missed = true; else refresh();
};
function take(said) {
  if (said.state) { state = said.state; if (!paused) show(state, state === "live" ? "Live" : "Reconnecting"); }
  if (said.head === undefined || said.head === head) return;
  const news = head ? said.head - head : 0; head = said.head; $("head").textContent = head;
  if (paused) { waiting += news; show("paused", `Paused, ${waiting} new`); } else if (news) changed();
}
function listen() {
  const channel = new BroadcastChannel("pfgov-live");
  const tell = said => { take(said); channel.postMessage(said); };
  channel.onmessage = ({data}) => { if (data.hello) { if (leads) channel.postMessage({state, head}); } else take(data); };
  channel.postMessage({hello: true});
  let wasLost = false;
  const follow = () => {
    const source = new EventSource("/console/events");
    source.onopen = () => { tell({state: "live"}); if (wasLost) { wasLost = false; changed(); } };
    source.onerror = () => {
      wasLost = true; tell({state: "lost"});
      // Closed for good: the session ended, or the server has no place for another stream.  A browser does not come back by itself.
      if (source.readyState === EventSource.CLOSED) setTimeout(() => { refresh(); follow(); }, 3000);
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
    if (paused) { waiting = 0; show("paused", "Paused"); } else { show(state, state === "live" ? "Live" : "Reconnecting"); changed(); }
  });
}

// --- dialogs: a form opens over its page; without this script it is a page of its own --------------------------------------
const ask = $("ask");
let unsent = null;  // the form that was sent when the session had ended, while the key is asked for
function trouble(words) {
  const said = document.createElement("p");
  said.className = "wrong"; said.setAttribute("role", "alert"); said.textContent = words;
  ask.querySelector(".wrong")?.remove();
  ask.prepend(said);
  said.scrollIntoView({block: "nearest"});
}
async function open(link) {
  unsent = null;
  let got;
  try { got = await fetch(link.href, {headers: {"Pfgov-Fragment": "1"}}); } catch {
    const close = document.createElement("button");
    close.className = "button"; close.dataset.close = ""; close.textContent = "Close";
    ask.replaceChildren(close); ask.showModal(); trouble("The server does not answer. Try again in a moment.");
    return;
  }
  ask.replaceChildren(...parse(await got.text()).body.childNodes);
  ask.showModal();
  (ask.querySelector("input:not([type=hidden]), select") ?? ask.querySelector("button"))?.focus();
}
ask?.addEventListener("submit", async event => {
  event.preventDefault();
  const form = event.target, button = event.submitter, sent = new URLSearchParams(new FormData(form, button));
  if (button) button.disabled = true;
  const freed = () => { if (button) button.disabled = false; };
  let got, text;
  try {
    got = await fetch(form.action, {method: "POST", body: sent, headers: {"Pfgov-Fragment": "1"}});
    text = got.redirected ? "" : await got.text();
  } catch { freed(); trouble("The server does not answer, and may have done it. Press again: it is done once."); return; }
  const signs = form.matches(".sign-in form");
  if (got.redirected && signs && unsent) {
    ask.replaceChildren(...unsent); unsent = null;
    trouble("You are signed in. Nothing was done yet: press again.");
    return;
  }
  if (got.redirected) { location.href = got.url; return; }
  if (got.status === 401 && !signs) { freed(); unsent = [...ask.childNodes]; }
  ask.replaceChildren(...parse(text).body.childNodes);
  (ask.querySelector("[role=alert], .ahead") ?? ask).scrollIntoView({block: "nearest"});
});

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
