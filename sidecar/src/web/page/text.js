// Names come from others: they become text, never markup.

export const $ = (id) => document.getElementById(id);

export function element(tag, name, ...children) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export function number(n) {
  if (n >= 1e6) return (n / 1e6).toFixed(1) + "M";
  return Math.round(n).toLocaleString("en");
}

export function span(ms) {
  if (ms < 1000) return Math.round(ms) + " ms";
  const s = ms / 1000;
  if (s < 60) return s.toFixed(1) + " s";
  if (s < 3600) return Math.floor(s / 60) + " min";
  if (s < 86400) return Math.floor(s / 3600) + " h";
  return Math.floor(s / 86400) + " d";
}

export function total(name, value) {
  return element("div", "total", element("b", "", value), element("span", "", name));
}

export function to(app) {
  const link = element("a", "name", app);
  link.href = "#/app/" + encodeURIComponent(app);
  return link;
}

// A heading that ends in "|" is of numbers.
export function table(headings, rows, none) {
  if (!rows.length) return element("p", "none", none);
  const kind = headings.map((heading) => (heading.endsWith("|") ? "number" : ""));
  const heading = (text, at) => {
    const made = element("th", kind[at], text.replace("|", ""));
    made.scope = "col";
    return made;
  };
  const head = element("thead", "", element("tr", "", ...headings.map(heading)));
  const body = rows.map((row) => element("tr", "", ...row.map((cell, at) => element("td", kind[at], cell))));
  return element("table", "", head, element("tbody", "", ...body));
}
