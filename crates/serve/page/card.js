// The model card and the choice among models; the theme.
import { el, factList, ui } from './dom.js';
import { count, size } from './times.js';

/** @import { ModelCard } from './types.mjs' */

const THEME = 'zoetrope-theme';
const THEMES = /** @type {const} */ (['auto', 'light', 'dark']);

/** Light, dark, or as the system has it; kept in the browser. */
export function theme() {
  const control = ui.theme;
  const show = (/** @type {string} */ name) => {
    document.documentElement.dataset.theme = name;
    control.setAttribute('aria-label', `Theme: ${name}`);
    control.title = `Theme: ${name}`;
  };
  let kept = 'auto';
  try {
    kept = localStorage.getItem(THEME) ?? kept;
  } catch {
    /* the browser keeps nothing */
  }
  show(kept);
  control.addEventListener('click', () => {
    const at = THEMES.findIndex((name) => name === document.documentElement.dataset.theme);
    const next = THEMES[(at + 1) % THEMES.length];
    show(next);
    try {
      localStorage.setItem(THEME, next);
    } catch {
      /* only this tab then */
    }
  });
}

/** @param {ModelCard[]} cards @param {ModelCard | undefined} chosen @param {(card: ModelCard) => void} choose */
export function showModels(cards, chosen, choose) {
  ui.modelName.textContent = chosen?.id ?? 'none';
  const choices =
    cards.length > 1
      ? cards.map((card) => {
          const input = el('input', { type: 'radio', name: 'model', value: card.id, change: () => choose(card) });
          input.checked = card === chosen;
          return el('label', { class: 'choice' }, input, card.id);
        })
      : [];
  ui.modelBody.replaceChildren(
    ...(choices.length ? [el('fieldset', {}, el('legend', {}, 'Models of this server'), ...choices)] : []),
    ...(chosen ? [factsOf(chosen)] : [el('p', {}, 'The server has told of no model.')]),
  );
}

/** @param {ModelCard} card */
function factsOf(card) {
  const more = card.zoetrope ?? {};
  const inputs =
    more.inputs &&
    [more.inputs.video && 'films', more.inputs.images && (more.inputs.several_images ? 'pictures' : 'one picture')]
      .filter(Boolean)
      .join(', ');
  const limits = Object.entries(more.limits ?? {}).map(
    ([name, value]) =>
      /** @type {[string, string]} */ ([
        name
          .replaceAll('_', ' ')
          .replace(/^max /, 'Most ')
          .replace(/^./, (first) => first.toUpperCase()),
        /bytes/.test(name) ? size(value) : count(value),
      ]),
  );
  const rows = /** @type {Parameters<typeof factList>[0]} */ ([
    ['Name', card.id],
    ['Family', more.family],
    ['Parameters', more.parameters && short(more.parameters)],
    ['Weights', more.dtype],
    ['Context', card.max_model_len && `${count(card.max_model_len)} tokens`],
    ['Takes', inputs || (more.inputs && 'text alone')],
    ...limits,
  ]);
  return factList(rows);
}

/** @param {number} number */
const short = (number) =>
  number >= 1e9 ? `${(number / 1e9).toFixed(1)} billion` : `${(number / 1e6).toFixed(1)} million`;
