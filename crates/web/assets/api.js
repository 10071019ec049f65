// The page that tries the API: it reads the description and makes a form of each operation. Everything
// from the server is put in as text, never as markup.
"use strict";

const byId = (id) => document.getElementById(id);
const token = byId("token");
token.value = sessionStorage.getItem("token") || "";
token.addEventListener("change", () => sessionStorage.setItem("token", token.value));
byId("access").addEventListener("submit", (event) => event.preventDefault());

async function csrfToken() {
  const answer = await fetch("/api/v1/auth/session", { credentials: "same-origin" });
  if (!answer.ok) return null;
  return (await answer.json()).csrf_token || null;
}

function schemaOf(document, schema, depth) {
  if (!schema || depth > 6) return {};
  if (schema.$ref) return schemaOf(document, document.components.schemas[schema.$ref.split("/").pop()], depth + 1);
  return schema;
}

function example(document, schema, depth = 0) {
  const known = schemaOf(document, schema, depth);
  if (known.example !== undefined) return known.example;
  const options = known.oneOf || known.anyOf;
  if (options) return example(document, options.find((one) => one.type !== "null") || options[0], depth + 1);
  const type = Array.isArray(known.type) ? known.type.find((one) => one !== "null") : known.type;
  if (known.enum) return known.enum[0];
  if (type === "object" && known.properties && depth < 6) {
    const wanted = known.required || [];
    const fields = Object.entries(known.properties).filter(([name]) => wanted.includes(name) || depth === 0);
    return Object.fromEntries(fields.map(([name, field]) => [name, example(document, field, depth + 1)]));
  }
  if (type === "array") return [];
  if (type === "integer" || type === "number") return 0;
  if (type === "boolean") return false;
  return type === "object" ? {} : "";
}

function input(parameter) {
  const label = document.createElement("label");
  label.textContent = parameter.name + (parameter.required ? " *" : "");
  label.title = parameter.description || "";
  const field = document.createElement("input");
  field.name = parameter.name;
  field.dataset.place = parameter.in;
  field.required = parameter.in === "path";
  field.placeholder = (parameter.description || "").split("\n")[0];
  label.append(field);
  return label;
}

function addressOf(path, fields) {
  const query = new URLSearchParams();
  let address = path;
  for (const field of fields) {
    if (field.dataset.place === "path") address = address.replace(`{${field.name}}`, encodeURIComponent(field.value));
    else if (field.value !== "") query.set(field.name, field.value);
  }
  return query.size > 0 ? `${address}?${query}` : address;
}

async function send(method, path, form) {
  const status = form.querySelector(".status");
  const shown = form.querySelector(".answer");
  const request = { method, headers: {}, credentials: "same-origin" };
  if (token.value) request.headers.Authorization = `Bearer ${token.value}`;
  else if (method !== "GET") {
    const csrf = await csrfToken();
    if (csrf) request.headers["X-CSRF-Token"] = csrf;
  }
  const area = form.querySelector(".body");
  if (!area.hidden) {
    request.headers["Content-Type"] = "application/json";
    request.body = area.querySelector("textarea").value;
  }
  status.className = "status";
  status.textContent = "Sending …";
  const start = performance.now();
  try {
    const answer = await fetch(addressOf(path, form.querySelectorAll("input[data-place]")), request);
    const text = await answer.text();
    status.textContent = `${answer.status} ${answer.statusText}, ${Math.round(performance.now() - start)} ms, ${text.length} characters`;
    status.classList.add(answer.ok ? "ok" : "bad");
    // Shown as it came where it is long or no JSON; numbers keep the digits that the server sent.
    shown.textContent = text.length > 200000 ? text.slice(0, 200000) + " …" : text;
    shown.hidden = false;
  } catch (error) {
    status.textContent = `No answer: ${error.message}`;
    status.classList.add("bad");
  }
}

function show(description, method, path, operation) {
  const part = byId("operation").content.cloneNode(true);
  const set = (selector, text) => { part.querySelector(selector).textContent = text; };
  set(".method", method.toUpperCase());
  set(".path", path);
  set(".title", operation.summary || "");
  set(".access", operation["x-access"] || "");
  set(".description", operation.description || "");
  const fields = part.querySelector(".fields");
  for (const parameter of operation.parameters || []) fields.append(input(parameter));
  const content = operation.requestBody && operation.requestBody.content;
  const json = content && content["application/json"];
  if (json) {
    part.querySelector(".body").hidden = false;
    part.querySelector("textarea").value = JSON.stringify(example(description, json.schema), null, 2);
    set(".schema", JSON.stringify(schemaOf(description, json.schema, 0), null, 2));
  }
  const form = part.querySelector("form.call");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(method.toUpperCase(), path, form);
  });
  part.firstElementChild.dataset.text = `${method} ${path} ${operation.summary || ""}`.toLowerCase();
  return part;
}

async function start() {
  const main = byId("operations");
  let description;
  try {
    const answer = await fetch("/api/openapi.json");
    if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
    description = await answer.json();
  } catch (error) {
    main.textContent = `The description could not be loaded: ${error.message}. Reload the page to try again.`;
    return;
  }
  const groups = new Map();
  for (const [path, methods] of Object.entries(description.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const name = (operation.tags || ["other"])[0];
      if (!groups.has(name)) groups.set(name, []);
      groups.get(name).push(show(description, method, path, operation));
    }
  }
  for (const [name, parts] of groups) {
    const section = document.createElement("section");
    const title = document.createElement("h2");
    title.textContent = name;
    section.append(title, ...parts);
    main.append(section);
  }
  byId("search").addEventListener("input", (event) => {
    const wanted = event.target.value.trim().toLowerCase();
    for (const one of main.querySelectorAll(".operation")) one.hidden = !one.dataset.text.includes(wanted);
    for (const section of main.querySelectorAll("section")) {
      section.hidden = !section.querySelector(".operation:not([hidden])");
    }
  });
}

start();
