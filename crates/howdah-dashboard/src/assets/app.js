// What a browser can add: pages that change by themselves, select-all, keys. Everything works without it.
"use strict";

const $ = (selector, from) => (from || document).querySelector(selector);
const $$ = (selector, from) => Array.from((from || document).querySelectorAll(selector));

// ---- Live. A region is left alone while something in it is selected, focused or opened.

const region = $("#live[data-live]");
let waiting = null;

function isBusy() {
  const selection = document.getSelection();
  const selects = selection && !selection.isCollapsed && region.contains(selection.anchorNode);
  return selects || region.contains(document.activeElement) || region.matches(":hover:active");
}

function put(html) {
  waiting = html;
  settle();
}

function settle() {
  if (waiting === null) return;
  const busy = isBusy();
  tell(busy ? "Updates wait until nothing is selected." : "Live.");
  if (busy) return;
  const fresh = new DOMParser().parseFromString("<div>" + waiting + "</div>", "text/html").body.firstChild;
  waiting = null;
  // What was opened stays open, what was scrolled stays where it was.
  const open = $$("details", region).map((details) => details.open);
  const left = $$(".wide", region).map((wide) => wide.scrollLeft);
  region.replaceChildren(...fresh.childNodes);
  $$("details", region).forEach((details, n) => { details.open = open[n] || false; });
  $$(".wide", region).forEach((wide, n) => { wide.scrollLeft = left[n] || 0; });
}

function tell(text) {
  const place = $("[data-live-state]");
  if (place.textContent !== text) place.textContent = text;
}

async function reload() {
  const answer = await fetch(location.href, { headers: { "x-howdah-live": "1" } });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = $("#live", page);
  if (!fresh) return;
  put(fresh.innerHTML);
  // It has ended: nothing more will become of it.
  if (!fresh.dataset.live) disconnect("Not live any more: it has ended.");
}

let source = null;

function connect() {
  if (!region || source || document.hidden) return;
  source = new EventSource(region.dataset.live);
  source.addEventListener("overview", (event) => put(event.data));
  // Not all tabs at the same moment: what one has loaded, the others are given.
  source.addEventListener("changed", () => setTimeout(() => reload().catch(() => {}), Math.random() * 300));
  source.onopen = () => tell("Live.");
  source.onerror = () => tell("Not live: the connection is lost.");
}

function disconnect(why) {
  if (!source) return;
  source.close();
  source = null;
  tell(why);
}

// A tab that nobody sees costs nothing.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) disconnect("");
  else connect();
});
document.addEventListener("selectionchange", () => { if (region) settle(); });
document.addEventListener("focusout", () => { if (region) setTimeout(settle, 0); });
connect();

// ---- Select all on this page.

const all = $("[data-all]");
const rows = $$("[data-row]");

function count() {
  const ticked = rows.filter((row) => row.checked).length;
  if (all) {
    all.checked = ticked > 0 && ticked === rows.length;
    all.indeterminate = ticked > 0 && ticked < rows.length;
  }
  const place = $("[data-selected]");
  if (place) place.textContent = ticked + " ticked:";
}

if (all) {
  all.hidden = false;
  all.addEventListener("change", () => { rows.forEach((row) => { row.checked = all.checked; }); count(); });
  rows.forEach((row) => row.addEventListener("change", count));
  count();
}

// ---- Suggestions, as options of the field; the browser shows them.

const search = $("[data-search]");
let asked = 0;

async function suggest() {
  const typed = search.value;
  const answer = await fetch(search.dataset.search + "?" + new URLSearchParams({ q: typed }));
  if (!answer.ok || search.value !== typed) return;
  const page = new DOMParser().parseFromString("<select>" + await answer.text() + "</select>", "text/html");
  search.list.replaceChildren(...$$("option", page));
}

if (search) {
  search.addEventListener("input", () => {
    clearTimeout(asked);
    asked = setTimeout(() => suggest().catch(() => {}), 200);
  });
}

// ---- Keys: / search, j and k through rows, x tick, Enter open, r retry, g and a letter to a page, ? help.

let gone = 0;

function move(step) {
  const links = $$("main tbody tr a.id, main tbody tr th a");
  const unique = links.filter((link, n) => n === 0 || link.closest("tr") !== links[n - 1].closest("tr"));
  const row = document.activeElement && document.activeElement.closest("tbody tr");
  const at = unique.findIndex((link) => link.closest("tr") === row);
  const next = unique[Math.min(Math.max(at + step, 0), unique.length - 1)];
  if (next) next.focus();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input:not([type=checkbox]), textarea, select")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const after_g = Date.now() - gone < 1500;
  gone = 0;
  if (after_g) {
    const page = $$("[data-go]").find((link) => link.dataset.go === event.key);
    if (page) { page.click(); event.preventDefault(); }
    return;
  }
  switch (event.key) {
    case "/": if (search) search.focus(); else $("[data-go=j]").click(); break;
    case "j": move(1); break;
    case "k": move(-1); break;
    case "x": {
      const row = document.activeElement && document.activeElement.closest("tbody tr");
      const box = row && $("[data-row]", row);
      if (box) { box.checked = !box.checked; count(); }
      break;
    }
    case "r": { const button = $("[data-key=r]"); if (button && (rows.length === 0 || rows.some((row) => row.checked))) button.focus(); break; }
    case "g": gone = Date.now(); break;
    case "?": { const keys = $("[data-keys]"); keys.textContent = keys.textContent ? "" : "Keys: / search, j k rows, x tick, Enter open, r to the retry button, g and o j q i e c w k p h to a page."; break; }
    default: return;
  }
  event.preventDefault();
});
