// Keeps what a page shows of something under way up to date, in its place, so that nobody who reads it is thrown back.
// A page without scripts loads itself again instead.

const follow = async () => {
  const shown = document.querySelector("[data-follow]");
  if (!shown) return;
  try {
    const answer = await fetch(location.href, { credentials: "same-origin" });
    if (answer.ok) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const now = page.querySelector("[data-followed]");
      if (now) document.querySelector("[data-followed]").replaceWith(document.importNode(now, true));
    }
  } catch {
    // The network is gone for a moment; the next look is due all the same.
  }
  setTimeout(follow, 1000 * Number(shown.dataset.follow));
};

setTimeout(follow, 1000);
