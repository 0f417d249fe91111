// Conversations in the browser: IndexedDB, or memory where the browser allows none.
/** @import { Talk } from './types.mjs' */

const SHELF = 'conversations';

/** @template T @param {IDBRequest<T>} asked @returns {Promise<T>} */
const settled = (asked) =>
  new Promise((resolve, reject) => {
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
  });

/** @returns {Promise<IDBDatabase>} */
function open() {
  const asked = indexedDB.open('zoetrope', 1);
  asked.onupgradeneeded = () => asked.result.createObjectStore(SHELF, { keyPath: 'id' });
  return settled(asked);
}

export class Store {
  /** @type {Map<string, Talk>} */
  #memory = new Map();
  /** @type {Promise<IDBDatabase | null>} */
  #database;
  /** Whether conversations outlive the tab. */
  lasting = true;

  constructor() {
    this.#database = open().catch(() => {
      this.lasting = false;
      return null;
    });
  }

  /** @param {IDBTransactionMode} mode @returns {Promise<IDBObjectStore | null>} */
  async #shelf(mode) {
    return (await this.#database)?.transaction(SHELF, mode).objectStore(SHELF) ?? null;
  }

  /** All conversations, the newest first. @returns {Promise<Talk[]>} */
  async all() {
    const shelf = await this.#shelf('readonly');
    const talks = shelf ? /** @type {Talk[]} */ (await settled(shelf.getAll())) : [...this.#memory.values()];
    return talks.sort((a, b) => b.updated - a.updated);
  }

  /** @param {string} id @returns {Promise<Talk | undefined>} */
  async get(id) {
    const shelf = await this.#shelf('readonly');
    return shelf ? settled(shelf.get(id)) : this.#memory.get(id);
  }

  /** @param {Talk} talk */
  async put(talk) {
    const copy = structuredClone(talk);
    const shelf = await this.#shelf('readwrite');
    if (shelf) await settled(shelf.put(copy));
    else this.#memory.set(talk.id, copy);
  }

  /** @param {string} id */
  async delete(id) {
    const shelf = await this.#shelf('readwrite');
    if (shelf) await settled(shelf.delete(id));
    else this.#memory.delete(id);
  }
}

/** A conversation without a word yet. @returns {Talk} */
export const fresh = () => ({
  id: newId(),
  title: '',
  updated: Date.now(),
  media: [],
  turns: [],
  sampling: { settings: {} },
});

/** `randomUUID` exists only on https and loopback; the page may be served on a local network. */
export const newId = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, '0')).join('');
