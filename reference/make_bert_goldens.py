"""Make the goldens of BERT's tokenizer: a small vocabulary, difficult texts and their ids by transformers.

Writes crates/text/tests/golden/bert.json. The two implementations of transformers (BertTokenizer over the tokenizers
crate, and the older one in Python) must agree on every text; the older one cannot be told that a text has no commands.

python reference/make_bert_goldens.py
"""

import json
import os
import tempfile

import transformers
from transformers import BertTokenizer
from transformers.models.bert.tokenization_bert_legacy import BertTokenizerLegacy

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "crates", "text", "tests", "golden")

VOCAB = (
    "[PAD] [unused0] [UNK] [CLS] [SEP] [MASK] ! \" # ' ( ) , - . / : ? [ ] _ a b c d e f g h i l m n o p r s t u w "
    "the what is in video describe cafe naive strasse woman man dog ##s ##ing ##ed ##er ##a ##b ##c ##d ##e ##i ##n ##o "
    "##r ##t ##u 1 2 3 ##0 ##1 ##2 ##5 東 京 の ##の я м ##р han ##gul cls sep dec $ ½ ß straße İ ##̇ 한 안 🙂 … “ ” –"
).split(" ")

TEXTS = [
    "",
    " ",
    "What is the man doing in the video?",
    "DESCRIBE the Video's dogs, describing woman.",
    "café naïve CAFÉ Naïve cafe\u0301",
    "東京の man東京woman",
    "\u3000the\u00a0man\u2003is\tin\r\nthe\nvideo ",
    "a\u0000b\ufffdc\u200bd\u00ade",
    "[CLS] the [SEP] man [DEC] [MASK] [UNK]",
    "Straße STRASSE \u1e9e ß",
    "İstanbul ı I",
    "what?!...is--this_1_2(3)$1,250.50",
    "“the man” – is… in",
    "🙂 man🙂woman \U0001f469\u200d\U0001f469\u200d\U0001f467",
    "a" * 99 + " " + "a" * 100 + " " + "a" * 101,
    "한글 안녕 \u1112\u1161\u11ab",
    "é" * 5 + " Ångström fi ﬁ ½ ①",
    "ям Р рр",
    "the " * 30 + "man",
]


def main():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "vocab.txt")
        with open(path, "w", encoding="utf-8") as f:
            f.write("\n".join(VOCAB) + "\n")
        rows = []
        makers = {side: BertTokenizer.from_pretrained(folder, truncation_side=side) for side in ("left", "right")}
        old = {side: BertTokenizerLegacy(path, truncation_side=side) for side in ("left", "right")}
        for made in (*makers.values(), *old.values()):
            made.add_special_tokens({"bos_token": "[DEC]"})
        for text in TEXTS:
            for side in ("left", "right"):
                for longest in (512, 7, 3, 2):
                    # split_special_tokens: words of people are never commands.
                    ids = [
                        made[side](text, truncation=True, max_length=longest, split_special_tokens=True).input_ids
                        for made in (makers, old)
                    ]
                    assert ids[0] == ids[1] or "[CLS]" in text, (text, side, longest, ids)
                    rows.append({"text": text, "side": side, "longest": longest, "ids": ids[0]})
    golden = {
        "about": f"made by reference/make_bert_goldens.py, transformers {transformers.__version__}",
        "vocab": VOCAB,
        "size": len(makers["left"]),
        "rows": rows,
    }
    os.makedirs(OUT, exist_ok=True)
    with open(os.path.join(OUT, "bert.json"), "w", encoding="utf-8") as f:
        json.dump(golden, f, ensure_ascii=True, indent=0)


if __name__ == "__main__":
    main()
