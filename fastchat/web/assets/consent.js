// Asks for consent where it is missing. The dialog is modal, so the browser keeps the focus inside; Escape does not close it.
(() => {
  const { arena, root } = window.fcConsent;

  const give = async (dialog) => {
    const body = {
      arena: dialog.dataset.arena,
      version: dialog.dataset.version,
      may_publish: dialog.querySelector("[name=may_publish]")?.checked ?? false,
    };
    const answer = await fetch(`${root}api/arena/consent`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(answer.status);
  };

  const ask = async () => {
    const answer = await fetch(`${root}consent?${new URLSearchParams({ arena })}`);
    if (answer.status !== 200) return;
    const holder = document.createElement("div");
    holder.innerHTML = await answer.text();
    const dialog = holder.querySelector("dialog");
    const button = dialog.querySelector(".fc-consent-agree");
    const error = dialog.querySelector(".fc-consent-error");
    let isGiven = false;
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    // A second Escape closes whatever one prevents; then it opens again.
    dialog.addEventListener("close", () => (isGiven ? holder.remove() : dialog.showModal()));
    dialog.querySelector("form").addEventListener("submit", async (event) => {
      event.preventDefault();
      button.disabled = true;
      error.hidden = true;
      try {
        await give(dialog);
        isGiven = true;
        dialog.close();
      } catch {
        error.textContent = dialog.dataset.failed;
        error.hidden = false;
        button.disabled = false;
      }
    });
    document.body.append(holder);
    dialog.showModal();
  };

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", ask);
  else ask();
})();
