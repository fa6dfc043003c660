// The leaderboard's tables: fetched when they come into sight, filtered and sorted here; charts when they are unfolded.
// `element` is Gradio's.
const place = element.querySelector(".fc-board-place");

const EVERY_MS = 800;
const address = (what, query) =>
  `${place.dataset.root}leaderboard/${what}?${new URLSearchParams({ arena: place.dataset.arena, ...query })}`;
let version = "";
let sorted = null; // column and order that were chosen
const unfolded = new Map(); // of panels that somebody opened or closed

const load = async (query = {}) => {
  try {
    const answer = await fetch(address("table", query));
    if (!answer.ok) throw new Error(answer.status);
    const focused = document.activeElement?.name;
    place.innerHTML = await answer.text();
    version = answer.headers.get("etag");
    sorted = null;
    if (focused) place.querySelector(`select[name="${CSS.escape(focused)}"]`)?.focus();
    root(place);
    for (const panel of panels()) {
      panel.open = unfolded.get(panel.dataset.panel) ?? panel.open;
      unfolded.set(panel.dataset.panel, panel.open); // before its event says so
    }
    count();
    await draw();
  } catch {
    place.innerHTML = `<p class="fc-board-empty" role="alert"></p>`;
    place.firstChild.textContent = place.dataset.failed;
  }
};

// Links of ours lead from where the server's paths begin.
const root = (from) => {
  for (const link of from.querySelectorAll("a[download]")) link.href = place.dataset.root + link.getAttribute("href");
};

const panels = () => [...place.querySelectorAll("[data-panel]")];

const draw = () => Promise.all(panels().filter((panel) => panel.open && panel.dataset.chart).map(drawn));

const drawn = async (panel) => {
  const inside = panel.querySelector(".fc-board-inside");
  try {
    const answer = await fetch(address("chart", { ...chosen(), chart: panel.dataset.chart }));
    if (!answer.ok) throw new Error(answer.status);
    inside.innerHTML = await answer.text();
  } catch {
    inside.textContent = place.dataset.failed;
  }
};

// After somebody's vote the numbers change in place: what was typed, sorted, scrolled and unfolded stays as it is.
const follow = async () => {
  const section = place.querySelector("[data-live]");
  if (isSeen && !document.hidden && section) await refresh(section);
  setTimeout(follow, EVERY_MS);
};

const refresh = async (section) => {
  let fresh;
  try {
    const answer = await fetch(address("table", chosen()), { cache: "no-store", headers: { "if-none-match": version } });
    if (answer.status !== 200 || !section.isConnected) return;
    version = answer.headers.get("etag");
    fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    root(fresh);
  } catch {
    return;
  }
  if (frame(section) !== frame(fresh)) return load(chosen()); // the first vote of all, another column or panel
  for (const part of [".fc-board-notes", ".fc-board-main tbody"]) {
    section.querySelector(part)?.replaceWith(fresh.querySelector(part));
  }
  for (const panel of panels().filter((panel) => !panel.dataset.chart)) {
    const is = fresh.querySelector(`[data-panel="${panel.dataset.panel}"] .fc-board-inside`);
    panel.querySelector(".fc-board-inside").replaceWith(is);
  }
  section.querySelector(".fc-board-count").dataset.count = fresh.querySelector(".fc-board-count").dataset.count;
  if (sorted) arrange(section.querySelector(".fc-board-main thead tr").cells[sorted.at], sorted.order);
  filter(section.querySelector("input[type=search]").value);
  await draw();
};

// What does not change from vote to vote: columns, choices, panels.
const frame = (section) =>
  [...section.querySelectorAll(".fc-board-main thead th, option, summary")].map((one) => one.textContent).join("\n");

const chosen = () => {
  const selects = [...place.querySelectorAll("select")];
  return Object.fromEntries(selects.map((select) => [select.name, select.value]));
};

const count = () => {
  const told = place.querySelector(".fc-board-count");
  const rows = [...place.querySelectorAll(".fc-board-main tbody tr")];
  if (told) told.textContent = rows.length ? told.dataset.count.replace("#", rows.filter((row) => !row.hidden).length) : "";
};

const filter = (text) => {
  const wanted = text.toLowerCase().split(/\s+/).filter(Boolean);
  for (const row of place.querySelectorAll(".fc-board-main tbody tr")) {
    const said = row.textContent.toLowerCase();
    row.hidden = !wanted.every((word) => said.includes(word));
  }
  count();
};

const sort = (head) => {
  const first = head.classList.contains("fc-number") ? "descending" : "ascending";
  const other = first === "ascending" ? "descending" : "ascending";
  arrange(head, head.ariaSort === first ? other : first);
};

const arrange = (head, order) => {
  const at = head.cellIndex;
  sorted = { at, order };
  for (const one of head.parentElement.cells) one.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  const key = (row) => row.cells[at].dataset.sort ?? row.cells[at].textContent;
  const compare = (one, two) => {
    const [a, b] = [key(one), key(two)];
    const [x, y] = [Number(a), Number(b)];
    if (a === "-inf" || b === "-inf") return (a === "-inf") - (b === "-inf"); // unknown: last, whichever way
    return sign * (Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b) : x - y);
  };
  const body = head.closest("table").tBodies[0];
  body.append(...[...body.rows].sort(compare));
};

element.addEventListener("input", (event) => {
  if (event.target.type === "search") filter(event.target.value);
});
element.addEventListener("change", (event) => {
  if (event.target.matches("select")) load(event.target.name === "table" ? { table: event.target.value } : chosen());
});
element.addEventListener("toggle", (event) => {
  const panel = event.target;
  if (unfolded.get(panel.dataset.panel) === panel.open) return;
  unfolded.set(panel.dataset.panel, panel.open);
  if (panel.open && panel.dataset.chart) drawn(panel);
}, true); // it does not bubble
element.addEventListener("click", (event) => {
  const button = event.target.closest(".fc-board-main th button");
  if (button) sort(button.parentElement);
});
// Whoever comes back to the tab sees the numbers of that moment, in the table they had chosen.
let isSeen = false;
new IntersectionObserver((entries) => {
  isSeen = entries.at(-1).isIntersecting;
  if (isSeen) load(chosen());
}).observe(element);
setTimeout(follow, EVERY_MS);
