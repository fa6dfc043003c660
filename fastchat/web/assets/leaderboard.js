// The leaderboard's tables: fetched when they come into sight, filtered and sorted here. `element` is Gradio's.
const place = element.querySelector(".fc-board-place");

const EVERY_MS = 1500;
const address = (query) =>
  `${place.dataset.root}leaderboard/table?${new URLSearchParams({ arena: place.dataset.arena, ...query })}`;
let version = "";
let sorted = null; // column and order that were chosen

const load = async (query = {}) => {
  try {
    const answer = await fetch(address(query));
    if (!answer.ok) throw new Error(answer.status);
    const focused = document.activeElement?.name;
    place.innerHTML = await answer.text();
    version = answer.headers.get("etag");
    sorted = null;
    if (focused) place.querySelector(`select[name="${CSS.escape(focused)}"]`)?.focus();
    count();
  } catch {
    place.innerHTML = `<p class="fc-board-empty" role="alert"></p>`;
    place.firstChild.textContent = place.dataset.failed;
  }
};

// After somebody's vote the numbers change in place: what was typed, sorted and scrolled stays as it is.
const follow = async () => {
  const section = place.querySelector("[data-live]");
  if (!isSeen || document.hidden || !section) return;
  let fresh;
  try {
    const answer = await fetch(address(chosen()), { cache: "no-store", headers: { "if-none-match": version } });
    if (answer.status !== 200 || !section.isConnected) return;
    version = answer.headers.get("etag");
    fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  } catch {
    return;
  }
  for (const part of [".fc-board-notes", "tbody"]) {
    const [was, is] = [section.querySelector(part), fresh.querySelector(part)];
    if (!was || !is) return load(chosen()); // the first vote of all
    was.replaceWith(is);
  }
  section.querySelector(".fc-board-count").dataset.text = fresh.querySelector(".fc-board-count").dataset.text;
  if (sorted) arrange(section.querySelector("thead tr").cells[sorted.at], sorted.order);
  filter(section.querySelector("input[type=search]").value);
};

const chosen = () => {
  const selects = [...place.querySelectorAll("select")];
  return Object.fromEntries(selects.map((select) => [select.name, select.value]));
};

const count = () => {
  const told = place.querySelector(".fc-board-count");
  const rows = [...place.querySelectorAll("tbody tr")];
  if (told) told.textContent = rows.length ? told.dataset.text.replace("#", rows.filter((row) => !row.hidden).length) : "";
};

const filter = (text) => {
  const wanted = text.toLowerCase().split(/\s+/).filter(Boolean);
  for (const row of place.querySelectorAll("tbody tr")) {
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
element.addEventListener("click", (event) => {
  const button = event.target.closest("th button");
  if (button) sort(button.parentElement);
});
// Whoever comes back to the tab sees the numbers of that moment, in the table they had chosen.
let isSeen = false;
new IntersectionObserver((entries) => {
  isSeen = entries.at(-1).isIntersecting;
  if (isSeen) load(chosen());
}).observe(element);
setInterval(follow, EVERY_MS);
