// The film as a line: frames and how much of each was kept, subtitles, the part that is read, where the player stands.
import { el, ui, roving, still } from './dom.js';
import { forget, thumb } from './thumbs.js';
import { clock, nearest, plural } from './times.js';

/** @import { Cue, Frame, Medium, TimelineOn } from './types.mjs' */

const MARGIN = 0.1;

export class Timeline {
  /** @type {Medium | null} */
  #medium = null;
  /** @type {Frame[]} */
  #frames = [];
  /** @type {Cue[]} */
  #subtitles = [];
  #lit = -1;

  /** @param {TimelineOn} on */
  constructor(on) {
    this.on = on;
    roving(ui.frames);
    ui.track.addEventListener('pointerdown', (event) => this.#scrub(event));
    this.#handle(ui.start, 'start');
    this.#handle(ui.end, 'end');
    ui.whole.addEventListener('click', () => this.#move(undefined, undefined));
  }

  /** @param {Medium | null} medium @param {Cue[]} subtitles */
  show(medium, subtitles) {
    const film = medium?.kind === 'video' && medium.duration ? medium : null;
    if (film !== this.#medium) this.frames([], false);
    this.#medium = film;
    ui.timeline.hidden = !film;
    this.#subtitles = subtitles;
    ui.cues.hidden = !subtitles.length;
    ui.cues.replaceChildren(
      ...subtitles.map((cue) => {
        const bar = el('span', { title: cue.text });
        this.#place(bar, cue.start, cue.end);
        return bar;
      }),
    );
    this.#drawRange();
  }

  /** @param {Frame[]} frames @param {boolean} answered whether the model saw them, or would */
  frames(frames, answered) {
    // A plan knows nothing of pruning: all of a frame counts.
    if (!answered) frames = frames.map((frame) => ({ ...frame, tokens_before_pruning: undefined }));
    this.#frames = frames;
    this.#lit = -1;
    forget();
    const before = frames.reduce((sum, frame) => sum + whole(frame), 0);
    const kept = frames.reduce((sum, frame) => sum + frame.tokens, 0);
    const share = before > kept ? ` · ${Math.round((100 * kept) / before)} % of tokens kept` : '';
    ui.frames.setAttribute('aria-label', answered ? 'Frames the model saw' : 'Frames the model would see');
    ui.frames.hidden = !frames.length;
    ui.framesTitle.textContent = frames.length
      ? `${plural(frames.length, 'frame')} ${answered ? 'seen' : 'planned'}${share}`
      : '';
    // As wide as their usual distance allows, also where they fill only a part of the film.
    const apart = (frames.at(-1)?.time ?? 0) - (frames[0]?.time ?? 0);
    const room = frames.length > 1 && apart > 0 ? ((this.#medium?.duration ?? 0) * (frames.length - 1)) / apart : 1;
    ui.bars.style.setProperty('--frames', String(room));
    ui.bars.replaceChildren(...frames.map((frame) => this.#bar(frame)));
    ui.frames.replaceChildren(...frames.map((frame, at) => el('li', {}, this.#button(frame, at))));
    ui.frames.scrollLeft = 0;
  }

  /** Where the player stands. @param {number} seconds */
  time(seconds) {
    const duration = this.#medium?.duration;
    if (!duration) return;
    ui.playhead.style.left = `${(100 * Math.min(seconds, duration)) / duration}%`;
    const cue = this.#subtitles.find((each) => each.start <= seconds && seconds < each.end);
    ui.caption.textContent = cue?.text ?? '';
    ui.caption.hidden = !this.#subtitles.length;
    const lit = nearest(this.#frames, seconds);
    if (lit === this.#lit) return;
    this.#light(this.#lit, false);
    this.#light(lit, true);
    this.#lit = lit;
    const item = /** @type {HTMLElement | undefined} */ (ui.frames.children[lit]);
    if (!item || ui.frames.contains(document.activeElement)) return;
    const left = item.offsetLeft - (ui.frames.clientWidth - item.offsetWidth) / 2;
    ui.frames.scrollTo({ left, behavior: still() ? 'auto' : 'smooth' });
  }

  /** @param {number} at @param {boolean} on */
  #light(at, on) {
    ui.bars.children[at]?.classList.toggle('lit', on);
    const target = ui.frames.children[at]?.firstElementChild;
    if (on) target?.setAttribute('aria-current', 'true');
    else target?.removeAttribute('aria-current');
  }

  /** @param {Frame} frame */
  #bar(frame) {
    const bar = el('span', {}, el('span'));
    const kept = /** @type {HTMLElement} */ (bar.firstChild);
    kept.style.height = `${(100 * frame.tokens) / whole(frame)}%`;
    bar.style.left = `${(100 * frame.time) / (this.#medium?.duration || 1)}%`;
    return bar;
  }

  /** @param {Frame} frame @param {number} at */
  #button(frame, at) {
    const all = whole(frame);
    const pruned = frame.tokens_before_pruning !== undefined;
    const label = pruned
      ? `Frame at ${clock(frame.time)}, kept ${frame.tokens} of ${all} tokens`
      : `Frame at ${clock(frame.time)}, ${all} tokens`;
    const image = el('img', { alt: '' });
    const veil = el('span', { class: 'veil', hidden: frame.tokens === all });
    veil.style.height = `${100 - (100 * frame.tokens) / all}%`;
    const node = el(
      'button',
      {
        type: 'button',
        title: label,
        'aria-label': label,
        tabindex: at ? -1 : 0,
        click: () => this.on.seek(frame.time),
        'data-when': clock(frame.time),
        'data-kept': pruned ? `${frame.tokens}/${all}` : all,
      },
      el('span', { class: 'picture' }, image, veil),
    );
    if (this.#medium?.fileId) thumb(image, this.#medium.fileId, frame.time);
    return node;
  }

  /** @param {HTMLElement} node @param {number} from @param {number} to */
  #place(node, from, to) {
    const duration = this.#medium?.duration || 1;
    node.style.left = `${(100 * from) / duration}%`;
    node.style.width = `${(100 * Math.max(0, Math.min(to, duration) - from)) / duration}%`;
  }

  #drawRange() {
    const medium = this.#medium;
    if (!medium?.duration) return;
    const [start, end] = [medium.start ?? 0, medium.end ?? medium.duration];
    this.#place(ui.cutBefore, 0, start);
    this.#place(ui.cutAfter, end, medium.duration);
    for (const [handle, value, low, high] of /** @type {const} */ ([
      [ui.start, start, 0, end - MARGIN],
      [ui.end, end, start + MARGIN, medium.duration],
    ])) {
      handle.style.left = `${(100 * value) / medium.duration}%`;
      handle.setAttribute('aria-valuemin', String(low));
      handle.setAttribute('aria-valuemax', String(high));
      handle.setAttribute('aria-valuenow', value.toFixed(1));
      handle.setAttribute('aria-valuetext', clock(value));
    }
    const cut = medium.start !== undefined || medium.end !== undefined;
    ui.range.textContent = cut ? `Reads ${clock(start)} to ${clock(end)}` : `Reads all ${clock(medium.duration)}`;
    ui.whole.hidden = !cut;
  }

  /** @param {number | undefined} start @param {number | undefined} end */
  #move(start, end) {
    const medium = this.#medium;
    if (!medium?.duration) return;
    const duration = medium.duration;
    // The ends of the film are no limits: the server's duration may be a little longer than the browser's.
    medium.start =
      start !== undefined && start > 0 ? Math.round(Math.min(start, (end ?? duration) - MARGIN) * 10) / 10 : undefined;
    medium.end =
      end !== undefined && end < duration
        ? Math.round(Math.max(end, (medium.start ?? 0) + MARGIN) * 10) / 10
        : undefined;
    this.#drawRange();
    this.on.range();
  }

  /** Seeks along the track while the pointer is down. @param {PointerEvent} event */
  #scrub(event) {
    if (event.button || event.target === ui.start || event.target === ui.end) return;
    ui.track.setPointerCapture(event.pointerId);
    this.on.seek(this.#at(event));
    const move = (/** @type {PointerEvent} */ next) => this.on.seek(this.#at(next));
    ui.track.addEventListener('pointermove', move);
    ui.track.addEventListener('lostpointercapture', () => ui.track.removeEventListener('pointermove', move), {
      once: true,
    });
  }

  /** @param {PointerEvent} event */
  #at(event) {
    const box = ui.lane.getBoundingClientRect();
    return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)) * (this.#medium?.duration ?? 0);
  }

  /** @param {HTMLElement} handle @param {'start' | 'end'} which */
  #handle(handle, which) {
    const to = (/** @type {number} */ value) => {
      const { start, end } = this.#medium ?? {};
      if (which === 'start') this.#move(Math.max(0, value), end);
      else this.#move(start, value);
    };
    handle.addEventListener('pointerdown', (event) => {
      handle.setPointerCapture(event.pointerId);
      handle.focus();
      event.preventDefault();
    });
    handle.addEventListener('pointermove', (event) => {
      if (!handle.hasPointerCapture(event.pointerId)) return;
      to(this.#at(event));
      this.on.seek(this.#at(event));
    });
    handle.addEventListener('keydown', (event) => {
      const duration = this.#medium?.duration ?? 0;
      const now = Number(handle.getAttribute('aria-valuenow'));
      const step = event.shiftKey ? 1 : Math.max(0.1, Math.round(duration / 20) / 10);
      const page = Math.max(1, duration / 10);
      const high = Number(handle.getAttribute('aria-valuemax'));
      /** @type {Record<string, number>} */
      const moves = {
        ArrowRight: now + step,
        ArrowUp: now + step,
        ArrowLeft: now - step,
        ArrowDown: now - step,
        PageUp: now + page,
        PageDown: now - page,
        Home: Number(handle.getAttribute('aria-valuemin')),
        End: high,
      };
      if (moves[event.key] === undefined) return;
      event.preventDefault();
      to(moves[event.key]);
      this.on.seek(Number(handle.getAttribute('aria-valuenow')));
    });
  }
}

/** A frame's tokens before pruning; at least one, to divide by. @param {Frame} frame */
const whole = (frame) => Math.max(1, frame.tokens_before_pruning ?? frame.tokens);
