// Shows /openapi.json: operations by tag, what they take and answer, a curl line, and a button that sends it.
// No framework and no markup from strings: every text goes in as text. The token never leaves this page but in
// the requests that its reader sends; curl lines say $TOKEN.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];
let spec = null;

/** An element: el("p", {class: "x", onclick: f}, "text", child, ...). */
function el(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(key, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

/** Text with `code` in backticks, and a paragraph for each blank line. */
function prose(text) {
  return (text || "").split(/\n\s*\n/).filter(Boolean).map((paragraph) =>
    el("p", {}, paragraph.split(/(`[^`]+`)/).map((part) =>
      part.startsWith("`") ? el("code", {}, part.slice(1, -1)) : part.replaceAll("\n", " "))));
}

function resolve(schema) {
  let found = schema || {};
  while (found.$ref) {
    found = found.$ref.slice(2).split("/").reduce((inside, key) => inside[key], spec);
  }
  return found;
}

function typeOf(schema) {
  const found = resolve(schema);
  if (schema && schema.$ref) return schema.$ref.split("/").pop();
  if (found.anyOf) return found.anyOf.map(typeOf).join(" or ");
  const types = [].concat(found.type || "any");
  const name = types.includes("array") ? `${typeOf(found.items)}[]` : types.filter((type) => type !== "null").join(" or ");
  return types.includes("null") ? `${name} or null` : name;
}

/** What a value of this schema may look like. */
function sample(schema, depth = 0) {
  const found = resolve(schema);
  if (found.example !== undefined) return found.example;
  if (found.default !== undefined) return found.default;
  if (found.enum) return found.enum[0];
  if (found.anyOf) return sample(found.anyOf[0], depth);
  const type = [].concat(found.type || "object")[0];
  if (type === "object") {
    if (depth > 4) return {};
    const wanted = Object.entries(found.properties || {}).filter(([name, inner]) =>
      (found.required || []).includes(name) || (resolve(inner).example !== undefined && !resolve(inner).writeOnly));
    return Object.fromEntries(wanted.map(([name, inner]) => [name, sample(inner, depth + 1)]));
  }
  if (type === "array") return depth > 4 ? [] : [sample(found.items, depth + 1)];
  return { string: "string", integer: found.minimum || 0, number: 0, boolean: true }[type] ?? null;
}

function limits(schema) {
  const found = resolve(schema);
  const said = [];
  if (found.enum) said.push(found.enum.join(" | "));
  if (found.minimum !== undefined || found.maximum !== undefined) said.push(`${found.minimum ?? "…"} to ${found.maximum ?? "…"}`);
  if (found.maxLength !== undefined) said.push(`${found.minLength || 0} to ${found.maxLength} characters`);
  if (found.format) said.push(found.format);
  if (found.default !== undefined) said.push(`default ${JSON.stringify(found.default)}`);
  if (found.writeOnly) said.push("write only");
  return said.join(", ");
}

/** A table of an object's fields; nested objects unfold. */
function fields(schema, depth = 0) {
  const whole = resolve(schema);
  const found = whole.type === "array" ? resolve(whole.items) : whole;
  const rows = Object.entries(found.properties || {}).map(([name, inner]) => {
    const target = resolve(inner).items ? resolve(inner).items : inner;
    const nested = resolve(target).properties && depth < 3
      ? el("details", {}, el("summary", {}, "fields"), fields(target, depth + 1)) : null;
    return el("tr", {},
      el("td", {}, el("code", {}, name), (found.required || []).includes(name) ? el("span", { class: "must", title: "required" }, "*") : null),
      el("td", {}, typeOf(inner)),
      el("td", {}, prose(resolve(inner).description), el("small", {}, limits(inner)), nested));
  });
  return rows.length ? el("div", { class: "wide" }, el("table", {}, el("tbody", {}, rows))) : el("p", {}, typeOf(schema));
}

function quote(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** The form of one operation: reads its inputs into a request. */
class Attempt {
  constructor(path, method, operation, shared) {
    Object.assign(this, { path, method, operation });
    this.parameters = [...shared, ...(operation.parameters || [])].filter((one) => one.name !== "X-Organization-Id");
    this.inputs = new Map();
    const content = operation.requestBody && operation.requestBody.content["application/json"];
    this.body = content ? el("textarea", { rows: 8, spellcheck: "false", "aria-label": "Body", oninput: () => this.refresh() }) : null;
    if (this.body) this.body.value = JSON.stringify(content.example ?? sample(content.schema), null, 2);
    this.curl = el("pre", { class: "curl" });
    this.result = el("div", { class: "result" });
    this.refresh = this.refresh.bind(this);
  }

  draw() {
    const rows = this.parameters.map((one) => {
      const input = el("input", { autocomplete: "off", spellcheck: "false", "aria-label": one.name, placeholder: one.required ? "required" : "", oninput: this.refresh });
      this.inputs.set(one, input);
      return el("tr", {},
        el("td", {}, el("code", {}, one.name), el("small", {}, ` ${one.in}`)),
        el("td", {}, input),
        el("td", {}, prose(one.description), el("small", {}, limits(one.schema))));
    });
    const copy = el("button", { type: "button", onclick: () => this.copy(copy) }, "Copy");
    const send = el("button", { type: "submit", class: "primary" }, "Send");
    const form = el("form", { onsubmit: (event) => { event.preventDefault(); this.send(send); } },
      rows.length ? el("div", { class: "wide" }, el("table", {}, el("tbody", {}, rows))) : null,
      this.body ? [el("h4", {}, "Body"), this.body] : null,
      this.curl, el("div", { class: "buttons" }, copy, send), this.result);
    this.refresh();
    return form;
  }

  /** Path with its parts and query, and the headers that the reader filled in. */
  read(fallback) {
    let path = this.path;
    const query = new URLSearchParams();
    const headers = {};
    for (const [one, input] of this.inputs) {
      const value = input.value;
      if (one.in === "path") path = path.replace(`{${one.name}}`, value ? encodeURIComponent(value) : fallback(one.name));
      else if (value && one.in === "query") value.split(",").forEach((part) => query.append(one.name, one.schema.type === "array" ? part : value));
      else if (value) headers[one.name] = value;
    }
    const organization = document.getElementById("organization").value;
    if (organization) headers["X-Organization-Id"] = organization;
    if (this.body) headers["Content-Type"] = "application/json";
    return { url: path + (query.size ? `?${query}` : ""), headers };
  }

  refresh() {
    const { url, headers } = this.read((name) => `{${name}}`);
    const lines = [`curl -sS${this.method === "get" ? "" : ` -X ${this.method.toUpperCase()}`} ${quote(location.origin + url)}`];
    if (!isPublic(this.operation)) lines.push(`-H "Authorization: Bearer $TOKEN"`);
    for (const [name, value] of Object.entries(headers)) lines.push(`-H ${quote(`${name}: ${value}`)}`);
    if (this.body && this.body.value) lines.push(`-d ${quote(compact(this.body.value))}`);
    this.curl.textContent = lines.join(" \\\n  ");
  }

  async copy(button) {
    await navigator.clipboard.writeText(this.curl.textContent);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  }

  async send(button) {
    const { url, headers } = this.read(() => "-");
    const token = document.getElementById("token").value.trim();
    if (token && !isPublic(this.operation)) headers.Authorization = `Bearer ${token}`;
    button.disabled = true;
    const begun = performance.now();
    try {
      const answer = await fetch(url, { method: this.method.toUpperCase(), headers, body: this.body ? this.body.value : undefined });
      const text = await answer.text();
      this.show(`${answer.status} ${answer.statusText} in ${Math.round(performance.now() - begun)} ms`, answer.ok, pretty(text));
    } catch (error) {
      this.show("No answer", false, String(error));
    } finally {
      button.disabled = false;
    }
  }

  show(title, good, text) {
    this.result.replaceChildren(el("h4", { class: good ? "good" : "bad" }, title), el("pre", {}, text || "(empty)"));
  }
}

function compact(text) {
  try { return JSON.stringify(JSON.parse(text)); } catch { return text; }
}

function pretty(text) {
  try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
}

function isPublic(operation) {
  return Array.isArray(operation.security) && operation.security.length === 0;
}

function drawAnswers(operation) {
  return Object.entries(operation.responses).map(([status, answer]) => {
    const content = answer.content && answer.content["application/json"];
    const good = status.startsWith("2");
    return el("details", { open: good ? "" : null },
      el("summary", {}, el("span", { class: good ? "status good" : "status bad" }, status), " ", answer.description),
      content && good ? el("pre", {}, JSON.stringify(content.example ?? sample(content.schema), null, 2)) : null,
      content ? fields(content.schema) : null);
  });
}

function drawOperation(path, method, operation, shared) {
  const name = operation.operationId || `${method}-${path}`;
  const body = operation.requestBody && operation.requestBody.content["application/json"];
  const attempt = new Attempt(path, method, operation, shared);
  return el("article", { id: name, class: "operation", "data-words": `${method} ${path} ${operation.summary}`.toLowerCase() },
    el("h3", {}, el("a", { href: `#${name}`, class: "anchor" }, operation.summary || name)),
    el("p", { class: "line" }, el("span", { class: `method ${method}` }, method.toUpperCase()), el("code", {}, path)),
    prose(operation.description),
    el("details", { open: "" }, el("summary", {}, "Try it"), attempt.draw()),
    body ? el("details", {}, el("summary", {}, "What it takes"), fields(body.schema)) : null,
    el("h4", {}, "What it answers"), drawAnswers(operation));
}

function draw() {
  const groups = new Map((spec.tags || []).map((tag) => [tag.name, { tag, items: [] }]));
  for (const [path, item] of Object.entries(spec.paths)) {
    for (const method of METHODS.filter((one) => item[one])) {
      const operation = item[method];
      const tag = (operation.tags || ["Other"])[0];
      if (!groups.has(tag)) groups.set(tag, { tag: { name: tag }, items: [] });
      groups.get(tag).items.push([path, method, operation, item.parameters || []]);
    }
  }
  document.getElementById("intro").replaceChildren(
    el("h1", {}, `${spec.info.title} `, el("small", {}, spec.info.version)), ...prose(spec.info.description));
  const contents = document.getElementById("contents");
  const main = document.getElementById("operations");
  for (const { tag, items } of groups.values()) {
    contents.append(el("h2", {}, tag.name), el("ul", {}, items.map(([path, method, operation]) =>
      el("li", { "data-words": `${method} ${path} ${operation.summary}`.toLowerCase() },
        el("a", { href: `#${operation.operationId}` }, el("span", { class: `method ${method}` }, method.toUpperCase()), " ", operation.summary.replace(/\.$/, ""))))));
    main.append(el("section", {}, el("h2", {}, tag.name), prose(tag.description), items.map((item) => drawOperation(...item))));
  }
}

function filter(event) {
  const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const node of document.querySelectorAll("[data-words]")) {
    node.hidden = !words.every((word) => node.dataset.words.includes(word));
  }
}

async function start() {
  spec = await (await fetch("/openapi.json")).json();
  draw();
  document.getElementById("filter").addEventListener("input", filter);
  document.getElementById("access").addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("organization").addEventListener("input", () => {
    for (const input of document.querySelectorAll(".operation form textarea, .operation form input")) {
      input.dispatchEvent(new Event("input"));
    }
  });
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

start();
