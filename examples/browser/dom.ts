// Copyright 2026 the lazyinit authors. MIT license.
/// <reference lib="dom" />

/**
 * What the page is made of: elements, workers and timers.
 *
 * @module
 */

/** Returns the element with this id; the page is broken if there is none. */
export function byId<T extends HTMLElement>(
  id: string,
  type: { new (): T; readonly name: string },
): T {
  const found = document.getElementById(id);
  if (found instanceof type) return found;
  throw new TypeError(`The page must have an ${type.name} with id "${id}"`);
}

/** Makes an element with attributes and content. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, string>> = {},
  ...content: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    made.setAttribute(name, value);
  }
  made.append(...content);
  return made;
}

/** Sets a text that screen readers tell, unless they have told it already. */
export function tell(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Starts a worker, and has the page show what it throws, or that it is not there. */
export function startWorker(script: string): Worker {
  const worker = new Worker(script, { type: "module" });
  worker.onerror = (event) => {
    event.preventDefault();
    reportError(new Error(event.message || `Cannot load ${script}`));
  };
  return worker;
}

/** Calls `action` when the form is submitted, unless the last call is not done yet. */
export function onSubmit(
  form: HTMLFormElement,
  action: () => Promise<void>,
): void {
  const button = form.querySelector("button")!;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.ariaDisabled === "true") return;
    // If it were really disabled, it would lose the focus
    button.ariaDisabled = "true";
    try {
      await action();
    } finally {
      button.ariaDisabled = "false";
    }
  });
}

/** Makes a function that is called at most once in so many ms, the last time at the end. */
export function atMostEvery(milliseconds: number, action: () => void) {
  let timer: ReturnType<typeof setTimeout> | undefined;
  return () => {
    timer ??= setTimeout(() => {
      timer = undefined;
      action();
    }, milliseconds);
  };
}
