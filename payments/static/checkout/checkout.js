// Niceties of the hosted page. It pays without any of them.
"use strict";

// One click pays once: the form's own key makes a second one harmless, this only says that it works.
for (const form of document.querySelectorAll("form[data-once]")) {
  form.addEventListener("submit", (event) => {
    const button = form.querySelector("button[data-busy]");
    if (form.dataset.sent) return event.preventDefault();
    if (event.defaultPrevented) return;
    form.dataset.sent = "yes";
    button.disabled = true;
    button.textContent = button.dataset.busy;
  });
}

// The browser's back button shows a page from memory, whose form was sent already: look at it afresh.
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

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
if (problem) { problem.tabIndex = -1; problem.focus(); }
