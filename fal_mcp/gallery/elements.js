// Elements, made of names, attributes and text: no string is ever parsed as HTML.

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== ""));
  return made;
}

function button(label, act, style = "plain") {
  const made = element("button", { type: "button", class: style }, label);
  made.addEventListener("click", () => act(made));
  return made;
}

// A link that the host opens, after whatever it asks its user; in a host that opens none, the browser does.
function link(label, url, style) {
  const made = element("a", { href: url, class: style, target: "_blank", rel: "noopener noreferrer" }, label);
  made.addEventListener("click", (event) => {
    if (host.capabilities.openLinks === undefined) return;
    event.preventDefault();
    const refused = () => made.after(element("span", { class: "quiet", role: "status" }, " The host did not open it."));
    ask("ui/open-link", { url }).then((answered) => answered.isError && refused(), refused);
  });
  return made;
}

// Asks before money is spent. The answer that costs nothing has the focus, and Escape is that answer.
function confirmation(question, opener, act) {
  const row = opener.parentElement;
  const close = () => {
    panel.remove();
    row.hidden = false;
    opener.focus();
  };
  const no = button("Not now", close);
  const yes = button("Run it", () => {
    close();
    act();
  }, "primary");
  const panel = element(
    "div", { class: "confirmation", role: "group", "aria-label": "Before it runs" }, element("p", {}, question), no, yes,
  );
  panel.addEventListener("keydown", (event) => event.key === "Escape" && close());
  row.hidden = true;
  row.after(panel);
  no.focus();
}
