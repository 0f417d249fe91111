"""A tiny byte-level BPE with the Qwen2 pipeline (NFC, Qwen2 split pattern, byte level), and the chat templates.

Used by the toy checkpoints only. 256 byte tokens + 36 learned merges + special tokens; deterministic.
"""

from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers import AddedToken, Regex
from tokenizers.models import BPE

QWEN2_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

SPECIALS = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
]
ORIGINAL_EXTRA = ["<image>", "<|stream_start|>", "<|stream_end|>"]

# The template of the transformers-native port (A4.6 of the model page): no default system message.
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- '<|im_start|>' + message['role'] + '\\n' -}}"
    "{%- if message['content'] is string -%}{{- message['content'] -}}"
    "{%- else -%}"
    "{%- for item in message['content'] -%}"
    "{%- if item['type'] == 'image' -%}{{- '<|image_pad|>\\n' -}}"
    "{%- elif item['type'] == 'video' -%}{{- '<|video_pad|>\\n' -}}"
    "{%- elif item['type'] == 'text' -%}{{- item['text'] -}}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- endif -%}"
    "{{- '<|im_end|>\\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"
)

# Pairs in merge order; every left and right side is a byte symbol or an earlier merge (36 merges).
MERGES = (
    "i n|t h|th e|Ġ the|e r|a n|o n|r e|Ġ a|Ġ t|Ġ s|i s|a t|e n|o u|in g|h a|Ġ b|Ġ c|l e|u s|er e|T i|m e|Ti me|"
    "W ha|Wha t|Ġ is|Ġ w|o r|a s|t o|Ġ o|an d|Ġ m|s t"
).split("|")


def bytes_to_unicode() -> list[str]:
    """The 256 printable symbols of byte-level BPE in the order in which GPT-2 and Qwen number them."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    symbols = {b: chr(b) for b in printable}
    extra = 0
    for b in range(256):
        if b not in symbols:
            symbols[b] = chr(256 + extra)
            extra += 1
    order = printable + [b for b in range(256) if b not in printable]
    return [symbols[b] for b in order]


def vocab_and_merges() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Token -> id of the base vocabulary (292 entries) and its merges."""
    vocab = {symbol: i for i, symbol in enumerate(bytes_to_unicode())}
    merges = []
    for line in MERGES:
        left, right = line.split(" ")
        assert left in vocab and right in vocab, line
        merges.append((left, right))
        vocab[left + right] = len(vocab)
    return vocab, merges


def qwen2_pipeline(vocab: dict[str, int], merges: list[tuple[str, str]], specials: list[str], plain: list[str] = ()) -> Tokenizer:
    """A Qwen2 style tokenizer: `specials` are added as special tokens, `plain` as added tokens that are not special."""
    tokenizer = Tokenizer(BPE(vocab=vocab, merges=merges, byte_fallback=False, fuse_unk=False))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN2_PATTERN), behavior="isolated", invert=False),
            pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False),
        ]
    )
    tokenizer.post_processor = processors.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    for text in specials:
        tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False)])
    for text in plain:
        tokenizer.add_tokens([AddedToken(text, special=False, normalized=False)])
    return tokenizer


def toy_tokenizer(original: bool = False) -> Tokenizer:
    """The toy tokenizer: 300 entries, or 303 with the original convention's placeholder and stream tokens."""
    vocab, merges = vocab_and_merges()
    return qwen2_pipeline(vocab, merges, SPECIALS + (ORIGINAL_EXTRA if original else []))
