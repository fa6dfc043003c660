// Grading by the keyboard. Without this script the form works as forms do.
const form = document.querySelector("form.grade");
const go = (id) => document.getElementById(id)?.click();

addEventListener("keydown", (event) => {
  const isWriting = event.target.matches("textarea");
  if (form && event.key === "Enter" && (isWriting ? event.ctrlKey || event.metaKey : !event.target.matches("a, button, summary"))) {
    event.preventDefault();
    form.requestSubmit();
  }
  if (isWriting || event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key.toLowerCase();
  const choice = form?.querySelector(`[data-key="${CSS.escape(key)}"]`);
  if (choice) {
    choice.checked = true;
    choice.focus({ preventScroll: true });
  } else if (key === "n") go("next");
  else if (key === "p") go("previous");
  else if (key === "u") go("ungraded");
});
