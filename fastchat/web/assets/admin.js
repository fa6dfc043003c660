// The admins' page over `/api/arena/admin`. What comes from the server becomes text, never markup.
const API = `${document.body.dataset.root}/api/arena`;
const LOOK_MS = 2000;
const $ = (id) => document.getElementById(id);
const arena = () => $("arena").value;

const call = async (method, path, body) => {
  const answer = await fetch(API + path, {
    method,
    headers: body === undefined ? {} : { "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (answer.status === 401) location.reload(); // the session is over: the server leads to the login
  if (!answer.ok) throw new Error((await answer.json()).error.message);
  return answer.status === 204 ? null : answer.json();
};

const tell = (words) => {
  $("trouble").textContent = words;
  $("trouble").hidden = !words;
};

const attempt = async (work) => {
  try {
    await work();
    tell("");
  } catch (error) {
    tell(error instanceof TypeError ? "The server does not answer." : error.message);
  }
};

const make = (tag, content = "", attributes = {}) => {
  const element = document.createElement(tag);
  element.append(...[content].flat());
  for (const [name, value] of Object.entries(attributes)) element[name] = value;
  return element;
};

const fill = (id, rows, empty) => {
  const table = $(id);
  const none = make("td", empty, { colSpan: table.tHead.rows[0].cells.length, className: "empty" });
  table.tBodies[0].replaceChildren(...(rows.length ? rows : [make("tr", none)]));
};

const row = (...cells) => make("tr", cells.map((cell) => (cell instanceof HTMLElement && /^T[DH]$/.test(cell.tagName) ? cell : make("td", cell))));
const when = (seconds) => new Date(seconds * 1000).toLocaleString();
const number = (value) => Math.round(value * 1000) / 1000;

// Models

const field = (label, value, step, least) => make("input", "", { type: "number", ariaLabel: label, value: value ?? "", step, min: least });
const choice = (label, value) => {
  const options = { "": "–", true: "yes", false: "no" }; // the first: left to the configuration
  const select = make("select", Object.entries(options).map(([key, text]) => make("option", text, { value: key })), { ariaLabel: label });
  select.value = value === null ? "" : `${value}`;
  return select;
};
const numberOf = (input) => (input.value === "" ? null : Number(input.value));
const stateOf = (select) => (select.value === "" ? null : select.value === "true");

const modelRow = (model) => {
  const set = model.settings;
  const of = (what) => `${what} of ${model.name}`;
  const weight = field(of("Weight"), set.weight, "any", 0);
  const boost = field(of("Boost"), set.boost, "any", 0);
  const until = field(of("Boost ends after votes"), set.boost_until_votes, 1, 1);
  const out = choice(of("Outage"), set.is_out);
  const anonymous = choice(of("Not listed"), set.is_anonymous);
  const hidden = choice(of("Hidden"), set.is_hidden);
  const save = make("button", "Save", { type: "button", ariaLabel: of("Save settings"), disabled: true });
  const inputs = [weight, boost, until, out, anonymous, hidden];
  for (const input of inputs) input.addEventListener("input", () => (save.disabled = !inputs.every((one) => one.checkValidity())));
  save.addEventListener("click", () =>
    attempt(async () => {
      await call("PUT", `/admin/models/${encodeURIComponent(model.name)}?${new URLSearchParams({ arena: arena() })}`, {
        weight: numberOf(weight),
        boost: numberOf(boost),
        boost_until_votes: numberOf(until),
        is_out: stateOf(out),
        is_anonymous: stateOf(anonymous),
        is_hidden: stateOf(hidden),
      });
      await Promise.all([showModels(), showActions()]);
    }),
  );
  const name = make("th", model.is_served ? model.name : `${model.name} (not running)`, { scope: "row" });
  const line = row(name, `${model.votes}`, model.is_drawn ? `${number(model.weight)}` : "never", weight, boost, until, out, anonymous, hidden, save);
  line.className = model.is_served ? "" : "gone";
  return line;
};

const showModels = async () => {
  const models = await call("GET", `/admin/models?${new URLSearchParams({ arena: arena() })}`);
  fill("models", models.map(modelRow), "No model is running.");
};

// What happens

const showLive = async () => {
  const battles = (await call("GET", "/admin/battles")).filter((one) => one.arena === arena());
  $("live-count").textContent = `${battles.length}`;
  const rows = battles.map((one) => row(when(one.asked_at), one.arena, one.mode, one.models.join(" · "), `${one.turns}`, one.letters.join(" · "), `${one.followers}`));
  fill("live", rows, "Nothing at the moment.");
};

const OUTCOMES = { leftvote: "left", rightvote: "right", tievote: "tie", bothbad_vote: "both bad" };

const showVotes = async () => {
  const votes = (await call("GET", "/admin/votes?limit=200")).filter((one) => one.arena === arena()).slice(0, 50);
  const rows = votes.map((one) => row(when(one.cast_at), one.arena, one.mode, one.model_a, one.model_b, OUTCOMES[one.outcome], one.marks.join(", ")));
  fill("votes", rows, "There are no votes yet.");
};

const read = async (id) => {
  const found = await call("GET", `/admin/conversations/${id}`);
  const parts = found.turns.flatMap((turn) => [
    make("h3", "Question"),
    make("div", turn.question.map((part) => part.text ?? `[${part.type}]`).join("\n\n")),
    ...turn.answers.flatMap((answer) => [make("h3", `Answer ${answer.side}: ${answer.model ?? ""}`), make("div", answer.text || answer.failure)]),
  ]);
  $("reading-text").replaceChildren(...parts);
  $("reading").showModal();
};

const flagRow = (flag) => {
  const open = make("button", "Read", { type: "button", ariaLabel: `Read conversation ${flag.conversation_id}` });
  open.addEventListener("click", () => attempt(() => read(flag.conversation_id)));
  const done = make("button", "Reviewed", { type: "button", ariaLabel: `Note as reviewed: ${flag.conversation_id}` });
  done.addEventListener("click", () =>
    attempt(async () => {
      await call("POST", `/admin/flags/${flag.judgement_id}/review`);
      await Promise.all([showFlags(), showActions()]);
    }),
  );
  const what = flag.role === "user" ? "question" : "answer";
  return row(when(flag.judged_at), what, flag.moderator, JSON.stringify(flag.categories), open, flag.reviewed_by ?? done);
};

const showFlags = async () => {
  const query = new URLSearchParams({ arena: arena(), is_reviewed: $("reviewed").checked });
  const flags = await call("GET", `/admin/flags?${query}`);
  fill("flags", flags.map(flagRow), "Nothing was flagged.");
};

const showActions = async () => {
  const actions = await call("GET", "/admin/actions");
  const rows = actions.map((one) => row(when(one.done_at), one.login, one.action, one.subject, JSON.stringify(one.details)));
  fill("actions", rows, "Nothing yet.");
};

// The store

const showStorage = async () => {
  const kept = await call("GET", "/admin/storage");
  const head = kept.head;
  const facts = {
    Votes: kept.votes,
    Conversations: `${kept.conversations}, of which ${kept.erased} are erased`,
    Messages: kept.messages,
    Voters: kept.voters,
    "Newest signed head": head ? `${head.tree_size} votes, ${when(head.signed_at)}` : "none",
    "Its root": head?.root_hash ?? "–",
    "Id of the log": head?.log_id ?? "–",
  };
  $("storage").replaceChildren(...Object.entries(facts).flatMap(([name, value]) => [make("dt", name), make("dd", `${value}`)]));
};

$("audit").addEventListener("click", () =>
  attempt(async () => {
    $("audit").disabled = true;
    $("audit-told").textContent = "Reading the whole log …";
    try {
      const verdict = await call("POST", "/admin/audit");
      $("audit-told").textContent = verdict.is_valid
        ? `The log is as it was signed: ${verdict.votes} votes, ${verdict.heads} heads.`
        : `The log is not as it was signed. ${verdict.problems.join(" ")}`;
    } catch (error) {
      $("audit-told").textContent = "";
      throw error;
    } finally {
      $("audit").disabled = false;
    }
    await showActions();
  }),
);

// From the beginning

const showAll = () => attempt(() => Promise.all([showModels(), showLive(), showVotes(), showFlags(), showActions(), showStorage()]));

const look = async () => {
  if (!document.hidden) await attempt(() => Promise.all([showLive(), showVotes()]));
  setTimeout(look, LOOK_MS);
};

$("arena").addEventListener("change", showAll);
$("reviewed").addEventListener("change", () => attempt(showFlags));
attempt(async () => {
  const arenas = await call("GET", "/arenas");
  $("arena").replaceChildren(...arenas.map((one) => make("option", one.name, { value: one.name })));
  await showAll();
  setTimeout(look, LOOK_MS);
});
