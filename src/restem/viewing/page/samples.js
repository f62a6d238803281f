// One question: what was asked, every policy's answers side by side, and what readers say of them.

const SIGNS = { accepted: "\u2713 accepted", rejected: "\u2717 rejected", "not judged": "? not judged" };
const words = (name) => name.replaceAll("_", " ");

/** The page's question: elements, made from what the source says of it. */
class Question {
  constructor(page, question) {
    this.page = page;
    this.question = question;
    this.chosen = null; // a sample to compare with
  }

  drawn() {
    const { question } = this;
    return [
      this.moves(),
      make("h2", { id: "question-title", tabindex: "-1" }, "Question ", shown(question.question_id)),
      make("p", { class: "soft" }, [...new Set([question.split, question.level, question.source])].filter(Boolean).join(", "), `, judged by ${question.reward}`),
      ...question.changes.map((each) =>
        make("p", {}, make("strong", {}, sentence(each.change)), ` in iteration ${each.iteration} (${each.suite}${this.of(each.experiment)}), by its greedy answer`),
      ),
      ...this.asked(),
      make("h3", {}, "Answers"),
      question.columns.length === 0 && make("p", {}, "No policy has answered it."),
      this.greedy().length > 1 &&
        make("p", {}, make("button", { type: "button", on: { click: () => this.compareGreedy() } }, "Compare the first and the last greedy answer")),
      make("div", { class: "columns" }, ...question.columns.map((column) => this.column(column))),
    ];
  }

  moves() {
    const { question, page } = this;
    const go = (id, text, key) =>
      make("button", { type: "button", disabled: id === null, "aria-keyshortcuts": key, on: { click: () => page.open(id) } }, text);
    const place = question.place === null ? "not among those listed" : `${(question.place + 1).toLocaleString("en")} of ${question.total.toLocaleString("en")}`;
    return make(
      "p",
      { class: "pager" },
      make("button", { type: "button", class: "to-list", on: { click: () => page.toList() } }, "Back to the list"),
      go(question.previous, "Previous", "k"),
      make("span", { class: "soft" }, place),
      go(question.next, "Next", "j"),
    );
  }

  /** What was asked: once, where experiments asked the same. */
  asked() {
    const groups = new Map();
    for (const row of this.question.asked) {
      const key = JSON.stringify([row.text, row.gold, row.prompt, row.left_out]);
      groups.set(key, [...(groups.get(key) ?? []), row]);
    }
    return [...groups.values()].flatMap((rows) => {
      const [row] = rows, gold = goldOf(row.gold);
      return [
        groups.size > 1 && make("h3", {}, `In ${rows.map((each) => each.experiment).join(", ")}`),
        block(row.text, "Text of the question"),
        make("p", {}, make("strong", {}, "Gold: "), gold === null ? "tests" : make("span", { dir: "auto" }, shown(gold))),
        gold !== row.gold && make("details", {}, make("summary", {}, "The whole gold"), block(row.gold, "Gold")),
        row.left_out && make("p", {}, "Never asked: ", shown(row.left_out)),
        row.prompt !== null && make("details", {}, make("summary", {}, "Prompt, as every policy was given it"), block(row.prompt, "Prompt")),
      ];
    });
  }

  column(column) {
    const body = make("div"), id = `column-${column.experiment}-${column.iteration}-${column.stage}`;
    const more = make("button", { type: "button" });
    const add = (samples) => {
      body.append(...samples.map((sample) => this.sample(sample, column)));
      const left = column.n - body.children.length;
      more.hidden = left <= 0;
      more.textContent = `Show ${Math.min(SHOWN, left)} more of ${left}`;
    };
    more.addEventListener("click", async () => {
      const first = body.children.length;
      add(await this.page.source.samples(this.question.question_id, column, this.page.filters(), first));
      body.children[first]?.focus();
    });
    add(column.samples);
    const kept = column.stage === "training" && column.n_kept ? `, ${column.n_kept} learned from` : "";
    return make(
      "section",
      { "aria-labelledby": id },
      make("h3", { id }, `${this.page.several ? `${column.experiment}: ` : ""}${this.titleOf(column)}`),
      make("p", { class: "soft" }, `${counted(column.n, "answer", "answers")}, ${column.n_accepted} accepted${kept}${this.page.isFiltered() ? `, ${column.n_matching} match` : ""}`),
      body,
      make("p", {}, more),
    );
  }

  titleOf(column) {
    const who = [...new Set(column.samples.map((sample) => this.page.policyOf(column.experiment, sample.policy_id)))].join(", ");
    return column.stage === "evaluation" ? `${who}, evaluated` : `iteration ${column.iteration}, samples of ${who}`;
  }

  sample(sample, column) {
    const name = `${sample.decoding === "greedy" ? "greedy answer" : `sample ${sample.sample_index}`}${sample.stage === "evaluation" ? `, ${sample.suite}` : ""}`;
    const verdict = `${SIGNS[sample.verdict]}${sample.reason && sample.reason !== "correct" ? `: ${words(sample.reason)}` : ""}`;
    const compare = make("button", { type: "button", "aria-pressed": "false", "aria-keyshortcuts": "c" }, "Compare");
    const marks = make("ul", { class: "marks" });
    const element = make(
      "article",
      { tabindex: "0", class: sample.matching && this.page.isFiltered() ? "matching" : "", "aria-label": `${name}: ${verdict}` },
      make("h4", {}, make("span", { class: `verdict ${sample.verdict.replace(" ", "-")}` }, verdict), `, ${name}`),
      block(sample.completion, "Completion"),
      make("dl", {}, ...this.facts(sample).flatMap(([key, value]) => [make("dt", {}, key), make("dd", { dir: "auto" }, shown(String(value)))])),
      make("p", {}, compare),
      marks,
      this.form(sample, marks),
    );
    const choose = () => this.choose({ sample, title: `${this.titleOf(column)}, ${name}: ${verdict}`, compare });
    compare.addEventListener("click", choose);
    element.addEventListener("keydown", (event) => {
      if (event.target !== element || !this.page.usesKey(event)) return;
      const opinion = { r: "right", w: "wrong", u: "doubtful" }[event.key];
      if (opinion) this.mark(sample, marks, opinion, "");
      else if (event.key === "c") choose();
      else return;
      event.preventDefault();
    });
    this.list(sample, marks);
    return element;
  }

  facts(sample) {
    const fate = sample.fate === null ? null : this.page.about.fates[sample.fate] ?? sample.fate;
    const isDropped = sample.verdict === "accepted" && sample.fate !== null && sample.fate !== "kept";
    const number = (value) => (value === null ? null : Number(value).toLocaleString("en", { maximumFractionDigits: 3 }));
    return [
      ["answer", sample.answer],
      ["gold", isDropped ? goldOf(this.question.asked.find((row) => row.experiment === sample.experiment)?.gold ?? "") : null],
      [isDropped ? "not kept" : "kept", fate],
      ["found by", sample.found_by],
      ["reward", sample.reward === null ? null : `${number(sample.reward)} (${sample.reward_version})`],
      ["second verifier", sample.doubt && `refuses it: ${sample.doubt}`],
      ["length", sample.n_tokens === null ? null : `${counted(sample.n_tokens, "token", "tokens")}, ${counted(sample.completion.length, "character", "characters")}`],
      ["ended by", sample.finish_reason === "length" ? "max_new_tokens, cut off" : sample.finish_reason],
      ["log-probability", number(sample.log_probability ?? null)],
      ["policy", sample.policy_id],
      ["read from", sample.origin],
    ].filter(([, value]) => value !== null && value !== undefined && value !== "");
  }

  of(experiment) { return this.page.several ? `, ${experiment}` : ""; }

  greedy() {
    return this.question.columns.flatMap((column) =>
      column.samples.filter((sample) => sample.decoding === "greedy" && sample.stage === "evaluation").map((sample) => ({ sample, column })),
    );
  }

  compareGreedy() {
    const found = this.greedy();
    if (found.length < 2) return;
    const [first, last] = [found[0], found[found.length - 1]].map(({ sample, column }) => ({
      sample,
      title: `${column.experiment}, ${this.titleOf(column)}: ${SIGNS[sample.verdict]}`,
    }));
    this.page.compare(first, last);
  }

  choose(one) {
    if (this.chosen === null) {
      this.chosen = one;
      one.compare.setAttribute("aria-pressed", "true");
      one.compare.textContent = "Chosen: choose another";
      return;
    }
    const other = this.chosen;
    this.chosen = null;
    other.compare.setAttribute("aria-pressed", "false");
    other.compare.textContent = "Compare";
    if (other.sample !== one.sample) this.page.compare(other, one);
  }

  list(sample, marks) {
    const key = JSON.stringify(keyOf({ ...sample, question_id: this.question.question_id }));
    const said = this.question.marks.filter((mark) => JSON.stringify(keyOf(mark)) === key);
    marks.replaceChildren(
      ...said.map((mark) =>
        make("li", {}, make("strong", {}, mark.opinion || "comment"), ", says ", shown(mark.who), ` on ${mark.when.slice(0, 10)}`, mark.text && ": ", mark.text && shown(mark.text)),
      ),
    );
  }

  form(sample, marks) {
    const text = make("textarea", { rows: "2", maxlength: "10000" });
    const buttons = ["right", "wrong", "doubtful"].map((opinion) =>
      make("button", { type: "button", on: { click: () => this.mark(sample, marks, opinion, text.value) } }, sentence(opinion)),
    );
    const only = make("button", { type: "button", on: { click: () => this.mark(sample, marks, "", text.value) } }, "Comment only, or take back");
    return make(
      "details",
      {},
      make("summary", {}, "Mark or comment"),
      make("label", {}, "Your name", make("input", { class: "who", maxlength: "200", value: this.page.who(), on: { change: (event) => this.page.isCalled(event.target.value) } })),
      make("label", {}, "Comment", text),
      make("fieldset", { class: "opinions" }, make("legend", {}, "The answer is"), ...buttons, only),
    );
  }

  async mark(sample, marks, opinion, text) {
    const who = this.page.who();
    if (!who) {
      this.page.say("Say your name first, under Mark or comment");
      return;
    }
    const [experiment, question_id, iteration, stage, decoding, sample_index, policy_id] = keyOf({ ...sample, question_id: this.question.question_id });
    const said = { experiment, question_id, iteration, stage, decoding, sample_index, policy_id, opinion, text: text.trim(), who };
    try {
      const { marked } = await this.page.source.mark(said);
      this.page.isMarked(marked);
      this.page.say(opinion ? `Marked as ${opinion}` : text.trim() ? "Comment kept" : "Taken back");
    } catch (error) {
      this.page.say(`Not kept: ${error.message}`);
      if (!this.page.source.own) return;
    }
    const key = JSON.stringify([who, ...keyOf(said)]);
    const others = this.question.marks.filter((mark) => JSON.stringify([mark.who, ...keyOf(mark)]) !== key);
    this.question.marks = opinion || text.trim() ? [...others, { ...said, when: new Date().toISOString() }] : others;
    this.list(sample, marks);
  }
}

/** The answer that a gold holds; the whole of it if there is none, null for tests. */
function goldOf(gold) {
  try {
    const read = JSON.parse(gold);
    if (read && typeof read === "object" && "answer" in read) return typeof read.answer === "string" ? read.answer : JSON.stringify(read.answer);
    return null;
  } catch {
    return gold;
  }
}

function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
