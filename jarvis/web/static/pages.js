// Pages that look again while they are seen, and buttons that copy. Without this script every page works, and stays as it was loaded.
(() => {
  "use strict";

  const seconds = Number(document.body.dataset.refresh);
  const state = document.querySelector(".state");
  // What the server sent of each part, before a script dressed it.
  const sent = new Map([...document.querySelectorAll("[data-live]")].map((part) => [part.id, part.innerHTML]));
  let looked = Date.now();
  let asking = null;

  // A page as a document: no text is ever turned into HTML here.
  const fetchPage = (address, then, otherwise) => {
    const request = new XMLHttpRequest();
    request.open("GET", address);
    request.responseType = "document";
    request.timeout = 20_000;
    request.onload = () => (request.status === 200 && request.response ? then(request.response) : otherwise(request.status));
    request.onerror = request.ontimeout = () => otherwise(0);
    request.send();
    return request;
  };

  const isInUse = (part) => {
    const selection = document.getSelection();
    return part.contains(document.activeElement) || (selection && !selection.isCollapsed && part.contains(selection.anchorNode));
  };

  // What somebody reads with the keyboard or has marked is not taken from under them; it is renewed the next time.
  const renew = (fresh) => {
    for (const part of document.querySelectorAll("[data-live]")) {
      const other = fresh.getElementById(part.id);
      if (!other || isInUse(part) || other.innerHTML === sent.get(part.id)) continue;
      sent.set(part.id, other.innerHTML);
      part.replaceChildren(...document.adoptNode(other).childNodes);
    }
    dress(document);
  };

  const say = (text, late) => {
    state.textContent = text;
    state.classList.toggle("late", late);
  };

  const look = () => {
    if (document.visibilityState !== "visible" || asking) return;
    asking = fetchPage(
      location.href,
      (fresh) => { asking = null; looked = Date.now(); say("", false); renew(fresh); },
      (status) => { asking = null; looked = Date.now(); say(status ? `, and not renewed since (${status})` : ", and the server has not answered since", true); },
    );
  };

  if (seconds > 0) {
    setInterval(look, seconds * 1000);
    document.addEventListener("visibilitychange", () => { if (Date.now() - looked > seconds * 1000) look(); });
  }

  const mark = (node) => {
    const range = document.createRange();
    range.selectNodeContents(node);
    const selection = document.getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
  };

  document.addEventListener("click", async (event) => {
    const button = event.target.closest(".copy");
    if (!button) return;
    const label = button.firstChild;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      label.nodeValue = "copied";
    } catch {
      // Browsers copy for pages of loopback or TLS alone; elsewhere the text is marked, to be copied by hand.
      mark(button.parentElement.querySelector("code"));
      label.nodeValue = "marked";
    }
    setTimeout(() => { label.nodeValue = "copy"; }, 1500);
  });

  // What a browser alone can offer, and what is only reached with the keyboard where it does not fit.
  const dress = (root) => {
    for (const button of root.querySelectorAll(".copy[hidden]")) button.hidden = false;
    for (const box of root.querySelectorAll(".scroll")) {
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
    root.dispatchEvent(new CustomEvent("dressed"));
  };

  const fetchLater = (place) => {
    fetchPage(
      place.dataset.later,
      (fresh) => { const later = fresh.getElementById("later"); if (later) place.replaceChildren(document.adoptNode(later)); dress(document); },
      () => {},
    );
  };

  document.addEventListener("DOMContentLoaded", () => {
    dress(document);
    document.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  });
  for (const place of document.querySelectorAll("[data-later]")) fetchLater(place);
  addEventListener("resize", () => dress(document));
})();
