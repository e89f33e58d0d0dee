from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from monai.inferers import SimpleInferer, SlidingWindowInferer
from monai.networks.nets import UNet
from monai.transforms import LoadImage

from monai_proto.active_learning import (
    StudyScoreCache,
    StudyScorer,
    file_stamp,
    foreground_entropy,
    score_studies,
    select_study,
    thumbnail_embedding,
)
from monai_proto.inferers import SlidingWindowLabelInferer
from monai_proto.networks.blocks import ClassMemoryBank
from monai_proto.networks.nets import ProjectedSegmentationNet


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return ProjectedSegmentationNet(UNet(3, 1, 3, (4, 8, 16), (2, 2), num_res_units=1), feature_dim=6).eval()


@pytest.fixture(scope="module")
def bank():
    torch.manual_seed(1)
    bank = ClassMemoryBank(3, 6)
    bank.update(torch.randn(40, 6), torch.arange(40) % 2 + 1)
    return bank


@pytest.fixture
def image():
    return torch.randn(1, 16, 20, 24, generator=torch.Generator().manual_seed(2))


class OnlyBackground(torch.nn.Module):
    """Predicts no foreground at all."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, images, full_output=False):
        output = self.network(images, full_output=True)
        logits = output.logits.clone()
        logits[:, 0] = 100
        return output._replace(logits=logits)


def slow_score(network, image, prototypes):
    """The cosine of every voxel's cell with the prototype of its predicted class, less that of the mean background."""
    with torch.no_grad():
        output = network(image[None], full_output=True)
    labels = output.logits[0].argmax(0)
    cells = F.interpolate(output.projection, size=image.shape[1:], mode="nearest-exact")[0]
    background = F.normalize(cells[:, labels == 0], dim=0).mean(1)
    distances = []
    for index in (1, 2):
        rows, prototype = cells[:, labels == index].T, prototypes[index]
        own = 1 - F.cosine_similarity(rows, prototype[None])
        distances.append(float(own.mean() - (1 - F.cosine_similarity(background, prototype, dim=0))))
    return distances, output.logits[0]


def test_score_against_a_loop_over_the_classes(network, bank, image):
    score = StudyScorer(network, SimpleInferer(), bank)(image, "study")
    distances, logits = slow_score(network, image, bank.class_means())
    assert score.class_distances[0] is None
    assert score.class_distances[1:] == pytest.approx(distances, abs=1e-5)
    assert score.prototype_distance == pytest.approx(sum(distances) / 2, abs=1e-5)
    assert score.uncertainty == pytest.approx(float(foreground_entropy(logits)), abs=1e-6)
    torch.testing.assert_close(score.embedding, thumbnail_embedding(image))
    assert list(score.class_voxels) == [int((logits.argmax(0) == c).sum()) for c in range(3)]


def test_embedding_of_the_features_is_the_mean_direction_of_each_class(network, bank, image):
    embedding = StudyScorer(network, SimpleInferer(), bank, embedding="features")(image, "study").embedding
    with torch.no_grad():
        output = network(image[None], full_output=True)
    cells = F.normalize(F.interpolate(output.projection, size=image.shape[1:], mode="nearest-exact")[0], dim=0)
    for index in (1, 2):
        mean = cells[:, output.logits[0].argmax(0) == index].mean(1)
        torch.testing.assert_close(embedding[index - 1], mean / mean.norm())


def test_unknown_embedding_is_refused(network):
    with pytest.raises(ValueError, match="embedding must be one of"):
        StudyScorer(network, SimpleInferer(), embedding="labels")


def test_one_window_of_the_image_s_size_gives_the_same_score(network, bank, image):
    whole = StudyScorer(network, SimpleInferer(), bank, embedding="features")(image, "study")
    window = StudyScorer(network, SlidingWindowInferer((16, 20, 24)), bank, embedding="features")(image, "study")
    assert window.prototype_distance == pytest.approx(whole.prototype_distance, abs=1e-5)
    torch.testing.assert_close(window.embedding, whole.embedding)


@pytest.mark.parametrize("shape", [(16, 16, 16), (9, 33, 18), (5, 7, 40)])
def test_windows_of_odd_and_small_volumes(network, bank, shape):
    image = torch.randn(1, *shape, generator=torch.Generator().manual_seed(3))
    score = StudyScorer(network, SlidingWindowInferer((16, 16, 16), overlap=0.25), bank)(image, "study")
    assert sum(score.class_voxels) == image.numel()
    assert -2 < score.prototype_distance < 2


def test_the_order_of_prototypes_matters(network, bank, image):
    prototypes = bank.class_means()
    scores = [
        StudyScorer(network, SimpleInferer(), p)(image, "s").prototype_distance
        for p in (prototypes, prototypes[[0, 2, 1]])
    ]
    assert abs(scores[0] - scores[1]) > 1e-3


def test_a_study_without_foreground_has_distance_zero_and_an_embedding_of_zeros(network, bank, image):
    score = StudyScorer(OnlyBackground(network), SimpleInferer(), bank, embedding="features")(image, "study")
    assert score.prototype_distance == 0
    assert not score.embedding.any()
    assert score.class_distances == (None, None, None)
    assert score.uncertainty == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("prototypes", [None, ClassMemoryBank(3, 6)])
def test_without_prototypes_there_is_no_distance(network, image, prototypes):
    score = StudyScorer(network, SimpleInferer(), prototypes)(image, "study")
    assert score.prototype_distance is None
    assert score.uncertainty > 0
    assert score.embedding.any()


def test_output_that_is_not_finite_names_the_study(network, bank, image):
    image[0, 3, 3, 3] = float("nan")
    with pytest.raises(ValueError, match="study study_7"):
        StudyScorer(network, SimpleInferer(), bank)(image, "study_7")


def test_an_inferer_that_gives_labels_only_is_refused(network, bank, image):
    inferer = SlidingWindowLabelInferer((16, 16, 16))
    with pytest.raises(ValueError, match="network must give"):
        StudyScorer(network, inferer, bank)(image, "study")


def test_prototypes_of_another_model_are_refused(network, image):
    with pytest.raises(ValueError, match=r"prototypes must have shape \(3, 6\) for study study"):
        StudyScorer(network, SimpleInferer(), torch.ones(4, 6))(image, "study")
    with pytest.raises(ValueError, match="prototypes"):
        StudyScorer(network, SimpleInferer(), torch.ones(4))


def test_prototypes_of_labelled_studies_are_means_over_correct_voxels(network, image):
    scorer = StudyScorer(network, SimpleInferer())
    with torch.no_grad():
        output = network(image[None], full_output=True)
    predicted = output.logits.argmax(1)
    half = predicted.clone()
    half[:, :8] = 0  # in one half only the background is right
    other = image.flip(1)
    prototypes = scorer.prototypes_of([("a", image, half), ("b", other, torch.zeros_like(half))])
    cells = F.normalize(F.interpolate(output.projection, size=image.shape[1:], mode="nearest-exact")[0], dim=0)
    for index in (1, 2):
        correct = (predicted[0] == index) & (half[0] == index)
        torch.testing.assert_close(prototypes[index], cells[:, correct].mean(1))
    assert not prototypes[0].any()


def test_prototypes_of_labels_that_are_all_wrong_are_zeros(network, image):
    with torch.no_grad():
        wrong = (network(image[None]).argmax(1) + 1) % 3
    prototypes = StudyScorer(network, SimpleInferer()).prototypes_of([("a", image, wrong)])
    assert prototypes.shape == (3, 6)
    assert not prototypes.any()


def test_labels_that_do_not_fit_are_named(network, image):
    scorer = StudyScorer(network, SimpleInferer())
    with pytest.raises(ValueError, match="study a"):
        scorer.prototypes_of([("a", image, torch.zeros(1, 3, 3, 3))])
    with pytest.raises(ValueError, match="studies"):
        scorer.prototypes_of([])


@pytest.fixture
def studies(tmp_path):
    """Three volumes and a broken one, by id."""
    generator = np.random.RandomState(0)
    files = {f"study_{i}": tmp_path / f"study_{i}.nii.gz" for i in range(4)}
    for file in files.values():
        nib.save(nib.Nifti1Image(generator.randn(16, 16, 16).astype(np.float32), np.eye(4)), file)
    files["study_2"].write_bytes(b"no NIfTI")
    return files


@pytest.fixture
def score_file(network, bank, studies):
    load, scorer = LoadImage(image_only=True, ensure_channel_first=True), StudyScorer(network, SimpleInferer(), bank)
    return lambda study: scorer(load(studies[study]), study)


def stamps(studies):
    return {study: file_stamp(file) for study, file in studies.items()}


def test_a_broken_study_is_reported_and_never_chosen(studies, score_file, tmp_path):
    result = score_studies(stamps(studies), score_file, StudyScoreCache(tmp_path / "cache.json", "model"))
    assert set(result.scores) == {"study_0", "study_1", "study_3"}
    assert list(result.failures) == ["study_2"]
    assert "study_2" not in select_study(result.scores).order


def test_only_changed_studies_are_scored_again_and_all_after_training(studies, score_file, tmp_path):
    path = tmp_path / "cache.json"
    assert len(score_studies(stamps(studies), score_file, StudyScoreCache(path, "model")).computed) == 4
    again = score_studies(stamps(studies), score_file, StudyScoreCache(path, "model"))
    assert again.computed == ()
    assert list(again.failures) == ["study_2"]
    nib.save(
        nib.Nifti1Image(np.random.RandomState(9).randn(16, 16, 16).astype(np.float32), np.eye(4)), studies["study_2"]
    )
    repaired = score_studies(stamps(studies), score_file, StudyScoreCache(path, "model"))
    assert repaired.computed == ("study_2",)
    assert not repaired.failures
    assert len(score_studies(stamps(studies), score_file, StudyScoreCache(path, "trained further")).computed) == 4


def test_studies_that_are_gone_leave_the_cache(studies, score_file, tmp_path):
    cache = StudyScoreCache(tmp_path / "cache.json", "model")
    score_studies(stamps(studies), score_file, cache)
    studies.pop("study_0")
    score_studies(stamps(studies), score_file, cache)
    assert len(StudyScoreCache(cache.path, "model")) == 3


def test_lack_of_memory_is_no_failure_of_the_study_and_what_is_done_is_kept(studies, score_file, tmp_path):
    def run_out(study):
        if study == "study_3":
            raise torch.OutOfMemoryError("CUDA out of memory")
        return score_file(study)

    path = tmp_path / "cache.json"
    with pytest.raises(torch.OutOfMemoryError):
        score_studies(stamps(studies), run_out, StudyScoreCache(path, "model"))
    assert score_studies(stamps(studies), score_file, StudyScoreCache(path, "model")).computed == ("study_3",)


def test_an_inferer_that_gives_one_map_is_named(network, bank, image):
    with pytest.raises(ValueError, match="got Tensor from function"):
        StudyScorer(network, lambda images, maps: maps(images)[0], bank)(image, "study")
