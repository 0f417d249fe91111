// The words of a Markdown block as nodes: code, emphasis, links to the web, and links to times of a film.
import { el } from './dom.js';
import { clock, findTimes } from './times.js';

/** @import { Context } from './types.mjs' */

// Emphasis spans at most 2,000 characters: bounds the work on a text of nothing but stars.
const WORDS = new RegExp(
  [
    /(?<ticks>`+)(?<code>[\s\S]{1,2000}?)(?<!`)\k<ticks>(?!`)/,
    /!?\[(?<label>[^\]\n]{0,1000})\]\((?<url>[^()\s]{1,2000})(?:\s+"[^"]*")?\)/,
    /<?(?<bare>https?:\/\/[^\s<>()\]"'`]{1,2000}[^\s<>()\]"'`.,;:!?*_])>?/,
    /\*\*(?=\S)(?<strong>[\s\S]{0,2000}?\S)\*\*/,
    /(?<!\w)__(?=\S)(?<strong2>[\s\S]{0,2000}?\S)__(?!\w)/,
    /\*(?=[^\s*])(?<em>[\s\S]{0,2000}?[^\s*])\*(?!\*)/,
    /(?<![\w_])_(?=[^\s_])(?<em2>[\s\S]{0,2000}?[^\s_])_(?![\w_])/,
    /~~(?=\S)(?<gone>[\s\S]{0,2000}?\S)~~/,
    /\\(?<plain>[\\`*_{}[\]()#+\-.!|~>])/,
    /(?<line>\n)/,
  ]
    .map((each) => each.source)
    .join('|'),
  'g',
);

/** @param {string} text @param {Context} context @returns {DocumentFragment} */
export function inline(text, context) {
  const out = document.createDocumentFragment();
  let at = 0;
  for (const match of text.matchAll(WORDS)) {
    words(out, text.slice(at, match.index), context);
    out.append(piece(/** @type {Record<string, string | undefined>} */ (match.groups), match[0], context));
    at = match.index + match[0].length;
  }
  words(out, text.slice(at), context);
  return out;
}

/** @param {Record<string, string | undefined>} found @param {string} all @param {Context} context
 * @returns {Node | string} */
function piece(found, all, context) {
  if (found.code !== undefined) return el('code', {}, found.code.replace(/^ (.+) $/s, '$1'));
  if (found.url !== undefined) return link(found.url, inline(found.label || found.url, context), all);
  if (found.bare !== undefined) return link(found.bare, found.bare, all);
  const strong = found.strong ?? found.strong2;
  if (strong !== undefined) return el('strong', {}, inline(strong, context));
  const em = found.em ?? found.em2;
  if (em !== undefined) return el('em', {}, inline(em, context));
  if (found.gone !== undefined) return el('s', {}, inline(found.gone, context));
  if (found.line !== undefined) return el('br');
  return found.plain ?? all;
}

/** A link to the web, or the text as it stood where the address is of another kind. @param {string} url
 * @param {Node | string} label @param {string} all */
function link(url, label, all) {
  const known = URL.canParse(url) && ['http:', 'https:'].includes(new URL(url).protocol);
  return known ? el('a', { href: url, target: '_blank', rel: 'noopener noreferrer' }, label) : all;
}

/** Plain words, with the times among them as links. @param {DocumentFragment} out @param {string} text
 * @param {Context} context */
function words(out, text, context) {
  let at = 0;
  let heard = 0;
  for (const { start, end, seconds } of findTimes(text)) {
    context.mention(text.slice(heard, start));
    heard = start;
    const film = context.film();
    // Half a tenth of slack: clocks are rounded to tenths.
    if (start < at || !film || seconds > film.duration + 0.05) continue;
    out.append(text.slice(at, start), timeLink(text.slice(start, end), seconds, film.seek));
    at = end;
  }
  context.mention(text.slice(heard));
  out.append(text.slice(at));
}

/** @param {string} label @param {number} seconds @param {(seconds: number) => void} seek */
function timeLink(label, seconds, seek) {
  const click = (/** @type {MouseEvent} */ event) => {
    event.preventDefault();
    seek(seconds);
  };
  return el('a', { href: `#t=${seconds}`, class: 'time', title: `Show ${clock(seconds)}`, click }, label);
}
