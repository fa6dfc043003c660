// What Gradio's components leave out, mostly for people who do not use a mouse or cannot see the page.
(() => {
  const mends = {
    // A <div> without a role may not carry a name; screen readers that honour it read Markdown source aloud.
    '[data-testid="bot"][aria-label], [data-testid="user"][aria-label]': (message) => message.removeAttribute("aria-label"),
    // The arrow beside folded reasoning is a nameless button inside the button that it belongs to.
    ".thought-group .arrow:not([inert])": (arrow) => {
      arrow.inert = true;
      arrow.ariaHidden = "true";
    },
    // The same arrow on "Parameters" would be read as part of its name; that it is open is told by nobody else.
    ".label-wrap .icon:not([aria-hidden])": (icon) => icon.setAttribute("aria-hidden", "true"),
    ".label-wrap, .thought-group .title": (title) => {
      const isOpen = title.matches(".open, .expanded");
      if (title.ariaExpanded !== String(isOpen)) title.ariaExpanded = isOpen;
    },
    // A list may hold only list items.
    '.examples[role="list"]': (examples) => {
      examples.setAttribute("role", "group");
      examples.setAttribute("aria-label", "Examples");
    },
    // Code that is wider than the page has to be reachable for the arrow keys.
    "pre:not([tabindex])": (code) => {
      if (code.scrollWidth > code.clientWidth) code.tabIndex = 0;
    },
  };
  const mend = () => {
    for (const [selector, change] of Object.entries(mends)) document.querySelectorAll(selector).forEach(change);
  };
  new MutationObserver(mend).observe(document, { childList: true, subtree: true, attributeFilter: ["aria-label", "class"] });

  // The log follows an answer only from its end; whoever asks from further up wants to be taken there.
  window.fcShowEnd = () => {
    const log = document.querySelector("#fc-log .bubble-wrap");
    requestAnimationFrame(() => log?.scrollTo(0, log.scrollHeight));
  };
})();
