"""Direct preference optimization (DPO, arXiv 2305.18290) in PyTorch, for `make_training_goldens.py`.

The loss is the sigmoid loss of TRL's DPOTrainer: with x = beta * ((chosen - its reference) - (rejected - its reference))
of summed log-probabilities, it is -(1 - s) logsigmoid(x) - s logsigmoid(-x) for a label smoothing s, plus `rpo_alpha`
times the mean nats of a token of the chosen answer (RPO, arXiv 2404.19733). A step is the mean over its pairs.
"""

import contextlib

import torch
from torch.nn.functional import cross_entropy, logsigmoid


def rejected_of(sample):
    """The sample with its last answer replaced by the one that is not preferred."""
    *before, (question, _) = sample["turns"]
    return {**sample, "turns": [*before, [question, sample["rejected"]]]}


def last_answer(labels):
    """Labels of the last answer alone: what was said before it is a part of the question."""
    places = (labels >= 0).nonzero().flatten().tolist()
    first = places[-1]
    while first - 1 in places:
        first -= 1
    kept = torch.full_like(labels, -100)
    kept[first:] = labels[first:]
    return kept


def without_adapters(model):
    return model.disable_adapter() if hasattr(model, "disable_adapter") else contextlib.nullcontext()


class Dpo:
    """Pairs, and the log-probabilities that the model gives their answers before it learns."""

    def __init__(self, family, logits_of, cast, objective):
        samples = family.samples
        sides = []
        for own in (samples, [rejected_of(sample) for sample in samples]):
            family.samples = own
            sides.append([(cast(inputs), last_answer(labels)) for inputs, labels in family.batch()])
        family.samples = samples
        self.pairs, self.logits_of = list(zip(*sides)), logits_of
        self.beta = objective.get("beta", 0.1)
        self.smoothing, self.rpo_alpha = objective.get("label_smoothing", 0.0), objective.get("rpo_alpha", 0.0)
        with torch.no_grad(), without_adapters(family.model):
            self.references = [[self.log_prob(*side) for side in pair] for pair in self.pairs]

    def tokens(self):
        return sum(len(labels) for pair in self.pairs for _, labels in pair)

    def log_prob(self, inputs, labels):
        """The sum over the answer's tokens."""
        return -cross_entropy(self.logits_of(inputs)[:-1], labels[1:], ignore_index=-100, reduction="sum")

    def losses(self):
        """The share of each pair in the loss of a step."""
        for (chosen, rejected), (chosen_reference, rejected_reference) in zip(self.pairs, self.references):
            chosen_log_prob, rejected_log_prob = self.log_prob(*chosen), self.log_prob(*rejected)
            x = self.beta * ((chosen_log_prob - chosen_reference) - (rejected_log_prob - rejected_reference))
            loss = -(1 - self.smoothing) * logsigmoid(x) - self.smoothing * logsigmoid(-x)
            targets = int((chosen[1][1:] >= 0).sum())
            yield (loss - self.rpo_alpha * chosen_log_prob / targets) / len(self.pairs)
