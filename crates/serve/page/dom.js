// Makes elements. Text only ever becomes text nodes: the page has no innerHTML.

/** @import { Failure, Ui } from './types.mjs' */
/** @typedef {string | number | boolean | null | undefined | ((event: any) => void)} Attribute */
/** @typedef {Node | string | null | undefined | false} Child */

/** An element. Functions among the attributes listen to the event of that name.
 * @template {keyof HTMLElementTagNameMap} K @param {K} tag @param {Record<string, Attribute>} [attributes]
 * @param {...Child} children @returns {HTMLElementTagNameMap[K]} */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === 'function') node.addEventListener(name, value);
    else node.setAttribute(name, value === true ? '' : String(value));
  }
  fill(node, ...children);
  return node;
}

/** Appends what is there. @param {Node} node @param {...Child} children */
export function fill(node, ...children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    node.appendChild(typeof child === 'string' ? document.createTextNode(child) : child);
  }
}

/** The elements of index.html by their ids. @type {Ui} */
export const ui = /** @type {any} */ (
  Object.fromEntries([...document.querySelectorAll('[id]')].map((node) => [node.id, node]))
);

const SVG = 'http://www.w3.org/2000/svg';

/** An icon of the sprite in index.html. @param {string} name */
export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(SVG, 'use');
  use.setAttribute('href', `#i-${name}`);
  svg.append(use);
  return svg;
}

/** A button with text, an icon, or both. @param {string} label @param {(event: MouseEvent) => void} click
 * @param {Record<string, Attribute> & { icon?: string, bare?: boolean }} [options] `bare` shows the icon alone */
export function button(label, click, options = {}) {
  const { icon: name, bare, ...attributes } = options;
  const face = bare ? { 'aria-label': label, title: label } : {};
  return el('button', { type: 'button', click, ...face, ...attributes }, name && icon(name), !bare && label);
}

/** A refusal, in the server's words, and what would fit. @param {Failure} failure @param {...Child} actions */
export function alertOf(failure, ...actions) {
  return el(
    'div',
    { role: 'alert', class: 'alert' },
    icon('warning'),
    el(
      'div',
      {},
      el('p', {}, failure.message),
      failure.fits &&
        el(
          'p',
          { class: 'fits' },
          failure.fits.replace(/^./, (first) => first.toUpperCase()),
        ),
      actions.length > 0 && el('div', { class: 'row' }, ...actions),
    ),
  );
}

/** Names and values; rows without a value are left out.
 * @param {[string, string | number | false | null | undefined][]} rows */
export const factList = (rows) =>
  el(
    'dl',
    {},
    ...rows.flatMap(([name, value]) => (value ? [el('div', {}, el('dt', {}, name), el('dd', {}, String(value)))] : [])),
  );

/** A password field for the server's key, where a refusal asks for one, and what to do then.
 * @param {Failure} failure @param {string} label @param {(key: string) => void} done */
export function retry(failure, label, done) {
  const field = el('input', { type: 'password', 'aria-label': 'API key', placeholder: 'API key', autocomplete: 'off' });
  const asks = failure.status === 401;
  const again = button(asks ? 'Use this key' : label, () => done(field.value.trim()));
  return { alert: alertOf(failure, asks && field, again), again };
}

/** A button that copies a text, and says so for a moment. @param {string} label @param {() => string} text
 * @param {Parameters<typeof button>[2]} options */
export function copyButton(label, text, options) {
  const made = button(
    label,
    async () => {
      const words = made.lastChild;
      const done = await navigator.clipboard.writeText(text()).then(
        () => 'Copied',
        () => 'The browser refused',
      );
      if (words) words.textContent = done;
      setTimeout(() => {
        if (words) words.textContent = label;
      }, 1600);
    },
    options,
  );
  return made;
}

/** Whether things may move by themselves. */
export const still = () => matchMedia('(prefers-reduced-motion: reduce)').matches;

/** One tab stop for a row of buttons; arrows, Home and End move inside it. @param {HTMLElement} list */
export function roving(list) {
  list.addEventListener('keydown', (event) => {
    const all = [...list.querySelectorAll('button')];
    const at = all.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
    /** @type {Record<string, number>} */
    const moves = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: all.length - 1 };
    const to = moves[event.key];
    if (at < 0 || to === undefined || !all[to]) return;
    event.preventDefault();
    for (const item of all) item.tabIndex = -1;
    all[to].tabIndex = 0;
    all[to].focus();
  });
}
