"""``claims.yaml`` says what the sources say, by a second copy that was typed from them."""

from __future__ import annotations

from core.records import load_claims
from core.testing.published import Published, assert_claims_are, cell, rows

from . import published_values as source
from .test_claims import PAPER

CLAIMS = load_claims(PAPER / "claims.yaml")


def of_runs(table: str, pattern: str) -> dict[str, Published]:
    """One claim per cell, called by its row and column."""
    found = {}
    for row in rows(table):
        name, *columns = row
        for column in columns:
            if (value := cell(row[column])) is not None:
                found[pattern.format(row[name], column)] = value
    return found


def everything() -> dict[str, Published]:
    found: dict[str, Published] = {}
    for row in rows(source.TABLE_1):
        for metric in ("accuracy", "sop", "sop-per-step", "parameters"):
            if (value := cell(row[metric])) is not None:
                found[f"table1-{row['task']}-{row['model']}-{metric}"] = value
    for row in rows(source.TABLE_2):
        for model in ("alif", "rf", "brf", "bhrf"):
            if row[model] != "-":
                for share, epochs in zip((95, 98, 100), row[model].split("/"), strict=True):
                    found[f"table2-{row['task']}-{model}-{share}"] = (float(epochs), None)
    for row in rows(source.TABLE_4):
        for task in ("smnist", "psmnist", "ecg"):
            found[f"table4-{task}-{row['how']}"] = (float(row[task]), None)
        hours = round(float(row["shd-minutes"]) / 60, 3)
        found[f"table4-shd-{row['how']}"] = (hours, None)
    found |= of_runs(source.LOGS, "logs-{}-{}")
    found |= of_runs(source.LOGS_EPOCHS, "logs-{}-{}")
    found |= of_runs(source.NOISE, "noise-{}-{}")
    found |= of_runs(source.SCRIPTS, "script-{}-{}")
    found |= of_runs(source.MEASURED_ECG, "measured-{}-{}")
    found |= of_runs(source.MEASURED_SHD, "measured-{}-{}")
    found |= of_runs(source.SEED, "seed-{}-{}")
    found |= {row["plot"]: (float(row["value"]), None) for row in rows(source.PLOTS)}
    for row in rows(source.MEASURED_MNIST):
        name = row["file"]
        found[f"measured-{name}-accuracy"] = (int(row[row["trained"]]) / 100, None)
        found[f"measured-{name}-sop"] = (float(row["sop"]), None)
    # the spikes of the seed repository's runs are those of its weights
    for name, value in list(found.items()):
        if "-shd-" in name:  # measured on other data than theirs
            continue
        if name.startswith("measured-repro-") and name.endswith("-sop") and "init" not in name:
            run = name.removeprefix("measured-repro-").replace("spikeloss", "spike")
            found[f"seed-{run}"] = value
    return found


def test_every_claim_is_what_its_source_says() -> None:
    assert_claims_are(everything(), CLAIMS)


def test_curves_are_what_their_source_says() -> None:
    curves: dict[str, dict[int, float]] = {}
    for row in (*rows(source.CURVES), *rows(source.SHD_CURVES)):
        for name in row.keys() - {"epoch"}:
            curves.setdefault(f"configs/{name}.yaml", {})[int(row["epoch"])] = float(row[name])
    for row in rows(source.SEED_CURVES):
        name = row.pop("epoch")
        curves[f"configs/{name}.yaml"] = {int(epoch): float(row[epoch]) for epoch in row}
    found = {c.config: c.published_curve for c in CLAIMS if c.config and c.published_curve}
    assert found == curves


def test_numbers_of_runs() -> None:
    """Five per published mean, but for one network; the seed repository has one of each."""
    for claim in CLAIMS:
        group = claim.id.partition("-")[0]
        quoted = claim.model in ("ALIF, Yin et al.", "RadLIF", "DCLS-Delays")
        if claim.metric == "parameters" or quoted or group in ("table4", "measured", "script"):
            expected = None
        elif group in ("seed", "plot"):
            expected = 1
        elif group == "notebook":
            expected = None
        else:
            expected = 1 if claim.id.startswith("table1-psmnist-bhrf") else 5
        assert claim.seeds == expected, claim.id
