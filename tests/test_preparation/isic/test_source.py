"""The layouts: what the source says about each image, and what does not fit together."""

from __future__ import annotations

from pathlib import Path

import pytest

from monai_proto.preparation.isic.source import scan_isic_source


def touch(root: Path, *files: str) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    return root


def table(file: Path, *lines: str, encoding: str = "utf-8") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n", encoding=encoding)
    return file


def by_case(source) -> dict:
    return {case.case: case for case in source.cases}


def test_ham10000_with_two_image_folders_masks_and_split(tmp_path: Path) -> None:
    touch(tmp_path, "HAM10000_images_part_1/I1.jpg", "HAM10000_images_part_2/I2.JPG", "part_3/I3.jpg")
    touch(tmp_path, "HAM10000_segmentations_lesion_tschandl/I1_segmentation.png", "masks/I2.png")
    table(
        tmp_path / "HAM10000_metadata.csv",
        "lesion_id,image_id,dx,dx_type,split",
        "L1,I1,nv,histo,train",
        "L1,I2,nv,histo,Test",
        ",I3,mel,histo,",
        encoding="utf-8-sig",
    )
    source = scan_isic_source(tmp_path)
    assert (source.layout, source.classes) == ("ham10000", ["mel", "nv"])
    cases = by_case(source)
    assert not any(case.problems for case in cases.values())
    assert cases["I1"].files == [
        "HAM10000_images_part_1/I1.jpg",
        "HAM10000_segmentations_lesion_tschandl/I1_segmentation.png",
    ]
    assert cases["I2"].mask == "masks/I2.png"
    assert [case.listed_in for case in source.cases] == ["training", "test", None]
    assert [case.lesion for case in source.cases] == ["L1", "L1", None]


def test_tab_separated_metadata_without_a_suffix(tmp_path: Path) -> None:
    touch(tmp_path, "a/I1.jpg", "a/I2.jpg")
    table(tmp_path / "HAM10000_metadata", "lesion_id\timage_id\tdx", "L1\tI1\tnv", "L2\tI2\tbcc")
    assert scan_isic_source(tmp_path).classes == ["bcc", "nv"]


def test_isic_2018_takes_the_split_from_the_names_of_its_tables(tmp_path: Path) -> None:
    for part, image in (("Training", "I1"), ("Training", "I2"), ("Validation", "I3"), ("Test", "I4")):
        touch(tmp_path, f"ISIC2018_Task3_{part}_Input/{image}.jpg")
    header = "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC"
    row = {"MEL": "1.0,0.0,0,0,0,0,0", "NV": "0,1,0,0,0,0,0", "DF": "0,0,0,0,0,1.0,0"}
    table(tmp_path / "gt/ISIC2018_Task3_Training_GroundTruth.csv", header, f"I1,{row['DF']}", f"I2,{row['NV']}")
    table(tmp_path / "gt/ISIC2018_Task3_Validation_GroundTruth.csv", header, f"I3,{row['MEL']}")
    table(tmp_path / "gt/ISIC2018_Task3_Test_GroundTruth.csv", header, f"I4,{row['NV']}")
    table(
        tmp_path / "ISIC2018_Task3_Training_LesionGroupings.csv",
        "image,lesion_id,diagnosis_confirm_type",
        "I1,L1,histopathology",
        "I2,L1,histopathology",
    )
    source = scan_isic_source(tmp_path)
    assert (source.layout, source.classes) == ("isic", ["MEL", "NV", "DF"])  # the order of the columns
    assert "classes without any image, left out of the labels: BCC, AKIEC, BKL, VASC" in source.remarks
    cases = by_case(source)
    assert {name: (case.label, case.listed_in, case.lesion) for name, case in cases.items()} == {
        "I1": ("DF", "training", "L1"),
        "I2": ("NV", "training", "L1"),
        "I3": ("MEL", "validation", None),
        "I4": ("NV", "test", None),
    }


def test_isic_2019_with_weights_and_lesions_in_the_metadata(tmp_path: Path) -> None:
    touch(tmp_path, "ISIC_2019_Training_Input/I1.jpg", "ISIC_2019_Training_Input/I2_downsampled.jpg", "I3.jpg")
    table(
        tmp_path / "ISIC_2019_Training_GroundTruth.csv",
        "image,MEL,NV,AK,SCC,UNK,score_weight,validation_weight",
        "I1,0,0,1,0,0,1.0,0.5",
        "I2_downsampled,0,0,0,1,0,0.0,0.5",
        "I3,1,1,0,0,0,1.0,0.5",
    )
    table(
        tmp_path / "ISIC_2019_Training_Metadata.csv",
        "image,age_approx,anatom_site_general,lesion_id,sex",
        "I1,55.0,anterior torso,BCN_1,female",
        "I2_downsampled,,,,",
    )
    source = scan_isic_source(tmp_path)
    assert source.classes == ["AK", "SCC"]
    cases = by_case(source)
    assert [cases[name].lesion for name in ("I1", "I2_downsampled")] == ["BCN_1", None]
    assert cases["I1"].listed_in is None  # one table of labels: its name is no split
    assert cases["I3"].problems == ["the ground truth must mark one class with 1, got MEL=1, NV=1"]


def test_classes_on_demand_in_any_case_of_letters(tmp_path: Path) -> None:
    touch(tmp_path, "I1.jpg", "I2.jpg", "I3.jpg")
    table(tmp_path / "GroundTruth.csv", "image,MEL,NV,DF", "I1,1,0,0", "I2,0,1,0", "I3,0,0,1")
    source = scan_isic_source(tmp_path, classes=["nv", "akiec", "mel"])
    assert source.classes == ["nv", "akiec", "mel"]
    assert [case.label for case in source.cases] == ["mel", "nv", "DF"]
    assert by_case(source)["I3"].problems == ["unknown label DF, expected one of nv, akiec, mel"]


def test_rows_and_images_without_the_other_and_rows_that_disagree(tmp_path: Path) -> None:
    touch(
        tmp_path, "a/I1.jpg", "b/I1.jpg", "a/I2.jpg", "a/I4.jpg", "a/I5.jpg", "a/I6.jpg", "masks/I9.png", "a/._I1.jpg"
    )
    table(
        tmp_path / "metadata.csv",
        "lesion_id,image_id,dx",
        "L1,I1,nv",
        "L3,I3,mel",
        "L4,I4,nv",
        "L4,I4,mel",
        "L5,I5,wart",
        "L6,I6,",
        "L7,I2.jpg,mel",
    )
    table(tmp_path / "hmnist.csv", "pixel0000,pixel0001,label", "1,2,3")
    source = scan_isic_source(tmp_path)
    problems = {case.image or case.case: case.problems for case in source.cases}
    assert problems == {
        "a/I1.jpg": [],
        "b/I1.jpg": ["a second image of the same name, beside a/I1.jpg"],
        "I3": ["row of the metadata without an image"],
        "a/I4.jpg": ["2 rows of the metadata that do not agree"],
        "a/I5.jpg": ["unknown label wart, expected one of mel, nv"],
        "a/I6.jpg": ["no label"],
        "a/I2.jpg": [],
    }
    assert "ignored side files of macOS (AppleDouble, ._*): 1" in source.remarks
    assert "ignored, as tables of no known kind: hmnist.csv" in source.remarks
    assert "masks without image, ignored: 1" in source.remarks
    touch(tmp_path, "a/I8.jpg")
    assert by_case(scan_isic_source(tmp_path))["I8"].problems == ["image without a row in the metadata"]


def test_class_folders(tmp_path: Path) -> None:
    touch(tmp_path, "archive/nv/1.jpg", "archive/nv/deep/2.jpg", "archive/mel/1.jpg", "archive/bcc/3.png")
    table(tmp_path / "lesions.csv", "image,lesion_id", "2,L2")
    source = scan_isic_source(tmp_path)
    assert (source.layout, source.classes) == ("folders", ["bcc", "mel", "nv"])
    cases = by_case(source)
    assert {name: case.label for name, case in cases.items()} == {
        "nv-1": "nv",  # the name 1 occurs twice
        "2": "nv",
        "mel-1": "mel",
        "3": "bcc",
    }
    assert cases["2"].lesion == "L2"
    assert {case.listed_in for case in source.cases} == {None}


def test_class_folders_in_parts(tmp_path: Path) -> None:
    touch(tmp_path, "Train/nv/1.jpg", "Train/mel/2.jpg", "val/nv/3.jpg", "test/bcc/4.jpg", "extra/nv/5.jpg")
    touch(tmp_path, "Train/6.jpg", "train/masks/1.png")
    source = scan_isic_source(tmp_path)
    assert source.classes == ["bcc", "mel", "nv"]
    cases = by_case(source)
    assert [cases[name].listed_in for name in "1234"] == ["training", "training", "validation", "test"]
    assert cases["1"].mask == "train/masks/1.png"
    assert cases["5"].problems == ["image outside of the folders train, val and test"]
    assert cases["6"].problems == ["image outside of the folders of the classes"]


def test_a_table_outside_of_the_source(tmp_path: Path) -> None:
    touch(tmp_path / "images", "nv/I1.jpg", "mel/I2.jpg")
    file = table(tmp_path / "my table.csv", "image_id,dx", "I1,bcc", "I2,df")
    assert scan_isic_source(tmp_path / "images").layout == "folders"
    assert scan_isic_source(tmp_path / "images", metadata=[file]).classes == ["bcc", "df"]
    source = scan_isic_source(tmp_path / "images", layout="folders", metadata=[file])
    assert source.classes == ["mel", "nv"]
    assert "tables not used for the layout folders: my table.csv" in source.remarks


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (["a,b", "1,2"], r"odd\.csv is of no known kind: expected the columns image_id and dx"),
        (
            ["image_id,dx,split", "I1,nv,holdout"],
            r"odd\.csv, line 2: split must be train, validation or test, got 'hold",
        ),
        (["image_id,dx", ",nv"], r"odd\.csv, line 2: the image id is empty"),
        (["image_id,dx", "I1,nv"], "Classification needs two classes at least, got nv"),
        (["image_id,dx", "I1,wart", "I2,scar"], "got none; labels that occur: scar, wart"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path: Path, content: list[str], message: str) -> None:
    touch(tmp_path, "I1.jpg", "I2.jpg")
    file = table(tmp_path / "odd.csv", *content)
    with pytest.raises(ValueError, match=message):
        scan_isic_source(tmp_path, metadata=[file])


def test_file_names_in_a_table_mean_their_images(tmp_path: Path) -> None:
    touch(tmp_path, "I1.bmp", "I2.webp", "I3.tiff", "I4.jpg")
    table(tmp_path / "t.csv", "image_id,dx", "I1.bmp,nv", "I2.webp,mel", "images/I3.TIFF,nv", "I4,mel")
    source = scan_isic_source(tmp_path)
    assert {case.case: (case.image, case.problems) for case in source.cases} == {
        "I1": ("I1.bmp", []),
        "I2": ("I2.webp", []),
        "I3": ("I3.tiff", []),
        "I4": ("I4.jpg", []),
    }


def test_a_table_in_another_encoding_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "I1.jpg")
    file = table(tmp_path / "latin.csv", "image_id,dx", *["I1,nv"] * 3000, "I2,nävus", encoding="latin-1")
    with pytest.raises(ValueError, match=r"Table .*latin\.csv, after line \d+: .*utf-8"):
        scan_isic_source(tmp_path, metadata=[file])


def test_sources_that_cannot_be_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"--source .*nowhere is not a folder"):
        scan_isic_source(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="neither a table of labels nor folders of classes"):
        scan_isic_source(tmp_path)
    touch(tmp_path, "I1.jpg", "I2.jpg")
    with pytest.raises(ValueError, match="neither a table of labels nor folders of classes"):
        scan_isic_source(tmp_path)
    with pytest.raises(ValueError, match="--layout isic needs a table with the columns image and one for each class"):
        scan_isic_source(tmp_path, layout="isic")
    with pytest.raises(ValueError, match=r"Table .*nowhere\.csv does not exist"):
        scan_isic_source(tmp_path, metadata=[tmp_path / "nowhere.csv"])
    table(tmp_path / "a.csv", "image_id,dx", "I1,nv", "I2,mel")
    table(tmp_path / "b.csv", "image,MEL,NV", "I1,0,1", "I2,1,0")
    with pytest.raises(ValueError, match=r"Two kinds of tables have labels: a\.csv \(ham10000\) and b\.csv \(isic\)"):
        scan_isic_source(tmp_path)
    assert scan_isic_source(tmp_path, layout="isic").classes == ["MEL", "NV"]
    with pytest.raises(ValueError, match="--classes names a class twice: nv, NV"):
        scan_isic_source(tmp_path, layout="isic", classes=["nv", "NV"])
