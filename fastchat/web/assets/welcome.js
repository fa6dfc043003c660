// An example asks itself, in the words that it shows; a question of the arena's own is drawn by the server.
element.addEventListener("click", (event) => {
  const example = event.target.closest(".fc-example");
  if (!example) return;
  if (example.matches(".fc-draw")) trigger("select", { draws: true });
  else trigger("select", { question: example.querySelector("span").textContent });
});
