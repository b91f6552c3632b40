"""The audit of the reported numbers as files: the page, the same as Markdown, two tables and a figure."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from digitexp import figures
from digitexp.evidence import audit as audits
from digitexp.evidence.audit import Audit, Judged, Opinion
from digitexp.evidence.claims import Number, point_text
from digitexp.evidence.report import p_text
from digitexp.figures import effects
from digitexp.reports.rendering import PAGE, TEXT, inline, render
from digitexp.settings import Rule

FOLDER = "audit"
COMPARISONS, NUMBERS, FIGURE = "comparisons.csv", "numbers.csv", "comparisons.png"
DPI = 150


def write(audit: Audit, rule: Rule, folder: Path) -> list[Path]:
    """Write the audit into `folder`; nothing in the files depends on the time or place of writing."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder, prefix=".unfinished-") as name:
        scratch = Path(name)
        figures.save(_figure(audit), scratch / FIGURE, DPI)
        _write_csv(scratch / COMPARISONS, map(_comparison, audit.judged))
        _write_csv(scratch / NUMBERS, (_number(*pair) for pair in audit.numbers))
        facts = content(audit, rule) | {"figure": inline(scratch / FIGURE)}
        (scratch / PAGE).write_text(render("audit.html", facts), "utf-8")
        (scratch / TEXT).write_text(render("audit.md", facts), "utf-8")
        files = [PAGE, TEXT, COMPARISONS, NUMBERS, FIGURE]
        for file in files:
            (scratch / file).replace(folder / file)
    return [folder / file for file in files]


def summary(audit: Audit) -> str:
    """What the audit found, in two sentences."""
    judged = [opinion for opinion in audit.opinions if opinion.verdict != audits.NOTHING]
    verdicts = (audits.STANDS, audits.NOT, audits.OPPOSED)
    stand, fall, opposed = (sum(one.verdict == verdict for one in judged) for verdict in verdicts)
    against = f", {opposed} {'is' if opposed == 1 else 'are'} contradicted" if opposed else ""
    return (f"Of {len(audit.opinions)} claims, {stand} stand by the reported counts alone, {fall} are not shown by them"
            f"{against}, and {len(audit.opinions) - len(judged)} come without counts. Every number is one training: these "
            "tests know how many images were read, not how far another seed would differ, so they uphold too much rather "
            "than too little.")  # fmt: skip


def content(audit: Audit, rule: Rule) -> dict[str, Any]:
    """All that the page says."""
    return {
        "summary": summary(audit),
        "rule": rule,
        "margins": ", ".join(f"{metric} {margin:g}" for metric, margin in rule.margin.items()),
        "family": audit.family,
        "claims": [_claim(opinion) for opinion in sorted(audit.opinions, key=lambda one: one.verdict == audits.NOTHING)],
        "comparisons": [_shown(one) for one in audit.judged],
        "slips": [{"where": f"{slip.number.source}, {slip.number.id}", "text": slip.text} for slip in audit.slips],
        "numbers": [_number(*pair) for pair in audit.numbers if pair[1]],
    }


def _claim(opinion: Opinion) -> dict[str, Any]:
    claim = opinion.claim
    single = opinion.judged[0] if len(opinion.judged) == 1 else None
    numbers = f"{_share(single.a)} and {_share(single.b)}" if single else opinion.why
    return {"claim": str(claim), "metric": claim.metric, "wording": claim.wording, "numbers": numbers,
            "verdict": opinion.verdict, "needed": f"{single.needed:,}" if single and single.needed else ""}  # fmt: skip


def _share(number: Number | float) -> str:
    if isinstance(number, float):
        return f"chance {number:g}"
    return f"{number.count.correct} of {number.count.n}" if number.count else number.text


def _shown(one: Judged) -> dict[str, Any]:
    equality = one.comparison.relation == "="
    return {
        "name": _name(one),
        "stands": one.verdict == audits.STANDS,
        "counts": f"{_share(one.a)}, {_share(one.b)}",
        "apart": f"{one.apart:+.3f}",
        "interval": f"{one.interval.low:+.3f} to {one.interval.high:+.3f}",
        "p": "" if equality else p_text(one.p),
        "adjusted": "equality" if equality else p_text(one.adjusted),
        "needed": f"{one.needed:,}" if one.needed else "",
        "verdict": one.verdict,
    }


def _name(one: Judged) -> str:
    """A comparison in as few words as are clear, with the varied setting's path once."""
    left, right = point_text(one.comparison.left), point_text(one.comparison.right)
    path = left.partition("=")[0]
    return f"{left} {one.comparison.relation} {right.removeprefix(f'{path}=')}"


def _comparison(one: Judged) -> dict[str, Any]:
    return {
        "sweep": one.claim.sweep, "claim": one.claim.id, "left": point_text(one.comparison.left),
        "relation": one.comparison.relation, "right": point_text(one.comparison.right), "metric": one.claim.metric,
        "counts": f"{_share(one.a)}, {_share(one.b)}", "difference": f"{one.apart:.6g}",
        "low": f"{one.interval.low:.6g}", "high": f"{one.interval.high:.6g}",
        "p": f"{one.p:.6g}", "p_holm": f"{one.adjusted:.6g}", "needed_each": one.needed or "", "verdict": one.verdict,
    }  # fmt: skip


def _number(number: Number, interval: tuple[float, float] | None) -> dict[str, Any]:
    low, high = interval or ("", "")
    return {"sweep": number.sweep, "id": number.id, "setting": number.setting, "metric": number.metric, "value": number.text,
            "counts": _share(number) if number.count else "", "low": f"{low:.4f}" if interval else "",
            "high": f"{high:.4f}" if interval else "", "source": number.source, "note": number.note}  # fmt: skip


def _figure(audit: Audit) -> Any:
    """Every directed comparison, turned so that what was claimed points to the right."""
    rows = [one for one in audit.judged if one.comparison.relation in ("<", ">")]
    turned = [(-one.apart, (-one.interval.high, -one.interval.low)) if one.comparison.relation == "<"
              else (one.apart, (one.interval.low, one.interval.high)) for one in rows]  # fmt: skip
    return effects.differences_figure(
        [_name(one) for one in rows],
        [value for value, _ in turned],
        [ends for _, ends in turned],
        [one.verdict == audits.STANDS for one in rows],
        "difference as claimed (accuracy on drawings)",
        "What the reported counts support",
        ("stands (Fisher, Holm, 5 %)", "does not"),
    )


def _write_csv(file: Path, rows: Iterable[dict[str, Any]]) -> None:
    listed: Sequence[dict[str, Any]] = list(rows)
    with file.open("w", encoding="utf-8", newline="") as text:
        writer = csv.DictWriter(text, list(listed[0]) if listed else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(listed)
