// Seconds as a clock, times in texts, numbers for people.
/** @import { Seen } from './types.mjs' */

// m:ss, mm:ss, h:mm:ss, each with decimals; never a piece of a longer number such as 1:02:03:04.
const CLOCK = /(?<![\d:.,])(?:(\d{1,2}):([0-5]\d)|(\d{1,3})):([0-5]\d)(\.\d{1,3})?(?![\d:])/g;
// "at 12.5 s": only behind a word of time, because "lasts 3 s" names no place of the film.
const SECONDS = /(?<=\b(?:at|from|until|to|around|after|before|by|time:?)\s)(\d+(?:\.\d+)?)\s?(?:s|sec|seconds?)\b/gi;

/** `m:ss`, `h:mm:ss`, with one decimal where the time is not whole. @param {number} seconds */
export function clock(seconds) {
  const tenths = Math.max(0, Math.round(seconds * 10));
  const whole = Math.floor(tenths / 10);
  const two = (/** @type {number} */ number) => String(number).padStart(2, '0');
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const decimal = tenths % 10 ? `.${tenths % 10}` : '';
  return h ? `${h}:${two(m)}:${two(s)}${decimal}` : `${m}:${two(s)}${decimal}`;
}

/** The times of a text, in order. @param {string} text */
export function findTimes(text) {
  const found = [];
  for (const match of text.matchAll(CLOCK)) {
    const [all, hours, minutes, plain, seconds, decimals] = match;
    const time = Number(hours ?? 0) * 3600 + Number(minutes ?? plain) * 60 + Number(seconds) + Number(decimals ?? 0);
    found.push({ start: match.index, end: match.index + all.length, seconds: time });
  }
  for (const match of text.matchAll(SECONDS)) {
    found.push({ start: match.index, end: match.index + match[0].length, seconds: Number(match[1]) });
  }
  return found.sort((a, b) => a.start - b.start);
}

/** The index of the time nearest to `time`, or -1 of none. @param {{ time: number }[]} frames @param {number} time */
export function nearest(frames, time) {
  let best = -1;
  frames.forEach((frame, at) => {
    if (best < 0 || Math.abs(frame.time - time) < Math.abs(frames[best].time - time)) best = at;
  });
  return best;
}

/** Bytes for people, in powers of 1000. @param {number} bytes */
export function size(bytes) {
  const steps = ['B', 'kB', 'MB', 'GB', 'TB'];
  let step = 0;
  for (; bytes >= 1000 && step < steps.length - 1; step += 1) bytes /= 1000;
  return `${bytes < 10 && step ? bytes.toFixed(1) : Math.round(bytes)} ${steps[step]}`;
}

/** @param {number} number */
export const count = (number) => number.toLocaleString('en-US');

/** "1 frame", "1,024 frames". @param {number} number @param {string} noun */
export const plural = (number, noun) => `${count(number)} ${noun}${number === 1 ? '' : 's'}`;

/** The frames of films; a picture is no frame. @param {Seen[]} media */
export const framesOf = (media) => media.flatMap((each) => (each.kind === 'video' ? (each.frames ?? []) : []));

/** How long something takes, for people. @param {number} seconds */
export function span(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
