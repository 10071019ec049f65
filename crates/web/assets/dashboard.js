// What makes the pages quicker; each of them works without it. Links and search forms of the same place swap
// the page's middle, the legend of a chart shows the bar that is pointed at, and live pages refresh.
"use strict";

const body = document.body;
const text = body.dataset;
const PATIENCE = 12000;
const LIVE_EVERY = 30000;
let running = null;

const page = () => document.getElementById("page");

// Whether an answer is of somebody whose session has ended.
const signedOut = (answer) => new URL(answer.url).pathname.startsWith("/sign-in");

// The links and forms whose answer is another middle of the page.
function swaps(url) {
  return url.origin === location.origin && /^\/(organizations|reseller)(\/|$)/.test(url.pathname);
}

function message(words, href) {
  const box = document.createElement("p");
  box.className = "notice bad";
  box.setAttribute("role", "alert");
  box.append(words + " ");
  const again = document.createElement("a");
  again.href = href;
  again.textContent = text.retry;
  box.append(again);
  document.querySelector("p.notice.bad[role=alert]")?.remove();
  document.getElementById("content").prepend(box);
}

async function fetchPage(href, signal) {
  const answer = await fetch(href, { signal, headers: { Accept: "text/html" }, credentials: "same-origin" });
  if (!(answer.headers.get("Content-Type") || "").startsWith("text/html")) throw new TypeError("no page");
  const next = new DOMParser().parseFromString(await answer.text(), "text/html");
  return { answer, next };
}

async function go(href, push) {
  running?.abort();
  const control = (running = new AbortController());
  const slow = setTimeout(() => control.abort("slow"), PATIENCE);
  const old = page();
  old.setAttribute("aria-busy", "true");
  const mark = document.createElement("p");
  mark.className = "loading";
  mark.setAttribute("role", "status");
  const shown = setTimeout(() => { mark.textContent = text.loading; old.prepend(mark); }, 150);
  try {
    const { answer, next } = await fetchPage(href, control.signal);
    const fresh = next.getElementById("page");
    // The session may have ended, or the place is another kind of page.
    if (!fresh || signedOut(answer)) return location.assign(href);
    const focused = document.activeElement?.id;
    const links = ".switch a, thead a, .pager a, .tabs a";
    const followed = document.activeElement?.matches(links) ? document.activeElement.textContent.trim() : null;
    page().replaceWith(fresh);
    document.title = next.title;
    for (const wanted of ["header.top .switch", "header.top .panel .switch"]) {
      const from = next.querySelector(wanted), to = document.querySelector(wanted);
      if (from && to) to.replaceWith(from);
    }
    if (push) history.pushState(null, "", href);
    enhance();
    // Who has followed a link of a switch or a table is left on it.
    const same = followed && [...document.querySelectorAll(links)].find((one) => one.textContent.trim() === followed);
    const place = focused === "search" ? document.getElementById("search") : same;
    (place || document.getElementById("content")).focus({ preventScroll: true });
    if (push && followed === null) scrollTo(0, 0);
  } catch (error) {
    if (running !== control) return;
    message(control.signal.aborted ? text.slow : text.away, href);
  } finally {
    clearTimeout(slow);
    clearTimeout(shown);
    mark.remove();
    if (running === control) old.removeAttribute("aria-busy");
  }
}

document.addEventListener("click", (event) => {
  const copy = event.target.closest("[data-copy]");
  if (copy) {
    navigator.clipboard?.writeText(document.getElementById(copy.dataset.copy).textContent);
    copy.textContent = text.copied;
    return;
  }
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
  const link = event.target.closest("a[href]");
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  if (link.hasAttribute("download") || "plain" in link.dataset || link.target) return;
  const url = new URL(link.href);
  const isHere = url.pathname === location.pathname && url.search === location.search;
  if (!swaps(url) || !page() || (isHere && url.hash)) return;
  event.preventDefault();
  go(url.href, true);
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "get") return;
  const url = new URL(form.action);
  url.search = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== "")).toString();
  if (!swaps(url)) return;
  event.preventDefault();
  go(url.href, true);
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") for (const menu of document.querySelectorAll("details.menu[open]")) menu.open = false;
});

addEventListener("popstate", () => go(location.href, false));

// The legend reads out the bar under the pointer or the focus; arrows move from bar to bar.
function charts() {
  for (const part of document.querySelectorAll(".chart-body")) {
    const legend = part.querySelector(".legend");
    const [label, total] = ["label", "total"].map((name) => legend.querySelector(`[data-read=${name}]`));
    const values = [...legend.querySelectorAll("[data-value]")];
    let read = null;
    const show = (bar) => {
      if (bar === read) return;
      read = bar;
      const shown = bar?.dataset.values.split("|");
      label.textContent = bar ? bar.dataset.title : legend.dataset.label;
      total.textContent = bar ? bar.dataset.total : legend.dataset.total;
      values.forEach((one, place) => { one.textContent = shown ? shown[place] : one.dataset.value; });
      part.querySelector(".bar.on")?.classList.remove("on");
      bar?.classList.add("on");
    };
    for (const drawing of part.querySelectorAll("svg.chart")) {
      const bars = [...drawing.querySelectorAll(".bar")];
      drawing.addEventListener("pointermove", (event) => show(event.target.closest(".bar")));
      drawing.addEventListener("pointerleave", () => show(null));
      drawing.addEventListener("focusin", (event) => show(event.target.closest(".bar")));
      drawing.addEventListener("focusout", () => show(null));
      drawing.addEventListener("keydown", (event) => {
        const at = bars.indexOf(event.target);
        const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: bars.length - 1 }[event.key];
        if (to === undefined || !bars[to]) return;
        event.preventDefault();
        for (const bar of bars) bar.setAttribute("tabindex", bar === bars[to] ? "0" : "-1");
        bars[to].focus();
      });
    }
  }
}

// The token of a one-time link stands behind the #, which no server is sent.
function link() {
  const form = document.querySelector("form[data-link]");
  if (!form) return;
  const token = location.hash.slice(1);
  if (!token) return;
  form.querySelector(".paste").hidden = true;
  form.elements.token.value = token;
  // Another language is another page, which needs the token as well.
  for (const other of document.querySelectorAll(".switch a[href]")) other.hash = token;
  history.replaceState(null, "", location.pathname + location.search);
}

function enhance() {
  // What was sent by a form is shown at the address of its page, which can be opened again.
  const here = page()?.dataset.here;
  if (here && here !== location.pathname + location.search) history.replaceState(null, "", here + location.hash);
  for (const button of document.querySelectorAll("[data-copy]")) button.hidden = !navigator.clipboard;
  const tab = document.querySelector(".tabs [aria-current]");
  if (tab) tab.parentElement.scrollLeft = tab.offsetLeft - tab.parentElement.clientWidth / 2;
  charts();
}

// Figures of today refresh while somebody looks at them and does nothing else, and when somebody comes back to them.
async function live() {
  const now = page();
  const busy = running && now?.getAttribute("aria-busy");
  if (!now?.dataset.live || document.hidden || busy) return;
  const state = now.querySelector(".live");
  try {
    const { answer, next } = await fetchPage(location.href, AbortSignal.timeout(PATIENCE));
    if (signedOut(answer)) return location.assign(location.href);
    if (!answer.ok || page() !== now) throw new TypeError("no page");
    state.textContent = "";
    state.classList.remove("lost");
    const fresh = next.getElementById("page");
    const touched = now.querySelector(".bar.on, details[open]") || now.contains(document.activeElement) && document.activeElement.id !== "content";
    if (!fresh || touched) return;
    now.replaceWith(fresh);
    enhance();
  } catch {
    if (page() !== now) return;
    state.textContent = text.lost;
    state.classList.add("lost");
  }
}

setInterval(live, LIVE_EVERY);
document.addEventListener("visibilitychange", live);
addEventListener("online", live);

link();
enhance();
