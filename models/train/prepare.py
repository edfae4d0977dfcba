"""Vocabulary and token ids of stories: python3 prepare.py --corpus FILE --out DIR [--vocab N] [--vocabulary FILE] [--hold N]

The corpus is text with one story a block between <|endoftext|> lines. Writes DIR/ids, 16 bits each, every story from BOS
to EOS, and DIR/spm.model, a SentencePiece BPE with byte fallback trained on the corpus, unless --vocabulary names one.
The last --hold stories are left out and written to DIR/held.txt.
"""
import argparse
from pathlib import Path

import numpy
import sentencepiece

SEPARATOR = "<|endoftext|>"


def train_vocabulary(stories, out, size):
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=(line for s in stories for line in s.split("\n")),
        model_prefix=str(out / "spm"), vocab_size=size, model_type="bpe", byte_fallback=True,
        character_coverage=0.9999, normalization_rule_name="identity", remove_extra_whitespaces=False,
        unk_id=0, bos_id=1, eos_id=2, pad_id=-1, num_threads=2, minloglevel=1)
    return out / "spm.model"


def main():
    arg = argparse.ArgumentParser(description=__doc__)
    arg.add_argument("--corpus", required=True, type=Path)
    arg.add_argument("--out", required=True, type=Path)
    arg.add_argument("--vocab", type=int, default=2048)
    arg.add_argument("--vocabulary", type=Path)
    arg.add_argument("--hold", type=int, default=0)
    a = arg.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    stories = [s.strip() for s in a.corpus.read_text(encoding="utf-8").split(SEPARATOR) if s.strip()]
    if not 0 <= a.hold < len(stories):
        arg.error(f"--hold {a.hold} of {len(stories)} stories")
    learned, held = stories[: len(stories) - a.hold], stories[len(stories) - a.hold :]
    if held:
        (a.out / "held.txt").write_text(f"\n{SEPARATOR}\n".join(held), encoding="utf-8")
    vocabulary = a.vocabulary or train_vocabulary(learned, a.out, a.vocab)
    spm = sentencepiece.SentencePieceProcessor(model_file=str(vocabulary))
    ids = [i for story in spm.encode(learned) for i in (1, *story, 2)]
    part = a.out / "ids.part"
    numpy.array(ids, dtype="<u2").tofile(part)
    part.rename(a.out / "ids")
    print(f"{len(ids):,} tokens in {len(learned):,} stories, {len(held)} held out")


if __name__ == "__main__":
    main()
