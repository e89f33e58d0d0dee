from __future__ import annotations

import csv

import pytest

from monai_proto.preparation.case_report import CaseReport


@pytest.fixture
def report() -> CaseReport:
    report = CaseReport("Hippocampus")
    report.include("case_1", "training", files=["imagesTr/case_1.nii.gz", "labelsTr/case_1.nii.gz"])
    report.include("case_2", "training", notes=["one class only"])
    report.include("case_3", "validation")
    report.exclude("case_4", ["labelsTr/case_4.nii.gz"], ['label, "late", without image', "empty"])
    report.remark("ignored: 3 side files")
    return report


def test_counts_and_rows_by_status(report: CaseReport) -> None:
    assert report.split_counts() == {"training": 2, "validation": 1}
    assert [record.case for record in report.included] == ["case_1", "case_2", "case_3"]
    assert [record.case for record in report.excluded] == ["case_4"]


def test_summary_names_every_excluded_case_and_every_note(report: CaseReport) -> None:
    assert report.summary() == (
        "Hippocampus: 3 cases included, 1 excluded\n"
        "\n"
        "  training        2\n"
        "  validation      1\n"
        "\n"
        "Remarks (1)\n"
        "  - ignored: 3 side files\n"
        "\n"
        "Excluded (1)\n"
        '  - case_4: label, "late", without image; empty\n'
        "\n"
        "Included, with a note (1)\n"
        "  - case_2: one class only\n"
    )


def test_written_table_reads_back(report: CaseReport, tmp_path) -> None:
    report.write(tmp_path)
    with open(tmp_path / "report.csv", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["case"] for row in rows] == ["case_1", "case_2", "case_3", "case_4"]
    assert rows[0] == {
        "case": "case_1",
        "status": "included",
        "split": "training",
        "files": "imagesTr/case_1.nii.gz; labelsTr/case_1.nii.gz",
        "reasons": "",
    }
    assert rows[3]["reasons"] == 'label, "late", without image; empty'
    assert rows[3]["split"] == ""
    assert (tmp_path / "summary.txt").read_text(encoding="utf-8") == report.summary()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.csv", "summary.txt"]


def test_empty_report_says_so() -> None:
    assert CaseReport("Nothing").summary() == "Nothing: 0 cases included, 0 excluded\n"


def test_no_exclusion_without_a_reason(report: CaseReport) -> None:
    with pytest.raises(ValueError, match="case_5 must name at least one reason"):
        report.exclude("case_5", [], [])
