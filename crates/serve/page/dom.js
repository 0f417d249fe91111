// Makes elements. Text only ever becomes text nodes: the page has no innerHTML.

/** @typedef {string | number | boolean | null | undefined | ((event: any) => void)} Attribute */
/** @typedef {Node | string | null | undefined | false} Child */

/**
 * An element. Functions among the attributes listen to the event of that name.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, Attribute>} [attributes]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[K]}
 */
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

/**
 * Appends what is there.
 * @param {Node} node
 * @param {...Child} children
 */
export function fill(node, ...children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    node.appendChild(typeof child === 'string' ? document.createTextNode(child) : child);
  }
}

/**
 * The element of index.html with this id.
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
export function get(id, type) {
  const node = document.getElementById(id);
  if (!(node instanceof type)) throw new Error(`index.html has no ${type.name} with the id ${id}`);
  return node;
}

const SVG = 'http://www.w3.org/2000/svg';

/**
 * An icon of the sprite in index.html.
 * @param {string} name
 */
export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(SVG, 'use');
  use.setAttribute('href', `#i-${name}`);
  svg.append(use);
  return svg;
}

/**
 * A button with text, an icon, or both.
 * @param {string} label
 * @param {(event: MouseEvent) => void} click
 * @param {Record<string, Attribute> & { icon?: string, bare?: boolean }} [options] `bare` shows the icon alone
 */
export function button(label, click, options = {}) {
  const { icon: name, bare, ...attributes } = options;
  const face = bare ? { 'aria-label': label, title: label } : {};
  return el('button', { type: 'button', click, ...face, ...attributes }, name && icon(name), !bare && label);
}

/**
 * A refusal, in the server's words, and what would fit.
 * @param {import('./types.js').Failure} failure
 * @param {...Child} actions
 */
export function alertOf(failure, ...actions) {
  return el(
    'div',
    { role: 'alert', class: 'alert' },
    icon('warning'),
    el(
      'div',
      {},
      el('p', {}, failure.message),
      failure.fits && el('p', { class: 'fits' }, `What fits: ${failure.fits}.`.replace(/\.\.$/, '.')),
      actions.length > 0 && el('div', { class: 'row' }, ...actions),
    ),
  );
}

/**
 * Says "Copied" on the button for a moment.
 * @param {HTMLButtonElement} from
 * @param {string} text
 */
export async function copy(from, text) {
  const label = from.lastChild;
  if (!label) return;
  const before = label.textContent;
  try {
    await navigator.clipboard.writeText(text);
    label.textContent = 'Copied';
  } catch {
    label.textContent = 'The browser refused';
  }
  setTimeout(() => { label.textContent = before; }, 1600);
}

/** Whether things may move by themselves. */
export const still = () => matchMedia('(prefers-reduced-motion: reduce)').matches;

/**
 * One tab stop for a row of buttons; arrows, Home and End move inside it.
 * @param {HTMLElement} list
 */
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
