"""What a report adds to its ranking: reported claims, the best against the others, what decides, what choosing gains."""

import csv
import io
from typing import Any

import numpy as np

from digitexp.evaluation import compare
from digitexp.evidence import ties
from digitexp.evidence.beside import HELD, Beside
from digitexp.evidence.claims import point_text
from digitexp.evidence.report import Report, name, short
from digitexp.evidence.ties import Against
from digitexp.evidence.verdicts import REPRODUCED, UNTESTABLE, Evidence, Tested, Verdict

VERDICTS = "verdicts.csv"
TOLD = ("test/", "val/")  # measures of which a reported number can be
SHOWN = 10  # settings that the best is set against; claims have all their comparisons in the file


def content(report: Report, evidence: Evidence) -> dict[str, Any]:
    """What the page says of all this."""
    best = report.by_evidence[0] if report.finished else None
    part = report.marked or report.evidence
    same = [one for one in evidence.beside if one.verdict in HELD]
    others, level, family = report.by_evidence[1 : SHOWN + 1], ties.level(report.top), ties.family(report.finished, part)
    fixed = {
        None: "the runs do not say by which rule they were to be judged",
        True: "the runs were made under this very rule",
        False: f"the runs were made under an earlier rule ({', '.join(evidence.earlier)}) and are judged by this one",
    }[evidence.fixed_before]
    return {
        "verdicts": [_shown(verdict) for verdict in evidence.verdicts],
        "rule": f"Rule {evidence.rule}: {fixed}." if evidence.verdicts else "",
        "beside": [_beside(report, one) for one in evidence.beside if one.number.metric.startswith(TOLD)] if same else [],
        "together": len(same),
        "alpha": f"{100 * evidence.alpha:g}",
        "level": f"{100 * (1 - 2 * evidence.alpha):g}",
        "apart": "" if same or not evidence.beside else _why_apart(evidence),
        "against": [_against(report, ties.against(best, row, part, level, family)) for row in others] if best else [],
        "against_part": part,
        "against_more": f"The first {SHOWN} of {len(report.finished) - 1}." if len(report.finished) > SHOWN + 1 else "",
        "first": name(best.scored.point, report.paths) if best and len(report.paths) == 1 else "The best",
        "several": report.sweep.repeats > 1,
        "optimism": optimism(report),
    }


def tie(report: Report) -> str:
    """What would tell the best of a tie from the next."""
    names = ["the first", "the second"]
    if len(report.paths) == 1 and len(report.top) > 1:
        first, second = (row.scored.point for row in report.top[:2])
        names = [name(first, report.paths), short(second, report.paths)]
    return ties.of_group(report.top, report.finished, names, report.marked) if report.marked else ""


def optimism(report: Report) -> str:
    """How much higher the best epoch of each run stands than its last, by val: what choosing an epoch would flatter."""
    runs = [run for row in report.finished for run in report.runs(row)]
    curves = [run.curves["val/accuracy"] for run in runs if run.curves.get("val/accuracy")]
    if any(run.settings.get("training.early_stopping.patience") for run in runs):
        return ""  # the network is that of its best epoch
    if not curves or max(map(len, curves)) < 3:
        return ""
    gains = [max(curve) - curve[-1] for curve in curves]
    epochs = [int(np.argmax(curve)) + 1 for curve in curves]
    lengths = set(map(len, curves))
    where = f"the best epoch is {np.median(epochs):.0f} of {max(lengths)} at the median"
    if len(lengths) > 1:
        where = f"the last epoch is the best in {sum(gain == 0 for gain in gains)} of them"
    return (f"At its best epoch a run stands {np.mean(gains):.4f} higher on val than after its last (mean of {len(gains)} "
            f"runs, at most {max(gains):.4f}; {where}): so much would be gained, or flattered, by choosing the epoch. test "
            "is read once, after the last epoch, so val has to show it.")  # fmt: skip


def table(report: Report, evidence: Evidence) -> str:
    """verdicts.csv: a line a claim."""
    lines = rows(report, evidence)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def rows(report: Report, evidence: Evidence) -> list[dict[str, Any]]:
    """The lines of verdicts.csv."""
    return [_line(report, evidence, verdict) for verdict in evidence.verdicts]


def _line(report: Report, evidence: Evidence, verdict: Verdict) -> dict[str, Any]:
    images = report.images(verdict.claim.metric.split("/")[0])
    one = verdict.tested[0] if len(verdict.tested) == 1 else None
    ours, theirs = verdict.epochs
    return {
        "claim": verdict.claim.id, "sweep": verdict.claim.sweep, "text": str(verdict.claim), "metric": verdict.claim.metric,
        "wording": verdict.claim.wording, "reported": verdict.reported, "ours": _means(verdict),
        **_exactly(one),
        "verdict": verdict.verdict, "why": verdict.why,
        "seeds": report.sweep.repeats, "images": images, "epochs": ours, "epochs_reported": theirs,
        "geometry": _geometry(report) if "drawn/accuracy" in (verdict.claim.metric, verdict.claim.right) else "",
        "rule": evidence.rule,
        "rule_fixed_before": {None: "unknown", True: "yes", False: "no"}[evidence.fixed_before],
    }  # fmt: skip


def _exactly(one: Tested | None) -> dict[str, str]:
    """The difference, its interval and the p-values, all digits: whoever reads them rounds once."""
    if one is None:
        return dict.fromkeys(("difference", "low", "high", "p_holm", "p_excluded_holm"), "")
    found = (one.left - one.right, one.interval.low, one.interval.high, one.p, one.excluded)
    names = ("difference", "low", "high", "p_holm", "p_excluded_holm")
    return {name: repr(float(value)) for name, value in zip(names, found, strict=True)}


def _geometry(report: Report) -> str:
    """How the drawings were brought to 28 x 28, where that is the same in all runs."""
    found = {str(run.settings.get("data.drawn.geometry", "")) for run in report.sweep.runs}
    return found.pop() if len(found) == 1 else ""


def fine(metric: str) -> str:
    """How a measure is printed: seconds and epochs to a tenth, areas, which lie close to 1, to four digits."""
    return ".4f" if metric.endswith("/auc") else ".3f" if "/" in metric else ".1f"


def _means(verdict: Verdict) -> str:
    """Our means, left and right."""
    if len(verdict.tested) != 1:
        return ""
    one, digits = verdict.tested[0], fine(verdict.claim.metric)
    left, right = f"{one.left:{digits}}", f"{one.right:{digits}}"
    return left if isinstance(one.comparison.right, float) else f"{left} and {right}"


def _shown(verdict: Verdict) -> dict[str, Any]:
    one = verdict.tested[0] if len(verdict.tested) == 1 else None
    ours, theirs = verdict.epochs
    digits = fine(verdict.claim.metric)
    return {
        "claim": str(verdict.claim),
        "metric": verdict.claim.metric,
        "wording": verdict.claim.wording,
        "reported": verdict.reported,
        "ours": _means(verdict),
        "difference": f"{one.left - one.right:+{digits}}" if one else "",
        "interval": f"{one.interval.low:+{digits}} to {one.interval.high:+{digits}}" if one else "",
        "verdict": verdict.verdict,
        "strong": verdict.verdict == REPRODUCED,
        "why": verdict.why,
        "epochs": f"{ours} epochs, reported {theirs}" if theirs and ours != theirs and verdict.verdict != UNTESTABLE else "",
        "parts": [_part(verdict, place) for place in range(len(verdict.tested))] if len(verdict.tested) > 1 else [],
    }


def _part(verdict: Verdict, place: int) -> str:
    one = verdict.tested[place]
    left, right = (point_text(end).partition("=")[2] for end in (one.comparison.left, one.comparison.right))
    return f"{left} {one.comparison.relation} {right}: {one.left - one.right:+.3f}, {one.verdict}"


def _beside(report: Report, one: Beside) -> dict[str, str]:
    low, high = one.interval or (None, None)
    return {
        "setting": short(one.row.scored.point, report.paths),
        "metric": one.number.metric,
        "reported": one.number.text,
        "of": f"{one.number.count.n:,}" if one.number.count else "",
        "ours": f"{one.mean:.4f}",
        "interval": f"{low:.4f} to {high:.4f}" if one.interval else "",
        "range": f"{one.range.low:.4f} to {one.range.high:.4f}" if one.range else "",
        "verdict": one.verdict,
    }


def _why_apart(evidence: Evidence) -> str:
    """Why no reported number can be held against ours."""
    why = [one.verdict for one in evidence.beside if one.number.metric.startswith(TOLD)]
    return f"No reported number is held against ours, number to number ({why[0]})." if why else ""


def _against(report: Report, one: Against) -> dict[str, str]:
    share, (low, high) = one.better or (0, (0, 0))
    wins = (f"{share:.2f}", f"{low:.2f} to {high:.2f}") if one.better else ("", "")
    more = [ties.rounded(number) if number is not None else "" for number in one.further]
    apart = report.differs.get(one.row.scored.trial, 1) < compare.ALPHA
    return {"setting": short(one.row.scored.point, report.paths), "difference": f"{one.apart:+.4f}",
            "interval": f"{one.interval.low:+.4f} to {one.interval.high:+.4f}", "wins": wins[0], "wins_interval": wins[1],
            "seeds": "" if apart else more[0], "images": "" if apart else more[1]}  # fmt: skip


