// The browser part: collect a card, hand its token to our own server, take the buyer through the bank's question.
"use strict";

const root = document.getElementById("shop");
const said = document.getElementById("said");
const token = () => document.cookie.match(/csrftoken=([^;]+)/)[1];
let shown, key;

async function ask(verb, body = {}) {
  const headers = { "Content-Type": "application/json", "X-CSRFToken": token() };
  const answer = await fetch(`${root.dataset.url}/${verb}`, { method: "POST", headers, body: JSON.stringify(body) });
  const content = await answer.json();
  // Nothing is charged when an order changed since the buyer saw it: show what it comes to now, and let them decide.
  if (content.error?.code === "ORDER_CHANGED_REFRESH_REQUIRED") return show(await ask("read"), "The total changed.");
  if (content.error) throw new Error(content.error.message);
  return content;
}

// In real life this is Stripe's Payment Element, made from `payment_collection`:
//
//   const { publishable_key, account_id, return_url, elements } = shown.payment_collection.stripe;
//   const stripe = Stripe(publishable_key, { stripeAccount: account_id });
//   const fields = stripe.elements({ mode: elements.mode, paymentMethodCreation: elements.payment_method_creation,
//     amount: elements.amount_money.amount, currency: elements.amount_money.currency.toLowerCase() });
//   fields.create("payment").mount("#card");
//   … on submit: await fields.submit();
//   const { confirmationToken } = await stripe.createConfirmationToken({ elements: fields, params: { return_url } });
//
// The sandbox has published tokens instead, one for each way that a card can behave.
const collect = async () => document.getElementById("card").value;

// In real life: await stripe.handleNextAction({ clientSecret }), and then resume, whatever it says.
// The sandbox's bank is a page of its own, which leads back here.
const take = (action) => { location.href = `/sandbox/3ds/${action.stripe.payment_intent.client_secret}`; };

function show(state, words = "") {
  shown = state;
  key = crypto.randomUUID(); // A new wish to pay. A lost answer is asked for again with the same one.
  const { amount, currency } = state.outstanding_money;
  const money = new Intl.NumberFormat(document.documentElement.lang, { style: "currency", currency });
  document.getElementById("total").textContent = money.format(amount / 10 ** money.resolvedOptions().maximumFractionDigits);
  document.getElementById("status").textContent = state.attempt_status || state.payment_status;
  document.getElementById("answer").textContent = JSON.stringify(state, null, 2);
  root.dataset.state = state.payment_status === "paid" ? "paid" : state.client_action ? "acting" : "open";
  said.textContent = {
    paid: "Thank you. The bag is yours.",
    acting: "Your bank wants to know that it is you.",
    open: words || state.declined?.message || "",
  }[root.dataset.state];
  return state;
}

const on = (id, doing) => document.getElementById(id).addEventListener("click", async (event) => {
  event.target.setAttribute("aria-disabled", "true");
  try { await doing(); } catch (error) { said.textContent = error.message; }
  event.target.removeAttribute("aria-disabled");
});

on("buy", async () => show(await ask("start")));
on("again", async () => show(await ask("start")));
on("pay", async () => {
  const body = { confirmation_token: await collect(), seen_money: shown.outstanding_money, key };
  show(await ask("pay", body));
});
on("bank", async () => take(shown.client_action));
on("resume", async () => show(await ask("resume")));

// Back from the bank, or reloaded: ask what came of it. Nothing in the address is believed.
if ("order" in root.dataset) ask("resume").then(show, (error) => { said.textContent = error.message; });
