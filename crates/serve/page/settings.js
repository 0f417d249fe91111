// How a film is read and an answer is made: sliders with a number beside each, and what the model's family adds.
import { el, ui } from './dom.js';

/** @import { Field, ModelCard, Sampling, Setting, Value } from './types.mjs' */

// The sliders' left end means automatic; the rest of the way is logarithmic.
const STEPS = 100;
/** @type {Field[]} */
const MORE = [
  {
    name: 'visual',
    label: 'Most visual tokens',
    help: 'for all films and pictures together',
    min: 1,
    max: 1e6,
    step: 64,
  },
  { name: 'longest', label: 'Longest answer', help: 'in tokens', min: 1, max: 1e6, step: 1 },
  { name: 'temperature', label: 'Temperature', help: '0 always takes the likeliest word', min: 0, max: 2, step: 0.1 },
  { name: 'seed', label: 'Seed', help: 'of chance, where the temperature is above 0', min: 0, max: 2 ** 31, step: 1 },
];

export class Settings {
  /** @type {Sampling} */
  #sampling = { settings: {} };
  /** @type {Pair[]} */
  #pairs;

  /** @param {() => void} changed */
  constructor(changed) {
    this.changed = changed;
    this.#pairs = [
      new Pair(ui.fps, ui.fpsSlider, 0.1, 30, (value) => this.#set('fps', value)),
      new Pair(ui.most, ui.mostSlider, 1, 512, (value) => this.#set('most', value)),
    ];
  }

  /** @param {Sampling} sampling @param {ModelCard | undefined} card */
  open(sampling, card) {
    this.#sampling = sampling;
    const [fps, most] = this.#pairs;
    most.high = card?.zoetrope?.limits?.max_frames ?? 512;
    fps.show(sampling.fps);
    most.show(sampling.most);
    ui.moreFields.replaceChildren(
      ...MORE.map((field) => this.#number(field)),
      ...(card?.zoetrope?.settings ?? []).map((setting) => this.#family(setting)),
    );
  }

  /** @param {Field['name']} name @param {number | undefined} value */
  #set(name, value) {
    this.#sampling[name] = value;
    this.changed();
  }

  /** @param {Field} field */
  #number(field) {
    const input = el('input', {
      type: 'number',
      id: `f-${field.name}`,
      min: field.min,
      max: field.max,
      step: field.step,
      placeholder: 'auto',
      inputmode: 'decimal',
      'aria-describedby': `h-${field.name}`,
      input: () => this.#set(field.name, valueOf(input)),
    });
    input.value = String(this.#sampling[field.name] ?? '');
    return row(field.name, field.label, field.help, input);
  }

  /** @param {Setting} setting */
  #family(setting) {
    const { name } = setting;
    const words = typeof setting.type === 'object' ? setting.type.word : undefined;
    const flag = setting.type === 'flag' || /^(true|false)$/.test(String(setting.default));
    const auto = `auto (${setting.default ?? 'the model’s own'})`;
    const now = this.#sampling.settings[name];
    const change = () => {
      const text = control.value.trim();
      if (text) this.#sampling.settings[name] = parsed(text);
      else delete this.#sampling.settings[name];
      this.changed();
    };
    const attributes = { id: `f-set-${name}`, 'aria-describedby': `h-set-${name}`, input: change };
    const options = words ?? (flag ? ['true', 'false'] : []);
    const control = options.length
      ? el(
          'select',
          attributes,
          el('option', { value: '' }, auto),
          ...options.map((word) => el('option', { value: word }, word)),
        )
      : el('input', { type: 'text', placeholder: 'auto', autocomplete: 'off', ...attributes });
    control.value = now === undefined ? '' : String(now);
    const help = [
      setting.help ?? setting.meaning,
      !options.length && setting.default !== undefined && `auto: ${setting.default}`,
    ];
    return row(
      `set-${name}`,
      name[0].toUpperCase() + name.slice(1).replaceAll('_', ' '),
      help.filter(Boolean).join('; '),
      control,
    );
  }
}

/** A slider and a number that say the same. */
class Pair {
  /** @param {HTMLInputElement} number @param {HTMLInputElement} slider @param {number} low @param {number} high
   * @param {(value: number | undefined) => void} changed */
  constructor(number, slider, low, high, changed) {
    this.low = low;
    this.high = high;
    this.number = number;
    this.slider = slider;
    this.number.addEventListener('input', () => {
      this.#slide(valueOf(this.number));
      changed(valueOf(this.number));
    });
    this.slider.addEventListener('input', () => {
      const at = Number(this.slider.value);
      const exact = this.low * (this.high / this.low) ** ((at - 1) / (STEPS - 1));
      const value = at ? Number(exact.toPrecision(exact < 10 || this.low < 1 ? 2 : 3)) : undefined;
      this.show(value === undefined || this.low < 1 ? value : Math.round(value));
      changed(valueOf(this.number));
    });
  }

  /** @param {number | undefined} value */
  show(value) {
    this.number.value = String(value ?? '');
    this.#slide(value);
  }

  /** @param {number | undefined} value */
  #slide(value) {
    const part =
      value === undefined ? 0 : 1 + ((STEPS - 1) * Math.log(value / this.low)) / Math.log(this.high / this.low);
    this.slider.value = String(Math.min(STEPS, Math.max(value === undefined ? 0 : 1, Math.round(part))));
    this.slider.classList.toggle('auto', value === undefined);
    this.slider.setAttribute('aria-valuetext', value === undefined ? 'automatic' : String(value));
  }
}

/** @param {string} id @param {string} label @param {string} help @param {HTMLElement} control */
const row = (id, label, help, control) =>
  el(
    'div',
    { class: 'field' },
    el('label', { for: `f-${id}` }, label),
    control,
    el('p', { id: `h-${id}`, class: 'help' }, help),
  );

/** The number in a field; nothing where it is empty or no number. @param {HTMLInputElement} input */
const valueOf = (input) => (Number.isFinite(input.valueAsNumber) ? input.valueAsNumber : undefined);

/** @param {string} text @returns {Value} */
function parsed(text) {
  try {
    const value = JSON.parse(text);
    return typeof value === 'object' ? text : value;
  } catch {
    return text;
  }
}
