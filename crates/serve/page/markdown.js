// Markdown as DOM nodes: blocks here, words in inline.js. HTML in a text stays text.
import { copyButton, el } from './dom.js';
import { inline } from './inline.js';

/** @import { Block, Context } from './types.mjs' */

const ITEM = /^(\s{0,3})([-*+]|\d{1,9}[.)])(\s+|$)(.*)$/;
const FENCE = /^\s{0,3}(`{3,}|~{3,})\s*([^`\s]*)[^`]*$/;
const DELIMITER = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;
const RULE = /^\s{0,3}([-*_])(\s*\1){2,}\s*$/;
const HEADING = /^\s{0,3}(#{1,6})\s+(.*?)(\s+#+)?\s*$/;
// Deeper quotes and lists are shown as text.
const DEEPEST = 8;

/** Shows `text` in `root`. Blocks that are as before keep their nodes, so that a growing answer flickers nowhere.
 * @param {HTMLElement} root @param {string} text @param {Context} context */
export function render(root, text, context) {
  const old = /** @type {{ keys?: string[] }} */ (/** @type {unknown} */ (root));
  const before = old.keys ?? [];
  const blocks = parse(text.replace(/\r\n?/g, '\n').split('\n'), 0);
  const keys = blocks.map((block) => JSON.stringify(block));
  let same = 0;
  while (same < keys.length && keys[same] === before[same]) same += 1;
  while (root.childNodes.length > same) root.lastChild?.remove();
  // Names of films in earlier blocks decide whose times these are.
  for (const key of keys.slice(0, same)) context.mention(key);
  for (const block of blocks.slice(same)) root.append(build(block, context));
  old.keys = keys;
}

/** @param {string[]} lines @param {number} depth @returns {Block[]} */
function parse(lines, depth) {
  const blocks = /** @type {Block[]} */ ([]);
  for (let at = 0; at < lines.length;) {
    if (!lines[at].trim()) {
      at += 1;
      continue;
    }
    const [block, next] = blockAt(lines, at, depth);
    blocks.push(block);
    at = next;
  }
  return blocks;
}

/** The block that starts at line `at`, and the line behind it. @param {string[]} lines @param {number} at
 * @param {number} depth @returns {[Block, number]} */
function blockAt(lines, at, depth) {
  const line = lines[at];
  const fence = FENCE.exec(line);
  if (fence) return code(lines, at, fence);
  const heading = HEADING.exec(line);
  if (heading) return [{ kind: 'heading', level: heading[1].length, text: heading[2] }, at + 1];
  if (RULE.test(line)) return [{ kind: 'rule' }, at + 1];
  if (depth < DEEPEST && /^\s{0,3}>/.test(line)) {
    let end = at;
    while (end < lines.length && /^\s{0,3}>/.test(lines[end])) end += 1;
    const inner = lines.slice(at, end).map((each) => each.replace(/^\s{0,3}> ?/, ''));
    return [{ kind: 'quote', blocks: parse(inner, depth + 1) }, end];
  }
  if (depth < DEEPEST && ITEM.test(line)) return list(lines, at, depth);
  if (isTable(lines, at)) return table(lines, at);
  let end = at + 1;
  while (end < lines.length && lines[end].trim() && !starts(lines, end)) end += 1;
  return [
    {
      kind: 'paragraph',
      text: lines
        .slice(at, end)
        .map((each) => each.trimStart())
        .join('\n'),
    },
    end,
  ];
}

/** Whether something other than a paragraph starts here. @param {string[]} lines @param {number} at */
function starts(lines, at) {
  const line = lines[at];
  return (
    FENCE.test(line) ||
    HEADING.test(line) ||
    RULE.test(line) ||
    /^\s{0,3}>/.test(line) ||
    ITEM.test(line) ||
    isTable(lines, at)
  );
}

/** @param {string[]} lines @param {number} at @param {RegExpExecArray} fence @returns {[Block, number]} */
function code(lines, at, fence) {
  const closes = (/** @type {string} */ line) => line.trim().startsWith(fence[1]) && /^[`~]+$/.test(line.trim());
  let end = at + 1;
  while (end < lines.length && !closes(lines[end])) end += 1;
  return [{ kind: 'code', language: fence[2], text: lines.slice(at + 1, end).join('\n') }, end + 1];
}

/** @param {string[]} lines @param {number} at */
const isTable = (lines, at) =>
  lines[at].includes('|') &&
  at + 1 < lines.length &&
  DELIMITER.test(lines[at + 1]) &&
  cells(lines[at]).length === cells(lines[at + 1]).length;

/** @param {string} line */
const cells = (line) =>
  line
    .trim()
    .replace(/^\|/, '')
    .replace(/(?<!\\)\|$/, '')
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim().replaceAll('\\|', '|'));

/** @param {string[]} lines @param {number} at @returns {[Block, number]} */
function table(lines, at) {
  const head = cells(lines[at]);
  const aligns = cells(lines[at + 1]).map((cell) => {
    if (!cell.endsWith(':')) return '';
    return cell.startsWith(':') ? 'middle' : 'right';
  });
  const rows = [];
  let end = at + 2;
  for (; end < lines.length && lines[end].includes('|'); end += 1) {
    const row = cells(lines[end]);
    rows.push(head.map((_, column) => row[column] ?? ''));
  }
  return [{ kind: 'table', aligns, head, rows }, end];
}

/** @param {string[]} lines @param {number} at @param {number} depth @returns {[Block, number]} */
function list(lines, at, depth) {
  const first = /** @type {RegExpExecArray} */ (ITEM.exec(lines[at]));
  const ordered = /\d/.test(first[2]);
  const items = [];
  while (at < lines.length) {
    const item = ITEM.exec(lines[at]);
    if (!item || /\d/.test(item[2]) !== ordered || RULE.test(lines[at])) break;
    const inner = [item[4]];
    const indent = item[1].length + item[2].length + 1;
    for (at += 1; at < lines.length && belongs(lines, at, indent); at += 1) {
      inner.push(lines[at].replace(new RegExp(`^\\s{0,${indent}}`), ''));
    }
    items.push(parse(inner, depth + 1));
    // A blank line between items.
    if (!lines[at]?.trim() && ITEM.test(lines[at + 1] ?? '')) at += 1;
  }
  return [{ kind: 'list', ordered, start: ordered ? parseInt(first[2], 10) : 1, items }, at];
}

/** Whether a line goes on with the item whose text starts `indent` columns in. @param {string[]} lines
 * @param {number} at @param {number} indent */
function belongs(lines, at, indent) {
  const inside = (/** @type {string | undefined} */ line) => /^\s*/.exec(line ?? '')?.[0].length ?? 0;
  if (!lines[at].trim()) return Boolean(lines[at + 1]?.trim()) && inside(lines[at + 1]) >= Math.min(indent, 2);
  return inside(lines[at]) >= Math.min(indent, 2) || (Boolean(lines[at - 1].trim()) && !starts(lines, at));
}

/** @param {Block} block @param {Context} context @returns {HTMLElement} */
function build(block, context) {
  switch (block.kind) {
    case 'paragraph':
      return el('p', {}, inline(block.text, context));
    // The page's own headings are h1 and h2.
    case 'heading':
      return headingOf(block.level, inline(block.text, context));
    case 'rule':
      return el('hr');
    case 'quote':
      return el('blockquote', {}, ...block.blocks.map((inner) => build(inner, context)));
    case 'code':
      return codeOf(block.language, block.text);
    case 'table':
      return tableOf(block, context);
    case 'list': {
      const items = block.items.map((blocks) =>
        el(
          'li',
          {},
          ...blocks.map((inner, at) =>
            at === 0 && inner.kind === 'paragraph' ? inline(inner.text, context) : build(inner, context),
          ),
        ),
      );
      return block.ordered ? el('ol', { start: block.start }, ...items) : el('ul', {}, ...items);
    }
  }
}

/** @param {number} level @param {Node} words */
function headingOf(level, words) {
  const tags = /** @type {const} */ (['h3', 'h4', 'h5', 'h6']);
  return el(tags[Math.min(level, 4) - 1], {}, words);
}

/** @param {string} language @param {string} text */
function codeOf(language, text) {
  const bar = el(
    'div',
    { class: 'code-bar' },
    el('span', {}, language || 'text'),
    copyButton('Copy', () => text, { class: 'quiet' }),
  );
  const label = language ? `Code in ${language}` : 'Code';
  return el(
    'div',
    { class: 'code' },
    bar,
    el('pre', { tabindex: 0, 'aria-label': label, role: 'group' }, el('code', {}, text)),
  );
}

/** @param {Extract<Block, { kind: 'table' }>} block @param {Context} context */
function tableOf(block, context) {
  const cell = (/** @type {'th' | 'td'} */ tag) => (/** @type {string} */ text, /** @type {number} */ column) =>
    el(tag, { class: block.aligns[column] || null, scope: tag === 'th' ? 'col' : null }, inline(text, context));
  return el(
    'div',
    { class: 'table', tabindex: 0, role: 'group', 'aria-label': 'Table' },
    el(
      'table',
      {},
      el('thead', {}, el('tr', {}, ...block.head.map(cell('th')))),
      el('tbody', {}, ...block.rows.map((row) => el('tr', {}, ...row.map(cell('td'))))),
    ),
  );
}
