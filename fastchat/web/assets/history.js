// Rename and delete; opening is the page's own matter, see page.js.
const itemOf = (event) => event.target.closest("li[data-id]");

element.addEventListener("click", (event) => {
  const item = itemOf(event);
  if (!item) return;
  if (event.target.closest(".fc-delete")) {
    if (confirm(`${item.querySelector("a").textContent}\n\n${window.fcTexts.strings.delete_sure}`)) {
      trigger("delete", { id: item.dataset.id });
      window.fcForget(item.dataset.view, item.dataset.id);
    }
  } else if (event.target.closest(".fc-rename")) rename(item);
});

const rename = (item) => {
  const link = item.querySelector("a");
  const field = document.createElement("input");
  field.value = link.textContent;
  field.maxLength = 200;
  field.setAttribute("aria-label", window.fcTexts.strings.title);
  link.replaceWith(field);
  field.focus();
  field.select();
  let isDone = false;
  const finish = (isMeant) => {
    if (isDone) return;
    isDone = true;
    const title = field.value.trim();
    field.replaceWith(link);
    if (isMeant && title && title !== link.textContent) trigger("edit", { id: item.dataset.id, title });
    else link.focus();
  };
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter") finish(true);
    if (event.key === "Escape") finish(false);
  });
  field.addEventListener("blur", () => finish(true));
};
