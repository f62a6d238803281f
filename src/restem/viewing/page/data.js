// Where samples come from: a server, or this file. Both answer the same questions with the same answers.

const PAGE = 50, SHOWN = 12;
const OF_SAMPLE = ["experiment", "iteration", "stage", "decoding", "suite", "verdict", "reason", "fate", "doubtful"];
const OF_QUESTION = ["split", "level", "source"];
const FILTERS = [...OF_SAMPLE, ...OF_QUESTION, "change", "mark", "search"];

const UNSPACED = /([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u{20000}-\u{3ffff}])/gu;

/** The words of a text: see words.py. */
function wordsOf(text) {
  let plain = text.toLowerCase();
  if ([...plain].some((character) => character > "\x7f")) {
    plain = plain.normalize("NFKD").replace(/\p{M}+/gu, "").normalize("NFC").toLowerCase().replace(UNSPACED, " $1 ");
  }
  return plain.match(/[\p{L}\p{N}]+/gu) ?? [];
}

/** What this reader said where it cannot be kept beside the experiment: in this browser, to be downloaded. */
class OwnMarks {
  constructor(experiments) {
    this.place = `restem view ${experiments.map((each) => each.name).join(" ")}`;
    this.list = this.stored();
  }
  stored() {
    try {
      return JSON.parse(localStorage.getItem(this.place) || "[]");
    } catch {
      return []; // marking says so
    }
  }
  add(said) {
    this.list = [...this.list, { ...said, when: new Date().toISOString() }];
    try {
      localStorage.setItem(this.place, JSON.stringify(this.list));
    } catch (error) {
      throw new Error(`this browser keeps nothing here (${error.message}): download the marks before you close the page`);
    }
  }
  /** A JSON object per line. */
  lines() { return this.list.map((mark) => JSON.stringify(mark) + "\n").join(""); }
}

class Served {
  async about() {
    const about = await this.ask("about", {});
    this.own = about.keeps_marks ? null : new OwnMarks(about.experiments);
    this.marked = about.marked;
    return about;
  }
  async page(filters, offset) { return this.ask("questions", { ...filters, offset }); }
  async question(id, filters) {
    const question = await this.ask("question", { ...filters, question_id: id });
    return { ...question, marks: newest([...question.marks, ...(this.own?.list ?? [])]).filter((mark) => mark.question_id === id) };
  }
  async samples(id, column, filters, offset) {
    const of = { of_experiment: column.experiment, of_iteration: column.iteration, of_stage: column.stage };
    return (await this.ask("samples", { ...filters, ...of, question_id: id, offset })).samples;
  }
  async mark(said) {
    if (this.own) {
      this.own.add(said);
      return { marked: this.marked };
    }
    const body = JSON.stringify(said);
    return this.read(await fetch("api/marks", { method: "POST", headers: { "Content-Type": "application/json" }, body }));
  }
  async ask(what, asked) { return this.read(await fetch(`api/${what}?${new URLSearchParams(asked)}`)); }
  async read(response) {
    const said = await response.json();
    if (!response.ok) throw new Error(said.error);
    return said;
  }
}

class InFile {
  constructor(data) {
    this.data = data;
    this.place = new Map(data.questions.map((question, place) => [question.question_id, place]));
    this.parts = new Map();
    this.texts = null; // the words of every question
    this.own = new OwnMarks(data.experiments);
  }
  async about() {
    const { questions, alike, marks, ...about } = this.data;
    const n_samples = alike.n.reduce((sum, n) => sum + n, 0);
    return { ...about, n_questions: questions.length, n_samples, user: "", keeps_marks: false, marked: this.marked() };
  }
  async page(filters, offset) {
    const found = await this.matches(filters);
    const questions = found.slice(offset, offset + PAGE).map(({ question, n }) => ({
      ...question,
      n_matching: n,
      changes: [...new Set(question.changes.map((each) => each.change))].join(",") || null,
    }));
    return { total: found.length, n_samples: found.reduce((sum, each) => sum + each.n, 0), offset, questions };
  }
  async question(id, filters) {
    const question = await this.whole(id), list = (await this.matches(filters)).map((each) => each.question.number);
    const place = list.indexOf(question.number), later = list.findIndex((number) => number > question.number);
    const next = later < 0 ? list.length : later, before = place < 0 ? next - 1 : place - 1;
    const idOf = (number) => this.data.questions.find((each) => each.number === number)?.question_id ?? null;
    return {
      ...question,
      columns: columnsOf(question, filters).map((column) => ({ ...column, samples: ordered(question, column, filters).slice(0, SHOWN) })),
      place: place < 0 ? null : place,
      total: list.length,
      previous: idOf(list[before]),
      next: idOf(list[next]),
      marks: this.marks().filter((mark) => mark.question_id === id),
    };
  }
  async samples(id, column, filters, offset) {
    return ordered(await this.whole(id), column, filters).slice(offset, offset + SHOWN);
  }
  async mark(said) {
    this.own.add(said);
    return { marked: this.marked() };
  }
  /** A question with its samples, which are unpacked with those beside it. */
  async whole(id) {
    if (!this.place.has(id)) throw new Error(`there is no question "${id}" among the ${this.data.questions.length} in this file`);
    const question = this.data.questions[this.place.get(id)], name = `part-${question.part}`;
    if (!this.parts.has(name)) this.parts.set(name, unpacked(name));
    return { ...question, ...(await this.parts.get(name))[id] };
  }
  /** The questions that filters leave, in order, and how many of their samples match. */
  async matches(filters) {
    const set = Object.keys(filters).filter((name) => filters[name] !== "");
    const ofSample = OF_SAMPLE.filter((name) => set.includes(name));
    const marked = this.byOpinion()[filters.mark];
    const sought = set.includes("search") ? wordsOf(filters.search) : null;
    if (sought) this.texts ??= await unpacked("words");
    const fits = (question, place) =>
      OF_QUESTION.every((name) => !set.includes(name) || question[name] === filters[name]) &&
      (!set.includes("change") || question.changes.some((each) => isChange(each, filters, set))) &&
      (!set.includes("mark") || marked?.has(question.question_id)) &&
      (!sought || (sought.length > 0 && sought.every((word) => this.texts[place].includes(" " + word))));
    const counts = this.counts(filters, ofSample), found = [];
    this.data.questions.forEach((question, place) => {
      if ((counts[place] || !ofSample.length) && fits(question, place)) found.push({ question, n: counts[place] });
    });
    return found;
  }
  /** How many samples of every question match. */
  counts(filters, names) {
    const { alike, questions } = this.data, counts = new Array(questions.length).fill(0);
    for (let row = 0; row < alike.n.length; row += 1) {
      if (names.every((name) => String(alike[name][row]) === filters[name])) counts[alike.question[row]] += alike.n[row];
    }
    return counts;
  }
  marks() { return newest([...this.data.marks, ...this.own.list]); }
  byOpinion() {
    const found = {};
    for (const mark of this.marks()) for (const name of [mark.opinion || "comment", "any"]) (found[name] ??= new Set()).add(mark.question_id);
    return found;
  }
  marked() { return Object.fromEntries(Object.entries(this.byOpinion()).map(([name, ids]) => [name, ids.size])); }
}

/** The last mark of every reader on every sample. */
function newest(marks) {
  const found = new Map();
  for (const mark of marks) {
    const key = JSON.stringify([mark.who, ...keyOf(mark)]), known = found.get(key);
    if (!known || Date.parse(mark.when) >= Date.parse(known.when)) found.set(key, mark);
  }
  return [...found.values()].filter((mark) => mark.opinion || mark.text);
}

function keyOf(one) {
  return [one.experiment, one.question_id, Number(one.iteration), one.stage, one.decoding, one.sample_index, one.policy_id];
}

function isChange(each, filters, set) {
  return each.change === filters.change && ["iteration", "experiment"].every((name) => !set.includes(name) || String(each[name]) === filters[name]);
}

function matching(sample, filters, names) {
  return names.every((name) => String(sample[name]) === filters[name]) ? 1 : 0;
}

function columnsOf(question, filters) {
  const found = new Map(), names = OF_SAMPLE.filter((name) => filters[name]);
  for (const sample of question.samples) {
    const key = JSON.stringify([sample.experiment, sample.iteration, sample.stage]);
    if (!found.has(key)) {
      const { experiment, iteration, stage } = sample;
      found.set(key, { experiment, iteration, stage, n: 0, n_accepted: 0, n_kept: 0, n_matching: 0 });
    }
    const column = found.get(key);
    column.n += 1;
    column.n_accepted += sample.verdict === "accepted" ? 1 : 0;
    column.n_matching += matching(sample, filters, names);
    column.n_kept += sample.fate === "kept" ? 1 : 0;
  }
  const rank = (column) => [column.stage, column.iteration, column.experiment];
  return [...found.values()].sort((one, other) => compared(rank(one), rank(other)));
}

/** The samples of a column, those that match before others. */
function ordered(question, column, filters) {
  const names = OF_SAMPLE.filter((name) => filters[name]);
  const mine = question.samples.filter((one) => ["experiment", "iteration", "stage"].every((name) => String(one[name]) === String(column[name])));
  const rows = mine.map((one) => ({ ...one, matching: matching(one, filters, names) }));
  const rank = (one) => [-one.matching, one.decoding === "greedy" ? 0 : 1, one.suite, one.decoding, one.sample_index, one.policy_id];
  return rows.sort((one, other) => compared(rank(one), rank(other)));
}

function compared(one, other) {
  for (let i = 0; i < one.length; i += 1) {
    if (one[i] < other[i]) return -1;
    if (one[i] > other[i]) return 1;
  }
  return 0;
}

/** A part of this file. */
async function unpacked(name) {
  const text = atob(document.getElementById(name).textContent), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
}

/** The samples that the page shows: those in it, or those of its server. */
async function openSource() {
  return document.getElementById("data") ? new InFile(await unpacked("data")) : new Served();
}
