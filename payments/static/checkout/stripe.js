// The processor's own form: it collects, the server confirms. Nothing of a card passes through our page.
"use strict";

const stripeFor = (place) => window.Stripe(place.dataset.key, place.dataset.account ? { stripeAccount: place.dataset.account } : {});

const place = document.getElementById("payment-element");
if (place) {
  const stripe = stripeFor(place);
  const form = place.closest("form");
  const said = document.getElementById("element-problem");
  const elements = stripe.elements({
    mode: "payment", amount: Number(place.dataset.amount), currency: place.dataset.currency, locale: place.dataset.locale,
    paymentMethodCreation: "manual",
  });
  elements.create("payment").mount(place);
  const stop = (words) => {
    said.textContent = words;
    said.hidden = false;
    delete form.dataset.sent;
    const button = form.querySelector("button[data-busy]");
    button.disabled = false;
  };
  form.addEventListener("submit", async (event) => {
    if (form.elements.confirmation_token.value) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (form.dataset.collecting) return;
    form.dataset.collecting = "yes";
    said.hidden = true;
    try {
      const checked = await elements.submit();
      if (checked.error) return stop(checked.error.message);
      const made = await stripe.createConfirmationToken({ elements, params: { return_url: place.dataset.return } });
      if (made.error) return stop(made.error.message);
      form.elements.confirmation_token.value = made.confirmationToken.id;
      form.requestSubmit();
    } finally {
      delete form.dataset.collecting;
    }
  }, { capture: true });
}

const step = document.getElementById("next-action");
if (step) {
  stripeFor(step).handleNextAction({ clientSecret: step.dataset.secret }).finally(() => { location.href = step.dataset.return; });
}
