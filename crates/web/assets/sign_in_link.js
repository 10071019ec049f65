// Opens a one-time link and lets its owner choose a password. The link is opened only at a press of the
// button, so that a program that looks at links in mails does not use it up.
"use strict";

const language = navigator.language.toLowerCase().startsWith("pl") ? "pl" : "en";
const find = (id) => document.getElementById(id);
const texts = {
  en: {
    used: "The link is used up or too old. Ask whoever gave it to you for another one.",
    choose: "You are signed in. Choose a password for the next time.",
    create: "You are signed in as the reseller. Create your account, with which you sign in from now on.",
    done: "Done. The password is saved, and you are signed in.",
    away: "The server cannot be reached. Please try again.",
  },
  pl: {
    used: "Link jest już zużyty lub zbyt stary. Poproś o nowy osobę, która go przekazała.",
    choose: "Zalogowano. Ustaw hasło na następny raz.",
    create: "Zalogowano jako sprzedawca. Utwórz konto do następnych logowań.",
    done: "Gotowe. Hasło jest zapisane, sesja trwa.",
    away: "Serwer jest nieosiągalny. Spróbuj ponownie.",
  },
}[language];

let session = null;

function show(form, text, bad) {
  for (const one of ["open", "account", "password", "next"]) find(one).hidden = one !== form;
  find("message").textContent = text;
  find("message").className = bad ? "status bad" : "status";
  const field = form === "next" ? null : find(form)?.querySelector("input:not([readonly])");
  if (field) field.focus();
}

// The answer of the API; what it refuses is an error with its text.
async function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  if (session) headers["X-CSRF-Token"] = session.csrf_token;
  let answer;
  try {
    answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  } catch {
    throw new Error(texts.away);
  }
  const content = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(content.error), { status: answer.status });
  return content;
}

async function open(token) {
  session = await post("/api/v1/auth/link", { token });
}

async function choose(password) {
  session = await post("/api/v1/auth/password", { new: password });
  show("next", texts.done);
}

function on(form, work) {
  find(form).addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = find(form).querySelector("button");
    button.disabled = true;
    try {
      await work(Object.fromEntries(new FormData(find(form))));
    } catch (error) {
      const isUsed = form === "open" && error.status === 401;
      show(isUsed ? "none" : form, isUsed ? texts.used : error.message, true);
    } finally {
      button.disabled = false;
    }
  });
}

on("open", async () => {
  await open(location.hash.slice(1));
  // What has signed in once stays in no history.
  history.replaceState(null, "", location.pathname);
  if (session.account) {
    // So that a password manager knows whose password it is.
    find("password").elements.email.value = session.account.email;
    show("password", texts.choose);
  } else show("account", texts.create);
});
on("password", async ({ password }) => choose(password));
on("account", async ({ email, name, password }) => {
  const made = await post("/api/v1/accounts", { email, name, role: "reseller" });
  const link = await post(`/api/v1/accounts/${encodeURIComponent(made.account.id)}/link`, {});
  await open(link.token);
  await choose(password);
});

document.documentElement.lang = language;
for (const one of document.querySelectorAll("[data-en]")) one.textContent = one.dataset[language];
if (location.hash.length < 2) show("none", texts.used, true);
