// Niceties of the hosted page. It pays without any of them.
"use strict";

// One click pays once: the form's own key makes a second one harmless, this only says that it works.
for (const form of document.querySelectorAll("form[data-once]")) {
  const button = form.querySelector("button[data-busy]");
  form.elements.timezone.value = Intl.DateTimeFormat().resolvedOptions().timeZone || "";
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) return event.preventDefault();
    if (event.defaultPrevented) return;
    form.dataset.sent = "yes";
    // Not "disabled", which would take the focus away.
    button.setAttribute("aria-disabled", "true");
    button.textContent = button.dataset.busy;
    form.querySelector("[data-said]").textContent = button.dataset.busy;
  });
}

// Where the shop writes to those who leave, an address is kept as soon as it was typed; the page says so.
const email = document.querySelector("input[data-kept]");
if (email) {
  email.addEventListener("change", () => {
    if (!email.value || !email.checkValidity()) return;
    const typed = new FormData();
    for (const name of ["csrfmiddlewaretoken", "email", "timezone"]) typed.set(name, email.form.elements[name].value);
    fetch(email.dataset.kept, { method: "POST", body: typed, keepalive: true }).catch(() => {});
  });
}

// The browser's back button shows a page from memory, whose form was sent already: look at it afresh.
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

// Only what is asked for of the chosen way to pay is needed.
const sources = document.querySelector(".sources");
if (sources) {
  const form = sources.closest("form");
  const need = () => {
    for (const source of sources.querySelectorAll(".source")) {
      const isShown = source.checkVisibility ? source.checkVisibility() : source.offsetParent !== null;
      for (const input of source.querySelectorAll("[data-needed]")) input.required = isShown;
    }
  };
  form.addEventListener("change", need);
  need();
}

const groups = (text, size, between) => (text.replace(/\D/g, "").match(new RegExp(`.{1,${size}}`, "g")) || []).join(between);
for (const input of document.querySelectorAll("[data-card]")) {
  input.addEventListener("input", () => { if (input.selectionStart === input.value.length) input.value = groups(input.value, 4, " "); });
}
for (const input of document.querySelectorAll("[data-expiry]")) {
  input.addEventListener("input", (event) => {
    if (input.selectionStart !== input.value.length || event.inputType === "deleteContentBackward") return;
    const digits = input.value.replace(/\D/g, "").slice(0, 4);
    input.value = digits.length > 2 ? `${digits.slice(0, 2)}/${digits.slice(2)}` : digits;
  });
}

const problem = document.getElementById("problem");
if (problem) problem.focus();

// Look again when there may be something new, and show it only then: what was typed stays as long as it can be used.
const main = document.querySelector("main[data-mark]");
if (main) {
  const look = async () => {
    const answer = await fetch(main.dataset.state, { headers: { Accept: "application/json" } }).catch(() => null);
    if (!answer || !answer.ok) return;
    const { mark } = await answer.json();
    const isOpenStill = mark.startsWith("open ") && main.dataset.mark.startsWith("open ");
    const isPaying = document.querySelector("form[data-sent]");
    if (mark !== main.dataset.mark && !isOpenStill && !isPaying) location.reload();
  };
  addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
  if ("watch" in main.dataset) {
    let wait = 1000;
    const watch = async () => {
      if (!document.hidden) await look();
      wait = Math.min(wait * 1.4, 5000);
      setTimeout(watch, wait);
    };
    setTimeout(watch, wait);
  }
}
