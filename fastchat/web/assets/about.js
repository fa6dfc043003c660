// The text about this arena, fetched when it comes into sight, and what one can do with one's data. `element` is Gradio's.
const place = element.querySelector(".fc-about-place");
const { arena, root, failed } = place.dataset;

const load = async () => {
  try {
    const answer = await fetch(`${root}about?${new URLSearchParams({ arena, root })}`);
    if (!answer.ok) throw new Error(answer.status);
    place.innerHTML = await answer.text();
    if (sessionStorage.getItem("fc-erased")) {
      sessionStorage.removeItem("fc-erased");
      const told = place.querySelector(".fc-about-told");
      told.textContent = told.dataset.done;
    }
  } catch {
    place.innerHTML = `<p class="fc-board-empty" role="alert"></p>`;
    place.firstChild.textContent = failed;
  }
};

const erase = async () => {
  const told = place.querySelector(".fc-about-told");
  try {
    const answer = await fetch(`${root}api/arena/me`, { method: "DELETE" });
    if (!answer.ok) throw new Error(answer.status);
  } catch {
    told.textContent = told.dataset.failed;
    return;
  }
  // The list beside us and the views still show what is gone; the page begins again, and then says that it is done.
  sessionStorage.setItem("fc-erased", "1");
  location.reload();
};

element.addEventListener("click", (event) => {
  if (!event.target.closest(".fc-about-delete")) return;
  const dialog = place.querySelector("dialog");
  dialog.onclose = () => dialog.returnValue === "delete" && erase();
  dialog.returnValue = "";
  dialog.showModal();
});
const watcher = new IntersectionObserver((entries) => {
  if (!entries.some((entry) => entry.isIntersecting)) return;
  watcher.disconnect();
  load();
});
watcher.observe(element);
