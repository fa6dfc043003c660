// Which category is shown, which rows of it, in which order. Without this script everything is there, one below the other.
const find = (id) => document.getElementById(id);
const views = [...document.querySelectorAll(".view")];

// Which is shown stands in the address, so that it can be sent to others.
const chosen = () => {
  let name = "";
  try { name = decodeURIComponent(location.hash.slice(1)); } catch {} // no address of ours
  return views.find((view) => view.dataset.name === name)?.dataset.category;
};

const filter = () => {
  const words = (find("search").value.toLowerCase().match(/\S+/g) ?? []);
  const organization = find("organization")?.value;
  for (const row of document.querySelectorAll(".ratings tbody tr")) {
    const said = row.textContent.toLowerCase();
    const cells = [...row.cells].map((cell) => cell.textContent);
    const isWanted = !organization || cells.at(-2) === organization;
    row.hidden = !isWanted || !words.every((word) => said.includes(word));
  }
  const rows = [...document.querySelectorAll(".view:not([hidden]) .ratings tbody tr")];
  const seen = rows.filter((row) => !row.hidden).length;
  find("found").textContent = seen || !rows.length ? `${seen} of ${rows.length} models` : "No model matches.";
};

const show = () => {
  const [category, style] = [find("category")?.value ?? "0", find("style")?.value ?? "controlled"];
  const ofCategory = views.filter((view) => view.dataset.category === category);
  const wanted = ofCategory.find((view) => view.dataset.style === style) ?? ofCategory[0];
  for (const view of views) view.hidden = view !== wanted;
};

const sort = (head) => {
  const at = head.cellIndex;
  const first = head.classList.contains("number") ? "descending" : "ascending";
  const other = first === "ascending" ? "descending" : "ascending";
  const order = head.getAttribute("aria-sort") === first ? other : first;
  for (const one of head.parentElement.cells) one.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  const key = (row) => row.cells[at].dataset.sort ?? row.cells[at].textContent;
  const body = head.closest("table").tBodies[0];
  const compare = (one, two) => {
    const [a, b] = [key(one), key(two)];
    if (a === "-inf" || b === "-inf") return (a === "-inf") - (b === "-inf");
    const [x, y] = [Number(a), Number(b)];
    return sign * (Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b) : x - y);
  };
  body.append(...[...body.rows].sort(compare));
};

document.querySelector(".controls").addEventListener("submit", (event) => event.preventDefault());
document.querySelector(".controls").addEventListener("input", (event) => {
  show();
  filter();
  const name = views.find((view) => !view.hidden)?.dataset.name;
  if (event.target.id === "category") history.replaceState(null, "", `#${encodeURIComponent(name)}`);
});
const follow = () => {
  const category = chosen();
  if (category && find("category")) find("category").value = category;
  show();
  filter();
};
addEventListener("hashchange", follow);
document.addEventListener("click", (event) => {
  const button = event.target.closest("th button");
  if (button) sort(button.parentElement);
});
follow();
