// The page: what the address asks for, the list, keys.

const LABELS = {
  experiment: "Experiment", split: "Split", level: "Level", source: "Source", iteration: "Iteration", stage: "Drawn for", suite: "Suite",
  decoding: "Decoding", verdict: "Verdict", reason: "Reason", fate: "Kept or dropped", change: "Changed", doubtful: "Second verifier", mark: "Marked",
};
const WAIT_MS = 120; // after a key, before what is typed is searched
const at = (id) => document.getElementById(id);

class Page {
  constructor(source, about) {
    this.source = source;
    this.about = about;
    this.several = about.experiments.length > 1;
    this.state = new URLSearchParams();
    this.offset = 0;
    this.listed = null; // what the list shows: filters and offset
    this.turn = { list: 0, question: 0 };
    this.current = null;
    const known = about.experiments.flatMap((each) => [...each.policies].reverse().map((one) => [`${each.name} ${one.fingerprint}`, one.name]));
    this.policies = new Map(known);
  }

  begin() {
    const { about } = this;
    at("title").textContent = about.experiments.map((each) => each.name).join(", ");
    at("about").textContent = `${counted(about.n_questions, "question", "questions")}, ${counted(about.n_samples, "sample", "samples")}`;
    if (about.left_out) {
      at("left-out").hidden = false;
      at("left-out").textContent = `This file holds ${about.n_questions.toLocaleString("en")} questions of ${(about.n_questions + about.left_out.n_questions).toLocaleString("en")}: ` +
        `${counted(about.left_out.n_samples, "sample is", "samples are")} left out, as a file takes about ${Math.round(about.left_out.most / 1e6)} MB of text. ` +
        `Changed and marked questions came first. All are in: ${about.command}`;
    }
    at("where-marks").textContent = about.keeps_marks
      ? "Marks are kept beside the experiment, and counted in its audit."
      : "Marks are kept in this browser. Download them, and add them to the experiment with restem view --add-marks FILE.";
    at("download-marks").hidden = about.keeps_marks;
    this.fillSelects();
    this.listen();
    this.read();
  }

  fillSelects() {
    const { facets, marked } = this.about, percent = (n) => n.toLocaleString("en");
    const options = {
      experiment: this.several ? this.about.experiments.map((each) => [each.name, each.name]) : [],
      ...Object.fromEntries(Object.entries(facets).map(([name, values]) => [name, values.map(([value, n]) => [value, `${name === "fate" ? words(String(value)) : String(value)} (${percent(n)})`])])),
      doubtful: this.about.n_doubtful ? [["1", `refuses an accepted one (${percent(this.about.n_doubtful)})`]] : [],
      mark: ["any", "right", "wrong", "doubtful", "comment"].map((name) => [name, `${name === "any" ? "by anybody" : name} (${marked[name] ?? 0})`]),
    };
    at("selects").replaceChildren(
      ...Object.keys(LABELS).filter((name) => options[name].length > 0).map((name) =>
        make("label", {}, LABELS[name], make("select", { name, id: `filter-${name}` }, make("option", { value: "" }, "all"), ...options[name].map(([value, text]) => make("option", { value }, shown(text))))),
      ),
    );
  }

  listen() {
    let waiting = 0;
    at("search").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(() => this.filter(), WAIT_MS); });
    at("selects").addEventListener("change", () => this.filter());
    at("filters").addEventListener("submit", (event) => { event.preventDefault(); clearTimeout(waiting); this.filter(); });
    at("clear").addEventListener("click", () => this.go({}));
    at("page-before").addEventListener("click", () => this.turnTo(this.offset - PAGE));
    at("page-after").addEventListener("click", () => this.turnTo(this.offset + PAGE));
    at("show-help").addEventListener("click", () => at("help").showModal());
    at("skip").addEventListener("click", () => at("question").focus());
    at("download-marks").addEventListener("click", () => this.download());
    at("use-keys").addEventListener("change", () => keep("keys", at("use-keys").checked ? "on" : "off"));
    at("use-keys").checked = kept("keys") !== "off";
    window.addEventListener("hashchange", () => this.read());
    document.addEventListener("keydown", (event) => this.key(event));
  }

  /** What the address asks for becomes what is shown. */
  async read() {
    this.state = new URLSearchParams(location.hash.slice(1));
    const filters = this.filters();
    at("search").value = filters.search ?? "";
    for (const select of at("selects").querySelectorAll("select")) select.value = filters[select.name] ?? "";
    const n = Object.keys(filters).filter((name) => name !== "search").length;
    at("n-filters").textContent = n ? ` (${n} set)` : "";
    const shownNow = JSON.stringify(filters);
    const list = shownNow === this.listed ? Promise.resolve() : this.turnTo(0);
    this.listed = shownNow;
    await Promise.all([list, this.show(this.state.get("q"))]);
  }

  filters() {
    return Object.fromEntries(FILTERS.map((name) => [name, this.state.get(name)]).filter(([, value]) => value));
  }

  isFiltered() { return OF_SAMPLE.some((name) => this.state.get(name)); }

  filter() {
    const given = [["search", at("search").value.trim()], ...[...at("selects").querySelectorAll("select")].map((select) => [select.name, select.value])];
    this.go({ ...(this.state.get("q") ? { q: this.state.get("q") } : {}), ...Object.fromEntries(given.filter(([, value]) => value)) }, true);
  }

  address(changes) { return `#${new URLSearchParams(changes)}`; }

  go(state, isSmall = false) {
    if (isSmall) history.replaceState(null, "", this.address(state));
    else history.pushState(null, "", this.address(state));
    return this.read();
  }

  open(id) { if (id !== null) this.go({ ...this.filters(), q: id }); }

  toList() {
    const id = this.state.get("q");
    this.go(this.filters());
    ([...at("questions").querySelectorAll("a")].find((link) => link.dataset.id === id) ?? at("search")).focus();
  }

  async turnTo(offset) {
    const turn = (this.turn.list += 1);
    at("list").setAttribute("aria-busy", "true");
    try {
      const found = await this.source.page(this.filters(), Math.max(0, offset));
      if (turn !== this.turn.list) return;
      this.offset = found.offset;
      this.list(found);
    } catch (error) {
      this.say(error.message);
    }
    if (turn === this.turn.list) at("list").setAttribute("aria-busy", "false");
  }

  list(found) {
    at("status").textContent = `${counted(found.total, "question", "questions")}, ${counted(found.n_samples, "answer", "answers")}`;
    at("questions").replaceChildren(...found.questions.map((question) => this.entry(question)));
    const pages = Math.max(1, Math.ceil(found.total / PAGE)), page = Math.floor(found.offset / PAGE);
    at("page-place").textContent = `page ${page + 1} of ${pages}`;
    at("page-before").disabled = page === 0;
    at("page-after").disabled = page + 1 >= pages;
    this.markCurrent();
    performance.mark("listed");
  }

  entry(question) {
    const facts = [`${question.n_accepted} of ${question.n} accepted`];
    if (this.isFiltered()) facts.push(`${question.n_matching} match`);
    if (question.changes) facts.push(question.changes.split(",").join(", "));
    const text = question.text.length > 150 ? `${question.text.slice(0, 150)} ...` : question.text;
    return make(
      "li",
      {},
      make("a", { href: this.address({ ...this.filters(), q: question.question_id }), "data-id": question.question_id, dir: "auto" }, shown(text.replace(/\s+/g, " ")),
        make("small", {}, `${question.split}, ${facts.join("; ")}`)),
    );
  }

  markCurrent() {
    const id = this.state.get("q");
    for (const link of at("questions").querySelectorAll("a")) {
      if (link.dataset.id === id) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }

  async show(id) {
    document.body.classList.toggle("reading", Boolean(id));
    this.markCurrent();
    const turn = (this.turn.question += 1), main = at("question");
    if (!id) {
      this.current = null;
      main.replaceChildren(make("p", { class: "soft" }, "Choose a question."));
      return;
    }
    main.setAttribute("aria-busy", "true");
    const isSame = this.current?.question.question_id === id;
    try {
      const question = await this.source.question(id, this.filters());
      if (turn !== this.turn.question) return;
      this.current = new Question(this, question);
      main.replaceChildren(...this.current.drawn().filter(Boolean));
      if (!isSame) {
        window.scrollTo(0, 0);
        at("question-title").focus({ preventScroll: true });
      }
      performance.mark("read");
    } catch (error) {
      if (turn !== this.turn.question) return;
      this.current = null;
      main.replaceChildren(
        make("p", {}, make("button", { type: "button", class: "to-list", on: { click: () => this.toList() } }, "Back to the list")),
        make("p", { id: "no-question" }, shown(sentence(error.message))),
      );
    }
    main.setAttribute("aria-busy", "false");
  }

  compare(before, after) {
    const parts = difference(before.sample.completion, after.sample.completion);
    const drawn = parts?.map(({ kind, text }) => (kind === "same" ? shown(text) : make(kind, {}, shown(text))));
    const isSame = before.sample.completion === after.sample.completion;
    at("difference-body").replaceChildren(
      make("p", {}, make("del", {}, before.title), " ", make("ins", {}, after.title)),
      isSame ? make("p", {}, "They are the same.") : "",
      ...(drawn ? [make("pre", { tabindex: "0", dir: "auto", "aria-label": "Difference" }, ...drawn)]
        : [make("p", {}, "They have too little in common for a difference."), block(before.sample.completion, "The first"), block(after.sample.completion, "The second")]),
    );
    at("difference").showModal();
  }

  policyOf(experiment, fingerprint) { return this.policies.get(`${experiment} ${fingerprint}`) ?? fingerprint; }

  who() { return kept("who") || this.name || this.about.user; }

  isCalled(name) {
    this.name = name.trim();
    keep("who", this.name);
    for (const field of document.querySelectorAll(".who")) field.value = this.name;
  }

  isMarked(marked) {
    this.about.marked = marked;
    const chosen = at("filter-mark").value;
    this.fillSelects();
    for (const select of at("selects").querySelectorAll("select")) select.value = this.filters()[select.name] ?? "";
    if (chosen) this.turnTo(this.offset);
  }

  say(text) {
    at("alert").textContent = text;
    clearTimeout(this.saying);
    this.saying = setTimeout(() => { at("alert").textContent = ""; }, 6000);
  }

  download() {
    const text = this.source.own?.lines() ?? "";
    if (!text) { this.say("Nothing is marked yet"); return; }
    const link = make("a", { href: URL.createObjectURL(new Blob([text], { type: "application/jsonl" })), download: "marks.jsonl" });
    link.click();
    URL.revokeObjectURL(link.href);
  }

  usesKey(event) {
    const isField = event.target.closest?.("input, select, textarea");
    return at("use-keys").checked && !isField && !event.ctrlKey && !event.metaKey && !event.altKey && !document.querySelector("dialog[open]");
  }

  key(event) {
    if (!this.usesKey(event)) return;
    const question = this.current?.question;
    const actions = {
      j: () => this.open(question ? question.next : at("questions").querySelector("a")?.dataset.id ?? null),
      k: () => question && this.open(question.previous),
      "/": () => { this.toListIfHidden(); at("search").focus(); },
      d: () => this.current?.compareGreedy(),
      l: () => this.toList(),
      h: () => at("help").showModal(),
    };
    const action = actions[{ n: "j", p: "k", "?": "h" }[event.key] ?? event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }

  toListIfHidden() { if (at("list").offsetParent === null) this.toList(); }
}

/** What this browser remembers of its reader; nothing where it remembers nothing. */
function kept(name) {
  try { return localStorage.getItem(`restem view ${name}`) ?? ""; } catch { return ""; }
}

function keep(name, value) {
  try { localStorage.setItem(`restem view ${name}`, value); } catch { /* it holds as long as the page is open */ }
}

openSource()
  .then(async (source) => new Page(source, await source.about()).begin())
  .catch((error) => {
    at("list").setAttribute("aria-busy", "false");
    at("alert").textContent = `This page cannot be shown: ${error.message}`;
  });
