// The processor's own form: it collects, the server confirms. Nothing of a card passes through our page.
"use strict";

const stripeFor = (place) => window.Stripe(place.dataset.key, place.dataset.account ? { stripeAccount: place.dataset.account } : {});

const place = document.getElementById("payment-element");
if (place) {
  const form = place.closest("form");
  const said = document.getElementById("element-problem");
  const button = form.querySelector("button[data-busy]");
  const label = button.textContent;
  const busy = (isBusy) => {
    button.textContent = isBusy ? button.dataset.busy : label;
    button.toggleAttribute("aria-disabled", isBusy);
    if (isBusy) button.setAttribute("aria-disabled", "true");
  };
  const stop = (words) => {
    said.textContent = words;
    said.hidden = false;
    busy(false);
  };
  place.replaceChildren();
  if (!window.Stripe) {
    stop(said.dataset.unreachable);
  } else {
    const stripe = stripeFor(place);
    const elements = stripe.elements({
      mode: "payment", amount: Number(place.dataset.amount), currency: place.dataset.currency,
      locale: place.dataset.locale, paymentMethodCreation: "manual",
    });
    elements.create("payment").mount(place);
    // What is kept has to be collected for that.
    const keep = form.elements.save;
    const choose = () => elements.update({ setupFutureUsage: keep.checked ? "on_session" : null });
    if (keep) {
      keep.addEventListener("change", choose);
      if (keep.checked) choose();
    }
    const isSaved = () => Boolean(new FormData(form).get("saved"));
    form.addEventListener("submit", async (event) => {
      if (form.elements.confirmation_token.value || isSaved()) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      if (form.dataset.collecting) return;
      form.dataset.collecting = "yes";
      said.hidden = true;
      busy(true);
      try {
        const checked = await elements.submit();
        if (checked.error) return stop(checked.error.message);
        const made = await stripe.createConfirmationToken({ elements, params: { return_url: place.dataset.return } });
        if (made.error) return stop(made.error.message);
        form.elements.confirmation_token.value = made.confirmationToken.id;
        // Not at once: a form that is still telling its listeners of one submission begins no other.
        setTimeout(() => form.requestSubmit());
      } catch {
        stop(said.dataset.unreachable);
      } finally {
        delete form.dataset.collecting;
      }
    }, { capture: true });
  }
}

// Whatever the library says of the step, the server asks what came of it.
const step = document.getElementById("next-action");
if (step && step.dataset.secret && window.Stripe) {
  stripeFor(step).handleNextAction({ clientSecret: step.dataset.secret }).finally(() => { location.href = step.dataset.return; });
}
