/* The report's own behaviour: sort, filter and open claims, zoom figures, follow maps. No dependencies. */
"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const make = (tag, props = {}, ...children) => {
    const node = Object.assign(document.createElement(tag), props);
    node.append(...children);
    return node;
  };

  // what scrolls must be reachable from the keyboard
  for (const box of all("article pre, article .cell_output, article .table-wrapper, article .formula")) {
    if (box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight) box.tabIndex = 0;
  }

  // a graph wider than the screen is seen from its middle, where it begins
  for (const box of all(".sheet-plain")) box.scrollLeft = (box.scrollWidth - box.clientWidth) / 2;

  // ------------------------------------------------------------------------------------- claims
  const table = document.getElementById("claims-table");
  if (table) {
    const bodies = all("tbody", table);
    const filters = document.querySelector(".filters");
    const search = document.getElementById("claim-search");
    const count = document.getElementById("claim-count");
    const openAll = document.getElementById("open-all");
    let verdict = "";

    const open = (body, yes = !body.classList.contains("open")) => {
      body.classList.toggle("open", yes);
      body.querySelector(".opener").setAttribute("aria-expanded", String(yes));
    };
    const show = () => {
      const words = search.value.trim().toLowerCase();
      let seen = 0;
      for (const body of bodies) {
        const wanted = (!verdict || body.dataset.verdict === verdict)
          && (!words || body.textContent.toLowerCase().includes(words));
        body.hidden = !wanted;
        seen += wanted;
      }
      count.textContent = seen === bodies.length ? `All ${seen} claims` : `${seen} of ${bodies.length} claims`;
    };
    const choose = (wanted) => {
      verdict = wanted;
      for (const button of all("[data-filter]", filters)) {
        button.setAttribute("aria-pressed", String(button.dataset.filter === wanted));
      }
      show();
    };
    const sort = (head) => {
      const key = head.dataset.sort;
      const down = head.getAttribute("aria-sort") === "ascending";
      const value = (body) => key === "verdict" ? body.dataset.order : body.dataset[key];
      const numeric = ["published", "found", "z", "verdict"].includes(key);
      const compare = (a, b) => {
        const [x, y] = [value(a), value(b)];
        if ((x === "") !== (y === "")) return x === "" ? 1 : -1; // what has no value stays last
        const order = numeric ? x - y : x.localeCompare(y, "en", { numeric: true });
        return (down ? -order : order) || a.dataset.id.localeCompare(b.dataset.id);
      };
      for (const other of all("th[aria-sort]", table)) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      table.append(...[...bodies].sort(compare));
    };
    const reveal = () => {
      const body = bodies.find((b) => `#${b.id}` === location.hash);
      if (!body) return;
      if (body.hidden) { search.value = ""; choose(""); }
      open(body, true);
      body.scrollIntoView({ block: "start" });
    };

    for (const head of all("th[data-sort]", table)) {
      const button = make("button", { type: "button", textContent: head.textContent });
      button.addEventListener("click", () => sort(head));
      head.replaceChildren(button);
    }
    for (const body of bodies) {
      open(body, false);
      body.querySelector("tr.row").addEventListener("click", (event) => {
        if (!event.target.closest("a") && !String(getSelection())) open(body);
      });
    }
    filters.hidden = false;
    for (const button of all("[data-filter]", filters)) {
      button.addEventListener("click", () => choose(button.dataset.filter));
    }
    for (const link of all(".tally a")) link.addEventListener("click", () => choose(link.dataset.verdict));
    search.addEventListener("input", show);
    openAll.addEventListener("click", () => {
      const yes = openAll.getAttribute("aria-pressed") !== "true";
      openAll.setAttribute("aria-pressed", String(yes));
      for (const body of bodies) open(body, yes);
    });
    show();
    reveal();
    addEventListener("hashchange", reveal);
  }

  // --------------------------------------------------------------------------------------- zoom
  for (const button of all("button.zoom")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const plain = document.getElementById("picture");
      const picture = make("img", { src: button.dataset.picture, alt: plain ? plain.alt : button.dataset.title });
      const pane = make("div", { className: "pane", tabIndex: 0 }, picture);
      let scale = 1;
      const zoom = (factor) => {
        const x = (pane.scrollLeft + pane.clientWidth / 2) / picture.offsetWidth;
        const y = (pane.scrollTop + pane.clientHeight / 2) / picture.offsetHeight;
        scale = factor ? Math.min(12, Math.max(1, scale * factor)) : 1;
        picture.style.width = `${100 * scale}%`;
        pane.scrollLeft = x * picture.offsetWidth - pane.clientWidth / 2;
        pane.scrollTop = y * picture.offsetHeight - pane.clientHeight / 2;
      };
      const tool = (label, words, act) => {
        const made = make("button", { type: "button", textContent: label });
        made.setAttribute("aria-label", words);
        made.addEventListener("click", act);
        return made;
      };
      const dialog = make("dialog", { className: "zoomed" },
        make("div", { className: "bar" },
          tool("+", "Larger", () => zoom(1.5)), tool("−", "Smaller", () => zoom(1 / 1.5)),
          tool("Fit", "Fit to the window", () => zoom(0)), tool("Close", "Close", () => dialog.close())),
        pane);
      dialog.setAttribute("aria-label", button.dataset.title);
      dialog.addEventListener("keydown", (event) => {
        if (event.key === "+" || event.key === "=") zoom(1.5);
        if (event.key === "-") zoom(1 / 1.5);
        if (event.key === "0") zoom(0);
        if (event.key === "Escape") dialog.close();
      });
      pane.addEventListener("wheel", (event) => {
        if (!event.ctrlKey) return;
        event.preventDefault();
        zoom(event.deltaY < 0 ? 1.2 : 1 / 1.2);
      }, { passive: false });
      dialog.addEventListener("close", () => { dialog.remove(); button.focus(); });
      document.body.append(dialog);
      picture.style.width = "100%";
      dialog.showModal();
      pane.focus();
    });
  }

  // --------------------------------------------------------------------------------------- maps
  const COLOURS = ["#0072B2", "#009E73", "#D55E00", "#3A3A3A"];
  const documents = {};
  const loaded = {};
  const load = (address) => loaded[address] ??= new Promise((done, failed) => {
    document.head.append(make("script", { src: address, onload: done, onerror: failed }));
  });

  const model = (name, wanted) => documents[name].get_model_by_name(wanted);
  // maps hold integers; nbnmbt.report.maps says how they stand for a resistance
  const ohm = (name, code) => {
    if (!code) return NaN;
    const { lowest, step, offset, width } = model(name, "rows").tags[0];
    const place = lowest + (code - 1) * step;
    return width ? offset + width * Math.sinh(place) : place;
  };
  const set = (name, row) => {
    const rows = model(name, "rows").data;
    if (!(row in rows.at)) return;
    const dvdi = Array.from(rows.image[row], (code) => ohm(name, code));
    model(name, "cut").data = { I: model(name, "cut").data.I, dvdi };
    model(name, "here").data = { y: [rows.at[row]] };
    const marks = { x: [], colour: [], name: [] };
    for (let k = 0; `Ic${k}` in rows; k++) {
      const found = rows[`Ic${k}`][row];
      if (found === null || Number.isNaN(found)) continue;
      for (const sign of [1, -1]) {
        marks.x.push(sign * found);
        marks.colour.push(COLOURS[k % 4]);
        marks.name.push(`Ic${k}`);
      }
    }
    model(name, "marks").data = marks;
    document.getElementById(`readout-${name}`).innerHTML =
      rows.words[row].replace(/\bIc(\d)/g, "<i>I</i><sub>c</sub><sup>$1</sup>");
    document.getElementById(`row-${name}`).value = row;
    document.getElementById(`row-${name}`).setAttribute("aria-valuetext", rows.words[row]);
  };
  window.nbnmbtReport = {
    ohm,
    // called by maps/*.js, each of which holds one map
    async draw(name, item) {
      const place = document.querySelector(`[data-map="${name}"]`);
      const views = await Bokeh.embed.embed_item({ ...item, target_id: place });
      const view = Array.isArray(views) ? views[0] : [...views][0];
      documents[name] = view.model.document;
      place.classList.add("drawn");
      set(name, Number(document.getElementById(`row-${name}`).value));
    },
    // called by the map when the cursor moves over it
    follow(name, y) {
      const at = model(name, "rows").data.at;
      let nearest = 0;
      for (let row = 1; row < at.length; row++) {
        if (Math.abs(at[row] - y) < Math.abs(at[nearest] - y)) nearest = row;
      }
      if (Number(document.getElementById(`row-${name}`).value) !== nearest) set(name, nearest);
    },
  };
  const begin = (name) => load("maps/bokeh.min.js").then(() => load(`maps/${name}.js`));
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((e) => e.isIntersecting)) {
      seen.unobserve(entry.target);
      begin(entry.target.dataset.map);
    }
  }, { rootMargin: "400px" });
  for (const place of all("[data-map]")) {
    seen.observe(place);
    // whoever comes by the tab key, faster than the map is drawn, must find its slider ready
    const name = place.dataset.map;
    const slider = document.getElementById(`row-${name}`);
    slider.disabled = false;
    slider.addEventListener("focus", () => begin(name));
    slider.addEventListener("input", () => name in documents && set(name, Number(slider.value)));
  }
})();
