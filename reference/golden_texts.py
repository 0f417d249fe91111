"""Varied texts for tokenizer goldens: many languages, emoji, digits, white space, code, special tokens, odd Unicode. Written for this project."""

SENTENCES = [
    "Hello, world!", "What is the man doing in the video?", "The quick brown fox jumps over the lazy dog.", "I'm sure they'll say we've won; it's what you'd expect.",
    "I'M SURE THEY'LL SAY WE'VE WON", "don't Don'T DON'T ’re ’s", "A ball bounces 3 times, then rolls left.", "Which colour appears first: red, green, or blue?",
    "¿Qué está haciendo la mujer en el vídeo?", "Où se trouve le chat noir ? À côté de la fenêtre.", "Können Sie das Geräusch beschreiben? Straße, Füße, Übung.",
    "Что делает человек на видео?", "Ένας σκύλος τρέχει στο πάρκο.", "החתול יושב על השטיח", "القطة تجلس على السجادة", "گربه روی فرش نشسته است",
    "बिल्ली चटाई पर बैठी है", "বিড়ালটি মাদুরে বসে আছে", "பூனை பாயில் அமர்ந்திருக்கிறது", "แมวนั่งอยู่บนเสื่อ", "Con mèo đang ngồi trên tấm thảm.",
    "猫坐在垫子上。视频里的人在做什么？", "貓坐在墊子上。", "猫がマットの上に座っています。", "カタカナ ひらがな 漢字 ﾊﾝｶｸ", "고양이가 매트 위에 앉아 있습니다.",
    "Kedi halının üzerinde oturuyor. İstanbul ışık", "Kot siedzi na dywanie, żółta łódź.", "Pisica stă pe covor; țară, șase.", "Macska ül a szőnyegen, árvíztűrő tükörfúrógép.",
    "Kissa istuu matolla. Hyvää yötä!", "Mačka sedí na koberci, příliš žluťoučký kůň.", "Paka ameketi kwenye mkeka.", "Քատուն նստած է գորգի վրա", "კატა ხალიჩაზე ზის",
    "ድመቷ ምንጣፉ ላይ ተቀምጣለች", "ᠮᠣᠩᠭᠣᠯ", "བོད་སྐད", "မြန်မာဘာသာ", "ភាសាខ្មែរ", "ລາວ", "සිංහල", "తెలుగు", "ಕನ್ನಡ", "മലയാളം", "ગુજરાતી", "ਪੰਜਾਬੀ",
    "ÆØÅ æøå Þð ß ẞ ĳ", "naïve café résumé coöperate façade", "naïve café (decomposed)", "Å Å Å", "ﬁ ﬂ ﬀ", "①②③ ½ ¼ ² ³ ₂ Ⅷ", "٠١٢٣ ०१२३ ４５６",
    "x² + y² = z²; ∫ f(x) dx ≈ ∑ aᵢ", "E = mc^2, \\alpha \\leq \\beta_{i,j}", "1 + 1 = 2", "3.14159 2,718,281.83 -40°C 100% $5.99 €7 ¥800", "2026-11-22T05:30:00Z", "+1 (555) 010-9999",
    "192.168.0.1:8080/path?query=1&b=%20#frag", "https://example.org/a_b-c~d/e.html", "user.name+tag@example.co.uk", "C:\\Program Files\\x\\y.txt", "/usr/local/bin/env python3",
    "def f(x):\n    return x ** 2 if x else None\n", "for (int i = 0; i < n; ++i) { sum += a[i]; }", "SELECT * FROM t WHERE a >= 10 AND b != 'x';", "<div class=\"a\">&nbsp;&lt;</div>",
    "fn main() -> Result<(), Box<dyn Error>> {\n\tprintln!(\"{x:?}\");\n}", "{\"key\": [1, 2.5, null, true], \"s\": \"\\u00e9\\n\"}", "# Title\n\n- item\n- item\n\n```rust\nlet x = 1;\n```\n", "| a | b |\n|---|---|\n| 1 | 2 |",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "!!!???...,,,;;;:::---___***", "()[]{}<>«»“”‘’„‚‹›", "—–-‐‑‒―", "…⋯·•‣◦", "←↑→↓↔⇒∀∃∅∈∉∞≠≤≥", "█▓▒░▲▼◆●○★☆",
    "🙂", "🙂🙃😂🤣", "👨‍👩‍👧‍👦 family", "👍🏽 👩🏿‍🚀", "🇫🇷🇯🇵🇧🇷", "❤️ ❤", "1️⃣ 2️⃣", "🏴‍☠️ 🏳️‍🌈", "a🙂b 🙂c", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝟙𝟚𝟛", "𠮷野家 𩸽", "e\u0301\u0323 \u1e69 s\u0323\u0307",
    "z\u0300\u0301\u0302\u0303\u0304", "\u200b\u200c\u200d\ufeff", "a\u00a0b\u2003c\u3000d\u2028e\u2029f", "\u00ad\u061c\u202e\u202c", "\ufffd \ufffe", "tab\tseparated\t\tvalues", "line\r\nbreaks\r\rand\n\nmore\n\n\n",
]  # fmt: skip

SPACES = ["", " ", "  ", "   ", "\n", "\n\n", " \n", "\n ", " \n \n ", "\t", "\t\t ", "a ", " a", "  a", "   a  ", "a  b", "a   b", "a \n b", "a\n  b\n    c", "\r", "\r\n", " \r\n ", "\x0b\x0c", "\x00\x01\x7f"]

NUMBERS = ["0", "7", "10", "12", "123", "1234", "12345", "1234567890", " 1", " 12", "1 2 3", "1.5s", "007", "1e-6", "0x1F", "v2.0.1", "10:30", "3/4", "50%", "#1", "1st 2nd", "x1y2z3", "½1", "１2"]

SPECIALS = [
    "<|im_start|>", "<|im_end|>\n", "<|endoftext|>", "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", "a<|im_end|>b", " <|im_end|> ", "<|im_end|", "<|im_", "<|IM_END|>", "<|vision_start|><|image_pad|><|vision_end|>",
    "<tool_call>\n{\"name\": \"f\"}\n</tool_call>", "<image>", "<image>\nDescribe.", "< image >", "<image><image>", "<video>", "<|stream_start|>stream\nTime 0.0s: <image>\n<|stream_end|>", "<|fim_prefix|>x<|fim_suffix|>", "<|file_sep|>", "<|im_start|><|im_start|>",
]  # fmt: skip


def all_texts():
    """Every text once, in a fixed order, with joined and cut variants."""
    texts = list(SENTENCES) + SPACES + NUMBERS + SPECIALS
    texts += [f"Time {t:.1f}s:" for t in (0, 1, 9.9, 10, 59.5, 100, 179, 3599.5)]
    texts += [a + " " + b for a, b in zip(SENTENCES[::3], SENTENCES[1::3])]
    texts += [a + "\n" + b for a, b in zip(SENTENCES[5::7], SENTENCES[::7])]
    texts += [s[: len(s) // 2] for s in SENTENCES[::2] if len(s) > 8]
    texts += [s.upper() for s in SENTENCES[7:34:3]]
    seen, out = set(), []
    for t in texts:
        if t not in seen:
            seen.add(t)
            out.append(t)
    return out
