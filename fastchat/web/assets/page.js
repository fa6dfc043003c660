// What Gradio's components leave out: the address, the keyboard, and much for people who cannot see the page.
(() => {
  const LEGACY = { arena: "battle", vision: "battle", compare: "side_by_side", direct: "direct", model: "direct" };
  const find = (selector) => document.querySelector(selector);
  const part = (view, name) => find(`#fc-${view}-${name}`);
  const say = (key) => window.fcTexts.strings[key]; // in the reader's language; the server has put them into the page

  // --- Where we are: the view, and the conversation that is open in it. The address says both, so that a reload,
  // a bookmark and the browser's arrows lead back.
  const places = {};
  let views = [];
  let active = "";

  const wanted = () => {
    const query = new URLSearchParams(location.search);
    const legacy = Object.keys(LEGACY).find((name) => query.has(name));
    const view = query.get("view") ?? LEGACY[legacy] ?? [...query.keys()].find((name) => views.includes(name));
    return { view: views.includes(view) ? view : views[0], place: query.get("c") ?? "" };
  };
  const addressOf = (view, place) => {
    const query = new URLSearchParams(location.search);
    for (const name of [...Object.keys(LEGACY), ...views, "view", "c"]) query.delete(name);
    if (view !== views[0] || place) query.set("view", view);
    if (place) query.set("c", place);
    return query.size ? `?${query}` : location.pathname;
  };
  const markCurrent = () => {
    for (const link of document.querySelectorAll("#fc-history a")) {
      const isCurrent = link.closest("li").dataset.id === places[active];
      if (isCurrent) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  };
  const refresh = () => part(active, "refresh")?.click();
  const show = (view) => {
    if (view !== active) find(`#fc-tab-${view}-button`)?.click();
    active = view;
  };
  const go = ({ view, place }) => {
    show(view);
    if ((places[view] ?? "") === place) return;
    places[view] = place;
    requestAnimationFrame(() => part(view, "open")?.click());
  };

  window.fcStart = (slugs, everyS) => {
    views = slugs;
    active = views[0];
    go(wanted());
    restoreDraft();
    look().then(refresh);
    showAccount();
    if (everyS) setInterval(look, everyS * 1000);
  };
  window.fcShown = (view) => {
    // Gradio says so of its first tab as well, before the address has been read.
    if (!views.length || find(`#fc-tab-${view}-button`)?.ariaSelected !== "true") return;
    active = view;
    showTab();
    history.replaceState(null, "", addressOf(view, places[view] ?? ""));
    markCurrent();
    refresh();
  };
  // On a phone not all tabs fit.
  const showTab = () => {
    const tab = find(`#fc-tab-${active}-button`);
    const bar = tab?.closest(".tab-container");
    if (bar) bar.scrollLeft += tab.getBoundingClientRect().left - bar.getBoundingClientRect().left - (bar.clientWidth - tab.offsetWidth) / 2;
  };
  addEventListener("resize", showTab);
  window.fcPlace = () => wanted().place;
  window.fcMoved = (id, place) => {
    const view = id.replace(/^fc-|-place$/g, "");
    if ((places[view] ?? "") === place) return markCurrent();
    places[view] = place;
    if (view === active) history.pushState(null, "", addressOf(view, place));
    markCurrent();
  };
  window.fcForget = (view, place) => {
    if (places[view] === place) part(view, "new")?.click();
  };
  addEventListener("popstate", () => go(wanted()));
  addEventListener("click", (event) => {
    const link = event.target.closest?.("#fc-history a");
    if (link && !event.metaKey && !event.ctrlKey && !event.shiftKey) {
      event.preventDefault();
      const { id, view } = link.closest("li").dataset;
      history.pushState(null, "", addressOf(view, id));
      go({ view, place: id });
      if (innerWidth < 1024) setSide(false);
    } else if (event.target.closest?.("#fc-side-toggle")) setSide(!isSideOpen());
    else if (innerWidth < 1024 && isSideOpen() && !event.target.closest?.("#fc-side")) setSide(false);
  });

  // --- Which models there are. The answer is a few bytes; only a change costs more. A server that was restarted has
  // forgotten what this page had open, so the page begins again from its address.
  let known = [];
  const look = async () => {
    if (document.hidden) return;
    let said;
    try {
      const reply = await fetch("models-version", { cache: "no-store" });
      if (!reply.ok) return;
      said = (await reply.text()).split(" ");
    } catch {
      return;
    }
    if (known.length && said[0] !== known[0]) {
      keepDraft();
      return location.reload();
    }
    if (known.length && said[1] !== known[1]) refresh();
    known = said;
  };
  const box = (view) => part(view, "composer")?.querySelector("textarea");
  const keepDraft = () => sessionStorage.setItem("fc-draft", box(active)?.value ?? "");
  const restoreDraft = () => {
    const draft = sessionStorage.getItem("fc-draft");
    sessionStorage.removeItem("fc-draft");
    if (!draft || !box(active)) return;
    box(active).value = draft;
    box(active).dispatchEvent(new Event("input", { bubbles: true }));
  };

  // --- Who is signed in, where there are logins. The way in and out is a page of its own.
  const showAccount = async () => {
    const reply = await fetch("whoami", { cache: "no-store" }).catch(() => null);
    const place = find("#fc-account");
    if (!reply?.ok || !place) return;
    const { name, is_admin: isAdmin, has_logins: hasLogins, root } = await reply.json();
    if (!hasLogins) return;
    const link = (path, text) => Object.assign(document.createElement("a"), { href: root + path, textContent: text });
    if (name === null) place.append(link(`/login?next=${encodeURIComponent(location.pathname)}`, say("sign_in")));
    else {
      const leave = Object.assign(document.createElement("form"), { method: "post", action: `${root}/logout` });
      leave.append(Object.assign(document.createElement("button"), { textContent: say("sign_out") }));
      place.append(Object.assign(document.createElement("span"), { textContent: name }));
      if (isAdmin) place.append(link("/admin", "Admin"));
      place.append(leave);
    }
    place.hidden = false;
  };

  // --- The list of conversations
  const isSideOpen = () => document.documentElement.classList.contains("fc-side-open");
  const setSide = (isOpen) => {
    document.documentElement.classList.toggle("fc-side-open", isOpen);
    find("#fc-side-toggle")?.setAttribute("aria-expanded", isOpen);
    if (innerWidth >= 1024) localStorage.setItem("fc-side", isOpen ? "open" : "closed");
  };
  setSide(innerWidth >= 1024 && (localStorage.getItem("fc-side") ?? "open") === "open");

  // --- Keys: 1 to 4 vote, n begins anew, / leads to the box. Not while somebody writes.
  const isField = (node) =>
    node?.isContentEditable || node?.matches?.("textarea, select, input:not([type=checkbox], [type=range], [type=radio])");
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.repeat) return;
    if (isField(event.target)) return;
    if (/^[1-4]$/.test(event.key)) part(active, `vote-${event.key}`)?.click();
    else if (event.key === "n") part(active, "new")?.click();
    else if (event.key === "/") box(active)?.focus();
    else return;
    event.preventDefault();
  });

  // --- Mending
  const name = (selector, key) => [
    `${selector}:not([aria-label="${CSS.escape(say(key))}"])`,
    (node) => node.setAttribute("aria-label", say(key)),
  ];
  const mends = Object.fromEntries([
    ["[data-text]:empty", (node) => node.append(say(node.dataset.text))],
    ["[data-name]:not([aria-label])", (node) => node.setAttribute("aria-label", say(node.dataset.name))],
    name('.fc-1 .fc-log [role="log"]', "chat"),
    name('.fc-2 .fc-left .fc-log [role="log"]', "chat_a"),
    name('.fc-2 .fc-right .fc-log [role="log"]', "chat_b"),
    name('.fc-composer [role="group"][aria-label]', "message"),
    name(".fc-composer textarea", "message"),
    name(".fc-composer .submit-button", "send"),
    name(".fc-composer .stop-button", "stop"),
    name(".fc-composer .upload-button", "attach"),
    name(".fc-composer .delete-button", "remove"),
    name(".copy_code_button", "copy"),
    name(".fc-parameters .reset-button", "reset"),
    // A name for the style sheet that is the same in all languages.
    [`.message-buttons .icon-button[aria-label="${CSS.escape(say("regenerate"))}"]:not(.fc-again)`, (again) => {
      again.classList.add("fc-again");
    }],
    // Gradio says these in English whatever the language. (Setting a name to what it is would call us again, for ever.)
    ...[["Liked", say("liked")], ["Disliked", say("disliked")]].filter(([theirs, ours]) => theirs !== ours).map(
      ([theirs, ours]) => [`.message-buttons [aria-label="${theirs}"]`, (thumb) => {
        thumb.setAttribute("aria-label", ours);
        thumb.title = ours;
      }],
    ),
    // A reason's hint is the value that is kept, in English; its label says the same in the reader's language.
    [".fc-reasons input[title]", (reason) => reason.removeAttribute("title")],
    // "number input for Temperature": what it is, is told by its role.
    ['.fc-parameters input[aria-label*=" for "]', (input) => {
      input.setAttribute("aria-label", input.getAttribute("aria-label").replace(/^.* for /, ""));
    }],
    // A <div> without a role may not carry a name; screen readers that honour it read Markdown source aloud.
    ['[data-testid="bot"][aria-label], [data-testid="user"][aria-label]', (message) => message.removeAttribute("aria-label")],
    // The arrow beside folded reasoning is a nameless button inside the button that it belongs to.
    [".thought-group .arrow:not([inert])", (arrow) => {
      arrow.inert = true;
      arrow.ariaHidden = "true";
    }],
    // The same arrow on "Parameters" would be read as part of its name; that it is open is told by nobody else.
    [".label-wrap .icon:not([aria-hidden])", (icon) => icon.setAttribute("aria-hidden", "true")],
    [".label-wrap, .thought-group .title", (title) => {
      const isOpen = title.matches(".open, .expanded");
      if (title.ariaExpanded !== String(isOpen)) title.ariaExpanded = isOpen;
    }],
    // Code that is wider than the page has to be reachable for the arrow keys.
    ["pre:not([tabindex])", (code) => {
      if (code.scrollWidth > code.clientWidth) code.tabIndex = 0;
    }],
    // Whoever has just asked sits in the empty box, where the keys of a vote would be letters.
    [".fc-ballot:not([data-seen])", (ballot) => {
      ballot.dataset.seen = "";
      ballot.setAttribute("role", "group");
      ballot.setAttribute("aria-label", say("vote"));
      const writing = box(active);
      if (document.activeElement === writing && !writing.value) writing.blur();
    }],
    // The tabs begin behind the logo, whose width nobody knows before it is there.
    [".fc-brand img:not([data-seen])", (logo) => {
      logo.dataset.seen = "";
      new ResizeObserver(() => {
        if (logo.offsetWidth) document.documentElement.style.setProperty("--fc-logo", `${logo.offsetWidth}px`);
      }).observe(logo);
    }],
    ["#fc-history li:not([data-seen])", (item) => {
      item.dataset.seen = "";
      markCurrent();
    }],
  ]);
  const mend = () => {
    for (const [selector, change] of Object.entries(mends)) document.querySelectorAll(selector).forEach(change);
  };
  new MutationObserver(mend).observe(document, { childList: true, subtree: true, attributeFilter: ["aria-label", "class"] });

  // The log follows an answer only from its end; whoever asks from further up wants to be taken there.
  window.fcShowEnd = (id) => {
    const view = id.replace(/^fc-|-place$/g, "");
    requestAnimationFrame(() => {
      for (const log of document.querySelectorAll(`#fc-tab-${view} .fc-log .bubble-wrap`)) log.scrollTo(0, log.scrollHeight);
    });
  };
  window.fcCopyLink = () => {
    requestAnimationFrame(async () => {
      const link = find(`#fc-tab-${active} .fc-shared`);
      if (!link) return;
      link.textContent = link.href;
      try {
        await navigator.clipboard.writeText(link.href);
        link.insertAdjacentHTML("afterend", ' <span class="fc-copied"></span>');
        link.nextElementSibling.textContent = say("link_copied");
      } catch {} // over plain HTTP browsers forbid it; the link is there to be copied
    });
  };
})();
