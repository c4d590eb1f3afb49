"""Learns the weights of src/content/weights.rs: which blocks of a page are its content.

    TRAWL_PAGES=SET cargo run -p extract --example predict -- ROWS learn      # the blocks of the saved pages
    python3 learn/content.py SET ROWS > src/content/weights.rs               # needs numpy and scikit-learn

Two logistic regressions. The first sees a block's features (src/content/feature.rs); the second also sees what the first
said of the blocks around (src/content/context.rs), on pages it was not learned from. A block counts by its share of its
page's words, so that every page counts the same. `--check` prints the score on domains that were held back, five times.
"""
import bisect, collections, json, re, sys
from urllib.parse import urlsplit
import numpy as np
from sklearn.linear_model import LogisticRegression

SUITES = {"content": "main_content", "news": "body", "markdown": "text"}
N = 4


def tokens(text):
    return re.findall(r"\w+", text.lower())


def label(blocks, truth):
    """For each block the share of it that is in the truth: long ones by runs of words, short ones by their place."""
    places, word, used = collections.defaultdict(list), collections.defaultdict(list), np.zeros(len(truth) + 1, bool)
    for i in range(len(truth)):
        word[truth[i]].append(i)
        if i + N <= len(truth):
            places[tuple(truth[i:i + N])].append(i)
    y, at = np.zeros(len(blocks)), [None] * len(blocks)
    for b, w in enumerate(blocks):
        runs = [tuple(w[i:i + N]) for i in range(len(w) - N + 1)]
        hits = [r for r in runs if r in places]
        if hits:
            y[b] = len(hits) / len(runs)
            if y[b] > .5:
                at[b] = places[hits[0]]
    anchors = [(b, at[b][0]) for b, w in enumerate(blocks) if at[b] and len(w) >= 8 and len(at[b]) == 1]
    anchored = [a[0] for a in anchors]
    for b, w in enumerate(blocks):
        if len(w) >= N and y[b] > .5 and len(at[b]) == 1:
            used[at[b][0]:at[b][0] + len(w)] = True
    for b, w in enumerate(blocks):
        if not w:
            y[b] = 0
            continue
        if len(w) >= 8 and at[b] and len(at[b]) == 1 or len(w) >= N and not at[b]:
            continue
        i = bisect.bisect(anchored, b)
        lo = anchors[i - 1][1] if i > 0 else 0
        hi = anchors[i][1] + 1 if i < len(anchors) else len(truth)
        lo, hi = min(lo, hi), max(lo, hi)
        fits = [p for p in word.get(w[0], []) if lo - 2 <= p <= hi + 2 and truth[p:p + len(w)] == w and not used[p:p + len(w)].any()]
        if fits:
            y[b] = 1
            used[fits[0]:fits[0] + len(w)] = True
        elif len(w) < N:
            y[b] = 0
        elif len(w) < 8 and any(used[p] for p in at[b]):
            y[b] = 0
    return y


def load(data, rows):
    names = json.load(open(f"{rows}/names.json"))
    pages = []
    for suite, field in SUITES.items():
        truth = {t["id"]: t for t in map(json.loads, open(f"{data}/truth/{suite}.jsonl"))}
        for line in open(f"{rows}/{suite}.rows.jsonl"):
            page = json.loads(line)
            if not page["rows"]:
                continue
            t = truth[page["id"]]
            blocks, true = [tokens(r["text"]) for r in page["rows"]], tokens(t["truth"][field])
            X = np.array([r["features"] for r in page["rows"]], np.float32)
            words = np.expm1(X[:, names.index("words")].astype(float))
            pages.append(dict(id=page["id"], kind=t.get("page_type", suite), suite=suite, domain=urlsplit(page["url"]).netloc.removeprefix("www."),
                              X=X, G=np.array([r["groups"] for r in page["rows"]]), y=label(blocks, true) > .5, w=words, blocks=blocks, true=true))
    domains = sorted({p["domain"] for p in pages})
    np.random.RandomState(1).shuffle(domains)
    fold = {d: i % 5 for i, d in enumerate(domains)}
    for p in pages:
        p["fold"] = fold[p["domain"]]
    return names, pages


class Model:
    """Logistic regression on standardised features, cut at five deviations."""
    def __init__(self, C):
        self.C = C

    def fit(self, pages, feature):
        X = np.concatenate([feature(p) for p in pages]).astype(float)
        y = np.concatenate([p["y"] for p in pages])
        w = np.concatenate([p["w"] / max(1, p["w"].sum()) for p in pages])
        self.mean, self.dev = X.mean(0), X.std(0)
        self.dev[self.dev == 0] = 1
        self.m = LogisticRegression(C=self.C, max_iter=400).fit(self.scale(X)[w > 0], y[w > 0], sample_weight=w[w > 0] / w.mean())
        return self

    def scale(self, X):
        return np.clip((X - self.mean) / self.dev, -5, 5)

    def __call__(self, X):
        return self.m.predict_proba(self.scale(X))[:, 1]


CONTEXT = ["back1", "next1", "back2", "next2", "near3", "near8", "other_up1", "all_up1", "other_up2", "all_up2", "other_third", "all_third",
           "other_tenth", "all_tenth", "other_kin", "all_kin", "page", "before"]


def context(p, q):
    """The same as src/content/context.rs."""
    w, n = p["w"] + 1e-6, len(q)
    cols = []
    for d in (1, 2):
        cols.append(np.concatenate([np.full(min(d, n), -1.), q[:-d] if n > d else []])[:n])
        cols.append(np.concatenate([q[d:], np.full(min(d, n), -1.)])[:n])
    cs, cw = np.concatenate([[0], np.cumsum(w * q)]), np.concatenate([[0], np.cumsum(w)])
    i = np.arange(n)
    for r in (3, 8):
        a, b = np.maximum(0, i - r), np.minimum(n, i + r + 1)
        cols.append((cs[b] - cs[a] - w * q) / (cw[b] - cw[a] - w + 1e-6))
    for g in p["G"].T:
        _, inv = np.unique(g, return_inverse=True)
        s, sw = np.bincount(inv, w * q), np.bincount(inv, w)
        cols += [(s[inv] - w * q) / (sw[inv] - w + 1e-6), s[inv] / sw[inv]]
    cols += [np.full(n, cs[-1] / cw[-1]), cs[1:] / (cs[-1] + 1e-9)]
    return np.stack(cols, 1)


def learn(pages, C):
    single = lambda p: p["X"]
    for f in range(5):
        part = Model(C).fit([p for p in pages if p["fold"] != f], single)
        for p in pages:
            if p["fold"] == f:
                p["C"] = context(p, part(p["X"]))
    return Model(C).fit(pages, single), Model(C).fit(pages, lambda p: np.concatenate([p["X"], p["C"]], 1))


def judge(first, second, p):
    return second(np.concatenate([p["X"], context(p, first(p["X"]))], 1))


def keep(q, w):
    """The blocks that promise the best F1: those above half of it."""
    order = np.argsort(-q, kind="stable")
    right, kept = np.cumsum((q * w)[order]), np.cumsum(w[order])
    f = 2 * right / (kept + (q * w).sum() + 1e-9)
    out = np.zeros(len(q), bool)
    out[order[:int(np.argmax(f)) + 1]] = True
    return out


def bag(p, t):
    c = sum((collections.Counter(p) & collections.Counter(t)).values())
    return 2 * c / (len(p) + len(t)) if p and t else float(not p and not t)


def report(pages, say):
    by = collections.defaultdict(list)
    for p in pages:
        by[p["kind"]].append(bag([x for b, k in zip(p["blocks"], keep(p["q"], p["w"])) if k for x in b], p["true"]))
    content = [s for k, v in by.items() if k not in SUITES for s in v] + [s for k, v in by.items() if k == "content" for s in v]
    print(say, "content %.4f" % np.mean(content), {k: round(float(np.mean(v)), 3) for k, v in by.items()}, file=sys.stderr)


def table(name, names, model):
    out = [f"pub(super) const {name}: &[Weight] = &["]
    for n, m, d, c in zip(names, model.mean, model.dev, model.m.coef_[0]):
        out.append(f'    Weight {{ name: "{n}", mean: {m:.5e}, deviation: {d:.5e}, weight: {c:.5e} }},')
    return out + ["];", f"pub(super) const {name}_BIAS: f32 = {model.m.intercept_[0]:.5e};"]


if __name__ == "__main__":
    names, pages = load(sys.argv[1], sys.argv[2])
    C = .02
    if "--check" in sys.argv:
        for f in range(5):
            first, second = learn([p for p in pages if p["fold"] != f], C)
            for p in pages:
                if p["fold"] == f:
                    p["q"] = judge(first, second, p)
        report(pages, "held back:")
    first, second = learn(pages, C)
    for p in pages:
        p["q"] = judge(first, second, p)
    report(pages, "learned from:")
    print("\n".join([
        "//! Weights of the two steps of `judge`, learned from the saved pages of the public set by `learn/content.py`: made, not",
        "//! written. Owns nothing else.", "", "use super::judge::Weight;", ""] + table("FIRST", names, first) + [""] + table("SECOND", names + CONTEXT, second)))
