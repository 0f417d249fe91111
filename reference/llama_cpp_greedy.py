"""Greedy tokens of a GGUF language part beside llama.cpp's, and the likeliest tokens of both along a text.

FOLDER is a model whose language part has the file's form (`real_words.py`); PROGRAM is the example `greedy` of the lab. llama.cpp (PyPI `xllamacpp`)
answers some prompts with temperature 0; ours answers the same token ids with the file's weights held as each of --dtypes. Printed for each: how many
tokens are the same from the first on, how far ours leads where they part, and how often ours agrees when it is given llama.cpp's tokens. With --text,
both name the likeliest token after each token of the text, and every pair of them is compared. llama.cpp is not let end its answers; where ours would, they
part, and the token that ours says is an end.
"""

import argparse
import json
import os
import subprocess
import tempfile
import urllib.request

import xllamacpp

PROMPTS = [
    "The lighthouse keeper climbed the stairs while the storm broke over the bay. In the morning he saw",
    "A video shows a man in a kitchen. First he breaks two eggs into a bowl. Then he",
    "The three most important ideas of the theory of evolution are",
    "def median(values):\n    \"\"\"The middle value of a list.\"\"\"\n",
    "Paris is the capital of France. It lies on the Seine. Its history began",
    "Dear Anna, thank you for your letter. The weather here has been",
    "To plant a tomato, you need a pot, some soil and a sunny place. Step one:",
    "Rust is a programming language that keeps memory safe without a garbage collector. Its main idea is",
]


class LlamaCpp:
    def __init__(self, file, threads):
        params = xllamacpp.CommonParams()
        params.model.path = file
        params.n_ctx, params.n_parallel = 4096, 1
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
        self.server = xllamacpp.Server(params)

    def tokens(self, text):
        body = json.dumps({"content": text, "add_special": False}).encode()
        request = urllib.request.Request(self.server.listening_address + "/tokenize", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)["tokens"]

    def likeliest(self, ids, count):
        """The next `count` tokens, each given those before it, and how far each leads the second."""
        asked = {"prompt": ids, "n_predict": count, "temperature": 0, "ignore_eos": True, "n_probs": 2, "cache_prompt": True}
        answer = self.server.handle_completions(asked)
        places = answer["choices"][0]["logprobs"]["content"]
        lead = lambda place: place["top_logprobs"][0]["logprob"] - place["top_logprobs"][1]["logprob"]
        return [(place["id"], lead(place)) for place in places]


def ours(args, dtype, asked, tokens):
    with tempfile.TemporaryDirectory() as folder:
        source, out = os.path.join(folder, "in.json"), os.path.join(folder, "out.json")
        json.dump(asked, open(source, "w", encoding="utf-8"))
        subprocess.run([args.program, args.folder, args.gguf, dtype, str(tokens), source, out], check=True)
        return json.load(open(out, encoding="utf-8"))


def answers(args, llama, dtypes):
    asked, leads = [], []
    for prompt in PROMPTS:
        prompt = llama.tokens(prompt)
        answer = llama.likeliest(prompt, args.tokens)
        asked.append({"prompt": prompt, "answer": [id for id, _ in answer]})
        leads.append([lead for _, lead in answer])
    for dtype in dtypes:
        agreed, whole = 0, []
        for one, own, lead in zip(asked, ours(args, dtype, asked, args.tokens), leads):
            theirs = one["answer"]
            same = next((at for at, (id, _) in enumerate(own["greedy"]) if id != theirs[at]), len(theirs))
            agreed += sum(id == theirs[at] for at, (id, _) in enumerate(own["given"]))
            first = own["greedy"][same] if same < len(theirs) else None
            parted = f" (ours says {first[0]} and leads by {first[1]:.3f}, theirs {theirs[same]} by {lead[same]:.3f})" if first else ""
            whole.append(f"{same}{parted}")
        print(f"{dtype}: the same from the first on, of {args.tokens}: {', '.join(whole)}")
        print(f"{dtype}: given llama.cpp's tokens, {100 * agreed / len(PROMPTS) / args.tokens:.2f} % of ours are the same", flush=True)


def along_text(args, llama, dtypes):
    ids = llama.tokens(open(args.text, encoding="utf-8").read())[: args.places + 1]
    found = {"llama.cpp": [llama.likeliest(ids[:at], 1)[0][0] for at in range(1, len(ids))]}
    for dtype in dtypes:
        (own,) = ours(args, dtype, [{"prompt": ids[:1], "answer": ids[1:]}], 0)
        found[dtype] = [id for id, _ in own["given"]]
    names = list(found)
    for at, first in enumerate(names):
        for second in names[at + 1 :]:
            same = sum(a == b for a, b in zip(found[first], found[second]))
            print(f"{first} and {second}: the same likeliest token at {100 * same / len(found[first]):.2f} % of {len(found[first])} places", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("gguf")
    parser.add_argument("folder")
    parser.add_argument("program")
    parser.add_argument("--dtypes", default="f32,int8,int4")
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--text", help="compare along this text, too")
    parser.add_argument("--places", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    llama, dtypes = LlamaCpp(args.gguf, args.threads), args.dtypes.split(",")
    answers(args, llama, dtypes)
    if args.text:
        along_text(args, llama, dtypes)


if __name__ == "__main__":
    main()
