// The price of the next question, live: a dry run on the server whenever something changes.
import { Refusal, failureOf, isAbort, json } from './api.js';
import { alertOf, el, fill, ui } from './dom.js';
import { count, framesOf, plural, size, span } from './times.js';

/** @import { CostOn, Failure, Plan } from './types.mjs' */

export class Cost {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {AbortController | null} */
  #running = null;
  #offered = true;

  /** @param {CostOn} on */
  constructor(on) {
    this.on = on;
  }

  /** Asks again, once nothing has moved for `delay` milliseconds. */
  later(delay = 150) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(), delay);
    if (this.on.uploads().length) this.#sending();
  }

  #sending() {
    const uploads = this.on.uploads();
    const [sent, total] = [
      uploads.reduce((sum, each) => sum + each.sent, 0),
      uploads.reduce((sum, each) => sum + each.total, 0),
    ];
    // All bytes gone, no answer yet: the server opens the file.
    const words =
      sent >= total && total > 0
        ? `Opening ${size(total)}`
        : `Sending ${Math.floor((100 * sent) / Math.max(1, total))} % of ${size(total)}`;
    this.#say([el('strong', {}, words), el('span', {}, 'the price follows')], null);
  }

  async #ask() {
    this.#running?.abort();
    if (this.on.uploads().length) {
      this.#sending();
      return;
    }
    const { body, sent, asks } = this.on.body();
    if (!asks || !this.#offered) {
      this.#idle();
      return;
    }
    const running = new AbortController();
    this.#running = running;
    ui.cost.classList.add('stale');
    try {
      const plan = /** @type {Plan} */ (await json('/v1/plan', { method: 'POST', body, signal: running.signal }));
      this.#show(plan);
      this.on.plan(plan, sent);
    } catch (error) {
      if (isAbort(error)) return;
      const missing = error instanceof Refusal && [404, 405, 501].includes(error.failure.status ?? 0) && !sent.length;
      if (missing) this.#offered = false;
      if (missing) this.#idle();
      else this.#refuse(failureOf(error));
    }
    ui.cost.classList.remove('stale');
  }

  #idle() {
    const most = this.on.card()?.max_model_len;
    this.#say([el('strong', {}, '0 frames'), most ? el('span', {}, `0 of ${count(most)} tokens`) : null], null);
  }

  /** @param {Failure} failure */
  #refuse(failure) {
    this.#say([el('strong', {}, failure.status ? 'Not possible as it is set' : 'No price')], null);
    ui.costRefusal.replaceChildren(alertOf(failure));
    this.on.plan(null, []);
  }

  /** @param {Plan} plan */
  #show(plan) {
    const { prompt, limit, image, video, text } = plan.tokens;
    const frames = framesOf(plan.media).length;
    const pictures = plan.media.filter((each) => each.kind === 'image').length;
    const what = [frames || !pictures ? plural(frames, 'frame') : '', pictures ? plural(pictures, 'picture') : '']
      .filter(Boolean)
      .join(', ');
    const bytes = (plan.bytes?.keys_and_values ?? 0) + (plan.bytes?.features ?? 0);
    const time = plan.seconds === null || plan.seconds === undefined ? null : plan.seconds < 0.1 ? 'at once' : `about ${span(plan.seconds)}`;
    this.#say(
      [
        el('strong', {}, what),
        el(
          'span',
          { title: `${count(video)} of films, ${count(image)} of pictures, ${count(text)} of text` },
          `${count(prompt)} of ${count(limit)} tokens`,
        ),
        time && el('span', {}, time),
        bytes > 0 && el('span', { title: 'memory for keys, values and features' }, size(bytes)),
        plan.cached &&
          el('span', { title: 'The film was read before: no frame is decoded or encoded again' }, 'read before'),
      ],
      prompt / Math.max(1, limit),
    );
    if (plan.fits === false) {
      const message = `The prompt has ${plural(prompt, 'token')}, and ${count(limit)} is all that the model can hold.`;
      const fits = 'Fewer frames, a shorter part of the film, or fewer visual tokens';
      ui.costRefusal.replaceChildren(alertOf({ message, fits }));
    }
  }

  /** @param {import('./dom.js').Child[]} facts @param {number | null} share of the limit */
  #say(facts, share) {
    ui.costRefusal.replaceChildren();
    ui.cost.replaceChildren();
    fill(ui.cost, ...facts);
    ui.meter.style.width = `${Math.min(100, 100 * (share ?? 0))}%`;
    ui.meter.classList.toggle('full', (share ?? 0) >= 1);
  }
}
