// Which questions, and whose answers, are shown. Without this script everything is there, one below the other.
const find = (id) => document.getElementById(id);
const rows = [...document.querySelectorAll("#questions > li")];
const parts = [...document.querySelectorAll("main [data-models]")];
const modelsOf = (element) => element.dataset.models.split(" ");

const chooseQuestions = () => {
  const words = find("search").value.toLowerCase().match(/\S+/g) ?? [];
  const [category, model] = [find("category")?.value ?? "", find("model").value];
  for (const row of rows) {
    const said = row.querySelector("a").textContent + " " + row.querySelector(".beginning").textContent;
    const isWanted = (!category || row.dataset.category === category) && (!model || modelsOf(row).includes(model));
    row.hidden = !isWanted || !words.every((word) => said.toLowerCase().includes(word));
    row.querySelector("a").hash = model && `model=${model}`;
    for (const tag of row.querySelectorAll(".tag")) {
      tag.hidden = model !== "" && tag.dataset.model !== model;
      tag.classList.toggle("chosen", tag.dataset.model === model);
    }
  }
  const seen = rows.filter((row) => !row.hidden).length;
  find("found").textContent = seen || !rows.length ? `${seen} of ${rows.length} questions` : "No question matches.";
};

// An answer is shown if its model is chosen, a pair if both are; with one chosen, all pairs of it.
const chooseAnswers = () => {
  const chosen = [find("model").value, find("other").value].filter((value) => value);
  for (const part of parts) {
    const own = modelsOf(part);
    const isWanted = own.length > 1 ? chosen.every((one) => own.includes(one)) : chosen.includes(own[0]);
    part.hidden = chosen.length > 0 && !isWanted;
  }
  const hash = chosen.map((one) => `model=${one}`).join("&");
  history.replaceState(null, "", `#${hash}`);
  for (const link of document.querySelectorAll("nav a")) link.hash = hash;
};

// What was chosen stands in the address, and goes along to the next page.
const follow = () => {
  const given = new URLSearchParams(location.hash.slice(1)).getAll("model");
  for (const [at, id] of ["model", "other"].entries()) {
    const field = find(id);
    if (field) field.value = [...field.options].some((one) => one.value === given[at]) ? given[at] : "";
  }
};

const controls = document.querySelector(".controls");
if (controls) {
  const choose = find("search") ? chooseQuestions : chooseAnswers;
  controls.addEventListener("submit", (event) => event.preventDefault());
  controls.addEventListener("input", choose);
  addEventListener("hashchange", () => {
    if (!location.hash.includes("model=")) return; // a place on this page
    follow();
    choose();
  });
  follow();
  choose();
}
