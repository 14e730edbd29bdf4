// Begins: hears what the host says of the call that the page is shown for, and tells it how large the page is.

const first = place(newRun());

hear("ui/notifications/tool-input", (params) => {
  const input = isObject(params.arguments) ? params.arguments : {};
  change(first, { ...first.run, ...asked(input, host.context.toolInfo?.tool) });
});
hear("ui/notifications/tool-result", (result) => {
  change(first, after(first.run, result));
  follow(first);
});
hear("ui/notifications/tool-cancelled", (params) => {
  const said = typeof params.reason === "string" ? [shown(params.reason, 300)] : [];
  change(first, { ...first.run, phase: "cancelled", standing: "", said });
});
hear("ui/notifications/host-context-changed", learn);
hear("ui/resource-teardown", () => {
  isOver = true;
});

await connect();
new ResizeObserver(() => {
  const { width, height } = document.documentElement.getBoundingClientRect();
  tell("ui/notifications/size-changed", { width: Math.ceil(width), height: Math.ceil(height) });
}).observe(document.documentElement);
