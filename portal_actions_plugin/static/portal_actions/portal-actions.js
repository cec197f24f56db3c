// Makes a page live: asks for it again while it can change, and changes only what is different.
"use strict";
(() => {
  const root = document.querySelector(".portal-actions");
  const all = (selector) => root.querySelectorAll(selector);
  const news = root.querySelector("[data-pa-news]");
  const { floor, max, min } = Math;
  const write = (node, text) => { if (node.textContent !== text) node.textContent = text; };
  root.classList.add("pa-js");

  // Told to a screen reader; trouble is also seen.
  const say = (text, trouble = false) => {
    write(news, text);
    news.classList.toggle("pa-hidden", !trouble);
    root.classList.toggle("pa-stale", trouble);
  };

  // -- times that go on --

  const UNITS = [[86400, "d"], [3600, "h"], [60, "m"], [1, "s"]];
  let ahead = 0;
  const since = (moment) => floor((Date.now() - ahead - Date.parse(moment)) / 1000);

  const whole = (seconds) => {
    const parts = [];
    for (const [size, unit] of UNITS) {
      if (seconds >= size) parts.push(floor(seconds / size) + unit);
      else if (parts.length) break;
      seconds %= size;
    }
    return parts.slice(0, 2).join(" ") || "0s";
  };
  const rounded = (seconds) => whole(seconds).match(/\w+/);

  const countDown = (node) => {
    const { dataset, firstElementChild: left } = node;
    dataset.paEnd ??= Date.now() + dataset.paCountdown * 1000;
    const seconds = Math.ceil((dataset.paEnd - Date.now()) / 1000);
    if (seconds > 0) return write(left, (seconds >= 60 ? `${floor(seconds / 60)} min ` : "") + `${seconds % 60} s`);
    write(node, dataset.paThen);
    for (const button of all("[data-pa-waits]")) button.disabled = false;
  };

  const elapse = (node) => {
    const seconds = max(0, since(node.dataset.paSince));
    const fill = node.querySelector("[data-pa-fill]"); // its usual time is at 54 of 90
    write(node.querySelector("[data-pa-elapsed]"), whole(seconds));
    fill?.setAttribute("width", min(90, (54000 * seconds) / node.dataset.paUsual));
  };

  const isStale = () => root.matches(".pa-stale");
  const tick = () => {
    all("[data-pa-countdown]").forEach(countDown);
    if (!isStale()) all("[data-pa-since]").forEach(elapse);
    for (const node of all("time[data-pa-ago]")) {
      const seconds = since(node.dateTime);
      if (seconds < 5184000) write(node, seconds > 0 ? `${rounded(seconds)} ago` : "just now");
    }
    for (const node of all("time[data-pa-until]")) {
      const seconds = -since(node.dateTime);
      write(node, node.textContent.replace(/^(in \w+|now)/, seconds > 0 ? `in ${rounded(seconds)}` : "now"));
    }
  };

  // -- morphing: keeps focus, selection, folds, ticks and what is typed --

  const key = (node) => node.id || node.dataset?.paKey || "";
  const alike = (a, b) => a.nodeName === b.nodeName && key(a) === key(b);
  const touched = new WeakSet(); // what a person has opened or closed, or we have shown

  const morph = (from, to) => {
    if (from.isEqualNode(to)) return;
    if (!from.attributes) return void (from.data = to.data);
    for (const { name, value } of to.attributes) {
      if (from.getAttribute(name) !== value && !touched.has(from)) from.setAttribute(name, value);
    }
    for (const { name } of [...from.attributes]) {
      if (!to.hasAttribute(name) && name !== "open") from.removeAttribute(name);
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
      if (!gone.querySelector?.("[name=run]:checked")) gone.remove();
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

  // -- what somebody reads stays where it is; a log at its end follows --

  const top = (node) => node.getBoundingClientRect().top;
  const atEnd = (log) => log.scrollTop > -4; // it is a reversed column
  const showFollow = (log) => {
    const button = log.parentElement.querySelector("[data-pa-follow]");
    touched.add(button);
    button.hidden = atEnd(log);
  };
  const hold = (box, nodes) => {
    const mark = [...nodes].find((node) => top(node) > max(0, top(box)));
    const at = mark && top(mark);
    return () => { if (mark?.isConnected) box.scrollBy({ top: top(mark) - at, behavior: "instant" }); };
  };
  const holdAll = () => {
    const logs = [...all("[data-pa-log]")];
    const held = logs.filter((log) => !atEnd(log)).map((log) => hold(log, log.querySelectorAll("li")));
    let box = root;
    while (box && !box.scrollTop) box = box.parentElement; // whatever scrolls in the host's layout
    if (box) held.push(hold(box, all("[id]")));
    return () => {
      for (const release of held) release();
      logs.forEach(showFollow);
    };
  };

  // -- asking again --

  const QUICK = { moving: 1000, still: 1500 };
  const SLOW = { moving: 1500, still: 10000 };
  const LONG = 6000;
  let { paLive: live, paState: state } = root.dataset;
  let { title } = document;
  let stirred = Date.now();
  let sent = 0; // when a form was: a second click must send the key that the first one sent
  let failures = 0;
  let asking = false;
  let timer;

  // Quick while something runs or somebody is there; after half a minute of nothing, ever slower.
  const pause = () => {
    if (failures) return min(SLOW.still, 500 * 2 ** failures);
    return min(SLOW[live], max(QUICK[live], (Date.now() - stirred) / 30));
  };
  const plan = (after = pause()) => {
    clearTimeout(timer);
    if (live in QUICK && !document.hidden && !asking) timer = setTimeout(ask, after);
  };
  const stir = () => {
    const slow = pause() > 2000;
    stirred = Date.now();
    if (slow) plan();
  };
  const ask = async () => {
    asking = true;
    try {
      const answer = await fetch(location.pathname + location.search, {
        headers: { "If-None-Match": state }, redirect: "manual", signal: AbortSignal.timeout(LONG),
      });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.querySelector(".portal-actions");
      const { ok, status, type } = answer;
      // Signed out, or refused by us. What a proxy says in our place passes.
      if (type === "opaqueredirect" || status === 401 || (status < 500 && ok !== !!fresh)) {
        live = "over";
        return say("This page is closed to you by now. Reload it to see why.", true);
      }
      if (!ok && status !== 304) throw new Error(status);
      if (Date.now() - sent < LONG) return;
      if (failures) say("Connected again.");
      failures = 0;
      ahead = Date.now() - Date.parse(answer.headers.get("Date")) || 0;
      if (fresh) swap(page, fresh, answer.headers.get("ETag"));
    } catch (error) {
      failures += 1;
      if (failures > 1 || error.name === "TimeoutError") say("Connection lost, retrying…", true);
    } finally {
      asking = false;
      plan();
    }
  };

  const swap = (page, fresh, tag) => {
    const focused = document.activeElement;
    const release = holdAll();
    morph(root.firstElementChild, fresh.firstElementChild);
    release();
    if (!focused.isConnected) root.querySelector("h1").focus();
    tick();
    live = fresh.dataset.paLive;
    if (tag.slice(0, 35) !== state.slice(0, 35)) stirred = Date.now();
    state = tag;
    if (page.title !== title) say((document.title = title = page.title));
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
    if (!isStale()) news.textContent = "Copied.";
  };

  root.addEventListener("click", ({ target }) => {
    const pressed = target.closest("[data-pa-copy], [data-pa-copy-from], [data-pa-follow], summary");
    const log = pressed?.parentElement.querySelector("[data-pa-log]");
    if (pressed?.matches("summary")) {
      touched.add(pressed.parentElement);
    } else if (pressed?.matches("[data-pa-follow]")) {
      log.scrollTop = 0;
      log.focus();
    } else if (pressed) {
      copy(pressed);
    }
  });
  root.addEventListener("change", ({ target }) => {
    const boxes = [...all("[name=run]")];
    const whole = root.querySelector("[data-pa-select-all]");
    if (target !== whole) return boxes.length && (whole.checked = boxes.every((box) => box.checked));
    for (const box of boxes) box.checked = whole.checked;
    if (!whole.checked) boxes[0].focus(); // its bar is gone
  });
  root.addEventListener("submit", () => { sent = Date.now(); });
  root.addEventListener("scroll", ({ target: log }) => { if (log.matches("[data-pa-log]")) showFollow(log); }, true);

  tick();
  setInterval(tick, 1000);
  if (!(live in QUICK)) return;
  say("This page updates itself.");
  for (const name of ["pointermove", "pointerdown", "keydown", "focus"]) addEventListener(name, stir, { passive: true });
  for (const name of ["visibilitychange", "online"]) addEventListener(name, () => { stirred = Date.now(); plan(0); });
  addEventListener("offline", () => { failures += 1; plan(0); });
  plan();
})();
