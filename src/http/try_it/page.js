// Shows /openapi.json and makes its calls. Everything is built of elements, never of markup: what the API answers is text.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];
let api = {};

/** An element with attributes and children; a child that is a string is text, and nothing is left out. */
function make(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === true) element.setAttribute(key, "");
    else if (value !== false && value != null) element.setAttribute(key, value);
  }
  element.append(...children.flat().filter((child) => child != null));
  return element;
}

/** What a reference leads to. */
function resolve(part) {
  let found = part;
  for (let hops = 0; found && found.$ref && hops < 20; hops++) {
    found = found.$ref.slice(2).split("/").reduce((place, name) => place && place[name.replace(/~1/g, "/").replace(/~0/g, "~")], api);
  }
  return found || {};
}

/** A schema's type in a few words. */
function kind(schema, depth = 0) {
  const named = schema.$ref && schema.$ref.split("/").pop();
  const own = resolve(schema);
  const some = own.oneOf || own.anyOf;
  if (some && depth < 3) return some.map((one) => kind(one, depth + 1)).join(" or ");
  if (own.allOf) return named || "object";
  const types = [].concat(own.type || "any");
  const text = types.map((type) => (type === "array" ? `list of ${kind(own.items || {}, depth + 1)}` : type)).join(" or ");
  return named && types.includes("object") ? named : own.format ? `${text}, ${own.format}` : text;
}

/** What a field's own description says, or that of what it refers to. */
function says(field) {
  const forms = (field.oneOf || field.anyOf || []).map((one) => one.description);
  return field.description || forms.find(Boolean) || resolve(field).description || "";
}

/** What a schema asks beyond its type. */
function bounds(schema) {
  const own = resolve(schema);
  const said = [];
  if (own.enum) said.push(`one of ${own.enum.join(", ")}`);
  for (const [key, word] of [["minimum", "at least"], ["maximum", "at most"], ["minLength", "at least (characters)"],
    ["maxLength", "at most (characters)"], ["maxItems", "at most (items)"], ["pattern", "like"], ["default", "if left out:"]]) {
    if (own[key] !== undefined) said.push(`${word} ${own[key]}`);
  }
  return said.join("; ");
}

/** An example of a schema: what a body's field begins with. */
function example(schema, depth = 0) {
  const own = resolve(schema);
  if (own.example !== undefined) return own.example;
  if (own.examples && own.examples.length) return own.examples[0];
  if (own.default !== undefined) return own.default;
  if (own.enum) return own.enum[0];
  if (depth > 6) return null;
  const some = own.oneOf || own.anyOf;
  if (some) return example(some.find((one) => one.type !== "null") || some[0], depth + 1);
  if (own.allOf) return Object.assign({}, ...own.allOf.map((one) => example(one, depth + 1)));
  const type = [].concat(own.type || "object").find((one) => one !== "null");
  if (type === "array") return [example(own.items || {}, depth + 1)];
  if (type === "integer" || type === "number") return own.minimum || 0;
  if (type === "boolean") return false;
  if (type === "string") return "";
  const fields = Object.entries(own.properties || {}).filter(([name]) => (own.required || []).includes(name));
  return Object.fromEntries(fields.map(([name, field]) => [name, example(field, depth + 1)]));
}

/** The object that a schema is, or is a list of; nothing if it is neither. */
function inside(schema) {
  const own = resolve(schema);
  const some = (own.oneOf || own.anyOf || []).filter((one) => one.type !== "null");
  if (some.length === 1) return inside(some[0]);
  if (some.length > 1 || own.allOf || own.properties) return schema;
  return own.items ? inside(own.items) : null;
}

/** A schema's fields as a table; what has none is said in a line. */
function fields(schema, depth = 0) {
  let own = resolve(schema);
  if (own.allOf) {
    const parts = own.allOf.map(resolve);
    own = { properties: Object.assign({}, ...parts.map((one) => one.properties)), required: parts.flatMap((one) => one.required || []) };
  }
  const some = own.oneOf || own.anyOf;
  if (some) return make("div", {}, some.filter((one) => one.type !== "null").map((one) => make("div", {}, make("p", { class: "kind" }, `one form: ${kind(one)}`), fields(one, depth))));
  if ([].concat(own.type || []).includes("array")) return make("div", {}, make("p", { class: "kind" }, kind(schema)), fields(own.items || {}, depth));
  if (!own.properties) return make("p", { class: "kind" }, kind(schema), " ", bounds(schema));
  const rows = Object.entries(own.properties).map(([name, field]) =>
    make("tr", {}, make("th", { scope: "row" }, make("code", {}, name), (own.required || []).includes(name) ? make("span", { class: "required" }, " required") : null),
      make("td", {}, make("span", { class: "kind" }, kind(field)), make("p", {}, says(field)), make("p", { class: "quiet" }, bounds(field)), below(field, depth))));
  return make("table", {}, make("tbody", {}, rows));
}

/** What a field holds, folded. */
function below(field, depth) {
  const object = inside(field);
  if (!object || depth > 4) return null;
  const element = make("details", {}, make("summary", {}, `what ${kind(object)} holds`));
  element.addEventListener("toggle", () => element.childElementCount > 1 || element.append(fields(object, depth + 1)));
  return element;
}

/** Paragraphs of a description. */
function paragraphs(text) {
  return (text || "").split("\n\n").filter(Boolean).map((part) => make("p", {}, part));
}

/** A field for a parameter. */
function field(parameter, id) {
  const schema = resolve(parameter.schema || {});
  const shape = schema.oneOf ? resolve(schema.oneOf.find((one) => one.type !== "null")) : schema;
  const described = make("span", { id: `${id}-says`, class: "quiet" }, [parameter.description, shape.enum ? "" : bounds(shape)].filter(Boolean).join(" · "));
  const attributes = { id, "aria-describedby": described.id, "data-name": parameter.name, "data-in": parameter.in, autocomplete: "off", required: parameter.required };
  const input = shape.enum
    ? make("select", attributes, make("option", { value: "" }, ""), shape.enum.map((one) => make("option", {}, one)))
    : make("input", { ...attributes, placeholder: parameter.example || shape.example || "" });
  const label = make("label", { for: id }, make("code", {}, parameter.name), " ", make("span", { class: "kind" }, `${parameter.in}, ${kind(parameter.schema || {})}`),
    parameter.required ? make("span", { class: "required" }, " required") : null);
  return make("div", {}, label, input, described);
}

/** Which scope a call needs, in words. */
function scope(operation) {
  const needs = operation.security || api.security || [];
  if (needs.length === 0 || needs.some((one) => Object.keys(one).length === 0)) return "No API key is needed.";
  const scopes = needs.flatMap((one) => Object.values(one).flat());
  return scopes.length ? `Needs an API key with the scope ${scopes.join(" or ")}.` : "Needs an API key.";
}

/** Puts what the form says into a request. */
function request(path, method, form, type) {
  const headers = new Headers();
  const query = new URLSearchParams();
  let url = path;
  for (const input of form.querySelectorAll("[data-in]")) {
    const { name, in: place } = input.dataset;
    if (place === "path") url = url.replace(`{${name}}`, encodeURIComponent(input.value));
    else if (input.value === "") continue;
    else if (place === "query") query.append(name, input.value);
    else headers.set(name, input.value);
  }
  const key = document.getElementById("key").value.trim();
  if (key) headers.set("authorization", `Bearer ${key}`);
  const body = form.querySelector("textarea");
  if (body && body.value) headers.set("content-type", type);
  if ([...query].length) url += `?${query}`;
  return [url, { method: method.toUpperCase(), headers, body: body && body.value ? body.value : undefined, credentials: "omit", cache: "no-store" }];
}

/** Makes the call and shows what came of it. */
async function call(event, path, method, type, answer) {
  event.preventDefault();
  const button = event.target.querySelector("button");
  button.disabled = true;
  answer.replaceChildren(make("p", {}, "Asking…"));
  const begun = performance.now();
  try {
    const [url, options] = request(path, method, event.target, type);
    const response = await fetch(url, options);
    const text = await response.text();
    const took = Math.round(performance.now() - begun);
    let shown = text;
    try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* no JSON: as it is */ }
    const headers = [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
    answer.replaceChildren(
      make("p", {}, make("span", { class: response.ok ? "good" : "bad" }, `${response.status} ${response.statusText}`), ` in ${took} ms · ${options.method} ${url}`),
      make("details", {}, make("summary", {}, "Headers"), make("pre", {}, headers)),
      make("pre", { tabindex: "0", "aria-label": "Body" }, shown || "(no body)"));
  } catch (problem) {
    answer.replaceChildren(make("p", { class: "bad" }, `No answer: ${problem.message}`));
  } finally {
    button.disabled = false;
  }
}

/** What an operation answers. */
function answers(operation) {
  return Object.entries(operation.responses || {}).map(([status, reference]) => {
    const response = resolve(reference);
    const content = Object.entries(response.content || {});
    const means = make("summary", {}, make("code", {}, status), ` ${response.description || ""}`);
    return make("details", {}, means, content.map(([type, one]) => make("div", {}, make("p", { class: "kind" }, type), fields(one.schema || {}))));
  });
}

/** An operation, folded; it is filled when it is opened. */
function operation(path, method, one) {
  const id = one.operationId || `${method}${path}`;
  const inner = make("div", {});
  const summary = make("summary", {}, make("span", { class: "method" }, method.toUpperCase()), " ", make("span", { class: "path" }, path), " ", make("span", { class: "said" }, one.summary || ""));
  const element = make("details", { class: "operation", id, "data-words": `${method} ${path} ${one.summary || ""} ${one.description || ""}`.toLowerCase() }, summary, inner);
  element.addEventListener("toggle", () => {
    if (!element.open || inner.childElementCount) return;
    const parameters = (one.parameters || []).map(resolve);
    const body = one.requestBody && resolve(one.requestBody);
    const [type, content] = body ? Object.entries(body.content)[0] : [];
    const answer = make("div", { role: "status", "aria-live": "polite" });
    const text = content && (type.includes("json") ? JSON.stringify(example(content.schema || {}), null, 2) : "");
    const form = make("form", {},
      parameters.map((parameter, index) => field(parameter, `${id}-${index}`)),
      content ? [make("label", { for: `${id}-body` }, "Body ", make("span", { class: "kind" }, type)), make("textarea", { id: `${id}-body`, spellcheck: "false" }, text)] : null,
      make("button", {}, `${method.toUpperCase()} it`));
    form.addEventListener("submit", (event) => call(event, path, method, type, answer));
    inner.append(...paragraphs(one.description), make("p", { class: "quiet" }, scope(one)), form, answer);
    if (content) inner.append(make("h3", {}, "What it takes"), ...paragraphs(body.description), fields(content.schema || {}));
    inner.append(make("h3", {}, "What it answers"), ...answers(one));
  });
  return element;
}

/** Shows only what has every word that is looked for. */
function find(words) {
  for (const element of document.querySelectorAll("details.operation")) {
    element.hidden = !words.every((word) => element.dataset.words.includes(word));
  }
  for (const section of document.querySelectorAll("section")) {
    section.hidden = !section.querySelector("details.operation:not([hidden])");
  }
}

/** Opens what the address names. */
function open() {
  const named = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (named && named.tagName === "DETAILS") named.open = true;
}

async function show() {
  const main = document.getElementById("operations");
  try {
    api = await (await fetch("/openapi.json", { credentials: "omit" })).json();
  } catch (problem) {
    main.replaceChildren(make("p", { class: "bad" }, `The description cannot be read: ${problem.message}`));
    return;
  }
  document.getElementById("version").textContent = api.info.version;
  document.getElementById("about").append(...paragraphs(api.info.description));
  const sections = (api.tags || []).map((tag) => {
    const own = Object.entries(api.paths).flatMap(([path, item]) =>
      METHODS.filter((method) => item[method] && (item[method].tags || []).includes(tag.name)).map((method) => operation(path, method, item[method])));
    const title = tag.name.replaceAll("-", " ");
    document.getElementById("tags").append(make("a", { href: `#tag-${tag.name}` }, title));
    return make("section", { id: `tag-${tag.name}`, "aria-label": title }, make("h2", {}, title), make("p", { class: "quiet" }, tag.description || ""), own);
  });
  main.replaceChildren(...sections);
  document.getElementById("find").addEventListener("input", (event) => find(event.target.value.toLowerCase().split(/\s+/).filter(Boolean)));
  addEventListener("hashchange", open);
  open();
}

show();
