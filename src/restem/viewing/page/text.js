// Elements, texts as models wrote them, and the difference of two texts. Nothing here reads a text as HTML.

const MOST_EDITS = 700; // two texts that differ in more words are shown beside each other
const SHOWN_AS_NUMBER = new RegExp(
  "[\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}\\p{Co}\\p{Cs}\\u00a0\\u1680\\u2000-\\u200a\\u202f\\u205f\\u034f\\u115f\\u1160\\u17b4\\u17b5" +
    "\\u180b-\\u180f\\u2800\\u3164\\uffa0\\ufe00-\\ufe0f\\u{e0100}-\\u{e01ef}]",
  "gu",
);

/** An element with attributes and children; a text among them is a text. */
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "on") for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** What a text is shown as: itself, and what cannot be seen in it by its number. */
function shown(text) {
  const parts = document.createDocumentFragment();
  let done = 0;
  for (const match of String(text).matchAll(SHOWN_AS_NUMBER)) {
    if (match[0] === "\n" || match[0] === "\t") continue;
    const number = match[0].codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
    parts.append(text.slice(done, match.index), make("span", { class: "unseen" }, `U+${number}`));
    done = match.index + match[0].length;
  }
  parts.append(String(text).slice(done));
  return parts;
}

/** A block of a text. */
function block(text, label) {
  return make("pre", { tabindex: "0", dir: "auto", role: "group", "aria-label": label }, text === "" ? "(empty)" : shown(text));
}

function split(text) {
  return text.match(/\s+|[\p{L}\p{N}]+|[^\s\p{L}\p{N}]/gu) || [];
}

/** The parts of two texts: {kind: "same" | "del" | "ins", text}; null if they have too little in common. Myers 1986, O(ND). */
function difference(before, after) {
  const a = split(before), b = split(after);
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end += 1;
  const middle = edits(a.slice(start, a.length - end), b.slice(start, b.length - end));
  if (middle === null) return null;
  const same = (words) => (words.length ? [["same", words.join("")]] : []);
  return joined([...same(a.slice(0, start)), ...middle, ...same(end ? a.slice(-end) : [])]);
}

function edits(a, b) {
  const trace = [];
  let reach = new Map([[1, 0]]);
  for (let d = 0; d <= Math.min(a.length + b.length, MOST_EDITS); d += 1) {
    trace.push(new Map(reach));
    for (let k = -d; k <= d; k += 2) {
      const down = k === -d || (k !== d && (reach.get(k - 1) ?? -1) < (reach.get(k + 1) ?? -1));
      let x = down ? reach.get(k + 1) : reach.get(k - 1) + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x += 1;
      reach.set(k, x);
      if (x >= a.length && x - k >= b.length) return walked(trace, a, b);
    }
    reach = new Map([...reach].filter(([k]) => Math.abs(k) <= d + 1));
  }
  return null;
}

function walked(trace, a, b) {
  const found = [];
  let x = a.length, y = b.length;
  for (let d = trace.length - 1; d >= 0; d -= 1) {
    const reach = trace[d], k = x - y;
    const down = k === -d || (k !== d && (reach.get(k - 1) ?? -1) < (reach.get(k + 1) ?? -1));
    const fromK = down ? k + 1 : k - 1, fromX = d ? reach.get(fromK) : 0, fromY = d ? fromX - fromK : 0;
    while (x > fromX && y > fromY) { found.push(["same", a[x - 1]]); x -= 1; y -= 1; }
    if (d && x > fromX) { found.push(["del", a[x - 1]]); x -= 1; }
    if (d && y > fromY) { found.push(["ins", b[y - 1]]); y -= 1; }
  }
  return found.reverse();
}

function joined(parts) {
  const found = [];
  for (const [kind, text] of parts) {
    if (found.length && found[found.length - 1].kind === kind) found[found.length - 1].text += text;
    else found.push({ kind, text });
  }
  return found;
}

/** A number as people read it. */
function counted(n, one, many) {
  return `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
}
