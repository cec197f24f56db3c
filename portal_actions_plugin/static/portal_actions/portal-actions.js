// Makes a page live: asks for it again while it can change, and changes what is different and nothing else.
// Without this script everything is there but that, copying at a click, and times that go on.
"use strict";
(() => {
  const root = document.querySelector(".portal-actions");
  if (!root) return;
  const news = root.querySelector("[data-pa-news]");
  const all = (selector) => root.querySelectorAll(selector);
  root.classList.add("pa-js");

  // Told to a screen reader; trouble is also seen.
  const say = (text, trouble = false) => {
    if (news.textContent !== text) news.textContent = text;
    news.classList.toggle("pa-hidden", !trouble);
    root.classList.toggle("pa-stale", trouble);
  };

  // -- times that go on, by the server's clock --

  const UNITS = [[86400, "d"], [3600, "h"], [60, "m"], [1, "s"], [0, "s"]];
  let ahead = 0;
  const now = () => Date.now() - ahead;
  const setClock = (page) => { ahead = Date.now() - Date.parse(page.dataset.paNow); };
  const since = (moment) => Math.max(0, Math.floor((now() - Date.parse(moment)) / 1000));
  const write = (node, text) => { if (node.textContent !== text) node.textContent = text; };

  const rounded = (seconds) => {
    const [length, unit] = UNITS.find(([size]) => seconds >= size);
    return Math.floor(seconds / (length || 1)) + unit;
  };
  const whole = (seconds) => {
    const [length] = UNITS.find(([size]) => seconds >= size);
    const rest = length > 1 ? seconds % length : 0;
    const [smaller] = UNITS[UNITS.findIndex(([size]) => size === length) + 1] || [1];
    return rounded(seconds) + (rest >= smaller && rest ? ` ${rounded(rest)}` : "");
  };

  const ends = new WeakMap();
  const countDown = (node) => {
    const told = node.dataset.paCountdown;
    if (ends.get(node)?.told !== told) ends.set(node, { told, at: Date.now() + told * 1000 });
    const seconds = Math.ceil((ends.get(node).at - Date.now()) / 1000);
    const left = node.querySelector("[data-pa-left]");
    if (seconds <= 0) {
      write(node, node.dataset.paThen);
      for (const button of all("[data-pa-waits]")) button.disabled = false;
    } else if (left) {
      write(left, (seconds >= 60 ? `${Math.floor(seconds / 60)} min ` : "") + `${seconds % 60} s`);
    }
  };

  const elapse = (node) => {
    const seconds = since(node.dataset.paSince);
    const fill = node.querySelector("[data-pa-fill]"); // its usual time is at 54 of 90
    write(node.querySelector("[data-pa-elapsed]"), whole(seconds));
    fill?.setAttribute("width", Math.min(90, (54 * seconds * 1000) / node.dataset.paUsual));
  };

  const tick = () => {
    all("[data-pa-countdown]").forEach(countDown);
    all("[data-pa-since]").forEach(elapse);
    for (const node of all("time[data-pa-ago]")) {
      const seconds = since(node.dateTime);
      if (seconds < 60 * 86400) write(node, seconds ? `${rounded(seconds)} ago` : "just now");
    }
    for (const node of all("time[data-pa-until]")) {
      const seconds = Math.floor((Date.parse(node.dateTime) - now()) / 1000);
      write(node, node.textContent.replace(/^(in \w+|now)/, seconds > 0 ? `in ${rounded(seconds)}` : "now"));
    }
  };

  // -- morphing: the page becomes what the server says, and keeps focus, selection, folds and what is typed ---------

  const key = (node) => node.id || node.dataset?.paKey || "";
  const alike = (a, b) => a.nodeName === b.nodeName && key(a) === key(b);
  const touched = new WeakSet(); // folds that a person opened or closed

  const morph = (from, to) => {
    if (from.isEqualNode(to)) return;
    if (from.nodeType !== Node.ELEMENT_NODE) {
      from.data = to.data;
      return;
    }
    for (const { name, value } of to.attributes) {
      if (from.getAttribute(name) !== value && !(name === "open" && touched.has(from))) from.setAttribute(name, value);
    }
    for (const { name } of [...from.attributes]) {
      if (!to.hasAttribute(name) && name !== "open") from.removeAttribute(name); // nothing closes under a reader
    }
    morphChildren(from, to);
  };

  const morphChildren = (from, to) => {
    const wanted = new Set([...to.children].map(key).filter(Boolean));
    const there = new Map([...from.children].map((child) => [key(child), child]));
    let at = from.firstChild;
    const drop = () => {
      const gone = at;
      at = at.nextSibling;
      gone.remove();
    };
    for (const want of [...to.childNodes]) {
      const have = key(want) ? there.get(key(want)) : at;
      if (!have || !alike(have, want)) {
        from.insertBefore(want, at);
        continue;
      }
      while (at && at !== have && !wanted.has(key(at))) drop();
      if (at === have) at = at.nextSibling;
      else from.insertBefore(have, at);
      morph(have, want);
    }
    while (at) drop();
  };

  // -- what somebody reads stays where it is, whatever comes above it; a log at its end follows --

  const atEnd = (log) => log.scrollTop > -4; // a reversed column counts from its end
  const showFollow = (log) => { log.parentElement.querySelector("[data-pa-follow]").hidden = atEnd(log); };
  const hold = (box, edge, nodes) => {
    const top = (node) => node.getBoundingClientRect().top;
    const mark = [...nodes].find((node) => top(node) > edge);
    const at = mark && top(mark);
    return () => { if (mark?.isConnected) box.scrollBy({ top: top(mark) - at, behavior: "instant" }); };
  };
  const holdAll = () => {
    const logs = [...all("[data-pa-log]")].filter((log) => !atEnd(log));
    const held = logs.map((log) => hold(log, log.getBoundingClientRect().top, log.querySelectorAll("li")));
    if (scrollY > 0) held.push(hold(window, 0, all("[id]")));
    return () => {
      for (const release of held) release();
      all("[data-pa-log]").forEach(showFollow);
    };
  };

  // -- asking again --

  const QUICK = { moving: 1000, still: 1500 };
  const SLOW = 10000;
  const LONG = 15000;
  let { paLive: live, paState: state } = root.dataset;
  let stirred = Date.now();
  let failures = 0;
  let timer;
  let asking = false;
  let leaving = false; // a second click must send the key that the first one sent

  // Quick while something happens or somebody is there; after half a minute of nothing, ever slower.
  const pause = () => {
    if (failures) return Math.min(SLOW, 500 * 2 ** failures);
    return Math.min(SLOW, Math.max(QUICK[live], (Date.now() - stirred) / 30));
  };
  const plan = (after = pause()) => {
    clearTimeout(timer);
    if (live in QUICK && !document.hidden && !asking && !leaving) timer = setTimeout(ask, after);
  };
  const stir = () => {
    const was = pause();
    stirred = Date.now();
    if (was > 2 * pause()) plan();
  };

  const ask = async () => {
    asking = true;
    try {
      const answer = await fetch(location.pathname + location.search, {
        headers: { "If-None-Match": state }, redirect: "manual", signal: AbortSignal.timeout(LONG),
      });
      if (answer.type === "opaqueredirect" || [401, 403, 404].includes(answer.status)) return close();
      if (!answer.ok && answer.status !== 304) throw new Error(answer.status);
      const page = answer.ok && new DOMParser().parseFromString(await answer.text(), "text/html");
      if (leaving) return;
      if (failures) say("Connected again.");
      failures = 0;
      if (page) swap(page, answer.headers.get("ETag"));
    } catch {
      failures += 1;
      if (failures > 1) say("Connection lost, retrying…", true);
    } finally {
      asking = false;
      plan();
    }
  };

  const swap = (page, tag) => {
    const fresh = page.querySelector(".portal-actions");
    if (!fresh) return close();
    const release = holdAll();
    morph(root.firstElementChild, fresh.firstElementChild);
    release();
    setClock(fresh);
    tick();
    live = fresh.dataset.paLive;
    state = tag;
    stirred = Date.now();
    if (page.title !== document.title) say((document.title = page.title));
  };

  const close = () => {
    live = "over";
    say("This page is closed to you by now. Reload it to see why.", true);
  };

  // -- what people do --

  const copy = async (button) => {
    const { paCopy, paCopyFrom } = button.dataset;
    const text = paCopy ?? document.getElementById(paCopyFrom).textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch { // without https there is no clipboard but this
      const area = document.body.appendChild(Object.assign(document.createElement("textarea"), { value: text }));
      area.select();
      document.execCommand("copy");
      area.remove();
      button.focus();
    }
    button.classList.add("pa-copied");
    setTimeout(() => button.classList.remove("pa-copied"), 1500);
    write(news, "Copied.");
  };

  root.addEventListener("click", ({ target }) => {
    const pressed = target.closest("[data-pa-copy], [data-pa-copy-from], [data-pa-follow], summary");
    if (pressed?.matches("summary")) touched.add(pressed.parentElement);
    else if (pressed?.matches("[data-pa-follow]")) pressed.parentElement.querySelector("[data-pa-log]").scrollTop = 0;
    else if (pressed) copy(pressed);
  });
  root.addEventListener("change", ({ target }) => {
    if (target.matches("[data-pa-select-all]")) for (const box of all("[name=run]")) box.checked = target.checked;
  });
  root.addEventListener("scroll", ({ target }) => { if (target.matches("[data-pa-log]")) showFollow(target); }, true);

  setClock(root);
  tick();
  setInterval(tick, 1000);
  if (!(live in QUICK)) return;
  say("This page updates itself.");
  for (const name of ["pointermove", "pointerdown", "keydown", "focus"]) addEventListener(name, stir, { passive: true });
  for (const name of ["visibilitychange", "online"]) addEventListener(name, () => { stirred = Date.now(); plan(0); });
  addEventListener("submit", () => { leaving = true; plan(); });
  addEventListener("pageshow", ({ persisted }) => { if (persisted) { leaving = false; plan(0); } });
  plan();
})();
