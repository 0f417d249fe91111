// Small pictures of frames, a few at a time, kept while the page is open.
import { blob, filePath } from './api.js';

const AT_ONCE = 3;
const MOST = 600;

/** @type {Map<string, string>} */
const made = new Map();
/** @type {Map<HTMLImageElement, string>} */
const waiting = new Map();
let running = 0;

const watcher = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      const image = /** @type {HTMLImageElement} */ (target);
      const path = image.dataset.path ?? '';
      const known = made.get(path);
      if (isIntersecting && known) show(image, known);
      else if (isIntersecting && path) waiting.set(image, path);
      else waiting.delete(image);
    }
    next();
  },
  { rootMargin: '0px 200px' },
);

/** Shows the frame at `time` in `image` once that is in sight. @param {HTMLImageElement} image @param {string} id
 * @param {number} time */
export function thumb(image, id, time) {
  image.dataset.path = filePath(id, 'frame', { time, width: 192 });
  watcher.observe(image);
}

/** Forgets what waits, because other frames are shown. */
export function forget() {
  watcher.disconnect();
  waiting.clear();
}

/** @param {HTMLImageElement} image @param {string} url */
function show(image, url) {
  watcher.unobserve(image);
  image.src = url;
}

async function next() {
  const first = waiting.entries().next();
  if (running >= AT_ONCE || first.done) return;
  const [image, path] = first.value;
  waiting.delete(image);
  running += 1;
  try {
    const url = made.get(path) ?? URL.createObjectURL(await blob(path));
    made.set(path, url);
    show(image, url);
    // The oldest goes.
    const [oldest, old] = made.entries().next().value ?? [];
    if (made.size > MOST && oldest && old) {
      made.delete(oldest);
      URL.revokeObjectURL(old);
    }
  } catch {
    /* the frame keeps its place without a picture; its time is written on it */
  }
  running -= 1;
  next();
}
