// Copyright 2026 the lazyinit authors. MIT license.
/// <reference lib="dom" />

/**
 * A text field with suggestions: the combobox pattern of WAI-ARIA, with a list that
 * opens by itself.
 *
 * @module
 */

import { element } from "./dom.ts";

export interface Suggestion {
  readonly id: number;
  readonly label: string;
}

export interface ComboboxOptions {
  suggest(text: string): readonly Suggestion[];
  /** Called when one of the suggestions is chosen. */
  choose(suggestion: Suggestion): void;
  /** Called with how many suggestions there are, or `undefined` once they are gone. */
  tell(count?: number): void;
}

export class Combobox {
  readonly #input: HTMLInputElement;
  readonly #list: HTMLElement;
  readonly #options: ComboboxOptions;
  #suggestions: readonly Suggestion[] = [];
  #active = -1;

  constructor(
    input: HTMLInputElement,
    list: HTMLElement,
    options: ComboboxOptions,
  ) {
    this.#input = input;
    this.#list = list;
    this.#options = options;
    input.addEventListener("input", () => this.#open());
    input.addEventListener("keydown", (event) => this.#press(event));
    input.addEventListener("blur", () => this.close());
    // The field must keep the focus, or the list closes before the click arrives
    list.addEventListener("pointerdown", (event) => event.preventDefault());
    list.addEventListener("click", ({ target }) => {
      const option = (target as Element).closest("[role=option]");
      if (option) this.#choose([...list.children].indexOf(option));
    });
  }

  get #isOpen(): boolean {
    return !this.#list.hidden;
  }

  #open(): void {
    this.#suggestions = this.#options.suggest(this.#input.value);
    this.#list.replaceChildren(
      ...this.#suggestions.map(({ label }, i) =>
        element("li", { role: "option", id: `${this.#list.id}-${i}` }, label)
      ),
    );
    this.#list.hidden = this.#suggestions.length === 0;
    this.#input.setAttribute("aria-expanded", String(this.#isOpen));
    this.#activate(-1);
    this.#options.tell(this.#suggestions.length);
  }

  close(): void {
    if (this.#isOpen) this.#options.tell();
    this.#list.hidden = true;
    this.#input.setAttribute("aria-expanded", "false");
    this.#activate(-1);
  }

  #activate(position: number): void {
    this.#active = position;
    [...this.#list.children].forEach((option, i) => {
      option.setAttribute("aria-selected", String(i === position));
      if (i !== position) return;
      this.#input.setAttribute("aria-activedescendant", option.id);
      option.scrollIntoView({ block: "nearest" });
    });
    if (position < 0) this.#input.removeAttribute("aria-activedescendant");
  }

  #press(event: KeyboardEvent): void {
    // An input method has these keys for itself
    if (event.isComposing) return;
    const { key } = event;
    if (key === "ArrowDown" || key === "ArrowUp") {
      if (!this.#isOpen) this.#open();
      this.#move(key === "ArrowDown" ? 1 : -1);
    } else if (key === "Escape") {
      if (!this.#isOpen) this.#input.value = "";
      this.close();
    } else if (key === "Enter" && this.#active >= 0) {
      this.#choose(this.#active);
    } else {
      return;
    }
    event.preventDefault();
  }

  /** From the last suggestion on to the field itself, and from there to the first. */
  #move(step: number): void {
    const stops = this.#suggestions.length + 1;
    this.#activate((this.#active + 1 + step + stops) % stops - 1);
  }

  #choose(position: number): void {
    const suggestion = this.#suggestions[position]!;
    this.#input.value = suggestion.label;
    this.close();
    this.#options.choose(suggestion);
  }
}
