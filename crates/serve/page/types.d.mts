// Types for the checker only; the server does not embed this file. The wire, what the page keeps, what its parts want.

export type Value = string | number | boolean;

/** A card of `/v1/models`. */
export interface ModelCard {
  id: string;
  max_model_len?: number;
  zoetrope?: {
    family?: string;
    parameters?: number;
    dtype?: string;
    inputs?: { images: boolean; several_images: boolean; video: boolean };
    settings?: Setting[];
    limits?: Record<string, number>;
  };
}

/** A setting that only some families have. `type` is `integer`, `flag`, or `{ word: [...] }`. */
export interface Setting {
  name: string;
  help?: string;
  meaning?: string;
  default?: Value;
  type?: string | { word: string[] };
}

/** What `POST /v1/files` and `GET /v1/files/ID` answer. */
export interface StoredFile {
  id: string;
  bytes: number;
  filename: string;
  zoetrope?: {
    kind?: 'video' | 'image';
    width?: number;
    height?: number;
    duration?: number | null;
    codec?: string;
  };
}

export interface Cue {
  start: number;
  end: number;
  text: string;
}

/** A frame of a plan or of an answer. Times are seconds of the source. */
export interface Frame {
  index: number;
  time: number;
  tokens: number;
  tokens_before_pruning?: number;
}

/** A film or picture of a plan or of an answer, in the order of the request's parts. */
export interface Seen {
  name: string;
  kind: string;
  duration?: number | null;
  source?: [number, number];
  frames?: Frame[];
  tokens: number;
  tokens_before_pruning?: number;
}

export interface Plan {
  media: Seen[];
  tokens: { text: number; image: number; video: number; prompt: number; limit: number };
  bytes?: { keys_and_values?: number; features?: number };
  seconds?: number | null;
  cached?: boolean;
  /** Whether an answer could begin. */
  fits?: boolean;
}

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  prompt_tokens_details?: { cached_tokens?: number; image_tokens?: number; video_tokens?: number };
}

export interface Progress {
  stage: string;
  done: number;
  total: number;
}

/** A chunk of a streamed answer. */
export interface Chunk {
  choices?: { delta?: { content?: string | null; refusal?: string | null }; finish_reason?: string | null }[];
  usage?: Usage | null;
  zoetrope?: Partial<Progress> & { media?: Seen[]; seconds?: Record<string, number> };
  error?: WireError;
}

export interface WireError {
  message?: string;
  code?: string | null;
  param?: string | null;
  zoetrope?: { fits?: string };
}

export type Part =
  | { type: 'text'; text: string }
  | { type: 'image_url'; image_url: { url: string } }
  | { type: 'video_url'; video_url: { url: string; start?: number; end?: number; fps?: number; max_frames?: number } };

export interface Message {
  role: 'user' | 'assistant';
  content: string | Part[];
}

export interface Body {
  model?: string;
  messages: Message[];
  temperature?: number;
  seed?: number;
  max_tokens?: number;
  max_visual_tokens?: number;
  settings?: Record<string, Value>;
}

/** A film or picture of a conversation. */
export interface Medium {
  id: string;
  name: string;
  size: number;
  kind: 'video' | 'image';
  fileId?: string;
  width?: number;
  height?: number;
  duration?: number;
  codec?: string;
  /** The part of the film to read, in seconds; all of it where absent. */
  start?: number;
  end?: number;
  /** The user took it out; it stays named in the turns that had it. */
  removed?: boolean;
  /** The server no longer has it. */
  gone?: boolean;
}

export interface Failure {
  message: string;
  fits?: string;
  status?: number;
  /** Seconds, from `Retry-After`. */
  wait?: number;
}

export interface Answer {
  text: string;
  /** Ids of the media whose parts were in the request, in its order. */
  sent: string[];
  seen?: Seen[];
  usage?: Usage;
  seconds?: Record<string, number>;
  finish?: string;
  stopped?: boolean;
  failure?: Failure;
}

/** A question and its answer. */
export interface Turn {
  question: string;
  /** Ids of the media that were new with this question. */
  media: string[];
  answer?: Answer;
}

export interface Sampling {
  fps?: number;
  most?: number;
  visual?: number;
  temperature?: number;
  longest?: number;
  seed?: number;
  settings: Record<string, Value>;
}

export interface Talk {
  id: string;
  title: string;
  updated: number;
  model?: string;
  media: Medium[];
  turns: Turn[];
  sampling: Sampling;
}

/** A file on its way to the server. */
export interface Upload {
  sent: number;
  total: number;
  done: Promise<StoredFile>;
  failure?: Failure;
  abort: () => void;
}

/** What this tab holds of a medium; none of it is stored. */
export interface Here {
  file?: File;
  /** Where elements find the bytes. */
  url?: string;
  upload?: Upload;
  failure?: Failure;
  cues: Cue[];
}

/** A film that times can point into. */
export interface Film {
  duration: number;
  seek: (seconds: number) => void;
}

export interface Context {
  /** Hears every text in order: the film named last is the one that times speak of. */
  mention: (text: string) => void;
  /** The film that times speak of now. */
  film: () => Film | null;
}

export type Block =
  | { kind: 'paragraph'; text: string }
  | { kind: 'heading'; level: number; text: string }
  | { kind: 'code'; language: string; text: string }
  | { kind: 'quote'; blocks: Block[] }
  | { kind: 'rule' }
  | { kind: 'list'; ordered: boolean; start: number; items: Block[][] }
  | { kind: 'table'; aligns: string[]; head: string[]; rows: string[][] };

/** A number among the settings. */
export interface Field {
  name: Exclude<keyof Sampling, 'settings'>;
  label: string;
  help: string;
  min: number;
  max: number;
  step: number;
}

export interface PlayerOn {
  time: (seconds: number) => void;
  /** What the browser found out about the film. */
  facts: (medium: Medium, facts: { duration?: number; width: number; height: number }) => void;
}

export interface TimelineOn {
  seek: (seconds: number) => void;
  /** Start or end moved. */
  range: () => void;
}

export interface MediaOn {
  /** Another one is shown, or the shown one has a new address. */
  select: () => void;
  uploaded: () => void;
  changed: () => void;
  remove: (medium: Medium) => void;
  /** The user wants to give the file again. */
  again: (medium: Medium) => void;
}

export interface CostOn {
  /** The request as it would be; `asks` where there is something to ask about. */
  body: () => { body: Body; sent: Medium[]; asks: boolean };
  uploads: () => Upload[];
  card: () => ModelCard | undefined;
  /** Nothing where the server refuses. */
  plan: (plan: Plan | null, sent: Medium[]) => void;
}

export interface HistoryOn {
  open: (talk: Talk) => void;
  delete: (talk: Talk) => Promise<void>;
  current: () => string;
}

export interface AskOn {
  signal: AbortSignal;
  upload: (medium: Medium) => Upload | undefined;
  /** Nothing where the answer changed, but not how far the server is. */
  changed: (progress: Progress | null) => void;
}

export interface ConversationOn {
  seek: (seconds: number) => void;
  saved: (talk: Talk) => void;
  /** The frames of this turn's answer belong on the timeline; without a turn, as it was. */
  shown: (turn: Turn | null) => void;
  /** An answer is complete, stopped or refused. */
  done: () => void;
}

/** What the user can do with a turn. */
export interface Acts {
  context: (turn: Turn) => Context;
  medium: (id: string) => Medium | undefined;
  /** Asks again from this turn on. */
  from: (turn: Turn, question: string) => void;
  /** Shows this answer's frames on the timeline. */
  frames: (turn: Turn) => void;
  request: (turn: Turn, language: 'curl' | 'python') => string;
  last: (turn: Turn) => boolean;
  busy: () => boolean;
}

/** The elements of index.html, by their ids. */
export interface Ui {
  banner: HTMLElement;
  bars: HTMLElement;
  caption: HTMLElement;
  chooser: HTMLInputElement;
  composer: HTMLFormElement;
  cost: HTMLElement;
  costRefusal: HTMLElement;
  cues: HTMLElement;
  cutAfter: HTMLElement;
  cutBefore: HTMLElement;
  drop: HTMLElement;
  end: HTMLElement;
  fps: HTMLInputElement;
  fpsSlider: HTMLInputElement;
  frame: HTMLImageElement;
  frames: HTMLElement;
  framesPlayer: HTMLElement;
  framesTitle: HTMLElement;
  lane: HTMLElement;
  log: HTMLElement;
  main: HTMLElement;
  media: HTMLElement;
  meter: HTMLElement;
  modelBody: HTMLElement;
  modelCard: HTMLDialogElement;
  modelName: HTMLElement;
  moreFields: HTMLElement;
  most: HTMLInputElement;
  mostSlider: HTMLInputElement;
  newTalk: HTMLButtonElement;
  openModel: HTMLButtonElement;
  openTalks: HTMLButtonElement;
  playerNote: HTMLElement;
  playhead: HTMLElement;
  position: HTMLInputElement;
  positionText: HTMLElement;
  question: HTMLTextAreaElement;
  range: HTMLElement;
  sampling: HTMLDetailsElement;
  send: HTMLButtonElement;
  start: HTMLElement;
  still: HTMLImageElement;
  stop: HTMLButtonElement;
  talks: HTMLDialogElement;
  talksList: HTMLElement;
  talksNote: HTMLElement;
  theme: HTMLButtonElement;
  timeline: HTMLElement;
  track: HTMLElement;
  video: HTMLVideoElement;
  welcome: HTMLElement;
  whole: HTMLButtonElement;
}
