"""Write small SentencePiece models and the ids that the `sentencepiece` package gives for many texts.

bpe.model is of Llama's form (BPE, bytes for what has no piece, no normalization); unigram.model has what Llama's has not:
a table of replaced characters, runs of spaces made one, a piece that is found as it stands.
"""

import argparse
import json
import os
import tempfile

import sentencepiece

import golden_texts


def train(folder, name, texts, **options):
    """Trains a model on `texts` and returns the path of its file."""
    with tempfile.TemporaryDirectory() as tmp:
        corpus = os.path.join(tmp, "corpus.txt")
        with open(corpus, "w", encoding="utf-8") as out:
            out.writelines(text.replace("\n", " ").replace("\x00", "") + "\n" for text in texts)
        sentencepiece.SentencePieceTrainer.train(
            input=corpus, model_prefix=os.path.join(folder, name), num_threads=1, minloglevel=2, **options
        )
    os.remove(os.path.join(folder, name + ".vocab"))
    return os.path.join(folder, name + ".model")


def rules(folder):
    """A table of replacements: full width forms and two ligatures."""
    pairs = [(0xFF01 + n, 0x21 + n) for n in range(94)] + [(0x3000, 0x20), (0x2460, 0x31)]
    path = os.path.join(folder, "rules.tsv")
    with open(path, "w", encoding="utf-8") as out:
        out.writelines(f"{a:X}\t{b:X}\n" for a, b in pairs)
        out.write("FB01\t66 69\nFB02\t66 6C\n")
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="crates/text/tests/data")
    parser.add_argument("--model", help="another tokenizer.model: only its ids are written, to FOLDER/ids.json")
    args = parser.parse_args()
    texts = golden_texts.all_texts()
    if args.model:
        models = {"ids": args.model}
    else:
        english = [text for text in texts if text.isascii()] * 3 + [text for text in texts if len(text) > 12][:90]
        table = rules(tempfile.mkdtemp())
        models = {
            "sentencepiece_bpe": train(args.folder, "sentencepiece_bpe", english, model_type="bpe", vocab_size=700, byte_fallback=True,
                                       normalization_rule_name="identity", remove_extra_whitespaces=False, character_coverage=0.98,
                                       split_digits=True),
            "sentencepiece_unigram": train(args.folder, "sentencepiece_unigram", english, model_type="unigram", vocab_size=330, character_coverage=0.98,
                                           normalization_rule_tsv=table, user_defined_symbols=["<image>"]),
        }  # fmt: skip
    for name, path in models.items():
        model = sentencepiece.SentencePieceProcessor(model_file=path)
        rows = [{"text": text, "ids": model.encode(text), "decoded": model.decode(model.encode(text))} for text in texts]
        made = {"made_with": f"sentencepiece {sentencepiece.__version__}", "rows": rows}
        with open(os.path.join(args.folder, name + ".json"), "w", encoding="utf-8") as out:
            json.dump(made, out, ensure_ascii=True, separators=(",", ":"))
            out.write("\n")


if __name__ == "__main__":
    main()
